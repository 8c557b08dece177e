-- starlink: satellites in a low orbit, a new one every 15 seconds.
local function way (rate)
   return { rate = rate, owd = "23ms", jitter = { sd = "5ms", coherence = "200ms" }, loss = { p = "0.5%", burst = 10 },
            queue = "150ms", down = { period = "15s", off = "100ms", queue = "hold" } }
end

return {
   doc = "satellites in a low orbit, a new one every 15 s",
   source = "Ookla, first quarter of 2025: 45 ms, 104.7 and 14.8 Mbit/s; reconfiguration every 15 s: WWW 2024, held 100 ms: CoNEXT 2023",
   down = way("105mbit"),
   up = way("15mbit"),
   notes = "losses, queue and the coherence of the jitter are ours",
}
