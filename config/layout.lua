-- layout: where the boxes and lines of a graph go.
--
--   layout(apps, links) -> list of pictures
--
-- apps      list of { name =, lines = { text, ... }, device = bool }
-- links     list of { from =, from_port =, from_label =, to =, to_port =, to_label = };
--           the labels are written at the two ends of the line, "" for nothing
-- picture   what hangs together, { width, height, boxes, lines, cuts }, on a grid of
--           character cells counted from 0:
--   boxes   list of { x, y, w, h, lines, app }: the frame is part of it
--   lines   list of { points, labels, link }: points are { x, y } of the corners from
--           where packets leave to where they arrive; labels are { x, y, text }
--   cuts    columns x at which the picture may be cut, with the rows of the lines there
--
-- Packets flow from left to right, one column of boxes per layer (config/layers.lua).
-- What flows back (the second direction of a bridge between two interfaces) flows from right
-- to left beside it. Here boxes get their rows and columns, and lines their ways:
--
--   place      rows; boxes grow where that makes lines straight
--   route      what is not straight gets a column between the boxes
--
-- Everything depends on the order of apps and links only: the same graph always gives the
-- same picture.
local layers = require "config.layers"

local GAP = 1 -- rows between two boxes
local PASSES = 6

-- place -----------------------------------------------------------------------------

local function height(node) return node.waypoint and 1 or node.inner + 2 end
local function gap(a, b) return a.waypoint and b.waypoint and 0 or GAP end

-- Rows for the boxes of a column, in order: each at the row it wishes for or below the
-- one above it.
local function settle(column)
   for i, node in ipairs(column) do
      local above = column[i - 1]
      local free = above and above.y + height(above) + gap(above, node)
      node.y = math.max(node.wish, free or node.wish)
   end
end

-- The row at which the i-th line meets a box: from the row of its name downward.
local function pin(node, i) return node.waypoint and node.y or node.y + i end

-- The row at which the first line of a box would be straight: further lines can be made
-- straight by growing downward.
local function wish(node, segment, other, there)
   if not segment then return node.y end
   for i, that in ipairs(there) do
      if that == segment then return pin(other, i) - (pin(node, 1) - node.y) end
   end
end

