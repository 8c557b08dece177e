-- vanguard inject: frames out of an interface, from a file, as bytes, or made up.
local report = require "config.json_report"
local frames = require "config.frames"

local program = {
   doc = "frames out of an interface",
   args = "IFACE",
   help = "Sends frames out of IFACE: those of a capture file (--pcap), given bytes (--hex), UDP datagrams (--udp), " ..
          "or frames of Ethernet type 0x88b5.\vWithout --pps and --rate as fast as the interface takes them, and " ..
          "without --count until the end of the file or without end. tcpdump on IFACE sees them unless they go out by " ..
          "AF_XDP or past the queueing discipline.",
   options = {
      { name = "pcap", short = "f", type = "string", arg = "FILE", doc = "pcap or pcapng file to play" },
      { name = "speed", type = "number", arg = "X", minimum = "0.000001", maximum = "1000000",
        doc = "play the file at X times its own pace" },
      { name = "loop", type = "integer", arg = "N", minimum = "0", maximum = "1000000000", doc = "play it N times; 0: without end" },
      { name = "hex", type = "string", arg = "BYTES", doc = "one frame, as \"02 00 .. 88b5 ..\"" },
      { name = "udp", type = "string", arg = "FROM-TO",
        doc = "datagrams such as 10.0.0.1:1024-10.0.0.2:53 or [2001:db8::1]:1024-[2001:db8::2]:53" },
      { name = "flows", type = "integer", arg = "N", minimum = "1", maximum = "60000",
        doc = "with --udp: N source ports, one after the other" },
      { name = "src", type = "string", arg = "MAC", default = "02:00:00:00:00:01", doc = "source address" },
      { name = "dst", type = "string", arg = "MAC", default = "02:00:00:00:00:02", doc = "destination address" },
      { name = "vlan", type = "integer", arg = "ID", minimum = "0", maximum = "4095", doc = "with a VLAN tag" },
      { name = "size", short = "s", type = "integer", arg = "BYTES", minimum = "14", maximum = "1536",
        doc = "length of made-up frames (default 60)" },
      { name = "count", short = "c", type = "integer", arg = "N", minimum = "1", maximum = "9000000000000000000",
        doc = "frames in all" },
      { name = "pps", short = "p", type = "number", arg = "N", minimum = "0.001", maximum = "1000000000", doc = "frames per second" },
      { name = "rate", type = "rate", arg = "RATE", doc = "bits per second of frames, such as 10mbit" },
      { name = "xdp", short = "x", type = "flag", doc = "by AF_XDP instead of AF_PACKET" },
      { name = "bypass", type = "flag", doc = "AF_PACKET: past the queueing discipline" },
      { name = "duration", short = "d", type = "duration", arg = "TIME", doc = "end after that time" },
      { name = "report", short = "r", type = "duration", arg = "TIME", doc = "report the load that often" },
      { name = "json", type = "flag", doc = "reports as JSON, one object a line" },
      { name = "quiet", short = "q", type = "flag", doc = "no progress and no report" },
      { name = "name", short = "n", type = "string", arg = "NAME", doc = "what top knows it by" },
   },
}

-- An app that sends each frame of a list (in hexadecimal: parameters are text) once; Repeater goes on.
local Once = { inputs = {}, outputs = { "output" } }
function Once:new (arg) return setmetatable({ list = arg, sent = 0 }, { __index = Once }) end
function Once:pull ()
   while self.sent < #self.list and not link.full(self.output.output) do
      local p = packet.from_string(frames.from_hex(self.list[self.sent + 1]))
      if not p then return end
      link.transmit(self.output.output, p)
      self.sent = self.sent + 1
   end
end

