-- simulation: a graph on files and virtual time.
--
--   simulation.prepare(options)   before the graph: { wires = { if1 = { input =, output = } }, first =, last =,
--                                 tail = seconds, progress = flag }
--   simulation.finish(options)    after engine.main: all files are complete; figures of the run
--
-- Every RawSocket, XdpSocket and Tap of a graph that is configured is replaced: packets of its input file
-- come from it at the times of the file, and what is sent to it goes to its output file. Nothing else of
-- the graph knows. The clock starts at the first packet and moves from event to event.
local measure = require "config.measure"

local simulation = {}

local INTERFACES = { RawSocket = true, XdpSocket = true, Tap = true }

-- --- wires ----------------------------------------------------------------------------

local function interfaces_of (graph)
   local names = {}
   for _, app in ipairs(graph.apps) do
      if INTERFACES[app.class] then names[#names + 1] = app.name end
   end
   return names
end

local function linked (graph, name)
   local from, to = false, false
   for _, l in ipairs(graph.links) do
      from, to = from or l.from == name, to or l.to == name
   end
   return from, to
end

-- Which files belong to which interface: those named, or in at the first and out at the last.
local function wires_of (options, names)
   local wires, known = {}, {}
   for _, name in ipairs(names) do
      wires[name], known[name] = { }, true
   end
   for name, files in pairs(options.wires) do
      if not known[name] then
         error(('--map: the graph has no interface "%s"%s'):format(name, units.nearest(name, known)), 0)
      end
      wires[name] = files
   end
   if #names > 0 then
      wires[names[1]].input = wires[names[1]].input or options.first
      wires[names[#names]].output = wires[names[#names]].output or options.last
   end
   return wires
end

local function replace (c, name, files, graph)
   local from, to = linked(graph, name)
   local source = from and files.input and name .. "-rx"
   local sink = to and name .. "-tx"
   if source then config.app(c, source, PcapReader, { file = files.input, pace = "clock" }) end
   if sink and files.output then config.app(c, sink, PcapWriter, { file = files.output }) end
   if sink and not files.output then config.app(c, sink, Sink) end
   config.replace(c, name, source or nil, sink or nil)
end

local function substitute (c, options)
   local graph = config.graph(c)
   local names = interfaces_of(graph)
   local wires = wires_of(options, names)
   for _, name in ipairs(names) do replace(c, name, wires[name], graph) end
end

-- --- the clock ------------------------------------------------------------------------

function simulation.start_of (files)
   local start
   for _, path in ipairs(files) do
      local first = capture.first(path)
      if first and (not start or first < start) then start = first end
   end
   return start or 0
end

-- --- the end --------------------------------------------------------------------------

local function each_app (f)
   for _, name in ipairs(engine.apps()) do f(name, engine.app(name)) end
end

local function all_read ()
   local done = true
   each_app(function (_, app)
      if app.class == "PcapReader" and app.counters.finished == 0 then done = false end
   end)
   return done
end

local function all_gone ()
   for _, l in ipairs(engine.links()) do
      if not link.empty(l) then return false end
   end
   local held = 0
   each_app(function (_, app) held = held + (app.counters.held or 0) end)
   return held == 0
end

local function read_so_far ()
   local n = 0
   each_app(function (_, app) n = n + (app.class == "PcapReader" and app.counters.packets or 0) end)
   return n
end

local function next_due ()
   local due = math.huge
   each_app(function (_, app)
      if app.class == "PcapReader" and app.counters.finished == 0 then due = math.min(due, app.counters.next_due_ns / 1e9) end
   end)
   return due
end

-- Looks every 10 ms, or when something happens again.
local function watch (state, options)
   local read_at, shown, check = nil, os.time(), nil
   local function again ()
      local pause = not read_at and all_gone() and next_due() - engine.now() or 0
      state.watch = timer.after(math.max(0.01, math.min(pause, 1e8)), check)
   end
   function check ()
      if options.progress and os.time() > shown then
         shown, state.shown = os.time(), true
         io.stderr:write(("\r%d packets, %.3f s  "):format(read_so_far(), engine.now() - state.start))
      end
      if not read_at and all_read() then read_at = engine.now() end
      state.complete = read_at and all_gone()
      if state.complete or (read_at and options.tail and engine.now() - read_at >= options.tail) then
         engine.stop()
      else
         again()
      end
   end
   again()
end

local function clumsies ()
   local list = {}
   each_app(function (name, app)
      if app.class == "Clumsy" then list[#list + 1] = { name = name } end
   end)
   return list
end

local state

function simulation.prepare (options)
   local configure = engine.configure
   state = { clock = os.clock(), start = nil }
   function engine.configure (c)
      substitute(c, options)
      if not state.start then state.start = engine.now() end
      configure(c)
      if state.watch then return end
      watch(state, options)
      state.measure = measure.new(clumsies())
   end
   state.configure = configure
end

-- What the writers could not write, after they have been made to write all.
local function write_errors ()
   local lost = 0
   each_app(function (_, app)
      for name, n in pairs(app.counters) do
         if name:match("write_error$") then lost = lost + n end
      end
   end)
   return lost
end

function simulation.finish ()
   local seconds = os.clock() - state.clock
   if state.shown then io.stderr:write("\n") end
   local figures = { packets = read_so_far(), span = engine.now() - state.start, seconds = seconds,
                     complete = state.complete or false, networks = state.measure:result() }
   state.watch:cancel()
   if state.complete then engine.loop("1.1s") end
   figures.write_errors = write_errors()
   figures.apps = {}
   each_app(function (name, app) figures.apps[name] = { class = app.class, counters = app.counters } end)
   state.configure(config.new())
   return figures
end

return simulation
