-- verdict: did a run pass, fail, or say nothing? And the files that tell of it.
--
--   verdict.new{ clumsies =, directions =, scenario =, options =, rows =, argv =, title = } -> v
--   verdict.make_directory(path)       for the files; raises
--   v.event(kind, facts)               noted with its time
--   v:begin()                          COMMAND has started: measuring and the timeline begin
--   v:finish(code) -> code             judges COMMAND's exit code and the measurements, writes files
--
-- Three outcomes. A run in which the emulator itself lost packets or was late says nothing about
-- what was tested: it is inconclusive, neither green nor red.
--
--     pass          exit code 0
--     fail          COMMAND's exit code, or 6 when an expectation did not hold
--     inconclusive  8
--
-- Files: events.ndjson (as it happens), report.json, junit.xml, report.html in --artifacts, or
-- each where an option says.
local expect = require "config.expect"
local facts = require "config.facts"
local html = require "config.html_report"
local measure = require "config.measure"
local scenario = require "config.scenario"

local verdict = {}
verdict.__index = verdict

local SAMPLE = "100ms"
local GUARDS = { own_drops = "== 0", late_p99 = "< 10ms" } -- unless a scenario says otherwise
local EXPECTED, INCONCLUSIVE, FILE = 6, 8, 5

-- --- files --------------------------------------------------------------------------------

local function write_file (path, text)
   local file, problem = io.open(path, "w")
   if not file then return problem end
   local ok, failure = file:write(text)
   file:close()
   return not ok and failure or nil
end

local function shell_word (word)
   if word:match("^[%w_%-+./:,=@%%]+$") then return word end
   return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- The command that runs the same again, seed included.
