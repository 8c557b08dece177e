-- netem: a line as tc-netem(8) takes it, as parameters of Clumsy.
--
--   netem.parse(line)             parameters, warnings; or nil and what is wrong
--   netem.parse(line, "netem")    the same with compat = "netem": netem's defects too
--   netem.effective(p, c)         what netem makes of a share p with correlation c, 0 to 1
--
-- Pure text to tables. What netem would really do with a line, where that is not what the line
-- says, is told in the warnings; Clumsy does what the line says unless it is asked for compat.
local netem = {}

local DISTRIBUTIONS = { uniform = "uniform", normal = "normal", pareto = "pareto", paretonormal = "paretonormal" }

-- The share of packets that netem hits under "SHARE CORRELATION", by doing what it does: each random
-- number is mixed with the one before, which narrows them around the middle, and then compared with the
-- share all the same. Both from 0 to 1.
local DRAWS = 100000

function netem.effective (share, correlation)
   local state, last, hits = 0x9e3779b97f4a7c15, 0.5, 0
   for _ = 1, DRAWS do
      state = state * 6364136223846793005 + 1442695040888963407
      last = (state >> 11) / 2 ^ 53 * (1 - correlation) + last * correlation
      if last < share then hits = hits + 1 end
   end
   return hits / DRAWS
end

-- --- words ----------------------------------------------------------------------------

local words = {}
words.__index = words

function words:peek () return self[self.at] end

function words:next ()
   local word = self[self.at]
   self.at = self.at + 1
   return word
end

local function fail (format, ...) error({ netem = format:format(...) }, 0) end

function words:expect (pattern, what)
   local word = self:next()
   if not word then fail("%s is missing at the end", what) end
   if not word:match(pattern) then fail('"%s" is not %s', word, what) end
   return word
end

local NUMBER = "^[%d.]+$"
local TIME = "^[%d.]+%a*$"
local SHARE = "^[%d.]+%%?$"

-- tc's time is in microseconds unless it says otherwise.
local function time (text)
   if text:match(NUMBER) then return text .. "us" end
   return (text:gsub("secs?$", "s"):gsub("msecs?$", "ms"):gsub("usecs?$", "us"):gsub("nsecs?$", "ns"))
end

local function percent (text) return tonumber((text:gsub("%%", ""))) end
local function share (text) return text:match("%%$") and text or text .. "%" end

function words:time (what) return time(self:expect(TIME, what)) end
function words:share (what) return share(self:expect(SHARE, what)) end
function words:integer (what) return math.tointeger(tonumber(self:expect("^%-?%d+$", what))) end

-- The next word, when it looks so.
function words:maybe (pattern)
   if self:peek() and self:peek():match(pattern) then return self:next() end
end

local function maybe_share (w)
   local text = w:maybe(SHARE)
   return text and share(text)
end

-- tc's rates: bit/s, or bytes/s with bps; ki, mi, gi are powers of 1024.
local BITS = { bit = 1, bps = 8 }
local PREFIX = { [""] = 1, k = 1e3, m = 1e6, g = 1e9, t = 1e12, ki = 2 ^ 10, mi = 2 ^ 20, gi = 2 ^ 30, ti = 2 ^ 40 }

local function rate (text)
   local number, unit = text:lower():match("^([%d.]+)(%a*)$")
   if not number then fail('"%s" is not a rate, such as 10mbit', text) end
   if unit == "" then unit = "bit" end
   local prefix, base = unit:match("^(.-)(bit)$")
   if not prefix then prefix, base = unit:match("^(.-)(bps)$") end
   if not prefix or not PREFIX[prefix] then fail('"%s" is not a rate, such as 10mbit', text) end
   return ("%.0fbit"):format(tonumber(number) * PREFIX[prefix] * BITS[base])
end

-- --- options --------------------------------------------------------------------------

local options = {}

-- delay TIME [ JITTER [ CORRELATION ] ]; a distribution may follow here or later.
function options.delay (w, p, warn)
   p.owd = w:time("a time for delay")
   local jitter = w:maybe(TIME)
   if not jitter then return end
   p.jitter = p.jitter or {}
   p.jitter.spread = time(jitter)
   p.jitter.mode = "reorder" -- netem draws for each packet and sends them in the order of the results
   local correlation = w:maybe(SHARE)
   if correlation and percent(correlation) > 0 then
      p.jitter.corr = share(correlation)
      warn("netem's correlation of delays has next to no effect: its packets are as independent as without")
   end
end
options.latency = options.delay

function options.distribution (w, p, warn)
   local name = w:expect("^[%w_./-]+$", "a distribution")
   p.jitter = p.jitter or {}
   p.jitter.dist = DISTRIBUTIONS[name] or "table"
   if p.jitter.dist == "table" then p.jitter.table = name end
end

local function correlated (w, p, name, warn)
   local amount = w:share("a share for " .. name)
   local correlation = maybe_share(w)
   if not correlation then
      p[name] = { p = amount }
      return
   end
   p[name] = { p = amount, corr = correlation }
   if percent(correlation) == 0 then return end
   local effective = 100 * netem.effective(percent(amount) / 100, percent(correlation) / 100)
   warn("%s %s %s: netem would hit %s of packets; here it is %s", name, amount, correlation,
        effective > 0 and ("about %.2g%%"):format(effective) or "less than 0.001%", amount)
