/* test_scenario: what a scenario's words mean, without a network: regions of chance, wishes,
 * quantities, timelines. selftest/lab.sh runs whole ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/vm.h"
#include "selftest/selftest.h"

static void run(const char *text)
{
    struct vm_options options = { .log = NULL };
    struct error err;
    struct vm *vm = vm_new(&options, &err);
    ck_assert_msg(vm != NULL, "%s", err.text);
    ck_assert_msg(!vm_run_text(vm, "test.lua", text, strlen(text), &err), "%s",
                  vm_message(vm));
    vm_free(vm);
}

/* The figures were computed by others, with exact arithmetic. */
START_TEST(test_region)
{
    run("local region = statistics.region\n"
        "for _, row in ipairs {\n"
        "   { 0.001, 100000, 55, 153 }, { 0.001, 1000000, 849, 1158 }, { 0.01, 20000, 135, 272 },\n"
        "   { 0.01, 100000, 850, 1158 }, { 0.02, 50000, 851, 1157 }, { 0.1, 20000, 1796, 2211 },\n"
        "   { 0.25, 5000, 1102, 1402 }, { 0.5, 2000, 891, 1109 }, { 0, 100, 0, 0 }, { 1, 100, 100, 100 },\n"
        "} do\n"
        "   local low, high = region(row[2], row[1], 1e-6)\n"
        "   assert(low == row[3] and high == row[4], row[1] .. ': ' .. low .. '..' .. high)\n"
        "end");
}
END_TEST

START_TEST(test_quantities)
{
    run("local q = require 'config.quantity'\n"
        "for text, wanted in pairs { ['5%'] = 0.05, ['20ms'] = 0.02, ['10mbit'] = 1e7, ['64KB'] = 65536,\n"
        "                            ['3'] = 3, [' 1.5s '] = 1.5, ['-2'] = -2 } do\n"
        "   assert(math.abs(q.parse(text) - wanted) < 1e-12, text)\n"
        "end\n"
        "assert(q.parse('much') == nil and q.parse('') == nil and q.parse('5 %x') == nil)\n"
        "assert(q.format(0.0512, 'share') == '5.12%' and q.format(0.0402, 'time') == '40.2ms')\n"
        "assert(q.format(9.56e6, 'rate') == '9.56mbit' and q.format(0, 'time') == '0')\n"
        "assert(q.format(0 / 0) == '-' and q.format(nil) == '-' and q.format(12) == '12')");
}
END_TEST

/* Every form of a wish, once fulfilled and once not. */
START_TEST(test_wishes)
{
    run("local expect = require 'config.expect'\n"
        "local m = { seen = 10, ab = { seen = 1000, loss = 0.02, delay_p99 = 0.05, drop_queue = 0 } }\n"
        "local function ok (wish, metric)\n"
        "   local list = expect.evaluate({ ab = { [metric] = wish } }, m, { ab = true })\n"
        "   assert(#list == 1 and list[1].name == 'ab.' .. metric)\n"
        "   return list[1].ok\n"
        "end\n"
        "assert(ok('< 60ms', 'delay_p99') and not ok('< 50ms', 'delay_p99') and ok('<= 50ms', 'delay_p99'))\n"
        "assert(ok('> 49ms', 'delay_p99') and not ok('> 50ms', 'delay_p99') and ok('>= 50ms', 'delay_p99'))\n"
        "assert(ok('1%..3%', 'loss') and not ok('3%..4%', 'loss') and not ok('0%..1%', 'loss') and ok('2%', 'loss') and not ok('== 1%', 'loss'))\n"
        "assert(ok('~= 1%', 'loss') and ok(0, 'drop_queue') and not ok(1, 'drop_queue'))\n"
        "assert(ok(expect.within('2%'), 'loss') and ok(expect.within('1%'), 'loss'))\n"
        "assert(not ok(expect.within('10%'), 'loss') and not ok(expect.within(0), 'loss'))\n"
        "assert(not ok('> 0', 'nothing'))\n"
        "local list = expect.evaluate({ f = function (all) return all.ab.seen == 1000 end, seen = '>= 10',\n"
        "                               g = function () error 'no' end }, m, { ab = true })\n"
        "assert(#list == 3 and list[1].ok and not list[2].ok and list[3].name == 'seen' and list[3].ok)\n"
        "for _, bad in ipairs { '', '<', '< much', '1%..', '=> 3', '!5' } do\n"
        "   assert(not pcall(expect.check, { ab = { loss = bad } }, { ab = true }, 'here'), bad)\n"
        "end\n"
        "assert(not pcall(expect.within, '200%') and not pcall(expect.within, 'x'))");
}
END_TEST

/* A file's timeline as steps. */
START_TEST(test_timeline)
{
    char path[] = "/tmp/selftest_scenario_XXXXXX", text[4096];
    static const char file[] =
        "hosts { 'a', 'b', 'c' }\n"
        "at '1s' { a_up = { owd = '5ms' } }\n"
        "at '2s' { loss = '1%' }\n"
        "ramp '3s' { b_down = { rate = { '1mbit', '3mbit' } }, over = '2s', steps = 2 }\n"
        "flap '6s' { 'c_up', down = '100ms', up = '400ms', count = 2 }\n"
        "partition '8s' { { 'a', 'b' }, 'c>*' }\n"
        "heal '9s' {}\n"
        "every '1s' (function () end)\n";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, file, sizeof(file) - 1), sizeof(file) - 1);
    close(fd);
    snprintf(
        text, sizeof(text),
        "local s = require('config.scenario').load('%s')\n"
        "local function count (t) local n = 0 for _ in pairs(t) do n = n + 1 end return n end\n"
        "assert(#s.timeline == 6 and #s.periodic == 1)\n"
        "local at, all, ramp, flap, cut, heal = table.unpack(s.timeline)\n"
        "assert(at.time == 1 and at.line == 2 and at.steps[1].changes['a_up.owd'] == '5ms' and count(at.steps[1].changes) == 1)\n"
        "assert(count(all.steps[1].changes) == 6 and all.steps[1].changes['c_down.loss'] == '1%%')\n"
        "assert(#ramp.steps == 3 and ramp.steps[2].time == 4 and ramp.steps[2].changes['b_down.rate'] == 2e6)\n"
        "assert(#flap.steps == 4 and flap.steps[3].time == 6.5 and flap.steps[4].changes['c_up.down.now'] == false)\n"
        "assert(cut.steps[1].changes['switch.partition'] == 'a>b,b>a,c>*')\n"
        "assert(heal.steps[1].changes['switch.partition'] == '' and count(heal.steps[1].changes) == 7)\n",
        path);
    run(text);
    unlink(path);
}
END_TEST

static Suite *suite_scenario(void)
{
    Suite *suite = suite_create("scenario");
    TCase *tcase = tcase_create("scenario");
    tcase_add_test(tcase, test_region);
    tcase_add_test(tcase, test_quantities);
    tcase_add_test(tcase, test_wishes);
    tcase_add_test(tcase, test_timeline);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(scenario)
