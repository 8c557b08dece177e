-- vanguard sentinel: keeps hosts behind interfaces alive under flood.
local budget = require "config.sentinel_budget"
local health = require "config.sentinel_health"
local parameter_file = require "config.parameter_file"
local status = require "config.sentinel_status"
local verbs = require "config.sentinel_verbs"
local view = require "config.sentinel_view"

local program = {
   doc = "keeps a host alive under flood",
   args = "IFACE...\nban PREFIX [--ttl TIME] [--force]\nunban|allow|disallow PREFIX\nlist [--kind KIND]\nwhy ADDRESS\n" ..
          "top [N]\nflush\nreload\nstatus\nbudget --speed 2.5G --clock 1.2GHz",
   help = "Counts, limits and blocks the sources that come by IFACE, in front of the kernel (XDP), until it is ended. On a " ..
          "terminal it shows what happens (q quits, t shows other top lists), otherwise it prints JSON, one object a line: every event, and a " ..
          "status now and then. The other forms talk to the one that runs.\v" ..
          "Begin with a dry run, which counts and tells what it would do:\n\n" ..
          "  vanguard sentinel eth0 --dry-run\n" ..
          "  vanguard sentinel eth0 --allow 192.0.2.0/24 --src-syn 2000 --ttl 5min\n" ..
          "  vanguard sentinel ban 203.0.113.7 --ttl 1h\n" ..
          "  vanguard sentinel why 203.0.113.7\n" ..
          "  vanguard sentinel top --by port --verdict dropped\n" ..
          "  vanguard ctl sentinel set eth0.src_udp=20000\n\n" ..
          "A limit of 0 is none. All parameters: vanguard apps FlowSentinel; a file that returns a table of them is for " ..
          "--config, one of them for --set; options outweigh the file.",
   options = {
      { name = "config", short = "c", type = "string", arg = "FILE.lua", doc = "parameters: a file that returns a table of them" },
      { name = "set", type = "string", arg = "NAME=VALUE", many = true, doc = "any other parameter, as src_syn.burst=100" },
      { name = "dry-run", type = "flag", doc = "count and tell, drop nothing" },
      { name = "attach", type = "choice", choices = { "auto", "native", "generic" }, arg = "MODE", doc = "where the program runs" },
      { name = "allow", type = "string", arg = "PREFIX", many = true, doc = "never block or limit it; also many" },
      { name = "block", type = "string", arg = "PREFIX", many = true, doc = "drop it; also many" },
      { name = "allow-file", type = "string", arg = "FILE", doc = "more of them, one a line" },
      { name = "block-file", type = "string", arg = "FILE", doc = "the same" },
      { name = "src-syn", type = "integer", minimum = "0", maximum = "100000000", arg = "PPS", doc = "SYNs a second of a source" },
      { name = "src-udp", type = "integer", minimum = "0", maximum = "100000000", arg = "PPS", doc = "UDP packets" },
      { name = "src-icmp", type = "integer", minimum = "0", maximum = "100000000", arg = "PPS", doc = "ICMP packets" },
      { name = "src-pps", type = "integer", minimum = "0", maximum = "100000000", arg = "PPS", doc = "packets of all kinds" },
      { name = "src-bps", type = "rate", arg = "RATE", doc = "bits a second" },
      { name = "ttl", type = "duration", arg = "TIME", doc = "how long a source is blocked; ban: how long" },
      { name = "pin", type = "flag", doc = "the program outlives this process, and the next one takes it over" },
      { name = "fail-mode", type = "choice", choices = { "autonomous", "open", "closed" }, arg = "MODE",
        doc = "what a pinned program does when nobody looks after it" },
      { name = "snapshot", type = "string", arg = "FILE",
        doc = "keep blocks and bans in it (/var/lib/vanguard/IFACE.sentinel); none: they end with us" },
      { name = "sample", type = "integer", minimum = "0", maximum = "16777216", arg = "N", doc = "one frame in N is looked at for the top lists; 0: none" },
      { name = "json", type = "flag", doc = "JSON on a terminal too; of the other forms: the answer as JSON" },
      { name = "interval", short = "i", type = "duration", arg = "TIME", doc = "between two looks (1s), two status lines (10s)" },
      { name = "duration", short = "d", type = "duration", arg = "TIME", doc = "end after that time" },
      { name = "report", short = "r", type = "flag", doc = "at the end: what happened" },
      { name = "name", short = "n", type = "string", arg = "NAME", doc = "what the others know it by (sentinel)" },
      { name = "force", type = "flag", doc = "ban: though it is allowed, or very short a prefix" },
      { name = "kind", type = "choice", choices = { "own", "allowed", "banned", "blocked" }, arg = "KIND", doc = "list: only those" },
      { name = "by", type = "choice", choices = { "source", "destination", "port", "flow" }, arg = "WHAT", doc = "top: the heaviest of these (source)" },
      { name = "measure", type = "choice", choices = { "bytes", "packets" }, arg = "WHAT", doc = "top: by these (bytes)" },
      { name = "verdict", type = "choice", choices = { "all", "passed", "dropped" }, arg = "WHAT", doc = "top: of what became of them (all)" },
      { name = "speed", type = "string", arg = "RATE", default = "1G", doc = "budget: of the line" },
      { name = "clock", type = "string", arg = "HZ", default = "2.6GHz", doc = "budget: of a core" },
      { name = "cores", type = "integer", minimum = "1", maximum = "1024", arg = "N", doc = "budget: that share the work (1)" },
      { name = "frame", type = "integer", minimum = "64", maximum = "9018", arg = "BYTES", doc = "budget: of this size, checksum included" },
      { name = "blocked-ns", type = "number", minimum = "0", arg = "NS", doc = "budget: what a blocked packet takes ..." },
      { name = "full-ns", type = "number", minimum = "0", arg = "NS", doc = "budget: ... and one that passes ..." },
      { name = "measured-at", type = "string", arg = "HZ", default = "2.45GHz", doc = "budget: ... at this clock" },
   },
}