local function made_up (o)
   if o.hex then
      local frame = frames.from_hex(o.hex)
      if #frame > 1536 then error("--hex: a frame has 1536 bytes at most", 0) end
      return { frame }
   end
   local ethernet = { src = o.src, dst = o.dst, vlan = o.vlan, size = o.size or 60 }
   if not o.udp then return { frames.ethernet(ethernet) } end
   local list = {}
   for i = 0, (o.flows or 1) - 1 do list[#list + 1] = frames.udp(o.udp, ethernet, i) end
   return list
end

local function source (c, o, list)
   if o.pcap then
      config.app(c, "source", PcapReader, { file = o.pcap, pace = o.speed and "timestamps" or nil, speed = o.speed, loop = o.loop })
      return
   end
   for i, frame in ipairs(list) do list[i] = frames.to_hex(frame) end
   config.app(c, "frames", Once, list)
   config.app(c, "source", Repeater, { limit = #list })
   config.chain(c, "frames", "source")
end

local function wrong_options (o)
   local kinds = (o.pcap and 1 or 0) + (o.hex and 1 or 0) + (o.udp and 1 or 0)
   if kinds > 1 then return "--pcap, --hex and --udp exclude each other" end
   if (o.speed or o.loop) and not o.pcap then return (o.speed and "--speed" or "--loop") .. " needs --pcap" end
   if o.flows and not o.udp then return "--flows needs --udp" end
   if o.xdp and o.bypass then return "--bypass is for AF_PACKET, without --xdp" end
end

-- All was sent: nothing more comes, and nothing waits.
local function finished (o)
   local counted = engine.app("pacer").counters.finished == 1
   if not counted and not (o.pcap and engine.app("source").counters.finished == 1) then return false end
   local waits = {}
   for _, l in ipairs(engine.links()) do waits[tostring(l)] = not link.empty(l) end
   return not waits["pacer.output -> wire.input"] and (counted or not waits["source.output -> pacer.input"]) and
          (engine.app("wire").counters.sending or 0) == 0
end

local function progress ()
   local sent, last = 0, engine.now()
   return function ()
      local n, now = engine.app("wire").counters.tx_packets, engine.now()
      io.stderr:write(("\r%d sent, %.0f/s  "):format(n, (n - sent) / math.max(now - last, 1e-9)))
      sent, last = n, now
   end
end

function program.run (o, arguments)
   local wrong = #arguments ~= 1 and "which interface?" or wrong_options(o)
   local good, list = pcall(made_up, o)
   if wrong or not good then
      io.stderr:write("vanguard inject: ", wrong or list, " (vanguard help inject)\n")
      return 2
   end
   engine.setup { name = o.name or "inject", any_name = not o.name }
   local c = config.new()
   source(c, o, list)
   config.app(c, "pacer", Pacer, { pps = o.pps, rate = o.rate, count = o.count })
   if o.xdp then
      config.app(c, "wire", XdpSocket, { ifname = arguments[1], mode = "tx" })
   else
      config.app(c, "wire", RawSocket, { ifname = arguments[1], qdisc_bypass = o.bypass })
   end
   config.chain(c, "source", "pacer", "wire")
   engine.configure(c)
   local live = process.tty(2) and not o.quiet and not o.json
   if live then timer.every("1s", progress()) end
   local start = engine.now()
   engine.main {
      duration = o.duration, interval = o.report, done = function () return finished(o) end,
      each = o.json and report.load or nil, no_report = true,
   }
   if live then io.stderr:write("\n") end
   local counters, seconds = engine.app("wire").counters, engine.now() - start
   if o.json then
      report.final()
   elseif not o.quiet then
      print(("%d frames, %d bytes sent in %.3f s: %.0f/s"):format(counters.tx_packets, counters.tx_bytes, seconds,
            counters.tx_packets / math.max(seconds, 1e-9)))
   end
   local refused = 0
   for name, n in pairs(counters) do
      if name:match("^drop_tx") or name == "drop_link_down" then refused = refused + n end
   end
   if refused > 0 then
      io.stderr:write(("vanguard inject: %d frames could not be sent\n"):format(refused))
      return 1
   end
   return 0
end

return program
