-- vanguard check: says what is wrong with a graph, without opening anything.
local program = {
   doc = "say what is wrong with a graph file",
   args = "FILE [ARGUMENT...]",
   help = "Reads FILE and checks its graph. Nothing is opened or started.\v" ..
          "Exit code 0 when it is right, 3 when not.",
   in_order = true,
   options = {},
}

function program.run (_, arguments)
   local file = arguments[1]
   if not file then
      io.stderr:write("vanguard check: which FILE? (vanguard help check)\n")
      return 2
   end
   engine.setup { checking = true }
   if not engine.load_file(file, { [0] = file, table.unpack(arguments, 2) }) then
      io.stderr:write("vanguard: ", file, ": configures nothing (engine.configure(c), or return c)\n")
      return 3
   end
   local graph = engine.graph()
   print(("%s: ok, %d apps, %d links"):format(file, #graph.apps, #graph.links))
   return 0
end

return program
