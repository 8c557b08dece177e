-- 3g: 3G (UMTS).
return {
   doc = "3G (UMTS)",
   source = "Augmented Traffic Control, profile \"3G-Average\"",
   down = { rate = "780kbit", owd = "100ms", jitter = { half = "30ms" }, queue = "500ms" },
   up = { rate = "330kbit", owd = "100ms", jitter = { half = "30ms" }, queue = "500ms" },
   notes = "jitter and queue are ours",
}
