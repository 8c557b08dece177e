-- lte: LTE (4G).
return {
   doc = "LTE (4G)",
   source = "sitespeed.io throttle, profile \"lte\" (12/12 Mbit/s); WebPageTest's round trip of 70 ms",
   down = { rate = "12mbit", owd = "35ms", jitter = { half = "10ms" }, queue = "200ms" },
   up = { rate = "12mbit", owd = "35ms", jitter = { half = "10ms" }, queue = "200ms" },
   notes = "jitter and queue are ours",
}
