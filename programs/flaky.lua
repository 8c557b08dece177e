-- vanguard flaky: a bad network between two interfaces that exist.
local report = require "config.json_report"

local impairments = require "config.impairments"

local program = {
   doc = "a bad network between two interfaces",
   args = "IF1 IF2",
   help = "Bridges IF1 and IF2 through a bad network. Everything is per direction: a delay of 50ms " ..
          "makes round trips 100ms longer.\vForward is from IF1 to IF2; in presets it is the way up, and the client " ..
          "is at IF1. Without an impairment it is a plain bridge. ARP and IPv6 neighbour discovery pass unimpaired.",
   options = {},
}

for _, row in ipairs(impairments.options) do program.options[#program.options + 1] = row end
for _, row in ipairs {
   { name = "both", type = "flag", doc = "impair both directions (the default)" },
   { name = "forward", type = "flag", doc = "impair IF1 to IF2 only" },
   { name = "reverse", type = "flag", doc = "impair IF2 to IF1 only" },
   { name = "duration", short = "d", type = "duration", arg = "TIME", doc = "end after that time" },
   { name = "seed", type = "integer", arg = "N", doc = "of every random decision" },
   { name = "report", short = "r", type = "duration", arg = "TIME", doc = "report the load that often" },
   { name = "json", type = "flag", doc = "reports as JSON, one object a line" },
   { name = "name", short = "n", type = "string", arg = "NAME", doc = "what top knows it by" },
   { name = "busy", type = "flag", doc = "never sleep: for a core that is really ours" },
} do program.options[#program.options + 1] = row end

-- What leaves, and what the network tells a sender (the other direction's "back"), go to one interface.
local function one_direction (c, name, from, to, parameters, other)
   local impaired, joined = parameters and next(parameters), "join_" .. name
   config.app(c, joined, Join)
   if impaired then
      config.app(c, name, Clumsy, parameters)
      config.link(c, from .. ".output -> " .. name .. ".input")
   end
   config.link(c, (impaired and name or from) .. ".output -> " .. joined .. ".forward")
   if other.parameters and next(other.parameters) then config.link(c, other.name .. ".back -> " .. joined .. ".back") end
   config.link(c, joined .. ".output -> " .. to .. ".input")
end

local function describe (name, from, to, parameters)
   print(("%s, %s -> %s: %s"):format(name, from, to, impairments.describe(parameters)))
end

-- received = delivered + dropped by reason + held, for people.
local function conservation (name)
   local a = engine.app(name)
   if not a then return end
   local c, drops = a.counters, {}
   for counter, n in pairs(c) do
      if n > 0 and counter:match("^drop_") then drops[#drops + 1] = ("%s %d"):format(counter, n) end
   end
   table.sort(drops)
   print(("%s: received %d, duplicated %d, delivered %d, dropped %s, held %d"):format(
      name, c.packets, c.duplicated, c.delivered, #drops > 0 and table.concat(drops, ", ") or 0, c.held))
end

local function final_report ()
   engine.report()
   conservation("forward")
   conservation("reverse")
end

local function usage (text)
   io.stderr:write("vanguard flaky: ", text, " (vanguard help flaky)\n")
   return 2
end

function program.run (options, arguments)
   if options["list-presets"] then
      impairments.list_presets(io.stdout)
      return 0
   end
   local if1, if2 = arguments[1], arguments[2]
   if #arguments ~= 2 then return usage("which two interfaces?") end
   local up, down = impairments.of_options(options)
   if not up then return usage(down) end
   local one_way = not options.both and options.forward ~= options.reverse
   if one_way and options.reverse then up = nil end
   if one_way and options.forward then down = nil end
   engine.setup { name = options.name or "flaky", any_name = not options.name, seed = options.seed }
   local c = config.new()
   config.app(c, "if1", RawSocket, if1)
   config.app(c, "if2", RawSocket, if2)
   one_direction(c, "forward", "if1", "if2", up, { name = "reverse", parameters = down })
   one_direction(c, "reverse", "if2", "if1", down, { name = "forward", parameters = up })
   engine.configure(c)
   if not options.json then
      describe("forward", if1, if2, up)
      describe("reverse", if2, if1, down)
      print(("seed %d"):format(engine.seed()))
      io.stdout:flush()
   end
   engine.main {
      duration = options.duration, busy = options.busy, interval = options.report,
      each = options.json and report.load or nil, report = options.json and report.final or final_report,
   }
   return 0
end

return program
