/* sandbox: namespaces of our own, and processes in them.
 *
 *   sandbox_new         this process moves into a new network namespace: the middle
 *   sandbox_network     one more network namespace: a host
 *   sandbox_enter       the calling thread into a host's, or back into the middle
 *   sandbox_descriptor  a host's network namespace as a file descriptor
 *   sandbox_spawn       a program in a host
 *   sandbox_wait        has it ended?
 *   sandbox_free        end every process in it
 *
 *      caller's process tree              a pid namespace of its own
 *      +----------------------+           +------------------------------+
 *      | this process         |  clone    | init: reaps; dies with us    |
 *      | network: the middle  +---------->| programs, in the network of  |
 *      +----------------------+  spawn    | a host or of the middle      |
 *                                         +------------------------------+
 *
 * Without privilege all this happens in a user namespace, user_namespaces(7), in which
 * the caller is itself (or root). Nothing has a name outside: no file, no mount and no
 * interface that others see. When this process dies, however it dies, init dies
 * (PR_SET_PDEATHSIG), with it every process of the pid namespace, and the networks
 * with them.
 *
 * One per process, and to be made while there is but one thread. A user namespace cannot
 * be left again: what the caller owns outside (a name in /run) it should take afterwards.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;
struct sandbox;

#define SANDBOX_MIDDLE       (-1) /* in place of a host's number */
#define SANDBOX_OUTSIDE      (-2) /* the caller's network; entering it takes privilege */
#define SANDBOX_NETWORKS_MAX 64

struct sandbox_options {
    bool user;    /* in a user namespace; root may do without */
    bool as_root; /* ... in which the caller is uid 0 */
};

struct sandbox_file {
    const char *path; /* in the program's view; where it is missing nothing happens */
    const char *text; /* what it says there instead */
};

struct sandbox_command {
    char *const *argv;
    char *const *environment; /* "NAME=VALUE", NULL-ended, beside what we have; or NULL */
    int network;              /* a host's number, or SANDBOX_MIDDLE */
    int output;               /* becomes stdout and stderr; -1: those we have */
    bool background;          /* in a session of its own, stdin is /dev/null */
    const struct sandbox_file *files; /* NULL-ended by path; or NULL */
};

/* NULL with ERROR_PRIVILEGE and the likely cure when the kernel refuses. */
struct sandbox *sandbox_new(const struct sandbox_options *options, struct error *err);

/* Whether programs run in a user namespace: there is no privilege over the real host. */
bool sandbox_in_user_namespace(const struct sandbox *sandbox);

/* The new host's number, 0, 1, ...; lo is down. */
int sandbox_network(struct sandbox *sandbox, struct error *err);

int sandbox_enter(struct sandbox *sandbox, int network, struct error *err);
int sandbox_descriptor(const struct sandbox *sandbox, int network);

/* The process id, as we see it, of our child. /proc, /sys and the files are its own; of
 * capabilities it has those over networks. Handlers of signals are reset to what they
 * were before sandbox_new. -ENOENT when there is no such program, -EACCES and the like
 * when it cannot be executed. */
pid_t sandbox_spawn(struct sandbox *sandbox, const struct sandbox_command *command,
                    struct error *err);

/* waitpid(2) for a program; nobody else may wait for it. */
pid_t sandbox_wait(struct sandbox *sandbox, pid_t pid, int *status, int flags);

/* Kills all there is in it and waits for that. The calling process stays in its
 * namespaces. May be NULL. */
void sandbox_free(struct sandbox *sandbox);
