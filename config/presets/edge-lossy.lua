-- edge-lossy: EDGE (2.75G) that loses packets.
return {
   doc = "EDGE (2.75G) that loses packets",
   source = "Augmented Traffic Control, profile \"Edge-Lossy\"",
   down = { rate = "240kbit", owd = "400ms", loss = "1%", queue = "1s" },
   up = { rate = "200kbit", owd = "440ms", loss = "1%", queue = "1s" },
   notes = "the queue is ours",
}
