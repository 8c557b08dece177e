-- vanguard learn: a network from two captures.
local fit = require "config.fit"

local program = {
   doc = "parameters of a network, learned from two captures of it",
   args = "BEFORE AFTER",
   help = "Finds the packets of BEFORE, a capture of what entered a network path, in AFTER, one of what left it, and prints " ..
          "a Lua file with the parameters of a Clumsy that does the same: delay and jitter, loss alone or in bursts, rate " ..
          "and queue, duplicates, damage, reordering.\vBoth captures need the same clock. The file is for `vanguard simulate " ..
          "-c FILE`, `vanguard verify --against FILE`, and with two interfaces for `vanguard run FILE IF1 IF2`.",
   options = {
      { name = "output", short = "o", type = "string", arg = "FILE", doc = "write there" },
      { name = "json", type = "flag", doc = "the parameters as JSON instead" },
   },
}

local ORDER = { "rate", "queue", "owd", "jitter", "loss", "duplicate", "corrupt", "reorder" }

local function literal (value)
   if type(value) ~= "table" then return type(value) == "string" and ("%q"):format(value) or tostring(value) end
   local names, words = {}, {}
   for name in pairs(value) do names[#names + 1] = name end
   table.sort(names)
   for _, name in ipairs(names) do words[#words + 1] = ("%s = %s"):format(name, literal(value[name])) end
   return "{ " .. table.concat(words, ", ") .. " }"
end

local function lua_text (p, remarks, f)
   local lines = { ("-- Learned from %d packets, of which %d were lost."):format(f.sent, f.lost) }
   for _, remark in ipairs(remarks) do lines[#lines + 1] = "-- " .. remark end
   lines[#lines + 1] = "local path = {"
   for _, name in ipairs(ORDER) do
      if p[name] then lines[#lines + 1] = ("   %s = %s,"):format(name, literal(p[name])) end
   end
   lines[#lines + 1] = [[
}
if #arg < 2 then return path end

local c = config.new()
config.app(c, "if1", RawSocket, arg[1])
config.app(c, "if2", RawSocket, arg[2])
config.app(c, "forward", Clumsy, path)
config.chain(c, "if1", "forward", "if2")
config.chain(c, "if2", "if1")
return c
]]
   return table.concat(lines, "\n")
end

local function write (text, path)
   local file, problem = io.stdout, nil
   if path then file, problem = io.open(path, "w") end
   if file and file:write(text) and (not path or file:close()) then return 0 end
   io.stderr:write("vanguard learn: cannot write ", problem or path or "the output", "\n")
   return 5
end

function program.run (o, arguments)
   if #arguments ~= 2 then
      io.stderr:write("vanguard learn: which two captures? (vanguard help learn)\n")
      return 2
   end
   local p, remarks, figures = fit.parameters(capture.compare(arguments[1], arguments[2]))
   if not p then
      io.stderr:write("vanguard learn: ", remarks[1], "\n")
      return 8
   end
   if o.json then
      return write(json.encode { type = "learned", parameters = p, remarks = remarks, figures = figures } .. "\n", o.output)
   end
   return write(lua_text(p, remarks, figures), o.output)
end

return program
