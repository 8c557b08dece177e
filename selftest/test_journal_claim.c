/* journal_claim: run directories have one live owner, and those of dead ones are cleaned
 * up. */
#include "lib/journal.h"

#include "lib/owner.h"
#include "selftest/journal_fixture.h"
#include "selftest/selftest.h"

#include <poll.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

START_TEST(claimed_once)
{
    struct error err = { 0 };
    struct owner self;
    char text[64], expected[64], again[128];
    ck_assert_int_eq(rmdir(directory), 0);
    ck_assert_int_eq(rmdir(parent), 0); /* made as well */
    int status = journal_claim(directory, &err);
    ck_assert_msg(status == 0, "%s", err.text);
    ck_assert_int_eq(owner_self(&self, NULL), 0);
    snprintf(text, sizeof(text), "%d %ju\n", getpid(), (uintmax_t)self.starttime);
    ck_assert_str_eq(file_text(pid_file), text);

    snprintf(again, sizeof(again), "%s//", directory);
    ck_assert_int_eq(journal_claim(again, &err), -EEXIST);
    snprintf(expected, sizeof(expected), "one is already running (pid %d)", getpid());
    ck_assert_str_eq(err.text, expected);
    ck_assert_int_eq(journal_release(directory, &err), 0);
    ck_assert(!there(directory) && there(parent));
    ck_assert_int_eq(journal_release(directory, &err), -ENOENT);
}
END_TEST

START_TEST(claim_refuses_names)
{
    static const char *const names[] = { "",   "/",       "//",          ".",
                                         "..", "/tmp/..", "/tmp/.hidden" };
    struct error err;
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
        ck_assert_msg(journal_claim(names[n], &err) == -EINVAL, "%s", names[n]);
    ck_assert_int_eq(rmdir(directory), 0);
    ck_assert_int_eq(symlink("/tmp", directory), 0);
    ck_assert_int_eq(journal_claim(directory, &err), -ENOTDIR);
}
END_TEST

START_TEST(claimed_by_another)
{
    struct error err;
    char expected[64];
    pid_t child = fork_acting(claim_only);
    ck_assert_int_eq(journal_claim(directory, &err), -EEXIST);
    snprintf(expected, sizeof(expected), "one is already running (pid %d)", child);
    ck_assert_str_eq(err.text, expected);
    ck_assert_int_eq(journal_release(directory, &err), -EPERM);
    killed(child);
    ck_assert_int_eq(journal_claim(directory, &err), 0);
    ck_assert_int_eq(journal_release(directory, &err), 0);
}
END_TEST

START_TEST(claim_cleans_up)
{
    struct error err = { 0 };
    char counters[128];
    if (!network())
        return;
    killed(fork_acting(claim_and_change));
    snprintf(counters, sizeof(counters), "%s/counters", directory);
    write_file(counters, "x", 1);
    int status = journal_claim(directory, &err);
    ck_assert_msg(status == 0, "%s", err.text);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
    ck_assert(!there(counters) && !there(undo));
}
END_TEST

START_TEST(claim_sweeps_the_others)
{
    char two[128];
    if (!network())
        return;
    killed(fork_acting(claim_and_change));
    snprintf(two, sizeof(two), "%s/two", parent);
    ck_assert_int_eq(journal_claim(two, NULL), 0);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
    ck_assert(!there(directory));
}
END_TEST

/* Many at once after a dead owner: exactly one gets it. */
START_TEST(claim_race)
{
    enum { RACERS = 8 };
    int start[2], result[2], won = 0;
    char byte;
    killed(fork_acting(claim_only));
    ck_assert(pipe(start) == 0 && pipe(result) == 0);
    pid_t children[RACERS];
    for (int i = 0; i < RACERS; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(start[1]);
            if (read(start[0], &byte, 1) == 0) /* until the parent closes it */
                byte = journal_claim(directory, NULL) == 0;
            require(write(result[1], &byte, 1) == 1);
            for (;;)
                pause();
        }
    }
    close(start[1]);
    for (int i = 0; i < RACERS; i++) {
        ck_assert_int_eq(read(result[0], &byte, 1), 1);
        won += byte;
    }
    for (int i = 0; i < RACERS; i++)
        killed(children[i]);
    ck_assert_int_eq(won, 1);
}
END_TEST