local function fail (code, text)
   io.stderr:write("vanguard sentinel: ", text, code == 2 and " (vanguard help sentinel)\n" or "\n")
   return code
end

-- --- parameters ------------------------------------------------------------------------------

local AS_GIVEN = { "attach", "allow", "block", "ttl", "pin", "sample", "dry-run", "fail-mode", "allow-file", "block-file", "snapshot" }

-- The first rows of tables, beside which a file may say more.
local LIMITS = { src_syn = "pps", src_udp = "pps", src_icmp = "pps", src_pps = "pps", src_bps = "rate" }

local function in_place (o, problem)
   if o.config and type(problem) == "table" and problem.text and tostring(problem):match("%(FlowSentinel%)") then
      problem.text = parameter_file.place(o.config, problem.text) .. problem.text
   end
   return problem
end

-- parameters.src_syn.burst, when the path is "src_syn.burst".
local function set_one (parameters, path, value)
   local name, row = path:match("^([%w_]+)%.([%w_]+)$")
   if not name then
      parameters[path] = value
      return
   end
   if type(parameters[name]) ~= "table" then
      parameters[name] = parameters[name] ~= nil and { [LIMITS[name] or "pps"] = parameters[name] } or {}
   end
   parameters[name][row] = value
end

-- nil, what is wrong, exit code
local function parameters_of (o)
   local parameters, problem = {}, nil
   if o.config then
      parameters, problem = parameter_file.read(o.config)
      if not parameters then return nil, problem, 3 end
   end
   for _, name in ipairs(AS_GIVEN) do
      if o[name] ~= nil then parameters[(name:gsub("-", "_"))] = o[name] end
   end
   for name, row in pairs(LIMITS) do
      local given = o[(name:gsub("_", "-"))]
      if given then set_one(parameters, name .. "." .. row, given) end
   end
   for _, text in ipairs(o.set or {}) do
      local path, value = text:match("^([%w_.]+)=(.*)$")
      if not path then return nil, ("--set %s: NAME=VALUE"):format(text), 2 end
      set_one(parameters, path, value)
   end
   if parameters.snapshot == nil then parameters.snapshot = "auto" end
   if parameters.snapshot == "none" then parameters.snapshot = nil end
   return parameters