end

function options.loss (w, p, warn)
   local kind = w:maybe("^%a+$")
   if kind == "state" then
      local state = { p13 = w:share("p13 of loss state") }
      for _, name in ipairs { "p31", "p32", "p23", "p14" } do state[name] = maybe_share(w) end
      state.p31 = state.p31 or ("%.9g%%"):format(100 - percent(state.p13)) -- as tc fills it in
      p.loss = { state = state }
   elseif kind == "gemodel" then
      local model = { p = w:share("p of loss gemodel") }
      model.r = maybe_share(w) or ("%.9g%%"):format(100 - percent(model.p))
      model.bad, model.good = maybe_share(w), maybe_share(w)
      p.loss = { gemodel = model }
   elseif not kind or kind == "random" then
      correlated(w, p, "loss", warn)
   else
      fail('"loss %s": random, state or gemodel', kind)
   end
   if w:maybe("^ecn$") then p.queue = p.queue or {}; p.queue.ecn = true end
end
options.drop = options.loss

function options.ecn (_, p)
   p.queue = p.queue or {}
   p.queue.ecn = true
end

function options.duplicate (w, p, warn) correlated(w, p, "duplicate", warn) end
function options.corrupt (w, p, warn) correlated(w, p, "corrupt", warn) end

function options.reorder (w, p, warn)
   correlated(w, p, "reorder", warn)
   p.reorder.mode = "early" -- the chosen ones go at once, all others are late
end

function options.gap (w, p)
   p.reorder = p.reorder or {}
   p.reorder.gap = w:integer("a number for gap")
end

-- rate RATE [ PACKETOVERHEAD [ CELLSIZE [ CELLOVERHEAD ] ] ]
function options.rate (w, p)
   local r = { rate = rate(w:next() or fail("a rate is missing at the end")) }
   for _, name in ipairs { "overhead", "cell", "cell_overhead" } do
      local number = w:maybe("^%-?%d+$")
      if not number then break end
      r[name] = math.tointeger(tonumber(number))
   end
   p.rate = r
end

function options.limit (w, p, warn)
   p.limit = w:integer("a number for limit")
   if p.limit < 1 then fail("limit: 1 at least") end
end

-- slot MIN [ MAX ] | slot distribution NAME DELAY JITTER, [ packets N ] [ bytes N ]
function options.slot (w, p)
   local slot = {}
   if w:maybe("^distribution$") then
      slot.dist = w:expect("^[%w_./-]+$", "a distribution")
      slot.min, slot.jitter = w:time("a delay for slot"), w:time("a jitter for slot")
   else
      slot.min = w:time("a time for slot")
      local max = w:maybe("^[%d.]+%a*$")
      slot.max = max and time(max) or slot.min
   end
   while w:peek() == "packets" or w:peek() == "bytes" do
      local what = w:next()
      slot[what] = w:integer("a number for " .. what)
   end
   p.slot = slot
end

function options.seed (w, p) p.seed = w:integer("a number for seed") end

-- --- what belongs together ------------------------------------------------------------

local function check_reorder (p)
   if not p.reorder then return end
   if not p.owd then fail("reorder: nothing is late without a delay") end
   if not p.reorder.p then fail("gap: there is no reorder") end
end

-- The word after the delay is half a width of the uniform distribution, but the standard
-- deviation, nearly, of the tables.
local function settle_jitter (p, warn)
   local jitter = p.jitter
   if not jitter then return end
   if not jitter.spread then fail("distribution: there is no delay with a jitter") end
   if jitter.dist and jitter.dist ~= "uniform" then jitter.sd = jitter.spread else jitter.half = jitter.spread end
   jitter.spread = nil
   if p.rate then warn("with a rate netem keeps the order of packets: the jitter then only delays") end
end

local function settle_limit (p, warn)
   local limit = p.limit
   p.limit = nil
   if not limit then return end
   if not p.rate then
      warn("limit: netem counts all packets that are under way; a delay line here has room for 256MB, and there is no queue")
      return
   end
   p.queue = p.queue or {}
   p.queue.limit = limit .. "p"
   warn("limit: netem counts packets in the delay and in the queue together; here %d of them wait in the queue", limit)
end

local function parse (line, compat)
   local w, p, warnings = setmetatable({ at = 1 }, words), {}, {}
   local function warn (format, ...) warnings[#warnings + 1] = format:format(...) end
   for word in line:gmatch("%S+") do w[#w + 1] = word end
   if w:peek() == "netem" then w:next() end -- as copied from a command
   if not w:peek() then fail("there is nothing in it") end
   while w:peek() do
      local name = w:next()
      local option = options[name]
      if not option then fail('no option "%s"%s', name, units.nearest(name, options)) end
      option(w, p, warn)
   end
   check_reorder(p)
   settle_jitter(p, warn)
   settle_limit(p, warn)
   p.compat = compat
   return p, warnings
end

function netem.parse (line, compat)
   local good, p, warnings = pcall(parse, line, compat)
   if good then return p, warnings end
   if type(p) == "table" and p.netem then return nil, p.netem end
   error(p, 0)
end

return netem
