/* Tests of config/: the graph language, driven through a vm in this process. */
#include <stdlib.h>
#include <string.h>

#include "config/vm.h"
#include "selftest/selftest.h"

static char logged[4096];

static void keep_log(const char *line, void *user)
{
    strncat(logged, line, sizeof(logged) - strlen(logged) - 2);
    strcat(logged, "\n");
}

static struct vm *new_vm(void)
{
    struct vm_options options = { .log = keep_log };
    struct error err;
    struct vm *vm = vm_new(&options, &err);
    ck_assert_msg(vm != NULL, "%s", err.text);
    return vm;
}

static void run(struct vm *vm, const char *text)
{
    struct error err;
    ck_assert_msg(!vm_run_text(vm, "test.lua", text, strlen(text), &err), "%s", err.text);
}

/* On virtual time, with a fixed seed. */
static struct vm *new_test(const char *text)
{
    struct vm *vm = new_vm();
    run(vm, "engine.setup { virtual_time = true, seed = 1 }");
    run(vm, text);
    return vm;
}

/* --- mistakes and what is said of them
 * -------------------------------------------------------- */

struct mistake {
    const char *text;
    enum error_kind kind;
    const char *says;
};

static const struct mistake mistakes[] = {
    { "local c = config.new()\nconfig.app(c, 'lossy', Clumsy, { los = '1%' })",
      ERROR_CONFIG,
      "test.lua:2: app \"lossy\" (Clumsy): no parameter \"los\" (did you mean \"loss\"?)" },
    { "local c = config.new()\nconfig.app(c, 'wan', Clumsy, { loss = '150%' })",
      ERROR_CONFIG,
      "test.lua:2: app \"wan\" (Clumsy): loss.p: 150% is not within 0%..100%" },
    { "local c = config.new()\nconfig.app(c, 'a', RawSoket, 'x')", ERROR_CONFIG,
      "test.lua:2: no such name \"RawSoket\" (did you mean \"RawSocket\"?)" },
    { "config.app(config.new(), 'a', 'Clumsi')", ERROR_CONFIG,
      "test.lua:1: no app class \"Clumsi\" (did you mean \"Clumsy\"?)" },
    { "config.app(config.new(), 'a', RawSocket)", ERROR_CONFIG,
      "test.lua:1: app \"a\" (RawSocket): ifname is required (network interface)" },
    { "local c = config.new()\nconfig.app(c, 'src', Source)\nconfig.link(c, 'src.output -> snk.input')\n"
      "config.app(c, 'sink', Sink)\nengine.configure(c)",
      ERROR_CONFIG,
      "test.lua:3: link \"src.output -> snk.input\": no app \"snk\" (did you mean \"sink\"?)" },
    { "local c = config.new()\nconfig.app(c, 't', Truncate, { size = 60 })\n"
      "config.app(c, 'sink', Sink)\nc:link('t.tx -> sink.rx')\nengine.configure(c)",
      ERROR_CONFIG,
      "test.lua:4: link \"t.tx -> sink.rx\": Truncate has no output port \"tx\" (its outputs: output)" },
    { "config.link(config.new(), 'a to b')", ERROR_CONFIG,
      "test.lua:1: link \"a to b\": not of the form \"app.port -> app.port\"" },
    { "local c = config.new()\nc:app('a', Sink)\nc:app('a', Sink)", ERROR_CONFIG,
      "test.lua:3: app \"a\" is there already, at test.lua:2" },
    { "local c = config.new()\nc:app('s', RawSocket, 'no-such-if')\nengine.configure(c)",
      ERROR_CONFIG, "test.lua:2: app \"s\" (RawSocket): no interface \"no-such-if\"" },
    { "local function f() undefined_name = 1 end\nf()", ERROR_CONFIG,
      "test.lua:1: assignment to \"undefined_name\", which is no variable (local?)" },
    { "x = = 1", ERROR_CONFIG, "test.lua:1: unexpected symbol near '='" },
    { "timer.after('soon', print)", ERROR_CONFIG,
      "test.lua:1: \"soon\" is not a duration (such as \"50ms\")" },
    { "engine.main { duratoin = 1 }", ERROR_CONFIG,
      "test.lua:1: engine.main: no option \"duratoin\" (did you mean \"duration\"?)" },
    { "config.chain(config.new(), 'a')", ERROR_CONFIG,
      "test.lua:1: a chain wants at least two apps" },
    { "\x1bLua", ERROR_CONFIG, "attempt to load a binary chunk" },
    { "engine.setup { packets = -1 }", ERROR_CONFIG,
      "test.lua:1: engine.setup: packets: -1 is not within 0..4194304" },
    { "app.load './no-such.so'", ERROR_CONFIG, "test.lua:1: cannot load ./no-such.so" },
    { "local t = {}\nt.t = t\nconfig.app(config.new(), 'a', Clumsy, t)", ERROR_CONFIG,
      "test.lua:3: tables nested more than 32 deep (or in a circle)" },
};

