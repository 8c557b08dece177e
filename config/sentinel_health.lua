-- sentinel_health: is a FlowSentinel in front of an interface, and its machine, well?
--
--   health.new(ifname) -> h       notes where the counters of the machine stand
--   h:check(status, parameter) -> list of { name =, value =, level = "ok"|"warn"|"critical", cure = }
--   health.worst(list) -> level
--
-- status is the answer of FlowSentinel's operation of that name, parameter a function from a name to its
-- value as text. What was lost counts from the beginning; a level is that of the last minute.
local facts = require "config.facts"

local health = {}
health.__index = health

local MEMORY = 60 -- seconds

-- Of /proc/net/softnet_stat, all CPUs: dropped before the kernel looked, and rounds that ran out of budget.
local function softnet ()
   local dropped, squeezed = 0, 0
   for line in io.lines("/proc/net/softnet_stat") do
      local words = {}
      for word in line:gmatch("%x+") do words[#words + 1] = tonumber(word, 16) end
      dropped, squeezed = dropped + (words[2] or 0), squeezed + (words[3] or 0)
   end
   return dropped, squeezed
end

-- Of /proc/net/dev, which is that of our network namespace whatever is mounted on /sys.
local function rx_dropped (ifname)
   for line in io.lines("/proc/net/dev") do
      local name, numbers = line:match("^%s*([^:%s]+):%s*(.*)$")
      if name == ifname then return tonumber(numbers:match("^%d+%s+%d+%s+%d+%s+(%d+)")) end
   end
   return 0
end

local function counts (ifname)
   local c = { rx_dropped = rx_dropped(ifname) }
   c.softnet_dropped, c.softnet_squeezed = softnet()
   return c
end

function health.new (ifname)
   return setmetatable({ ifname = ifname, start = counts(ifname), last = {}, grew = {} }, health)
end

function health:note (name, value, level, cure)
   self.list[#self.list + 1] = { name = name, value = value, level = level, cure = level ~= "ok" and cure or nil }
end

-- A count of what should not happen; `bad` when it did within the last minute.
function health:count (name, value, bad, cure)
   local now = engine.now()
   if value > (self.last[name] or 0) then self.grew[name] = now end
   self.last[name] = value
   local fresh = self.grew[name] and now - self.grew[name] < MEMORY
   self:note(name, value, fresh and bad or "ok", cure)
end

local function look_at_attachment (h, status, i)
   local generic = status.mode:match("^generic")
   h:note("mode", status.mode, generic and "warn" or "ok",
          "the kernel does much before a generic program runs: a driver with XDP (vanguard doctor " .. h.ifname .. ")")
   if not i then
      h:note("link", "gone", "critical", "the interface is not there any more")
      return
   end
   local well = i.up and i.carrier
   h:note("link", well and (i.speed and i.speed .. " Mbit/s" or "up") or i.up and "no carrier" or "down",
          well and "ok" or "critical", i.up and "check the cable, or the peer" or "ip link set " .. h.ifname .. " up")
   local merged = generic and (i.offloads.gro and "gro" or i.offloads.lro and "lro")
   h:note("offloads", merged and merged .. " on" or "none that hides packets", merged and "warn" or "ok",
          ("many packets come as one: ethtool -K %s gro off lro off"):format(h.ifname))
end

local function look_at_machine (h)
   local now = counts(h.ifname)
   local function since (name) return math.max(0, now[name] - h.start[name]) end
   h:count("softnet_dropped", since("softnet_dropped"), "critical",
           "CPUs do not keep up: sysctl net.core.netdev_max_backlog=10000, more queues")
   h:count("softnet_squeezed", since("softnet_squeezed"), "warn",
           "the kernel has more to receive than a round allows: sysctl net.core.netdev_budget=600")
   h:count("rx_dropped", since("rx_dropped"), "warn",
           "dropped behind or in front of us: larger rings (vanguard tune " .. h.ifname .. "), or nobody wants the frames")
end

local function look_at_blocks (h, status, parameter)
   local room = tonumber(parameter("max_blocks"))
   local share = status.blocks / room
   h:note("block_table", ("%.1f%%"):format(100 * share), share < 0.7 and "ok" or share < 0.95 and "warn" or "critical",
          "raise max_blocks")
   h:count("block_insert_failed", status.block_insert_failed, "critical", "sources are not blocked: raise max_blocks")
   h:count("block_insert_braked", status.block_insert_braked, "warn",
           "more sources than max_block_rate lets in: forged addresses? Limits by destination (dst_syn_hard_pps) meet those")
end

local function look_at_news (h, status)
   h:count("events_lost", status.events_lost, "critical", "nobody read them in time: the machine is overloaded")
   h:count("events_limited", status.events_limited, "warn", "more than event_rate; blocks and counters are exact all the same")
   h:count("samples_lost", status.samples_lost, "warn", "top talkers are guessed from fewer: raise sample, one frame in so many")
end

local function look_at_snapshot (h, status, parameter)
   local s = status.snapshot
   if not s then return end
   local late = s.age and s.age > 3 * units.duration(parameter("snapshot_period"))
   h:note("snapshot", s.problem or s.refused or s.age and ("%.0f s old"):format(s.age) or "none yet",
          (s.problem or late) and "critical" or s.refused and "warn" or "ok",
          s.problem and "blocks and bans would not outlive us" or s.refused and "ban again whom the file knew, or repair and restart" or
          "nobody writes it: the machine is overloaded")
end

function health:check (status, parameter)
   self.list = {}
   local there, i = pcall(interface.query, self.ifname)
   look_at_attachment(self, status, there and i or nil)
   look_at_machine(self)
   look_at_blocks(self, status, parameter)
   look_at_news(self, status)
   look_at_snapshot(self, status, parameter)
   return self.list
end

local ORDER = { ok = 1, warn = 2, critical = 3 }

function health.worst (list)
   local worst = "ok"
   for _, row in ipairs(list) do
      if ORDER[row.level] > ORDER[worst] then worst = row.level end
   end
   return worst
end

return health
