-- impairments: what programs say about a bad network, as parameters of Clumsy.
--
--   impairments.options                    rows for a program's options
--   impairments.of_options(o, crosses)     the parameters that those mean: those of the way up, and down
--   impairments.assign(p, "loss.burst", v) one parameter by its path, whichever Clumsy has
--   impairments.parse("loss=5%,owd=20ms", p)   several, into p
--   impairments.merge(p, q)                p with what q says otherwise, as a new table
--   impairments.has_bottleneck(p)
--   impairments.preset(name)               config/presets/NAME.lua
--   impairments.list_presets(file)
--   impairments.netem(line, p)             p with what a line for tc-netem(8) says
--   impairments.describe(p)                in words
--
-- Nothing here knows a parameter but the few that have options of their own: Clumsy's table of
-- parameters says which are tables, and Clumsy checks the values.
local netem = require "config.netem"

local impairments = {}

local SHARE = { minimum = "0%", maximum = "100%" }

local function share (name, doc)
   return { name = name, type = "percent", arg = "SHARE", minimum = SHARE.minimum, maximum = SHARE.maximum, doc = doc }
end

impairments.options = {
   { name = "preset", short = "p", type = "string", arg = "NAME", doc = "a kind of network, such as 3g; the options below change it" },
   { name = "list-presets", type = "flag", doc = "list them with their figures and sources, and end" },
   { name = "delay", type = "duration", arg = "TIME", doc = "one-way delay (Clumsy's owd)" },
   { name = "jitter", type = "duration", arg = "TIME", doc = "half the width of the delay's variation" },
   { name = "distribution", type = "choice", choices = { "uniform", "normal" }, arg = "LAW",
     doc = "of the jitter: uniform, or normal with --jitter as standard deviation" },
   { name = "jitter-mode", type = "choice", choices = { "process", "reorder", "clamp" },
     arg = "MODE", doc = "process and clamp keep the order" },
   share("loss", "packets lost"),
   { name = "burst", type = "number", arg = "N", minimum = "1", maximum = "1000000", doc = "packets lost in a row, on average" },
   share("duplicate", "packets sent twice"),
   share("corrupt", "packets with a flipped bit"),
   share("reorder", "packets held back behind later ones"),
   { name = "rate", type = "rate", arg = "RATE", doc = "of the bottleneck, such as 10mbit" },
   { name = "queue", type = "limit", arg = "LIMIT", doc = "in front of it: 100ms, 64KB or 100p" },
   { name = "netem", type = "string", arg = "LINE",
     doc = "the same as a line for tc-netem(8): \"delay 100ms 10ms loss 1%\", one way, each way" },
   { name = "compat", type = "choice", choices = { "netem" }, arg = "MODEL",
     doc = "netem: lines for netem with its defects too" },
   { name = "set", type = "string", arg = "PATH=VALUE", many = true,
     doc = "any parameter of Clumsy, such as rate.overhead=38; several with commas (vanguard apps Clumsy lists them)" },
}

-- --- Clumsy's parameters --------------------------------------------------------------

local rows

local function clumsy_rows ()
   if not rows then
      for _, class in ipairs(app.classes()) do
         if class.name == "Clumsy" then rows = class.parameters end
      end
   end
   return rows
end

local function find_row (list, name)
   for _, row in ipairs(list or {}) do
      if row.name == name then return row end
   end
end

-- A scalar where a table can stand is the table's first row.
local function as_table (value, row)
   if type(value) == "table" then return value end
   local first = row and row.rows and row.rows[1]
   return value ~= nil and first and { [first.name] = value } or {}
end

local function assign (node, list, path, value)
   local name, rest = path:match("^([^.]+)%.?(.*)$")
   local row = find_row(list, name)
   if row and row.type == "synonym" then
      name = row.doc
      row = find_row(list, name)
   end
   if rest ~= "" then
      node[name] = as_table(node[name], row)
      assign(node[name], row and row.rows, rest, value)
   elseif type(node[name]) == "table" and type(value) ~= "table" and row and row.rows then
      node[name][row.rows[1].name] = value
   else
      node[name] = value
   end
end

function impairments.assign (p, path, value)
   assign(p, clumsy_rows(), path, value)
   return p
end

local function fail (text) error({ kind = 2, text = text }, 0) end

function impairments.parse (text, p)
   for word in text:gmatch("[^,]+") do
      local path, value = word:match("^%s*([%a][%w_.]*)=(.-)%s*$")
      if not path or value == "" then return nil, ('"%s" is not PATH=VALUE, such as loss.burst=3'):format(word) end
      impairments.assign(p, path, value)
   end
   return p
end

local function copy (p)
   local all = {}
   for name, value in pairs(p) do all[name] = type(value) == "table" and copy(value) or value end
   return all
end

local function merge (p, q, list)
   local all = copy(p)
   for name, value in pairs(q) do
      local row = find_row(list, name)
      if all[name] ~= nil and row and row.rows then
         all[name] = merge(as_table(all[name], row), as_table(value, row), row.rows)
      else
         all[name] = value
      end
   end
   return all
end

function impairments.merge (p, q) return merge(p, q, clumsy_rows()) end

