-- vanguard graph: draws the graph of a Lua file.
local draw, inspect = require "config.draw", require "config.inspect"

local program = {
   doc = "draw a graph file: text, DOT or SVG",
   args = "FILE [ARGUMENT...]",
   help = "Reads FILE and draws its graph. Nothing is opened or started.",
   in_order = true,
   options = {
      { name = "format", short = "f", type = "choice", choices = { "text", "dot", "svg" },
        arg = "FORMAT", default = "text", doc = "text, dot (graphviz) or svg" },
      { name = "output", short = "o", type = "string", arg = "FILE", doc = "write there" },
      { name = "unicode", short = "u", type = "flag", doc = "text with line-drawing characters" },
   },
}

-- What was set, as { name, value }; of a table the rows that were, the first one by the table's
-- own name alone where there is no other.
local function parameters_of (rows, prefix, set)
   for i, row in ipairs(rows) do
      if not row.initial then
         local name = prefix and (i == 1 and prefix or prefix .. "." .. row.name) or row.name
         if row.rows then parameters_of(row.rows, name, set) else set[#set + 1] = { name, row.value } end
      end
   end
   return set
end

local function picture (graph, options, title)
   for _, app in ipairs(graph.apps) do app.parameters = parameters_of(app.parameters, nil, {}) end
   if options.format == "dot" then return draw.dot(graph) end
   if options.format == "svg" then return draw.svg(graph, title) end
   return draw.text(graph, { unicode = options.unicode })
end

local function write (text, path)
   local file, problem = io.stdout, nil
   if path then file, problem = io.open(path, "w") end
   if not file or not file:write(text, text:sub(-1) == "\n" and "" or "\n") or (path and not file:close()) then
      io.stderr:write("vanguard graph: cannot write ", problem or path or "the output", "\n")
      return 5
   end
   return 0
end

function program.run (options, arguments)
   local graph, code = inspect("graph", arguments)
   if not graph then return code end
   return write(picture(graph, options, arguments[1]), options.output)
end

return program
