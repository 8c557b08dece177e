/* owner: which process, and which network namespace, is meant by something left on disk.
 *
 *   owner_self     this process
 *   owner_alive    whether a process still runs
 *   netns_self     the network namespace of the calling thread
 *   netns_equal    whether two are the same
 *   netns_exists   whether a namespace is still there
 *
 * Numbers alone do not identify either: process ids are used again after a while, inode
 * numbers of network namespaces at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct owner {
    pid_t pid;
    uint64_t starttime; /* field 22 of /proc/PID/stat, proc(5): clock ticks since boot */
};

struct netns {
    uint64_t device, inode; /* of /proc/PID/ns/net, namespaces(7) */
    uint64_t cookie;        /* SO_NETNS_COOKIE: never used again; 0 before Linux 5.14 */
};

int owner_self(struct owner *owner, struct error *err);

/* A zombie is dead. In doubt (hidepid) a process that exists is the one we mean. */
bool owner_alive(const struct owner *owner);

int netns_self(struct netns *netns, struct error *err);
bool netns_equal(const struct netns *a, const struct netns *b);

/* Whether a namespace that is not ours has a process or a mount (`ip netns`) that we may
 * look at. One that only processes above our privileges, a descriptor or a socket keep is
 * not found. */
bool netns_exists(const struct netns *netns);
