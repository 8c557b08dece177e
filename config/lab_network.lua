-- lab_network: what is between the hosts of a lab.
--
--   network.plan(o, hosts) -> list       the Clumsies: { name =, from =, to =, parameters = }; nil, why not
--   network.wire(c, hosts, list, o)      apps and links
--   network.load_topology(path)          ... or what a file says: { hosts =, graph = }; nil, why not
--   network.wire_topology(c, topology)
--   network.find_clumsies() -> list      those of the running graph
local impairments = require "config.impairments"

local network = {}

-- The Clumsies, each with its direction and parameters, in the order of the report. Between two hosts ab
-- and ba; otherwise NAME_up and NAME_down for every host, with a switch in the middle.
local function directions (hosts, up, down, uplink)
   if #hosts == 2 then
      hosts = uplink and { hosts[1], "switch" } or hosts -- b and the outside are at the other end
      return { { name = "ab", from = hosts[1], to = hosts[2], parameters = up },
               { name = "ba", from = hosts[2], to = hosts[1], parameters = down } }
   end
   local list = {}
   for _, host in ipairs(hosts) do
      list[#list + 1] = { name = host .. "_up", from = host, to = "switch", parameters = impairments.merge(up, {}) }
      list[#list + 1] = { name = host .. "_down", from = "switch", to = host, parameters = impairments.merge(down, {}) }
   end
   return list
end

-- What --on, --ab and --ba say: { name, settings, option }.
local function exceptions (o)
   local list = {}
   for _, text in ipairs(o.on or {}) do
      local name, settings = text:match("^([%w_-]+):(.*)$")
      if not name then return nil, ('--on: "%s" is not NAME:PATH=VALUE, such as a_up:loss=5%%'):format(text) end
      list[#list + 1] = { name, settings, "--on" }
   end
   for _, name in ipairs { "ab", "ba" } do
      for _, text in ipairs(o[name] or {}) do list[#list + 1] = { name, text, "--" .. name } end
   end
   return list
end

-- What a scenario says first: a preset, parameters for all directions, and for some of them.
local function apply_base (base, list, by_name)
   local preset, problem = { up = {}, down = {} }, nil
   if not base then return true end
   if base.preset then preset, problem = impairments.preset(base.preset) end
   if not preset then return nil, problem end
   local all = {}
   for name, value in pairs(base) do
      if name ~= "preset" and not by_name[name] then impairments.assign(all, name, value) end
   end
   for _, one in ipairs(list) do
      local way = one.from == list[1].from and preset.up or one.name:match("_up$") and preset.up or preset.down
      local p = impairments.merge(way, all)
      for name, value in pairs(base[one.name] or {}) do impairments.assign(p, name, value) end
      one.parameters = impairments.merge(p, one.parameters)
   end
   return true
end

function network.plan (o, hosts)
   local up, down = impairments.of_options(o)
   if not up then return nil, down end
   local list, by_name = directions(hosts, up, down, o.uplink), {}
   for _, one in ipairs(list) do by_name[one.name] = one end
   local based, strange = apply_base(o.base, list, by_name)
   if not based then return nil, strange end
   for _, name in ipairs { "ab", "ba" } do
      local line, one, wrong = o[name .. "-netem"], by_name[name], nil
      if line and not one then return nil, ('--%s-netem: there is no "%s"'):format(name, name) end
      if line then one.parameters, wrong = impairments.netem(line, one.parameters, o.compat) end
      if wrong then return nil, ("--%s-netem: %s"):format(name, wrong) end
   end
   local special, problem = exceptions(o)
   if not special then return nil, problem end
   for _, e in ipairs(special) do
      local one = by_name[e[1]]
      if not one then return nil, ('%s: there is no "%s"%s'):format(e[3], e[1], units.nearest(e[1], by_name)) end
      local good, wrong = impairments.parse(e[2], one.parameters)
      if not good then return nil, e[3] .. ": " .. wrong end
   end
   return list
end

-- What is at the switch without a Clumsy in between.
local function direct (c, name, ifname)
   config.app(c, "if_" .. name, RawSocket, ifname)
   config.link(c, "if_" .. name .. ".output -> switch." .. name)
   config.link(c, "switch." .. name .. " -> if_" .. name .. ".input")
end

-- Where a Clumsy's packets come from, and where they go.
local function source_of (one) return one.from == "switch" and "switch." .. one.to or "if_" .. one.from .. ".output" end

-- To a host or the switch lead a Clumsy's packets and what the other one tells the sender ("back"):
-- both go through a Join.
local function goal_of (one) return one.to == "switch" and "switch." .. one.from or "if_" .. one.to .. ".input" end

local function counterpart (clumsies, one)
   for _, other in ipairs(clumsies) do
      if other.from == one.to and other.to == one.from then return other end
   end
end

function network.wire (c, hosts, clumsies, o)
   if #hosts ~= 2 or o.uplink then config.app(c, "switch", Bridge, { partition = o.partition }) end
   if o.uplink then direct(c, "uplink", "uplink") end
   for i, host in ipairs(hosts) do
      if #hosts == 2 and i == 2 and o.uplink then
         direct(c, host, host)
      else
         config.app(c, "if_" .. host, RawSocket, host)
      end
   end
   for _, one in ipairs(clumsies) do
      local joined = "join_" .. one.name
      config.app(c, one.name, Clumsy, one.parameters)
      config.app(c, joined, Join)
      config.link(c, source_of(one) .. " -> " .. one.name .. ".input")
      config.link(c, one.name .. ".output -> " .. joined .. ".forward")
      config.link(c, counterpart(clumsies, one).name .. ".back -> " .. joined .. ".back")
      config.link(c, joined .. ".output -> " .. goal_of(one))
   end
end

-- { hosts = { "a", "b" }, graph = function (c, ports) ... end }: the names of the RawSockets are in ports,
-- by host. nil and what is wrong.
function network.load_topology (path)
   local chunk, problem = loadfile(path)
   if not chunk then return nil, problem end
   local good, topology = pcall(chunk)
   if not good then return nil, tostring(topology) end
   if type(topology) ~= "table" or type(topology.hosts) ~= "table" or type(topology.graph) ~= "function" then
      return nil, path .. " does not return { hosts = { ... }, graph = function (c, ports) ... end }"
   end
   for _, host in ipairs(topology.hosts) do
      if type(host) ~= "string" then return nil, path .. ": hosts are names" end
   end
   return topology
end

function network.wire_topology (c, topology)
   local ports = {}
   for _, host in ipairs(topology.hosts) do
      ports[host] = "if_" .. host
      config.app(c, ports[host], RawSocket, host)
   end
   topology.graph(c, ports)
end

-- The Clumsies that a file has made, for the report.
function network.find_clumsies ()
   local list = {}
   for _, name in ipairs(engine.apps()) do
      if engine.app(name).class == "Clumsy" then list[#list + 1] = { name = name } end
   end
   return list
end

return network
