-- The values at some paths of a JSON file, one a line: vanguard run json_value.lua FILE a.b.1 ...
local file = assert(io.open(arg[1]))
local all = assert(json.decode(file:read("a")))
local function at (value, key)
   if type(value) ~= "table" then return nil end
   if value[key] ~= nil then return value[key] end
   return value[tonumber(key)]
end
for i = 2, #arg do
   local value = all
   for key in arg[i]:gmatch("[^.]+") do value = at(value, key) end
   print(value)
end
os.exit(0)
