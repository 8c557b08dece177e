-- Drops every frame of odd size on its way from IF1 to IF2:  vanguard run odd_drop.lua IF1 IF2
local OddDrop = {}
function OddDrop:push ()
   for p in link.each(self.input.input) do
      if p.length % 2 == 0 then link.transmit(self.output.output, p) else packet.free(p) end
   end
end

local c = config.new()
config.app(c, "if1", RawSocket, { ifname = arg[1] or "eth1" })
config.app(c, "odd", OddDrop)
config.app(c, "if2", RawSocket, { ifname = arg[2] or "eth2" })
config.chain(c, "if1", "odd", "if2")
config.link(c, "if2.output -> if1.input")
engine.configure(c)
engine.main()
