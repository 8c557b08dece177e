-- running: programs that run, and what they are asked by others.
--
--   running.ask(name, request) -> answer                nil, what is wrong, exit code
--   running.call(name, app, operation, args) -> answer of an operation of an app; the same
--   running.find(name, usual, nobody) -> name of one    the same; `usual` is what such programs are called, with -2 and so on
--                                                       behind, `nobody` what to say when none runs
--   running.apps(name, class) -> { { name =, parameters = }, ... }; the same
local running = {}

function running.ask (name, request)
   local text, problem, code = control.ask(name, json.encode(request))
   if not text then return nil, problem, code end
   local answer = json.decode(text)
   if type(answer) ~= "table" then return nil, name .. " gives no answer", 1 end
   if not answer.ok then return nil, answer.error, 3 end
   return answer
end

function running.call (name, app, operation, args)
   local answer, problem, code = running.ask(name, { command = "call", app = app, operation = operation, args = args })
   if not answer then return nil, problem, code end
   return answer.answer == nil and {} or answer.answer
end

function running.apps (name, class)
   local answer, problem, code = running.ask(name, { command = "apps" })
   if not answer then return nil, problem, code end
   local apps = {}
   for _, app in ipairs(answer.apps) do
      if app.class == class then apps[#apps + 1] = app end
   end
   if #apps == 0 then return nil, ('nothing that runs in "%s" is a %s'):format(name, class), 3 end
   return apps
end

local function alive (name)
   local reading = counters.read(name)
   return reading and process.alive(reading.pid)
end

function running.find (name, usual, nobody)
   local all, ours = {}, {}
   for _, n in ipairs(counters.names()) do
      if alive(n) then
         all[n] = true
         local number = n:sub(#usual + 1)
         if n:sub(1, #usual) == usual and (number == "" or number:match("^%-%d+$")) then ours[#ours + 1] = n end
      end
   end
   table.sort(ours)
   if name then
      if all[name] then return name end
      return nil, ('"%s" does not run%s'):format(name, units.nearest(name, all)), 1
   end
   if #ours == 1 then return ours[1] end
   if #ours == 0 then return nil, nobody, 1 end
   return nil, "which one? --name " .. table.concat(ours, ", --name "), 2
end

return running
