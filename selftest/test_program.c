/* Tests of the program as its users meet it: exit codes and what is said, to the letter.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftest/selftest.h"

/* What a run printed, and how it ended. */
struct run {
    char out[16384], err[16384];
    int status;
};

static void read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    text[n > 0 ? n : 0] = 0;
    close(fd);
}

/* Runs a shell command in which $V is the program and $T a temporary folder with the
 * files. */
static struct run shell(const char *command)
{
    static struct run run;
    char folder[] = "/tmp/selftest_program_XXXXXX", line[4096], path[64];
    const char *build = getenv("BUILD");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(line, sizeof(line),
             "V=%s/vanguard T=%s; export XDG_RUNTIME_DIR=%s; { %s; } >%s/out 2>%s/err",
             build ? build : "build", folder, folder, command, folder, folder);
    int status = system(line);
    run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    snprintf(path, sizeof(path), "%s/out", folder);
    read_file(path, run.out, sizeof(run.out));
    snprintf(path, sizeof(path), "%s/err", folder);
    read_file(path, run.err, sizeof(run.err));
    snprintf(line, sizeof(line), "rm -rf %s", folder);
    ck_assert_int_eq(system(line), 0);
    return run;
}

struct use {
    const char *command;
    int status;
    const char *err; /* all of stderr, or NULL: not looked at; $T is not expanded here */
};

