/* sandbox_internal: what sandbox.c and sandbox_spawn.c share. */
#pragma once

#include <signal.h>

#include "lib/sandbox.h"

#define SANDBOX_SIGNALS 32 /* 1 ... 31 */

struct sandbox {
    bool user;                          /* in a user namespace */
    int outside;                        /* network namespace of our caller */
    int middle;                         /* network namespace of the engine */
    int networks[SANDBOX_NETWORKS_MAX]; /* those of the hosts */
    int count;
    int pids;        /* the pid namespace */
    pid_t init;      /* its first process */
    pid_t *children; /* programs that nobody has waited for yet */
    size_t nchildren;
    int lifeline;                  /* init ends when nobody holds this end any more */
    bool ignored[SANDBOX_SIGNALS]; /* signals that our caller wants ignored */
    int slack;                     /* ns of timer slack, prctl(2), that programs get */
};
