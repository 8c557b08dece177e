-- vanguard lab: a command between hosts of its own, with a bad network between them.
local impairments = require "config.impairments"
local report = require "config.json_report"

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
   { name = "report", short = "r", type = "duration", arg = "TIME", doc = "report the load that often" },
   { name = "json", type = "flag", doc = "reports as JSON, one object a line" },
   { name = "status", type = "flag", doc = "one line about the traffic, renewed every second, even when COMMAND writes to the terminal" },
   { name = "clean", type = "flag", doc = "remove what labs that were killed have left, and end" },
   { name = "doctor", type = "flag", doc = "what this machine can promise, and end" },
   { name = "quiet", short = "q", type = "flag", doc = "no words but about failures" },
   { name = "name", short = "n", type = "string", arg = "NAME", doc = "what top knows it by" },
   { name = "busy", type = "flag", doc = "never sleep: for a core that is really ours" },
} do program.options[#program.options + 1] = row end

local SERVER_PATIENCE = 2 -- seconds for a server that listens nowhere
local PORT_PATIENCE = 10  -- for one that must listen at a port
local TERM_PATIENCE = 2   -- between SIGTERM and SIGKILL

local function say (format, ...) io.stderr:write("vanguard lab: ", format:format(...), "\n") end

local function usage (format, ...)
   say(format .. " (vanguard help lab)", ...)
   return 2
end

-- --- the network ----------------------------------------------------------------------

-- The Clumsies, each with its direction and parameters, in the order of the report. Between two hosts ab
-- and ba; otherwise NAME_up and NAME_down for every host, with a switch in the middle.
local function directions (hosts, up, down, uplink)
   if #hosts == 2 then
      hosts = uplink and { hosts[1], "switch" } or hosts -- b and the outside are at the other end
      return { { name = "ab", from = hosts[1], to = hosts[2], parameters = up },
               { name = "ba", from = hosts[2], to = hosts[1], parameters = down } }
   end
   local list = {}
   for _, host in ipairs(hosts) do
      list[#list + 1] = { name = host .. "_up", from = host, to = "switch", parameters = impairments.merge(up, {}) }
      list[#list + 1] = { name = host .. "_down", from = "switch", to = host, parameters = impairments.merge(down, {}) }
   end
   return list
end

-- What --on, --ab and --ba say: { name, settings, option }.
local function exceptions (o)
   local list = {}
   for _, text in ipairs(o.on or {}) do
      local name, settings = text:match("^([%w_-]+):(.*)$")
      if not name then return nil, ('--on: "%s" is not NAME:PATH=VALUE, such as a_up:loss=5%%'):format(text) end
      list[#list + 1] = { name, settings, "--on" }
   end
   for _, name in ipairs { "ab", "ba" } do
      for _, text in ipairs(o[name] or {}) do list[#list + 1] = { name, text, "--" .. name } end
   end
   return list
end

local function plan (o, hosts)
   local up, down = impairments.of_options(o)
   if not up then return nil, down end
   local list, by_name = directions(hosts, up, down, o.uplink), {}
   for _, one in ipairs(list) do by_name[one.name] = one end
   for _, name in ipairs { "ab", "ba" } do
      local line, one, wrong = o[name .. "-netem"], by_name[name], nil
      if line and not one then return nil, ('--%s-netem: there is no "%s"'):format(name, name) end
      if line then one.parameters, wrong = impairments.netem(line, one.parameters, o.compat) end
      if wrong then return nil, ("--%s-netem: %s"):format(name, wrong) end
   end
   local special, problem = exceptions(o)
   if not special then return nil, problem end
   for _, e in ipairs(special) do
      local one = by_name[e[1]]
      if not one then return nil, ('%s: there is no "%s"%s'):format(e[3], e[1], units.nearest(e[1], by_name)) end
      local good, wrong = impairments.parse(e[2], one.parameters)
      if not good then return nil, e[3] .. ": " .. wrong end
   end
   return list
end

-- What is at the switch without a Clumsy in between.
local function direct (c, name, ifname)
   config.app(c, "if_" .. name, RawSocket, ifname)
   config.link(c, "if_" .. name .. ".output -> switch." .. name)
   config.link(c, "switch." .. name .. " -> if_" .. name .. ".input")
end

local function wire (c, hosts, clumsies, o)
   if #hosts ~= 2 or o.uplink then config.app(c, "switch", Bridge, { partition = o.partition }) end
   if o.uplink then direct(c, "uplink", "uplink") end
   for i, host in ipairs(hosts) do
      if #hosts == 2 and i == 2 and o.uplink then
         direct(c, host, host)
      else
         config.app(c, "if_" .. host, RawSocket, host)
      end
   end
   for _, one in ipairs(clumsies) do
      config.app(c, one.name, Clumsy, one.parameters)
      local from = one.from == "switch" and "switch." .. one.to or "if_" .. one.from .. ".output"
      local to = one.to == "switch" and "switch." .. one.from or "if_" .. one.to .. ".input"
      config.link(c, from .. " -> " .. one.name .. ".input")
      config.link(c, one.name .. ".output -> " .. to)
   end
end

-- { hosts = { "a", "b" }, graph = function (c, ports) ... end }: the names of the RawSockets are in ports,
-- by host. nil and what is wrong.
local function load_topology (path)
   local chunk, problem = loadfile(path)
   if not chunk then return nil, problem end
   local good, topology = pcall(chunk)
   if not good then return nil, tostring(topology) end
   if type(topology) ~= "table" or type(topology.hosts) ~= "table" or type(topology.graph) ~= "function" then
      return nil, path .. " does not return { hosts = { ... }, graph = function (c, ports) ... end }"
   end
   return topology
end

local function wire_topology (c, topology)
   local ports = {}
   for _, host in ipairs(topology.hosts) do
      ports[host] = "if_" .. host
      config.app(c, ports[host], RawSocket, host)
   end
   topology.graph(c, ports)
end

-- The Clumsies that a file has made, for the report.
local function find_clumsies ()
   local list = {}
   for _, name in ipairs(engine.apps()) do
      if engine.app(name).class == "Clumsy" then list[#list + 1] = { name = name } end
   end
   return list
end

-- --- servers --------------------------------------------------------------------------

-- Words, unless it takes a shell to understand it.
local function split (text)
   if text:find("[^%w%s%-+_./:,@]") then return { "sh", "-c", text } end
   local words = {}
   for word in text:gmatch("%S+") do words[#words + 1] = word end
   return words
end

local LISTENING = { tcp = "0A", tcp6 = "0A", udp = "07", udp6 = "07" } -- states, net/tcp_states.h

-- The ports at which something waits in a host.
local function listening (l, host)
   local ports = {}
   for kind, state in pairs(LISTENING) do
      for line in (l:read(host, "/proc/net/" .. kind) or ""):gmatch("[^\n]+") do
         local port, found = line:match("^%s*%d+: %x+:(%x+) %x+:%x+ (%x+)")
         if found == state then ports[tonumber(port, 16)] = true end
      end
   end
   return ports
end

local function server_of (text, names, default)
   local host, command = text:match("^([%w-]+)=(.*)$")
   if not host or not names[host] then host, command = default, text end
   return { host = host, command = command, log = io.tmpfile() }
end

local function start_server (l, server, environment)
   local problem, code
   server.process, problem, code =
      l:spawn(server.host, split(server.command), { environment = environment, output = server.log, background = true })
   if not server.process then
      say("server in %s: %s", server.host, problem)
      return code
   end
end

local function show_log (server)
   server.log:seek("set")
   local lines = {}
   for line in server.log:lines() do lines[#lines + 1] = line end
   for i = math.max(1, #lines - 20), #lines do
      io.stderr:write(("  %s: %s\n"):format(server.host, lines[i]))
   end
end

-- true: go on; false: not yet; nil: it will never be ready.
local function ready (l, server, port, waited)
   local status = server.process:status()
   if status and status ~= 0 then
      say("server in %s ended with exit code %d before COMMAND began: %s", server.host, status, server.command)
      show_log(server)
      return nil
   end
   local ports = listening(l, server.host)
   if port and ports[port] or not port and next(ports) then return true end
   if port and waited > PORT_PATIENCE then
      say("server in %s listens nowhere at port %d after %ds: %s", server.host, port, PORT_PATIENCE, server.command)
      show_log(server)
      return nil
   end
   return not port and waited > SERVER_PATIENCE
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

local function doctor ()
   local facts = require "config.facts"
   local function line (good, name, value, advice)
      print(("%-5s %-28s %s"):format(good and "ok" or "hint", name, value))
      if not good and advice then print("      " .. advice) end
   end
   local function knob (sysctl, bad, advice)
      local value = facts.sysctl(sysctl)
      if value then line(value ~= bad, sysctl, value, advice) end
   end
   knob("user.max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000")
   knob("user.max_net_namespaces", "0", "sysctl user.max_net_namespaces=10000")
   knob("kernel.unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1")
   knob("kernel.apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0")
   line(facts.capabilities().sys_nice, "real-time waking", facts.capabilities().sys_nice and "yes" or "no",
        "delays are kept within 10 ms instead of 0.5 ms (99 of 100): root, or setcap cap_sys_nice")
   local cpus = #facts.cpus(facts.read("/sys/devices/system/cpu/online"))
   line(cpus > 1, "CPUs", cpus, "COMMAND and the network share one")
   local good, made = pcall(lab.new, { hosts = { "a", "b" } })
   line(good, "a lab", good and "can be made" or tostring(made))
   if good then
      local process, problem = made:spawn("a", { "true" })
      line(process and process:wait(5) == 0, "a program in it", process and "runs" or problem)
      made:close()
   end
   return good and 0 or 7
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
         local state = ready(l, server, o.wait, now - run.started)
         if state == nil then run.code = 1 end
         if not state then return end
      end
      local problem, code
      run.command, problem, code = l:spawn(run.host, run.argv, { environment = environment_of(l, o, run.host) })
      run.began = now
      if run.command then
         run.command:attend(true)
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
   local why = engine.main { busy = o.busy, interval = o.report, no_report = true,
      each = o.json and report.load or function () engine.report_load(io.stderr) end }
   if why == "signal" and not run.code then run.code = 130 end
   if run.status then io.stderr:write("\r\27[K") end
   return run.late and 124 or run.code
end

local function finish (run, l, o, clumsies, code)
   for _, server in ipairs(run.servers) do
      if code ~= 0 and run.command then show_log(server) end
      server.process:kill("TERM")
   end
   for _, server in ipairs(run.servers) do server.process:wait(0.5) end
   l:close()
   if o.json then
      report.final()
   elseif not o.quiet then
      for _, one in ipairs(clumsies) do conservation(one) end
      local switch = engine.app("switch")
      if switch then say("switch: flooded %d, dropped %s", switch.counters.flooded, drops_of(switch.counters)) end
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
   if o.doctor then return doctor() end
   if #argv == 0 then return usage("which COMMAND?") end
end

-- Hosts, and the Clumsies between them or the topology of a file; or nil, what is wrong, an exit code.
local function design (o)
   if o.topology then
      local topology, problem = load_topology(o.topology)
      if not topology then return nil, problem, 3 end
      return topology.hosts, {}, topology
   end
   local hosts, names = split_names(o.hosts)
   if names.switch or names.uplink then return nil, "--hosts: switch and uplink are the names of other things", 2 end
   if #hosts < 2 or #hosts > 64 then return nil, "--hosts: 2 to 64 of them", 2 end
   if o.partition and #hosts == 2 then return nil, "--partition is for three hosts or more: --ab loss=100%", 2 end
   local clumsies, wrong = plan(o, hosts)
   if not clumsies then return nil, wrong, 2 end
   return hosts, clumsies
end

local function start_servers (run, l, o, hosts, names)
   for _, text in ipairs(o.server or {}) do
      local server = server_of(text, names, hosts[#hosts])
      local code = start_server(l, server, environment_of(l, o, server.host))
      if code then return code end
      run.servers[#run.servers + 1] = server
   end
end

local function describe (o, clumsies)
   if o.quiet or o.json then return end
   for _, one in ipairs(clumsies) do say("%s -> %s: %s", one.from, one.to, impairments.describe(one.parameters)) end
   say("seed %d", engine.seed())
end

function program.run (o, argv)
   local code = settle(o, argv)
   if code then return code end
   local hosts, clumsies, topology = design(o)
   if not hosts and topology == 2 then return usage("%s", clumsies) end
   if not hosts then
      say("%s", clumsies)
      return topology
   end
   local _, names = split_names(table.concat(hosts, ","))
   local host = o["in"] or hosts[1]
   if not names[host] then return usage('--in: no host "%s"%s', host, units.nearest(host, names)) end

   report.out = io.stderr
   local l = lab.new { hosts = hosts, unprivileged = o.unprivileged, as_root = o["as-root"], uplink = o.uplink }
   engine.setup { name = o.name or "lab", any_name = not o.name, seed = o.seed }
   local c = config.new()
   if topology then wire_topology(c, topology) else wire(c, hosts, clumsies, o) end
   engine.configure(c)
   describe(o, clumsies)
   if topology then clumsies = find_clumsies() end
   local run = { host = host, argv = argv, servers = {}, clumsies = clumsies }
   code = start_servers(run, l, o, hosts, names)
   if code then return code end
   return finish(run, l, o, clumsies, loop(run, l, o))
end

return program
