-- rfc8867-5-4: a path for several flows of interactive media that compete.
return {
   doc = "three flows of interactive media that compete, or pause",
   source = "RFC 8867, 5.4, competing flows, and 5.8, pause and resume: 3.5 Mbit/s, 50 ms, queue of 300 ms, jitter of 30 ms",
   up = { rate = "3500kbit", owd = "50ms", jitter = { half = "15ms" }, queue = "300ms" },
   down = { owd = "50ms" },
   notes = "the flows, one more every 20 s (5.4), or one that pauses from 40 to 60 s (5.8), are the user's; how the jitter varies is ours",
}
