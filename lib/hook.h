/* hook: runs somebody's program for events.
 *
 *   hook_new        a hook for a program
 *   hook_post       an event, to wait for its turn
 *   hook_work       starts, ends and counts what is due
 *   hook_fd         readable when a program has ended: time for hook_work
 *   hook_due        when hook_work is due without that
 *   hook_counts     what became of the events
 *   hook_trouble    the last failure, in words
 *   hook_close      ends what runs
 *
 * The program gets no arguments, an environment of the event's rows and PATH, and the
 * event's text as its stdin, which it may read or leave. It has none of our file
 * descriptors but stdout and stderr, no signal ignored or blocked, and every CPU. It runs in a process group of its own, and what is left of that ends with it.
 *
 * However many events come: no more programs at a time than allowed, no more events waiting
 * than HOOK_QUEUE, and every program has an end. Nothing here waits, but for the exec of
 * a program, one at most for each that may run, and hook_close.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct hook;

#define HOOK_QUEUE      256
#define HOOK_EVENT_SIZE 65536       /* of an event: text and environment */
#define HOOK_TIMEOUT_NS 10000000000 /* by default; then comes SIGTERM */
#define HOOK_GRACE_NS   1000000000  /* then comes SIGKILL */
#define HOOK_CLOSE_MS   200         /* between the two in hook_close */

struct hook_options {
    const char *path;    /* of the program; no shell looks at it */
    unsigned running;    /* at a time; 0: 1 */
    uint64_t timeout_ns; /* 0: HOOK_TIMEOUT_NS */
    bool quiet;          /* stdout and stderr are not ours but /dev/null */
};

/* posted = ok + failed + timed_out + not_started + running + waiting. */
struct hook_counts {
    uint64_t posted;
    uint64_t ok;
    uint64_t failed; /* another exit code than 0, or a signal of its own */
    uint64_t timed_out;
    uint64_t not_started;
    uint64_t refused; /* by hook_post */
    unsigned running, waiting;
};

/* NULL and err when path is no program, or memory or descriptors are out. */
struct hook *hook_new(const struct hook_options *options, struct error *err);
void hook_close(struct hook *hook);

/* environment: "NAME=value" rows and NULL, copied as the text is. -ENOBUFS when too many
 * wait, -EMSGSIZE, -ENOMEM: it is refused, and counted so. */
int hook_post(struct hook *hook, const char *const *environment, const char *text,
              size_t length);

/* now: ns on any clock that only this hook's calls are compared with. */
void hook_work(struct hook *hook, uint64_t now);

/* For poll; the hook's. */
int hook_fd(const struct hook *hook);

/* On the clock of hook_work, 0 at once; UINT64_MAX when there is nothing to wait for. */
uint64_t hook_due(const struct hook *hook);

struct hook_counts hook_counts(const struct hook *hook);

/* A line such as "/etc/x: exit code 3", of the last failure since the last call; NULL when
 * there was none. Stays valid until hook_work or hook_close. */
const char *hook_trouble(struct hook *hook);
