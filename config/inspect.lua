-- inspect: reads a graph file without opening anything, for programs that look at graphs.
--
--   inspect(program, arguments) -> graph, or nil and the exit code
--
-- arguments[1] is the file, the others are its own.
return function (program, arguments)
   local file = arguments[1]
   if not file then
      io.stderr:write(("vanguard %s: which FILE? (vanguard help %s)\n"):format(program, program))
      return nil, 2
   end
   engine.setup { checking = true }
   if not engine.load_file(file, { [0] = file, table.unpack(arguments, 2) }) then
      io.stderr:write("vanguard: ", file, ": configures nothing (engine.configure(c), or return c)\n")
      return nil, 3
   end
   return engine.graph()
end
