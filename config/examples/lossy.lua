-- A lossy, slow network between two interfaces:
--
--     vanguard run lossy.lua IF1 IF2
--
-- Every figure is per direction: 25 ms there and 25 ms back are 50 ms of round trip.

local network = {
   owd = "25ms", jitter = "3ms",      -- one-way delay
   loss = { p = "1%", burst = 3 },    -- lost packets come in bursts of three
   rate = "20mbit", queue = "100ms",  -- a bottleneck, and the buffer in front of it
}

local c = config.new()
config.app(c, "if1", RawSocket, { ifname = arg[1] or "eth1" })
config.app(c, "if2", RawSocket, { ifname = arg[2] or "eth2" })
config.app(c, "forward", Clumsy, network)
config.app(c, "reverse", Clumsy, network)
config.chain(c, "if1", "forward", "if2")
config.chain(c, "if2", "reverse", "if1")

engine.configure(c)
engine.main()
