-- lab_network: what is between the hosts of a lab.
--
--   network.plan(o, hosts) -> list       the Clumsies: { name =, from =, to =, parameters =, cross = }, and
--                                        list.nats, parameters by host; nil, why not
--   network.words(list)                  what it is, in lines
--   network.nat_hosts(list)              who has one
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

-- Words of a scenario's network that are no parameters of Clumsy.
local BESIDE = { preset = true, nat = true, cross = true }

-- What a scenario says first: a preset, parameters for all directions, and for some of them.
local function apply_base (base, list, by_name)
   local preset, problem = { up = {}, down = {} }, nil
   if not base then return true end
   if base.preset then preset, problem = impairments.preset(base.preset) end
   if not preset then return nil, problem end
   local all = {}
   for name, value in pairs(base) do
      if not BESIDE[name] and not by_name[name] then impairments.assign(all, name, value) end
   end
   for _, one in ipairs(list) do
      local way = one.from == list[1].from and preset.up or one.name:match("_up$") and preset.up or preset.down
      local p = impairments.merge(way, all)
      for name, value in pairs(base[one.name] or {}) do
         if not BESIDE[name] then impairments.assign(p, name, value) end
      end
      one.parameters = impairments.merge(p, one.parameters)
   end
   return true
end

-- --- what else is on the way --------------------------------------------------------------

-- "5mbit", "2", "size=500": a rate, flows, or any parameter of CrossTraffic. Text of a kind and such words.
local function cross_of (text)
   local p = {}
   if type(text) == "table" then return text end
   for word in tostring(text):gmatch("%S+") do
      local name, value = word:match("^([%a_]+)=(.+)$")
      if not p.kind then
         p.kind = word
      elseif name then
         p[name] = value
      elseif tonumber(word) then
         p.flows = tonumber(word)
      else
         p.rate = word
      end
   end
   return p
end

