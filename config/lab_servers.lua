-- lab_servers: programs that a lab starts before COMMAND, in other hosts.
--
--   servers.start(l, texts, hosts, environment, say)    "[HOST=]CMD"; list, or nil and an exit code
--   servers.ready(l, server, port, waited, say)         true: go on; false: not yet; nil: never
--   servers.stop(list)
--   servers.show_log(server)
local servers = {}

local SERVER_PATIENCE = 2 -- seconds for a server that listens nowhere
local PORT_PATIENCE = 10  -- for one that must listen at a port

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

local function start_server (l, server, environment, say)
   local problem, code
   server.process, problem, code =
      l:spawn(server.host, split(server.command), { environment = environment, output = server.log, background = true })
   if not server.process then
      say("server in %s: %s", server.host, problem)
      return code
   end
end

function servers.show_log (server)
   server.log:seek("set")
   local lines = {}
   for line in server.log:lines() do lines[#lines + 1] = line end
   for i = math.max(1, #lines - 20), #lines do
      io.stderr:write(("  %s: %s\n"):format(server.host, lines[i]))
   end
end

-- true: go on; false: not yet; nil: it will never be ready.
function servers.ready (l, server, port, waited, say)
   local status = server.process:status()
   if status and status ~= 0 then
      say("server in %s ended with exit code %d before COMMAND began: %s", server.host, status, server.command)
      servers.show_log(server)
      return nil
   end
   local ports = listening(l, server.host)
   if port and ports[port] or not port and next(ports) then return true end
   if port and waited > PORT_PATIENCE then
      say("server in %s listens nowhere at port %d after %ds: %s", server.host, port, PORT_PATIENCE, server.command)
      servers.show_log(server)
      return nil
   end
   return not port and waited > SERVER_PATIENCE
end


-- environment(host): what its programs find in theirs.
function servers.start (l, texts, hosts, environment, say)
   local list, names = {}, {}
   for _, host in ipairs(hosts) do names[host] = true end
   for _, text in ipairs(texts or {}) do
      local server = server_of(text, names, hosts[#hosts])
      local code = start_server(l, server, environment(server.host), say)
      if code then return nil, code end
      list[#list + 1] = server
   end
   return list
end

function servers.stop (list)
   for _, server in ipairs(list) do server.process:kill("TERM") end
   for _, server in ipairs(list) do server.process:wait(0.5) end
end

return servers
