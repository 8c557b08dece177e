-- fiber: fibre to the home, the slow kind.
return {
   doc = "fibre to the home, the slow kind",
   source = "WebPageTest's \"FIOS\" profile: 20/5 Mbit/s, round trip 4 ms",
   down = { rate = "20mbit", owd = "2ms" },
   up = { rate = "5mbit", owd = "2ms" },
}
