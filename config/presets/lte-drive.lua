-- lte-drive: LTE in a moving car.
--
-- No recording: rows that are made here, always the same ones, with the figures of one: the mean of the
-- rate, its range from second to second, and how long nothing came.
local SECONDS, STEP = 120, 0.25

-- Rates in bit/s, one each STEP: logarithms that wander and return, with gaps, scaled to the mean.
local function rates (mean, spread, gap_share, seed)
   local state, z, gap, list, sum = seed, 0, 0, {}, 0
   local function uniform () -- the minimal standard generator: Park and Miller, 1988
      state = state * 48271 % 2147483647
      return state / 2147483647
   end
   local function normal () return math.sqrt(-2 * math.log(uniform())) * math.cos(2 * math.pi * uniform()) end
   for i = 1, SECONDS / STEP do
      z = 0.93 * z + math.sqrt(1 - 0.93 ^ 2) * normal()
      if gap <= 0 and uniform() < gap_share then gap = 1 + math.floor(uniform() * 4) end
      gap = gap - 1
      list[i] = gap >= 0 and 0 or math.exp(spread * z)
      sum = sum + list[i]
   end
   for i, rate in ipairs(list) do list[i] = math.floor(rate * mean * #list / sum) end
   return list
end

local function way (mean, spread, gap_share, seed)
   local rows = {}
   for i, rate in ipairs(rates(mean, spread, gap_share, seed)) do rows[i] = { time = (i - 1) * STEP, rate = rate } end
   rows[#rows + 1] = { time = SECONDS, rate = rows[1].rate }
   return { owd = "20ms", trace = { rows = rows }, queue = "1000p" }
end

return {
   doc = "LTE in a moving car",
   source = "figures of Mahimahi's recording ATT-LTE-driving-2016 (Saturator, NSDI 2013): down 4.56 Mbit/s, up 1.91 Mbit/s on average, " ..
            "seconds from 0.59 to 11.2 Mbit/s, outages of up to 1.1 and 4.1 s",
   down = way(4560000, 0.85, 0.03, 7),
   up = way(1910000, 0.85, 0.05, 11),
   notes = "rows of 250 ms made to those figures, 120 s that repeat; the queue is ours",
}
