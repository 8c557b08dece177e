-- fit: the parameters of a Clumsy that would do what two captures show.
--
--   fit.parameters(comparison) -> parameters, list of remarks
--
-- loss      independent or in runs, whichever a likelihood ratio test (1e-6) says; where a queue overflows, of
--           the packets that came while it was not nearly full
-- rate      where packets left at the same pace, stretch by stretch, while they came in faster
-- delay     constant, uniform or normal, whichever is nearer (Kolmogorov and Smirnov); behind a queue the shortest
local fit = {}

local LIKELIHOOD = 23.93 -- chi-square, one degree of freedom, 1e-6
local STRETCH = 50       -- packets of a stretch that may be saturated
local CONSTANT = 20e-6   -- s: when half of the delays vary less they are one, and the others were held back

local function mean_of (list)
   local sum = 0
   for _, x in ipairs(list) do sum = sum + x end
   return sum / #list
end

local function deviation_of (list, mean)
   local sum = 0
   for _, x in ipairs(list) do sum = sum + (x - mean) ^ 2 end
   return math.sqrt(sum / #list)
end

local function sorted (list)
   local copy = table.move(list, 1, #list, 1, {})
   table.sort(copy)
   return copy
end

local function duration (s) return ("%.6gms"):format(1e3 * s) end
local function share (p) return ("%.5g%%"):format(100 * p) end

-- --- loss --------------------------------------------------------------------------------

local function likelihood (yes, no)
   local n = yes + no
   local function term (k) return k > 0 and k * math.log(k / n) or 0 end
   return n > 0 and term(yes) + term(no) or 0
end

-- Markov's chain against Bernoulli's coin.
local function fit_loss (f)
   if f.lost == 0 then return nil end
   local p = f.lost / f.sent
   if f.lost == f.sent then return { p = "100%" } end
   local chain = likelihood(f.good_lost, f.good_good) + likelihood(f.lost_lost, f.lost_good)
   local coin = likelihood(f.good_lost + f.lost_lost, f.good_good + f.lost_good)
   local runs = 2 * (chain - coin) > LIKELIHOOD and f.lost_lost / (f.lost_lost + f.lost_good) > p
   return { p = share(p), burst = runs and tonumber(("%.4g"):format(f.lost / f.runs)) or nil }
end

-- Loss by chance alone, where a queue loses too: of what was sent while the delay was low.
local function fit_loss_beside_queue (comparison, times, delays, full)
   local lost, n, i = 0, 0, 1
   for _, time in ipairs(comparison:losses()) do
      while i < #times and times[i + 1] < time do i = i + 1 end
      lost = lost + (times[i] <= time and delays[i] < full and 1 or 0)
   end
   for _, delay in ipairs(delays) do n = n + (delay < full and 1 or 0) end
   if lost < 10 then return nil end
   return { p = share(lost / (lost + n)) }
end

-- --- rate --------------------------------------------------------------------------------

-- Bits per second of each stretch of packets, by when they left, and while the queue grew.
local function stretches (times, delays, lengths_at)
   local list = {}
   for i = 1, #times - STRETCH, STRETCH do
      local last = i + STRETCH - 1
      local bits = 0
      for k = i + 1, last do bits = bits + 8 * lengths_at[k] end
      local out = times[last] + delays[last] - times[i] - delays[i]
      list[#list + 1] = { rate = out > 0 and bits / out or math.huge, wait = math.min(delays[i], delays[last]) }
   end
   return list
end

-- The rate of those that waited: all about the same, and no stretch is faster.
local function fit_rate (times, delays, lengths_at, shortest)
   local waited, fastest = {}, 0
   local all = stretches(times, delays, lengths_at)
   for _, s in ipairs(all) do
      fastest = math.max(fastest, s.rate)
      if s.wait > shortest + 0.005 then waited[#waited + 1] = s.rate end
   end
   if #waited < 5 then return nil end
   table.sort(waited)
   local median = waited[(#waited + 1) // 2]
   local low, high = waited[math.max(1, #waited // 10)], waited[#waited - #waited // 10]
   if high - low > 0.05 * median or fastest > 1.1 * median then return nil end
   return median
end

-- --- delay -------------------------------------------------------------------------------

local function distance (list, cdf)
   local most, n = 0, #list
   for i, x in ipairs(list) do
      local f = cdf(x)
      most = math.max(most, f - (i - 1) / n, i / n - f)
   end
   return most
end

-- Correlation of delays that are about `lag` seconds apart.
local function correlation (times, delays, mean, sd, lag)
   local sum, n, k = 0, 0, 1
   for i = 1, #times do
      while k < #times and times[k] < times[i] + lag do k = k + 1 end
      if times[k] >= times[i] + lag and times[k] < times[i] + 1.2 * lag + 1e-9 then
         sum, n = sum + (delays[i] - mean) * (delays[k] - mean), n + 1
      end
   end
   return n > 100 and sum / n / sd ^ 2 or nil
end

-- The time in which the correlation falls to 1/e, between two of the lags that were tried.
local function fit_coherence (times, delays, mean, sd)
   local before, at = 1, 0
   local lag = math.max((times[#times] - times[1]) / #times, 1e-4)
   while lag < (times[#times] - times[1]) / 10 do
      local c = correlation(times, delays, mean, sd, lag)
      if c and c < math.exp(-1) then
         if at == 0 then return nil end
         local part = (before - math.exp(-1)) / math.max(before - c, 1e-9)
         return at + part * (lag - at)
      end
      if c then before, at = c, lag end
      lag = lag * 1.3
   end
   return at > 0 and at or nil
end

local function fit_jitter (p, times, delays, f)
   local list = sorted(delays)
   if list[#list - #list // 4] - list[1 + #list // 4] < CONSTANT then
      p.owd = duration(list[(#list + 1) // 2])
      return
   end
   local mean = mean_of(list)
   local sd = deviation_of(list, mean)
   p.owd = duration(mean)
   local half = (list[#list] - list[1]) / 2 * (#list + 1) / math.max(#list - 1, 1)
   local middle = (list[#list] + list[1]) / 2
   local uniform = distance(list, function (x) return math.min(1, math.max(0, (x - middle + half) / (2 * half))) end)
   local normal = distance(list, function (x) return statistics.normal_cdf((x - mean) / sd) end)
   if uniform < normal then
      p.owd, p.jitter = duration(middle), { half = duration(half) }
   else
      p.jitter = { sd = duration(sd), dist = "normal" }
   end
   local coherence = fit_coherence(times, delays, mean, sd)
   if f.reordered > 0 and not coherence then
      p.jitter.mode = "reorder"
   elseif coherence then
      p.jitter.coherence = duration(coherence)
   end
end

-- The length of each packet whose delay is known.
local function lengths_of (comparison, times)
   local sent, sizes = comparison:packets(false)
   local list, k = {}, 1
   for i, time in ipairs(times) do
      while sent[k] < time do k = k + 1 end
      list[i] = sizes[k]
      k = k + 1
   end
   return list
end

local function fit_path (p, comparison, f, remarks)
   local times, delays = comparison:delays()
   if #delays < 100 then
      remarks[#remarks + 1] = "too few delays to learn from"
      p.loss = fit_loss(f)
      return
   end
   local list = sorted(delays)
   local lengths_at = lengths_of(comparison, times)
   local rate = fit_rate(times, delays, lengths_at, list[1])
   if not rate then
      p.loss = fit_loss(f)
      fit_jitter(p, times, delays, f)
      return
   end
   local longest = 0
   for _, n in ipairs(lengths_at) do longest = math.max(longest, n) end
   local queue = list[#list] - list[1]
   p.rate, p.queue = ("%.0fbit"):format(rate), duration(queue)
   p.owd = duration(math.max(0, list[1] - 8 * longest / rate))
   p.loss = fit_loss_beside_queue(comparison, times, delays, list[1] + 0.7 * queue)
   remarks[#remarks + 1] = "behind a queue the variation of the delay is not told from waiting"
end

function fit.parameters (comparison)
   local f, p, remarks = comparison:figures(), {}, {}
   if f.sent == 0 then return nil, { "no packet is in both captures" } end
   fit_path(p, comparison, f, remarks)
   local whole = f.sent - f.lost
   if f.duplicated > 0 then p.duplicate = share(f.duplicated / whole) end
   if f.corrupted > 0 then
      local bits = math.floor(f.bits / f.corrupted + 0.5)
      p.corrupt = { p = share(f.corrupted / f.received), bits = bits > 1 and math.min(bits, 32) or nil }
   end
   if f.reordered > 0 and not (p.jitter and p.jitter.mode == "reorder") then
      p.reorder = { p = share(f.reordered / whole), depth = f.extent > 0 and f.extent or nil }
   end
   if f.foreign > 0 then remarks[#remarks + 1] = f.foreign .. " packets behind were never sent" end
   return p, remarks, f
end

return fit
