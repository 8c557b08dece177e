-- satellite-geo: a geostationary satellite.
return {
   doc = "a geostationary satellite",
   source = "Ookla, first quarter of 2025: HughesNet 683 ms and 47.8 Mbit/s, Viasat 684 ms and 49.1 Mbit/s",
   down = { rate = "48mbit", owd = "342ms", jitter = { half = "20ms" }, loss = "0.5%", queue = "500ms" },
   up = { rate = "3mbit", owd = "342ms", jitter = { half = "20ms" }, loss = "0.5%", queue = "500ms" },
   notes = "jitter, loss and queue are ours",
}
