-- pictures: what test_programs_graph.c asks of config/draw.lua and config/layout.lua.
--
-- Each global function test_* is one test. A graph is written as lines "name = Class
-- key:value ..." and "a.port -> b.port".
local draw, layout = require "config.draw", require "config.layout"

local function graph(text)
   local g = { apps = {}, links = {} }
   for line in text:gmatch("[^\n]+") do
      local name, class, rest = line:match("^%s*(%S+) = (%S+)%s*(.*)$")
      local from, from_port, to, to_port = line:match("^%s*(%w+)%.?(%w*) %-> (%w+)%.?(%w*)%s*$")
      if name then
         local parameters = {}
         for key, value in rest:gmatch("(%S+):(%S+)") do
            parameters[#parameters + 1] = { key, value }
         end
         table.insert(g.apps, { name = name, class = class, parameters = parameters,
                                device = class == "RawSocket" })
      elseif from then
         table.insert(g.links, { from = from, from_port = from_port ~= "" and from_port or "output",
                                 to = to, to_port = to_port ~= "" and to_port or "input" })
      end
   end
   return g
end

local function same(got, want)
   if got ~= want then error(("got\n%s\nnot\n%s"):format(got, want), 2) end
end

local FORWARDER = graph [[
   if1 = RawSocket ifname:eth1
   if2 = RawSocket ifname:eth2
   if1 -> if2
   if2 -> if1
]]

local CLUMSY = graph [[
   if1 = RawSocket ifname:eth1
   if2 = RawSocket ifname:eth2
   forward = Clumsy owd:50ms loss:1%
   reverse = Clumsy owd:50ms
   if1 -> forward
   forward -> if2
   if2 -> reverse
   reverse -> if1
]]

local BASIC1 = graph [[
   source = Source
   tee = Tee
   sink = Sink
   source.tx -> tee.rx
   tee.tx1 -> sink.rx1
   tee.tx2 -> sink.rx2
]]

function test_text_forwarder()
   same(draw.text(FORWARDER), [[
+-------------+     +-------------+
| if1         |---->| if2         |
| RawSocket   |<----| RawSocket   |
| ifname eth1 |     | ifname eth2 |
+-------------+     +-------------+
]])
end

function test_text_both_directions()
   same(draw.text(CLUMSY), [[
+-------------+     +----------+     +-------------+
| if1         |---->| forward  |---->| if2         |
| RawSocket   |     | Clumsy   |     | RawSocket   |
| ifname eth1 |     | owd 50ms |     | ifname eth2 |
|             |     | loss 1%  |     |             |
|             |     +----------+     |             |
|             |                      |             |
|             |     +----------+     |             |
|             |<----| reverse  |<----|             |
+-------------+     | Clumsy   |     +-------------+
                    | owd 50ms |
                    +----------+
]])
end

function test_text_ports_are_named()
   same(draw.text(BASIC1), [[
+--------+          +-----+            +------+
| source |-tx---rx->| tee |-tx1---rx1->| sink |
| Source |          | Tee |-tx2---rx2->| Sink |
+--------+          +-----+            +------+
]])
end

function test_text_unicode()
   same(draw.text(FORWARDER, { unicode = true }), [[
┌─────────────┐     ┌─────────────┐
│ if1         │────▶│ if2         │
│ RawSocket   │◀────│ RawSocket   │
│ ifname eth1 │     │ ifname eth2 │
└─────────────┘     └─────────────┘
]])
end

-- The second part of a graph stands below the first; a loop on one app is a line in it.
function test_text_parts()
   same(draw.text(graph [[
      a = A
      b = B
      c = C
      a -> b
      c.x -> c.y
   ]]), [[
+---+     +---+
| a |---->| b |
| A |     | B |
+---+     +---+

+----------+
| c        |
| C        |
| (x -> y) |
+----------+
]])
end

-- Two lines that would lie on each other's rows whichever turns first: one takes a detour.
function test_text_crossing()
   same(draw.text(graph [[
      a = A
      b = B
      c = C
      d = D
      a.x -> c
      a.y -> d
      b.x -> d.x
      b.y -> c.y
   ]]), [[
+---+             +---+
| a |-x---------->| c |
| A |-y--+ +---y->| C |
+---+    | |      +---+
         +-|-+
+---+      | |    +---+
| b |-y----+ +--->| d |
| B |-x--------x->| D |
+---+             +---+
]])
end

-- A graph wider than the page is cut between columns; the same number marks the same line.
function test_text_width()
   local text = draw.text(BASIC1, { width = 40 })
   same(text, [[
+--------+          +-----+
| source |-tx---rx->| tee |-tx1-(1)
| Source |          | Tee |-tx2-(2)
+--------+          +-----+

             +------+
   (1)--rx1->| sink |
   (2)--rx2->| Sink |
             +------+
]])
   for line in text:gmatch("[^\n]+") do assert(#line <= 40, line) end
end

function test_text_empty() same(draw.text { apps = {}, links = {} }, "") end

-- Many parameters and long ones are cut; control characters do not reach the terminal.
function test_text_hostile()
   local app = { name = "a", class = "A\27[31m", parameters = {} }
   for i = 1, 20 do app.parameters[i] = { "p" .. i, ("x"):rep(200) } end
   local text = draw.text { apps = { app }, links = {} }
   assert(text:find("A?[31m", 1, true) and not text:find("\27", 1, true), text)
   assert(text:find("... 15 more", 1, true), text)
   assert(not text:find(("x"):rep(30), 1, true), text)
end

function test_dot()
   same(draw.dot(CLUMSY), [[
digraph graph_of_apps {
  rankdir=LR;
  node [shape=record, fontname="monospace"];
  "if1" [label="{{<i_input> input}|if1\nRawSocket\nifname\ eth1|{<o_output> output}}"];
  "if2" [label="{{<i_input> input}|if2\nRawSocket\nifname\ eth2|{<o_output> output}}"];
  "forward" [label="{{<i_input> input}|forward\nClumsy\nowd\ 50ms\nloss\ 1%|{<o_output> output}}"];
  "reverse" [label="{{<i_input> input}|reverse\nClumsy\nowd\ 50ms|{<o_output> output}}"];
  "if1":"o_output" -> "forward":"i_input";
  "forward":"o_output" -> "if2":"i_input";
  "if2":"o_output" -> "reverse":"i_input";
  "reverse":"o_output" -> "if1":"i_input";
}
]])
end

function test_dot_quotes()
   local text = draw.dot { apps = { { name = "a", class = 'x"|<{\\', parameters = {} } }, links = {} }
   assert(text:find([[a\nx\"\|\<\{\\]], 1, true), text)
end

-- Every tag that is opened is closed, in order; attributes are quoted.
local function check_tags(svg)
   local open = {}
   for closing, name, rest in svg:gmatch("<(/?)([%w]+)([^<>]*)>") do
      if closing == "/" then
         assert(table.remove(open) == name, "closes " .. name)
      elseif not rest:match("/$") then
         open[#open + 1] = name
      end
      assert(not rest:gsub('%s[%w:%-]+="[^"]*"', ""):find("[^/%s]"), rest)
   end
   assert(#open == 0, "still open: " .. table.concat(open, " "))
   assert(not svg:gsub("&%a+;", ""):find("&"), "a bare &")
end

function test_svg()
   local svg = draw.svg(CLUMSY, "a < b & c")
   check_tags(svg)
   assert(svg:find("<title>a &lt; b &amp; c</title>", 1, true), svg)
   local _, boxes = svg:gsub('<rect class="app"', "")
   local _, links = svg:gsub('<path class="link"', "")
   assert(boxes == 4 and links == 4, svg)
   assert(svg:find('<path class="link" d="M128 39L176 39" marker-end="url(#head)"/>', 1, true), svg)
   check_tags(draw.svg({ apps = { { name = "a", class = '<&">', parameters = {} } }, links = {} }))
   check_tags(draw.svg { apps = {}, links = {} })
end

-- What must hold for the picture of any graph ---------------------------------------------

local function key(x, y) return x .. "," .. y end

-- Cells of each line, horizontal and vertical; two lines may cross and nothing else.
local function check_lines(picture)
   local across, down = {}, {}
   local function put(cells, x, y, line)
      assert(x >= 0 and x < picture.width and y >= 0 and y < picture.height, "outside")
      local was = cells[key(x, y)]
      assert(not was or was == line, "two lines on top of each other")
      cells[key(x, y)] = line
   end
   for _, line in ipairs(picture.lines) do
      for i = 1, #line.points - 1 do
         local a, b = line.points[i], line.points[i + 1]
         assert(a[1] == b[1] or a[2] == b[2], "an oblique line")
         local x1, x2 = math.min(a[1], b[1]), math.max(a[1], b[1])
         local y1, y2 = math.min(a[2], b[2]), math.max(a[2], b[2])
         for x = x1, x2 do
            for y = y1, y2 do put(y1 == y2 and across or down, x, y, line) end
         end
      end
   end
   for _, line in ipairs(picture.lines) do
      for i = 2, #line.points - 1 do
         local corner = key(line.points[i][1], line.points[i][2])
         assert(across[corner] == line and down[corner] == line, "a corner on another line")
      end
   end
   return across, down
end

local function check_boxes(picture, across, down)
   local taken, by_name = {}, {}
   for _, box in ipairs(picture.boxes) do
      by_name[box.app.name] = box
      for y = box.y, box.y + box.h - 1 do
         for x = box.x, box.x + box.w - 1 do
            local cell = key(x, y)
            assert(not taken[cell], "boxes on top of each other")
            assert(not across[cell] and not down[cell], "a line through a box")
            taken[cell] = true
         end
      end
   end
   return by_name
end

local function check_end(box, point)
   assert(point[2] > box.y and point[2] < box.y + box.h - 1, "a line misses its box")
   assert(point[1] == box.x - 1 or point[1] == box.x + box.w, "a line misses its box")
end

local function check_picture(picture)
   local by_name = check_boxes(picture, check_lines(picture))
   for _, line in ipairs(picture.lines) do
      check_end(by_name[line.link.from], line.points[1])
      check_end(by_name[line.link.to], line.points[#line.points])
   end
   return #picture.boxes, #picture.lines
end

local function random_graph(random, most)
   local n, apps, links, proper = random(1, most), {}, {}, 0
   for i = 1, n do
      apps[i] = { name = "a" .. i, class = "A", parameters = {}, lines = { "a" .. i, "A" },
                  device = random(5) == 1 }
   end
   for i = 1, random(0, 2 * n) do
      links[i] = { from = "a" .. random(n), to = "a" .. random(n), from_port = "o" .. i,
                   to_port = "i" .. i, from_label = "o" .. i, to_label = "" }
      proper = proper + (links[i].from ~= links[i].to and 1 or 0)
   end
   return apps, links, proper
end

-- A generator of its own, so that every run draws the same graphs.
local function generator(state)
   return function (first, last)
      if not last then first, last = 1, first end
      state = (state * 1103515245 + 12345) % 2147483648
      return first + (state >> 8) % (last - first + 1)
   end
end

function test_any_graph()
   local random = generator(4)
   for _, size in ipairs { 6, 12, 25, 60, 200 } do
      for _ = 1, size < 60 and 40 or 2 do
         local apps, links, proper = random_graph(random, size)
         local boxes, lines = 0, 0
         for _, picture in ipairs(layout(apps, links)) do
            local b, l = check_picture(picture)
            boxes, lines = boxes + b, lines + l
         end
         assert(boxes == #apps and lines == proper, "something is not drawn")
         local g = { apps = apps, links = links }
         same(draw.text(g, { width = 100 }), draw.text(g, { width = 100 }))
         check_tags(draw.svg(g))
      end
   end
end

function test_long_chain()
   local g = { apps = {}, links = {} }
   for i = 1, 200 do
      g.apps[i] = { name = "a" .. i, class = "A", parameters = {} }
      g.links[i - 1] = i > 1 and { from = "a" .. i - 1, from_port = "output", to = "a" .. i,
                                   to_port = "input" } or nil
   end
   local text = draw.text(g, { width = 100 })
   for line in text:gmatch("[^\n]+") do assert(#line <= 100, line) end
   for i = 1, 200 do assert(text:find("| a" .. i .. " ", 1, true), "no a" .. i) end
end
