/* hook: little scripts that behave and others that do not. The hook's clock is ours; what
 * takes real time are programs that start and end. */
#include "lib/hook.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"
#include "selftest/selftest.h"

#define SECOND 1000000000ull

static char directory[] = "/tmp/vanguard-hook-XXXXXX";
static char script[64], output[64], row[80];
static const char *environment[] = { "EVENT=attack", row, NULL };
static struct error err;

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(script, sizeof(script), "%s/script", directory);
    snprintf(output, sizeof(output), "%s/output", directory);
    snprintf(row, sizeof(row), "OUTPUT=%s", output);
}

static void tear_down(void)
{
    unlink(script);
    unlink(output);
    rmdir(directory);
}

static struct hook *hook_of(const char *body, struct hook_options options)
{
    FILE *file = fopen(script, "we");
    fprintf(file, "#!/bin/sh\n%s\n", body);
    fclose(file);
    chmod(script, 0755);
    options.path = script;
    struct hook *hook = hook_new(&options, &err);
    ck_assert_msg(hook != NULL, "%s", err.text);
    return hook;
}

static void post(struct hook *hook, const char *text)
{
    ck_assert_int_eq(hook_post(hook, environment, text, strlen(text)), 0);
}

/* Until so many have come to an end, whichever. */
static struct hook_counts work_until(struct hook *hook, uint64_t now, uint64_t ended)
{
    struct pollfd ready = { hook_fd(hook), POLLIN, 0 };
    for (;;) {
        hook_work(hook, now);
        struct hook_counts c = hook_counts(hook);
        uint64_t done = c.ok + c.failed + c.timed_out + c.not_started;
        ck_assert_uint_eq(c.posted, done + c.running + c.waiting);
        if (done >= ended)
            return c;
        if (hook_due(hook) > now)
            ck_assert_int_eq(poll(&ready, 1, 10000), 1);
    }
}

/* What the script has written: waits for its newline. */
static const char *read_output(void)
{
    static char text[1000];
    for (unsigned i = 0; i < 1000; i++) {
        FILE *file = fopen(output, "re");
        size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
        if (file)
            fclose(file);
        text[length] = 0;
        if (length && text[length - 1] == '\n')
            return text;
        usleep(10000);
    }
    ck_abort_msg("no output");
    return NULL;
}

