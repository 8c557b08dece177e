-- vanguard lab: a command between hosts of its own, with a bad network between them.
local impairments = require "config.impairments"
local network = require "config.lab_network"
local report = require "config.json_report"
local scenario = require "config.scenario"
local servers = require "config.lab_servers"
local verdict = require "config.verdict"

local program = {
   doc = "run a command in a bad network of its own",
   args = "-- COMMAND [ARGUMENT...]",
   help = "Runs COMMAND in host a of a network made for it, with a host b at the other end of a bad link. Needs no root " ..
          "and no configuration, and leaves nothing behind, not even after kill -9. The exit code is COMMAND's.\n\n" ..
          "  vanguard lab --delay 50ms --loss 1% -- ping -c 5 b\n" ..
          "  vanguard lab --preset 3g --server 'iperf3 -s' -- iperf3 -c b\n" ..
          "  vanguard lab --rate 10mbit --ba loss=5% -- ./integration-test.sh\v" ..
          "Host a is 10.77.0.1 and fd77::1, b 10.77.0.2 and fd77::2; their names are in /etc/hosts. ab is the direction " ..
          "from a to b, ba the other one; everything is per direction, so that --delay 50ms makes round trips 100ms " ..
          "longer. In presets a is the client: its way up is ab, its way down ba. ARP and IPv6 neighbour discovery " ..
          "pass unimpaired.\n\n" ..
          "COMMAND is the caller as before, sees the same files, and may use raw sockets and low ports. It finds " ..
          "VANGUARD_HOSTS (\"a b\"), VANGUARD_HOST (its own), VANGUARD_B_IPV4 and the like in its environment. Signals " ..
          "to vanguard reach it.\n\n" ..
          "Exit code: COMMAND's; 128+n when signal n ended it; 127 when there is no such program, 126 when it cannot be " ..
          "executed; 124 when --duration was over. What goes wrong before is 2 (options), 3 (configuration), " ..
          "7 (the kernel does not permit it), 1 (anything else).",
   in_order = true,
   options = {},
}

