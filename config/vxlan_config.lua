-- vxlan_config: what vanguard vxlan-nat is told, as parameters of VxlanNat.
--
--   config.parameters(options) -> parameters        of the file and the options, which outweigh it; nil, what is wrong,
--                                                   exit code
--   config.rule(words) -> rule                      of words such as port=80 to=192.0.2.1:8080; nil, what is wrong
--   config.explain(path, problem) -> problem        with the place in the file in front, where it is one of VxlanNat
--   config.check(path) -> list of text              all that is wrong with a file
--
-- In a file, rules may also be { [8080] = "172.30.82.95:8081" }: by their port, for TCP and UDP.
local parameter_file = require "config.parameter_file"

local vxlan = {}

local AS_GIVEN = {
   allowlist = "allow_file", vni = "vnis", port = "ports", mode = "mode", match = "match", mtu = "mtu", fastpath = "fastpath",
   max = "allow_max", ["keep-sessions"] = "keep_sessions", ["flat-only"] = "flat_only", mask = "mask", ["skip-bad"] = "skip_bad",
   ["allow-empty"] = "allow_empty",
}
local LISTS = { vtep = "vteps", peer = "peers", allow = "allow" }

-- Rules by their ports become rules of a list, behind the others. places: what they are called in the file, by their
-- numbers then.
local function plain_rules (rules)
   if type(rules) ~= "table" then return rules, {} end
   local list, places, ports = {}, {}, {}
   local length = #rules
   for key, value in pairs(rules) do
      local port = math.type(key) == "integer" and type(value) == "string"
      if port then ports[#ports + 1] = key
      elseif math.type(key) == "integer" and key >= 1 and key <= length then list[key] = value
      else return nil, ("rules[%s]: rules are a list, or [PORT] = \"ADDRESS:PORT\""):format(tostring(key)) end
   end
   table.sort(ports)
   local all = {}
   for i = 1, length do
      if list[i] ~= nil then
         all[#all + 1] = list[i]
         places[#all] = i
      end
   end
   for _, port in ipairs(ports) do
      all[#all + 1] = { port = tostring(port), to = rules[port] }
      places[#all] = port
   end
   return all, places
end

-- A rule is called what it is called in the file.
local function in_places (text, places)
   return (text:gsub("rules%[(%d+)%]", function (n) return places[tonumber(n)] and ("rules[%s]"):format(places[tonumber(n)]) end, 1))
end

local last_places = {} -- of the file that was read last

local function read (path)
   local parameters, problem = parameter_file.read(path)
   if not parameters then return nil, problem end
   local rules, places = plain_rules(parameters.rules)
   if rules == nil and parameters.rules ~= nil then return nil, parameter_file.place(path, "rules") .. places end
   local copy = {}
   for name, value in pairs(parameters) do copy[name] = value end
   copy.rules, last_places = rules, places or {}
   return copy
end

function vxlan.parameters (o)
   local parameters, problem = {}, nil
   if o.config then
      parameters, problem = read(o.config)
      if not parameters then return nil, problem, 3 end
   end
   for option, name in pairs(AS_GIVEN) do
      if o[option] ~= nil then parameters[name] = o[option] end
   end
   for option, name in pairs(LISTS) do
      if o[option] then parameters[name] = table.concat(o[option], " ") end
   end
   for _, text in ipairs(o.set or {}) do
      local name, value = text:match("^([%w_]+)=(.*)$")
      if not name then return nil, ("--set %s: NAME=VALUE"):format(text), 2 end
      parameters[name] = value
   end
   return parameters
end

function vxlan.rule (words)
   local rule = {}
   for _, word in ipairs(words) do
      local name, value = word:match("^([%w_]+)=(.+)$")
      if not name then return nil, ('"%s" is not NAME=VALUE: port=80 proto=tcp to=192.0.2.1:8080'):format(word) end
      if tonumber(name) then name, rule.port = "to", name end -- 8080=172.30.82.95:8081
      local list = {}
      if name == "to" then
         for one in value:gmatch("[^,]+") do list[#list + 1] = one end
      end
      rule[name] = #list > 1 and list or value
   end
   if next(rule) == nil then return nil, "which rule? port=80 proto=tcp to=192.0.2.1:8080" end
   return rule
end

function vxlan.explain (path, problem)
   if not path or type(problem) ~= "table" or not problem.text or not problem.text:match("%(VxlanNat%)") then return problem end
   local text = in_places(problem.text, last_places)
   problem.text = parameter_file.place(path, text) .. text
   return problem
end

-- --- check ---------------------------------------------------------------------------------

-- What VxlanNat says of these parameters alone; nil: nothing.
local function try (parameters)
   local good, problem = pcall(function ()
      local c = config.new()
      config.app(c, "nat", VxlanNat, parameters)
      engine.configure(c)
   end)
   if good then return nil end
   return (tostring(problem):gsub('^.*app "nat" %(VxlanNat%): ', ""))
end

-- Those of which each may be wrong by itself.
local function parts_of (name, value)
   if type(value) ~= "table" or #value == 0 or (name ~= "rules" and name ~= "allow") then return { value } end
   local parts = {}
   for i, part in ipairs(value) do parts[i] = { part } end
   return parts
end

local function check_file (list, path, parameters)
   local options = { path = parameters.allow_file, dry_run = true, skip_bad = true, allow_empty = true,
                     flat_only = parameters.flat_only, mask = parameters.mask }
   if try { allow_max = parameters.allow_max } then return end
   local good, answer = pcall(engine.call, "nat", "allow_load", options)
   if not good then
      list[#list + 1] = tostring(answer):gsub('^.*app "nat" %(VxlanNat%): ', "")
      return
   end
   for _, problem in ipairs(answer.problems) do list[#list + 1] = problem end
   if answer.skipped > #answer.problems then
      list[#list + 1] = ("%s: %d more"):format(answer.path, answer.skipped - #answer.problems)
   end
   if answer.total and answer.total ~= answer.prefixes then
      list[#list + 1] = ("%s: total_ips is %d, and there are %d"):format(answer.path, answer.total, answer.prefixes)
   end
   if answer.prefixes == 0 then list[#list + 1] = answer.path .. ": has no entries" end
end

function vxlan.check (path)
   local parameters, problem = read(path)
   if not parameters then return { problem } end
   local list, names = {}, {}
   for name in pairs(parameters) do names[#names + 1] = name end
   table.sort(names, function (a, b) return tostring(a) < tostring(b) end)
   engine.setup { name = "vxlan-check", any_name = true, packets = 256 }
   parameters.ingress, parameters.egress = nil, nil -- they need not be here
   for _, name in ipairs(names) do
      if name == "allow_file" and type(parameters[name]) == "string" then
         check_file(list, path, parameters)
      elseif parameters[name] ~= nil then
         for i, part in ipairs(parts_of(name, parameters[name])) do
            local text = try { [name] = part }
            if text then
               text = text:gsub("rules%[1%]", name == "rules" and ("rules[%s]"):format(last_places[i]) or "%0", 1)
               list[#list + 1] = parameter_file.place(path, tostring(name)) .. text
            end
         end
      end
   end
   if #list == 0 then
      local text = try(parameters)
      if text then list[1] = parameter_file.place(path, text) .. text end
   end
   return list
end

return vxlan
