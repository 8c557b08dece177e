-- layers: which column of a picture each box of a graph goes to, and in which order.
--
--   layers(nodes, edges) -> columns
--
-- nodes    list of { id, device, out, edges }: ids ascend, out holds the edges that leave
--          a node, edges all that touch it; the nodes hang together
-- edges    list of { from, to, back = false }; no edge leads from a node to itself
-- columns  from left to right, each a list of nodes from top to bottom. Links that span
--          columns have a waypoint in each: a node with waypoint = true
--
-- Afterwards edge.back says which edges are drawn from right to left, edge.segments are
-- its parts from one column to the next: { a = left node, b = right node, edge }; and
-- node.outs and node.ins are the segments to the right and to the left of a node, from
-- top to bottom. The steps, after Sugiyama:
--
--   orient     decide which links flow back, so that no cycle is left
--   rank       the column of each app
--   thread     cut links into segments
--   order      the order of boxes in a column: few crossings

local SWEEPS = 12

-- orient ----------------------------------------------------------------------------

-- The end of a link that is drawn further left, and the other one.
local function left(edge) return edge.back and edge.to or edge.from end
local function right(edge) return edge.back and edge.from or edge.to end

-- Numbers strongly connected components (Tarjan): node.component.
local function find_cycles(nodes)
   local index, stack, components = 0, {}, {}
   local function visit(node)
      index = index + 1
      node.index, node.low = index, index
      stack[#stack + 1] = node
      for _, edge in ipairs(node.out) do
         if not edge.to.index then
            visit(edge.to)
            node.low = math.min(node.low, edge.to.low)
         elseif not edge.to.component then
            node.low = math.min(node.low, edge.to.index)
         end
      end
      if node.low == node.index then
         local component = {}
         repeat
            local member = table.remove(stack)
            member.component = component
            component[#component + 1] = member
         until member == node
         components[#components + 1] = component
      end
   end
   for _, node in ipairs(nodes) do
      if not node.index then visit(node) end
   end
   return components
end

-- Packets that come in at the first device flow right until they meet another device;
-- what the other devices send flows left.
local function orient_devices(component)
   table.sort(component, function (a, b) return a.id < b.id end)
   local devices, seen = {}, {}
   for _, node in ipairs(component) do
      if node.device then devices[#devices + 1] = node end
   end
   if #devices < 2 then return end
   local function flow(node, back)
      for _, edge in ipairs(node.out) do
         if edge.to.component == component then
            edge.back = back
            if not seen[edge.to] then
               seen[edge.to] = true
               if not edge.to.device then flow(edge.to, back) end
            end
         end
      end
   end
   for i, device in ipairs(devices) do
      seen[device] = true
      flow(device, i > 1)
   end
end

-- Turns round every link that still closes a cycle.
local function break_cycles(nodes)
   local state = {}
   local function visit(node)
      state[node] = "open"
      for _, edge in ipairs(node.edges) do
         if left(edge) == node and not edge.turned then
            local next = right(edge)
            if state[next] == "open" then
               edge.back, edge.turned = not edge.back, true
            elseif not state[next] then
               visit(next)
            end
         end
      end
      state[node] = "done"
   end
   local function is_start(node)
      for _, edge in ipairs(node.edges) do
         if right(edge) == node then return false end
      end
      return true
   end
   for _, first in ipairs { true, false } do
      for _, node in ipairs(nodes) do
         if not state[node] and (not first or is_start(node)) then visit(node) end
      end
   end
end

local function orient(nodes)
   for _, component in ipairs(find_cycles(nodes)) do
      if #component > 1 then orient_devices(component) end
   end
   break_cycles(nodes)
   for _, node in ipairs(nodes) do
      node.lefts, node.rights = {}, {}
      for _, edge in ipairs(node.edges) do
         local side = left(edge) == node and node.rights or node.lefts
         side[#side + 1] = edge
      end
   end
end

-- rank ------------------------------------------------------------------------------

-- The longest way from the left, but what only feeds others stands next to them.
local function rank(nodes)
   local sorted, seen = {}, {}
   local function visit(node)
      seen[node] = true
      for _, edge in ipairs(node.rights) do
         if not seen[right(edge)] then visit(right(edge)) end
      end
      sorted[#sorted + 1] = node
   end
   for i = #nodes, 1, -1 do
      if not seen[nodes[i]] then visit(nodes[i]) end
   end
   for i = #sorted, 1, -1 do
      local node = sorted[i]
      node.rank = 1
      for _, edge in ipairs(node.lefts) do
         node.rank = math.max(node.rank, left(edge).rank + 1)
      end
   end
   for _, node in ipairs(sorted) do
      if #node.lefts == 0 and #node.rights > 0 then
         local nearest = math.huge
         for _, edge in ipairs(node.rights) do
            nearest = math.min(nearest, right(edge).rank)
         end
         node.rank = nearest - 1
      end
   end
end

-- thread ----------------------------------------------------------------------------

-- Cuts links into segments from one column to the next; returns the columns.
local function thread(nodes, edges)
   local columns = {}
   local function put(node)
      columns[node.rank] = columns[node.rank] or {}
      table.insert(columns[node.rank], node)
   end
   local first = math.huge
   for _, node in ipairs(nodes) do first = math.min(first, node.rank) end
   for _, node in ipairs(nodes) do
      node.rank = node.rank - first + 1
      node.ins, node.outs = {}, {}
      put(node)
   end
   for _, edge in ipairs(edges) do
      local from, last = left(edge), right(edge)
      edge.segments = {}
      for column = from.rank + 1, last.rank do
         local to = last
         if column < last.rank then
            to = { waypoint = true, ins = {}, outs = {}, rank = column }
            put(to)
         end
         local segment = { a = from, b = to, edge = edge }
         table.insert(edge.segments, segment)
         table.insert(from.outs, segment)
         table.insert(to.ins, segment)
         from = to
      end
   end
   return columns
end

-- order -----------------------------------------------------------------------------

local function number(columns)
   for _, column in ipairs(columns) do
      for i, node in ipairs(column) do node.position = i end
   end
end

-- Sorts by key, equal ones as they were.
local function stable_sort(list, key)
   local keys, was = {}, {}
   for i, item in ipairs(list) do keys[item], was[item] = key(item, i), i end
   table.sort(list, function (a, b)
      if keys[a] ~= keys[b] then return keys[a] < keys[b] end
      return was[a] < was[b]
   end)
end

-- In which order lines leave and enter a box: as the boxes at their other ends lie.
local function sort_pins(columns)
   for _, column in ipairs(columns) do
      for _, node in ipairs(column) do
         stable_sort(node.outs, function (s) return s.b.position end)
         stable_sort(node.ins, function (s) return s.a.position end)
      end
   end
end

local function mean(segments, end_name, default)
   if #segments == 0 then return default end
   local sum = 0
   for _, segment in ipairs(segments) do sum = sum + segment[end_name].position end
   return sum / #segments
end

-- Crossings of lines between neighbouring columns.
local function crossings(columns)
   local count = 0
   for _, column in ipairs(columns) do
      local ends = {}
      for _, node in ipairs(column) do
         for _, segment in ipairs(node.outs) do
            for _, other in ipairs(ends) do
               if other > segment.b.position then count = count + 1 end
            end
         end
         for _, segment in ipairs(node.outs) do ends[#ends + 1] = segment.b.position end
      end
   end
   return count
end

local function order(columns)
   number(columns)
   local best, fewest = nil, math.huge
   for sweep = 0, SWEEPS do
      sort_pins(columns)
      local count = crossings(columns)
      if count < fewest then
         best, fewest = {}, count
         for i, column in ipairs(columns) do best[i] = { table.unpack(column) } end
      end
      if count == 0 then break end
      local down = sweep % 2 == 0
      for i = down and 2 or #columns - 1, down and #columns or 1, down and 1 or -1 do
         local column = columns[i]
         stable_sort(column, function (node)
            return down and mean(node.ins, "a", node.position)
               or mean(node.outs, "b", node.position)
         end)
         for j, node in ipairs(column) do node.position = j end
      end
   end
   for i, column in ipairs(best) do columns[i] = column end
   number(columns)
   sort_pins(columns)
end

return function (nodes, edges)
   orient(nodes)
   rank(nodes)
   local columns = thread(nodes, edges)
   order(columns)
   return columns
end
