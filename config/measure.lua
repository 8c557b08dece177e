-- measure: what a bad network did, over time and as a whole.
--
--   measure.new(clumsies) -> m       { { name = }, ... }
--   m:sample()                       now and then: one row more of m.samples
--   m:result() -> measured           all of it, with the names that expectations use
--
--   measured.ab = { seen, delivered, lost, loss, duplicated, reordered, rate, delay_min, delay_p50,
--                   delay_mean, delay_p99, delay_max, late_p50, late_p99, loss_run_mean, and every counter }
--   measured    = { duration, own_drops, late_p99, seen }
--
-- Times are seconds, rates bits per second, losses shares. own_drops counts what the emulator
-- lost by itself, which no network did: memory, outputs that took nothing, the kernel's drops.
local measure = {}
measure.__index = measure

-- Drops of Clumsy that are not part of a network.
local OWN = { drop_memory = true, drop_no_output = true, drop_gso = true, drop_stopped = true }

local function histogram (name, of) return counters.histogram(("apps/%s/%s"):format(name, of)) end

-- The value that a share q of the records does not exceed; 0 of none.
local function quantile (h, q)
   local goal, sum = q * h.count, 0
   for _, bucket in ipairs(h) do
      sum = sum + bucket[2]
      if sum >= goal then return math.min(bucket[1], h.max) end
   end
   return h.max
end

-- What came between two looks at a histogram.
local function difference (now, before)
   local was, d = {}, { count = now.count - (before and before.count or 0), max = now.max }
   for _, bucket in ipairs(before or {}) do was[bucket[1]] = bucket[2] end
   for _, bucket in ipairs(now) do
      local n = bucket[2] - (was[bucket[1]] or 0)
      if n > 0 then d[#d + 1] = { bucket[1], n } end
   end
   return d
end

local function lost (c, own)
   local sum = 0
   for name, n in pairs(c) do
      if name:match("^drop_") and not OWN[name] == not own then sum = sum + n end
   end
   return sum
end

-- Bytes that left: of the link behind it.
local function bytes_of (name)
   for _, l in ipairs(engine.links()) do
      if tostring(l):match("^" .. name:gsub("%W", "%%%0") .. "%.output ") then return l:stats().txbytes end
   end
   return 0
end

function measure.new (clumsies)
   local m = setmetatable({ names = {}, samples = {}, start = engine.now(), last = {} }, measure)
   for i, one in ipairs(clumsies) do m.names[i] = one.name end
   return m
end

function measure:sample ()
   local now = engine.now()
   local row = { time = now - self.start }
   local period = now - (self.last.time or self.start)
   if period <= 0 then return end
   for _, name in ipairs(self.names) do
      local c, before = engine.app(name).counters, self.last[name] or { c = {}, bytes = 0 }
      local delay, late, bytes = histogram(name, "delay_ns"), histogram(name, "lateness_ns"), bytes_of(name)
      local d, l = difference(delay, before.delay), difference(late, before.late)
      row[name] = {
         packets = c.packets - (before.c.packets or 0), delivered = c.delivered - (before.c.delivered or 0),
         lost = lost(c) - (before.lost or 0), rate = 8 * (bytes - before.bytes) / period,
         held = c.held, queue_packets = c.queue_packets, queue_bytes = c.queue_bytes,
         delay_p50 = d.count > 0 and quantile(d, 0.5) / 1e9 or nil, delay_p99 = d.count > 0 and quantile(d, 0.99) / 1e9 or nil,
         late_p99 = l.count > 0 and quantile(l, 0.99) / 1e9 or nil,
      }
      self.last[name] = { c = c, delay = delay, late = late, bytes = bytes, lost = lost(c) }
   end
   self.last.time = now
   self.samples[#self.samples + 1] = row
end

local function direction (name, duration)
   local c = engine.app(name).counters
   local delay, late, runs = histogram(name, "delay_ns"), histogram(name, "lateness_ns"), histogram(name, "loss_runs")
   local d = { seen = c.packets, lost = lost(c), rate = 8 * bytes_of(name) / duration, loss_run_mean = runs.mean,
               loss_runs = runs, delays = delay,
               delay_min = delay.min / 1e9, delay_mean = delay.mean / 1e9, delay_max = delay.max / 1e9,
               delay_p50 = quantile(delay, 0.5) / 1e9, delay_p99 = quantile(delay, 0.99) / 1e9,
               late_p50 = quantile(late, 0.5) / 1e9, late_p99 = quantile(late, 0.99) / 1e9 }
   d.loss = c.packets > 0 and d.lost / c.packets or 0
   d.own_drops = lost(c, true)
   for counter, n in pairs(c) do d[counter] = n end
   return d
end

-- What interfaces lost before we saw it, or could not send.
local function interface_drops ()
   local sum = 0
   for _, name in ipairs(engine.apps()) do
      local a = engine.app(name)
      if a.class == "RawSocket" or a.class == "XdpSocket" then
         for counter, n in pairs(a.counters) do
            if counter:match("^drop_") then sum = sum + n end
         end
      end
   end
   return sum
end

function measure:result ()
   local duration = math.max(engine.now() - self.start, 1e-9)
   local all = { duration = duration, own_drops = interface_drops(), late_p99 = 0, seen = 0 }
   for _, name in ipairs(self.names) do
      local d = direction(name, duration)
      all[name] = d
      all.own_drops = all.own_drops + d.own_drops
      all.late_p99 = math.max(all.late_p99, d.late_p99)
      all.seen = all.seen + d.seen
   end
   return all
end

return measure
