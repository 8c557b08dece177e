-- quantity: texts with units as numbers in base units: seconds, bits per second, bytes, shares.
--
--   quantity.parse("5%") -> 0.05, "share"      nil when it is none; a number is itself
--   quantity.format(0.05, "share") -> "5%"
--   quantity.thousands(1234567) -> "1,234,567"
local quantity = {}

function quantity.parse (value)
   if type(value) == "number" then return value, "number" end
   return units.parse(tostring(value):match("^%s*(.-)%s*$"))
end

local function scaled (value, steps)
   local scale, unit = table.unpack(steps[#steps])
   for _, step in ipairs(steps) do
      if math.abs(value) >= step[1] then
         scale, unit = step[1], step[2]
         break
      end
   end
   return ("%.4g%s"):format(value / scale, unit)
end

local SCALES = {
   time = { { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "us" }, { 1e-9, "ns" } },
   rate = { { 1e9, "gbit" }, { 1e6, "mbit" }, { 1e3, "kbit" }, { 1, "bit" } },
   size = { { 1073741824, "GB" }, { 1048576, "MB" }, { 1024, "KB" }, { 1, "B" } },
}

function quantity.format (value, kind)
   if value == nil or value ~= value then return "-" end
   if kind == "share" then return ("%.4g%%"):format(100 * value) end
   if value == 0 then return "0" end
   if SCALES[kind] then return scaled(value, SCALES[kind]) end
   if value == math.floor(value) and math.abs(value) < 1e15 then return ("%d"):format(value) end
   return ("%.6g"):format(value)
end

function quantity.thousands (number)
   local grouped = ("%d"):format(math.floor(number + 0.5)):reverse():gsub("(%d%d%d)", "%1,"):reverse()
   return (grouped:gsub("^,", ""))
end

return quantity