end

-- --- a program that watches ------------------------------------------------------------------

local guards   -- { app =, interface =, look =, health =, list = } of each interface
local total = 0 -- events so far

-- Paths of parameters (vanguard ctl) have dots between their words; what that makes the same gets a number.
local function app_names (ifnames)
   local names, taken = {}, {}
   for i, ifname in ipairs(ifnames) do
      local plain, number = ifname:gsub("[^%w_-]", "_"), 1
      local name = plain
      while taken[name] do
         number = number + 1
         name = ("%s-%d"):format(plain, number)
      end
      names[i], taken[name] = name, true
   end
   return names
end

-- Each interface has a file of its own: attack.eth1.pcapng.
local function own_file (path, ifname)
   local stem, extension = path:match("^(.*[^/])(%.[^./]+)$")
   return ("%s.%s%s"):format(stem or path, ifname, extension or "")
end

local function copy (parameters, ifname, alone)
   local all = { ifname = ifname }
   for name, value in pairs(parameters) do all[name] = value end
   for _, name in ipairs { "snapshot", "capture" } do
      if all[name] and all[name] ~= "auto" and not alone then all[name] = own_file(all[name], ifname) end
   end
   return all
end

local function configure (ifnames, parameters)
   local c, names = config.new(), app_names(ifnames)
   for i, ifname in ipairs(ifnames) do
      config.app(c, names[i], FlowSentinel, copy(parameters, ifname, #ifnames == 1))
   end
   engine.configure(c)
   return names
end

local function start (ifnames, parameters, o)
   engine.setup { name = o.name or "sentinel", any_name = not o.name }
   local names = configure(ifnames, parameters)
   guards = {}
   for i, ifname in ipairs(ifnames) do
      guards[i] = { app = names[i], interface = ifname, health = health.new(ifname) }
   end
end

-- What SIGHUP does: the policy's file and the lists' again. Errors are the caller's.
local function reload (ifnames, o)
   local parameters, problem = parameters_of(o)
   if not parameters then error(problem, 0) end
   local good
   good, problem = pcall(configure, ifnames, parameters)
   if not good then error(in_place(o, problem), 0) end
   for _, g in ipairs(guards) do engine.call(g.app, "reload") end
end

-- Since the look `base`.
local function look_at (g, base)
   g.health:before()
   local look = status.look(g.app, base)
   look.health = g.health:check(look, function (name) return engine.get(g.app .. "." .. name) end)
   look.level = health.worst(look.health)
   return look
end

local function look_at_all ()
   for _, g in ipairs(guards) do g.look = look_at(g, g.look) end
end

local function news_of_all (each)
   for _, g in ipairs(guards) do
      for _, event in ipairs(engine.call(g.app, "news")) do
         event.interface = g.interface
         total = total + 1
         each(event)
      end
   end
end

local function looks ()
   local list = {}
   for i, g in ipairs(guards) do list[i] = g.look end
   return list
end

-- Whenever somebody asks, the rates are those of the last second or two.
local function keep_for_others ()
   for _, g in ipairs(guards) do g.older, g.newer = g.newer, status.look(g.app) end
end

function control.commands.status ()
   local list = {}
   for i, g in ipairs(guards) do list[i] = look_at(g, g.older) end
   return { events = total, interfaces = list }
end

local function rows_of_all (operation, args)
   local rows = {}
   for _, g in ipairs(guards) do
      for _, row in ipairs(engine.call(g.app, operation, args)) do
         row.interface = g.interface
         rows[#rows + 1] = row
      end
   end
   return rows
end

local function banner (g)
   return ("%s: %s%s"):format(g.interface, g.look.mode, g.look.dry_run and ", dry run" or "")
end

-- --- JSON ---------------------------------------------------------------------------------------

local function print_json (kind, object)
   object.type, object.ts = kind, os.date("!%Y-%m-%dT%H:%M:%SZ")
   io.stdout:write(json.encode(object), "\n")
   io.stdout:flush()
end

local function print_events ()
   news_of_all(function (event) print_json("event", event) end)
end

local function begin_json (o)
   for _, g in ipairs(guards) do
      print_json("watch", { interface = g.interface, mode = g.look.mode, dry_run = g.look.dry_run, limits = table.concat(view.limits(g.app), "; ") })
   end
   timer.every("50ms", print_events)
   timer.every(o.interval or 10, function ()
      look_at_all()
      print_json("status", { events = total, interfaces = looks() })
   end)
end

-- --- the screen -----------------------------------------------------------------------------------

local EVENTS = 200 -- that are kept

-- What `t` goes through.
local TOPS = { { by = "source" }, { by = "destination" }, { by = "port" }, { by = "flow" }, { by = "source", verdict = "dropped" } }

local function talkers (before, seconds, ask)
   local was, rows = {}, rows_of_all("top", { n = 10, by = ask.by, verdict = ask.verdict })
   for _, r in ipairs(before) do was[r.interface .. " " .. view.talker(r)] = r.bytes end
   for _, r in ipairs(rows) do
      local bytes = was[r.interface .. " " .. view.talker(r)]
      if bytes and seconds > 0 then r.rate = (r.bytes - bytes) / seconds end
   end
   table.sort(rows, function (a, b) return (a.rate or 0) > (b.rate or 0) end)
   return rows
end

local function add (lines, more, most)
   lines[#lines + 1] = { "" }
   for i, line in ipairs(more) do
      if i > most then break end
      lines[#lines + 1] = line
   end
end

-- What is most needed stands at the top; the events take what is left.
local function screen_lines (state, height)
   local g = guards[state.shown]
   local lines = { { banner(g), "bold" } }
   if #guards > 1 then lines[1][1] = ("[%d of %d, n: next] "):format(state.shown, #guards) .. lines[1][1] end
   for _, text in ipairs(view.limits(g.app)) do lines[#lines + 1] = { "  " .. text } end
   lines[#lines + 1] = { ("%d blocked, %d events, health: %s"):format(g.look.blocks, total, g.look.level), g.look.level ~= "ok" and "bold" or nil }
   for _, line in ipairs(view.health(g.look.health)) do lines[#lines + 1] = line end
   add(lines, view.status(g.look), height)
   local blocks = rows_of_all("list", { kind = "blocked", limit = 8 })
   if #blocks > 0 then add(lines, view.list(blocks), 9) end
   if #state.talkers > 0 then
      local ask = TOPS[state.top]
      add(lines, view.top(state.talkers, ask.verdict and ask.verdict .. " " .. ask.by or ask.by), 9)
   end
   lines[#lines + 1] = { "" }
   lines[#lines + 1] = { "EVENTS", "bold" }
   for i = #state.events, math.max(1, #state.events - math.max(3, height - #lines) + 1), -1 do
      lines[#lines + 1] = { state.events[i] }
   end
   return lines
end

local function draw (state)
   local _, height = screen.size()
   screen.clear()
   for y, line in ipairs(screen_lines(state, height)) do
      if y <= height then screen.put(0, y - 1, line[1], line[2]) end
   end
   screen.refresh()
end

local function begin_screen (o)
   local state = { shown = 1, top = 1, events = {}, talkers = {} }
   screen.open()
   local function look ()
      look_at_all()
      state.talkers = talkers(state.talkers, guards[1].look.seconds, TOPS[state.top])
      draw(state)
   end
   timer.every(o.interval or 1, look)
   timer.every("50ms", function ()
      local key = screen.key(0)
      if key == "q" or key == "end" then return engine.stop() end
      local events = #state.events
      news_of_all(function (event) state.events[#state.events + 1] = os.date("%H:%M:%S ") .. view.event(event) end)
      if key == "t" then state.top, state.talkers = state.top % #TOPS + 1, {} end
      if key == "n" then state.shown = state.shown % #guards + 1 end
      if #state.events > 2 * EVENTS then state.events = table.move(state.events, #state.events - EVENTS + 1, #state.events, 1, {}) end
      if key or #state.events ~= events then draw(state) end
   end)
   look()
end

-- --- the end ------------------------------------------------------------------------------------------

local function report (as_json)
   for _, g in ipairs(guards) do g.look = nil end -- since the start
   look_at_all()
   if as_json then
      print_events()
      print_json("report", { events = total, interfaces = looks(), seed = engine.seed() })
      return
   end
   for _, g in ipairs(guards) do
      print(("%s, %d events"):format(banner(g), total))
      for _, line in ipairs(view.status(g.look)) do print(line[1]) end
      for _, line in ipairs(view.health(g.look.health)) do print(line[1]) end
   end
end

local function watch (ifnames, o)
   local seen = {}
   for _, ifname in ipairs(ifnames) do
      if seen[ifname] then return fail(2, ifname .. ": once is enough") end
      seen[ifname] = true
   end
   local parameters, problem, code = parameters_of(o)
   if not parameters then return fail(code, problem) end
   local good
   good, problem = pcall(start, ifnames, parameters, o)
   if not good then error(in_place(o, problem), 0) end
   look_at_all()
   timer.every("1s", keep_for_others)
   local full_screen = not o.json and process.terminal()
   -- What it makes is small and soon forgotten: collected early, memory stays what it is.
   collectgarbage("incremental", 110, 400)
   if full_screen then begin_screen(o) else begin_json(o) end
   local function again ()
      reload(ifnames, o)
      if not full_screen then print_json("reload", {}) end
   end
   engine.main { duration = o.duration, no_report = true, reload = again, report = function ()
      if full_screen then screen.close() end
      if not full_screen then print_events() end
      if o.report then report(not full_screen) end
   end }
   return 0
end

-- --- the budget ------------------------------------------------------------------------------------------

-- What `make bench` says at 2.45 GHz, less 25 ns of the call: a blocked source, and the SYNs of forged ones.
local BLOCKED_NS, FULL_NS = 25, 120

local function show_budget (o)
   local speed, clock, at = budget.parse(o.speed), budget.parse(o.clock), budget.parse(o["measured-at"])
   for name, value in pairs { speed = speed or false, clock = clock or false, ["measured-at"] = at or false } do
      if not value then return fail(2, ("--%s %s: as 2.5G or 1.2GHz"):format(name, o[name])) end
   end
   local options = { speed = speed, clock = clock, cores = o.cores or 1, frame = o.frame,
                     blocked = math.floor((o["blocked-ns"] or BLOCKED_NS) * at / 1e9 + 0.5),
                     full = math.floor((o["full-ns"] or FULL_NS) * at / 1e9 + 0.5) }
   local rows = budget.rows(options)
   if o.json then
      options.rows = rows
      print(json.encode(options))
   else
      print(table.concat(budget.lines(options, rows), "\n"))
   end
   return 0
end

function program.run (o, arguments)
   local first = arguments[1]
   if not first then return fail(2, "which interface?") end
   if first == "budget" then return #arguments == 1 and show_budget(o) or fail(2, "budget takes no argument") end
   if verbs.names[first] then return verbs.run(first, { table.unpack(arguments, 2) }, o) end
   return watch(arguments, o)
end

return program