START_TEST(a_mistake_is_one_line_with_its_place)
{
    const struct mistake *m = &mistakes[_i];
    struct vm *vm = new_vm();
    struct error err;
    ck_assert_int_lt(vm_run_text(vm, "test.lua", m->text, strlen(m->text), &err), 0);
    ck_assert_msg(!strncmp(err.text, m->says, strlen(m->says)), "said \"%s\", not \"%s\"",
                  err.text, m->says);
    ck_assert_int_eq(err.kind, m->kind);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    vm_free(vm);
    ck_assert_uint_eq(arena_in_use(), 0);
}
END_TEST

/* --- graphs
 * -------------------------------------------------------------------------------------
 */

START_TEST(snabbs_spellings_work)
{
    struct vm *vm =
        new_test("local c = config.new()\n"
                 "config.app(c, 'source', Source, 60)\n"
                 "config.app(c, 'tee', 'Tee')\n"
                 "config.app(c, 'sink', Sink, {})\n"
                 "config.link(c, 'source.tx -> tee.rx')\n"
                 "config.link(c, 'tee.tx1->sink.rx1')\n"
                 "config.link(c, 'tee.tx2 -> sink.rx2')\n"
                 "engine.configure(c)\n"
                 "engine.breathe(3)\n"
                 "assert(engine.app('source').counters.packets == 192)\n"
                 "assert(engine.app('sink').counters.packets == 384)\n"
                 "assert(engine.app('sink').counters.bytes == 384 * 60)\n"
                 "assert(engine.app('nobody') == nil)\n"
                 "assert(#engine.links() == 3)\n"
                 "local g = engine.graph()\n"
                 "assert(g.apps[1].name == 'source' and g.apps[1].class == 'Source')\n"
                 "assert(g.links[1].from_port == 'tx')");
    vm_free(vm);
}
END_TEST

START_TEST(an_app_in_lua_drops_odd_sizes)
{
    struct vm *vm = new_test(
        "local OddDrop = { counters = { 'odd' } }\n"
        "function OddDrop:push ()\n"
        "   for p in link.each(self.input.input) do\n"
        "      if p.length % 2 == 0 then link.transmit(self.output.output, p)\n"
        "      else app.count(self, 'odd') packet.free(p) end\n"
        "   end\n"
        "end\n"
        "local c = config.new()\n"
        "c:app('even', Source, { size = 60, count = 10 })\n"
        "c:app('uneven', Source, { size = 61, count = 7 })\n"
        "c:app('join', Join) c:app('odd', OddDrop) c:app('sink', Sink)\n"
        "c:link('even -> join.a') c:link('uneven -> join.b') c:chain('join', 'odd', 'sink')\n"
        "engine.configure(c)\n"
        "engine.breathe(2)\n"
        "assert(engine.app('sink').counters.packets == 10)\n"
        "assert(engine.app('odd').counters.odd == 7)");
    vm_free(vm);
    ck_assert_uint_eq(arena_in_use(), 0);
}
END_TEST

