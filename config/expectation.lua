-- expectation: does what two captures show agree with the parameters of a Clumsy?
--
--   expectation.of_parameters(p)      a table of parameters, as numbers: { ["loss.p"] = 0.01, owd = 0.02 ... }
--   expectation.of_app(app)           those of an app of engine.graph()
--   expectation.check(e, comparison, tolerance)
--                                     list of { name =, expected =, seen =, verdict =, needed = }
--
-- verdict is "holds", "fails", "inconclusive" (so few packets that half or twice the parameter might pass too;
-- needed says how many there should be) or "not tested". Everything is computed from the packets. A right
-- network fails a test once in a million.
local expectation = {}

local Z = 4.892 -- two-sided, 1e-6
local POWER = 4.753 -- one-sided, 1e-6

-- --- parameters as numbers ---------------------------------------------------------------

local function number (text) return units.parse(text) or text end

local function flatten (rows, prefix, e, set)
   for _, row in ipairs(rows) do
      local path = prefix .. row.name
      if row.rows then
         flatten(row.rows, path .. ".", e, set)
      else
         e[path] = number(row.value or "")
         set[path] = not row.initial
      end
   end
   return e
end

function expectation.of_app (app)
   local set = {}
   local e = flatten(app.parameters, "", {}, set)
   e.set = set
   return e
end

function expectation.of_parameters (p)
   local c = config.new()
   config.app(c, "expected", Clumsy, p)
   return expectation.of_app(config.graph(c).apps[1])
end

-- --- shares ------------------------------------------------------------------------------

-- Packets that make half and twice the share fail. inflation: of the variance.
local function needed (p, inflation)
   if p <= 0 or p >= 1 then return 1 end
   local function sd (q) return math.sqrt(math.max(q * (1 - q), 0)) end
   local half = (Z * sd(p) + POWER * sd(p / 2)) / (p / 2)
   local twice = (Z * sd(p) + POWER * sd(math.min(2 * p, 1))) / math.min(p, 1 - p)
   return math.ceil(inflation * math.max(half, twice) ^ 2)
end

local function percent (x) return ("%.4g%%"):format(100 * x) end

local function region (n, p, inflation)
   if inflation <= 1 then return statistics.region(n, p) end
   local reach = Z * math.sqrt(n * p * (1 - p) * inflation)
   return math.max(0, math.floor(n * p - reach)), math.min(n, math.ceil(n * p + reach))
end

-- count of n was expected to be a share p.
local function share (name, count, n, p, inflation)
   inflation = inflation or 1
   local low, high = region(n, p, inflation)
   local test = { name = name, expected = percent(p), seen = ("%s (%d of %d)"):format(percent(count / math.max(n, 1)), count, n),
                  low = low, high = high, count = count, n = n }
   local enough = needed(p, inflation)
   test.verdict = (count < low or count > high) and "fails" or (n < enough and "inconclusive" or "holds")
   if test.verdict == "inconclusive" then test.needed = enough end
   return test
end

local function at_least (name, count, n, p)
   local test = share(name, count, n, p)
   test.expected = "at least " .. test.expected
   if count > test.high then test.verdict = "holds" end
   return test
end

local function skipped (name, why) return { name = name, expected = why, seen = "-", verdict = "not tested" } end

local function correlated (c) return (1 + c) / (1 - c) end

-- --- loss --------------------------------------------------------------------------------

