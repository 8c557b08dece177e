/* Tests of config/ on several cores: config.core, Lua apps in the states of other cores. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/vm.h"
#include "selftest/selftest.h"

static char folder[64];
static struct vm *vm;

/* Drops every other packet; with an argument, fails at that one. */
static const char odd_drop[] =
    "local OddDrop = { counters = { 'odd', 'ticks' }, inputs = { 'input' },\n"
    "                  outputs = { 'output' } }\n"
    "function OddDrop:new (arg)\n"
    "   local object = setmetatable({ n = 0, limit = arg or -1 }, { __index = self })\n"
    "   timer.every('1ms', function () app.count(object, 'ticks') end)\n"
    "   return object\n"
    "end\n"
    "function OddDrop:push ()\n"
    "   for p in link.each(self.input.input) do\n"
    "      self.n = self.n + 1\n"
    "      if self.n == self.limit then engine.main() end\n"
    "      if self.n % 2 == 0 then link.transmit(self.output.output, p)\n"
    "      else app.count(self, 'odd') packet.free(p) end\n"
    "   end\n"
    "end\n"
    "function OddDrop:reconfigure (arg) self.limit = arg or -1 end\n"
    "return OddDrop\n";

static void write_module(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s.lua", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void run(const char *text)
{
    struct error err;
    ck_assert_msg(!vm_run_text(vm, "test.lua", text, strlen(text), &err), "%s",
                  vm_message(vm));
}

static void setup(void)
{
    char text[200];
    cpu_set_t cpus;
    struct error err;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) || CPU_COUNT(&cpus) < 2) {
        fprintf(stderr, "SKIPPED: this machine has one core\n");
        exit(0);
    }
    strcpy(folder, "/tmp/test_cores.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_module("odd_drop", odd_drop);
    write_module("no_table", "return 42");
    write_module("core_zero_only",
                 "if not rawget(_G, 'zero') then error('not here') end\n"
                 "return { push = function () end }");
    struct vm_options options = { 0 };
    vm = vm_new(&options, &err);
    ck_assert_msg(vm != NULL, "%s", err.text);
    snprintf(text, sizeof(text), "package.path = '%s/?.lua'", folder);
    run(text);
    run("zero = true\n"
        "function graph (limit, count)\n"
        "   local c = config.new()\n"
        "   c:app('source', Source, { count = count or 1000 })\n"
        "   c:app('odd', 'odd_drop', limit)\n"
        "   c:app('sink', Sink)\n"
        "   c:chain('source', 'odd', 'sink')\n"
        "   c:core(1, 'odd')\n"
        "   return c\n"
        "end");
}

static void teardown(void)
{
    char line[100];
    vm_free(vm);
    ck_assert_uint_eq(arena_in_use(), 0);
    snprintf(line, sizeof(line), "rm -r %s", folder);
    ck_assert_int_eq(system(line), 0);
}

static void on_virtual_time(void)
{
    run("engine.setup { virtual_time = true, seed = 1 }");
}

static void fails(const char *text, enum error_kind kind, const char *says)
{
    struct error err;
    ck_assert_int_lt(vm_run_text(vm, "test.lua", text, strlen(text), &err), 0);
    ck_assert_msg(!strncmp(err.text, says, strlen(says)), "said \"%s\"", err.text);
    ck_assert_int_eq(err.kind, kind);
}

START_TEST(a_module_runs_on_another_core)
{
    on_virtual_time();
    run("engine.configure(graph())\n"
        "engine.breathe(40)\n"
        "local odd = engine.app('odd')\n"
        "assert(odd.counters.odd == 500 and odd.object == nil)\n"
        "assert(engine.app('sink').counters.packets == 500)\n"
        "local into, out = table.unpack(engine.links())\n"
        "assert(into:stats().txpackets == 1000 and into:stats().rxpackets == 1000)\n"
        "assert(out:stats().txpackets == 500 and out:stats().held == 0)\n"
        "assert(engine.graph().apps[2].core == 1 and engine.graph().apps[1].core == 0)\n"
        "assert(into:empty())");
}
END_TEST

START_TEST(it_keeps_its_state_when_it_is_the_same)
{
    on_virtual_time();
    run("engine.configure(graph())\n"
        "engine.breathe(10)\n"
        "local before = engine.app('odd').counters.odd\n"
        "assert(before > 0)\n"
        "engine.configure(graph())\n"
        "engine.configure(graph(1000000))\n"
        "assert(engine.app('odd').counters.odd == before)\n"
        "engine.breathe(30)\n"
        "assert(engine.app('odd').counters.odd == 500)\n"
        "local c = graph()\n"
        "c:core(0, { 'odd' })\n"
        "engine.configure(c)\n"
        "assert(engine.app('odd').object and engine.app('odd').counters.odd == 0)");
}
END_TEST

START_TEST(its_timers_fire_there)
{
    on_virtual_time();
    run("engine.configure(graph())\n"
        "engine.main { duration = '100ms', no_report = true }\n"
        "local n = engine.app('odd').counters.ticks\n"
        "assert(n >= 99 and n <= 101, n)\n"
        "engine.configure(config.new())\n"
        "engine.main { duration = '10ms', no_report = true }");
}
END_TEST

