/* journal_fixture: what the suites of lib/journal.h share.
 *
 *   setup, teardown    a directory for run directories, with one in it
 *   network            a private network with a veth pair
 *   fork_acting        a process that does something and then waits to be killed
 *   change_offloads    something for it to do; with claim_and_change, claim_only, ...
 */
#pragma once

#include "lib/error.h"
#include "lib/interface.h"
#include "lib/journal.h"
#include "selftest/private_network.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char parent[64], directory[96], undo[128], pid_file[128];

static inline void setup(void)
{
    strcpy(parent, "/tmp/test_journal.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(parent));
    snprintf(directory, sizeof(directory), "%s/one", parent);
    snprintf(undo, sizeof(undo), "%s/undo", directory);
    snprintf(pid_file, sizeof(pid_file), "%s/pid", directory);
    ck_assert_int_eq(mkdir(directory, 0755), 0);
}

static inline void teardown(void)
{
    shell("rm -rf %s", parent);
}

static inline bool network(void)
{
    if (!private_network())
        return false;
    shell("ip link add veth0 type veth peer name veth1");
    return true;
}

static inline unsigned offloads_of(const char *name)
{
    unsigned mask = 0;
    ck_assert_int_eq(interface_offloads(name, &mask, NULL), 0);
    return mask;
}

static inline void set_offloads(const char *name, unsigned mask)
{
    ck_assert_int_eq(interface_set_offloads(name, mask, NULL), 0);
}

#define INITIAL (OFFLOAD_TX | OFFLOAD_TSO | OFFLOAD_GSO) /* what a new veth has */

static inline bool there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static inline void write_file(const char *path, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, length), (ssize_t)length);
    close(fd);
}

static inline char *file_text(const char *path)
{
    static char text[4096];
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ssize_t length = read(fd, text, sizeof(text) - 1);
    ck_assert_int_ge(length, 0);
    close(fd);
    text[length] = 0;
    return text;
}

/* Forks a process that runs act() and then waits to be killed. */
static inline pid_t fork_acting(void (*act)(void))
{
    int ready[2];
    char byte = 0;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test fail */
        act();
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    ck_assert_msg(read(ready[0], &byte, 1) == 1, "the child failed");
    close(ready[0]);
    return child;
}

static inline void killed(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static inline void require(bool condition)
{
    if (!condition)
        _exit(1);
}

/* For fork_acting: what a program does that wants its interface without offloads. */
static inline void change_offloads(void)
{
    struct journal *journal = journal_open(directory, NULL);
    require(journal && journal_offloads(journal, "veth0", NULL) == 0);
    require(interface_set_offloads("veth0", 0, NULL) == 0);
}

static inline void claim_and_change(void)
{
    require(journal_claim(directory, NULL) == 0);
    change_offloads();
}

static inline void claim_only(void)
{
    require(journal_claim(directory, NULL) == 0);
}

static inline void change_elsewhere(void)
{
    require(unshare(CLONE_NEWNET) == 0);
    require(system("ip link add veth0 type veth peer name veth1") == 0);
    change_offloads();
}
