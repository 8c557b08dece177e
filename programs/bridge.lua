-- vanguard bridge: two interfaces as if they were one wire.
local report = require "config.json_report"

local program = {
   doc = "two interfaces as one wire",
   args = "IF1 IF2",
   help = "Passes every frame between IF1 and IF2, both ways, as it is: tags, broadcasts, unknown types, " ..
          "super-frames.\vThe interfaces need no address. AF_PACKET (the default) works everywhere and carries " ..
          "super-frames whole; AF_XDP takes the frames before the kernel sees them, which must then be of the " ..
          "size of the MTU.",
   options = {
      { name = "xdp", short = "x", type = "flag", doc = "by AF_XDP instead of AF_PACKET" },
      { name = "attach", type = "choice", choices = { "auto", "native", "generic" }, arg = "MODE",
        doc = "AF_XDP: where the program runs" },
      { name = "match", short = "m", type = "string", arg = "TRAFFIC",
        doc = "AF_XDP: only such frames, as \"udp port 53\"; the rest stays with the kernel" },
      { name = "offload", type = "choice", choices = { "gso", "csum", "split", "off" }, arg = "MODE",
        doc = "AF_PACKET: gso (the default) passes super-frames whole" },
      { name = "capture", short = "w", type = "string", arg = "FILE", doc = "write all frames to a capture file" },
      { name = "duration", short = "d", type = "duration", arg = "TIME", doc = "end after that time" },
      { name = "report", short = "r", type = "duration", arg = "TIME", doc = "report the load that often" },
      { name = "json", type = "flag", doc = "reports as JSON, one object a line" },
      { name = "name", short = "n", type = "string", arg = "NAME", doc = "what top knows it by" },
      { name = "busy", type = "flag", doc = "never sleep: for a core that is really ours" },
   },
}

local function socket (c, name, ifname, o)
   if o.xdp then
      config.app(c, name, XdpSocket, { ifname = ifname, promisc = true, attach = o.attach, match = o.match })
   else
      config.app(c, name, RawSocket, { ifname = ifname, promisc = true, offload = o.offload or "gso" })
   end
end

-- Both ways into one file.
local function capture (c, file)
   config.app(c, "both", Join)
   config.app(c, "capture", PcapWriter, { file = file })
   for _, way in ipairs { { "if1", "if2" }, { "if2", "if1" } } do
      local tee = "tee_" .. way[1]
      config.app(c, tee, Tee)
      config.chain(c, way[1], tee)
      config.link(c, tee .. ".out -> " .. way[2])
      config.link(c, tee .. ".copy -> both." .. way[1])
   end
   config.chain(c, "both", "capture")
end

local function wrong_options (o)
   if o.xdp and o.offload then return "--offload is for AF_PACKET, without --xdp" end
   if not o.xdp and (o.match or o.attach) then return (o.match and "--match" or "--attach") .. " needs --xdp" end
end

function program.run (o, arguments)
   local if1, if2 = arguments[1], arguments[2]
   local wrong = #arguments ~= 2 and "which two interfaces?" or wrong_options(o)
   if wrong then
      io.stderr:write("vanguard bridge: ", wrong, " (vanguard help bridge)\n")
      return 2
   end
   engine.setup { name = o.name or "bridge", any_name = not o.name }
   local c = config.new()
   socket(c, "if1", if1, o)
   socket(c, "if2", if2, o)
   if o.capture then
      capture(c, o.capture)
   else
      config.chain(c, "if1", "if2")
      config.chain(c, "if2", "if1")
   end
   engine.configure(c)
   engine.main {
      duration = o.duration, busy = o.busy, interval = o.report,
      each = o.json and report.load or nil, report = o.json and report.final or nil,
   }
   return 0
end

return program
