-- The values at some paths of a JSON file, one a line: vanguard run json_value.lua FILE a.b.1 ...
local file = assert(io.open(arg[1]))
local all = assert(json.decode(file:read("a")))
for i = 2, #arg do
   local value = all
   for key in arg[i]:gmatch("[^.]+") do
      value = type(value) == "table" and (value[key] or value[tonumber(key)]) or nil
   end
   print(value)
end
os.exit(0)