static const struct use uses[] = {
    { "$V --version", 0, "" },
    { "$V help", 0, "" },
    { "$V", 2, NULL },
    { "$V help run", 0, "" },
    { "$V rnu x.lua", 2, "vanguard: no program \"rnu\" (did you mean \"run\"?)\n" },
    { "$V --versoin", 2, NULL },
    { "$V run --durration 1s x.lua", 2,
      "vanguard run: no option \"--durration\" (did you mean \"--duration\"?)\n" },
    { "$V run --duration soon x.lua", 2,
      "vanguard run: --duration: \"soon\" is not a duration (such as \"50ms\")\n" },
    { "$V run", 2, "vanguard run: which FILE? (vanguard help run)\n" },
    { "$V run /no/such.lua", 3,
      "vanguard: cannot open /no/such.lua: No such file or directory\n" },
    { "$V flaky eth1", 2,
      "vanguard flaky: which two interfaces? (vanguard help flaky)\n" },
    { "$V flaky a b --preset 3h", 2,
      "vanguard flaky: --preset: no preset \"3h\" (did you mean \"3g\"?); --list-presets "
      "shows them (vanguard help flaky)\n" },
    { "$V lab", 2, "vanguard lab: which COMMAND? (vanguard help lab)\n" },
    { "$V lab --in c -- true", 2,
      "vanguard lab: --in: no host \"c\" (vanguard help lab)\n" },
    { "$V lab --netem 'dealy 1ms' -- true", 2,
      "vanguard lab: --netem: no option \"dealy\" (did you mean \"delay\"?) "
      "(vanguard help lab)\n" },
    { "$V lab --on ac:loss=1% -- true", 2, NULL },
    { "$V lab --list-presets", 0, "" },
    { "$V flaky a b --preset rfc8867-5-6", 2,
      "vanguard flaky: --preset: rfc8867-5-6 has traffic of others in it, which is for "
      "vanguard lab (vanguard help flaky)\n" },
    { "$V lab --cross tcp -- true", 2,
      "vanguard lab: cross: there is no bottleneck to share with \"tcp\": set rate "
      "(vanguard help lab)\n" },
    { "$V lab --rate 1mbit --cross abc:tcp -- true", 2,
      "vanguard lab: cross: there is no \"abc\" (did you mean \"ab\"?) (vanguard help "
      "lab)\n" },
    { "$V lab --nat c -- true", 2,
      "vanguard lab: nat: there is no host \"c\" (vanguard help lab)\n" },
    { "$V lab --nat a:x -- true", 2,
      "vanguard lab: --nat: \"x\" is not NAME=VALUE, such as udp_timeout=5s (vanguard "
      "help lab)\n" },
    { "$V bridge eth1", 2,
      "vanguard bridge: which two interfaces? (vanguard help bridge)\n" },
    { "$V bridge a b --match tcp", 2,
      "vanguard bridge: --match needs --xdp (vanguard help bridge)\n" },
    { "$V bridge no-such-1 no-such-2", 3, NULL },
    { "$V doctor", 2, "vanguard doctor: which interface? (vanguard help doctor)\n" },
    { "$V doctor lo", 0, "" },
    { "$V doctor no-such-if", 3, NULL },
    { "$V tune lo --apply --undo", 2,
      "vanguard tune: --apply or --undo? (vanguard help tune)\n" },
    { "$V tune no-such-if", 3, NULL },
    { "$V inject", 2, "vanguard inject: which interface? (vanguard help inject)\n" },
    { "$V inject lo --hex 12 --pcap f", 2,
      "vanguard inject: --pcap, --hex and --udp exclude each other (vanguard help inject)\n" },
    { "$V inject lo --hex 12", 2,
      "vanguard inject: \"12\" is not a frame of at least 14 bytes in hexadecimal (vanguard help "
      "inject)\n" },
    { "$V inject lo --count 1 --hex $(printf '%04000d' 0)", 2,
      "vanguard inject: --hex: a frame has 1536 bytes at most (vanguard help inject)\n" },
    { "$V inject lo --udp 1.2.3.4:5-[::1]:2", 2, NULL },
    { "$V inject lo --dst 1:2:3 --udp 1.2.3.4:5-1.2.3.5:2", 2,
      "vanguard inject: \"1:2:3\" is not a MAC address (vanguard help inject)\n" },
    { "$V flaky a b --loss 150%", 2,
      "vanguard flaky: --loss: 150% is not within 0%..100%\n" },
    { "$V apps Clumsi", 2,
      "vanguard apps: no app class \"Clumsi\" (did you mean \"Clumsy\"?)\n" },
    { "$V apps", 0, "" },
    { "$V apps --json RawSocket", 0, "" },
    { "$V bench nothing", 2, NULL },
    { "$V top nobody", 3, "vanguard top: \"nobody\" does not run\n" },
    { "cd $T; echo 'x = = 1' >bad.lua; cd - >/dev/null; $V check $T/bad.lua", 3, NULL },
    { "echo 'print(1)' >$T/none.lua; $V run $T/none.lua", 3, NULL },
    { "$V check config/examples/forwarder.lua", 0, "" },
    { "$V check config/examples/odd_drop.lua", 0, "" },
    { "$V check config/examples/lossy.lua", 0, "" },
    { "$V run --no-report selftest/million.lua", 0, "" },
    { "$V graph -o /no/such/place.svg config/examples/forwarder.lua", 5, NULL },
    { "$V graph --format jpeg config/examples/forwarder.lua", 2,
      "vanguard graph: --format: \"jpeg\" is not one of \"text\", \"dot\", \"svg\"\n" },
    /* The pictures in the README are what the program draws. */
    { "for f in forwarder odd_drop; do $V graph config/examples/$f.lua >$T/p; while IFS= read -r l; "
      "do grep -qxF -- \"$l\" README.md || exit 9; done <$T/p; done",
      0, "" },
    { "$V run --cores x config/examples/odd_drop.lua", 3,
      "vanguard: cores \"x\": not a list of CPUs (such as \"2,3\" or \"2-5\")\n" },
    { "$V run --cores 0,0 config/examples/odd_drop.lua", 3,
      "vanguard: cores \"0,0\": CPU 0 twice\n" },
    { "$V apps >/dev/full", 5,
      "vanguard: cannot write the output: No space left on device\n" },
};

START_TEST(exit_codes_and_messages)
{
    const struct use *use = &uses[_i];
    struct run run = shell(use->command);
    ck_assert_msg(run.status == use->status, "%s: exit code %d, not %d; %s", use->command,
                  run.status, use->status, run.err);
    if (use->err)
        ck_assert_msg(!strcmp(run.err, use->err), "%s: said \"%s\", not \"%s\"",
                      use->command, run.err, use->err);
    if (use->status)
        ck_assert_msg(strlen(run.err) > 0, "%s: failed without a word", use->command);
}
END_TEST

START_TEST(a_mistake_in_a_file_is_one_line)
{
    struct run run = shell(
        "printf 'local c = config.new()\\nconfig.app(c, \"lossy\", Clumsy, { los = \"1%%\" })\\n' "
        ">$T/wan.lua; cd $T; $OLDPWD/$V run wan.lua");
    ck_assert_int_eq(run.status, 3);
    ck_assert_str_eq(
        run.err,
        "vanguard: wan.lua:2: app \"lossy\" (Clumsy): no parameter \"los\" (did you mean "
        "\"loss\"?)\n");
}
END_TEST

