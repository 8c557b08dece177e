-- vanguard tune: sets an interface up for packet processing, and back.
local facts = require "config.facts"

local program = {
   doc = "set an interface up for packets, and back",
   args = "IFACE",
   help = "Shows what would be changed and why; --apply changes it, --undo puts back what --apply changed.\vThe values " ..
          "from before are remembered until then. What the device does not have is left out, what it refuses is told.",
   options = {
      { name = "apply", type = "flag", doc = "change it" },
      { name = "undo", type = "flag", doc = "put back what was changed" },
      { name = "profile", short = "p", type = "choice", choices = { "throughput", "latency" }, default = "throughput",
        arg = "GOAL", doc = "throughput (the default) or latency" },
      { name = "cpus", type = "string", arg = "LIST", doc = "CPUs for the interrupts, as 0-3 (default: all online)" },
      { name = "json", type = "flag", doc = "as JSON" },
   },
}

local REASONS = {
   rx_ring = "room for bursts", tx_ring = "room for bursts",
   adaptive_rx = "a steady rhythm", rx_usecs = "packets per interrupt, or latency", rx_frames = "packets per interrupt, or latency",
   lro = "packets as they were sent", gro = "packets as they were sent", rxvlan = "tags stay in the frame",
   napi_defer_hard_irqs = "busy polling decides when", gro_flush_timeout = "busy polling decides when",
}

-- Coalescing by goal.
local GOALS = {
   throughput = { rx_usecs = 50, rx_frames = 64 },
   latency = { rx_usecs = 0, rx_frames = 1 },
}

local SYSFS = { napi_defer_hard_irqs = true, gro_flush_timeout = true }

local function get (ifname, setting)
   local irq = setting:match("^irq (%d+)$")
   if irq then return facts.read("/proc/irq/" .. irq .. "/smp_affinity_list") end
   if SYSFS[setting] then return facts.sys(ifname, setting) end
   return interface.get(ifname, setting)
end

local function set (ifname, setting, value)
   local irq = setting:match("^irq (%d+)$")
   if irq then return interface.set_irq(math.tointeger(irq), value) end
   if SYSFS[setting] then return facts.write("/sys/class/net/" .. ifname .. "/" .. setting, value) end
   return interface.set(ifname, setting, math.tointeger(tonumber(value)))
end

local function spread (i, cpus, want)
   for n, irq in ipairs(i.irqs) do want("irq " .. irq.irq, tostring(cpus[(n - 1) % #cpus + 1]), "a CPU for each queue") end
end

-- What differs from what is wanted: { setting, from, to, why }, in the order in which it is set.
local function plan (i, o)
   local list = {}
   local function want (setting, value, why)
      local now = get(i.name, setting)
      if now == nil or tostring(now) == tostring(value) then return end
      list[#list + 1] = { setting = setting, from = tostring(now), to = tostring(value), why = why or REASONS[setting] }
   end
   if i.rings and i.rings.rx_max > 0 then
      want("rx_ring", o.profile == "latency" and math.min(i.rings.rx_max, 512) or i.rings.rx_max)
      want("tx_ring", o.profile == "latency" and math.min(i.rings.tx_max, 512) or i.rings.tx_max)
   end
   if i.coalesce then
      want("adaptive_rx", 0)
      for _, setting in ipairs { "rx_usecs", "rx_frames" } do want(setting, GOALS[o.profile][setting]) end
   end
   for _, setting in ipairs { "lro", "gro", "rxvlan" } do want(setting, 0) end
   if o.profile == "latency" then
      want("napi_defer_hard_irqs", 2)
      want("gro_flush_timeout", 200000)
   end
   local cpus = facts.cpus(o.cpus or facts.read("/sys/devices/system/cpu/online"))
   if #cpus > 0 then spread(i, cpus, want) end
   return list
end

-- What was before, one line per setting; the first line says whose it is.
local function notes_path (ifname) return interface.notes() .. "/" .. ifname end

local function read_notes (i)
   local file = io.open(notes_path(i.name))
   if not file then return {} end
   local list, index = {}, tonumber((file:read("l") or ""):match("^vanguard%-tune 1 index (%d+)$"))
   for line in file:lines() do
      local setting, value = line:match("^([%w_ ]-)\t(%S+)$")
      if setting then list[#list + 1] = { setting = setting, to = value } end
   end
   file:close()
   return index == i.index and list or {} -- another interface had that name
end

local function write_notes (i, list)
   local lines = { "vanguard-tune 1 index " .. i.index }
   for _, n in ipairs(list) do lines[#lines + 1] = n.setting .. "\t" .. n.to end
   local path = notes_path(i.name)
   local good, problem = facts.write(path .. ".new", table.concat(lines, "\n") .. "\n")
   if good then good, problem = os.rename(path .. ".new", path) end
   if not good then error(problem, 0) end
end

-- The oldest value of each setting is what it goes back to.
local function remember (i, changes)
   local list, known = read_notes(i), {}
   for _, n in ipairs(list) do known[n.setting] = true end
   for _, c in ipairs(changes) do
      if not known[c.setting] then list[#list + 1] = { setting = c.setting, to = c.from } end
   end
   write_notes(i, list)
end

local function carry_out (i, changes, say)
   local refused = 0
   for _, c in ipairs(changes) do
      local good, problem = set(i.name, c.setting, c.to)
      c.done = good and true or false
      c.problem = not good and problem or nil
      if not good then refused = refused + 1 end
      say(c)
   end
   return refused
end

local function undo (i, say)
   local notes = read_notes(i)
   local changes = {}
   for n = #notes, 1, -1 do
      local now = get(i.name, notes[n].setting)
      if tostring(now) ~= notes[n].to then -- what was refused, or put back by hand, needs nothing
         changes[#changes + 1] = { setting = notes[n].setting, from = tostring(now), to = notes[n].to, why = "as before" }
      end
   end
   local refused = carry_out(i, changes, say)
   if refused == 0 then os.remove(notes_path(i.name)) end
   return changes, refused
end

local function line (c)
   local tail = c.done == nil and "" or c.done and "  done" or "  REFUSED: " .. c.problem
   print(("  %-22s %10s -> %-10s %s%s"):format(c.setting, c.from, c.to, c.why, tail))
end

function program.run (o, arguments)
   if #arguments ~= 1 or (o.apply and o.undo) then
      io.stderr:write("vanguard tune: ", #arguments ~= 1 and "which interface?" or "--apply or --undo?", " (vanguard help tune)\n")
      return 2
   end
   local i = interface.query(arguments[1])
   local say = o.json and function () end or line
   local changes, refused = nil, 0
   if o.undo then
      changes, refused = undo(i, say)
   else
      changes = plan(i, o)
      if o.apply then
         remember(i, changes)
         refused = carry_out(i, changes, say)
      else
         for _, c in ipairs(changes) do say(c) end
      end
   end
   if o.json then
      print(json.encode { interface = i.name, changes = setmetatable(changes, { __list = true }), refused = refused })
   elseif #changes == 0 then
      print(i.name .. (o.undo and ": nothing was changed" or ": nothing to change"))
   elseif not o.apply and not o.undo then
      print(("%s: %d to change: vanguard tune %s --apply"):format(i.name, #changes, i.name))
   end
   return refused > 0 and 1 or 0
end

return program
