-- sentinel_verbs: what people tell a running sentinel, or ask it.
--
--   verbs.run(verb, words, options) -> exit code       nil when there is no such verb
--   verbs.names -> { ban = true, ... }
--
-- options: name, json, and those of the verb. The program is found by its name or, without one, when
-- only one runs; all of its FlowSentinels are told.
local running = require "config.running"
local view = require "config.sentinel_view"

local verbs = { names = {} }

-- Calls an operation of every FlowSentinel: list of { interface =, answer = }; nil, what is wrong, exit code.
local function call_all (name, operation, args)
   local apps, problem, code = running.apps(name, "FlowSentinel")
   if not apps then return nil, problem, code end
   local answers = {}
   for i, app in ipairs(apps) do
      local answer
      answer, problem, code = running.call(name, app.name, operation, args)
      if not answer then return nil, problem, code end
      answers[i] = { interface = app.parameters.ifname or app.name, answer = answer }
   end
   return answers
end

local function interfaces_of (answers)
   local names = {}
   for i, a in ipairs(answers) do names[i] = a.interface end
   return names
end

local function show (lines)
   for _, line in ipairs(lines) do print(line[1]) end
end

local function show_json (object) print(json.encode(object)) end

-- Rows of all interfaces, each with its name.
local function rows_of (answers)
   local rows = setmetatable({}, { __list = true })
   for _, a in ipairs(answers) do
      for _, row in ipairs(a.answer) do
         row.interface = a.interface
         rows[#rows + 1] = row
      end
   end
   return rows
end

-- --- the verbs: words, options -> request; answers -> output and exit code ------------------------

local VERBS = {}

-- What ban, unban, allow and disallow have in common. done: what was done, of a table of words.
local function change (done, none)
   return {
      args = "PREFIX",
      request = function (words, o) return { address = words[1], ttl = o.ttl, force = o.force } end,
      finish = function (answers, words, o)
         local found = not none
         for _, a in ipairs(answers) do found = found or a.answer == true end
         if o.json then
            show_json { address = words[1], done = found, interfaces = interfaces_of(answers) }
         elseif found then
            print(("%s %s on %s%s"):format(words[1], done, table.concat(interfaces_of(answers), ", "),
                                           o.ttl and " for " .. view.time(o.ttl) or ""))
         else
            io.stderr:write(("vanguard sentinel: %s %s\n"):format(words[1], none))
         end
         return found and 0 or 1
      end,
   }
end

VERBS.ban = change("is banned")
VERBS.unban = change("is neither banned nor blocked any more", "was neither banned nor blocked")
VERBS.allow = change("is allowed")
VERBS.disallow = change("is not allowed any more", "was not allowed")

VERBS.list = {
   request = function (_, o) return { kind = o.kind } end,
   finish = function (answers, _, o)
      local rows = rows_of(answers)
      if o.json then show_json(rows) elseif #rows == 0 then print("nobody") else show(view.list(rows)) end
      return 0
   end,
}

VERBS.why = {
   args = "ADDRESS",
   request = function (words) return { address = words[1] } end,
   finish = function (answers, _, o)
      local rows = setmetatable({}, { __list = true })
      for i, a in ipairs(answers) do
         rows[i] = type(a.answer) == "table" and a.answer or {}
         rows[i].interface = a.interface
      end
      if o.json then show_json(rows) else show(view.why(rows)) end
      return 0
   end,
}

VERBS.flush = {
   request = function () return nil end,
   finish = function (answers, _, o)
      if o.json then show_json { done = true, interfaces = interfaces_of(answers) }
      else print("no blocks any more on " .. table.concat(interfaces_of(answers), ", ")) end
      return 0
   end,
}

VERBS.reload = {
   request = function () return nil end,
   finish = function (answers, _, o)
      if o.json then show_json { done = true, interfaces = interfaces_of(answers) }
      else print("files of lists read again on " .. table.concat(interfaces_of(answers), ", ")) end
      return 0
   end,
}

VERBS.top = {
   args = "[N]",
   request = function (words, o)
      return { n = words[1] and math.tointeger(tonumber(words[1])) or words[1],
               by = o.by, measure = o.measure, verdict = o.verdict }
   end,
   finish = function (answers, _, o)
      local rows = rows_of(answers)
      if o.json then show_json(rows) elseif #rows == 0 then print("no samples yet") else show(view.top(rows, o.by)) end
      return 0
   end,
}

VERBS.status = {}

-- The program itself knows more than its FlowSentinels: rates, and how the machine is.
function VERBS.status.run (name, o)
   local answer, problem, code = running.ask(name, { command = "status" })
   if not answer then return nil, problem, code end
   answer.ok = nil
   if o.json then
      show_json(answer)
      return 0
   end
   for _, look in ipairs(answer.interfaces) do
      print(("%s: %s%s, %d blocked, health %s"):format(look.interface, look.mode, look.dry_run and ", dry run" or "",
                                                      look.blocks, look.level))
      show(view.status(look))
      print()
      show(view.health(look.health, true))
   end
   return 0
end

for verb in pairs(VERBS) do verbs.names[verb] = true end

local function fail (code, text)
   text = text:gsub("force = true", "--force") -- as it is said here
   io.stderr:write("vanguard sentinel: ", text, code == 2 and " (vanguard help sentinel)\n" or "\n")
   return code
end

local function wrong_words (verb, words)
   local args = VERBS[verb].args
   if #words > (args and 1 or 0) then return ("%s: what is \"%s\"?"):format(verb, words[#words]) end
   if args and args:sub(1, 1) ~= "[" and #words == 0 then return ("%s %s"):format(verb, args) end
end

function verbs.run (verb, words, o)
   local row = VERBS[verb]
   local wrong = wrong_words(verb, words)
   if wrong then return fail(2, wrong) end
   local name, problem, code = running.find(o.name, "sentinel", "no sentinel runs: vanguard sentinel IFACE, or --name of another one")
   if not name then return fail(code, problem) end
   if row.run then
      local done
      done, problem, code = row.run(name, o)
      return done or fail(code, problem)
   end
   local answers
   answers, problem, code = call_all(name, verb, row.request(words, o))
   if not answers then return fail(code, problem) end
   return row.finish(answers, words, o)
end

return verbs
