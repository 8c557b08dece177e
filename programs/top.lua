-- vanguard top: what runs, live, from shared memory.
local status = require "config.status"

local program = {
   doc = "what runs, live",
   args = "[NAME]",
   help = "Lists the programs that run, or shows one of them: load, links, time per app, drops by reason.\v" ..
          "It only reads shared memory. q quits. Without a terminal it prints plain text.",
   options = {
      { name = "interval", short = "i", type = "duration", arg = "TIME", default = "1s", doc = "between two looks" },
      { name = "once", type = "flag", doc = "one look, then end" },
      { name = "json", type = "flag", doc = "as JSON, one object per look" },
   },
}

local function read (name)
   local reading, problem = counters.read(name)
   if not reading or not process.alive(reading.pid) then return nil, problem end
   reading.name = name
   reading.latency = reading.histograms["engine/breath_latency_ns"]
   return reading
end

local function read_all (only)
   local all, names = {}, only and { only } or counters.names()
   table.sort(names)
   for _, name in ipairs(names) do all[#all + 1] = read(name) end
   return all
end

-- What each did since the readings before.
local function compare (now, before)
   local was, all = {}, {}
   for _, reading in ipairs(before) do was[reading.name] = reading end
   for _, reading in ipairs(now) do
      local earlier = was[reading.name]
      if earlier and earlier.pid == reading.pid then all[#all + 1] = status.of(reading, earlier) end
   end
   return all
end

local function lines_of (all, only, width)
   if only then return all[1] and status.lines(all[1], width) or { { only .. " does not run" } } end
   local lines = { { status.HEADING, "bold" } }
   for _, s in ipairs(all) do lines[#lines + 1] = { status.summary(s) } end
   if #all == 0 then lines[#lines + 1] = { "nothing runs" } end
   return lines
end

local function print_lines (lines)
   for _, line in ipairs(lines) do print(line[1]) end
   io.stdout:flush()
end

local function draw_screen (lines)
   local width, height = screen.size()
   screen.clear()
   for y, line in ipairs(lines(width)) do
      if y <= height then screen.put(0, y - 1, line[1], line[2]) end
   end
   screen.refresh()
end

local function full_screen (only, interval)
   screen.open()
   local before, key = read_all(only), nil
   repeat
      key = screen.key(interval)
      local now = read_all(only)
      local all = compare(now, before)
      draw_screen(function (width) return lines_of(all, only, width) end)
      before = now
   until key == "q" or key == "end"
   screen.close()
end

function program.run (options, arguments)
   local only, interval = arguments[1], options.interval
   if only and not read(only) then
      local names = {}
      for _, reading in ipairs(read_all()) do names[reading.name] = true end
      io.stderr:write(('vanguard top: "%s" does not run%s\n'):format(only, units.nearest(only, names)))
      return 3
   end
   if not options.once and not options.json and process.terminal() then
      full_screen(only, interval)
      return 0
   end
   local before = read_all(only)
   repeat
      process.sleep(interval)
      local now = read_all(only)
      local all = compare(now, before)
      before = now
      if options.json then
         print(json.encode(only and all[1] or all))
         io.stdout:flush()
      else
         print_lines(lines_of(all, only, 99))
      end
   until options.once
   return 0
end

return program
