-- gprs: GPRS, the first mobile internet.
return {
   doc = "GPRS, the first mobile internet",
   source = "Firefox's throttling table (GPRS: 50/20 kbit/s, 500 ms); loss: comcast's \"GPRS good\"",
   down = { rate = "50kbit", owd = "250ms", jitter = { half = "50ms" }, loss = "2%", queue = "500ms" },
   up = { rate = "20kbit", owd = "250ms", jitter = { half = "50ms" }, loss = "2%", queue = "500ms" },
   notes = "jitter and queue are ours",
}