-- Share lost, share lost behind a lost one, how much that inflates the variance; nil when that is not known.
local function loss_model (e)
   local p, burst = e["loss.p"], e["loss.burst"]
   if e.set["loss.trace"] or e.set["loss.onoff.on"] or e.set["loss.state.p13"] or e.set["loss.state.p14"] or
      e["loss.density"] < 1 or e["loss.isolated"] > 0 or e.compat == "netem" then return nil end
   if e["loss.gemodel.p"] > 0 or e["loss.gemodel.r"] > 0 then
      local ge = { p = e["loss.gemodel.p"], r = e["loss.gemodel.r"], bad = e["loss.gemodel.bad"], good = e["loss.gemodel.good"] }
      local b, lambda = ge.p / (ge.p + ge.r), 1 - ge.p - ge.r
      local l = b * ge.bad + (1 - b) * ge.good
      local covariance = b * (1 - b) * (ge.bad - ge.good) ^ 2
      local rest = math.max(l * (1 - l), 1e-12)
      return l, (l * l + covariance * lambda) / math.max(l, 1e-12), 1 + 2 * covariance * lambda / (1 - lambda) / rest,
             ge.bad == 1 and ge.good == 0
   end
   if p > 0 and p < 1 and burst > 0 then
      local r = 1 / burst
      local lambda = 1 - r - r * p / (1 - p)
      return p, 1 - r, correlated(lambda), true
   end
   local c = e["loss.corr"]
   return p, p + c * (1 - p), correlated(c), true
end

local function other_losses (e)
   return e["rate.rate"] > 0 or e["mtu.max"] > 0 or e.set["trace.file"] or e.set["trace.rows"] or e.set["down.period"] or
          e.set["down.now"] or e.set["down.duration"] or e.set["down.on"] or e.set["drop.every"] or e.set["drop.first"] or
          e.set["drop.list"] or e.set["drop.range"] or e.set["drop.syn"] or e.set["drop.synack"] or e.set["drop.fin"] or
          e.set["drop.dns_response"] or e.set["drop.quic_initial"] or e.set["drop.filter"] or e.set["drop.tcp.byte"]
end

