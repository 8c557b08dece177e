-- dsl: a telephone line with DSL.
return {
   doc = "a telephone line with DSL",
   source = "sitespeed.io throttle, profile \"dsl\" (1500/384 kbit/s); WebPageTest's round trip of 50 ms",
   down = { rate = "1500kbit", owd = "25ms", queue = "200ms" },
   up = { rate = "384kbit", owd = "25ms", queue = "200ms" },
   notes = "the queue is ours",
}
