-- vanguard simulate: a capture file through a bad network, in virtual time.
local impairments = require "config.impairments"
local simulation = require "config.simulation"

local program = {
   doc = "a capture file through a bad network, in virtual time",
   args = "[IN.pcap] [ARGUMENT...]",
   help = "Sends the packets of IN.pcap (pcap or pcapng) through a network path with the impairments given, and writes " ..
          "what comes out. No privileges, no interfaces; as fast as the CPU allows; the same seed and input give " ..
          "the same bytes.\vThe clock is that of the file: a packet enters at its own time and the output has the " ..
          "times at which packets would have left, in nanoseconds.\n\n" ..
          "With --config FILE the network is that of a graph file, whose RawSocket, XdpSocket and Tap apps are replaced " ..
          "by files: --map if1=IN.pcap:OUT.pcap for each app by its name, either file may be missing; without --map IN.pcap " ..
          "enters at the first of them in the graph and OUT.pcap is what leaves at the last one. FILE sees " ..
          "the arguments behind IN.pcap (with --map all) as arg[1] ... A FILE that returns a table of Clumsy's parameters, as " ..
          "`vanguard learn` prints, is a path with them.\n\n" ..
          "To repeat what happened to live traffic, set key=content, and the same seed and name of the app (--app: " ..
          "forward and reverse in flaky, ab and ba in lab): each content then meets the same decisions.",
   options = {
      { name = "output", short = "o", type = "string", arg = "OUT.pcap", doc = "what leaves; pcapng when it ends so" },
      { name = "config", short = "c", type = "string", arg = "FILE", doc = "a graph file, or parameters" },
      { name = "map", short = "m", type = "string", arg = "IF=IN:OUT", many = true, doc = "files for an interface of the graph" },
      { name = "direction", type = "choice", choices = { "up", "down" }, arg = "WAY", default = "up",
        doc = "which way of a preset: up (from the client) or down" },
      { name = "app", type = "string", arg = "NAME", default = "forward", doc = "name of the Clumsy that impairs" },
      { name = "seed", type = "integer", arg = "N", doc = "of every random decision" },
      { name = "tail", type = "duration", arg = "TIME", doc = "end that long after the last packet came in; else when all have left" },
      { name = "decisions", type = "string", arg = "FILE", doc = "a line about what became of each packet" },
      { name = "json", type = "flag", doc = "the report as JSON" },
      { name = "quiet", short = "q", type = "flag", doc = "no progress and no report" },
   },
}

