-- columns: tables as text.
--
--   columns.add(lines, head, rows)     head and rows are lists of text; lines { text, style } are added
--   columns.cell(value) -> text        "-" for nil
local columns = {}

function columns.cell (value) return value == nil and "-" or tostring(value) end

-- As wide as they must be; the last one is not filled up.
function columns.add (lines, head, rows)
   local widths = {}
   for _, row in ipairs { head, table.unpack(rows) } do
      for i, text in ipairs(row) do widths[i] = math.max(widths[i] or 1, #text) end
   end
   for n, row in ipairs { head, table.unpack(rows) } do
      local texts = {}
      for i, text in ipairs(row) do texts[i] = ("%-" .. widths[i] .. "s"):format(text) end
      lines[#lines + 1] = { (table.concat(texts, "  "):gsub("%s+$", "")), n == 1 and "bold" or nil }
   end
end

return columns
