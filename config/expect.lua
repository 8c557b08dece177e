-- expect: what a run's measurements should be, and whether they are.
--
--   expect.check(expectations, directions, place)      is it written as below? raises
--   expect.evaluate(expectations, measured) -> list    { name =, wanted =, measured =, ok = }
--   expect.within("2%")                                 the share that chance makes of 2 %
--
--   expect {
--      exit_code = 0,                                   of the whole run: config/measure.lua
--      ab = { seen = ">= 1000", loss = within "2%", delay_p99 = "< 60ms", drop_queue = 0 },
--      ["enough came through"] = function (m) return m.ab.delivered > 0.9 * m.ab.seen end,
--   }
--
-- A wish is a number (equal), a text with a comparison (< <= > >= == ~=, or "1%..3%", both
-- included), within, or a function that gets all measurements.
local quantity = require "config.quantity"

local expect = {}

local OPERATORS = {
   ["<"] = function (a, b) return a < b end, ["<="] = function (a, b) return a <= b end,
   [">"] = function (a, b) return a > b end, [">="] = function (a, b) return a >= b end,
   ["=="] = function (a, b) return a == b end, ["~="] = function (a, b) return a ~= b end,
}

-- --- chance -----------------------------------------------------------------------------

local Within = {}
Within.__index = Within
function Within:__tostring () return ("within chance of %s"):format(quantity.format(self.share, "share")) end

-- Independent events of that share; alpha is the probability of a false alarm.
function expect.within (share, alpha)
   local p = quantity.parse(share)
   if not p or p < 0 or p > 1 then error({ kind = 3, text = ('within: "%s" is not a share'):format(tostring(share)) }, 0) end
   return setmetatable({ share = p, alpha = alpha or 1e-6 }, Within)
end

-- --- one wish -----------------------------------------------------------------------------

-- A function (value, n) -> ok, and the wish in words; nil: it is none.
local function test_of (wish)
   if getmetatable(wish) == Within then
      return function (value, n)
         local low, high = statistics.region(n, wish.share, wish.alpha)
         local count = math.floor(value * n + 0.5)
         return n > 0 and count >= low and count <= high
      end, tostring(wish)
   end
   if type(wish) == "number" then return function (value) return value == wish end, "== " .. quantity.format(wish) end
   if type(wish) ~= "string" then return nil end
   local low, high = wish:match("^(.-)%.%.(.+)$")
   low, high = low and quantity.parse(low), high and quantity.parse(high)
   if low and high then return function (value) return value >= low and value <= high end, wish end
   local operator, text = wish:match("^%s*([<>=~]=?)%s*(.+)$")
   local bound = text and quantity.parse(text)
   local compare = OPERATORS[operator or "=="]
   if not operator then bound = quantity.parse(wish) end
   if not bound or not compare then return nil end
   return function (value) return compare(value, bound) end, wish
end

local function each (expectations, directions, f)
   local names = {}
   for name in pairs(expectations) do names[#names + 1] = name end
   table.sort(names)
   for _, name in ipairs(names) do
      local wish = expectations[name]
      if type(wish) == "table" and directions[name] and getmetatable(wish) ~= Within then
         local metrics = {}
         for metric in pairs(wish) do metrics[#metrics + 1] = metric end
         table.sort(metrics)
         for _, metric in ipairs(metrics) do f(name .. "." .. metric, wish[metric], name, metric) end
      else
         f(name, wish, nil, name)
      end
   end
end

function expect.check (expectations, directions, place)
   each(expectations, directions, function (name, wish)
      if type(wish) ~= "function" and not test_of(wish) then
         error({ kind = 3, text = ('%s: expect: %s: "%s" is no wish (such as "< 60ms", "1%%..3%%" or within "2%%")'):format(
            place, name, tostring(wish)) }, 0)
      end
   end)
end

-- What it is measured in, by its name.
local function kind_of (metric)
   if metric:match("^delay_") or metric:match("^late_") or metric == "duration" then return "time" end
   if metric == "rate" then return "rate" end
   if metric == "loss" or metric:match("_share$") then return "share" end
end

function expect.evaluate (expectations, measured, directions)
   local list = {}
   each(expectations, directions, function (name, wish, direction, metric)
      local from = direction and measured[direction] or measured
      if type(wish) == "function" then
         local ok, result = pcall(wish, measured)
         list[#list + 1] = { name = name, wanted = "is so", ok = ok and not not result,
                             measured = ok and tostring(result) or tostring(result) }
         return
      end
      local test, words = test_of(wish)
      local value = from and from[metric]
      list[#list + 1] = { name = name, wanted = words, ok = value ~= nil and test(value, from.seen or 0),
                          measured = value == nil and "nothing of that name" or quantity.format(value, kind_of(metric)) }
   end)
   return list
end

return expect