-- A rate, or a trace of one.
function impairments.has_bottleneck (p)
   local rate = p.rate
   if type(rate) == "table" then rate = rate.rate end
   return (rate ~= nil and rate ~= 0) or p.trace ~= nil
end

-- --- presets --------------------------------------------------------------------------

-- From slow to fast, the odd ones behind. selftest: there is no file that is not here.
impairments.presets = {
   "dialup", "gprs", "2g-rural", "edge", "edge-lossy", "3g", "slow4g", "lte", "lte-drive", "dsl", "cable-bloat", "fiber",
   "wifi-lossy", "satellite-geo", "starlink", "inflight", "pantheon-12", "two-state", "spikes", "slow-dns", "syn-drop",
   "rfc8867-5-1", "rfc8867-5-2", "rfc8867-5-3", "rfc8867-5-4", "rfc8867-5-6",
}

-- { doc =, source =, up =, down =, notes =, cross = }: cross is the traffic of others on the way up; up leads from the client to the network, down from there
-- to the client. nil and why not when there is none of that name.
function impairments.preset (name)
   local names = {}
   for _, known in ipairs(impairments.presets) do names[known] = true end
   if names[name] then return require("config.presets." .. name) end
   return nil, ('no preset "%s"%s; --list-presets shows them'):format(name, units.nearest(name, names))
end

function impairments.list_presets (out)
   for _, name in ipairs(impairments.presets) do
      local preset = impairments.preset(name)
      out:write(("%-14s %s\n"):format(name, preset.doc))
      for _, way in ipairs { "down", "up" } do
         out:write(("    %-5s %s\n"):format(way, impairments.describe(preset[way])))
      end
      if preset.cross then out:write("    others on the way up: ", preset.cross, "\n") end
      out:write("    from  ", preset.source, preset.notes and "; " .. preset.notes or "", "\n")
   end
end

-- --- options --------------------------------------------------------------------------

local PATHS = {
   { "delay", "owd" }, { "loss", "loss.p" }, { "burst", "loss.burst" }, { "duplicate", "duplicate" },
   { "corrupt", "corrupt" }, { "reorder", "reorder" }, { "rate", "rate" }, { "queue", "queue" },
   { "jitter-mode", "jitter.mode" },
}

local function parameters (o, p)
   for _, pair in ipairs(PATHS) do
      if o[pair[1]] then impairments.assign(p, pair[2], o[pair[1]]) end
   end
   if o.jitter then impairments.assign(p, o.distribution == "normal" and "jitter.sd" or "jitter.half", o.jitter) end
   for _, text in ipairs(o.set or {}) do
      local good, problem = impairments.parse(text, p)
      if not good then return nil, "--set: " .. problem end
   end
   return p
end

-- Merges what a line for netem says into p, and says where netem would do something else. p, or nil
-- and what is wrong.
function impairments.netem (line, p, compat)
   local parsed, warnings = netem.parse(line, compat)
   if not parsed then return nil, warnings end
   for _, warning in ipairs(warnings) do io.stderr:write("vanguard: netem: ", warning, "\n") end
   return impairments.merge(p, parsed)
end

-- The parameters of the way up and of the way down; or nil and what is wrong. crosses: a preset may have
-- traffic of others in it, which the caller sees to.
function impairments.of_options (o, crosses)
   local preset, problem = { up = {}, down = {} }, nil
   if o.preset then preset, problem = impairments.preset(o.preset) end
   if not preset then return nil, "--preset: " .. problem end
   if preset.cross and not crosses then
      return nil, ("--preset: %s has traffic of others in it, which is for vanguard lab"):format(o.preset)
   end
   local line = {}
   if o.netem then line, problem = impairments.netem(o.netem, {}, o.compat) end
   if not line then return nil, "--netem: " .. problem end
   local up, wrong = parameters(o, impairments.merge(preset.up, line))
   if not up then return nil, wrong end
   return up, parameters(o, impairments.merge(preset.down, line))
end

-- --- words ----------------------------------------------------------------------------

local function word (row, value)
   if type(value) == "number" and row and row.type == "duration" then return ("%gms"):format(value * 1e3) end
   return tostring(value)
end

local function describe (words, p, list, prefix)
   local names = {}
   for name in pairs(p) do names[#names + 1] = name end
   local place = {}
   for i, row in ipairs(list or {}) do place[row.name] = i end
   table.sort(names, function (a, b)
      if place[a] and place[b] then return place[a] < place[b] end
      return tostring(a) < tostring(b)
   end)
   for _, name in ipairs(names) do
      local row, value = find_row(list, name), p[name]
      local path = (prefix or "") .. name
      if type(value) == "table" and value[1] ~= nil then
         words[#words + 1] = ("%s %d items"):format(path, #value)
      elseif type(value) == "table" then
         describe(words, value, row and row.rows, path .. ".")
      else
         if prefix and list and list[1].name == name then path = prefix:sub(1, -2) end
         local scalar = row and row.rows and row.rows[1] or row
         words[#words + 1] = path .. " " .. word(scalar, value)
      end
   end
end

function impairments.describe (p)
   local words = {}
   describe(words, p or {}, clumsy_rows())
   return #words > 0 and table.concat(words, ", ") or "as it is"
end

return impairments
