-- scenario: a test's network in time, and what is expected of it.
--
--   scenario.load(path) -> scenario        reads and checks a file; raises what is wrong with it
--   scenario.begin(scenario, run)          the timeline starts now
--   scenario.changes_of(action)            what an action changes, as { ["ab.loss"] = value }
--
-- A file is Lua with these words:
--
--   hosts { "a", "b" }                         who is there (a and b)
--   network { preset = "3g", owd = "20ms", ab = { loss = "1%" }, ba = { ... } }
--                                              also cross = "udp 5mbit", nat = { a = { rebind_at = "10s" } }
--   at "5s" { ab = { loss = "5%" } }           from then on
--   at "5s" (function () ... end)              anything else
--   every "10s" { ... }                        again and again
--   ramp "20s" { ab = { rate = { "10mbit", "1mbit" } }, over = "5s" }
--   flap "30s" { "ab", down = "1s", up = "4s", count = 3 }
--   partition "40s" { "a>b" }                  with two hosts or more
--   heal "45s" {}                              no partition and nothing down any more
--   expect { loss = within "2%", ab = { delay_p99 = "< 60ms" } }        config/expect.lua
--
-- Times count from the start of COMMAND. What is set stays until something else is set: the
-- timeline is cumulative, and a parameter that is not named stays as it is. Everything is checked
-- when the file is read, by Clumsy's own rules.
local impairments = require "config.impairments"
local quantity = require "config.quantity"

local scenario = {}

local RAMP_STEPS = 50

local function fail (format, ...) error({ kind = 3, text = format:format(...) }, 0) end

-- --- what a file says -------------------------------------------------------------------

local function time_of (text)
   local ok, seconds = pcall(units.duration, text)
   if not ok then fail('"%s" is not a time (such as "5s")', tostring(text)) end
   return seconds
end

-- at "5s" { ... }: a function of the time that returns one of the action.
local function verb (list, kind, make)
   return function (time)
      local seconds = time_of(time)
      return function (action)
         local where = debug.getinfo(2, "Sl")
         list[#list + 1] = { kind = kind, time = seconds, line = where.currentline, order = #list,
                             steps = make(action or {}, seconds) }
      end
   end
end

-- { ab = { loss = "5%" } } as paths; a direction that is not named is meant both ways.
function scenario.changes_of (action, directions)
   local paths = {}
   local function add (direction, parameters)
      for name, value in pairs(parameters) do paths[direction .. "." .. name] = value end
   end
   local both = {}
   for name, value in pairs(action) do
      if directions[name] then
         add(name, value)
      else
         both[name] = value
      end
   end
   for direction in pairs(directions) do
      for name, value in pairs(both) do
         paths[direction .. "." .. name] = paths[direction .. "." .. name] or value
      end
   end
   return paths
end

local function directions_of (hosts)
   local set = {}
   if #hosts == 2 then return { ab = true, ba = true } end
   for _, host in ipairs(hosts) do set[host .. "_up"], set[host .. "_down"] = true, true end
   return set
end

-- --- actions as steps: { time =, changes = } or { time =, call = } ------------------------

local function change_steps (s)
   return function (action, time)
      if type(action) == "function" then return { { time = time, call = action } } end
      if type(action) ~= "table" then fail("a table of changes or a function is expected") end
      return { { time = time, changes = scenario.changes_of(action, s.directions) } }
   end
end

-- Each leaf { from, to } of a ramp, as a function of the part that is over.
local function leaf (from, to)
   local a, b = quantity.parse(from), quantity.parse(to)
   if not a or not b then fail("a ramp goes from one quantity to another: { \"10mbit\", \"1mbit\" }") end
   return function (part) return a + (b - a) * part end
end