START_TEST(a_lua_app_keeps_its_state_when_it_is_the_same)
{
    struct vm *vm = new_test(
        "made, stopped, changed = 0, 0, 0\n"
        "local C = { config = { n = { default = 5 } } }\n"
        "function C:new (arg) made = made + 1; return setmetatable({ n = arg.n }, { __index = C }) end\n"
        "function C:stop () stopped = stopped + 1 end\n"
        "function C:push () end\n"
        "local D = { reconfigure = function (self, arg) changed = arg end, push = function () end }\n"
        "local function graph (n, d, extra)\n"
        "   local c = config.new()\n"
        "   c:app('c', C, n and { n = n }) c:app('d', D, d)\n"
        "   if extra then c:app('sink', Sink) end\n"
        "   engine.configure(c)\n"
        "end\n"
        "graph(nil, 1)\n"
        "assert(made == 1 and engine.app('c').object.n == 5 and engine.app('c').object.name == 'c')\n"
        "engine.app('c').object.mark = 'kept'\n"
        "graph(nil, 1, true)\n"
        "assert(made == 1 and engine.app('c').object.mark == 'kept')\n"
        "graph(6, 2)\n"
        "assert(made == 2 and stopped == 1 and engine.app('c').object.n == 6)\n"
        "assert(changed == 2, 'reconfigured in place')\n"
        "engine.configure(config.new())\n"
        "assert(stopped == 2)");
    vm_free(vm);
}
END_TEST

START_TEST(links_of_a_lua_app_follow_the_graph)
{
    struct vm *vm = new_test(
        "local P = { push = function () end }\n"
        "local function graph (port)\n"
        "   local c = config.new()\n"
        "   c:app('s', Source, { count = 1 }) c:app('p', P)\n"
        "   c:link('s -> p.' .. port)\n"
        "   engine.configure(c)\n"
        "   return engine.app('p').object\n"
        "end\n"
        "local p = graph('a')\n"
        "local old = p.input.a\n"
        "assert(old and p.input[1] == old and tostring(old) == 's.output -> p.a')\n"
        "p = graph('b')\n"
        "assert(p.input.b and not p.input.a)\n"
        "local ok, problem = pcall(link.empty, old)\n"
        "assert(not ok and tostring(problem):find('no longer part of the graph'))");
    vm_free(vm);
}
END_TEST

/* --- packets in Lua
 * ------------------------------------------------------------------------------ */

START_TEST(packets_in_lua)
{
    struct vm *vm = new_test(
        "local p = packet.from_string('abcdef')\n"
        "assert(p.length == 6 and packet.data(p) == 'abcdef' and packet.data(p, 2, 3) == 'bc')\n"
        "assert(packet.data(p, -2) == 'ef' and packet.data(p, 9) == '')\n"
        "assert(packet.byte(p, 1) == 97)\n"
        "packet.set(p, 1, 'X') packet.set(p, 2, 66)\n"
        "assert(packet.data(p) == 'XBcdef')\n"
        "packet.append(p, 'gh') packet.prepend(p, '>>')\n"
        "assert(packet.data(p) == '>>XBcdefgh')\n"
        "packet.shiftleft(p, 2) assert(packet.data(p) == 'XBcdefgh')\n"
        "packet.resize(p, 3) assert(packet.data(p) == 'XBc')\n"
        "local q = packet.clone(p) packet.free(p) assert(packet.data(q) == 'XBc')\n"
        "packet.free(q)\n"
        "local function fails (what, f, ...)\n"
        "   local ok, problem = pcall(f, ...)\n"
        "   assert(not ok and tostring(problem):find(what, 1, true), tostring(problem))\n"
        "end\n"
        "local gone = 'packet used after it was transmitted or freed'\n"
        "fails(gone, packet.free, p) fails(gone, packet.data, q) fails(gone, packet.clone, q)\n"
        "fails(gone, function () return p.length end)\n"
        "local r = packet.allocate()\n"
        "fails('byte 1 of a packet of 0', packet.byte, r, 1)\n"
        "fails('2 bytes at 1 of a packet of 0', packet.set, r, 1, 'ab')\n"
        "fails('no room', packet.append, r, ('x'):rep(5000))\n"
        "fails('no room', packet.prepend, r, ('x'):rep(5000))\n"
        "fails('no room', packet.resize, r, 60000)\n"
        "fails('too short', packet.shiftleft, r, 1)\n"
        "fails('at most', packet.from_string, ('x'):rep(5000))\n"
        "fails('no field \"lenght\"', function () return r.lenght end)\n"
        "packet.free(r)");
    vm_free(vm);
    ck_assert_uint_eq(arena_in_use(), 0);
}
END_TEST

