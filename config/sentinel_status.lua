-- sentinel_status: what FlowSentinels did between two looks.
--
--   status.look(app, before) -> look      asks the running app; rates are those since `before`, or 0
--
-- A look is { app =, interface =, mode =, time =, seconds =, dry_run =,
--    received =, passed =, dropped =, would_drop =, answered = COUNT,
--    reasons = { dropped = { banned = COUNT, ... }, passed = ..., would_drop = ..., answered = ... },
--    classes = { syn = COUNT, ... }, and the numbers of the operation "status" by their names },
-- a COUNT { packets =, bytes =, pps =, bps = }: since the start, and per second. Bits are those of
-- frames without their checksum.
local status = {}

local VERDICTS = { "passed", "dropped", "would_drop", "answered" }

local function count_of (now, before, seconds)
   local was = before or { packets = 0, bytes = 0 }
   local rate = seconds > 0 and 1 / seconds or 0
   return { packets = now.packets, bytes = now.bytes,
            pps = math.max(0, now.packets - was.packets) * rate, bps = 8 * math.max(0, now.bytes - was.bytes) * rate }
end

local function counts_of (now, before, seconds)
   local all = {}
   for name, count in pairs(now) do all[name] = count_of(count, before and before[name], seconds) end
   return all
end

local function add_verdicts (look, answer, before, seconds)
   local sum = { packets = 0, bytes = 0 }
   look.reasons = {}
   for _, verdict in ipairs(VERDICTS) do
      local was = before and before.reasons[verdict]
      sum.packets, sum.bytes = sum.packets + answer[verdict].all.packets, sum.bytes + answer[verdict].all.bytes
      look[verdict] = count_of(answer[verdict].all, before and before[verdict], seconds)
      answer[verdict].all = nil
      look.reasons[verdict] = counts_of(answer[verdict], was, seconds)
      answer[verdict] = nil
   end
   look.received = count_of(sum, before and before.received, seconds)
end

function status.look (app, before)
   local answer = engine.call(app, "status")
   local now = engine.now()
   local seconds = before and now - before.time or 0
   local look = { app = app, time = now, seconds = seconds, dry_run = engine.get(app .. ".dry_run") == "true" }
   add_verdicts(look, answer, before, seconds)
   look.classes = counts_of(answer.classes, before and before.classes, seconds)
   answer.classes = nil
   for name, value in pairs(answer) do look[name] = value end
   return look
end

return status