local function rerun (rows, o, argv, program)
   local words, given = { "vanguard", program }, {}
   for name, value in pairs(o) do given[name] = value end
   given.seed = engine.seed()
   for _, row in ipairs(rows) do
      local value = given[row.name]
      for _, one in ipairs(type(value) == "table" and value or { value }) do
         if one == true then
            words[#words + 1] = "--" .. row.name
         elseif one and tostring(one) ~= row.default then
            words[#words + 1] = "--" .. row.name
            words[#words + 1] = shell_word(tostring(one))
         end
      end
   end
   words[#words + 1] = "--"
   for _, word in ipairs(argv) do words[#words + 1] = shell_word(word) end
   return table.concat(words, " ")
end

local function xml (text)
   return (tostring(text):gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" })
      :gsub("[%z\1-\8\11\12\14-\31]", "?"))
end

local function junit (r)
   local lines, failures, errors = {}, 0, 0
   for _, check in ipairs(r.checks) do
      local body = ""
      if not check.ok and check.guard then
         errors = errors + 1
         body = ('<error type="inconclusive" message="%s is %s, wanted %s"/>'):format(xml(check.name), xml(check.measured), xml(check.wanted))
      elseif not check.ok then
         failures = failures + 1
         body = ('<failure message="%s is %s, wanted %s"/>'):format(xml(check.name), xml(check.measured), xml(check.wanted))
      end
      lines[#lines + 1] = ('  <testcase classname="%s" name="%s %s">%s</testcase>'):format(
         xml(r.title), xml(check.name), xml(check.wanted), body)
   end
   return ('<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="%s" tests="%d" failures="%d" errors="%d" time="%.3f">\n' ..
           '  <properties><property name="seed" value="%d"/><property name="outcome" value="%s"/>' ..
           '<property name="rerun" value="%s"/></properties>\n%s\n</testsuite>\n'):format(
      xml(r.title), #r.checks, failures, errors, r.measured.duration, r.seed, r.outcome, xml(r.rerun), table.concat(lines, "\n"))
end

-- --- a run ----------------------------------------------------------------------------------

local function path_of (o, option, name)
   return o[option] or o.artifacts and o.artifacts .. "/" .. name or nil
end

function verdict.make_directory (path)
   local ok, problem = process.mkdir(path)
   if not ok then error({ kind = FILE, text = problem }, 0) end
end

function verdict.new (facts)
   local o = facts.options
   local v = setmetatable({ facts = facts, events = {}, expectations = {}, problems = {} }, verdict)
   if facts.scenario then
      for name, wish in pairs(facts.scenario.expectations) do v.expectations[name] = wish end
   end
   local path = path_of(o, "events", "events.ndjson")
   if path then
      local file, problem = io.open(path, "w")
      if not file then error({ kind = FILE, text = problem }, 0) end
      v.log = file
   end
   v.event = function (kind, more) v:note(kind, more) end
   return v
end

function verdict:note (kind, more)
   local entry = { time = self.measure and engine.now() - self.measure.start or 0, event = kind }
   for name, value in pairs(more or {}) do entry[name] = value end
   self.events[#self.events + 1] = entry
   if self.log then
      self.log:write(json.encode(entry), "\n")
      self.log:flush()
   end
end

function verdict:begin ()
   self.measure = measure.new(self.facts.clumsies)
   self.event("start", { seed = engine.seed(), command = table.concat(self.facts.argv, " ") })
   self.timer = timer.every(SAMPLE, function () self.measure:sample() end)
   if self.facts.scenario then scenario.begin(self.facts.scenario, self) end
end

-- A path that nothing went through has not been tested. Around a switch some links may be silent.
local function traffic_checks (v, measured)
   local least = v.facts.options["min-packets"] or 1
   local function check (name, seen)
      v.checks[#v.checks + 1] = { name = name, wanted = ">= " .. least, measured = tostring(seen), ok = seen >= least }
   end
   if least == 0 then return end
   if #v.facts.clumsies > 2 then return check("seen", measured.seen) end
   for _, one in ipairs(v.facts.clumsies) do check(one.name .. ".seen", measured[one.name].seen) end
end

local function judge (v, code, measured)
   local wishes, guards = {}, {}
   for name, wish in pairs(v.expectations) do wishes[name] = wish end
   for name, wish in pairs(GUARDS) do
      guards[name] = wishes[name] or wish
      wishes[name] = nil
   end
   local command = wishes.exit_code or 0
   measured.exit_code = code
   wishes.exit_code = nil
   v.checks = expect.evaluate(guards, measured, v.facts.directions)
   for _, check in ipairs(v.checks) do check.guard = true end
   for _, check in ipairs(expect.evaluate({ exit_code = command }, measured, v.facts.directions)) do
      check.command = true
      v.checks[#v.checks + 1] = check
   end
   traffic_checks(v, measured)
   for _, check in ipairs(expect.evaluate(wishes, measured, v.facts.directions)) do v.checks[#v.checks + 1] = check end
   local failed, late, command_failed
   for _, check in ipairs(v.checks) do
      if not check.ok and check.guard then late = true
      elseif not check.ok then failed, command_failed = true, command_failed or check.command end
   end
   if late then return "inconclusive", INCONCLUSIVE end
   if failed then return "fail", command_failed and code ~= 0 and code or EXPECTED end
   return "pass", 0
end

local function asked_of (one)
   local text = {}
   for _, app in ipairs(engine.graph().apps) do
      if app.name == one.name then
         for _, p in ipairs(app.parameters) do
            if not p.initial then text[#text + 1] = p.name .. " " .. p.value end
         end
      end
   end
   return #text > 0 and table.concat(text, ", ") or "nothing"
end

function verdict:finish (code)
   if not self.measure then return code end
   self.measure:sample()
   self.timer:cancel()
   local o, measured = self.facts.options, self.measure:result()
   local judged = self.facts.scenario ~= nil
   local outcome, final = judge(self, code, measured)
   if not judged then outcome, final = code == 0 and "pass" or "fail", code end
   local r = { title = self.facts.title, outcome = outcome, exit_code = final, seed = engine.seed(), checks = self.checks,
               events = self.events, measured = measured, samples = self.measure.samples, kernel = facts.sysctl("kernel.osrelease"),
               version = process.version, judged = judged, asked = {}, names = {},
               rerun = rerun(self.facts.rows, o, self.facts.argv, "lab") }
   for i, one in ipairs(self.facts.clumsies) do
      r.asked[one.name] = one.asked or asked_of(one)
      r.names[i] = one.name
   end
   self.event("end", { outcome = outcome, exit_code = final, checks = self.checks })
   if self.log then self.log:close() end
   local function keep (option, name, make)
      local path = path_of(o, option, name)
      local problem = path and write_file(path, make(r))
      if problem then
         io.stderr:write("vanguard: ", problem, "\n")
         final = FILE
      end
   end
   keep("report-json", "report.json", function () return json.encode(r) .. "\n" end)
   keep("junit", "junit.xml", junit)
   keep("report", "report.html", html)
   return final, r
end

-- What a person wants to know at the end, line by line.
function verdict.words (r)
   local lines = {}
   for _, check in ipairs(r.checks) do
      if not check.ok then
         lines[#lines + 1] = ("%s: %s is %s, wanted %s"):format(check.guard and "inconclusive" or "failed", check.name,
                                                               check.measured, check.wanted)
      end
   end
   lines[#lines + 1] = ("%s (seed %d); again: %s"):format(r.outcome, r.seed, r.rerun)
   return lines
end

return verdict