/* Whether /proc/locks shows a process waiting for a flock. */
static bool waits_for_lock(pid_t pid)
{
    char line[256];
    bool found = false;
    FILE *locks = fopen("/proc/locks", "re");
    ck_assert_ptr_nonnull(locks);
    while (!found && fgets(line, sizeof(line), locks)) {
        int waiter;
        found = sscanf(line, "%*s -> FLOCK %*s %*s %d", &waiter) == 1 && waiter == pid;
    }
    fclose(locks);
    return found;
}

START_TEST(claim_waits_for_its_turn)
{
    int lock = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
    ck_assert_int_eq(flock(lock, LOCK_EX), 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(lock);
        _exit(journal_claim(directory, NULL) != 0);
    }
    while (!waits_for_lock(child) && !there(pid_file))
        poll(NULL, 0, 1);
    ck_assert(!there(pid_file));
    close(lock);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert(there(pid_file));
}
END_TEST

static void claim_elsewhere(void)
{
    claim_only();
    change_elsewhere();
}

static void nothing(void)
{
}

START_TEST(claim_after_another_namespace)
{
    struct error err = { 0 };
    char net[64];
    if (!network())
        return;
    pid_t child = fork_acting(claim_elsewhere);
    snprintf(net, sizeof(net), "/proc/%d/ns/net", child);
    int fd = open(net, O_RDONLY | O_CLOEXEC), home = open("/proc/self/ns/net", O_RDONLY);
    ck_assert(fd >= 0 && home >= 0);
    ck_assert_int_eq(setns(fd, CLONE_NEWNET), 0);
    pid_t keeper = fork_acting(nothing); /* keeps the namespace when the child is gone */
    ck_assert_int_eq(setns(home, CLONE_NEWNET), 0);
    killed(child);
    ck_assert_int_eq(journal_claim(directory, &err), -EXDEV);
    ck_assert_ptr_nonnull(strstr(err.text, "remove its file undo"));
    ck_assert(there(undo));

    killed(keeper);
    close(fd);
    int status = journal_claim(directory, &err);
    ck_assert_msg(status == 0, "%s", err.text);
    ck_assert(!there(undo));
}
END_TEST

static const char *below(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", parent, name);
    return path;
}

START_TEST(swept)
{
    struct error err = { 0 };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!network())
        return;
    /* Killed at the end only, because a claim sweeps the others. */
    pid_t live = fork_acting(claim_only);
    ck_assert_int_eq(rename(directory, below("live")), 0);
    pid_t changed = fork_acting(claim_and_change);
    ck_assert_int_eq(rename(directory, below("killed")), 0);
    ck_assert_int_eq(mkdir(directory, 0755), 0);
    pid_t unclaimed = fork_acting(change_offloads); /* a journal and no pid file */
    ck_assert_int_eq(rename(directory, below("unclaimed")), 0);
    pid_t claimed = fork_acting(claim_only);
    killed(changed);
    killed(unclaimed);
    killed(claimed);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/one/ctl", parent);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    ck_assert_int_eq(mkdir(below("neither"), 0755), 0);
    write_file(below("neither/precious"), "x", 1);
    write_file(below("file"), "x", 1);
    char live_directory[256];
    snprintf(live_directory, sizeof(live_directory), "%s", below("live"));
    ck_assert_int_eq(symlink(live_directory, below("link")), 0);

    int status = journal_sweep(parent, &err);
    ck_assert_msg(status == 3, "%d %s", status, err.text);
    ck_assert(!there(below("killed")) && !there(below("unclaimed")) && !there(directory));
    ck_assert(there(below("live/pid")) && there(below("neither/precious")));
    ck_assert(there(below("file")) && there(below("link")));
    ck_assert_int_eq(journal_sweep(parent, &err), 0);
    ck_assert_int_eq(journal_sweep(below("nowhere"), &err), 0);
    killed(live);
}
END_TEST

