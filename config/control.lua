-- control: what another process may ask of this one (vanguard ctl). One request is one JSON
-- object: { "command": "get", ... }; the answer { "ok": true, ... } or { "ok": false, "error": "..." }.
-- What a program adds to control.commands can be asked for as well.

local commands = {}

-- { paths = { "wan.loss", ... } }: { values = { { path =, value = } } }
function commands.get (request)
   local values = {}
   for i, path in ipairs(request.paths or {}) do values[i] = { path = path, value = engine.get(path) } end
   return { values = values }
end

-- { values = { ["wan.loss.p"] = "5%" } }: { changes = { { path =, before =, after =, packets = } } }
function commands.set (request)
   return { changes = engine.set(request.values or {}) }
end

-- { apps = { { name =, class =, parameters = } } }
function commands.apps ()
   local graph = engine.graph()
   return { apps = graph and graph.apps or {} }
end

function commands.counters (request)
   local apps = {}
   for _, name in ipairs(engine.apps()) do
      if not request.app or request.app == name then apps[name] = engine.app(name).counters end
   end
   return { apps = apps }
end

-- { app =, operation =, args = }: { answer = }
function commands.call (request)
   return { answer = engine.call(tostring(request.app), tostring(request.operation), request.args) }
end

function commands.stop ()
   engine.stop()
   return {}
end

local function answer (request)
   if type(request) ~= "table" then error("not a request", 0) end
   local command = commands[request.command] or control.commands[request.command]
   if not command then
      error(('no command "%s"%s'):format(tostring(request.command),
                                          units.nearest(tostring(request.command), commands)), 0)
   end
   return command(request)
end

-- Whatever comes in, an answer goes out.
return function (line)
   local request, problem = json.decode(line)
   local ok, result = false, problem
   if request ~= nil then ok, result = pcall(answer, request) end
   if not ok then return json.encode { ok = false, error = tostring(result) } end
   result.ok = true
   return json.encode(result)
end
