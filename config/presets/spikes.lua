-- spikes: a good network that stops for a moment now and then.
return {
   doc = "delays that jump: one packet in 200 comes 200 ms late, and those behind wait for it",
   source = "the shape of a Wi-Fi scan or a busy hypervisor; all figures are ours",
   down = { owd = "5ms", spike = { p = "0.5%", add = "200ms" } },
   up = { owd = "5ms", spike = { p = "0.5%", add = "200ms" } },
}
