-- edge: EDGE (2.75G).
return {
   doc = "EDGE (2.75G)",
   source = "Augmented Traffic Control, profile \"Edge-Average\"",
   down = { rate = "240kbit", owd = "400ms", queue = "1s" },
   up = { rate = "200kbit", owd = "440ms", queue = "1s" },
   notes = "the queue is ours",
}
