-- Two interfaces, back to back:  vanguard run forwarder.lua IF1 IF2
local c = config.new()
config.app(c, "if1", RawSocket, { ifname = arg[1] or "eth1" })
config.app(c, "if2", RawSocket, { ifname = arg[2] or "eth2" })
config.link(c, "if1.output -> if2.input")
config.link(c, "if2.output -> if1.input")
engine.configure(c)
engine.main()