local function check_loss (e, f, tests)
   local p, behind, inflation, chain = loss_model(e)
   if not p then
      tests[#tests + 1] = skipped("loss", "a model without a share")
   elseif other_losses(e) then
      tests[#tests + 1] = p > 0 and at_least("loss", f.lost, f.sent, p) or skipped("loss", "by a queue or a pattern")
   else
      tests[#tests + 1] = share("loss", f.lost, f.sent, p, inflation)
      local n = f.lost_lost + f.lost_good
      if p > 0 and p < 1 and chain and n > 0 then
         local test = share("loss after a loss", f.lost_lost, n, behind, 1)
         -- Enough to tell independent losses from runs of two; of runs, as long ones from those half as long.
         local enough = behind > p and 200 or 60
         test.verdict = test.verdict == "fails" and "fails" or (n < enough and "inconclusive" or "holds")
         test.needed = test.verdict == "inconclusive" and math.ceil(enough / (p * (1 - behind) + p * behind)) or nil
         tests[#tests + 1] = test
      end
   end
end

-- --- duplicates, damage, order -------------------------------------------------------------

local function check_copies (e, f, tests)
   local p, whole = e["duplicate.p"], f.sent - f.lost
   tests[#tests + 1] = share("duplicates", f.duplicated, whole, p, correlated(e["duplicate.corr"]))
   if e["corrupt.ber"] > 0 then
      tests[#tests + 1] = skipped("corruption", "a bit error rate")
   else
      tests[#tests + 1] = share("corruption", f.corrupted, f.received - f.foreign, e["corrupt.p"], correlated(e["corrupt.corr"]))
      if e["corrupt.bits"] == 1 and e["corrupt.mode"] == "flip" and e["corrupt.fix"] == "none" and f.corrupted > 0 then
         tests[#tests + 1] = { name = "bits per corrupted packet", expected = "1", seen = ("%.6g"):format(f.bits / f.corrupted),
                               verdict = f.bits == f.corrupted and "holds" or "fails" }
      end
   end
   tests[#tests + 1] = { name = "packets never sent", expected = "0", seen = tostring(f.foreign),
                         verdict = f.foreign == 0 and "holds" or "fails" }
end

local function check_order (e, f, tests)
   local p, n = e["reorder.p"], f.sent - f.lost
   local jitter = e["jitter.half"] > 0 or e["jitter.sd"] > 0
   if jitter and e["jitter.mode"] == "reorder" or e["duplicate.delay"] > 0 or e["reorder.mode"] == "early" and p > 0 then
      tests[#tests + 1] = skipped("reordering", "by overtaking: it depends on the distances of packets")
   elseif p == 0 then
      tests[#tests + 1] = share("reordering", f.reordered, n, 0)
   else
      -- Of two that are held back one after the other the first is not overtaken by the second.
      local test = share("reordering", f.reordered, n, p, correlated(e["reorder.corr"]))
      test.low = (region(n, p * (1 - p) ^ e["reorder.depth"], correlated(e["reorder.corr"])))
      if test.verdict == "fails" and f.reordered >= test.low and f.reordered <= test.high then test.verdict = "holds" end
      tests[#tests + 1] = test
   end
end

-- --- delay -------------------------------------------------------------------------------

local function law_of (e)
   local owd, half, sd, dist = e.owd, e["jitter.half"], e["jitter.sd"], e["jitter.dist"]
   if half > 0 then
      return function (x) return math.min(1, math.max(0, (x - owd + half) / (2 * half))) end, owd - half, owd + half
   elseif sd > 0 and (dist == "auto" or dist == "normal") then
      return function (x) return statistics.normal_cdf((x - owd) / sd) end, 0, math.huge
   end
end

-- One delay per `spacing` seconds: neighbours of a process in time are alike.
local function thinned (times, delays, spacing)
   local list, next = {}, -math.huge
   for i = 1, #times do
      if times[i] >= next then
         list[#list + 1] = delays[i]
         next = times[i] + spacing
      end
   end
   table.sort(list)
   return list
end

local function distance (list, cdf, floor)
   local most, n = 0, #list
   for i, x in ipairs(list) do
      local f = cdf(x)
      if x > floor * 1.000001 then most = math.max(most, f - (i - 1) / n) end
      most = math.max(most, i / n - f)
   end
   return most
end

local function ms (x) return ("%.6g ms"):format(1e3 * x) end

local function check_law (e, times, delays, tests, tolerance)
   local mode = e["jitter.mode"]
   local cdf = law_of(e)
   if not cdf then return skipped("distribution of the delay", "a law that has no test") end
   if mode == "clamp" or e["rate.rate"] > 0 or e.set["slot.min"] or e.set["trace.file"] or e.set["trace.rows"] then
      return skipped("distribution of the delay", "by queueing too")
   end
   local spread = e["jitter.half"] > 0 and e["jitter.half"] or e["jitter.sd"]
   local spacing = mode == "process" and 5 * math.max(e["jitter.coherence"], 4 * spread) or
                   mode == "block" and 2 * e["jitter.period"] or 0
   if e["jitter.corr"] > 0 then return skipped("distribution of the delay", "neighbours are alike") end
   local list = thinned(times, delays, spacing)
   local limit = math.sqrt(math.log(2e6) / 2 / math.max(#list, 1)) + e["reorder.p"] + e["spike.p"] + tolerance / (2 * spread)
   local seen = distance(list, cdf, e["jitter.floor"])
   local test = { name = "distribution of the delay", expected = ("D < %.4f"):format(limit),
                  seen = ("D = %.4f (%d delays)"):format(seen, #list) }
   test.verdict = seen > limit and "fails" or (#list < 500 and "inconclusive" or "holds")
   if test.verdict == "inconclusive" then
      test.needed = spacing > 0 and ("%.0f s of traffic"):format(500 * spacing) or 500
   end
   return test
end

local function check_delay (e, comparison, tests, tolerance)
   local times, delays = comparison:delays()
   local sorted = table.move(delays, 1, #delays, 1, {})
   table.sort(sorted)
   if #sorted == 0 then
      tests[#tests + 1] = { name = "delay", expected = ms(e.owd), seen = "no packet", verdict = "inconclusive", needed = 1 }
      return
   end
   local jitter = e["jitter.half"] > 0 or e["jitter.sd"] > 0 or e.set["jitter.table"]
   local early = e["reorder.mode"] == "early" and e["reorder.p"] > 0
   local least = early and 0 or jitter and math.max(0, e.owd - e["jitter.half"], e["jitter.floor"]) or e.owd
   if jitter and e["jitter.half"] == 0 then least = e["jitter.floor"] end
   tests[#tests + 1] = { name = "shortest delay", expected = "at least " .. ms(least), seen = ms(sorted[1]),
                         verdict = sorted[1] < least - 2e-9 and "fails" or "holds" }
   if jitter then
      tests[#tests + 1] = check_law(e, times, delays, tests, tolerance)
   elseif not (e["rate.rate"] > 0 or early or e.set["slot.min"] or e.set["trace.file"] or e.set["trace.rows"]) then
      local median = sorted[(#sorted + 1) // 2]
      tests[#tests + 1] = { name = "median delay", expected = ms(e.owd) .. " to " .. ms(e.owd + tolerance), seen = ms(median),
                            verdict = (median < e.owd - 2e-9 or median > e.owd + tolerance) and "fails" or "holds" }
   end
end

-- --- rate --------------------------------------------------------------------------------

-- The most bits within a window, and what came in on average.
local function busiest (times, lengths, overhead, window)
   local most, bits, from = 0, 0, 1
   for i = 1, #times do
      bits = bits + 8 * (lengths[i] + overhead)
      while times[i] - times[from] > window do
         bits = bits - 8 * (lengths[from] + overhead)
         from = from + 1
      end
      most = math.max(most, bits)
   end
   return most
end

local function check_rate (e, comparison, tests)
   local rate, overhead = e["rate.rate"], e["rate.overhead"]
   if rate == 0 then return end
   if e["rate.count"] ~= "l2" or e["rate.cell"] > 0 or e.set["rate.shared"] or e.set["trace.file"] or e.set["slot.min"] then
      tests[#tests + 1] = skipped("rate", "not of frames alone")
      return
   end
   local times, lengths = comparison:packets(true)
   local sent, sizes = comparison:packets(false)
   if #times < 2 then return end
   local longest = 0
   for _, n in ipairs(lengths) do longest = math.max(longest, n) end
   local span = times[#times] - times[1]
   local window = math.max(math.min(1, span / 4), 100 * 8 * longest / rate)
   local spread = 2 * e["jitter.half"] + 6 * e["jitter.sd"]
   local most = busiest(times, lengths, overhead, window) / window
   local offered = busiest(sent, sizes, overhead, window) / window
   local high = rate * (1 + math.min(spread / window, 1)) + 8 * (2 * longest + (e["rate.burst"] or 0)) / window
   local test = { name = "rate", expected = ("%.6g bit/s"):format(rate), seen = ("%.6g bit/s (%.6g offered)"):format(most, offered) }
   local saturated = offered >= 1.2 * rate
   test.verdict = (most > high * 1.005 or saturated and most < 0.98 * rate) and "fails" or
                  (saturated and span >= window and "holds" or "inconclusive")
   if test.verdict == "inconclusive" then test.needed = ("%.6g bit/s offered for %.3g s"):format(1.2 * rate, window) end
   tests[#tests + 1] = test
end

function expectation.check (e, comparison, tolerance)
   local f, tests = comparison:figures(), {}
   if f.sent == 0 then
      return { { name = "packets", expected = "some", seen = f.foreign > 0 and "none in both" or "none",
                 verdict = f.foreign > 0 and "fails" or "inconclusive", needed = 1 } }, f
   end
   check_loss(e, f, tests)
   check_copies(e, f, tests)
   check_order(e, f, tests)
   check_delay(e, comparison, tests, tolerance)
   check_rate(e, comparison, tests)
   return tests, f
end

return expectation