START_TEST(packets_that_lua_forgot_come_back)
{
    struct vm *vm = new_test(
        "for i = 1, 100 do packet.allocate() end\n"
        "local Hoard = { push = function (self)\n"
        "   for p in link.each(self.input.input) do end end }\n"
        "local c = config.new()\n"
        "c:app('s', Source, { count = 50 }) c:app('h', Hoard) c:chain('s', 'h')\n"
        "engine.configure(c) engine.breathe(2)");
    ck_assert_uint_eq(arena_in_use(), 100 + 50 + 1); /* and the source's own */
    run(vm, "engine.configure(config.new())");
    ck_assert_uint_eq(arena_in_use(), 100);
    vm_free(vm);
    ck_assert_uint_eq(arena_in_use(), 0);
}
END_TEST

START_TEST(an_error_in_a_lua_app_stops_with_a_traceback)
{
    struct vm *vm = new_test("local Bad = {}\n"
                             "function Bad:push ()\n"
                             "   local x = nil + 1\n"
                             "end\n"
                             "local c = config.new()\n"
                             "c:app('bad', Bad)\n"
                             "engine.configure(c)\n"
                             "function go () engine.breathe(5) end");
    struct error err;
    ck_assert_int_lt(vm_call_global(vm, "go", &err), 0);
    ck_assert_int_eq(err.kind, ERROR_RUN);
    ck_assert_msg(
        strstr(err.text, "test.lua:3: attempt to perform arithmetic on a nil value"),
        "%s", err.text);
    ck_assert_msg(strstr(vm_message(vm), "stack traceback:"), "%s", vm_message(vm));
    vm_free(vm);
}
END_TEST

/* --- timers
 * ----------------------------------------------------------------------------------------
 */

START_TEST(timers_fire_on_the_engines_clock)
{
    struct vm *vm =
        new_test("engine.set_time(1)\n"
                 "local once, often = 0, 0\n"
                 "timer.after('10ms', function () once = once + 1 end)\n"
                 "local t = timer.every(0.02, function () often = often + 1 end)\n"
                 "local function at (s) engine.set_time(s) engine.breathe() end\n"
                 "at(1.0099) assert(once == 0 and often == 0)\n"
                 "at(1.0101) assert(once == 1)\n"
                 "at(1.0201) assert(often == 1)\n"
                 "at(1.0401) assert(once == 1 and often == 2)\n"
                 "t:cancel()\n"
                 "at(1.1) assert(often == 2)");
    vm_free(vm);
}
END_TEST

START_TEST(a_configuration_that_fails_leaves_the_old_one)
{
    struct vm *vm = new_test("local c = config.new()\n"
                             "c:app('s', Source) c:app('k', Sink) c:chain('s', 'k')\n"
                             "engine.configure(c) engine.breathe(1)\n"
                             "local d = config.new()\n"
                             "d:app('s', Source) d:app('r', RawSocket, 'no-such-if')\n"
                             "assert(not pcall(engine.configure, d))\n"
                             "engine.breathe(1)\n"
                             "assert(engine.app('k').counters.packets == 128)\n"
                             "assert(#engine.graph().apps == 2)");
    vm_free(vm);
}
END_TEST

