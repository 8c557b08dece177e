-- rfc8867-5-3: media both ways, where the way back of the feedback is congested.
local function way (rows)
   return { owd = "50ms", jitter = { half = "15ms" }, queue = "300ms", trace = { after = "hold", rows = rows } }
end

return {
   doc = "media both ways over links whose capacity changes",
   source = "RFC 8867, 5.3, a congested feedback link: up 2, 1, 0.5 and 2 Mbit/s from 0, 20, 40 and 60 s on, down 2, 0.8 and 2 from 0, 35 and 70 s on; 50 ms, queue of 300 ms, jitter of 30 ms",
   up = way { { time = "0s", rate = "2mbit" }, { time = "20s", rate = "1mbit" }, { time = "40s", rate = "500kbit" },
              { time = "60s", rate = "2mbit" } },
   down = way { { time = "0s", rate = "2mbit" }, { time = "35s", rate = "800kbit" }, { time = "70s", rate = "2mbit" } },
   notes = "how the jitter varies within its 30 ms is ours",
}
