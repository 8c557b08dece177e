-- html_report: a run as one page that needs nothing else: what was asked for beside what was measured,
-- and how it went in time. A function from the report of config/verdict.lua to text.
local quantity = require "config.quantity"

local WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 200, 64, 26, 10, 12
local COLOURS = { "#1668b8", "#c2500a", "#2b8a3e", "#8a2b85", "#7a6a00", "#0a7c80" }

local STYLE = [[
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 820px; padding: 0 1em; color: #1c1c1c; background: #fff }
h1 { font-size: 1.5em; margin-bottom: 0 } h2 { font-size: 1.15em; margin: 1.6em 0 .3em }
table { border-collapse: collapse; margin: .4em 0 } td, th { padding: .15em .8em .15em 0; text-align: left; vertical-align: top }
th { font-weight: 600; border-bottom: 1px solid #bbb } td.n { text-align: right; font-variant-numeric: tabular-nums }
.pass { color: #2b8a3e } .fail { color: #b3261e } .inconclusive { color: #8a6d00 }
pre { background: #f4f4f4; padding: .6em; white-space: pre-wrap; word-break: break-all } .note { color: #666 }
svg text { font: 11px system-ui, sans-serif; fill: #555 } .axis { stroke: #bbb } .grid { stroke: #eee } .mark { stroke: #999; stroke-dasharray: 3 3 }
]]

local function escape (text)
   return (tostring(text):gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

-- --- a chart --------------------------------------------------------------------------------

-- 1, 2 or 5 times a power of ten, at most so many steps to the top.
local function tick_step (top, most)
   local raw = top / most
   local power = 10 ^ math.floor(math.log(raw, 10))
   for _, factor in ipairs { 1, 2, 5, 10 } do
      if factor * power >= raw then return factor * power end
   end
end

local function extent (series)
   local x, y = 0, 0
   for _, one in ipairs(series) do
      for _, point in ipairs(one.points) do
         x, y = math.max(x, point[1]), math.max(y, point[2])
      end
   end
   return x > 0 and x or 1, y > 0 and y * 1.05 or 1
end

local function axes (out, top_x, top_y, x_of, y_of, kinds)
   local step = tick_step(top_y, 4)
   for i = 0, math.floor(top_y / step) do
      local y = y_of(i * step)
      out[#out + 1] = ('<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>'):format(
         LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, escape(quantity.format(i * step, kinds.y)))
   end
   step = tick_step(top_x, 8)
   for i = 0, math.floor(top_x / step) do
      out[#out + 1] = ('<text x="%.1f" y="%d" text-anchor="middle">%s</text>'):format(
         x_of(i * step), HEIGHT - 8, escape(quantity.format(i * step, kinds.x)))
   end
   out[#out + 1] = ('<line class="axis" x1="%d" x2="%d" y1="%d" y2="%d"/>'):format(LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM)
end

local function line_of (one, x_of, y_of, colour)
   local path, pen, last = {}, "M", nil
   for _, point in ipairs(one.points) do
      if last and one.gap and point[1] - last > one.gap then pen = "M" end
      path[#path + 1] = ("%s%.1f %.1f"):format(pen, x_of(point[1]), y_of(point[2]))
      pen, last = "L", point[1]
   end
   return ('<path d="%s" fill="none" stroke="%s" stroke-width="1.6"%s/>'):format(table.concat(path), colour,
      one.dashed and ' stroke-dasharray="4 3"' or "")
end

-- series: { name =, points = { { x, y }, ... }, dashed = }; marks: { { x, text }, ... }.
local function chart (title, series, kinds, marks, note)
   local top_x, top_y = extent(series)
   local function x_of (x) return LEFT + x / top_x * (WIDTH - LEFT - RIGHT) end
   local function y_of (y) return HEIGHT - BOTTOM - y / top_y * (HEIGHT - BOTTOM - TOP) end
   local out = { ('<h2>%s</h2><svg viewBox="0 0 %d %d" role="img" aria-label="%s">'):format(escape(title), WIDTH, HEIGHT, escape(title)) }
   axes(out, top_x, top_y, x_of, y_of, kinds)
   for _, mark in ipairs(marks or {}) do
      if mark[1] <= top_x then
         out[#out + 1] = ('<line class="mark" x1="%.1f" x2="%.1f" y1="%d" y2="%d"><title>%s</title></line>'):format(
            x_of(mark[1]), x_of(mark[1]), TOP, HEIGHT - BOTTOM, escape(mark[2]))
      end
   end
   local legend = {}
   for i, one in ipairs(series) do
      local colour = COLOURS[(one.colour or i - 1) % #COLOURS + 1]
      out[#out + 1] = line_of(one, x_of, y_of, colour)
      legend[#legend + 1] = ('<span style="color:%s">&#9632;</span> %s'):format(colour, escape(one.name))
   end
   out[#out + 1] = "</svg><div>" .. table.concat(legend, " &nbsp; ") .. "</div>"
   if note then out[#out + 1] = '<div class="note">' .. escape(note) .. "</div>" end
   return table.concat(out, "\n")
end

-- --- what is in it ------------------------------------------------------------------------

local function over_time (r, field, scale)
   local series = {}
   for i, name in ipairs(r.names) do
      local points = {}
      for _, sample in ipairs(r.samples) do
         local value = sample[name] and sample[name][field]
         if value then points[#points + 1] = { sample.time, value * (scale or 1) } end
      end
      series[i] = { name = name, points = points, gap = 1.5 }
   end
   return series
end

local function with_tail (r, field, tail)
   local series = over_time(r, field)
   for i, one in ipairs(over_time(r, tail)) do
      one.name, one.dashed, one.colour = one.name .. ", 99 of 100", true, i - 1
      series[#series + 1] = one
   end
   return series
end

-- The median round trip: both ways together, where there are two.
local function round_trips (r)
   if #r.names ~= 2 then return {} end
   local points, last = {}, {}
   for _, sample in ipairs(r.samples) do
      for _, name in ipairs(r.names) do last[name] = sample[name].delay_p50 or last[name] end
      if last[r.names[1]] and last[r.names[2]] then
         points[#points + 1] = { sample.time, last[r.names[1]] + last[r.names[2]] }
      end
   end
   return { { name = "round trip on the network, median", points = points } }
end

-- The share of records up to each value.
local function cumulative (r, field, scale)
   local series = {}
   for i, name in ipairs(r.names) do
      local h, points, sum = r.measured[name][field], {}, 0
      for _, bucket in ipairs(h) do
         points[#points + 1] = { math.min(bucket[1], h.max) * scale, sum / h.count }
         sum = sum + bucket[2]
         points[#points + 1] = { math.min(bucket[1], h.max) * scale, sum / h.count }
      end
      series[i] = { name = name, points = points }
   end
   return series
end

local function empty (series)
   for _, one in ipairs(series) do
      if #one.points > 0 then return false end
   end
   return true
end

local ROWS = {
   { "packets", "seen" }, { "delivered", "delivered" }, { "lost", "loss", "share" }, { "lost in a row, mean", "loss_run_mean" },
   { "duplicated", "duplicated" }, { "damaged", "corrupted" }, { "out of order", "reordered" },
   { "throughput", "rate", "rate" }, { "delay, least", "delay_min", "time" }, { "delay, median", "delay_p50", "time" },
   { "delay, 99 of 100", "delay_p99", "time" }, { "emulator late, 99 of 100", "late_p99", "time" },
}

local function measured_table (r)
   local out = { "<h2>Asked and measured</h2><table><tr><th></th>" }
   for _, name in ipairs(r.names) do out[#out + 1] = "<th>" .. escape(name) .. "</th>" end
   out[#out + 1] = "</tr><tr><td>asked</td>"
   for _, name in ipairs(r.names) do out[#out + 1] = "<td>" .. escape(r.asked[name]) .. "</td>" end
   out[#out + 1] = "</tr>"
   for _, row in ipairs(ROWS) do
      out[#out + 1] = "<tr><td>" .. row[1] .. "</td>"
      for _, name in ipairs(r.names) do
         out[#out + 1] = '<td class="n">' .. escape(quantity.format(r.measured[name][row[2]], row[3])) .. "</td>"
      end
      out[#out + 1] = "</tr>"
   end
   out[#out + 1] = "</table>"
   return table.concat(out)
end

local function drops_table (r)
   local names, any = {}, {}
   for _, name in ipairs(r.names) do
      for counter, n in pairs(r.measured[name]) do
         if type(n) == "number" and n > 0 and counter:match("^drop_") and not any[counter] then
            any[counter], names[#names + 1] = true, counter
         end
      end
   end
   if #names == 0 then return "" end
   table.sort(names)
   local out = { "<h2>Lost, by reason</h2><table>" }
   for _, counter in ipairs(names) do
      out[#out + 1] = "<tr><td>" .. escape(counter:sub(6)) .. "</td>"
      for _, name in ipairs(r.names) do out[#out + 1] = ('<td class="n">%d</td>'):format(r.measured[name][counter] or 0) end
      out[#out + 1] = "</tr>"
   end
   out[#out + 1] = "</table>"
   return table.concat(out)
end

local function checks_table (r)
   if not r.judged then return "" end
   local out = { "<h2>Expected</h2><table><tr><th>what</th><th>wanted</th><th>is</th><th></th></tr>" }
   for _, check in ipairs(r.checks) do
      local word = check.ok and "pass" or check.guard and "inconclusive" or "fail"
      out[#out + 1] = ('<tr><td>%s</td><td>%s</td><td>%s</td><td class="%s">%s</td></tr>'):format(
         escape(check.name), escape(check.wanted), escape(check.measured), word, word)
   end
   return table.concat(out) .. "</table>"
end

local function events_table (r)
   local out, marks = { "<h2>What happened</h2><table>" }, {}
   for _, event in ipairs(r.events) do
      local text = event.text or event.command or event.outcome or ""
      out[#out + 1] = ('<tr><td class="n">%.3f s</td><td>%s</td><td>%s</td></tr>'):format(event.time, escape(event.event), escape(text))
      if event.event ~= "start" and event.event ~= "end" then marks[#marks + 1] = { event.time, event.event .. ": " .. text } end
   end
   return table.concat(out) .. "</table>", marks
end

return function (r)
   local events, marks = events_table(r)
   local time = { x = "time" }
   local function timed (title, series, kind, note)
      time.y = kind
      return not empty(series) and chart(title, series, time, marks, note) or ""
   end
   local parts = {
      '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
      "<title>", escape(r.title), "</title><style>", STYLE, "</style><h1>", escape(r.title), "</h1>",
      ('<p><b class="%s">%s</b>, exit code %d, %.1f s, seed %d. Vanguard %s, Linux %s.</p>'):format(
         r.outcome, r.outcome, r.exit_code, r.measured.duration, r.seed, escape(r.version), escape(r.kernel)),
      "<p>The same again:</p><pre>", escape(r.rerun), "</pre>", checks_table(r), measured_table(r), drops_table(r),
      timed("Round trip in time", round_trips(r), "time"),
      timed("One-way delay in time", with_tail(r, "delay_p50", "delay_p99"), "time"),
      empty(cumulative(r, "delays", 1e-9)) and "" or
         chart("One-way delay, share of packets", cumulative(r, "delays", 1e-9), { x = "time", y = "share" }),
      timed("Throughput in time", over_time(r, "rate"), "rate"),
      timed("Packets lost in time", over_time(r, "lost"), nil, "packets in 100 ms"),
      empty(cumulative(r, "loss_runs", 1)) and "" or
         chart("Packets lost in a row, share of runs", cumulative(r, "loss_runs", 1), { y = "share" }),
      timed("Packets in the queue in time", over_time(r, "queue_packets"), nil),
      timed("How late the emulator was in time", over_time(r, "late_p99"), "time", "99 of 100 packets left no later than this after their time"),
      events, "</html>\n",
   }
   return table.concat(parts)
end