/* --- what Lua cannot break
 * ------------------------------------------------------------------------------
 */

/* Each ends in an error that says so, and the engine goes on. */
static const struct mistake harmful[] = {
    { "P.stop = function (self) link.receive(self.input.input) end\n"
      "graph() engine.breathe(1) engine.configure(config.new())",
      ERROR_RUN, "no longer part of the graph" },
    { "P.push = function () engine.configure(config.new()) end\ngraph() engine.breathe(2)",
      ERROR_RUN, "engine.configure inside a method of an app" },
    { "P.stop = function () engine.configure(config.new()) end\n"
      "graph() engine.configure(config.new())",
      ERROR_RUN, "engine.configure inside a method of an app" },
    { "P.push = function () engine.breathe() end\ngraph() engine.breathe()", ERROR_RUN,
      "engine.breathe inside what the engine calls" },
    { "timer.after(0, function () engine.breathe() end) engine.breathe()", ERROR_RUN,
      "engine.breathe inside what the engine calls" },
    { "engine.set_time(-1)", ERROR_CONFIG, "is not a duration" },
    { "config.app(config.new(), 'p', P, { [5] = 1 })", ERROR_CONFIG,
      "a table's keys are names, or 1, 2, 3 ... without gaps" },
};

static const char harmful_graph[] =
    "P = { push = function () end }\n"
    "function graph ()\n"
    "   local c = config.new()\n"
    "   c:app('s', Source, { count = 50 }) c:app('p', P) c:chain('s', 'p')\n"
    "   engine.configure(c)\n"
    "end\n";

START_TEST(lua_cannot_damage_the_engine)
{
    const struct mistake *m = &harmful[_i];
    struct vm *vm = new_test(harmful_graph);
    struct error err;
    ck_assert_int_lt(vm_run_text(vm, "test.lua", m->text, strlen(m->text), &err), 0);
    ck_assert_msg(strstr(err.text, m->says) != NULL, "said \"%s\", not \"%s\"", err.text,
                  m->says);
    ck_assert_int_eq(err.kind, m->kind);
    run(vm, "P.push, P.stop = function () end, nil graph() engine.breathe(2)");
    vm_free(vm);
    ck_assert_uint_eq(arena_in_use(), 0);
}
END_TEST

START_TEST(a_class_keeps_the_names_it_began_with)
{
    struct vm *vm = new_test(
        "local P = { counters = { ('x'):rep(30) }, inputs = { ('in'):rep(20) } }\n"
        "local c = config.new() c:app('p', P)\n"
        "P.counters, P.inputs = nil, nil\n"
        "collectgarbage() collectgarbage()\n"
        "engine.configure(c)\n"
        "assert(engine.app('p').counters[('x'):rep(30)] == 0)");
    vm_free(vm);
}
END_TEST

START_TEST(a_packet_at_the_front_may_only_be_read)
{
    struct vm *vm = new_test(
        "local c = config.new()\n"
        "local P = { push = function () end }\n"
        "c:app('s', Source, { count = 2 }) c:app('p', P) c:chain('s', 'p')\n"
        "engine.configure(c) engine.breathe(1)\n"
        "local l = engine.links()[1]\n"
        "local p = link.front(l)\n"
        "assert(p.length == 60 and #packet.data(p) == 60)\n"
        "assert(not pcall(packet.free, p) and not pcall(packet.set, p, 1, 'x'))\n"
        "assert(not pcall(link.transmit, l, p))\n"
        "packet.free(link.receive(l)) assert(not pcall(packet.data, p))\n"
        "packet.free(link.receive(l)) assert(link.front(l) == nil)");
    vm_free(vm);
    ck_assert_uint_eq(arena_in_use(), 0);
}
END_TEST

