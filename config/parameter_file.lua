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

function file.place (path, message)
   local number = 0
   for line in io.lines(path) do
      number = number + 1
      local key = line:match("^[%s{,]*%[?\"?([%a_][%w_]*)\"?%]?%s*=[^=]") or line:match("^%s*return%s*{%s*([%a_][%w_]*)%s*=[^=]")
      if key and message:match("%f[%w_]" .. key .. "%f[^%w_]") then return ("%s:%d: "):format(path, number) end
   end
   return path .. ": "
end

return file
