-- parameter_file: a file that returns a table of an app's parameters.
--
--   parameter_file.read(path) -> parameters          nil, what is wrong
--   parameter_file.place(path, message) -> "FILE:LINE: "   where a parameter is that the message names, or "FILE: "
local file = {}

function file.read (path)
   local chunk, problem = loadfile(path)
   if not chunk then return nil, problem end
   local good, parameters = pcall(chunk)
   if not good then return nil, tostring(parameters) end
   if type(parameters) ~= "table" then return nil, path .. " does not return a table of parameters" end
   return parameters
end

-- The first word of the message that is a key in the file is the parameter's name.
function file.place (path, message)
   local number, lines = 0, {}
   for line in io.lines(path) do
      number = number + 1
      for key in line:gmatch("([%a_][%w_]*)\"?%]?%s*=%f[^=]") do lines[key] = lines[key] or number end
   end
   for word in message:gsub("^.-%):", ""):gmatch("[%a_][%w_]*") do
      if lines[word] then return ("%s:%d: "):format(path, lines[word]) end
   end
   return path .. ": "
end

return file
