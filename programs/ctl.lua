-- vanguard ctl: reads and changes the parameters of a program that runs.
local program = {
   doc = "change a graph while it runs",
   args = "NAME get PATH... | set PATH=VALUE... | call APP OPERATION [KEY=VALUE...] | apps | counters [APP] | stop",
   help = "Talks to the program that runs under NAME (vanguard top lists them). A path is the name of an " ..
          "app and of its parameter: wan.loss.p, or wan.loss for all of loss.\vSeveral changes are one: all " ..
          "hold from the same breath on, or none does. No stream of random decisions begins anew; the " ..
          "number in brackets says how many packets had come by then.",
   options = {
      { name = "json", type = "flag", doc = "the answer as JSON" },
   },
}

local function usage (text)
   io.stderr:write("vanguard ctl: ", text, " (vanguard help ctl)\n")
   return 2
end

-- ab.loss=5% ... as a request; nil and what is wrong.
local function assignments (words)
   local values = {}
   for _, word in ipairs(words) do
      local path, value = word:match("^([^=]+)=(.*)$")
      if not path then return nil, ('"%s" is not PATH=VALUE'):format(word) end
      values[path] = value
   end
   if not next(values) then return nil, "set what? PATH=VALUE" end
   return values
end

local show = {}

function show.get (answer)
   for _, v in ipairs(answer.values) do print(v.path .. "=" .. v.value) end
end

function show.set (answer)
   for _, c in ipairs(answer.changes) do
      print(("%s: %s -> %s (packet %d)"):format(c.path, c.before, c.after, c.packets))
   end
end

function show.apps (answer)
   for _, app in ipairs(answer.apps) do print(("%-16s %s"):format(app.name, app.class)) end
end

function show.counters (answer)
   local names = {}
   for name in pairs(answer.apps) do names[#names + 1] = name end
   table.sort(names)
   for _, name in ipairs(names) do
      local counters = {}
      for counter, n in pairs(answer.apps[name]) do counters[#counters + 1] = ("%s %d"):format(counter, n) end
      table.sort(counters)
      print(name .. ": " .. table.concat(counters, ", "))
   end
end

function show.call (answer) print(json.encode(answer.answer)) end

function show.stop () end

local function call_of (words)
   if not words[2] then return nil, "call what? APP OPERATION" end
   local args
   if words[3] then
      local problem
      args, problem = assignments { table.unpack(words, 3) }
      if not args then return nil, problem end
   end
   return { command = "call", app = words[1], operation = words[2], args = args }
end

local function request_of (command, words)
   if command == "call" then return call_of(words) end
   if command == "get" then return #words > 0 and { command = "get", paths = words }, "get what? PATH..." end
   if command == "counters" then return { command = command, app = words[1] } end
   if command ~= "set" then return { command = command } end
   local values, problem = assignments(words)
   return values and { command = "set", values = values }, problem
end

function program.run (options, arguments)
   local name, command = arguments[1], arguments[2]
   if not name or not command then return usage("which program, and what with it?") end
   if not show[command] then
      return usage(('no command "%s"%s'):format(command, units.nearest(command, show)))
   end
   local request, problem = request_of(command, { table.unpack(arguments, 3) })
   if not request then return usage(problem) end
   local text, failure, code = control.ask(name, json.encode(request))
   if not text then
      io.stderr:write("vanguard ctl: ", failure, "\n")
      return code
   end
   if options.json then print(text) end
   local answer = json.decode(text) or { error = "an answer that is none" }
   if not answer.ok then
      io.stderr:write("vanguard ctl: ", answer.error, "\n")
      return 3
   end
   if not options.json then show[command](answer) end
   return 0
end

return program