-- What is said of the traffic of others: { text =, name = }, no name for every direction with a bottleneck.
-- Later words take the place of earlier ones.
local function cross_wishes (o, list)
   local wishes, base = {}, o.base or {}
   local function add (text, name)
      if text then wishes[#wishes + 1] = { text = text, name = name } end
   end
   for _, name in pairs { base.preset or false, o.preset or false } do
      local preset = name and impairments.preset(name)
      for _, one in ipairs(preset and list or {}) do
         if one.name == "ab" or one.name:match("_up$") then add(preset.cross, one.name) end
      end
   end
   add(base.cross)
   for _, one in ipairs(list) do add((base[one.name] or {}).cross, one.name) end
   for _, text in ipairs(o.cross or {}) do
      local name, words = text:match("^([%w_-]+):%s*(.*)$")
      add(words or text, name)
   end
   return wishes
end

local function add_cross (list, by_name, wishes)
   for _, wish in ipairs(wishes) do
      local any
      if wish.name and not by_name[wish.name] then
         return nil, ('cross: there is no "%s"%s'):format(wish.name, units.nearest(wish.name, by_name))
      end
      for _, one in ipairs(wish.name and { by_name[wish.name] } or list) do
         if impairments.has_bottleneck(one.parameters) then one.cross, any = cross_of(wish.text), true end
      end
      if not any then return nil, ('cross: there is no bottleneck to share with "%s": set rate'):format(tostring(wish.text)) end
   end
   for _, one in ipairs(list) do
      local rate = one.parameters.rate
      if one.cross and not (type(rate) == "table" and rate.shared) then
         impairments.assign(one.parameters, "rate.shared", "bottleneck_" .. one.name)
      end
   end
   return true
end

-- The parameters of the Nats, by host: what a scenario says, then --nat HOST[:SETTINGS].
local function nats_of (o, hosts)
   local nats, known = {}, {}
   for _, host in ipairs(hosts) do known[host] = true end
   local base = o.base and o.base.nat or {}
   if type(base) ~= "table" then return nil, "nat = { HOST = { ... } } is a table of hosts" end
   for host, p in pairs(base) do
      if type(p) ~= "table" then return nil, "nat = { HOST = { ... } } is a table of hosts" end
      nats[host] = impairments.merge(p, {})
   end
   for _, text in ipairs(o.nat or {}) do
      local host, settings = text:match("^([%w_-]+):?(.*)$")
      if not host then return nil, ('--nat: "%s" is not HOST or HOST:NAME=VALUE, such as a:rebind_at=10s'):format(text) end
      nats[host] = nats[host] or {}
      for word in settings:gmatch("[^,]+") do
         local name, value = word:match("^%s*([%a_][%w_]*)=(.-)%s*$")
         if not name then return nil, ('--nat: "%s" is not NAME=VALUE, such as udp_timeout=5s'):format(word) end
         nats[host][name] = value
      end
   end
   for host in pairs(nats) do
      if not known[host] then return nil, ('nat: there is no host "%s"%s'):format(host, units.nearest(host, known)) end
   end
   return nats
end

function network.plan (o, hosts)
   local up, down = impairments.of_options(o, true)
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
   local crossed, lonely = add_cross(list, by_name, cross_wishes(o, list))
   if not crossed then return nil, lonely end
   local nats, nobody = nats_of(o, hosts)
   if not nats then return nil, nobody end
   list.nats = nats
   return list
end

function network.nat_hosts (list)
   local hosts = {}
   for host in pairs(list.nats or {}) do hosts[#hosts + 1] = host end
   table.sort(hosts)
   return hosts
end

-- The plan in words, a line for each.
function network.words (list)
   local words = {}
   for _, one in ipairs(list) do
      words[#words + 1] = ("%s -> %s: %s"):format(one.from, one.to, one.asked or impairments.describe(one.parameters))
      if one.cross then words[#words + 1] = ("others in %s: %s"):format(one.name, impairments.describe(one.cross)) end
   end
   for _, host in ipairs(network.nat_hosts(list)) do
      words[#words + 1] = ("nat of %s: %s"):format(host, impairments.describe(list.nats[host]))
   end
   return words
end

-- A host's interface, behind its Nat if it has one.
local function put_host (c, host, nat)
   config.app(c, "if_" .. host, RawSocket, host)
   if not nat then return end
   config.app(c, "nat_" .. host, Nat, nat)
   config.link(c, "if_" .. host .. ".output -> nat_" .. host .. ".inside")
   config.link(c, "nat_" .. host .. ".inside -> if_" .. host .. ".input")
end

-- Where packets of a host come from, and where those for it go.
local function from_host (host, nats) return nats[host] and "nat_" .. host .. ".outside" or "if_" .. host .. ".output" end
local function to_host (host, nats) return nats[host] and "nat_" .. host .. ".outside" or "if_" .. host .. ".input" end

-- What is at the switch without a Clumsy in between.
local function direct (c, name, nats)
   put_host(c, name, nats[name])
   config.link(c, from_host(name, nats) .. " -> switch." .. name)
   config.link(c, "switch." .. name .. " -> " .. to_host(name, nats))
end

-- Where a Clumsy's packets come from, and where they go.
local function source_of (one, nats) return one.from == "switch" and "switch." .. one.to or from_host(one.from, nats) end

-- To a host or the switch lead a Clumsy's packets and what the other one tells the sender ("back"):
-- both go through a Join.
local function goal_of (one, nats) return one.to == "switch" and "switch." .. one.from or to_host(one.to, nats) end

-- The others come first: the bottleneck is as the one who comes last says, and is changed under way.
local function put_cross (c, one)
   if not one.cross then return end
   local p = one.parameters
   config.app(c, "cross_" .. one.name, CrossTraffic, one.cross)
   config.app(c, "others_" .. one.name, Clumsy, { rate = p.rate, queue = p.queue, trace = p.trace, down = p.down })
   config.link(c, "cross_" .. one.name .. ".output -> others_" .. one.name .. ".input")
   config.link(c, "others_" .. one.name .. ".output -> cross_" .. one.name .. ".input")
end

local function counterpart (clumsies, one)
   for _, other in ipairs(clumsies) do
      if other.from == one.to and other.to == one.from then return other end
   end
end

function network.wire (c, hosts, clumsies, o)
   if #hosts ~= 2 or o.uplink then config.app(c, "switch", Bridge, { partition = o.partition }) end
   local nats = clumsies.nats
   if o.uplink then direct(c, "uplink", nats) end
   for i, host in ipairs(hosts) do
      if #hosts == 2 and i == 2 and o.uplink then
         direct(c, host, nats)
      else
         put_host(c, host, nats[host])
      end
   end
   for _, one in ipairs(clumsies) do
      local joined = "join_" .. one.name
      put_cross(c, one)
      config.app(c, one.name, Clumsy, one.parameters)
      config.app(c, joined, Join)
      config.link(c, source_of(one, nats) .. " -> " .. one.name .. ".input")
      config.link(c, one.name .. ".output -> " .. joined .. ".forward")
      config.link(c, counterpart(clumsies, one).name .. ".back -> " .. joined .. ".back")
      config.link(c, joined .. ".output -> " .. goal_of(one, nats))
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
