-- sentinel_budget: how many cycles a packet may take at line rate, and what FlowSentinel takes of them.
--
--   budget.parse("2.5G") -> 2.5e9               nil when it is none; "bit", "bit/s" and "Hz" may follow
--   budget.rows(options) -> list of { frame, pps, ns, cycles, blocked, full }
--   budget.lines(options, rows) -> list of text
--
-- options: speed (bit/s), clock (Hz), cores, blocked and full (cycles a packet), frame (bytes, or nil: the usual).
-- A frame of 64 bytes has its checksum in it and takes 84 on the wire: preamble 8, gap 12 (IEEE 802.3, 3.1.1, 4.4.2).
local budget = {}

local WIRE = 20
local FRAMES = { 64, 128, 256, 512, 1024, 1518 }
local SCALES = { [""] = 1, k = 1e3, K = 1e3, M = 1e6, m = 1e6, G = 1e9, g = 1e9, T = 1e12, t = 1e12 }

function budget.parse (text)
   local number, scale, rest = tostring(text):match("^([%d.]+)([kKmMgGtT]?)(.*)$")
   number = tonumber(number)
   rest = rest and rest:lower()
   if not number or number <= 0 or not (rest == "" or rest == "bit" or rest == "bit/s" or rest == "hz") then return nil end
   return number * SCALES[scale]
end

function budget.rows (o)
   local rows = {}
   for _, frame in ipairs(o.frame and { o.frame } or FRAMES) do
      local pps = o.speed / (8 * (frame + WIRE))
      local cycles = o.clock / pps
      rows[#rows + 1] = { frame = frame, pps = pps, ns = 1e9 / pps, cycles = cycles,
                          blocked = o.blocked / (cycles * o.cores), full = o.full / (cycles * o.cores) }
   end
   return rows
end

local function percent (share) return ("%.0f%%"):format(100 * share) end

function budget.lines (o, rows)
   local ROW = "%6s %12s %10s %14s %9s %9s"
   local lines = {
      ("%.4g Gbit/s, %d core%s of %.4g GHz; a blocked packet takes %d cycles, one that passes %d"):format(
         o.speed / 1e9, o.cores, o.cores == 1 and "" or "s", o.clock / 1e9, o.blocked, o.full),
      ROW:format("FRAME", "PACKETS/S", "NS/PACKET", "CYCLES/PACKET", "BLOCKED", "FULL") }
   for _, r in ipairs(rows) do
      lines[#lines + 1] = ROW:format(r.frame, math.floor(r.pps), ("%.1f"):format(r.ns), math.floor(r.cycles),
                                     percent(r.blocked), percent(r.full))
   end
   lines[#lines + 1] = ("BLOCKED, FULL: the share of the %s time when all packets are such."):format(
      o.cores == 1 and "core's" or "cores'")
   if rows[1].full > 1 then
      lines[#lines + 1] = ("At %d bytes %d receive queues with a core each are needed."):format(rows[1].frame, math.ceil(rows[1].full * o.cores))
   end
   return lines
end

return budget
