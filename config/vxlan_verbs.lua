-- vxlan_verbs: what people tell a running vxlan-nat, or ask it.
--
--   verbs.run(words, options) -> exit code       nil when the first word is no verb
--
-- options: name, json, and those of the verb. The program is found by its name or, without one, when only one runs.
local running = require "config.running"
local vxlan_config = require "config.vxlan_config"
local view = require "config.vxlan_view"

local verbs = {}

local PAGE = 1000

-- --- asking --------------------------------------------------------------------------------

-- What ends a verb: an exit code, and what is said.
local function give_up (code, text) error({ code = code, text = text }, 0) end

local function check (answer, problem, code)
   if answer == nil then give_up(code, problem) end
   return answer
end

local function program (o)
   return check(running.find(o.name, "vxlan-nat", "no vxlan-nat runs: vanguard vxlan-nat IN OUT, or --name of another one"))
end

-- An operation of its VxlanNat.
local function call (o, operation, args)
   o.program = o.program or program(o)
   if not o.app then o.app = check(running.apps(o.program, "VxlanNat"))[1].name end
   return check(running.call(o.program, o.app, operation, args))
end

local function show (lines)
   for _, line in ipairs(lines) do print(line[1]) end
end

local function print_json (object)
   io.stdout:write(json.encode(object), "\n")
   io.stdout:flush()
end

local function list (rows) return setmetatable(rows, { __list = true }) end

local function absolute (path) return check(process.absolute(path), nil, 3) end

-- --- allow ---------------------------------------------------------------------------------

local allow = {}

local function file_arguments (words, o)
   local path, problem = process.absolute(words[1])
   if not path then give_up(3, problem) end
   return { path = path, dry_run = o["dry-run"], flat_only = o["flat-only"], mask = o.mask, skip_bad = o["skip-bad"],
            allow_empty = o["allow-empty"] }
end

local function file_line (answer)
   local line = ("%s: %d entries in %d organizations, %d of them different"):format(answer.path, answer.entries, answer.organizations, answer.prefixes)
   if answer.skipped > 0 then line = line .. (", %d wrong and left out"):format(answer.skipped) end
   return line
end

local function tell_odd (answer)
   for _, problem in ipairs(answer.problems) do io.stderr:write("vanguard vxlan-nat: ", problem, "\n") end
   if answer.total and answer.total ~= answer.prefixes then
      io.stderr:write(("vanguard vxlan-nat: total_ips is %d, and there are %d\n"):format(answer.total, answer.prefixes))
   end
end

allow.load = { args = "FILE", run = function (words, o)
   local answer = call(o, "allow_load", file_arguments(words, o))
   if o.json then print_json(answer) return 0 end
   tell_odd(answer)
   print(file_line(answer) .. (o["dry-run"] and " (nothing has changed)" or ""))
   return 0
end }

allow.diff = { args = "FILE", run = function (words, o)
   local answer = call(o, "allow_diff", file_arguments(words, o))
   local same = answer.added_count + answer.removed_count == 0
   if o.json then print_json(answer) return same and 0 or 1 end
   tell_odd(answer)
   for _, row in ipairs { { "added", "+ " }, { "removed", "- " } } do
      for _, entry in ipairs(answer[row[1]]) do print(row[2] .. entry) end
      local more = answer[row[1] .. "_count"] - #answer[row[1]]
      if more > 0 then print(("%sand %d more"):format(row[2], more)) end
   end
   print(same and "no difference" or ("%d would be added, %d removed"):format(answer.added_count, answer.removed_count))
   return same and 0 or 1
end }

