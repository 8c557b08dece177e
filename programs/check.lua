-- vanguard check: says what is wrong with a graph, without opening anything.
local inspect = require "config.inspect"

local program = {
   doc = "say what is wrong with a graph file",
   args = "FILE [ARGUMENT...]",
   help = "Reads FILE and checks its graph. Nothing is opened or started.\v" ..
          "Exit code 0 when it is right, 3 when not.",
   in_order = true,
   options = {},
}

function program.run (_, arguments)
   local graph, code = inspect("check", arguments)
   if not graph then return code end
   local cores = 1
   for _, app in ipairs(graph.apps) do cores = math.max(cores, app.core + 1) end
   print(("%s: ok, %d apps, %d links%s"):format(arguments[1], #graph.apps, #graph.links,
                                               cores > 1 and (", %d cores"):format(cores) or ""))
   return 0
end

return program
