-- vxlan_path: how vanguard vxlan-nat gets at its packets, the best way that there is.
--
--   path.start(in, out, parameters, options) -> rung      the graph runs; raises why none can
--   path.graph(rung) -> config                            the graph again, for other parameters (rung.parameters)
--   path.name(rung, status) -> text                       what carries packets now
--
-- A rung is { receive = "xdp"|"raw", attach =, why = { "what was better: why not", ... } }. From the best down: the
-- kernel redirects known flows from one interface to the other, natively or behind the driver; AF_XDP; AF_PACKET.
local path = {}

local CHUNK = 1774 -- bytes of MTU whose frames XdpSocket takes in one piece
local WORDS = 24   -- alternatives that are few enough for one program

local function list_of (text)
   local list = {}
   for word in tostring(text):gmatch("[^%s,]+") do list[#list + 1] = word end
   return list
end

local function alternatives (words, format)
   local all = {}
   for i, word in ipairs(words) do all[i] = format(word) end
   return #all > 1 and "(" .. table.concat(all, " or ") .. ")" or all[1]
end

-- The traffic that is taken from the kernel. Of many addresses VxlanNat looks alone.
local function match_of (parameters)
   local ports, vteps = list_of(parameters.ports or "4789"), list_of(parameters.vteps or "")
   local match = "udp and " .. alternatives(ports, function (port) return "dst port " .. port end)
   if #vteps == 0 or #ports * #vteps > WORDS then return match end
   return match .. " and " .. alternatives(vteps, function (vtep) return (vtep:find("/", 1, true) and "dst net " or "dst host ") .. vtep end)
end

-- Everything that is for IN, and fits OUT, unless somebody says otherwise.
local function complete (rung)
   local all = { ingress = rung.ingress, egress = rung.egress, fastpath = rung.fast and "auto" or "off", claim = rung.receive == "raw", guard = true }
   for name, value in pairs(rung.parameters) do all[name] = value end
   if rung.parameters.fastpath == "xdp" and rung.fast then all.fastpath = "xdp" elseif not rung.fast then all.fastpath = "off" end
   if not all.vteps then
      local addresses = interface.addresses(rung.ingress)
      if #addresses > 0 then all.vteps = table.concat(addresses, " ") end
   end
   -- otherwise VxlanNat follows OUT, for its routes and neighbours
   if not all.mtu and all.smac and all.dmac then all.mtu = interface.query(rung.egress).mtu end
   return all
end

function path.graph (rung)
   local c, parameters = config.new(), complete(rung)
   local match = match_of(parameters)
   if rung.receive == "xdp" then
      local long = interface.query(rung.ingress).mtu > CHUNK
      config.app(c, "tunnel", XdpSocket, { ifname = rung.ingress, match = match, attach = rung.attach, frags = long and rung.frags or nil })
   else
      config.app(c, "tunnel", RawSocket, { ifname = rung.ingress, filter = match, jumbo = interface.query(rung.ingress).mtu > CHUNK })
   end
   config.app(c, "nat", VxlanNat, parameters)
   config.app(c, "egress", RawSocket, { ifname = rung.egress })
   config.chain(c, "tunnel", "nat", "egress")
   if parameters.mode == "route" or parameters.mode == "nat-out" then
      config.link(c, "egress.output -> nat.back")
      config.link(c, "nat.back -> tunnel.input")
   end
   return c
end

-- Does it redirect? It finds out with its first breaths.
local function redirects ()
   local status
   for _ = 1, 100 do
      engine.breathe(1)
      status = engine.call("nat", "status")
      if status.fast then return true end
      if status.no_fast_path then break end
      process.sleep("1ms")
   end
   return false, status.no_fast_path or "it is not attached"
end

-- nil and why not, as an error.
local function try (rung)
   local good, problem = pcall(function () engine.configure(path.graph(rung)) end)
   if not good then return nil, problem end
   if not rung.fast then return true end
   good, problem = redirects()
   return good, problem
end

local RUNGS = {
   { what = "native redirect", receive = "xdp", attach = "auto", fast = true, frags = true },
   { what = "generic redirect", receive = "xdp", attach = "generic", fast = true },
   { what = "AF_XDP", receive = "xdp", attach = "auto", frags = true },
   { what = "AF_XDP", receive = "xdp", attach = "auto" },
   { what = "AF_PACKET", receive = "raw" },
}

-- What the configuration says is wrong is not cured by another way of receiving.
local function is_about_path (problem)
   local text = tostring(problem)
   return not text:match("%(VxlanNat%)") or text:match("XDP") ~= nil
end

function path.start (ingress, egress, parameters, o)
   local why, off = {}, parameters.fastpath == "off"
   local problem
   for _, row in ipairs(RUNGS) do
      local rung = { ingress = ingress, egress = egress, parameters = parameters, why = why }
      for name, value in pairs(row) do rung[name] = value end
      if not (off and rung.fast) then
         local good
         good, problem = try(rung)
         if good then return rung end
         if not is_about_path(problem) then error(problem, 0) end
         why[#why + 1] = ("no %s: %s"):format(rung.what, tostring(problem))
         engine.configure(config.new())
         local last_fast = rung.what == "generic redirect"
         if last_fast and (o.require == "fast" or parameters.fastpath == "xdp") then break end
      end
   end
   if o.require == "fast" or parameters.fastpath == "xdp" then
      error({ kind = type(problem) == "table" and problem.kind or 3, text = "--require fast: " .. table.concat(why, "; ") }, 0)
   end
   error(problem, 0)
end

function path.name (rung, status)
   if status.fast then return (status.path:match("^native") and "native" or "generic") .. " redirect" end
   return rung.receive == "xdp" and "AF_XDP" or "AF_PACKET"
end

return path
