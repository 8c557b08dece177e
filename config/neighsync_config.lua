-- neighsync_config: the configuration of vanguard neighsync, with the keys of sonic-neighsyncd.
--
--   neighsync_config.read(path or nil, warn) -> settings; nil, what is wrong
--   neighsync_config.parameters(settings, server, namespace) -> of the app NeighSync; what is not nil outweighs
--
-- A file is Lua that returns a table of tables. An unknown key is worth a warning, a value of another type or
-- out of its range an error. What the environment says (NEIGHSYNCD_REDIS_HOST ...) outweighs the file.
local neighsync = {}

local function integer (least, most, default)
   return { kind = "an integer", least = least, most = most, default = default,
            good = function (v) return math.type(v) == "integer" and v >= least and v <= most end }
end
local function boolean (default)
   return { kind = "true or false", default = default, good = function (v) return type(v) == "boolean" end }
end
local function text (default)
   return { kind = "a string", default = default, good = function (v) return type(v) == "string" end }
end
local function choice (default, ...)
   local words, set = { ... }, {}
   for _, word in ipairs(words) do set[word] = true end
   return { kind = "one of " .. table.concat(words, ", "), default = default, good = function (v) return set[v] end }
end

local SECTIONS = {
   redis = {
      host = text(), port = integer(1, 65535), socket = text(), database_config = text(),
      namespace = text(), container = text(),
      timeout_ms = integer(100, 3600000, 30000),
   },
   netlink = { socket_buffer_size = integer(4096, 1 << 30, 16 << 20) },
   logging = { level = choice("info", "debug", "info", "warn", "error"), format = choice("json", "json", "text") },
   performance = { batch_size = integer(1, 1000, 128), neighbors = integer(1, 1 << 24, 131072),
                   interfaces = integer(1, 1 << 20, 16384) },
   metrics = { enabled = boolean(false), port = integer(1, 65535, 9091), mtls_enabled = boolean(true),
               server_cert = text(), server_key = text(), ca_cert = text() },
   deployment = { dual_tor = boolean(), ipv4_enabled = boolean(true), ipv6_enabled = boolean(true),
                  restore_timeout_s = integer(1, 3600, 180) },
}

local ENVIRONMENT = {
   NEIGHSYNCD_REDIS_HOST = { "redis", "host" }, NEIGHSYNCD_REDIS_PORT = { "redis", "port", tonumber },
   NEIGHSYNCD_LOG_LEVEL = { "logging", "level" }, NEIGHSYNCD_BATCH_SIZE = { "performance", "batch_size", tonumber },
}

local function wrong (section, key, row, value, place)
   local range = row.least and (" of %d..%d"):format(row.least, row.most) or ""
   return ("%s%s.%s: %s is not %s%s"):format(place, section, key, tostring(value), row.kind, range)
end

local function read_file (path)
   local chunk, problem = loadfile(path, "t", {})
   if not chunk then return nil, problem end
   local good, answer = pcall(chunk)
   if not good then return nil, tostring(answer) end
   if type(answer) ~= "table" then return nil, path .. ": does not return a table" end
   return answer
end

local function take_section (settings, name, given, path, warn)
   for key, value in pairs(given) do
      local row = SECTIONS[name][key]
      if not row then
         warn(("%s: no key %s.%s%s"):format(path, name, tostring(key), units.nearest(tostring(key), SECTIONS[name])))
      elseif not row.good(value) then
         return wrong(name, key, row, value, path .. ": ")
      else
         settings[name][key] = value
      end
   end
end

local function take_file (settings, path, warn)
   local file, problem = read_file(path)
   if not file then return problem end
   for name, given in pairs(file) do
      if not SECTIONS[name] then
         warn(("%s: no section %s%s"):format(path, tostring(name), units.nearest(tostring(name), SECTIONS)))
      elseif type(given) ~= "table" then
         return ("%s: %s is not a table"):format(path, name)
      else
         problem = take_section(settings, name, given, path, warn)
         if problem then return problem end
      end
   end
end

local function take_environment (settings)
   for variable, place in pairs(ENVIRONMENT) do
      local value = os.getenv(variable)
      local row = SECTIONS[place[1]][place[2]]
      if value then
         if place[3] then value = math.tointeger(place[3](value)) or value end
         if not row.good(value) then return wrong(place[1], place[2], row, value, variable .. ": ") end
         settings[place[1]][place[2]] = value
         if place[1] == "redis" then settings.redis.socket = nil end
      end
   end
end

-- Files that are named must be there.
local function check_files (settings)
   for _, key in ipairs { "server_cert", "server_key", "ca_cert" } do
      local path = settings.metrics[key]
      local file, problem = path and io.open(path)
      if path and not file then return ("metrics.%s: %s"):format(key, problem) end
      if file then file:close() end
   end
end

function neighsync.read (path, warn)
   local settings = {}
   for name, rows in pairs(SECTIONS) do
      settings[name] = {}
      for key, row in pairs(rows) do settings[name][key] = row.default end
   end
   local problem = path and take_file(settings, path, warn)
   problem = problem or take_environment(settings) or check_files(settings)
   if problem then return nil, problem end
   return settings
end

local function server_of (redis)
   if redis.socket then return redis.socket end
   if not redis.host and not redis.port then return nil end
   local host = redis.host or "127.0.0.1"
   return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, redis.port or 6379)
end

function neighsync.parameters (s, server, namespace)
   local dual_tor = s.deployment.dual_tor
   return {
      namespace = namespace or s.redis.namespace, container = s.redis.container,
      redis = server or server_of(s.redis), database_config = s.redis.database_config,
      redis_timeout = s.redis.timeout_ms / 1000, socket_buffer_size = s.netlink.socket_buffer_size,
      batch_size = s.performance.batch_size, neighbors = s.performance.neighbors, interfaces = s.performance.interfaces,
      dual_tor = dual_tor and "on" or dual_tor == false and "off" or nil,
      ipv4_enabled = s.deployment.ipv4_enabled, ipv6_enabled = s.deployment.ipv6_enabled,
      restore_timeout = s.deployment.restore_timeout_s,
   }
end

return neighsync
