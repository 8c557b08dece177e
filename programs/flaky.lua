-- vanguard flaky: a bad network between two interfaces that exist.
local report = require "config.json_report"

local program = {
   doc = "a bad network between two interfaces",
   args = "IF1 IF2",
   help = "Bridges IF1 and IF2 through a bad network. Everything is per direction: a delay of 50ms " ..
          "makes round trips 100ms longer.\vForward is from IF1 to IF2. Without an impairment it is a " ..
          "plain bridge. ARP and IPv6 neighbour discovery pass unimpaired.",
   options = {
      { name = "delay", type = "duration", arg = "TIME", doc = "one-way delay (Clumsy's owd)" },
      { name = "jitter", type = "duration", arg = "TIME", doc = "half the width of the delay's variation" },
      { name = "distribution", type = "choice", choices = { "uniform", "normal" }, arg = "LAW",
        doc = "of the jitter: uniform, or normal with --jitter as standard deviation" },
      { name = "jitter-mode", type = "choice", choices = { "process", "reorder", "clamp" },
        arg = "MODE", doc = "process and clamp keep the order" },
      { name = "loss", type = "percent", arg = "SHARE", minimum = "0%", maximum = "100%", doc = "packets lost" },
      { name = "burst", type = "number", arg = "N", minimum = "1", maximum = "1000000",
        doc = "packets lost in a row, on average" },
      { name = "duplicate", type = "percent", arg = "SHARE", minimum = "0%", maximum = "100%", doc = "packets sent twice" },
      { name = "corrupt", type = "percent", arg = "SHARE", minimum = "0%", maximum = "100%", doc = "packets with a flipped bit" },
      { name = "reorder", type = "percent", arg = "SHARE", minimum = "0%", maximum = "100%", doc = "packets held back behind later ones" },
      { name = "rate", type = "rate", arg = "RATE", doc = "of the bottleneck, such as 10mbit" },
      { name = "queue", type = "limit", arg = "LIMIT", doc = "in front of it: 100ms, 64KB or 100p" },
      { name = "both", type = "flag", doc = "impair both directions (the default)" },
      { name = "forward", type = "flag", doc = "impair IF1 to IF2 only" },
      { name = "reverse", type = "flag", doc = "impair IF2 to IF1 only" },
      { name = "duration", short = "d", type = "duration", arg = "TIME", doc = "end after that time" },
      { name = "seed", type = "integer", arg = "N", doc = "of every random decision" },
      { name = "report", short = "r", type = "duration", arg = "TIME", doc = "report the load that often" },
      { name = "json", type = "flag", doc = "reports as JSON, one object a line" },
      { name = "name", short = "n", type = "string", arg = "NAME", doc = "what top knows it by" },
      { name = "busy", type = "flag", doc = "never sleep: for a core that is really ours" },
   },
}

-- The options as Clumsy's parameters; nil when nothing is impaired.
local function impairments (o)
   local jitter = o.jitter and {
      half = o.distribution ~= "normal" and o.jitter or nil,
      sd = o.distribution == "normal" and o.jitter or nil,
      mode = o["jitter-mode"],
   }
   local parameters = {
      owd = o.delay, jitter = jitter, loss = o.loss and { p = o.loss, burst = o.burst },
      duplicate = o.duplicate, corrupt = o.corrupt, reorder = o.reorder, rate = o.rate, queue = o.queue,
   }
   return next(parameters) and parameters or nil
end

local function one_direction (c, name, from, to, parameters)
   if parameters then
      config.app(c, name, Clumsy, parameters)
      config.chain(c, from, name, to)
   else
      config.chain(c, from, to)
   end
end

local function describe (name, from, to, o, impaired)
   local words = {}
   for _, key in ipairs { "delay", "jitter", "loss", "burst", "duplicate", "corrupt", "reorder", "rate", "queue" } do
      local value = o[key]
      if type(value) == "number" and (key == "delay" or key == "jitter") then value = ("%gms"):format(value * 1e3) end
      if value then words[#words + 1] = key .. " " .. tostring(value) end
   end
   print(("%s, %s -> %s: %s"):format(name, from, to, impaired and #words > 0 and table.concat(words, ", ") or "as it is"))
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

function program.run (options, arguments)
   local if1, if2 = arguments[1], arguments[2]
   if #arguments ~= 2 then
      io.stderr:write("vanguard flaky: which two interfaces? (vanguard help flaky)\n")
      return 2
   end
   local only = options.forward and "forward" or options.reverse and "reverse"
   if (options.forward and options.reverse) or options.both then only = nil end
   engine.setup { name = options.name or "flaky", any_name = not options.name, seed = options.seed }
   local parameters = impairments(options)
   local c = config.new()
   config.app(c, "if1", RawSocket, if1)
   config.app(c, "if2", RawSocket, if2)
   one_direction(c, "forward", "if1", "if2", only ~= "reverse" and parameters or nil)
   one_direction(c, "reverse", "if2", "if1", only ~= "forward" and parameters or nil)
   engine.configure(c)
   if not options.json then
      describe("forward", if1, if2, options, only ~= "reverse")
      describe("reverse", if2, if1, options, only ~= "forward")
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
