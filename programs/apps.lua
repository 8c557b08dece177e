-- vanguard apps: the reference of all app classes, from their tables.
local program = {
   doc = "the reference of app classes: ports, parameters, counters",
   args = "[CLASS]",
   options = { { name = "json", type = "flag", doc = "as JSON" } },
}

local function sorted ()
   local classes = app.classes()
   table.sort(classes, function (a, b) return a.name < b.name end)
   return classes
end

local function list (classes)
   for _, class in ipairs(classes) do print(("  %-14s %s"):format(class.name, class.doc)) end
   print("\n`vanguard apps CLASS` prints its ports, parameters and counters.")
end

local function range (row)
   if row.choices then return "one of " .. table.concat(row.choices, ", ") end
   if row.minimum then return row.minimum .. ".." .. row.maximum end
   return row.type
end

local function parameters (rows, indent)
   for _, row in ipairs(rows) do
      if row.type == "synonym" then row.doc = "the same as " .. row.doc end
      local named = row.type == "synonym" or row.type == "refused"
      local default = row.default == nil and "required"
                      or row.default ~= "" and "default " .. row.default or nil
      local facts = { row.rows and "table" or range(row), default }
      print(("%s%-14s %s%s"):format(indent, row.name, row.doc,
                                    named and "" or (" (%s)"):format(table.concat(facts, "; "))))
      if row.rows then parameters(row.rows, indent .. "   ") end
   end
end

local function section (title, rows)
   if #rows == 0 then return end
   print("\n" .. title)
   for _, row in ipairs(rows) do
      print(("   %-20s %s"):format(row.direction and row.direction .. " " .. row.name or row.name, row.doc))
   end
end

local function describe (class)
   print(class.name .. ": " .. class.doc)
   section("ports", class.ports)
   if #class.parameters > 0 then
      print("\nparameters")
      parameters(class.parameters, "   ")
   end
   section("counters", class.counters)
end

function program.run (options, arguments)
   local classes, wanted = sorted(), arguments[1]
   if not wanted then
      if options.json then print(json.encode(classes)) else list(classes) end
      return 0
   end
   local names = {}
   for _, class in ipairs(classes) do
      names[class.name] = true
      if class.name == wanted then
         if options.json then print(json.encode(class)) else describe(class) end
         return 0
      end
   end
   io.stderr:write(('vanguard apps: no app class "%s"%s\n'):format(wanted, units.nearest(wanted, names)))
   return 2
end

return program