/* What no program of ours makes stays, with the directory, and is reported. */
START_TEST(sweep_keeps_strange_things)
{
    struct error err = { 0 };
    write_file(below("outside"), "x", 1);
    killed(fork_acting(claim_only));
    ck_assert_int_eq(mkdir(below("one/sub"), 0755), 0);
    write_file(below("one/sub/file"), "x", 1);
    ck_assert_int_eq(symlink("../outside", below("one/link")), 0);
    write_file(below("one/counters"), "x", 1);
    ck_assert_int_eq(journal_sweep(parent, &err), -ENOTEMPTY);
    ck_assert_int_eq(strncmp(err.text, "one: ", 5), 0);
    ck_assert(there(below("outside")) && there(below("one/sub/file")));
    ck_assert(there(below("one/link")) && !there(below("one/counters")));
    killed(fork_acting(claim_only));                     /* that hinders nobody, */
    ck_assert_int_eq(journal_claim(directory, &err), 0); /* and nobody after */
}
END_TEST

START_TEST(sweep_goes_on_after_a_failure)
{
    struct error err = { 0 };
    pid_t first = fork_acting(claim_only);
    ck_assert_int_eq(rename(directory, below("a")), 0);
    pid_t last = fork_acting(claim_only);
    ck_assert_int_eq(rename(directory, below("z")), 0);
    killed(first);
    killed(last);
    ck_assert_int_eq(mkdir(directory, 0755), 0);
    static const char *const bad[] = { "",       "\n",     "1\n",           "1 1",
                                       "0 1\n",  "-1 1\n", "1 1\n1 1",      "x 1\n",
                                       " 1 1\n", "1  1\n", "4294967297 1\n" };
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        write_file(pid_file, bad[n], strlen(bad[n]));
        ck_assert_msg(journal_sweep(parent, &err) == -EBADMSG, "row %zu", n);
        ck_assert_str_eq(err.text, "one: pid is not a pid file");
        ck_assert(!there(below("a")) && !there(below("z")));
        ck_assert(there(pid_file));
        ck_assert_int_eq(journal_claim(directory, &err), -EBADMSG);
    }
}
END_TEST

START_TEST(sweep_tells_what_it_returns)
{
    struct error err;
    pid_t child = fork_acting(claim_only);
    ck_assert_int_eq(rename(directory, below("full")), 0);
    ck_assert_int_eq(mkdir(below("full/sub"), 0755), 0);
    ck_assert_int_eq(mkdir(directory, 0755), 0);
    write_file(pid_file, "", 0);
    killed(child);
    int status =
        journal_sweep(parent, &err); /* in the directory's order, whatever that is */
    ck_assert(status == -ENOTEMPTY || status == -EBADMSG);
    ck_assert_int_eq(
        strncmp(err.text, status == -EBADMSG ? "one: pid is" : "full: can", 9), 0);
}
END_TEST

START_TEST(sweep_leaves_other_users_alone)
{
    if (geteuid() != 0) {
        fprintf(stderr, "SKIPPED: not root\n");
        return;
    }
    killed(fork_acting(claim_only));
    ck_assert_int_eq(chown(directory, 65534, 65534), 0);
    ck_assert_int_eq(journal_sweep(parent, NULL), 0);
    ck_assert(there(pid_file));
    ck_assert_int_eq(journal_claim(directory, NULL), -EPERM);
    ck_assert_int_eq(chown(directory, 0, 0), 0);
    ck_assert_int_eq(journal_sweep(parent, NULL), 1);
}
END_TEST

static Suite *suite_journal_claim(void)
{
    Suite *suite = suite_create("journal_claim");
    TCase *tests = tcase_create("journal_claim");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, claimed_once);
    tcase_add_test(tests, claim_refuses_names);
    tcase_add_test(tests, claimed_by_another);
    tcase_add_test(tests, claim_cleans_up);
    tcase_add_test(tests, claim_sweeps_the_others);
    tcase_add_test(tests, claim_race);
    tcase_add_test(tests, claim_waits_for_its_turn);
    tcase_add_test(tests, claim_after_another_namespace);
    tcase_add_test(tests, swept);
    tcase_add_test(tests, sweep_keeps_strange_things);
    tcase_add_test(tests, sweep_goes_on_after_a_failure);
    tcase_add_test(tests, sweep_tells_what_it_returns);
    tcase_add_test(tests, sweep_leaves_other_users_alone);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(journal_claim)
