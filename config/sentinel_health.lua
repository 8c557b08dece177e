-- sentinel_health: is a FlowSentinel in front of an interface, and its machine, well?
--
--   health.new(ifname) -> h       notes where the counters of the machine stand
--   h:before()                    right before the status is asked for
--   h:check(status, parameter) -> list of { name =, value =, level = "ok"|"warn"|"critical", cure = }
--   health.worst(list) -> level
--
-- status is the answer of FlowSentinel's operation of that name, parameter a function from a name to its
-- value as text. What was lost counts from the beginning; a level is that of the last minute.
local facts = require "config.facts"

local health = {}
health.__index = health

local MEMORY = 60       -- seconds
local ACCOUNTING = 10   -- seconds over which frames are compared
local SHARE = 1e-5      -- of them that may be missing
local UNDER_WAY = 256   -- frames that a driver has counted, and not handed over: some rounds of 64
local WIRE = 8 * 84     -- bits that a frame of 64 bytes takes on it (IEEE 802.3, 3.1.1, 4.4.2)

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

-- Frames that came, and those that were dropped. Of /proc/net/dev, which is that of our network namespace
-- whatever is mounted on /sys.
local function received (ifname)
   for line in io.lines("/proc/net/dev") do
      local name, numbers = line:match("^%s*([^:%s]+):%s*(.*)$")
      if name == ifname then
         local packets, dropped = numbers:match("^%d+%s+(%d+)%s+%d+%s+(%d+)")
         return tonumber(packets), tonumber(dropped)
      end
   end
   return 0, 0
end

local function counts (ifname)
   local c = {}
   c.rx, c.rx_dropped = received(ifname)
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
   return merged
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

-- Ticks that took longer than the time between two; a stall is three in a row.
local function look_at_ticks (h, status)
   local now = engine.now()
   for _, name in ipairs { "tick_overruns", "tick_stalls" } do
      if status[name] > (h.last[name] or 0) then h.grew[name] = now end
      h.last[name] = status[name]
   end
   local function fresh (name) return h.grew[name] and now - h.grew[name] < MEMORY end
   h:note("tick_overruns", status.tick_overruns, fresh("tick_stalls") and "critical" or fresh("tick_overruns") and "warn" or "ok",
          "floods of addresses are noticed late: a core of our own (vanguard tune " .. h.ifname .. "), fewer destinations, a smaller max_blocks")
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

local function look_at_rings (h, status)
   local worst = math.max(status.events_backlog, status.samples_backlog)
   h:note("ring_backlog", ("events %.1f%%, samples %.1f%%"):format(100 * status.events_backlog, 100 * status.samples_backlog),
          worst < 0.05 and "ok" or worst <= 0.5 and "warn" or "critical",
          status.events_backlog >= status.samples_backlog and "events are read too late: the machine is overloaded"
          or "raise sample, one frame in so many")
end

function health:before ()
   self.rx_before = received(self.ifname)
end

-- Did the program see what the interface received? The interface is read before and after the program's
-- counts are, so that what comes meanwhile does not matter.
local function look_at_accounting (h, status, merged)
   local now = { time = status.time, judged = status.received.packets, before = h.rx_before, after = received(h.ifname) }
   local base = h.account or now
   local judged, most, least = now.judged - base.judged, now.after - base.before, now.before - base.after
   local slack = UNDER_WAY + SHARE * most
   local off = judged > most + slack and judged - most or judged < least - slack and judged - least or 0
   if not h.account or now.time - base.time >= ACCOUNTING or most < 0 then
      h.account, h.off = now, h.account and most >= 0 and off or 0
   end
   local worst = off ~= 0 and off or h.off
   merged = merged or worst > 0 and status.mode:match("^generic") -- by the sender, who is on this machine
   h:note("accounting", merged and "not known: frames are merged" or worst == 0 and "equal" or
          ("%d frames %s"):format(math.abs(worst), worst < 0 and "were not judged" or "too many were judged"),
          worst ~= 0 and not merged and "critical" or "ok",
          worst < 0 and "they went past the program, or the driver dropped them behind its count: vanguard doctor " .. h.ifname
          or "the driver does not count all that it receives, or counts merged frames as one")
end

-- Of the time there is for each when the smallest frames fill the line. What is no wire has no line rate.
local function look_at_time (h, status, i)
   local ns = status.program_ns
   if not ns then return h:note("program_time", "not known: too few frames", "ok") end
   if not i or not i.speed or i.speed <= 0 or (i.bus or "") == "" then return h:note("program_time", ("%.0f ns a frame"):format(ns), "ok") end
   local share = ns * i.speed * 1e6 / WIRE / 1e9 / math.max(1, i.queues.rx)
   h:note("program_time", ("%.0f ns a frame, %.0f%% of what %d Mbit/s allow"):format(ns, 100 * share, i.speed),
          share < 0.6 and "ok" or share <= 1 and "warn" or "critical",
          ("at line rate frames would be lost: ethtool -L %s combined N, a core for each (vanguard sentinel budget)"):format(h.ifname))
end

local function look_at_lists (h, status)
   h:note("lists", status.lists_problem or "those of their files", status.lists_problem and "warn" or "ok",
          "the lists stay as they were until it is well: repair the file")
end

function health:check (status, parameter)
   self.list = {}
   local there, i = pcall(interface.query, self.ifname)
   i = there and i or nil
   local merged = look_at_attachment(self, status, i)
   look_at_machine(self)
   look_at_accounting(self, status, merged)
   look_at_time(self, status, i)
   look_at_rings(self, status)
   look_at_blocks(self, status, parameter)
   look_at_ticks(self, status)
   look_at_news(self, status)
   look_at_lists(self, status)
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
