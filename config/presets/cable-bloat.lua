-- cable-bloat: a cable modem whose buffer is far too large.
return {
   doc = "a cable modem whose buffer is far too large",
   source = "Gettys and Nichols, \"Bufferbloat: Dark Buffers in the Internet\", 2011, for the effect",
   down = { rate = "10mbit", owd = "10ms", queue = "1s" },
   up = { rate = "1mbit", owd = "10ms", queue = "1s" },
   notes = "all figures are ours; watch ping while something is downloaded",
}