START_TEST(no_privilege_is_said_in_one_line)
{
    if (geteuid()) {
        printf("SKIPPED: dropping CAP_NET_RAW needs root\n");
        return;
    }
    struct run run = shell(
        "chmod 755 $T; printf 'local c = config.new()\\nconfig.app(c, \"if1\", RawSocket, \"lo\")\\n"
        "engine.configure(c)' >$T/lo.lua; "
        "setpriv --bounding-set=-net_raw --inh-caps=-net_raw $V run $T/lo.lua; s=$?; "
        "ls /run/vanguard 2>/dev/null | grep -c '^lo' || true; exit $s");
    ck_assert_int_eq(run.status, 7);
    ck_assert_msg(
        strstr(
            run.err,
            "lo.lua:2: app \"if1\" (RawSocket): a packet socket needs CAP_NET_RAW: run as "
            "root, or setcap cap_net_raw+ep on the program\n"),
        "%s", run.err);
    ck_assert_str_eq(run.out, "0\n");
}
END_TEST

START_TEST(a_run_ends_after_its_duration_with_a_report)
{
    struct run run = shell(
        "printf 'local c = config.new() c:app(\"s\", Source, { count = 10 }) c:app(\"k\", Sink) "
        "c:chain(\"s\", \"k\") return c' >$T/g.lua; $V run --duration 50ms --json --seed 5 $T/g.lua");
    ck_assert_msg(run.status == 0, "%s", run.err);
    ck_assert_msg(
        strstr(run.out,
               "\"k\":{\"class\":\"Sink\",\"counters\":{\"bytes\":600,\"packets\":10}}"),
        "%s", run.out);
    ck_assert_msg(strstr(run.out, "\"seed\":5"), "%s", run.out);
}
END_TEST

START_TEST(an_error_while_running_is_exit_code_1)
{
    struct run run = shell(
        "printf 'local B = {}\\nfunction B:pull() error(\"oh\") end\\nlocal c = config.new()\\n"
        "c:app(\"b\", B)\\nengine.configure(c)\\n' >$T/bad.lua; $V run $T/bad.lua");
    ck_assert_int_eq(run.status, 1);
    ck_assert_msg(strstr(run.err, "bad.lua:2: oh"), "%s", run.err);
    ck_assert_msg(strstr(run.err, "stack traceback"), "%s", run.err);
}
END_TEST

#define TWO_CORES                                                                        \
    "printf 'local c = config.new()\\nc:app(\"a\", Source) c:app(\"b\", Sink)\\n"        \
    "c:chain(\"a\", \"b\") c:core(1, \"b\")\\nengine.configure(c)\\n' >$T/two.lua; "

START_TEST(two_cores_are_seen)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        printf("SKIPPED: this machine has one core\n");
        return;
    }
    struct run run =
        shell(TWO_CORES "$V check $T/two.lua; $V graph $T/two.lua; "
                        "$V run -n two -d 20s --no-report $T/two.lua & "
                        "until $V top --once -i 100ms two; do sleep 0.1; done; "
                        "kill $!; wait $!");
    ck_assert_int_eq(run.status, 0);
    ck_assert_msg(strstr(run.out, "two.lua: ok, 2 apps, 1 links, 2 cores\n"), "%s",
                  run.out);
    ck_assert_msg(strstr(run.out, "| core 0 |") && strstr(run.out, "| core 1 |"), "%s",
                  run.out);
    const char *table = strstr(run.out, "\nCORE ");
    ck_assert_msg(table && strstr(table, "\n0 ") && strstr(table, "\n1 "), "%s", run.out);
    run = shell(TWO_CORES "$V run --cores 1,0 -d 100ms -r 50ms --json $T/two.lua");
    ck_assert_int_eq(run.status, 0);
    ck_assert_msg(strstr(run.out, "\"cores\":[{") && strstr(run.out, "\"core\":1"), "%s",
                  run.out);
}
END_TEST

