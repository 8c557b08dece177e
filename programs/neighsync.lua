-- vanguard neighsync: SONiC's neighbour table in Redis, in place of neighsyncd.
local configuration = require "config.neighsync_config"
local service = require "config.service"

local program = {
   doc = "the kernel's neighbours in SONiC's database",
   args = "",
   help = "Keeps NEIGH_TABLE of APPL_DB as the kernel's neighbours (ARP, IPv6 ND) are, as neighsyncd does, until it is " ..
          "ended. The databases are where database_config.json says, unless the configuration or --redis says " ..
          "otherwise. SIGHUP: tell Redis everything anew.\v" ..
          "Exit code 0 when it was ended, 1 when a warm restart failed, 3 for a configuration that cannot be.",
   options = {
      { name = "config", short = "c", type = "string", arg = "FILE.lua", doc = "returns tables: redis, netlink, logging ..." },
      { name = "check-config", type = "flag", doc = "say whether the configuration is right, and end" },
      { name = "redis", type = "string", arg = "SERVER", doc = "path of a socket, or HOST:PORT, for all databases" },
      { name = "namespace", type = "string", arg = "NAME", doc = "whose databases, of several ASICs (asic0)" },
      { name = "once", type = "flag", doc = "tell Redis of what there is now, and end" },
      { name = "dump", type = "flag", doc = "print what would be in the table, and end; needs no Redis" },
      { name = "name", short = "n", type = "string", arg = "NAME", doc = "what top and ctl know it by (neighsync)" },
   },
}

local APP = "neighsync"
local LEVELS = { debug = 1, info = 2, warn = 3, error = 4 }
local settings

local function log (level, message, fields)
   if LEVELS[level] < LEVELS[settings.logging.level] then return end
   local line
   if settings.logging.format == "json" then
      fields = fields or {}
      fields.ts, fields.level, fields.message = os.date("!%Y-%m-%dT%H:%M:%SZ"), level, message
      line = json.encode(fields)
   else
      line = "vanguard neighsync: " .. message
   end
   io.stderr:write(line, "\n")
end

local function fail (text)
   io.stderr:write("vanguard neighsync: ", text, "\n")
   return 3
end

-- Starts it; `server` outweighs the configuration.
local function start (server, o)
   engine.setup { name = o.name or "neighsync", any_name = not o.name, log_json = settings.logging.format == "json",
                  log_nothing = LEVELS[settings.logging.level] > LEVELS.warn, checking = o["check-config"], packets = 256 }
   local c = config.new()
   config.app(c, APP, NeighSync, configuration.parameters(settings, server, o.namespace))
   engine.configure(c)
end

local function status () return engine.call(APP, "status") end

local function print_rows ()
   local rows = engine.call(APP, "rows")
   table.sort(rows, function (a, b) return a.key < b.key end)
   for _, row in ipairs(rows) do print(("NEIGH_TABLE:%s neigh %s family %s"):format(row.key, row.neigh, row.family)) end
end

local function dump (o)
   start("none", o)
   local why, number = engine.main { no_report = true, done = function () return status().complete end }
   if why then return 128 + number end
   print_rows()
   return 0
end

-- What is worth a line: it is another than before.
local function watch_state ()
   local before
   return function ()
      local s = status()
      local now = s.state .. (s.complete and ", complete" or "") .. (s.redis and "" or ", no Redis") .. ", " .. s.status
      if now ~= before then
         log(s.status == "healthy" and "info" or "warn", now, s)
         service.status(now)
      end
      before = now
      if s.failed then engine.stop() end
   end
end

local function serve (o)
   start(o.redis, o)
   local look = watch_state()
   timer.every("500ms", look)
   service.begin()
   engine.main {
      no_report = true,
      done = o.once and function ()
         local s = status()
         return s.complete and s.told and (s.state == "cold" or s.state == "reconciled")
      end or nil,
      reload = function ()
         log("info", "told Redis everything anew")
         engine.call(APP, "resync")
      end,
   }
   service.stop()
   look()
   return status().failed and 1 or 0
end

function program.run (o, arguments)
   if #arguments > 0 then
      io.stderr:write("vanguard neighsync: takes no argument (vanguard help neighsync)\n")
      return 2
   end
   local warnings, problem = {}, nil
   settings, problem = configuration.read(o.config or os.getenv("NEIGHSYNCD_CONFIG"),
                                          function (text) warnings[#warnings + 1] = text end)
   if not settings then return fail(problem) end
   for _, text in ipairs(warnings) do log("warn", text) end
   if o["check-config"] then
      start(o.redis, o)
      print("ok")
      return 0
   end
   return o.dump and dump(o) or serve(o)
end

return program
