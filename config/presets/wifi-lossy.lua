-- wifi-lossy: a wireless network in a bad place.
return {
   doc = "a wireless network in a bad place",
   source = "burst lengths by state of the channel: Sensors 22(22):8592, 2022",
   down = { rate = "20mbit", owd = "5ms", jitter = { sd = "5ms", coherence = "20ms" },
            loss = { p = "2%", burst = 4.66 }, queue = "100ms" },
   up = { rate = "20mbit", owd = "5ms", jitter = { sd = "5ms", coherence = "20ms" },
          loss = { p = "2%", burst = 4.66 }, queue = "100ms" },
   notes = "all but the length of bursts is ours",
}
