/* private_network: a network namespace for one test.
 *
 *   private_network   move this test into a new namespace, or say that it is skipped
 *   shell             run a command that must succeed
 *
 * libcheck runs every test in a process of its own, so nothing needs to be undone: the
 * namespace and its interfaces go with the process.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline bool private_network(void)
{
    const char *reason = NULL;
    if (geteuid() != 0)
        reason = "not root";
    else if (unshare(CLONE_NEWNET) < 0)
        reason = strerror(errno);
    if (reason)
        fprintf(stderr, "SKIPPED: no private network namespace: %s\n", reason);
    return !reason;
}

__attribute__((format(printf, 1, 2))) static inline void shell(const char *format, ...)
{
    char command[512];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "failed: %s", command);
}
