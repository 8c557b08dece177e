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
   { name = "in", type = "string", arg = "HOST", doc = "where COMMAND runs (default: the first host)" },
   { name = "server", short = "s", type = "string", arg = "[HOST=]CMD", many = true,
     doc = "started before COMMAND, in the last host unless HOST is named; ended after it" },
   { name = "wait", type = "integer", arg = "PORT", minimum = "1", maximum = "65535",
     doc = "COMMAND starts when a server listens there (default: when it listens anywhere)" },
   { name = "hosts", type = "string", arg = "NAMES", default = "a,b", doc = "the hosts" },
   { name = "as-root", type = "flag", doc = "COMMAND believes to be root" },
   { name = "unprivileged", type = "flag", doc = "in a user namespace even when run by root" },
   { name = "duration", short = "d", type = "duration", arg = "TIME", doc = "COMMAND gets SIGTERM after that time" },
   { name = "seed", type = "integer", arg = "N", doc = "of every random decision" },
   { name = "report", short = "r", type = "duration", arg = "TIME", doc = "report the load that often" },
   { name = "json", type = "flag", doc = "reports as JSON, one object a line" },
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

-- The Clumsies, each with its direction and parameters, in the order of the report.
local function plan (o, hosts)
   local up, down = impairments.of_options(o)
   if not up then return nil, down end
   local list = {
      { name = "ab", from = hosts[1], to = hosts[2], parameters = up },
      { name = "ba", from = hosts[2], to = hosts[1], parameters = down },
   }
   for _, one in ipairs(list) do
      for _, text in ipairs(o[one.name] or {}) do
         local good, wrong = impairments.parse(text, one.parameters)
         if not good then return nil, ("--%s: %s"):format(one.name, wrong) end
      end
   end
   return list
end

local function wire (c, hosts, clumsies)
   for _, host in ipairs(hosts) do config.app(c, "if_" .. host, RawSocket, host) end
   for _, one in ipairs(clumsies) do
      config.app(c, one.name, Clumsy, one.parameters)
      config.chain(c, "if_" .. one.from, one.name, "if_" .. one.to)
   end
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
local function conservation (one)
   local a = engine.app(one.name)
   if not a then return end
   local c, drops = a.counters, {}
   for counter, n in pairs(c) do
      if n > 0 and counter:match("^drop_") then drops[#drops + 1] = ("%s %d"):format(counter:sub(6), n) end
   end
   table.sort(drops)
   say("%s -> %s: received %d, duplicated %d, delivered %d, dropped %s, held %d", one.from, one.to, c.packets, c.duplicated,
       c.delivered, #drops > 0 and table.concat(drops, ", ") or 0, c.held)
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
   local why = engine.main { busy = o.busy, interval = o.report, no_report = true,
      each = o.json and report.load or function () engine.report_load(io.stderr) end }
   if why == "signal" and not run.code then run.code = 130 end
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
   end
   return code
end

function program.run (o, argv)
   local hosts, names = split_names(o.hosts)
   if o["list-presets"] then
      impairments.list_presets(io.stdout)
      return 0
   end
   if #argv == 0 then return usage("which COMMAND?") end
   if #hosts ~= 2 then return usage("--hosts: two of them") end
   local host = o["in"] or hosts[1]
   if not names[host] then return usage('--in: no host "%s"%s', host, units.nearest(host, names)) end
   local clumsies, wrong = plan(o, hosts)
   if not clumsies then return usage("%s", wrong) end

   report.out = io.stderr
   local l = lab.new { hosts = hosts, unprivileged = o.unprivileged, as_root = o["as-root"] }
   engine.setup { name = o.name or "lab", any_name = not o.name, seed = o.seed }
   local c = config.new()
   wire(c, hosts, clumsies)
   engine.configure(c)
   if not o.quiet and not o.json then
      for _, one in ipairs(clumsies) do say("%s -> %s: %s", one.from, one.to, impairments.describe(one.parameters)) end
      say("seed %d", engine.seed())
   end

   local run = { host = host, argv = argv, servers = {} }
   for _, text in ipairs(o.server or {}) do
      local server = server_of(text, names, hosts[#hosts])
      local code = start_server(l, server, environment_of(l, o, server.host))
      if code then return code end
      run.servers[#run.servers + 1] = server
   end
   return finish(run, l, o, clumsies, loop(run, l, o))
end

return program
