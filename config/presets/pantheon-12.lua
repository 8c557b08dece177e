-- pantheon-12: the emulated path of the congestion-control reports.
return {
   doc = "the emulated path of the congestion-control reports",
   source = "Pantheon of Congestion Control, reports of 2020: 12 Mbit/s, 30 ms one way, 45,000 bytes of queue",
   down = { rate = "12mbit", owd = "30ms", queue = "45000B" },
   up = { owd = "30ms" },
   notes = "the way up carries acknowledgements only and is not limited",
}