START_TEST(an_error_on_another_core_stops_all)
{
    struct error err;
    static const char text[] = "engine.main { duration = '20s', no_report = true }";
    run("engine.configure(graph(200))");
    ck_assert_int_lt(vm_run_text(vm, "test.lua", text, strlen(text), &err), 0);
    ck_assert_int_eq(err.kind, ERROR_RUN);
    ck_assert_msg(strstr(err.text, "odd_drop.lua:11: engine.main: only on core 0"), "%s",
                  err.text);
    ck_assert_msg(strstr(vm_message(vm), "stack traceback:"), "%s", vm_message(vm));
}
END_TEST

START_TEST(an_error_in_turn_stops_as_well)
{
    struct error err;
    on_virtual_time();
    run("engine.configure(graph(200))\n"
        "function go () engine.breathe(20) end");
    ck_assert_int_lt(vm_call_global(vm, "go", &err), 0);
    ck_assert_msg(strstr(err.text, "odd_drop.lua:11: engine.main: only on core 0"), "%s",
                  err.text);
    ck_assert_msg(strstr(vm_message(vm), "stack traceback:"), "%s", vm_message(vm));
}
END_TEST

/* On threads, and changed while they run. */
START_TEST(reconfigured_from_a_timer)
{
    run("engine.setup { seed = 1 }\n"
        "engine.configure(graph(nil, 20000))\n"
        "local changes = 0\n"
        "timer.every('500us', function ()\n"
        "   changes = changes + 1\n"
        "   engine.configure(graph(1e9 + changes, 20000))\n"
        "   local links = engine.links()\n"
        "   assert(links[1]:stats().held >= 0)\n"
        "end)\n"
        "engine.main { no_report = true, duration = '20s', done = function ()\n"
        "   return changes > 50 and engine.app('sink').counters.packets == 10000\n"
        "end }\n"
        "assert(engine.app('odd').counters.odd == 10000)\n"
        "assert(engine.links()[1]:stats().txdrop == 0)\n"
        "local load = engine.load()\n"
        "assert(#load.cores == 2 and load.cores[2].core == 1)");
}
END_TEST

START_TEST(links_of_other_cores_are_only_looked_at)
{
    on_virtual_time();
    run("local c = config.new()\n"
        "c:app('source', Source) c:app('sink', Sink) c:chain('source', 'sink')\n"
        "c:core(1, { 'source', 'sink' })\n"
        "engine.configure(c)\n"
        "engine.breathe(2)\n"
        "assert(engine.links()[1]:stats().txpackets == 128)");
    fails("link.receive(engine.links()[1])", ERROR_RUN,
          "test.lua:1: link \"source.output -> sink.input\" is on another core");
}
END_TEST

struct mistake {
    const char *text, *says;
};

static const struct mistake mistakes[] = {
    { "local c = config.new()\nc:app('t', { push = print })\nc:core(1, 't')\n"
      "engine.configure(c)",
      "test.lua:2: app \"t\" (Lua app): a table runs on core 0 only; on core 1 the app's "
      "class must be the name of a module" },
    { "local c = config.new()\nc:app('sink', Sink)\nc:core(1, { 'snik' })",
      "test.lua:3: core 1: no app \"snik\" (did you mean \"sink\"?)" },
    { "config.core(config.new(), -1, 'a')", "test.lua:1: core -1 is not within 0..255" },
    { "config.core(config.new(), 1, { {} })",
      "test.lua:1: core 1: the name of an app expected, got table" },
    { "local c = config.new()\nc:app('sink', Sink)\nc:core(255, 'sink')\n"
      "engine.configure(c)",
      "test.lua:2: app \"sink\" is to run on core 255, but the number of cores here is " },
    { "engine.setup { cores = '0,0' }", "test.lua:1: cores \"0,0\": " },
    { "local c = config.new()\nc:app('z', 'core_zero_only')\nc:core(1, 'z')\n"
      "engine.configure(c)",
      "test.lua:2: app \"z\" (core_zero_only): " },
};

START_TEST(mistakes_are_said_in_one_line)
{
    fails(mistakes[_i].text, ERROR_CONFIG, mistakes[_i].says);
    run("engine.configure(graph())"); /* and nothing is broken */
}
END_TEST

static Suite *suite_config_cores(void)
{
    Suite *suite = suite_create("config_cores");
    TCase *tests = tcase_create("config_cores");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_module_runs_on_another_core);
    tcase_add_test(tests, it_keeps_its_state_when_it_is_the_same);
    tcase_add_test(tests, its_timers_fire_there);
    tcase_add_test(tests, an_error_on_another_core_stops_all);
    tcase_add_test(tests, an_error_in_turn_stops_as_well);
    tcase_add_test(tests, reconfigured_from_a_timer);
    tcase_add_test(tests, links_of_other_cores_are_only_looked_at);
    tcase_add_loop_test(tests, mistakes_are_said_in_one_line, 0,
                        sizeof(mistakes) / sizeof(mistakes[0]));
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(config_cores)
