-- rfc8867-5-2: a path whose capacity changes, for two flows of interactive media.
return {
   doc = "capacity that changes, for two flows of interactive media",
   source = "RFC 8867, 5.2, multiple flows: 4, 2, 3.5, 1 and 2 Mbit/s from 0, 25, 50, 75 and 100 s on; 50 ms, queue of 300 ms, jitter of 30 ms",
   up = { owd = "50ms", jitter = { half = "15ms" }, queue = "300ms",
          trace = { after = "hold", rows = { { time = "0s", rate = "4mbit" }, { time = "25s", rate = "2mbit" },
                                             { time = "50s", rate = "3500kbit" }, { time = "75s", rate = "1mbit" },
                                             { time = "100s", rate = "2mbit" } } } },
   down = { owd = "50ms" },
   notes = "both flows go up; how the jitter varies within its 30 ms is ours",
}
