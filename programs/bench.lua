-- vanguard bench: how fast the engine is here, in memory.
local program = {
   doc = "how fast the engine is here",
   args = "[basic1|chain|apps|configure|all]",
   help = "Measures in memory, through the same calls that any graph file has. Compare figures of one " ..
          "run: what else the machine does changes them all.",
   options = {
      { name = "duration", short = "d", type = "duration", arg = "TIME", default = "500ms",
        doc = "of one measurement; each is taken five times" },
      { name = "json", type = "flag", doc = "as JSON" },
   },
}

local ROUNDS = 5

local function median (t)
   table.sort(t)
   return t[(#t + 1) // 2]
end

-- Packets per second that leave the source.
local function source_rate (seconds)
   local before, start = engine.app("source").counters.packets, bench.clock()
   repeat engine.breathe(1000) until bench.clock() - start >= seconds
   return (engine.app("source").counters.packets - before) / (bench.clock() - start)
end

local function basic1 ()
   local c = config.new()
   config.app(c, "source", Source, { size = 60 })
   config.app(c, "tee", Tee)
   config.app(c, "sink", Sink)
   config.link(c, "source.tx -> tee.rx")
   config.link(c, "tee.tx1 -> sink.rx1")
   config.link(c, "tee.tx2 -> sink.rx2")
   return c
end

local function chain (n)
   local c = config.new()
   config.app(c, "source", Source, { size = 60 })
   config.app(c, "sink", Sink)
   local from = "source"
   for i = 1, n do
      local name = "app" .. i
      config.app(c, name, Join)
      config.chain(c, from, name)
      from = name
   end
   config.chain(c, from, "sink")
   return c
end

local function through (class, parameters, size)
   local c = config.new()
   config.app(c, "source", Source, { size = size })
   config.app(c, "app", class, parameters)
   config.app(c, "sink", Sink)
   config.chain(c, "source", "app", "sink")
   return c
end

local function rate_of (graph, seconds)
   engine.configure(config.new())
   engine.configure(graph)
   engine.breathe(1000)
   return source_rate(seconds)
end

local benches = {}

-- Source -> Tee -> Sink, beside a bare ring, in turn.
function benches.basic1 (seconds)
   local ours, bare = {}, {}
   for i = 1, ROUNDS do
      ours[i] = rate_of(basic1(), seconds)
      bare[i] = bench.bare_ring(seconds)
   end
   local o, b = median(ours), median(bare)
   return { mpps = o / 1e6, bare_ring_mpps = b / 1e6, ratio = o / b },
          ("basic1: Source -> Tee -> Sink, 60 bytes, copied    %7.1f Mpps\n" ..
           "        a bare ring of pointers in the same run     %7.1f Mpps; ratio %.3f"):format(o / 1e6, b / 1e6, o / b)
end

function benches.chain (seconds)
   local figures, lines = {}, {}
   for _, n in ipairs { 0, 1, 10, 50 } do
      local rates = {}
      for i = 1, ROUNDS do rates[i] = rate_of(chain(n), seconds) end
      figures[tostring(n)] = median(rates) / 1e6
      lines[#lines + 1] = ("chain: Source -> %2d x Join -> Sink                 %7.1f Mpps"):format(n, median(rates) / 1e6)
   end
   return figures, table.concat(lines, "\n")
end

-- What an app costs a packet: with it, less without.
function benches.apps (seconds)
   local cases = {
      { "Join", Join }, { "Split", Split }, { "Truncate", Truncate, { size = 1536 } },
      { "RateLimiter", RateLimiter, { rate = "1tbit", burst = "1gb" } },
      { "PacketFilter", PacketFilter, { filter = "ether proto 0x88b5" } },
      { "Clumsy, nothing set", Clumsy }, { "Clumsy, loss 1%", Clumsy, { loss = "1%" } },
      { "Clumsy, owd 100us", Clumsy, { owd = "100us" } },
   }
   local figures, lines = {}, {}
   for _, case in ipairs(cases) do
      local costs = {}
      for i = 1, ROUNDS do
         local without = rate_of(chain(0), seconds)
         costs[i] = 1e9 / rate_of(through(case[2], case[3], 60), seconds) - 1e9 / without
      end
      figures[case[1]] = median(costs)
      lines[#lines + 1] = ("app: %-45s %7.1f ns a packet"):format(case[1], median(costs))
   end
   return figures, table.concat(lines, "\n")
end

local function big_graph (n, size)
   local c = config.new()
   config.app(c, "app0", Source, { size = size })
   for i = 1, n - 2 do config.app(c, "app" .. i, Join) end
   config.app(c, "app" .. n - 1, Sink)
   for i = 1, n - 1 do config.link(c, ("app%d.output -> app%d.input"):format(i - 1, i)) end
   return c
end

function benches.configure ()
   local first, same, one = {}, {}, {}
   local function time (graph)
      local start = bench.clock()
      engine.configure(graph)
      return (bench.clock() - start) * 1e3
   end
   for i = 1, ROUNDS do
      engine.configure(config.new())
      first[i] = time(big_graph(1000, 60))
      same[i] = time(big_graph(1000, 60))
      one[i] = time(big_graph(1000, 61))
   end
   engine.configure(config.new())
   return { first_ms = median(first), unchanged_ms = median(same), one_changed_ms = median(one) },
          ("configure, 1,000 apps: first %.2f ms, unchanged %.2f ms, one app changed %.2f ms"):format(
             median(first), median(same), median(one))
end

local ORDER = { "basic1", "chain", "apps", "configure" }

function program.run (options, arguments)
   local which = arguments[1] or "all"
   if which ~= "all" and not benches[which] then
      io.stderr:write(('vanguard bench: no benchmark "%s"%s\n'):format(which, units.nearest(which, benches)))
      return 2
   end
   engine.setup {}
   engine.set_pace(true)
   local all = {}
   for _, name in ipairs(ORDER) do
      if which == "all" or which == name then
         local figures, text = benches[name](options.duration)
         all[name] = figures
         if not options.json then print(text) io.stdout:flush() end
      end
   end
   if options.json then print(json.encode(all)) end
   return 0
end

return program