static void check_no_child(void)
{
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

/* It is gone, or waits for an init that does not look. */
static bool process_ended(int pid)
{
    char path[64], state = 'Z';
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return true;
    if (fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'Z';
    fclose(file);
    return state == 'Z';
}

static void check_process_ends(int pid)
{
    for (unsigned i = 0; i < 1000 && !process_ended(pid); i++)
        usleep(10000);
    ck_assert(process_ended(pid));
}

/* --- programs that behave ------------------------------------------------------------ */

START_TEST(reads_stdin)
{
    struct hook *hook =
        hook_of("read a; cat; echo \"$a $EVENT $# ${PATH:+path} $HOME\" >$OUTPUT",
                (struct hook_options){ .quiet = true });
    setenv("HOME", "/secret", 1);
    ck_assert_uint_eq(hook_due(hook), UINT64_MAX);
    post(hook, "{\"id\": 1}\nmore\n");
    ck_assert_uint_eq(hook_due(hook), 0);
    struct hook_counts counts = work_until(hook, 5, 1);
    ck_assert_uint_eq(counts.ok, 1);
    ck_assert_ptr_null(hook_trouble(hook));
    ck_assert_str_eq(read_output(), "{\"id\": 1} attack 0 path \n");
    hook_close(hook);
    check_no_child();
}
END_TEST

START_TEST(own_search_path)
{
    const char *const rows[] = { "PATH=/mine", row, NULL };
    struct hook *hook = hook_of("echo $PATH >$OUTPUT", (struct hook_options){ 0 });
    ck_assert_int_eq(hook_post(hook, rows, "", 0), 0);
    work_until(hook, 0, 1);
    ck_assert_str_eq(read_output(), "/mine\n");
    hook_close(hook);
}
END_TEST

/* As much as an event may have, which nobody reads. */
START_TEST(ignores_stdin)
{
    struct hook *hook = hook_of("exit 0", (struct hook_options){ 0 });
    size_t length = HOOK_EVENT_SIZE - 8192;
    char *text = calloc(1, HOOK_EVENT_SIZE);
    ck_assert_int_eq(hook_post(hook, environment, text, length), 0);
    ck_assert_int_eq(hook_post(hook, environment, text, HOOK_EVENT_SIZE), -EMSGSIZE);
    struct hook_counts counts = work_until(hook, 0, 1);
    ck_assert(counts.ok == 1 && counts.refused == 1);
    free(text);
    hook_close(hook);
}
END_TEST

/* Descriptors, signals and the core are ours. (Signals 32 and 33 are the C library's, which
 * has them ignored.) */
START_TEST(inherits_nothing)
{
    struct hook *hook =
        hook_of("sleep 0.2; [ -e /proc/self/fd/77 ] && exit 1\n"
                "while read key value; do case $key in\n"
                "SigBlk:|SigIgn:) case $value in *[08]0000000) ;; *) exit 2;; esac;;\n"
                "Cpus_allowed:) cpus=$value;; esac; done </proc/self/status\n"
                "read pid name state parent group rest </proc/$$/stat\n"
                "[ $group = $$ ] || exit 3\n"
                "echo $cpus >$OUTPUT",
                (struct hook_options){ 0 });
    cpu_set_t before, first;
    sigset_t blocked;
    sched_getaffinity(0, sizeof(before), &before);
    CPU_ZERO(&first);
    int cpu = 0;
    for (; !CPU_COUNT(&first); cpu++)
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &first);
    sched_setaffinity(0, sizeof(first), &first);
    ck_assert_int_eq(dup2(STDERR_FILENO, 77), 77);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    post(hook, "");
    struct hook_counts counts = work_until(hook, 0, 1);
    const char *trouble = hook_trouble(hook);
    ck_assert_msg(counts.ok == 1, "%s", trouble);
    bool pinned = strtoull(read_output(), NULL, 16) == 1u << (cpu - 1);
    ck_assert(!pinned || CPU_COUNT(&before) == 1);
    close(77);
    hook_close(hook);
}
END_TEST

/* --- programs that do not ------------------------------------------------------------ */

static void check_failure(const char *body, const char *trouble)
{
    char expected[128];
    struct hook *hook = hook_of(body, (struct hook_options){ 0 });
    post(hook, "");
    struct hook_counts counts = work_until(hook, 0, 1);
    ck_assert_uint_eq(counts.failed, 1);
    snprintf(expected, sizeof(expected), "%s: %s", script, trouble);
    ck_assert_str_eq(hook_trouble(hook), expected);
    ck_assert_ptr_null(hook_trouble(hook));
    hook_close(hook);
    check_no_child();
}

START_TEST(fails)
{
    check_failure("exit 3", "exit code 3");
    check_failure("kill -9 $$", "killed by signal 9");
    check_failure("kill -15 $$", "killed by signal 15");
}
END_TEST

START_TEST(not_there)
{
    char expected[128];
    struct hook_options options = { .path = script };
    ck_assert_ptr_null(hook_new(&options, &err));
    snprintf(expected, sizeof(expected), "cannot run %s: No such file or directory",
             script);
    ck_assert_str_eq(err.text, expected);
    struct hook *hook = hook_of("exit 0", (struct hook_options){ 0 });
    unlink(script);
    post(hook, "");
    post(hook, "");
    struct hook_counts counts = work_until(hook, 0, 2);
    ck_assert_uint_eq(counts.not_started, 2);
    snprintf(expected, sizeof(expected), "%s: cannot start: No such file or directory",
             script);
    ck_assert_str_eq(hook_trouble(hook), expected);
    hook_close(hook);
    check_no_child();
}
END_TEST

/* Its children as well: nobody waits for them. */
START_TEST(sleeps_for_ever)
{
    struct hook *hook = hook_of("sleep 1000 & echo $! >$OUTPUT; wait",
                                (struct hook_options){ .quiet = true });
    post(hook, "");
    hook_work(hook, 7);
    int sleeper = atoi(read_output());
    ck_assert_uint_eq(hook_due(hook), 7 + HOOK_TIMEOUT_NS);
    hook_work(hook, 6 + HOOK_TIMEOUT_NS);
    ck_assert_uint_eq(hook_due(hook), 7 + HOOK_TIMEOUT_NS);
    ck_assert(!process_ended(sleeper));
    struct hook_counts counts = work_until(hook, 7 + HOOK_TIMEOUT_NS, 1);
    ck_assert_uint_eq(counts.timed_out, 1);
    ck_assert_ptr_nonnull(strstr(hook_trouble(hook), "script: took too long"));
    check_process_ends(sleeper);
    hook_close(hook);
    check_no_child();
}
END_TEST

START_TEST(ignores_sigterm)
{
    struct hook *hook =
        hook_of("trap 'echo term >$OUTPUT' TERM\necho $$ >$OUTPUT\n"
                "while :; do sleep 0.05; done",
                (struct hook_options){ .timeout_ns = SECOND, .quiet = true });
    post(hook, "");
    hook_work(hook, 0);
    int pid = atoi(read_output());
    hook_work(hook, SECOND);
    while (strcmp(read_output(), "term\n"))
        usleep(10000);
    hook_work(hook, 2 * SECOND - 1);
    ck_assert(!process_ended(pid));
    struct hook_counts counts = work_until(hook, 2 * SECOND, 1);
    ck_assert_uint_eq(counts.timed_out, 1);
    hook_close(hook);
    check_no_child();
}
END_TEST

START_TEST(leaves_a_grandchild)
{
    struct hook *hook =
        hook_of("sleep 1000 & echo $! >$OUTPUT", (struct hook_options){ .quiet = true });
    post(hook, "");
    struct hook_counts counts = work_until(hook, 0, 1);
    ck_assert_uint_eq(counts.ok, 1);
    check_process_ends(atoi(read_output()));
    hook_close(hook);
    check_no_child();
}
END_TEST

/* Somebody takes the ends of all children away: it still comes to one. */
START_TEST(reaped_by_others)
{
    struct hook *hook = hook_of("sleep 0.2", (struct hook_options){ 0 });
    signal(SIGCHLD, SIG_IGN);
    post(hook, "");
    struct hook_counts counts = work_until(hook, 0, 1);
    ck_assert_uint_eq(counts.failed, 1);
    hook_close(hook);
}
END_TEST

/* --- many events --------------------------------------------------------------------- */

/* One program runs, the queue fills, the rest is refused; closing ends it all. */
START_TEST(overflow)
{
    struct hook *hook = hook_of("trap '' TERM; echo $$ >$OUTPUT; sleep 1000; sleep 1000",
                                (struct hook_options){ .quiet = true });
    post(hook, "");
    hook_work(hook, 0);
    for (unsigned i = 0; i < HOOK_QUEUE + 10; i++)
        ck_assert_int_eq(hook_post(hook, environment, "{}", 2),
                         i < HOOK_QUEUE ? 0 : -ENOBUFS);
    hook_work(hook, 1);
    struct hook_counts counts = hook_counts(hook);
    ck_assert_uint_eq(counts.posted, HOOK_QUEUE + 1);
    ck_assert_uint_eq(counts.refused, 10);
    ck_assert_uint_eq(counts.running, 1);
    ck_assert_uint_eq(counts.waiting, HOOK_QUEUE);
    int pid = atoi(read_output());
    hook_close(hook);
    ck_assert(process_ended(pid));
    check_no_child();
    hook_close(NULL);
}
END_TEST

/* Every event once, in order, through more than one turn of the ring. */
START_TEST(in_order)
{
    struct hook *hook = hook_of("read a; [ $a = 1 ] && exit 7; echo $a >>$OUTPUT; exit 0",
                                (struct hook_options){ 0 });
    char text[16], expected[400], *end = expected;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "%u\n", i);
        post(hook, text);
        end += i == 1 ? 0 : sprintf(end, "%u\n", i);
    }
    struct hook_counts counts = work_until(hook, 0, 20);
    ck_assert(counts.ok == 19 && counts.failed == 1);
    ck_assert_str_eq(read_output(), expected);
    hook_close(hook);
}
END_TEST

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *here = opendir("/proc/self/fd");
    while (readdir(here))
        count++;
    closedir(here);
    return count;
}

