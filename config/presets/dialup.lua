-- dialup: a modem on a telephone line.
return {
   doc = "a modem on a telephone line",
   source = "WebPageTest's \"Dial\" profile: 49/30 kbit/s, round trip 120 ms",
   down = { rate = "49kbit", owd = "60ms" },
   up = { rate = "30kbit", owd = "60ms" },
}