local function ramp_steps (s)
   return function (action, time)
      local over, count = time_of(action.over or "1s"), action.steps or RAMP_STEPS
      local plain = {}
      for name, value in pairs(action) do
         if name ~= "over" and name ~= "steps" then plain[name] = value end
      end
      local leaves = {}
      for path, value in pairs(scenario.changes_of(plain, s.directions)) do
         if type(value) ~= "table" or #value ~= 2 then fail("ramp: %s = { from, to }", path) end
         leaves[path] = leaf(value[1], value[2])
      end
      local steps = {}
      for i = 0, count do
         local changes = {}
         for path, value in pairs(leaves) do changes[path] = value(i / count) end
         steps[#steps + 1] = { time = time + over * i / count, changes = changes }
      end
      return steps
   end
end

local function down_changes (names, now)
   local changes = {}
   for _, name in ipairs(names) do changes[name .. ".down.now"] = now end
   return changes
end

local function names_of (s, list)
   local names = {}
   for _, name in ipairs(list) do
      if not s.directions[name] then fail('no direction "%s"%s', tostring(name), units.nearest(tostring(name), s.directions)) end
      names[#names + 1] = name
   end
   if #names == 0 then
      for name in pairs(s.directions) do names[#names + 1] = name end
   end
   return names
end

local function flap_steps (s)
   return function (action, time)
      local down, up = time_of(action.down or "1s"), time_of(action.up or "1s")
      local names, steps = names_of(s, action), {}
      for i = 0, (action.count or 1) - 1 do
         local from = time + i * (down + up)
         steps[#steps + 1] = { time = from, changes = down_changes(names, true) }
         steps[#steps + 1] = { time = from + down, changes = down_changes(names, false) }
      end
      return steps
   end
end

-- Directed edges: "a>b", or { "a", "b" } for both ways. Between two hosts the path is down; around a
-- switch the switch drops.
local function edges_of (s, action)
   local known, edges = {}, {}
   for _, host in ipairs(s.hosts) do known[host] = true end
   for _, edge in ipairs(action) do
      local words = type(edge) == "table" and { edge[1] .. ">" .. edge[2], edge[2] .. ">" .. edge[1] } or { edge }
      for _, word in ipairs(words) do
         local from, to = tostring(word):match("^([%w-*]+)>([%w-*]+)$")
         if not from or not (known[from] or from == "*") or not (known[to] or to == "*") then
            fail('partition: "%s" is not HOST>HOST', tostring(word))
         end
         edges[#edges + 1] = { from, to }
      end
   end
   if #edges == 0 then fail("partition: which directions? { \"a>b\" }") end
   return edges
end

local function matches (pattern, host) return pattern == "*" or pattern == host end

local function partition_steps (s)
   return function (action, time)
      local edges = edges_of(s, action)
      if #s.hosts > 2 then
         local words = {}
         for i, edge in ipairs(edges) do words[i] = edge[1] .. ">" .. edge[2] end
         return { { time = time, changes = { ["switch.partition"] = table.concat(words, ",") } } }
      end
      local changes, a, b = {}, s.hosts[1], s.hosts[2]
      for _, edge in ipairs(edges) do
         if matches(edge[1], a) and matches(edge[2], b) then changes["ab.down.now"] = true end
         if matches(edge[1], b) and matches(edge[2], a) then changes["ba.down.now"] = true end
      end
      return { { time = time, changes = changes } }
   end
end

local function heal_steps (s)
   return function (_, time)
      local names = #s.hosts > 2 and s.directions or { ab = true, ba = true }
      local changes = {}
      for name in pairs(names) do changes[name .. ".down.now"] = false end
      if #s.hosts > 2 then changes["switch.partition"] = "" end
      return { { time = time, changes = changes } }
   end
end

-- --- reading a file -----------------------------------------------------------------------

local function words_of (s)
   local expect = require "config.expect"
   local words = setmetatable({ within = expect.within }, { __index = _G })
   function words.hosts (list)
      if #s.timeline > 0 then fail("hosts comes before what happens to them") end
      s.hosts, s.directions = list, directions_of(list)
   end
   function words.network (table) s.network = table end
   function words.expect (table)
      for name, value in pairs(table) do s.expectations[name] = value end
   end
   words.at = verb(s.timeline, "at", change_steps(s))
   words.ramp = verb(s.timeline, "ramp", ramp_steps(s))
   words.flap = verb(s.timeline, "flap", flap_steps(s))
   words.partition = verb(s.timeline, "partition", partition_steps(s))
   words.heal = verb(s.timeline, "heal", heal_steps(s))
   words.every = verb(s.periodic, "every", change_steps(s))
   return words
end

-- Would Clumsy take it? In a graph of its own, which is never configured.
local function check_changes (s, changes, line)
   for path, value in pairs(changes) do
      local direction, parameter = path:match("^([^.]+)%.(.+)$")
      if direction ~= "switch" then
         if not s.directions[direction] then
            fail('%s:%d: no direction "%s"%s', s.path, line, direction, units.nearest(direction, s.directions))
         end
         local p = impairments.assign(impairments.merge({ rate = "1gbit" }, {}), parameter, value)
         local ok, problem = pcall(config.app, config.new(), direction, Clumsy, p)
         if not ok then
            local text = type(problem) == "table" and problem.text or tostring(problem)
            fail("%s:%d: %s", s.path, line, text:gsub("^.-: app ", "app "))
         end
      end
   end
end

local function check (s)
   for _, list in ipairs { s.timeline, s.periodic } do
      for _, entry in ipairs(list) do
         for _, step in ipairs(entry.steps) do
            if step.changes then check_changes(s, step.changes, entry.line) end
         end
      end
   end
   require("config.expect").check(s.expectations, s.directions, s.path)
end

function scenario.load (path)
   local s = { path = path, hosts = { "a", "b" }, directions = { ab = true, ba = true }, network = {}, timeline = {},
               periodic = {}, expectations = {} }
   local chunk, problem = loadfile(path, "t", words_of(s))
   if not chunk then fail("%s", problem) end
   local ok, failure = xpcall(chunk, function (e)
      if type(e) == "table" and e.text and not e.text:find(path, 1, true) then
         for level = 2, 20 do
            local info = debug.getinfo(level, "Sl")
            if info and info.source == "@" .. path then
               return { kind = e.kind, text = ("%s:%d: %s"):format(path, info.currentline, e.text) }
            end
         end
      end
      return e
   end)
   if not ok then
      if type(failure) == "table" then error(failure, 0) end
      fail("%s", tostring(failure))
   end
   check(s)
   return s
end

-- --- running --------------------------------------------------------------------------------

local function describe (changes)
   local words = {}
   for _, c in ipairs(changes) do words[#words + 1] = ("%s %s -> %s"):format(c.path, c.before, c.after) end
   table.sort(words)
   return table.concat(words, ", ")
end

-- A rate alone changes nothing else of its bottleneck: neither who shares it nor what a packet weighs.
local function exactly (changes)
   local all = {}
   for path, value in pairs(changes) do
      local whole = path:match("^[^.]+%.rate$") and type(value) ~= "table"
      all[whole and path .. ".rate" or path] = value
   end
   return all
end

-- run.event(kind, facts) is told what happens.
local function take (s, run, entry, step)
   if step.call then
      run.event(entry.kind, { line = entry.line, text = "function" })
      step.call(run)
      return
   end
   local changes = engine.set(exactly(step.changes))
   table.sort(changes, function (a, b) return a.path < b.path end)
   run.event(entry.kind, { line = entry.line, text = describe(changes), changes = changes })
end

function scenario.begin (s, run)
   for _, entry in ipairs(s.timeline) do
      for _, step in ipairs(entry.steps) do
         timer.after(step.time, function () take(s, run, entry, step) end)
      end
   end
   for _, entry in ipairs(s.periodic) do
      timer.every(entry.time, function () take(s, run, entry, entry.steps[1]) end)
   end
end

return scenario
