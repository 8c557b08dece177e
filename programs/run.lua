-- vanguard run: runs a graph that a Lua file describes.
local program = {
   doc = "run a graph",
   args = "FILE [ARGUMENT...]",
   help = "Runs the graph that FILE describes. FILE sees the arguments behind it as arg[1], arg[2] ...\v" ..
          "SIGHUP reads FILE again and changes what differs; SIGINT and SIGTERM end it with a report.",
   in_order = true,
   options = {
      { name = "duration", short = "d", type = "duration", arg = "TIME", doc = "end after that time" },
      { name = "report", short = "r", type = "duration", arg = "TIME", doc = "report the load that often" },
      { name = "no-report", type = "flag", doc = "no report at the end" },
      { name = "json", type = "flag", doc = "reports as JSON, one object a line" },
      { name = "name", short = "n", type = "string", arg = "NAME", doc = "what top and ctl know it by" },
      { name = "busy", type = "flag", doc = "never sleep: for a core that is really ours" },
      { name = "hz", type = "integer", arg = "N", minimum = "1", maximum = "1000000",
        doc = "breathe at a fixed rhythm" },
      { name = "cores", type = "string", arg = "LIST",
        doc = "the CPUs that are the graph's cores 0, 1 ..., such as 2,3; any by default" },
      { name = "seed", type = "integer", arg = "N", doc = "of every random decision" },
      { name = "packets", type = "integer", arg = "N", minimum = "64", maximum = "4194304",
        doc = "how many packets there are" },
   },
}

local report = require "config.json_report"

local function base_name (path) return (path:match("([^/]+)$") or path):gsub("%.lua$", "") end

function program.run (options, arguments)
   local file = arguments[1]
   if not file then
      io.stderr:write("vanguard run: which FILE? (vanguard help run)\n")
      return 2
   end
   engine.setup { name = options.name or base_name(file), any_name = not options.name,
                  seed = options.seed, packets = options.packets, cores = options.cores }
   local script = { [0] = file, table.unpack(arguments, 2) }
   engine.override {
      duration = options.duration, busy = options.busy, hz = options.hz,
      interval = options.report, each = options.json and report.load or nil,
      no_report = options["no-report"], file = file, arguments = script,
      report = options.json and not options["no-report"] and report.final or nil,
   }
   if not engine.load_file(file, script) then
      io.stderr:write("vanguard: ", file, ": configures nothing (engine.configure(c), or return c)\n")
      return 3
   end
   if not engine.ran() then engine.main() end
   return 0
end

return program
