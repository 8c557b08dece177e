-- vxlan_view: what a VxlanNat knows, as text for people.
--
--   view.line(look) -> text                         one line of what happens
--   view.status(look) -> lines                      where it runs, how much comes, what is wrong
--   view.rules(rows), view.sessions(rows), view.organizations(answer), view.entries(rows) -> lines
--   view.trace(row) -> text                         a packet's way, several lines
--   view.rule(rule) -> text
--
-- A line is { text, style }. A look is what the program answers to "status", rows are those of VxlanNat's operations.
local columns = require "config.columns"
local quantity = require "config.quantity"

local view = {}
local cell = columns.cell

local count = quantity.thousands

local function time (ns) return quantity.format(ns / 1e9, "time") end

function view.line (look)
   return ("in %s pps, forwarded %s (%.0f%% fast), dropped %s, lost %s, %s sessions%s"):format(
      count(look.in_pps), count(look.forwarded_pps), 100 * look.fast_share, count(look.dropped_pps), count(look.lost_pps),
      count(look.sessions), (look.problem or look.complaint) and " [PROBLEM]" or "")
end

local function add (lines, name, value)
   if value ~= nil then lines[#lines + 1] = { ("%-12s %s"):format(name, value) } end
end

function view.status (look)
   local lines = {}
   add(lines, "from", look.ingress)
   add(lines, "to", look.egress)
   add(lines, "mode", look.mode)
   add(lines, "by", look.rung)
   for _, text in ipairs(look.why or {}) do add(lines, "", text) end
   add(lines, "now", view.line(look))
   add(lines, "allowed", ("%s entries, %s organizations%s%s"):format(count(look.allowed), count(look.organizations),
                           look.allow_file and ", " .. look.allow_file or "", look.by_hand and ", changed by hand" or ""))
   add(lines, "rules", count(look.rules))
   add(lines, "sessions", ("%s of %s"):format(count(look.sessions), count(look.capacity)))
   if look.took_ns then
      add(lines, "took", ("%s at the median, %s at p99, at most %s in the app"):format(time(look.took_ns.p50), time(look.took_ns.p99),
                          time(look.took_ns.max)))
   end
   if look.tracing then add(lines, "tracing", "yes: all packets are left to the app") end
   add(lines, "PROBLEM", look.problem)
   add(lines, "PROBLEM", look.complaint)
   return lines
end

local function target (to)
   if type(to) ~= "table" then return tostring(to) end
   if to.to then return target(to.to) .. (to.weight and " weight " .. to.weight or "") end
   local all = {}
   for i, one in ipairs(to) do all[i] = target(one) end
   return table.concat(all, ", ")
end

function view.rules (rows)
   local lines, cells = {}, {}
   for i, row in ipairs(rows) do
      local r = row.rule
      cells[i] = { tostring(row.number), cell(r.vni), cell(r.proto), cell(r.dst), cell(r.port), target(r.to), count(row.flows), count(row.packets),
                   count(row.bytes), r.comment or "" }
   end
   columns.add(lines, { "RULE", "VNI", "PROTO", "DST", "PORT", "TO", "FLOWS", "PACKETS", "BYTES", "" }, cells)
   return lines
end

local function end_of (address, port)
   if port == 0 then return address end
   return (address:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(address, port)
end

local function destination (row)
   return row.to and end_of(row.to.destination, row.to.dport) or row.refused
end

function view.sessions (rows)
   local lines, cells = {}, {}
   for i, row in ipairs(rows) do
      cells[i] = { tostring(row.vni), row.protocol, end_of(row.source, row.sport), end_of(row.destination, row.dport), destination(row), cell(row.rule),
                   count(row.packets), count(row.bytes), ("%.0f s"):format(row.remaining), cell(row.organization) }
   end
   columns.add(lines, { "VNI", "PROTO", "SOURCE", "DESTINATION", "BECOMES", "RULE", "PACKETS", "BYTES", "LEFT", "ORGANIZATION" }, cells)
   return lines
end

function view.entries (rows)
   local lines, cells = {}, {}
   for i, row in ipairs(rows) do cells[i] = { row.entry, cell(row.organization) } end
   columns.add(lines, { "ENTRY", "ORGANIZATION" }, cells)
   return lines
end

function view.organizations (answer)
   local lines, cells = {}, {}
   for i, row in ipairs(answer.organizations) do
      cells[i] = { row.organization, count(row.flows), count(row.packets), count(row.bytes) }
   end
   local others = answer.others
   cells[#cells + 1] = { "(others)", count(others.flows), count(others.packets), count(others.bytes) }
   lines[1] = { ("%s entries (%s IPv4, %s IPv6) of %s"):format(count(answer.entries), count(answer.ipv4), count(answer.ipv6), count(answer.capacity)) }
   columns.add(lines, { "ORGANIZATION", "FLOWS", "PACKETS", "BYTES" }, cells)
   return lines
end

function view.trace (row)
   local lines = {}
   local outer = row.outer_source and ("%s -> %s"):format(row.outer_source, row.outer_destination) or "no IP packet"
   lines[1] = ("%.6f  %d bytes, %s: %s"):format(row.time, row.length, outer, row.verdict)
   if row.source then
      lines[2] = ("    vni %d, %s %s -> %s, %d bytes, ttl %d%s%s%s"):format(row.vni, row.protocol, end_of(row.source, row.sport),
         end_of(row.destination, row.dport), row.inner_length, row.ttl, row.df and ", DF" or "", row.fragment and ", fragment" or "",
         row.truncated and ", truncated" or "")
   end
   local steps = {}
   for i, step in ipairs(row.steps) do steps[i] = step.step .. " " .. step.verdict end
   lines[#lines + 1] = "    " .. table.concat(steps, ", ")
   if row.to then
      lines[#lines + 1] = ("    %s: %s -> %s, from %s to %s"):format(row.rule and "rule " .. row.rule or "no rule", end_of(row.to.source, row.to.sport),
         end_of(row.to.destination, row.to.dport), row.smac, row.dmac)
   end
   return table.concat(lines, "\n")
end

return view