START_TEST(several_at_a_time)
{
    unsigned before = descriptors();
    struct hook *hook =
        hook_of("sleep 1000", (struct hook_options){ .running = 3, .quiet = true });
    for (unsigned i = 0; i < 5; i++)
        post(hook, "");
    hook_work(hook, 0);
    ck_assert_uint_eq(hook_counts(hook).running, 3);
    work_until(hook, HOOK_TIMEOUT_NS, 3);
    hook_work(hook, HOOK_TIMEOUT_NS);
    ck_assert_uint_eq(hook_counts(hook).running, 2);
    ck_assert_uint_eq(hook_counts(hook).timed_out, 3);
    hook_close(hook);
    check_no_child();
    ck_assert_uint_eq(descriptors(), before);
}
END_TEST

static Suite *suite_hook(void)
{
    Suite *suite = suite_create("hook");
    TCase *tests = tcase_create("hook");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, reads_stdin);
    tcase_add_test(tests, own_search_path);
    tcase_add_test(tests, ignores_stdin);
    tcase_add_test(tests, inherits_nothing);
    tcase_add_test(tests, fails);
    tcase_add_test(tests, not_there);
    tcase_add_test(tests, sleeps_for_ever);
    tcase_add_test(tests, ignores_sigterm);
    tcase_add_test(tests, leaves_a_grandchild);
    tcase_add_test(tests, reaped_by_others);
    tcase_add_test(tests, overflow);
    tcase_add_test(tests, in_order);
    tcase_add_test(tests, several_at_a_time);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(hook)
