-- 2g-rural: 2G in the country, as in developing regions.
return {
   doc = "2G in the country, as in developing regions",
   source = "Augmented Traffic Control, profile \"2G-DevelopingRural\" (650 ms each way)",
   down = { rate = "20kbit", owd = "650ms", loss = "2%", queue = "1s" },
   up = { rate = "18kbit", owd = "650ms", loss = "2%", queue = "1s" },
   notes = "the queue is ours",
}
