-- slow4g: a phone on slow 4G, as web pages are judged.
return {
   doc = "a phone on slow 4G, as web pages are judged",
   source = "Lighthouse, constants mobileSlow4G (round trip 150 ms)",
   down = { rate = "1638kbit", owd = "75ms", queue = "300ms" },
   up = { rate = "750kbit", owd = "75ms", queue = "300ms" },
   notes = "the queue is ours",
}
