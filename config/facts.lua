-- facts: what /proc and /sys say, for programs that judge a machine.
--
--   facts.read(path), facts.number(path)          the first line of a file, or nil
--   facts.sysctl("net.core.rmem_max"), facts.sys(ifname, "gro_flush_timeout")
--   facts.capabilities() -> { net_raw = true, ... }
--   facts.cpus("0-3,5") -> { 0, 1, 2, 3, 5 }
local facts = {}

function facts.read (path)
   local file = io.open(path)
   local line = file and file:read("l")
   if file then file:close() end
   return line
end

function facts.number (path) return tonumber(facts.read(path)) end
function facts.sysctl (name) return facts.read("/proc/sys/" .. name:gsub("%.", "/")) end
function facts.sys (ifname, attribute) return facts.read("/sys/class/net/" .. ifname .. "/" .. attribute) end

function facts.write (path, text)
   local file, problem = io.open(path, "w")
   if not file then return nil, problem end
   local good = file:write(text)
   return file:close() and good and true, path .. " refuses " .. text
end

-- Those that matter here: linux/capability.h.
local CAPABILITIES = { net_admin = 12, net_raw = 13, ipc_lock = 14, sys_admin = 21, sys_nice = 23,
                       sys_resource = 24, bpf = 39 }

function facts.capabilities ()
   local mask, all = 0, {}
   for line in io.lines("/proc/self/status") do
      mask = tonumber(line:match("^CapEff:%s*(%x+)") or "", 16) or mask
   end
   for name, bit in pairs(CAPABILITIES) do all[name] = mask >> bit & 1 == 1 end
   return all
end

function facts.cpus (text)
   local list = {}
   for low, high in (text or ""):gmatch("(%d+)%-?(%d*)") do
      for cpu = tonumber(low), tonumber(high) or tonumber(low) do list[#list + 1] = cpu end
   end
   return list
end

function facts.meminfo (name)
   for line in io.lines("/proc/meminfo") do
      local value = line:match("^" .. name .. ":%s*(%d+)")
      if value then return tonumber(value) end
   end
end

function facts.mounted (kind)
   for line in io.lines("/proc/mounts") do
      local path, type = line:match("^%S+ (%S+) (%S+)")
      if type == kind then return path end
   end
end

return facts
