-- rfc8867-5-1: a path whose capacity changes, for congestion control of interactive media.
return {
   doc = "capacity that changes, for interactive media",
   source = "RFC 8867, 5.1, a single flow: 1, 2.5, 0.6 and 1 Mbit/s from 0, 40, 60 and 80 s on; 50 ms, queue of 300 ms, jitter of 30 ms",
   up = { owd = "50ms", jitter = { half = "15ms" }, queue = "300ms",
          trace = { after = "hold", rows = { { time = "0s", rate = "1mbit" }, { time = "40s", rate = "2.5mbit" },
                                             { time = "60s", rate = "600kbit" }, { time = "80s", rate = "1mbit" } } } },
   down = { owd = "50ms" },
   notes = "media go up; the way back is not limited, and how the jitter varies within its 30 ms is ours",
}
