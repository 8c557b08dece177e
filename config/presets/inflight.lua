-- inflight: the internet in an aeroplane.
return {
   doc = "the internet in an aeroplane",
   source = "a study of in-flight internet, WWW 2018: median loss 7%; round trip 750 ms",
   down = { owd = "375ms", loss = "7%" },
   up = { owd = "375ms", loss = "7%" },
}
