/* test_sandbox: namespaces of our own, processes in them, and that nothing of it stays. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/interface.h"
#include "lib/lab.h"
#include "lib/veth.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"

static struct lab laboratory;
static const char *const two[] = { "a", "b", NULL };
static const struct sandbox_options plain = { 0 }, as_user = { .user = true };

/* False, said, where the kernel does not permit it. */
static bool open_lab(const char *const *names, const struct sandbox_options *options)
{
    struct error err;
    int error = lab_new(&laboratory, names, options, &err);
    if (error && err.kind == ERROR_PRIVILEGE)
        fprintf(stderr, "SKIPPED: %s\n", err.text);
    else
        ck_assert_msg(!error, "%s", err.text);
    return !error;
}

/* What a shell command in a host prints. */
static const char *ask(int host, const char *command, int *status)
{
    static char text[4096];
    char *argv[] = { "sh", "-c", (char *)command, NULL };
    struct sandbox_file files[] = { { "/etc/hosts", laboratory.hosts_file }, { NULL } };
    int ends[2];
    struct error err;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    struct sandbox_command wanted = { .argv = argv,
                                      .network = host,
                                      .output = ends[1],
                                      .background = true,
                                      .files = files };
    pid_t pid = sandbox_spawn(laboratory.sandbox, &wanted, &err);
    ck_assert_msg(pid > 0, "%s", err.text);
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], text + used, sizeof(text) - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = 0;
    close(ends[0]);
    ck_assert_int_eq(sandbox_wait(laboratory.sandbox, pid, status, 0), pid);
    return text;
}

static void check_hosts(void)
{
    int status;
    ck_assert_str_eq(ask(0, "cat /sys/class/net/eth0/address; echo $$", &status),
                     "02:00:00:00:00:01\n2\n"); /* after init */
    ck_assert_str_eq(ask(1, "cat /sys/class/net/eth0/address", &status),
                     "02:00:00:00:00:02\n");
    ck_assert_ptr_nonnull(strstr(ask(1, "cat /etc/hosts", &status), "fd77::1 a\n"));
    ask(0, "exit 7", &status);
    ck_assert_int_eq(WEXITSTATUS(status), 7);
    ask(0, "kill -ABRT $$", &status);
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
    struct interface facts;
    struct error err;
    ck_assert_msg(!interface_query("a", &facts, &err), "%s", err.text);
    ck_assert_msg(facts.carrier, "the cable to a is not connected");
    lab_free(&laboratory);
}

START_TEST(hosts)
{
    if (open_lab(two, &plain))
        check_hosts();
}
END_TEST

START_TEST(hosts_in_a_user_namespace)
{
    if (open_lab(two, &as_user))
        check_hosts();
}
END_TEST

/* Programs that were not waited for end with the sandbox, and it does not wait for them. */
START_TEST(ends_with_everything)
{
    char *argv[] = { "sh", "-c", "trap '' TERM; sleep 1000 & wait", NULL };
    struct sandbox_command command = { .argv = argv, .output = -1, .background = true };
    struct error err;
    if (!open_lab(two, &plain))
        return;
    pid_t pid = sandbox_spawn(laboratory.sandbox, &command, &err);
    ck_assert_msg(pid > 0, "%s", err.text);
    ck_assert_int_eq(sandbox_wait(laboratory.sandbox, pid, NULL, WNOHANG), 0);
    lab_free(&laboratory);
    ck_assert_int_eq(kill(pid, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
}
END_TEST

/* How a program ended is known also below a caller that ignores the end of children. */
START_TEST(ignored_ends)
{
    int status = 0;
    signal(SIGCHLD, SIG_IGN);
    if (!open_lab(two, &plain))
        return;
    ask(0, "exit 7", &status);
    ck_assert_int_eq(WEXITSTATUS(status), 7);
    lab_free(&laboratory);
}
END_TEST

START_TEST(what_cannot_be_executed)
{
    static const struct {
        const char *name;
        int error;
    } cases[] = { { "/no/such", -ENOENT },
                  { "no-such", -ENOENT },
                  { "/etc/passwd", -EACCES } };
    if (!open_lab(two, &plain))
        return;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *argv[] = { (char *)cases[i].name, NULL };
        struct sandbox_command command = { .argv = argv, .output = -1 };
        struct error err;
        ck_assert_int_eq(sandbox_spawn(laboratory.sandbox, &command, &err),
                         cases[i].error);
        ck_assert_ptr_nonnull(strstr(err.text, cases[i].name));
    }
    lab_free(&laboratory);
    lab_free(&laboratory);
}
END_TEST

START_TEST(names)
{
    static const char *const wrong[] = {
        "lo", "", "-a", "a b", "sixteen-letters-", "a/b"
    };
    struct error err;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *list[] = { wrong[i], NULL };
        if (lab_new(&laboratory, list, &plain, &err) && err.kind == ERROR_PRIVILEGE)
            return;
        ck_assert_msg(!laboratory.sandbox && err.kind == ERROR_CONFIG, "%s", wrong[i]);
    }
    const char *list[] = { "a", "a", NULL };
    ck_assert_int_eq(lab_new(&laboratory, list, &plain, &err), -EEXIST);
    if (!open_lab(two, &plain))
        return;
    ck_assert_int_eq(lab_find(&laboratory, "b", &err), 1);
    ck_assert_int_eq(lab_find(&laboratory, "c", &err), -ENODEV);
    lab_free(&laboratory);
}
END_TEST

START_TEST(links)
{
    struct error err;
    if (!private_network())
        return;
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct veth veth = { .name = "v0", .peer_name = "v1", .peer_network = here };
    ck_assert_msg(!veth_new(&veth, &err), "%s", err.text);
    ck_assert_int_eq(veth_new(&veth, &err), -EEXIST);
    ck_assert_ptr_nonnull(strstr(err.text, "cannot make interface v0"));
    ck_assert_int_eq(link_set_up("v0", &err), 0);
    ck_assert_int_eq(link_set_up("v1", &err), 0);
    ck_assert_int_eq(address_add("v0", "192.0.2.1", 24, &err), 0);
    ck_assert_int_eq(address_add("v0", "192.0.2.1", 33, &err), -EINVAL);
    ck_assert_int_eq(address_add("v0", "192.0.2", 24, &err), -EINVAL);
    ck_assert_int_eq(address_add("v9", "192.0.2.1", 24, &err), -ENODEV);
    ck_assert_int_eq(route_add_default("192.0.2.2", &err), 0);
    ck_assert_int_eq(route_add_default("198.51.100.1", &err), -ENETUNREACH);
    shell("ip route | grep -q '^default via 192.0.2.2 dev v0'");
    ck_assert_int_eq(link_delete("v0", &err), 0);
    ck_assert_int_eq(link_set_up("v1", &err), -ENODEV);
    close(here);
}
END_TEST

static Suite *suite_sandbox(void)
{
    Suite *suite = suite_create("sandbox");
    TCase *tests = tcase_create("sandbox");
    tcase_add_test(tests, hosts);
    tcase_add_test(tests, hosts_in_a_user_namespace);
    tcase_add_test(tests, ends_with_everything);
    tcase_add_test(tests, ignored_ends);
    tcase_add_test(tests, what_cannot_be_executed);
    tcase_add_test(tests, names);
    tcase_add_test(tests, links);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(sandbox)
