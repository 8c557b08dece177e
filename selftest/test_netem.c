/* test_netem: lines for tc-netem(8) as parameters of Clumsy, and presets. */
#include <stdio.h>
#include <string.h>

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

/* What a line becomes; or, behind "!", what is said against it. */
static const char *const lines[][2] = {
    { "delay 100ms", "{owd='100ms'}" },
    { "netem delay 100", "{owd='100us'}" },
    { "delay 1s 10msec", "{owd='1s',jitter={half='10ms',mode='reorder'}}" },
    { "delay 100ms 10ms 25% distribution normal",
      "{owd='100ms',jitter={sd='10ms',mode='reorder',corr='25%',dist='normal'}}" },
    { "delay 5ms 1ms distribution experimental",
      "{owd='5ms',jitter={sd='1ms',mode='reorder',dist='table',table='experimental'}}" },
    { "loss 1%", "{loss={p='1%'}}" },
    { "loss random 0.3% 25%", "{loss={p='0.3%',corr='25%'}}" },
    { "drop 2 ecn", "{loss={p='2%'},queue={ecn=true}}" },
    { "loss gemodel 1% 10% 70% 0.1%",
      "{loss={gemodel={p='1%',r='10%',bad='70%',good='0.1%'}}}" },
    { "loss gemodel 1%", "{loss={gemodel={p='1%',r='99%'}}}" },
    { "loss state 1% 20% 30% 40% 5%",
      "{loss={state={p13='1%',p31='20%',p32='30%',p23='40%',p14='5%'}}}" },
    { "loss state 10", "{loss={state={p13='10%',p31='90%'}}}" },
    { "duplicate 1% corrupt 0.1% 0%",
      "{duplicate={p='1%'},corrupt={p='0.1%',corr='0%'}}" },
    { "delay 10ms reorder 25% 50% gap 5",
      "{owd='10ms',reorder={p='25%',corr='50%',mode='early',gap=5}}" },
    { "rate 10mbit 14 -5 2",
      "{rate={rate='10000000bit',overhead=14,cell=-5,cell_overhead=2}}" },
    { "rate 1kibps limit 50", "{rate={rate='8192bit'},queue={limit='50p'}}" },
    { "limit 1000 loss 1%", "{loss={p='1%'}}" },
    { "slot 1ms 5ms packets 3 bytes 4000",
      "{slot={min='1ms',max='5ms',packets=3,bytes=4000}}" },
    { "slot 800us", "{slot={min='800us',max='800us'}}" },
    { "slot distribution pareto 1ms 2ms packets 1",
      "{slot={min='1ms',jitter='2ms',dist='pareto',packets=1}}" },
    { "delay 1ms seed 7", "{owd='1ms',seed=7}" },
    { "", "!there is nothing in it" },
    { "dealy 1ms", "!no option \"dealy\" (did you mean \"delay\"?)" },
    { "delay", "!a time for delay is missing at the end" },
    { "delay soon", "!\"soon\" is not a time for delay" },
    { "loss bursty 1%", "!\"loss bursty\": random, state or gemodel" },
    { "rate fast", "!\"fast\" is not a rate, such as 10mbit" },
    { "reorder 25%", "!reorder: nothing is late without a delay" },
    { "delay 1ms gap 5", "!gap: there is no reorder" },
    { "delay 1ms distribution normal", "!distribution: there is no delay with a jitter" },
    { "limit 0", "!limit: 1 at least" },
};

START_TEST(means)
{
    char text[4096];
    snprintf(text, sizeof(text),
             "local netem = require 'config.netem'\n"
             "local function same (a, b)\n"
             "   if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end\n"
             "   for k, v in pairs(a) do if not same(v, b[k]) then return false end end\n"
             "   for k in pairs(b) do if a[k] == nil then return false end end\n"
             "   return true\n"
             "end\n"
             "local p, problem = netem.parse [[%s]]\n"
             "local want = [[%s]]\n"
             "if want:sub(1, 1) == '!' then\n"
             "   if p or problem ~= want:sub(2) then error(problem or 'taken') end\n"
             "elseif not p or not same(p, load('return ' .. want)()) then\n"
             "   error(p and json.encode(p) or problem)\n"
             "end\n",
             lines[_i][0], lines[_i][1]);
    run(text);
}
END_TEST

