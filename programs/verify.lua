-- vanguard verify: do two captures show the network that was asked for?
local expectation = require "config.expectation"
local impairments = require "config.impairments"

local program = {
   doc = "test two captures against the network they should show",
   args = "BEFORE AFTER",
   help = "Compares BEFORE, a capture of what entered a network path, with AFTER, one of what left it, packet by packet, " ..
          "and tests what is seen against the impairments given: shares lost, duplicated, corrupted and reordered, runs of " ..
          "losses, the distribution of delays, the rate. A right network fails a test once in a million.\vBoth captures " ..
          "need the same clock; Clumsy's capture.before and capture.after have it, and what these say in comments is " ..
          "ignored here.\n\nExit code 0: all tests hold; 6: one fails; 8: none fails, but there are too few packets for one " ..
          "of them, that is, half or twice the parameter might have passed too.",
   options = {
      { name = "against", short = "a", type = "string", arg = "FILE", doc = "a graph file, or one that returns parameters" },
      { name = "app", type = "string", arg = "NAME", doc = "which Clumsy of the graph, when there are several" },
      { name = "direction", type = "choice", choices = { "up", "down" }, arg = "WAY", default = "up", doc = "which way of a preset" },
      { name = "tolerance", type = "duration", arg = "TIME", default = "500us",
        doc = "how much later than asked packets of a live network may be at the median" },
      { name = "json", type = "flag", doc = "the result as JSON" },
      { name = "quiet", short = "q", type = "flag", doc = "the exit code says it all" },
   },
}

for _, row in ipairs(impairments.options) do program.options[#program.options + 1] = row end

local function usage (text)
   io.stderr:write("vanguard verify: ", text, " (vanguard help verify)\n")
   return 2
end

-- The parameters that a file describes; nil and what is wrong.
local function of_file (o)
   local configured, parameters = engine.load_file(o.against, { [0] = o.against })
   if not configured then
      if type(parameters) == "table" then return expectation.of_parameters(parameters) end
      return nil, o.against .. ": neither configures a graph nor returns parameters"
   end
   local found
   for _, app in ipairs(engine.graph().apps) do
      if app.class == "Clumsy" and (not o.app or app.name == o.app) then
         found = found or expectation.of_app(app)
      end
   end
   return found, o.app and ('%s: no Clumsy "%s"'):format(o.against, o.app) or o.against .. ": no Clumsy"
end

local function expected (o)
   if o.against then return of_file(o) end
   local up, down = impairments.of_options(o)
   if not up then return nil, down end
   return expectation.of_parameters(o.direction == "down" and down or up)
end

local function print_text (tests, f)
   print(("%d packets before, %d behind, %d matched by their bytes alone are ambiguous, %d exempt"):format(
      f.sent, f.received, f.ambiguous, f.exempt))
   for _, test in ipairs(tests) do
      local more = test.needed and (", needs %s"):format(type(test.needed) == "number" and test.needed .. " packets" or test.needed) or ""
      print(("%-12s %-26s expected %s, seen %s%s"):format(test.verdict, test.name, test.expected, test.seen, more))
   end
end

local function result (tests)
   local code = 0
   for _, test in ipairs(tests) do
      if test.verdict == "fails" then return 6 end
      if test.verdict == "inconclusive" then code = 8 end
   end
   return code
end

function program.run (o, arguments)
   if o["list-presets"] then
      impairments.list_presets(io.stdout)
      return 0
   end
   if #arguments ~= 2 then return usage("which two captures?") end
   engine.setup { checking = true }
   local e, problem = expected(o)
   if not e then return usage(problem) end
   local comparison = capture.compare(arguments[1], arguments[2], e.arp == "true")
   local tests, figures = expectation.check(e, comparison, o.tolerance or 500e-6)
   local code = result(tests)
   if o.json then
      print(json.encode { type = "verification", code = code, tests = tests, figures = figures })
   elseif not o.quiet then
      print_text(tests, figures)
   end
   return code
end

return program