-- All entries, page by page.
local function entries (o)
   local rows, from = list {}, 0
   repeat
      local answer = call(o, "allow_list", { from = from, organization = o.org })
      for _, row in ipairs(answer.rows) do rows[#rows + 1] = row end
      from = answer.next
   until not from
   return rows
end

-- As a file that could be loaded.
local function as_file (rows)
   local organizations, by_name, flat = list {}, {}, list {}
   for _, row in ipairs(rows) do
      local name = row.organization
      if not name then
         flat[#flat + 1] = row.entry
      else
         if not by_name[name] then
            by_name[name] = { name = name, ips = list {}, cidrs = list {}, enabled = true }
            organizations[#organizations + 1] = by_name[name]
         end
         local to = row.entry:find("/", 1, true) and by_name[name].cidrs or by_name[name].ips
         to[#to + 1] = row.entry
      end
   end
   return { version = "1.0", total_ips = #rows, organizations = organizations, flat_ip_list = flat }
end

allow.display = { run = function (_, o)
   local rows = entries(o)
   table.sort(rows, function (a, b) return a.entry < b.entry end)
   if o.json then print_json(as_file(rows)) else show(view.entries(rows)) end
   return 0
end }

allow.clear = { run = function (_, o)
   if not o.yes then give_up(2, "allow clear: nothing would pass any more: --yes") end
   local gone = call(o, "allow_clear")
   if o.json then print_json { removed = gone } else print(("%d entries removed: nothing may pass"):format(gone)) end
   return 0
end }

local function change (operation, done, none, code)
   return { args = "PREFIX", run = function (words, o)
      local good = call(o, operation, { prefix = words[1], mask = o.mask }) == true
      if o.json then print_json { prefix = words[1], changed = good }
      elseif good or code == 0 then print(words[1] .. (good and done or none))
      else io.stderr:write("vanguard vxlan-nat: ", words[1], none, "\n") end
      return good and 0 or code
   end }
end

allow.add = change("allow_add", " may pass", " is an entry already", 0)
allow.del = change("allow_del", " is no entry any more", " is no entry (vanguard vxlan-nat allow find ADDRESS)", 1)

allow.find = { args = "ADDRESS", run = function (words, o)
   local answer = call(o, "allow_find", { address = words[1] })
   if o.json then print_json(answer)
   elseif not answer.allowed then print(words[1] .. " may not pass")
   else print(("%s may pass: %s%s"):format(words[1], answer.entry, answer.organization and " of " .. answer.organization or "")) end
   return answer.allowed and 0 or 1
end }

allow.stats = { run = function (_, o)
   local answer = call(o, "allow_stats", { limit = o.limit })
   if o.json then print_json(answer) else show(view.organizations(answer)) end
   return 0
end }

-- --- rules -----------------------------------------------------------------------------------

local rules = {}

rules.list = { run = function (_, o)
   local rows = call(o, "rules_list")
   if o.json then print_json(list(rows)) elseif #rows == 0 then print("no rules") else show(view.rules(rows)) end
   return 0
end }

local function rule_of (words)
   local rule, problem = vxlan_config.rule(words)
   if not rule then give_up(2, problem) end
   return rule
end

local function number_of (word)
   return math.tointeger(tonumber(word)) or give_up(2, ('"%s" is no number of a rule (vanguard vxlan-nat rules list)'):format(word))
end

rules.add = { args = "NAME=VALUE...", many = true, run = function (words, o)
   local number = call(o, "rules_add", { rule = rule_of(words) })
   if o.json then print_json { number = number } else print("rule " .. number) end
   return 0
end }

rules.del = { args = "NUMBER", run = function (words, o)
   local number = number_of(words[1])
   call(o, "rules_del", { number = number })
   if o.json then print_json { number = number } else print(("rule %d is gone; its sessions go on (sessions flush --rule %d)"):format(number, number)) end
   return 0
end }

rules.replace = { args = "NUMBER NAME=VALUE...", many = true, run = function (words, o)
   local number, rule = number_of(words[1]), rule_of { table.unpack(words, 2) }
   call(o, "rules_replace", { number = number, rule = rule })
   if o.json then print_json { number = number } else print(("rule %d is another one; its sessions go on as before"):format(number)) end
   return 0
end }

-- --- sessions ----------------------------------------------------------------------------------

local sessions = {}

local function choice (o)
   return { source = o.source, destination = o.destination, rule = o.rule, vni = o.vni and (math.tointeger(tonumber(o.vni)) or give_up(2, "--vni: one network")),
            refused = o.refused }
end

local function show_sessions (answer, o)
   if o.json then print_json { count = answer.count, sessions = list(answer.rows) } return 0 end
   if answer.count == 0 then print("none") return 0 end
   show(view.sessions(answer.rows))
   if answer.count > #answer.rows then print(("%d of %d (--limit)"):format(#answer.rows, answer.count)) end
   return 0
end

sessions.list = { run = function (_, o)
   local args = choice(o)
   args.limit = math.min(o.limit or 100, PAGE)
   return show_sessions(call(o, "sessions_list", args), o)
end }

-- 192.0.2.1, 192.0.2.0/24, 192.0.2.1:80, [2001:db8::1]:80
sessions.find = { args = "ADDRESS[:PORT]", run = function (words, o)
   local args = choice(o)
   local address, port = words[1]:match("^%[(.*)%]:(%d+)$")
   if not address then address, port = words[1]:match("^([^:]+):(%d+)$") end
   args.address, args.port = address or words[1], math.tointeger(tonumber(port))
   args.limit = math.min(o.limit or 100, PAGE)
   local answer = call(o, "sessions_list", args)
   show_sessions(answer, o)
   return answer.count > 0 and 0 or 1
end }

sessions.flush = { run = function (_, o)
   local args = choice(o)
   if next(args) == nil and not o.yes then give_up(2, "sessions flush: all of them? --yes, or --source, --destination, --rule, --vni") end
   local gone = call(o, "sessions_flush", args)
   if o.json then print_json { removed = gone } else print(("%d sessions forgotten"):format(gone)) end
   return 0
end }

-- --- the rest ------------------------------------------------------------------------------------

local single = {}

single.status = { run = function (_, o)
   o.program = program(o)
   local look = check(running.ask(o.program, { command = "status" }))
   look.ok = nil
   if o.json then print_json(look) else show(view.status(look)) end
   return 0
end }

local SEED = 9 -- counters that the seed had, with their numbers

single.stats = { run = function (_, o)
   local rows = call(o, "stats")
   if o.json then
      local counters = {}
      for i, row in ipairs(rows) do
         if not o.seed or i <= SEED then counters[o.seed and row.name:upper() or row.name] = row.value end
      end
      print_json(counters)
      return 0
   end
   for i, row in ipairs(rows) do
      if o.seed and i <= SEED then print(("%d %s %d"):format(i - 1, row.name:upper(), row.value))
      elseif not o.seed and row.value > 0 then print(("%-20s %d"):format(row.name, row.value)) end
   end
   return 0
end }

single.trace = { args = "N", run = function (words, o)
   local wanted, found = math.tointeger(tonumber(words[1])), 0
   if not wanted then give_up(2, ('trace: "%s" is no number of packets'):format(words[1])) end
   call(o, "trace_start", { n = wanted })
   local answer
   local waited = 0
   repeat
      answer = call(o, "trace_read")
      for _, row in ipairs(answer.rows) do
         found = found + 1
         if o.json then print_json(row) else print(view.trace(row)) end
      end
      io.stdout:flush()
      if not answer.done then
         process.sleep("50ms")
         waited = waited + 0.05
      end
   until answer.done or (o.duration and waited >= o.duration)
   return found == wanted and 0 or 1
end }

single.reload = { run = function (_, o)
   o.program = program(o)
   check(running.ask(o.program, { command = "reload" }))
   if o.json then print_json { done = true } else print("read again") end
   return 0
end }

single.check = { args = "CONFIG", run = function (words, o)
   local problems = vxlan_config.check(absolute(words[1]))
   if o.json then print_json { problems = list(problems) }
   else
      for _, problem in ipairs(problems) do io.stderr:write("vanguard vxlan-nat: ", problem, "\n") end
      if #problems == 0 then print(words[1] .. ": ok") end
   end
   return #problems == 0 and 0 or 3
end }

-- --- which one -----------------------------------------------------------------------------------

local GROUPS = { allow = allow, rules = rules, sessions = sessions }

-- The seed's: allow --display, allow --clear, allow FILE.
local function seed_words (words, o)
   if words[1] ~= "allow" then return words end
   if o.display then return { "allow", "display", table.unpack(words, 2) } end
   if o.clear then return { "allow", "clear", table.unpack(words, 2) } end
   if #words == 2 and not allow[words[2]] and words[2]:find("[./]") then return { "allow", "load", words[2] } end
   return words
end

local function wrong_words (name, row, words)
   local wanted = 0
   for _ in (row.args or ""):gmatch("%S+") do wanted = wanted + 1 end
   if #words < wanted then return ("%s %s"):format(name, row.args) end
   if #words > wanted and not row.many then return ('%s: what is "%s"?'):format(name, words[#words]) end
end

local function run (words, o)
   local group, name = GROUPS[words[1]], words[1]
   local row, rest = single[name], { table.unpack(words, 2) }
   if group then
      if not words[2] then
         local names = {}
         for n in pairs(group) do names[#names + 1] = n end
         table.sort(names)
         give_up(2, words[1] .. ": what? " .. table.concat(names, ", "))
      end
      name, row, rest = words[1] .. " " .. words[2], group[words[2]], { table.unpack(words, 3) }
      if not row then give_up(2, ('no "%s"%s'):format(name, units.nearest(words[2], group))) end
   end
   local wrong = wrong_words(name, row, rest)
   if wrong then give_up(2, wrong) end
   return row.run(rest, o)
end

function verbs.run (words, o)
   words = seed_words(words, o)
   if not GROUPS[words[1]] and not single[words[1]] then return nil end
   local good, code = pcall(run, words, o)
   if good then return code end
   if type(code) ~= "table" or not code.code then error(code, 0) end
   io.stderr:write("vanguard vxlan-nat: ", code.text, code.code == 2 and " (vanguard help vxlan-nat)\n" or "\n")
   return code.code
end

return verbs