for _, row in ipairs(impairments.options) do program.options[#program.options + 1] = row end
for _, row in ipairs {
   { name = "ab", type = "string", arg = "SETTINGS", many = true,
     doc = "from a to b only: parameters of Clumsy, as loss=5%,owd=20ms" },
   { name = "ba", type = "string", arg = "SETTINGS", many = true, doc = "from b to a only" },
   { name = "ab-netem", type = "string", arg = "LINE", doc = "from a to b only, as a line for tc-netem(8)" },
   { name = "ba-netem", type = "string", arg = "LINE", doc = "from b to a only" },
   { name = "on", type = "string", arg = "NAME:SETTINGS", many = true,
     doc = "for one direction by its name: ab, ba; with more hosts a_up, a_down, b_up ..." },
   { name = "nat", type = "string", arg = "HOST[:SETTINGS]", many = true,
     doc = "a host is behind an address translator: parameters of Nat, as a:rebind_at=10s,udp_timeout=5s" },
   { name = "cross", type = "string", arg = "[NAME:]TRAFFIC", many = true,
     doc = "others share the bottlenecks, or that of one direction: 'udp 5mbit', 'tcp', 'tcp 2' (flows), ab:tcp rtt=80ms" },
   { name = "topology", type = "string", arg = "FILE.lua",
     doc = "hosts and what is between them, as a file that returns { hosts =, graph = function (c, ports) }" },
   { name = "partition", type = "string", arg = "LIST",
     doc = "directions between three hosts or more that are cut: a>b, b>a; * is any host" },
   { name = "in", type = "string", arg = "HOST", doc = "where COMMAND runs (default: the first host)" },
   { name = "server", short = "s", type = "string", arg = "[HOST=]CMD", many = true,
     doc = "started before COMMAND, in the last host unless HOST is named; ended after it" },
   { name = "wait", type = "integer", arg = "PORT", minimum = "1", maximum = "65535",
     doc = "COMMAND starts when a server listens there (default: when it listens anywhere)" },
   { name = "hosts", type = "string", arg = "NAMES", default = "a,b",
     doc = "the hosts; from three on around a switch, to which each has a bad link of its own" },
   { name = "uplink", type = "flag",
     doc = "a way out for the hosts, IPv4, through their links and the caller's network; only by root" },
   { name = "as-root", type = "flag", doc = "COMMAND believes to be root" },
   { name = "unprivileged", type = "flag", doc = "in a user namespace even when run by root" },
   { name = "duration", short = "d", type = "duration", arg = "TIME", doc = "COMMAND gets SIGTERM after that time" },
   { name = "seed", type = "integer", arg = "N", doc = "of every random decision" },
   { name = "scenario", type = "string", arg = "FILE.lua",
     doc = "what happens to the network when, and what is expected: pass, fail or inconclusive" },
   { name = "report", short = "r", type = "string", arg = "FILE.html", doc = "a page about the run: asked beside measured, in time" },
   { name = "junit", type = "string", arg = "FILE.xml", doc = "the checks for a CI" },
   { name = "events", type = "string", arg = "FILE.ndjson", doc = "what happens, as it happens" },
   { name = "report-json", type = "string", arg = "FILE", doc = "everything asked and measured" },
   { name = "artifacts", type = "string", arg = "DIR", doc = "all four of these, into a directory" },
   { name = "capture", type = "flag",
     doc = "with --artifacts: each direction before and after, as pcapng with what became of each packet" },
   { name = "min-packets", type = "integer", arg = "N", minimum = "0", maximum = "1000000000", default = "1",
     doc = "with --scenario: packets that each direction must have seen" },
   { name = "dry-run", type = "flag", doc = "say what would be between the hosts, and end" },
   { name = "interval", type = "duration", arg = "TIME", doc = "report the load that often" },
   { name = "json", type = "flag", doc = "reports as JSON, one object a line" },
   { name = "status", type = "flag", doc = "one line about the traffic, renewed every second, even when COMMAND writes to the terminal" },
   { name = "clean", type = "flag", doc = "remove what labs that were killed have left, and end" },
   { name = "doctor", type = "flag", doc = "what this machine can promise, and end" },
   { name = "quiet", short = "q", type = "flag", doc = "no words but about failures" },
   { name = "name", short = "n", type = "string", arg = "NAME", doc = "what top knows it by" },
   { name = "busy", type = "flag", doc = "never sleep: for a core that is really ours" },
} do program.options[#program.options + 1] = row end

local TERM_PATIENCE = 2   -- between SIGTERM and SIGKILL

local function say (format, ...) io.stderr:write("vanguard lab: ", format:format(...), "\n") end

local function usage (format, ...)
   say(format .. " (vanguard help lab)", ...)
   return 2
end

-- --- what is said ---------------------------------------------------------------------

-- received = delivered + dropped by reason + held.
local function drops_of (counters)
   local drops = {}
   for counter, n in pairs(counters) do
      if n > 0 and counter:match("^drop_") then drops[#drops + 1] = ("%s %d"):format(counter:sub(6), n) end
   end
   table.sort(drops)
   return #drops > 0 and table.concat(drops, ", ") or "0"
end

local function conservation (one)
   local a = engine.app(one.name)
   if not a then return end
   local c = a.counters
   say("%s: received %d, duplicated %d, delivered %d, dropped %s, held %d",
       one.from and one.from .. " -> " .. one.to or one.name, c.packets, c.duplicated, c.delivered, drops_of(c), c.held)
end

local function nat_words (host)
   local a = engine.app("nat_" .. host)
   if not a then return end
   local c = a.counters
   say("nat %s: out %d, in %d, passed %d, mappings %d of %d, rebinds %d, dropped %s", host, c.translated_out, c.translated_in,
       c.passed + c.answered, c.mappings, c.created, c.rebinds, drops_of(c))
end

local function cross_words (one)
   local a = engine.app("cross_" .. one.name)
   if not a then return end
   local c = a.counters
   say("cross %s: sent %d, received %d, lost %d", one.name, c.sent, c.received, c.lost - c.spurious)
end

-- One line at the foot of a terminal: rates, losses and what is on its way.
local function status_line (clumsies, started)
   local last = {}
   return function ()
      local words = { ("%3.0fs"):format(engine.now() - started) }
      for _, one in ipairs(clumsies) do
         local c = engine.app(one.name).counters
         local lost = 0
         for counter, n in pairs(c) do
            if counter:match("^drop_") then lost = lost + n end
         end
         words[#words + 1] = ("%s %d/s lost %d held %d"):format(one.name, c.packets - (last[one.name] or 0), lost, c.held)
         last[one.name] = c.packets
      end
      io.stderr:write("\r\27[K", table.concat(words, "  "):sub(1, 110))
   end
end

-- --- what else it is asked for ----------------------------------------------------------

-- Whoever starts sweeps as well; this is for who wants it now.
local function clean ()
   local removed, problem = lab.clean()
   for _, name in ipairs(removed) do print("removed " .. name) end
   if #removed == 0 and not problem then print("nothing to remove") end
   if problem then say("%s", problem) end
   return problem and 1 or 0
end

-- --- from beginning to end --------------------------------------------------------------

local function split_names (text)
   local list, set = {}, {}
   for name in text:gmatch("[^,%s]+") do list[#list + 1], set[name] = name, true end
   return list, set
end

local function environment_of (l, o, host)
   local env, names = { VANGUARD_HOST = host, VANGUARD_SEED = engine.seed(), VANGUARD_LAB = o.name or "lab" }, {}
   for _, h in ipairs(l:hosts()) do
      local key = "VANGUARD_" .. h.name:upper():gsub("-", "_")
      names[#names + 1], env[key .. "_IPV4"], env[key .. "_IPV6"] = h.name, h.ipv4, h.ipv6
   end
   env.VANGUARD_HOSTS = table.concat(names, " ")
   return env
end

-- What happens beside the packets, every few milliseconds: servers become ready, then COMMAND runs, then
-- all is over. run.code is the exit code when it is.
local function step (run, l, o)
   local now = engine.now()
   if not run.command then
      for _, server in ipairs(run.servers) do
         local state = servers.ready(l, server, o.wait, now - run.started, say)
         if state == nil then run.code = 1 end
         if not state then return end
      end
      local problem, code
      run.command, problem, code = l:spawn(run.host, run.argv, { environment = environment_of(l, o, run.host) })
      run.began = now
      if run.command then
         run.command:attend(true)
         if run.verdict then run.verdict:begin() end
      else
         say("%s", problem)
         run.code = code
      end
      return
   end
   run.code = run.command:status()
   if run.code or not o.duration then return end
   if not run.late and now > run.began + o.duration then
      run.late = now
      run.command:kill("TERM")
   elseif run.late and now > run.late + TERM_PATIENCE then
      run.command:kill("KILL")
   end
end

local function loop (run, l, o)
   run.started = engine.now()
   timer.every("5ms", function ()
      if not run.code then step(run, l, o) end
      if run.code then engine.stop() end
   end)
   if not o.quiet and not o.json and process.tty(2) and (o.status or not process.tty(1)) then
      run.status = timer.every("1s", status_line(run.clumsies, run.started))
   end
   local why, number = engine.main { busy = o.busy, interval = o.interval, no_report = true,
      each = o.json and report.load or function () engine.report_load(io.stderr) end }
   if why == "signal" and not run.code then run.code = 128 + number end
   if run.status then io.stderr:write("\r\27[K") end
   return run.late and 124 or run.code
end

local function finish (run, l, o, clumsies, code)
   local judged
   if run.verdict and run.command then code, judged = run.verdict:finish(code) end
   for _, server in ipairs(run.servers) do
      if code ~= 0 and run.command then servers.show_log(server) end
   end
   servers.stop(run.servers)
   l:close()
   if o.json then
      report.final()
   elseif not o.quiet then
      for _, one in ipairs(clumsies) do
         conservation(one)
         cross_words(one)
      end
      for _, host in ipairs(network.nat_hosts(clumsies)) do nat_words(host) end
      local switch = engine.app("switch")
      if switch then say("switch: flooded %d, dropped %s", switch.counters.flooded, drops_of(switch.counters)) end
   end
   if judged and judged.judged and not (o.quiet and code == 0) then
      for _, line in ipairs(verdict.words(judged)) do say("%s", line) end
   end
   return code
end

-- What needs no lab, or is wrong before there is one: an exit code.
local function settle (o, argv)
   if o["list-presets"] then
      impairments.list_presets(io.stdout)
      return 0
   end
   if o.clean then return clean() end
   if o.doctor then return require("config.lab_doctor")() end
   if #argv == 0 and not o["dry-run"] then return usage("which COMMAND?") end
   if o.wait and not o.server then return usage("--wait: for which --server?") end
end

-- What a scenario says of the network is like options for both directions, and for each: options that
-- are given as well come last.
local function with_scenario (o, s)
   if not s then return end
   o.hosts = table.concat(s.hosts, ",")
   o.base = s.network
end

-- The first option that a topology, which has a network of its own, would ignore.
local function ignored (o)
   for _, row in ipairs(impairments.options) do
      if o[row.name] then return row.name end
   end
   for _, name in ipairs { "ab", "ba", "ab-netem", "ba-netem", "on", "partition", "nat", "cross" } do
      if o[name] then return name end
   end
end

-- Hosts, and the Clumsies between them or the topology of a file; or nil, what is wrong, an exit code.
local function design (o)
   if o.topology then
      local other = ignored(o)
      if o.base and next(o.base) then return nil, "--topology and network {} of a scenario exclude each other", 3 end
      if other then return nil, ("--topology and --%s exclude each other: the network is that of the file"):format(other), 2 end
      local topology, problem = network.load_topology(o.topology)
      if not topology then return nil, problem, 3 end
      return topology.hosts, {}, topology
   end
   local hosts, names = split_names(o.hosts)
   if names.switch or names.uplink then return nil, "--hosts: switch and uplink are the names of other things", 2 end
   if #hosts < 2 or #hosts > 64 then return nil, "--hosts: 2 to 64 of them", 2 end
   if o.partition and #hosts == 2 then return nil, "--partition is for three hosts or more: --ab loss=100%", 2 end
   if o.capture and not o.artifacts then return nil, "--capture goes with --artifacts DIR", 2 end
   local clumsies, wrong = network.plan(o, hosts)
   if not clumsies then return nil, wrong, 2 end
   for _, one in ipairs(o.capture and clumsies or {}) do
      local path = o.artifacts .. "/" .. one.name
      one.asked = impairments.describe(one.parameters)
      one.parameters = impairments.merge(one.parameters, {
         capture = { before = path .. ".before.pcapng", after = path .. ".after.pcapng" } })
   end
   return hosts, clumsies
end

local function describe (o, clumsies)
   if o.quiet or o.json then return end
   for _, line in ipairs(network.words(clumsies)) do say("%s", line) end
   say("seed %d", engine.seed())
end

-- Is anything asked for that measures?
local function judge_of (o, s, clumsies, argv)
   if not (s or o.report or o.junit or o.events or o["report-json"] or o.artifacts) then return nil end
   local directions = { switch = true }
   for _, one in ipairs(clumsies) do
      directions[one.name] = true
      one.asked = one.asked or one.parameters and impairments.describe(one.parameters)
   end
   return verdict.new { clumsies = clumsies, directions = directions, scenario = s, options = o, rows = program.options,
                        argv = argv, title = s and s.path or table.concat(argv, " ") }
end

function program.run (o, argv)
   local code = settle(o, argv)
   if code then return code end
   local s = o.scenario and scenario.load(o.scenario)
   with_scenario(o, s)
   local hosts, clumsies, topology = design(o)
   if not hosts and topology == 2 then return usage("%s", clumsies) end
   if not hosts then
      say("%s", clumsies)
      return topology
   end
   local _, names = split_names(table.concat(hosts, ","))
   local host = o["in"] or hosts[1]
   if not names[host] then return usage('--in: no host "%s"%s', host, units.nearest(host, names)) end
   if o["dry-run"] then
      for _, line in ipairs(network.words(clumsies)) do print(line) end
      return 0
   end

   report.out = io.stderr
   if o.artifacts then verdict.make_directory(o.artifacts) end
   local l = lab.new { hosts = hosts, unprivileged = o.unprivileged, as_root = o["as-root"], uplink = o.uplink }
   engine.setup { name = o.name or "lab", any_name = not o.name, seed = o.seed }
   local c = config.new()
   if topology then network.wire_topology(c, topology) else network.wire(c, hosts, clumsies, o) end
   engine.configure(c)
   describe(o, clumsies)
   if topology then clumsies = network.find_clumsies() end
   local run = { host = host, argv = argv, servers = {}, clumsies = clumsies, verdict = judge_of(o, s, clumsies, argv) }
   run.servers, code = servers.start(l, o.server, hosts, function (h) return environment_of(l, o, h) end, say)
   if not run.servers then return code end
   return finish(run, l, o, clumsies, loop(run, l, o))
end

return program