local function place_boxes(columns)
   for _, column in ipairs(columns) do
      for _, node in ipairs(column) do
         if not node.waypoint then
            node.inner = math.max(#node.lines, #node.ins, #node.outs)
         end
         node.y, node.wish = 0, 0
      end
      settle(column)
   end
   for pass = 1, PASSES do
      local down = pass % 2 == 1
      for i = down and 2 or #columns - 1, down and #columns or 1, down and 1 or -1 do
         for _, node in ipairs(columns[i]) do
            local segment = (down and node.ins or node.outs)[1]
            local other = segment and (down and segment.a or segment.b)
            local there = other and (down and other.outs or other.ins)
            node.wish = wish(node, segment, other, there)
         end
         settle(columns[i])
      end
   end
end

-- How far down a box may grow.
local function set_limits(columns)
   for _, column in ipairs(columns) do
      for i, node in ipairs(column) do
         local below = column[i + 1]
         node.top, node.bottom = node.y, node.y + height(node) - 1
         node.lowest = below and below.y - gap(node, below) - 1 or math.huge
      end
   end
end

-- Moves the pin of segments[i] to a row if order and room allow, the box growing. field
-- is where the row is kept: "ya" or "yb".
local function move_pin(node, segments, i, field, row)
   local before, after = segments[i - 1], segments[i + 1]
   if node.waypoint or row <= node.top or row >= node.lowest or
      before and before[field] >= row or after and after[field] <= row then
      return
   end
   segments[i][field] = row
   node.bottom = math.max(node.bottom, row + 1)
end

-- Lines leave and enter boxes at consecutive rows, then those that are not straight move
-- down, the last first.
local function straighten(columns)
   for _, column in ipairs(columns) do
      for _, node in ipairs(column) do
         for i, segment in ipairs(node.outs) do segment.ya = pin(node, i) end
         for i, segment in ipairs(node.ins) do segment.yb = pin(node, i) end
      end
   end
   for _, column in ipairs(columns) do
      for _, node in ipairs(column) do
         local outs, ins = node.outs, node.ins
         for i = #outs, 1, -1 do move_pin(node, outs, i, "ya", outs[i].yb) end
         for i = #ins, 1, -1 do move_pin(node, ins, i, "yb", ins[i].ya) end
      end
   end
end

local function place(columns)
   place_boxes(columns)
   set_limits(columns)
   straighten(columns)
end

-- route -----------------------------------------------------------------------------

-- A piece is a vertical part of a line in the space behind a column: { segment, from row,
-- to row }. Where one ends at the row at which another begins, the other must lie further
-- left: it comes first.
local function constrain(pieces)
   local begins = {}
   for _, piece in ipairs(pieces) do begins[piece.from] = piece end
   for _, piece in ipairs(pieces) do
      local other = begins[piece.to]
      piece.after = other and other.segment ~= piece.segment and other or nil
   end
end

-- A row between two where no line of this space begins or ends.
local function free_row(used, from, to)
   local middle = (from + to) // 2
   for distance = 0, math.huge do
      for _, row in ipairs { middle + distance, middle - distance } do
         if not used[row] then
            used[row] = true
            return row
         end
      end
   end
end

-- The place of a piece that would have to come before itself.
local function find_loop(pieces)
   constrain(pieces)
   for _, first in ipairs(pieces) do
      local seen, piece = {}, first
      while piece and not seen[piece] do
         seen[piece], piece = true, piece.after
      end
      for i, member in ipairs(pieces) do
         if member == piece then return i end
      end
   end
end

-- Cuts pieces in two at a free row until there is an order.
local function cut_loops(pieces, used)
   local i = find_loop(pieces)
   while i do
      local piece = table.remove(pieces, i)
      local row = free_row(used, piece.from, piece.to)
      table.insert(pieces, i, { segment = piece.segment, from = piece.from, to = row })
      table.insert(pieces, i + 1, { segment = piece.segment, from = row, to = piece.to })
      i = find_loop(pieces)
   end
end

local function overlap(a, b)
   return math.max(math.min(a.from, a.to), math.min(b.from, b.to)) <=
      math.min(math.max(a.from, a.to), math.max(b.from, b.to))
end

local function is_free(track, piece, pieces)
   for _, other in ipairs(pieces) do
      if other.track == track and overlap(piece, other) then return false end
   end
   return true
end

-- Gives each piece the leftmost track that is free; returns how many there are.
local function assign_tracks(pieces)
   local tracks = 0
   local function assign(piece)
      if piece.track then return end
      local track = 1
      if piece.after then
         assign(piece.after)
         track = piece.after.track + 1
      end
      while not is_free(track, piece, pieces) do track = track + 1 end
      piece.track = track
      tracks = math.max(tracks, track)
   end
   for _, piece in ipairs(pieces) do assign(piece) end
   return tracks
end

-- The space behind a column: its width, and at which column each piece goes down.
local function route_space(column)
   local pieces, used, left_label, right_label = {}, {}, 0, 0
   for _, node in ipairs(column) do
      for _, segment in ipairs(node.outs) do
         local edge = segment.edge
         used[segment.ya], used[segment.yb] = true, true
         if segment.ya ~= segment.yb then
            table.insert(pieces, { segment = segment, from = segment.ya, to = segment.yb })
         end
         if segment == edge.segments[1] then
            left_label = math.max(left_label, #edge.left_label)
         end
         if segment == edge.segments[#edge.segments] then
            right_label = math.max(right_label, #edge.right_label)
         end
      end
   end
   cut_loops(pieces, used)
   local tracks = assign_tracks(pieces)
   local before = left_label > 0 and left_label + 3 or 2
   local after = right_label > 0 and right_label + 3 or 2
   for _, piece in ipairs(pieces) do
      local segment = piece.segment
      segment.pieces = segment.pieces or {}
      table.insert(segment.pieces, { x = before + 2 * (piece.track - 1), row = piece.to })
   end
   local width = before + (tracks > 0 and 2 * tracks - 1 or 0) + after
   return math.max(width, 5), before
end

local function edge_line(edge)
   local points, labels = {}, {}
   local first, last = edge.segments[1], edge.segments[#edge.segments]
   local function add(x, y) table.insert(points, { x, y }) end
   add(first.a.x + first.a.w, first.ya)
   for _, segment in ipairs(edge.segments) do
      local row = segment.ya
      for _, piece in ipairs(segment.pieces or {}) do
         local x = segment.a.x + segment.a.w + piece.x
         add(x, row)
         add(x, piece.row)
         row = piece.row
      end
   end
   add(last.b.x - 1, last.yb)
   local lx, rx = points[1][1], points[#points][1]
   if edge.left_label ~= "" then
      labels[1] = { x = lx + 1, y = first.ya, text = edge.left_label }
   end
   if edge.right_label ~= "" then
      labels[#labels + 1] = { x = rx - 1 - #edge.right_label, y = last.yb,
                              text = edge.right_label }
   end
   if edge.back then
      for i = 1, #points // 2 do
         local j = #points + 1 - i
         points[i], points[j] = points[j], points[i]
      end
   end
   return { points = points, labels = labels, link = edge.link }
end

local function route(columns, edges)
   local x, cuts = 0, {}
   for i, column in ipairs(columns) do
      local width = 0
      for _, node in ipairs(column) do
         for _, line in ipairs(node.lines or {}) do width = math.max(width, #line + 4) end
      end
      for _, node in ipairs(column) do
         node.x, node.w = x, width
      end
      x = x + width
      if columns[i + 1] then
         local space, before = route_space(column)
         local cut = { x = x + before - 1, rows = {} }
         for _, node in ipairs(column) do
            for _, segment in ipairs(node.outs) do table.insert(cut.rows, segment.ya) end
         end
         table.sort(cut.rows)
         cuts[#cuts + 1] = cut
         x = x + space
      end
   end
   local lines = {}
   for _, edge in ipairs(edges) do lines[#lines + 1] = edge_line(edge) end
   return x, lines, cuts
end

-- The whole --------------------------------------------------------------------------

local function build(apps, links)
   local nodes, by_name, edges = {}, {}, {}
   for i, app in ipairs(apps) do
      local node = { id = i, app = app, lines = { table.unpack(app.lines) },
                     device = app.device, out = {}, edges = {} }
      nodes[i], by_name[app.name] = node, node
   end
   for _, link in ipairs(links) do
      local from, to = by_name[link.from], by_name[link.to]
      if from == to then
         table.insert(from.lines, ("(%s -> %s)"):format(link.from_port, link.to_port))
      else
         local edge = { from = from, to = to, link = link, back = false }
         edges[#edges + 1] = edge
         table.insert(from.out, edge)
         table.insert(from.edges, edge)
         table.insert(to.edges, edge)
      end
   end
   return nodes, edges
end

-- Nodes that belong together: lists of nodes, in the order of their first app.
local function split(nodes)
   local groups = {}
   local function visit(node, group)
      node.group = group
      group[#group + 1] = node
      for _, edge in ipairs(node.edges) do
         local other = edge.from == node and edge.to or edge.from
         if not other.group then visit(other, group) end
      end
   end
   for _, node in ipairs(nodes) do
      if not node.group then
         groups[#groups + 1] = {}
         visit(node, groups[#groups])
      end
   end
   return groups
end

-- Draws one connected part; returns its width and where it begins and ends.
local function draw_part(nodes, edges)
   local columns = layers(nodes, edges)
   for _, edge in ipairs(edges) do
      local from, to = edge.link.from_label, edge.link.to_label
      edge.left_label = edge.back and to or from
      edge.right_label = edge.back and from or to
   end
   place(columns)
   local width, lines, cuts = route(columns, edges)
   local top, bottom = math.huge, -math.huge
   for _, node in ipairs(nodes) do
      top, bottom = math.min(top, node.top), math.max(bottom, node.bottom)
   end
   for _, line in ipairs(lines) do
      for _, point in ipairs(line.points) do
         top, bottom = math.min(top, point[2]), math.max(bottom, point[2])
      end
   end
   return width, lines, cuts, top, bottom
end

return function (apps, links)
   local all, all_edges = build(apps, links)
   local parts = {}
   for _, nodes in ipairs(split(all)) do
      local part = { boxes = {}, edges = {} }
      table.sort(nodes, function (a, b) return a.id < b.id end)
      for _, edge in ipairs(all_edges) do
         if edge.from.group == nodes[1].group then table.insert(part.edges, edge) end
      end
      local width, lines, cuts, top, bottom = draw_part(nodes, part.edges)
      for _, node in ipairs(nodes) do
         table.insert(part.boxes, { x = node.x, y = node.top - top, w = node.w,
                                    h = node.bottom - node.top + 1, app = node.app,
                                    lines = node.lines })
      end
      for _, line in ipairs(lines) do
         for _, point in ipairs(line.points) do point[2] = point[2] - top end
         for _, label in ipairs(line.labels) do label.y = label.y - top end
      end
      for _, cut in ipairs(cuts) do
         for i, row in ipairs(cut.rows) do cut.rows[i] = row - top end
      end
      part.width, part.height = width, bottom - top + 1
      part.lines, part.cuts = lines, cuts
      parts[#parts + 1] = part
   end
   return parts
end
