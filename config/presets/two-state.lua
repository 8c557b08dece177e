-- two-state: a radio link that falls back to a tenth of its rate and recovers.
local function way (good, bad)
   return { owd = "5ms", queue = "100ms",
            trace = { rows = { { time = "0s", rate = good }, { time = "4s", rate = bad }, { time = "5s", rate = good } } } }
end

return {
   doc = "a link with two rates: a tenth of it for 1 s in 5",
   source = "the shape of a radio that changes its modulation; all figures are ours",
   down = way("20mbit", "2mbit"),
   up = way("20mbit", "2mbit"),
}
