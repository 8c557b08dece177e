-- draw: the picture of a graph, as text, for graphviz, or as SVG.
--
--   draw.text(graph, { unicode =, width = })   for terminals and READMEs
--   draw.dot(graph)                            for graphviz
--   draw.svg(graph, title)                     stands alone, no other tool needed
--
-- graph is { apps = list of { name, class, parameters = list of { name, text }, device },
-- links = list of { from, from_port, to, to_port } }; `device` is true for an app that is
-- an interface to the outside, where packets both come in and leave. The same graph
-- always gives the same bytes.
local layout = require "config.layout"

local draw = {}

local MOST_PARAMETERS = 6 -- in a box
local MOST_TEXT = 32      -- columns of a line in a box

local function shorten(text)
   text = text:gsub("%c", "?")
   return #text <= MOST_TEXT and text or text:sub(1, MOST_TEXT - 3) .. "..."
end

-- What is written into the box of an app: its name, class, its core where there are several, and
-- what was set.
local function box_lines(app, cores)
   local lines = { app.name, shorten(app.class) }
   if cores then lines[#lines + 1] = "core " .. app.core end
   for i, parameter in ipairs(app.parameters) do
      if i == MOST_PARAMETERS and #app.parameters > MOST_PARAMETERS then
         lines[#lines + 1] = ("... %d more"):format(#app.parameters - i + 1)
         break
      end
      lines[#lines + 1] = shorten(parameter[1] .. " " .. parameter[2])
   end
   return lines
end

local function several_cores(graph)
   for _, app in ipairs(graph.apps) do
      if app.core and app.core > 0 then return true end
   end
   return false
end

local function label(port, usual) return port == usual and "" or port end

local function pictures(graph)
   local apps, links, cores = {}, {}, several_cores(graph)
   for i, app in ipairs(graph.apps) do
      apps[i] = { name = app.name, lines = box_lines(app, cores), device = app.device }
   end
   for i, link in ipairs(graph.links) do
      links[i] = { from = link.from, from_port = link.from_port, to = link.to,
                   to_port = link.to_port, from_label = label(link.from_port, "output"),
                   to_label = label(link.to_port, "input") }
   end
   return layout(apps, links)
end

-- Text ------------------------------------------------------------------------------

local ASCII = { horizontal = "-", vertical = "|", corner = "+", right = ">", left = "<" }
local UNICODE = { horizontal = "─", vertical = "│", right = "▶", left = "◀" }

-- A corner by the sides that meet in it.
local CORNERS = { ["right down"] = "┌", ["left down"] = "┐", ["right up"] = "└",
                  ["left up"] = "┘" }

local MARK, INDENT = 5, 6 -- columns for the numbers of cut lines, behind and in front

local function new_canvas(picture)
   local canvas = { width = picture.width }
   for y = 0, picture.height - 1 do
      canvas[y] = {}
      for x = 0, picture.width - 1 do canvas[y][x] = " " end
   end
   return canvas
end

local function write(canvas, x, y, text)
   for i = 1, #text do canvas[y][x + i - 1] = text:sub(i, i) end
end

local function corner(set, horizontal, vertical)
   return set.corner or CORNERS[horizontal .. " " .. vertical]
end

local function draw_box(canvas, set, box)
   local last, bottom = box.x + box.w - 1, box.y + box.h - 1
   for x = box.x, last do
      canvas[box.y][x], canvas[bottom][x] = set.horizontal, set.horizontal
   end
   for y = box.y, bottom do
      canvas[y][box.x], canvas[y][last] = set.vertical, set.vertical
   end
   canvas[box.y][box.x] = corner(set, "right", "down")
   canvas[box.y][last] = corner(set, "left", "down")
   canvas[bottom][box.x] = corner(set, "right", "up")
   canvas[bottom][last] = corner(set, "left", "up")
   for i, line in ipairs(box.lines) do write(canvas, box.x + 2, box.y + i, line) end
end

local function draw_horizontals(canvas, set, line)
   for i = 1, #line.points - 1 do
      local a, b = line.points[i], line.points[i + 1]
      if a[2] == b[2] then
         for x = math.min(a[1], b[1]), math.max(a[1], b[1]) do
            canvas[a[2]][x] = set.horizontal
         end
      end
   end
end

local function draw_verticals(canvas, set, line)
   for i = 1, #line.points - 1 do
      local a, b = line.points[i], line.points[i + 1]
      if a[2] ~= b[2] then
         for y = math.min(a[2], b[2]), math.max(a[2], b[2]) do
            canvas[y][a[1]] = set.vertical
         end
      end
   end
end

-- Corners, the arrow's head and the names of ports.
local function draw_points(canvas, set, line)
   local points = line.points
   for i = 2, #points - 1 do
      local here, before, after = points[i], points[i - 1], points[i + 1]
      local beside = before[2] == here[2] and before or after
      local above = beside == before and after or before
      canvas[here[2]][here[1]] = corner(set, beside[1] > here[1] and "right" or "left",
                                        above[2] > here[2] and "down" or "up")
   end
   local last, before = points[#points], points[#points - 1]
   canvas[last[2]][last[1]] = before[1] < last[1] and set.right or set.left
   for _, text in ipairs(line.labels) do write(canvas, text.x, text.y, text.text) end
end

local function paint(picture, set)
   local canvas = new_canvas(picture)
   for _, line in ipairs(picture.lines) do draw_horizontals(canvas, set, line) end
   for _, line in ipairs(picture.lines) do draw_verticals(canvas, set, line) end
   for _, line in ipairs(picture.lines) do draw_points(canvas, set, line) end
   for _, box in ipairs(picture.boxes) do draw_box(canvas, set, box) end
   return canvas
end

-- The cuts that make every strip at most so wide, where that is possible.
local function choose_cuts(picture, width)
   local chosen, from, indent = {}, 0, 0
   for i, cut in ipairs(width and picture.cuts or {}) do
      local next = picture.cuts[i + 1]
      local reach = next and next.x + MARK or picture.width
      if indent + reach - from > width then
         chosen[#chosen + 1] = cut
         from, indent = cut.x, INDENT
      end
   end
   return chosen
end

-- Columns from x on, before x2; lines that are cut bear the same number on both sides.
local function strip(canvas, picture, from, to, first)
   local x, x2 = from and from.x or 0, to and to.x or picture.width
   local marks, indent = {}, from and INDENT or 0
   for i, row in ipairs(from and from.rows or {}) do
      marks[row] = ("(%d)"):format(first + i)
   end
   local ends, next = {}, first + (from and #from.rows or 0)
   for i, row in ipairs(to and to.rows or {}) do ends[row] = ("(%d)"):format(next + i) end
   local lines = {}
   for y = 0, picture.height - 1 do
      local before = marks[y] or ""
      local line = (" "):rep(indent - #before) .. before
      line = line .. table.concat(canvas[y], "", x, x2 - 1) .. (ends[y] or "")
      lines[#lines + 1] = (line:gsub(" +$", ""))
   end
   while lines[1] == "" do table.remove(lines, 1) end
   while lines[#lines] == "" do table.remove(lines) end
   return table.concat(lines, "\n") .. "\n", next
end

function draw.text(graph, options)
   options = options or {}
   local set, out, number = options.unicode and UNICODE or ASCII, {}, 0
   for _, picture in ipairs(pictures(graph)) do
      local canvas = paint(picture, set)
      local cuts = choose_cuts(picture, options.width)
      for i = 0, #cuts do
         out[#out + 1], number = strip(canvas, picture, cuts[i], cuts[i + 1], number)
      end
   end
   return table.concat(out, "\n")
end

-- DOT -------------------------------------------------------------------------------

local function quote(text)
   return '"' .. text:gsub('[\\"]', "\\%0"):gsub("%c", " ") .. '"'
end

-- Inside a record label more characters have a meaning.
local function record_text(text)
   return (text:gsub("%c", " "):gsub('[\\"{}|<> ]', "\\%0"))
end

local function ports_of(graph)
   local ports, known = {}, {}
   for _, app in ipairs(graph.apps) do ports[app.name] = { i = {}, o = {} } end
   local function add(app, side, port)
      local key = side .. " " .. app .. "." .. port
      if not known[key] then table.insert(ports[app][side], port) end
      known[key] = true
   end
   for _, link in ipairs(graph.links) do
      add(link.from, "o", link.from_port)
      add(link.to, "i", link.to_port)
   end
   return ports
end

local function record_ports(side, ports)
   local fields = {}
   for i, port in ipairs(ports) do
      fields[i] = ("<%s_%s> %s"):format(side, port, record_text(port))
   end
   return "{" .. table.concat(fields, "|") .. "}"
end

function draw.dot(graph)
   local out = { "digraph graph_of_apps {", "  rankdir=LR;",
                 '  node [shape=record, fontname="monospace"];' }
   local ports = ports_of(graph)
   for _, app in ipairs(graph.apps) do
      local lines = box_lines(app, several_cores(graph))
      for i, line in ipairs(lines) do lines[i] = record_text(line) end
      local fields = { table.concat(lines, "\\n") }
      local has = ports[app.name]
      if #has.i > 0 then table.insert(fields, 1, record_ports("i", has.i)) end
      if #has.o > 0 then table.insert(fields, record_ports("o", has.o)) end
      out[#out + 1] = ('  %s [label="{%s}"];'):format(quote(app.name),
                                                   table.concat(fields, "|"))
   end
   for _, link in ipairs(graph.links) do
      out[#out + 1] = ('  %s:"o_%s" -> %s:"i_%s";'):format(
         quote(link.from), link.from_port, quote(link.to), link.to_port)
   end
   out[#out + 1] = "}\n"
   return table.concat(out, "\n")
end

-- SVG -------------------------------------------------------------------------------

local CELL_WIDTH, CELL_HEIGHT, MARGIN = 8, 18, 12

local ESCAPES = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ['"'] = "&quot;" }
local function escape(text)
   return (text:gsub("%c", " "):gsub('[<>&"]', ESCAPES))
end

-- The middle of a cell, in pixels.
local function pixel(x, y, top)
   return MARGIN + (x + 0.5) * CELL_WIDTH, MARGIN + (y + top + 0.5) * CELL_HEIGHT
end

local function number(n) return ("%g"):format(n) end

local function svg_text(out, class, x, y, text)
   out[#out + 1] = ('  <text class="%s" x="%s" y="%s">%s</text>'):format(
      class, number(x), number(y), escape(text))
end

local function svg_box(out, box, top)
   local x, y = pixel(box.x, box.y, top)
   out[#out + 1] = ('  <rect class="app" x="%s" y="%s" width="%s" height="%s" rx="5"/>')
      :format(number(x), number(y), number((box.w - 1) * CELL_WIDTH),
              number((box.h - 1) * CELL_HEIGHT))
   for i, line in ipairs(box.lines) do
      local tx, ty = pixel(box.x + 1.5, box.y + i, top)
      svg_text(out, i == 1 and "name" or i == 2 and "class" or "set", tx, ty + 4, line)
   end
end

-- A point on the way from x, y to another, as far as a round corner begins.
local function towards(x, y, other, top)
   local ox, oy = pixel(other[1], other[2], top)
   local length = math.max(math.abs(ox - x), math.abs(oy - y), 1)
   local part = math.min(6 / length, 0.5)
   return number(x + (ox - x) * part), number(y + (oy - y) * part)
end

-- A line with round corners. Its ends are drawn on to the frames of the boxes, which lie
-- in the middle of the next cell.
local function svg_path(points, top)
   local path, last = {}, #points
   for i, point in ipairs(points) do
      local x, y = pixel(point[1], point[2], top)
      if i == 1 then
         x = x + (points[2][1] > point[1] and -CELL_WIDTH or CELL_WIDTH)
         path[i] = ("M%s %s"):format(number(x), number(y))
      elseif i == last then
         x = x + (point[1] > points[i - 1][1] and CELL_WIDTH or -CELL_WIDTH)
         path[i] = ("L%s %s"):format(number(x), number(y))
      else
         local ax, ay = towards(x, y, points[i - 1], top)
         local bx, by = towards(x, y, points[i + 1], top)
         path[i] = ("L%s %sQ%s %s %s %s"):format(ax, ay, number(x), number(y), bx, by)
      end
   end
   return table.concat(path)
end

local function svg_line(out, line, top)
   out[#out + 1] = ('  <path class="link" d="%s" marker-end="url(#head)"/>'):format(
      svg_path(line.points, top))
   for _, text in ipairs(line.labels) do
      local x, y = pixel(text.x - 0.5, text.y, top)
      svg_text(out, "port", x, y - 4, text.text)
   end
end

local STYLE = [[
  <style>
    text { font: 13px monospace; fill: #222 }
    .name { font-weight: bold }
    .class { fill: #06c }
    .set, .port { font-size: 12px; fill: #555 }
    .app { fill: #f7f9fc; stroke: #456; stroke-width: 1.5 }
    .link { fill: none; stroke: #456; stroke-width: 1.5 }
  </style>
  <defs>
    <marker id="head" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="8"
            markerHeight="8" orient="auto">
      <path d="M0 1L10 5L0 9z" fill="#456"/>
    </marker>
  </defs>]]

function draw.svg(graph, title)
   local drawn, width, height = pictures(graph), 1, 0
   for i, picture in ipairs(drawn) do
      width = math.max(width, picture.width)
      height = height + picture.height + (i > 1 and 1 or 0)
   end
   local w, h = width * CELL_WIDTH + 2 * MARGIN, height * CELL_HEIGHT + 2 * MARGIN
   local out = {
      ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"'):format(w, h),
      ('     viewBox="0 0 %d %d">'):format(w, h),
      ("  <title>%s</title>"):format(escape(title or "graph")),
      STYLE, '  <rect width="100%" height="100%" fill="white"/>',
   }
   local top = 0
   for _, picture in ipairs(drawn) do
      for _, line in ipairs(picture.lines) do svg_line(out, line, top) end
      for _, box in ipairs(picture.boxes) do svg_box(out, box, top) end
      top = top + picture.height + 1
   end
   out[#out + 1] = "</svg>\n"
   return table.concat(out, "\n")
end

return draw