START_TEST(sigterm_ends_a_run_well)
{
    struct run run = shell(
        "printf 'local c = config.new() c:app(\"s\", Source) c:app(\"k\", Sink) c:chain(\"s\", \"k\") "
        "engine.configure(c)' >$T/g.lua; $V run --report 10ms $T/g.lua >$T/o & p=$!; "
        "for i in $(seq 100); do grep -q load $T/o && break; sleep 0.05; done; "
        "kill $p; wait $p; s=$?; cat $T/o; exit $s");
    ck_assert_int_eq(run.status, 0);
    ck_assert_msg(strstr(run.out, "sent on s.output -> k.input"), "%s", run.out);
}
END_TEST

/* The file asks for its own reloads; times counts how often it was read. */
static const char reload_head[] =
    "case $V in /*) ;; *) V=$PWD/$V ;; esac; cd $T; cat >g.lua <<'END'\n"
    "times = (rawget(_G, 'times') or 0) + 1\n"
    "local pid = io.open('/proc/self/stat'):read('n')\n"
    "local function again () os.execute('kill -HUP ' .. pid) end\n"
    "local c = config.new() c:app('k', Sink)\n";

static struct run reload(const char *rest)
{
    char command[4096];
    snprintf(command, sizeof(command),
             "%s%s\nEND\ntimeout -k 1 20 $V run --no-report g.lua", reload_head, rest);
    return shell(command);
}

START_TEST(done_is_asked_after_a_reload_too)
{
    struct run run =
        reload("engine.configure(c) if times == 1 then timer.after(0, again) end\n"
               "engine.main { done = function () return times == 2 end }");
    ck_assert_msg(run.status == 0, "exit code %d: %s", run.status, run.err);
    ck_assert_str_eq(run.err, "");
}
END_TEST

/* The old graph goes on, with the timers it had and none of the failed file's. */
START_TEST(a_reload_that_fails_changes_nothing)
{
    struct run run =
        reload("timer.after('20ms', function () print('timer', times) end)\n"
               "if times == 2 then error('not now') end\n"
               "engine.configure(c) if times == 1 then timer.after(0, again) end\n"
               "timer.after('200ms', engine.stop)\n"
               "engine.main { no_report = true }");
    ck_assert_msg(run.status == 0, "exit code %d: %s", run.status, run.err);
    ck_assert_msg(strstr(run.err, "vanguard: reload: g.lua:6: not now"), "%s", run.err);
    ck_assert_str_eq(run.out, "timer\t2\n");
}
END_TEST

/* A program that knows better than to run the file again. */
START_TEST(main_may_reload_in_its_own_way)
{
    struct run run =
        reload("engine.configure(c) local n = 0 timer.after(0, again)\n"
               "engine.main { no_report = true, reload = function () n = n + 1\n"
               "   if n == 1 then again() error('not yet') end\n"
               "   timer.after(0, engine.stop) print(times, n) end }");
    ck_assert_msg(run.status == 0, "exit code %d: %s", run.status, run.err);
    ck_assert_msg(strstr(run.err, "vanguard: reload: g.lua:7: not yet"), "%s", run.err);
    ck_assert_str_eq(run.out, "1\t2\n");
}
END_TEST

/* SIGTERM also ends Lua that never comes to an end. */
START_TEST(a_signal_ends_lua_that_goes_round)
{
    struct run run =
        reload("engine.configure(c) os.execute('kill ' .. pid) while true do end");
    ck_assert_int_eq(run.status, 3);
    ck_assert_msg(strstr(run.err, "g.lua:5: interrupted by a signal"), "%s", run.err);
}
END_TEST

static Suite *suite_program(void)
{
    Suite *suite = suite_create("program");
    TCase *tcase = tcase_create("program");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, exit_codes_and_messages, 0,
                        sizeof(uses) / sizeof(uses[0]));
    tcase_add_test(tcase, a_mistake_in_a_file_is_one_line);
    tcase_add_test(tcase, no_privilege_is_said_in_one_line);
    tcase_add_test(tcase, a_run_ends_after_its_duration_with_a_report);
    tcase_add_test(tcase, an_error_while_running_is_exit_code_1);
    tcase_add_test(tcase, two_cores_are_seen);
    tcase_add_test(tcase, sigterm_ends_a_run_well);
    tcase_add_test(tcase, done_is_asked_after_a_reload_too);
    tcase_add_test(tcase, a_reload_that_fails_changes_nothing);
    tcase_add_test(tcase, main_may_reload_in_its_own_way);
    tcase_add_test(tcase, a_signal_ends_lua_that_goes_round);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(program)
