-- sentinel_view: what a FlowSentinel knows, as text for people.
--
--   view.status(look, health, width) -> lines       how much comes, passes and is dropped, and why
--   view.top(rows), view.list(rows), view.why(rows) -> lines       of several interfaces together
--   view.event(event) -> text                       one line
--   view.limits(app) -> list of text                what it lets a source do
--   view.health(list, all) -> lines                 what is not well, or all of it
--
-- A line is { text, style }. Looks are those of sentinel_status, rows and events those of FlowSentinel's
-- operations with `interface` added.
local columns = require "config.columns"
local quantity = require "config.quantity"

local view = {}

local function scaled (number, unit)
   for _, prefix in ipairs { "", "k", "M", "G", "T" } do
      if number < 999.5 or prefix == "T" then
         return ((prefix == "" or number >= 99.95) and "%.0f %s%s" or "%.1f %s%s"):format(number, prefix, unit)
      end
      number = number / 1000
   end
end

function view.time (seconds)
   if seconds < 10 then return ("%.1f s"):format(seconds) end
   if seconds < 120 then return ("%.0f s"):format(seconds) end
   if seconds < 7200 then return ("%d m %02d s"):format(seconds // 60, math.floor(seconds % 60)) end
   return ("%d h %02d m"):format(seconds // 3600, math.floor(seconds % 3600 // 60))
end

local function sorted (counts, least)
   local rows = {}
   for name, count in pairs(counts) do
      if count.packets >= (least or 1) then rows[#rows + 1] = { name = name, count = count } end
   end
   table.sort(rows, function (a, b)
      if a.count.pps ~= b.count.pps then return a.count.pps > b.count.pps end
      if a.count.packets ~= b.count.packets then return a.count.packets > b.count.packets end
      return a.name < b.name
   end)
   return rows
end

-- --- how much ----------------------------------------------------------------------------

local COUNTS = "%-16s %14s %12s %16s %12s"

local function count_line (name, c)
   return { COUNTS:format(name, quantity.thousands(c.pps), scaled(c.bps, "bit"), quantity.thousands(c.packets), scaled(c.bytes, "B")) }
end

local function heading (name) return { COUNTS:format(name, "PACKETS/S", "BIT/S", "PACKETS", "BYTES"), "bold" } end

local function add_counts (lines, name, rows)
   if #rows == 0 then return end
   lines[#lines + 1] = { "" }
   lines[#lines + 1] = heading(name)
   for _, row in ipairs(rows) do lines[#lines + 1] = count_line(row.name, row.count) end
end

function view.status (look)
   local lines = { heading("VERDICT"), count_line("received", look.received), count_line("passed", look.passed),
                   count_line("dropped", look.dropped) }
   if look.would_drop.packets > 0 then lines[#lines + 1] = count_line("(would drop)", look.would_drop) end
   if look.answered.packets > 0 then lines[#lines + 1] = count_line("answered", look.answered) end
   add_counts(lines, "CLASS", sorted(look.classes))
   add_counts(lines, "DROPPED BY", sorted(look.reasons.dropped))
   add_counts(lines, "WOULD DROP BY", sorted(look.reasons.would_drop))
   return lines
end

function view.limits (app)
   local verbs = { block = {}, limit = {}, alert = {} }
   for _, row in ipairs { { "src_syn", "SYN/s" }, { "src_pps", "packets/s" }, { "src_malformed", "malformed/s" },
                          { "src_udp", "UDP/s" }, { "src_icmp", "ICMP/s" }, { "src_flags", "RST and bare ACK/s" } } do
      local pps, list = tonumber(engine.get(app .. "." .. row[1] .. ".pps")), verbs[engine.get(app .. "." .. row[1] .. ".spoofable")]
      if pps > 0 then list[#list + 1] = ("%d %s"):format(pps, row[2]) end
   end
   local rate, list = engine.get(app .. ".src_bps.rate"), verbs[engine.get(app .. ".src_bps.spoofable")]
   if rate ~= "0" and rate ~= "0bit" then list[#list + 1] = rate .. "/s" end
   local parts = {}
   for _, verb in ipairs { "block", "limit", "alert" } do
      if #verbs[verb] > 0 then parts[#parts + 1] = verb .. " at " .. table.concat(verbs[verb], ", ") end
   end
   parts[#parts + 1] = "blocks last " .. engine.get(app .. ".ttl")
   return parts
end

-- --- who ----------------------------------------------------------------------------------

local cell, add_table = columns.cell, columns.add

function view.list (rows)
   local lines, cells = {}, {}
   for i, r in ipairs(rows) do
      local why = r.list and "list" or r.detection
      cells[i] = { r.address, cell(r.kind), cell(why), r.remaining and view.time(r.remaining) or "for good",
                   r.packets and quantity.thousands(r.packets) or "-", r.bytes and scaled(r.bytes, "B") or "-",
                   r.idle and view.time(r.idle) or "-", r.interface }
   end
   add_table(lines, { "ADDRESS", "KIND", "BY", "REMAINING", "PACKETS", "BYTES", "IDLE", "INTERFACE" }, cells)
   return lines
end

-- What a row of the top is about.
function view.talker (r)
   if r.source and r.destination then
      local function port (address, number)
         if not number then return address end
         return (address:find(":") and "[%s]:%d" or "%s:%d"):format(address, number)
      end
      return ("%s > %s %s"):format(port(r.source, r.sport), port(r.destination, r.port), r.protocol)
   end
   return r.source or r.destination or r.port and r.protocol .. "/" .. r.port or r.protocol
end

-- by: the dimension; rows with a `rate`, a second, show it.
function view.top (rows, by)
   local lines, cells = {}, {}
   local what = rows[1] and rows[1].packets and "packets" or "bytes"
   local function count (n) return what == "bytes" and scaled(n, "B") or quantity.thousands(n) end
   for i, r in ipairs(rows) do
      cells[i] = { view.talker(r), r.rate and (what == "bytes" and scaled(8 * r.rate, "bit") or quantity.thousands(math.floor(r.rate))) or "-",
                   count(r[what]), r.error > 0 and "- " .. count(r.error) or "", r.interface }
   end
   add_table(lines, { ("TOP %sS"):format((by or "source"):upper()), what == "bytes" and "BIT/S" or "PACKETS/S", "ABOUT", "OR LESS BY", "INTERFACE" }, cells)
   return lines
end

local function facts_of (r)
   local facts = {}
   if r.listed then facts[#facts + 1] = ("%s by the list entry %s"):format(r.listed, r.prefix) end
   if r.kind == "blocked" then
      facts[#facts + 1] = r.active and ("blocked by %s, %s left"):format(r.detection, view.time(r.remaining))
                          or ("was blocked by %s, which is over; the next block is longer"):format(r.detection)
   elseif r.kind then
      facts[#facts + 1] = r.kind .. (r.remaining and (r.active and ", " .. view.time(r.remaining) .. " left" or ", which is over") or " for good")
   end
   if r.packets and r.packets > 0 then
      facts[#facts + 1] = ("%s packets (%s)%s"):format(quantity.thousands(r.packets), scaled(r.bytes, "B"),
                                                     r.idle and ", the last " .. view.time(r.idle) .. " ago" or "")
   end
   return #facts > 0 and table.concat(facts, "; ") or "nothing is held against it"
end

function view.why (rows)
   local lines = {}
   for i, r in ipairs(rows) do lines[i] = { ("%s: %s"):format(r.interface, facts_of(r)) } end
   return lines
end

-- --- what happens ---------------------------------------------------------------------------

local PROTOCOLS = { [1] = "ICMP", [6] = "TCP", [17] = "UDP", [58] = "ICMPv6" }

local function endpoint (address, port)
   if not port or port == 0 then return address end
   return (address:find(":") and "[%s]:%d" or "%s:%d"):format(address, port)
end

local function state_change (e)
   local rate = e.rate and (e.detection:find("_bps$") and scaled(e.rate, "bit") or quantity.thousands(e.rate))
   return ("%s: %s of %s: %s%s%s"):format(e.interface, e.detection, e.destination, e.state,
                                          rate and (" at %s/s"):format(rate) or "", e.dry_run and " (dry run)" or "")
end

function view.event (e)
   if e.state then return state_change(e) end
   local words = { e.interface .. ":", e.event .. (e.dry_run and " (dry run)" or "") }
   if e.source then words[#words + 1] = e.source end
   if e.detection then words[#words + 1] = "by " .. e.detection end
   if e.destination then
      words[#words] = words[#words] .. ","
      words[#words + 1] = ("%s to %s"):format(PROTOCOLS[e.protocol] or "protocol " .. cell(e.protocol), endpoint(e.destination, e.dport))
   end
   if e.ttl then words[#words + 1] = "for " .. view.time(e.ttl) end
   if e.evidence then words[#words + 1] = "(" .. e.evidence .. ")" end
   return table.concat(words, " ")
end

function view.health (list, all)
   local lines = {}
   for _, h in ipairs(list) do
      if all or h.level ~= "ok" then
         lines[#lines + 1] = { ("%-8s %-20s %s"):format(h.level, h.name, h.value), h.level == "critical" and "reverse" or h.level == "warn" and "bold" or nil }
         if h.cure then lines[#lines + 1] = { "         " .. h.cure } end
      end
   end
   return lines
end

return view