/* The shares are those of clumsy.md's table: netem's formula with 2e8 draws. */
START_TEST(tells_what_netem_would_do)
{
    run("local netem = require 'config.netem'\n"
        "local function between (a, v, b) assert(a <= v and v <= b, v) end\n"
        "between(0.0008, netem.effective(0.20, 0.75), 0.0016)\n"
        "between(0.064, netem.effective(0.25, 0.50), 0.075)\n"
        "between(0.225, netem.effective(0.30, 0.25), 0.241)\n"
        "between(0.495, netem.effective(0.50, 0.50), 0.505)\n"
        "assert(netem.effective(0.003, 0.25) < 0.0001)\n"
        "between(0.195, netem.effective(0.20, 0), 0.205)\n"
        "local function warned (line, word)\n"
        "   local _, warnings = netem.parse(line)\n"
        "   local all = table.concat(warnings, '\\n')\n"
        "   assert(word and all:find(word, 1, true) or not word and all == '', all)\n"
        "end\n"
        "warned('loss 0.3% 25%', 'less than 0.001%')\n"
        "warned('delay 10ms reorder 25% 50%', 'about ')\n"
        "warned('loss 1%', nil)\n"
        "warned('delay 100ms 10ms 25%', 'no effect')\n"
        "warned('delay 100ms 10ms rate 1mbit', 'keeps the order')\n"
        "warned('rate 1mbit limit 10', 'together')\n"
        "warned('delay 1ms limit 10', 'no queue')\n"
        "assert(netem.parse('delay 1ms', 'netem').compat == 'netem')");
}
END_TEST

/* Every line whose parameters Clumsy has makes a graph that can start. */
START_TEST(clumsy_takes_it)
{
    run("local netem = require 'config.netem'\n"
        "engine.setup{ checking = true }\n"
        "for _, line in ipairs { 'delay 10ms 1ms distribution normal rate 1mbit 14 limit 100',\n"
        "                        'loss gemodel 1% 10% 70% 0.1% duplicate 1%',\n"
        "                        'delay 10ms reorder 5% gap 3 corrupt 1% seed 4' } do\n"
        "   local c = config.new()\n"
        "   config.app(c, 'a', Source)\n"
        "   config.app(c, 'b', Clumsy, (netem.parse(line)))\n"
        "   config.app(c, 'c', Sink)\n"
        "   config.chain(c, 'a', 'b', 'c')\n"
        "   engine.configure(c)\n"
        "end");
}
END_TEST

START_TEST(presets)
{
    run("local impairments = require 'config.impairments'\n"
        "engine.setup{ checking = true }\n"
        "local known = {}\n"
        "for _, name in ipairs(impairments.presets) do\n"
        "   local preset = impairments.preset(name)\n"
        "   known[name .. '.lua'] = true\n"
        "   assert(#preset.doc > 5 and #preset.source > 5, name)\n"
        "   for _, way in ipairs { 'up', 'down' } do\n"
        "      local c = config.new()\n"
        "      config.app(c, 'a', Source)\n"
        "      config.app(c, 'b', Clumsy, preset[way])\n"
        "      config.app(c, 'c', Sink)\n"
        "      config.chain(c, 'a', 'b', 'c')\n"
        "      engine.configure(c)\n"
        "   end\n"
        "end\n"
        "for file in io.popen('ls config/presets'):lines() do assert(known[file], file) end\n"
        "local p, problem = impairments.preset('3h')\n"
        "assert(not p and problem:find('did you mean \"3g\"', 1, true), problem)");
}
END_TEST

START_TEST(paths)
{
    run("local i = require 'config.impairments'\n"
        "local p = i.parse('loss=5%, loss.burst=3,owd=20ms', {})\n"
        "assert(p.loss.p == '5%' and p.loss.burst == '3' and p.owd == '20ms')\n"
        "i.parse('loss=2%', p)\n"
        "assert(p.loss.p == '2%' and p.loss.burst == '3')\n"
        "assert(not i.parse('loss', {}))\n"
        "local q = i.merge({ rate = '1mbit', owd = '1ms' }, { rate = { overhead = 4 } })\n"
        "assert(q.rate.rate == '1mbit' and q.rate.overhead == 4 and q.owd == '1ms')\n"
        "assert(i.describe(q) == 'owd 1ms, rate 1mbit, rate.overhead 4', i.describe(q))\n"
        "assert(i.describe {} == 'as it is')\n"
        "local up, down = i.of_options { preset = '3g', loss = '1%', jitter = 0.02,\n"
        "                                set = { 'rate.count=wire' } }\n"
        "assert(up.rate.rate == '330kbit' and down.rate.rate == '780kbit')\n"
        "assert(up.rate.count == 'wire' and down.loss.p == '1%' and up.jitter.half == 0.02)\n"
        "assert(i.preset('3g').up.loss == nil)");
}
END_TEST

static Suite *suite_netem(void)
{
    Suite *suite = suite_create("netem");
    TCase *tests = tcase_create("netem");
    tcase_add_loop_test(tests, means, 0, sizeof(lines) / sizeof(lines[0]));
    tcase_add_test(tests, tells_what_netem_would_do);
    tcase_add_test(tests, clumsy_takes_it);
    tcase_add_test(tests, presets);
    tcase_add_test(tests, paths);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(netem)
