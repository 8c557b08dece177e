-- vanguard vxlan-nat: what is in VXLAN tunnels, to other destinations.
local path = require "config.vxlan_path"
local verbs = require "config.vxlan_verbs"
local view = require "config.vxlan_view"
local vxlan_config = require "config.vxlan_config"

local program = {
   doc = "inner packets of VXLAN tunnels to other destinations",
   args = "IN OUT\nallow load|diff FILE\nallow display|clear|stats\nallow add|del PREFIX\nallow find ADDRESS\n" ..
          "rules list|add|del|replace [N] [NAME=VALUE...]\nsessions list|flush\nsessions find ADDRESS[:PORT]\n" ..
          "trace N\nstatus\nstats\nreload\ncheck CONFIG",
   help = "Takes the VXLAN frames that come in by IN, and sends what is in them, of sources that are allowed, out by OUT with the " ..
          "destinations that rules give it. Nothing of it leaves by IN. Says every second what happens, on a terminal as text, " ..
          "otherwise as JSON. The other forms talk to the one that runs.\v" ..
          "  vanguard vxlan-nat ens5 ens6 -c rules.lua --allowlist ip_allowlist.json\n" ..
          "  vanguard vxlan-nat allow add 198.51.100.0/24\n" ..
          "  vanguard vxlan-nat rules add port=8080 proto=tcp to=172.30.82.95:8081\n" ..
          "  vanguard vxlan-nat sessions find 198.51.100.7\n" ..
          "  vanguard vxlan-nat trace 3\n\n" ..
          "rules.lua returns a table of parameters (vanguard apps VxlanNat): return { vnis = \"42\", rules = { [8080] = " ..
          "\"172.30.82.95:8081\" } }. It and the list are read again when they change and at SIGHUP; what is wrong changes " ..
          "nothing. What was changed by hand lasts until then.\n\n" ..
          "Exit codes: 0 done; 1 failed, or what was looked for is not there, or differs; 2 usage; 3 configuration; 7 not allowed.",
   options = {
      { name = "config", short = "c", type = "string", arg = "FILE.lua", doc = "parameters: a file that returns a table of them" },
      { name = "allowlist", short = "a", type = "string", arg = "FILE", doc = "who may pass: .json, or one prefix a line" },
      { name = "allow", type = "string", arg = "PREFIX", many = true, doc = "also may pass; also many" },
      { name = "set", type = "string", arg = "NAME=VALUE", many = true, doc = "any other parameter, as df=keep" },
      { name = "mode", type = "choice", choices = { "oneway", "route", "nat-out" }, arg = "MODE", doc = "what comes back (oneway: nothing)" },
      { name = "vni", type = "string", arg = "NETWORKS", doc = "any, or N,N-M (any); sessions: only these" },
      { name = "port", type = "string", arg = "PORTS", doc = "UDP ports of VXLAN (4789)" },
      { name = "vtep", type = "string", arg = "PREFIX", many = true, doc = "our tunnel addresses (all of IN)" },
      { name = "peer", type = "string", arg = "PREFIX", many = true, doc = "tunnels may come from there (anywhere)" },
      { name = "match", type = "choice", choices = { "src", "dst", "either", "both" }, arg = "WHAT", doc = "what of a packet must be allowed (src)" },
      { name = "mtu", type = "integer", minimum = "0", maximum = "65535", arg = "BYTES", doc = "longer inner packets go out in fragments (that of OUT)" },
      { name = "max", type = "integer", minimum = "1", maximum = "1048576", arg = "N", doc = "entries of the list (65536)" },
      { name = "keep-sessions", type = "flag", doc = "flows go on though their source is not allowed any more" },
      { name = "fastpath", type = "choice", choices = { "auto", "xdp", "off" }, arg = "MODE", doc = "known flows go on in the kernel (auto)" },
      { name = "require", type = "choice", choices = { "fast" }, arg = "fast", doc = "do not start without that" },
      { name = "json", type = "flag", doc = "JSON, one object a line; of the other forms: the answer as JSON" },
      { name = "interval", short = "i", type = "duration", arg = "TIME", doc = "between two lines (1s)" },
      { name = "duration", short = "d", type = "duration", arg = "TIME", doc = "end after that time; trace: wait that long" },
      { name = "report", short = "r", type = "flag", doc = "at the end: what happened" },
      { name = "name", short = "n", type = "string", arg = "NAME", doc = "what the others know it by (vxlan-nat)" },
      { name = "dry-run", type = "flag", doc = "allow load: only say what is in it" },
      { name = "flat-only", type = "flag", doc = "of a .json list only flat_ip_list" },
      { name = "mask", type = "flag", doc = "... bits behind a prefix are cleared" },
      { name = "skip-bad", type = "flag", doc = "... what is wrong is left out" },
      { name = "allow-empty", type = "flag", doc = "... it may be empty" },
      { name = "yes", short = "y", type = "flag", doc = "allow clear, sessions flush: really" },
      { name = "org", type = "string", arg = "NAME", doc = "allow display: only that organization's" },
      { name = "source", type = "string", arg = "PREFIX", doc = "sessions: only from there" },
      { name = "destination", type = "string", arg = "PREFIX", doc = "sessions: only to there, before or after" },
      { name = "rule", type = "integer", minimum = "1", maximum = "4096", arg = "N", doc = "sessions: only by that rule" },
      { name = "refused", type = "flag", doc = "sessions: only those that may not pass" },
      { name = "limit", type = "integer", minimum = "1", maximum = "1000", arg = "N", doc = "sessions: so many (100)" },
      { name = "seed", type = "flag", doc = "stats: the nine counters of old, by their numbers" },
      { name = "display", type = "flag", doc = "allow --display: allow display" },
      { name = "clear", type = "flag", doc = "allow --clear: allow clear" },
   },
}

