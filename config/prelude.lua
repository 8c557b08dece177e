-- prelude: the part of the graph language that is written in Lua.
--
--   engine.main{ duration =, busy =, hz =, no_report =, report =, done =, reload = }
--   engine.report{ showload =, showlinks =, showapps = }
--   globals are strict: a misspelt name is an error where it is read
--
-- Returns what the C side needs: check_arguments(class, arguments).

local function nearest_key (t, word)
   return units.nearest(word, t)
end

-- --- strict globals -------------------------------------------------------------------

local globals = {}

function globals.__index (_, name)
   error(('no such name "%s"%s'):format(tostring(name), nearest_key(_G, tostring(name))), 2)
end

-- A main chunk and C may make globals; a function that assigns one has forgotten "local".
function globals.__newindex (t, name, value)
   local what = debug.getinfo(2, "S").what
   if what ~= "main" and what ~= "C" then
      error(('assignment to "%s", which is no variable (local?)'):format(tostring(name)), 2)
   end
   rawset(t, name, value)
end

rawset(_G, "arg", {})

-- --- engine.main -----------------------------------------------------------------------

-- What the program that runs the file has to say goes before what the file says.
local overrides = {}

function engine.override (options) overrides = options end

local OPTIONS = { duration = true, busy = true, hz = true, no_report = true, report = true,
                  done = true, interval = true, each = true, reload = true }

local function options_of (options)
   local all = {}
   for name, value in pairs(options or {}) do
      if not OPTIONS[name] then
         error(('engine.main: no option "%s"%s'):format(tostring(name),
                                                         nearest_key(OPTIONS, tostring(name))), 3)
      end
      all[name] = value
   end
   for name, value in pairs(overrides) do all[name] = value end
   return all
end

function engine.report (what)
   what = what or { showlinks = true, showapps = true }
   if what.showload then engine.report_load() end
   if what.showlinks then engine.report_links() end
   if what.showapps then engine.report_apps() end
end

local function reload ()
   local ok, problem = pcall(engine.load_file, overrides.file, overrides.arguments)
   if not ok then io.stderr:write("vanguard: reload: ", tostring(problem), "\n") end
end

local running = false

-- What main does on the side. Reading the file again cancels the file's timers, these too.
local function start_timers (options)
   local timers = {}
   if options.interval then
      timers[1] = timer.every(options.interval, options.each or engine.report_load)
   end
   if options.done then
      timers[#timers + 1] = timer.every("1ms", function ()
         if options.done() then engine.stop() end
      end)
   end
   return timers
end

-- Runs until the duration is over, a signal, engine.stop(), or done() says so. While a file is read
-- again, or only checked, or runs inside another program that drives the engine, it returns at once.
function engine.main (options)
   if running or engine.checking() or engine.hosted() then return end
   options = options_of(options)
   engine.set_pace(options.busy, options.hz)
   running = true
   engine.mark_load()
   local finish = options.duration and engine.now() + units.duration(options.duration)
   local why, number
   repeat
      local timers = start_timers(options)
      why, number = engine.loop(finish and math.max(0, finish - engine.now()))
      for _, t in ipairs(timers) do t:cancel() end
      if why == "reload" and options.reload then options.reload()
      elseif why == "reload" and overrides.file then reload() end
   until why ~= "reload"
   running = false
   if options.report then
      options.report()
   elseif not options.no_report then
      engine.report()
   end
   return why, number
end

-- --- arguments of apps written in Lua ----------------------------------------------------

local prelude = {}

-- class.config = { size = { required = true }, seed = { default = 42 } }, as in Snabb.
function prelude.check_arguments (class, arguments)
   local schema = class.config
   if type(schema) ~= "table" then return arguments end
   local checked = {}
   if arguments ~= nil and type(arguments) ~= "table" then
      error("parameters are given by name", 0)
   end
   for name, value in pairs(arguments or {}) do
      if schema[name] == nil then
         error(('no parameter "%s"%s'):format(tostring(name), nearest_key(schema, tostring(name))), 3)
      end
      checked[name] = value
   end
   for name, row in pairs(schema) do
      if checked[name] == nil then
         if row.required then error(("%s is required"):format(name), 3) end
         checked[name] = row.default
      end
   end
   return checked
end

setmetatable(_G, globals)

return prelude
