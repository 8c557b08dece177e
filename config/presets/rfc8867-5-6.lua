-- rfc8867-5-6: interactive media beside a long TCP flow.
return {
   doc = "interactive media beside a long TCP flow",
   source = "RFC 8867, 5.6: 2 Mbit/s, 50 ms, queue of 300 ms, jitter of 30 ms, one TCP from the beginning",
   up = { rate = "2mbit", owd = "50ms", jitter = { half = "15ms" }, queue = "300ms" },
   down = { owd = "50ms" },
   cross = "tcp rtt=100ms",
   notes = "media begin after 5 s; the TCP is CrossTraffic's, of Reno's kind; how the jitter varies is ours",
}