START_TEST(a_config_can_be_extended_and_configured_again)
{
    struct vm *vm = new_test("local c = config.new()\n"
                             "c:app('a', Sink) engine.configure(c)\n"
                             "c:app('b', Sink) engine.configure(c)\n"
                             "assert(#engine.apps() == 2)");
    vm_free(vm);
}
END_TEST

START_TEST(timers_of_a_lua_app_end_with_it)
{
    struct vm *vm = new_test("engine.set_time(1) fired = 0\n"
                             "local P = { push = function () end }\n"
                             "function P:new ()\n"
                             "   timer.every('1ms', function () fired = fired + 1 end)\n"
                             "   return setmetatable({}, { __index = self })\n"
                             "end\n"
                             "local c = config.new() c:app('p', P) engine.configure(c)\n"
                             "engine.main { duration = '10ms', no_report = true }\n"
                             "local before = fired assert(before >= 9)\n"
                             "engine.configure(config.new())\n"
                             "engine.main { duration = '10ms', no_report = true }\n"
                             "assert(fired == before)");
    vm_free(vm);
}
END_TEST

START_TEST(main_on_virtual_time_takes_no_time)
{
    struct vm *vm = new_test(
        "engine.set_time(1) local fired = 0\n"
        "timer.every('1h', function () fired = fired + 1 end)\n"
        "engine.stop()\n"
        "engine.main { done = function () return engine.now() >= 2 end, no_report = true }\n"
        "assert(engine.now() >= 2 and engine.now() < 2.01)");
    vm_free(vm);
}
END_TEST

/* A failure of stop is told when the vm ends, and every other app still gets its stop. */
START_TEST(errors_in_stop_are_told)
{
    struct vm *vm = new_test(
        "stopped = 0\n"
        "local A = { push = function () end, stop = function () error('in stop') end }\n"
        "local B = { push = function () end, stop = function () stopped = stopped + 1 end }\n"
        "local c = config.new()\n"
        "c:app('b', B) c:app('a', A) engine.configure(c)");
    struct error err;
    ck_assert_int_lt(vm_stop(vm, &err), 0);
    ck_assert_msg(strstr(err.text, "test.lua:2: in stop") != NULL, "%s", err.text);
    run(vm, "assert(stopped == 1)");
    vm_free(vm);
}
END_TEST

static Suite *suite_config(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    tcase_add_loop_test(tcase, a_mistake_is_one_line_with_its_place, 0,
                        sizeof(mistakes) / sizeof(mistakes[0]));
    tcase_add_test(tcase, snabbs_spellings_work);
    tcase_add_test(tcase, an_app_in_lua_drops_odd_sizes);
    tcase_add_test(tcase, a_lua_app_keeps_its_state_when_it_is_the_same);
    tcase_add_test(tcase, links_of_a_lua_app_follow_the_graph);
    tcase_add_test(tcase, packets_in_lua);
    tcase_add_test(tcase, packets_that_lua_forgot_come_back);
    tcase_add_test(tcase, an_error_in_a_lua_app_stops_with_a_traceback);
    tcase_add_test(tcase, timers_fire_on_the_engines_clock);
    tcase_add_test(tcase, a_configuration_that_fails_leaves_the_old_one);
    tcase_add_loop_test(tcase, lua_cannot_damage_the_engine, 0,
                        sizeof(harmful) / sizeof(harmful[0]));
    tcase_add_test(tcase, a_class_keeps_the_names_it_began_with);
    tcase_add_test(tcase, a_packet_at_the_front_may_only_be_read);
    tcase_add_test(tcase, a_config_can_be_extended_and_configured_again);
    tcase_add_test(tcase, timers_of_a_lua_app_end_with_it);
    tcase_add_test(tcase, main_on_virtual_time_takes_no_time);
    tcase_add_test(tcase, errors_in_stop_are_told);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(config)