for _, row in ipairs(impairments.options) do program.options[#program.options + 1] = row end

local function usage (text)
   io.stderr:write("vanguard simulate: ", text, " (vanguard help simulate)\n")
   return 2
end

local function wires_of (o)
   local wires, files = {}, {}
   for _, text in ipairs(o.map or {}) do
      local name, input, output = text:match("^([%w_-]+)=([^:]*):?(.*)$")
      if not name or wires[name] then return nil, ('--map: "%s" is not IF=IN:OUT'):format(text) end
      wires[name] = { input = input ~= "" and input or nil, output = output ~= "" and output or nil }
      files[#files + 1] = wires[name].input
   end
   return wires, files
end

-- A file that would be emptied before it is read; nil: none.
local function overwritten (o, wires, inputs)
   local outputs = {}
   outputs[1] = o.output
   outputs[#outputs + 1] = o.decisions
   for _, files in pairs(wires) do outputs[#outputs + 1] = files.output end
   for _, input in ipairs(inputs) do
      for _, output in ipairs(outputs) do
         if capture.same(input, output) then return output end
      end
   end
end

-- One path, of parameters.
local function one_path (o, input, p)
   if o.decisions then p = impairments.merge(p, { decisions = o.decisions }) end
   local c = config.new()
   config.app(c, "in", PcapReader, { file = input, pace = "clock" })
   config.app(c, o.app, Clumsy, p)
   if o.output then config.app(c, "out", PcapWriter, { file = o.output }) else config.app(c, "out", Sink) end
   config.chain(c, "in", o.app, "out")
   engine.configure(c)
end

local function configure (o, arguments)
   if not o.config then
      local up, down = impairments.of_options(o)
      if not up then return usage(down) end
      one_path(o, arguments[1], o.direction == "down" and down or up)
      return
   end
   local script = { [0] = o.config, table.unpack(arguments, o.map and 1 or 2) }
   engine.override { no_report = true, file = o.config, arguments = script }
   local configured, parameters = engine.load_file(o.config, script)
   if configured then return end
   if type(parameters) ~= "table" then
      io.stderr:write("vanguard: ", o.config, ": neither configures a graph nor returns parameters\n")
      return 3
   end
   if o.map then return usage("--map is for a graph") end
   one_path(o, arguments[1], parameters)
end

-- --- the report -----------------------------------------------------------------------

local function drops_of (counters)
   local words, n = {}, 0
   for name, count in pairs(counters) do
      if name:match("^drop_") and count > 0 then
         words[#words + 1] = ("%s %d"):format(name, count)
         n = n + count
      end
   end
   table.sort(words)
   return n, #words > 0 and table.concat(words, ", ") or "nothing"
end

local function names_of (apps)
   local names = {}
   for name in pairs(apps) do names[#names + 1] = name end
   table.sort(names)
   return names
end

local function print_text (f)
   print(("seed %d: %d packets, %.6f s of network in %.3f s of CPU (%.0f packets/s)"):format(
      engine.seed(), f.packets, f.span, f.seconds, f.packets / math.max(f.seconds, 1e-9)))
   for _, name in ipairs(names_of(f.apps)) do
      local app = f.apps[name]
      local c = app.counters
      if app.class == "Clumsy" then
         local n, words = drops_of(c)
         print(("%s: received %d, duplicated %d, delivered %d, dropped %s, held %d"):format(
            name, c.packets, c.duplicated, c.delivered, words, c.held))
         local m = f.networks[name]
         print(("%s: lost %.4g%%, reordered %d, corrupted %d"):format(
            name, 100 * n / math.max(c.packets, 1), c.reordered, c.corrupted))
         print(("%s: delay min %.6g, median %.6g, p99 %.6g, max %.6g ms"):format(
            name, 1e3 * m.delay_min, 1e3 * m.delay_p50, 1e3 * m.delay_p99, 1e3 * m.delay_max))
      end
   end
end

local function report (o, f)
   if o.quiet then return end
   if not o.json then return print_text(f) end
   f.type, f.seed, f.pps = "simulation", engine.seed(), f.packets / math.max(f.seconds, 1e-9)
   print(json.encode(f))
end

function program.run (o, arguments)
   if o["list-presets"] then
      impairments.list_presets(io.stdout)
      return 0
   end
   local wires, files = wires_of(o)
   if not wires then return usage(files) end
   if next(wires) and not o.config then return usage("--map needs --config") end
   if not arguments[1] and not next(wires) then return usage("which capture?") end
   local input = not o.map and arguments[1] or nil
   files[#files + 1] = input
   local lost = overwritten(o, wires, files)
   if lost then return usage(lost .. " is to be read and written") end
   engine.setup { virtual_time = simulation.start_of(files), seed = o.seed }
   simulation.prepare { wires = wires, first = input, last = o.output, tail = o.tail,
                        progress = process.tty(2) and not o.quiet and not o.json }
   local code = configure(o, arguments)
   if code then return code end
   if not engine.ran() and engine.main { no_report = true } == "signal" then return 130 end
   local figures = simulation.finish()
   report(o, figures)
   if figures.write_errors > 0 then
      io.stderr:write(("vanguard simulate: %d packets could not be written\n"):format(figures.write_errors))
      return 5
   end
   return 0
end

return program