local LOOK = 0.5 -- seconds between two looks at the file

local function fail (code, text)
   io.stderr:write("vanguard vxlan-nat: ", text, code == 2 and " (vanguard help vxlan-nat)\n" or "\n")
   return code
end

local rung -- what runs

-- --- what happens ------------------------------------------------------------------------------

local RATES = { in_pps = "total_packets", forwarded_pps = "forwarded", fast_pps = "fast_packets", dropped_pps = "errors", lost_pps = "lost" }

-- What no app has seen: the kernel dropped it in front of us.
local function lost ()
   local counters, sum = engine.app("tunnel").counters, 0
   for _, name in ipairs { "drop_rx_dropped", "drop_rx_ring_full", "drop_ring_full" } do sum = sum + (counters[name] or 0) end
   return sum
end

-- Rates are those since the look before.
local function look_at (before)
   local look = engine.call("nat", "status")
   look.counters = { lost = lost() }
   for _, row in ipairs(engine.call("nat", "stats")) do look.counters[row.name] = row.value end
   look.time, look.rung, look.why = engine.now(), path.name(rung, look), rung.why
   local seconds = before and look.time - before.time or 0
   for name, counter in pairs(RATES) do
      local delta = before and look.counters[counter] - before.counters[counter] or 0
      look[name] = seconds > 0 and math.max(0, delta) / seconds or 0
   end
   look.fast_share = look.forwarded_pps > 0 and look.fast_pps / look.forwarded_pps or 0
   return look
end

local function without_zeros (look)
   local counters = {}
   for name, value in pairs(look.counters) do
      if value ~= 0 then counters[name] = value end
   end
   look.counters = counters
   return look
end

local older, newer

local function keep () older, newer = newer, look_at(newer) end

function control.commands.status () return without_zeros(look_at(older)) end

local function print_json (kind, object)
   object.type, object.ts = kind, os.date("!%Y-%m-%dT%H:%M:%SZ")
   io.stdout:write(json.encode(object), "\n")
   io.stdout:flush()
end

local function begin_lines (o)
   local as_json = o.json or not process.tty(1)
   local function each ()
      keep()
      if as_json then
         local look = {}
         for name, value in pairs(newer) do look[name] = value end
         print_json("status", without_zeros(look))
      else
         print(os.date("%H:%M:%S ") .. view.line(newer))
      end
   end
   keep()
   if as_json then print_json("start", { ingress = rung.ingress, egress = rung.egress, rung = newer.rung, why = newer.why })
   else print(("%s -> %s by %s"):format(rung.ingress, rung.egress, newer.rung)) end
   timer.every(o.interval or 1, each)
end

-- --- files -----------------------------------------------------------------------------------------

-- The file, and what was changed by hand: as it was. Errors are the caller's, and told to whoever asks for the status.
local function reload (o)
   local good, problem = pcall(function ()
      local parameters, why = vxlan_config.parameters(o)
      if not parameters then error(why, 0) end
      local before = rung.parameters
      rung.parameters = parameters
      local configured, wrong = pcall(function () engine.configure(path.graph(rung)) end)
      if not configured then
         rung.parameters = before
         error(vxlan_config.explain(o.config, wrong), 0)
      end
   end)
   engine.call("nat", "complain", { text = good and "" or tostring(problem) })
   if not good then error(problem, 0) end
   engine.call("nat", "reload")
end

function control.commands.reload ()
   program.reload()
   return {}
end

-- A change is taken when it is at rest.
local function watch (o)
   if not o.config then return end
   local read, seen = process.file_mark(o.config), nil
   timer.every(LOOK, function ()
      local now = process.file_mark(o.config)
      local at_rest = now == seen
      seen = now
      if not now or not at_rest or now == read then return end
      read = now
      local good, problem = pcall(reload, o)
      io.stderr:write("vanguard vxlan-nat: ", good and o.config .. " was read again" or "everything stays as it was: " .. tostring(problem), "\n")
   end)
end

-- --- the program -------------------------------------------------------------------------------------

local function serve (ingress, egress, o)
   if ingress == egress then return fail(2, "IN and OUT are the same") end
   local parameters, problem, code = vxlan_config.parameters(o)
   if not parameters then return fail(code, problem) end
   engine.setup { name = o.name or "vxlan-nat", any_name = not o.name }
   local good
   good, rung = pcall(path.start, ingress, egress, parameters, o)
   if not good then error(vxlan_config.explain(o.config, rung), 0) end
   for _, why in ipairs(rung.why) do io.stderr:write("vanguard vxlan-nat: ", why, "\n") end
   function program.reload () reload(o) end
   collectgarbage("incremental", 110, 400)
   begin_lines(o)
   watch(o)
   engine.main { duration = o.duration, no_report = true, reload = program.reload, report = function ()
      if not o.report then return end
      local look = without_zeros(look_at())
      if o.json or not process.tty(1) then print_json("report", look) else
         for _, line in ipairs(view.status(look)) do print(line[1]) end
      end
   end }
   return 0
end

function program.run (o, words)
   if not words[1] then return fail(2, "which interfaces? IN OUT") end
   local code = verbs.run(words, o)
   if code then return code end
   if #words ~= 2 then return fail(2, #words == 1 and "IN, and OUT" or ('what is "%s"?'):format(words[3])) end
   return serve(words[1], words[2], o)
end

return program
