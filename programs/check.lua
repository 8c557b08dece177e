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
   print(("%s: ok, %d apps, %d links"):format(arguments[1], #graph.apps, #graph.links))
   return 0
end

return program
