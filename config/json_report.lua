-- json_report: what an engine did, one JSON object a line.
--
--   report.load()      the load since the last one
--   report.final()     all counters too: { type = "report", load, engine, apps, links }
--   report.out         where to; the standard output unless it is set
local report = {}

local function print_line (object)
   local out = report.out or io.stdout
   out:write(json.encode(object), "\n")
   out:flush()
end

function report.load ()
   local load = engine.load()
   load.type = "load"
   print_line(load)
end

function report.final ()
   local apps, links, own = {}, {}, counters.own().words
   for _, name in ipairs(engine.apps()) do
      local app = engine.app(name)
      apps[name] = { class = app.class, counters = app.counters }
   end
   for _, l in ipairs(engine.links()) do links[tostring(l)] = l:stats() end
   local words = {}
   for name, value in pairs(own) do
      local word = name:match("^engine/(.*)")
      if word then words[word] = value end
   end
   print_line { type = "report", load = engine.load(), engine = words, apps = apps, links = links,
                seed = engine.seed() }
end

return report
