/* hook: runs somebody's program for events.
 *
 * A program's stdin is a memfd that holds the text: there is no pipe that could fill up or
 * break. Its end shows on a pidfd, which an epoll set gathers. Until it is reaped its
 * process group cannot be anybody else's, so the group gets its signals before that.
 */
#include "lib/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"

/* One allocation: the rows and the text are behind it. */
struct event {
    size_t length;
    const char *text;
    char *environment[];
};

struct child {
    pid_t pid; /* 0: none */
    int fd;
    bool late; /* it has had its SIGTERM */
    uint64_t due;
};

struct hook {
    char *path;
    uint64_t timeout;
    bool quiet, in_trouble;
    int epoll;
    unsigned first, slots;
    struct event *queue[HOOK_QUEUE]; /* a ring: counts.waiting from first on */
    struct hook_counts counts;
    char trouble[256];
    struct child children[]; /* slots */
};

static void report(struct hook *hook, const char *what, const char *detail)
{
    snprintf(hook->trouble, sizeof(hook->trouble), "%s: %s%s", hook->path, what, detail);
    hook->in_trouble = true;
}

static void report_number(struct hook *hook, const char *what, int number)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", number);
    report(hook, what, text);
}

/* --- events -------------------------------------------------------------------------- */

static bool is_path(const char *row)
{
    return !strncmp(row, "PATH=", 5);
}

/* The program's search path is ours, when the event brings none. */
static const char *own_path(const char *const *environment)
{
    for (; *environment; environment++)
        if (is_path(*environment))
            return NULL;
    for (char **row = environ; row && *row; row++)
        if (is_path(*row))
            return *row;
    return NULL;
}

static char *append(char *at, const char *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

static struct event *event_new(const char *const *environment, const char *text,
                               size_t length, int *error)
{
    const char *path = own_path(environment);
    size_t rows = 0, size = length + (path ? strlen(path) + 1 : 0);
    for (; environment[rows]; rows++)
        size += strlen(environment[rows]) + 1;
    size += sizeof(struct event) + (rows + 2) * sizeof(char *);
    *error = size > HOOK_EVENT_SIZE ? -EMSGSIZE : -ENOMEM;
    struct event *event = size > HOOK_EVENT_SIZE ? NULL : malloc(size);
    if (!event)
        return NULL;
    char *at = (char *)&event->environment[rows + 2];
    for (size_t i = 0; i <= rows; i++) {
        const char *row = i < rows ? environment[i] : path;
        event->environment[i] = row ? at : NULL;
        at = row ? append(at, row, strlen(row) + 1) : at;
    }
    event->environment[rows + 1] = NULL;
    event->text = at;
    event->length = length;
    append(at, text, length);
    return event;
}

int hook_post(struct hook *hook, const char *const *environment, const char *text,
              size_t length)
{
    int error = -ENOBUFS;
    struct event *event = NULL;
    if (hook->counts.waiting < HOOK_QUEUE)
        event = event_new(environment, text, length, &error);
    if (!event) {
        hook->counts.refused++;
        return error;
    }
    hook->queue[(hook->first + hook->counts.waiting++) % HOOK_QUEUE] = event;
    hook->counts.posted++;
    return 0;
}

static struct event *next_event(struct hook *hook)
{
    struct event *event = hook->queue[hook->first];
    hook->first = (hook->first + 1) % HOOK_QUEUE;
    hook->counts.waiting--;
    return event;
}

/* --- starting ------------------------------------------------------------------------ */

/* The text as a file that is read from its start; -1 and errno. */
static int input_of(const struct event *event)
{
    int fd = memfd_create("event", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    if (pwrite(fd, event->text, event->length, 0) == (ssize_t)event->length)
        return fd;
    close(fd);
    errno = ENOSPC;
    return -1;
}

static void describe_files(const struct hook *hook, int input,
                           posix_spawn_file_actions_t *files)
{
    posix_spawn_file_actions_init(files);
    posix_spawn_file_actions_adddup2(files, input, STDIN_FILENO);
    if (hook->quiet) {
        posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_adddup2(files, STDOUT_FILENO, STDERR_FILENO);
    }
    posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
}

static void describe_process(posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(attributes);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETSIGMASK);
}

/* Returns 0 or an errno. */
static int spawn(const struct hook *hook, const struct event *event, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    char *arguments[] = { hook->path, NULL };
    int input = input_of(event);
    if (input < 0)
        return errno;
    describe_files(hook, input, &files);
    describe_process(&attributes);
    int error =
        posix_spawn(pid, hook->path, &files, &attributes, arguments, event->environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    close(input);
    return error;
}

/* From the core that an engine is pinned to; no harm where it is not allowed. */
static void unpin(pid_t pid)
{
    cpu_set_t every;
    memset(&every, 0xff, sizeof(every));
    sched_setaffinity(pid, sizeof(every), &every);
}

static int watch(const struct hook *hook, pid_t pid, int *fd)
{
    struct epoll_event wish = { .events = EPOLLIN };
    *fd = pidfd_open(pid, 0);
    if (*fd >= 0 && !epoll_ctl(hook->epoll, EPOLL_CTL_ADD, *fd, &wish))
        return 0;
    int error = errno;
    if (*fd >= 0)
        close(*fd);
    if (error != ESRCH) { /* as it is where others reap: the number may be another's */
        kill(-pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return error;
}

static void start(struct hook *hook, struct child *child, uint64_t now)
{
    struct event *event = next_event(hook);
    pid_t pid = 0;
    int fd = -1, error = spawn(hook, event, &pid);
    free(event);
    if (!error)
        error = watch(hook, pid, &fd);
    if (error) {
        hook->counts.not_started++;
        report(hook, "cannot start: ", strerror(error));
        return;
    }
    unpin(pid);
    *child = (struct child){ .pid = pid, .fd = fd, .due = now + hook->timeout };
    hook->counts.running++;
}

/* --- ending -------------------------------------------------------------------------- */

static void signal_group(const struct child *child, int signal)
{
    if (kill(-child->pid, signal)) /* it has left its group */
        kill(child->pid, signal);
}

static void count_end(struct hook *hook, const struct child *child, const siginfo_t *how)
{
    if (child->late) {
        hook->counts.timed_out++;
        report(hook, "took too long", "");
    } else if (how->si_code == CLD_EXITED && !how->si_status) {
        hook->counts.ok++;
    } else {
        hook->counts.failed++;
        report_number(hook,
                      how->si_code == CLD_EXITED ? "exit code " : "killed by signal ",
                      how->si_status);
    }
}

/* Counts a program that has ended. flags: WNOHANG, or 0 to wait for its end. Somebody who
 * reaps every child took the status of one that is not there: it failed with code -1. */
static void reap(struct hook *hook, struct child *child, int flags)
{
    siginfo_t how = { 0 };
    int gone = waitid(P_PIDFD, (id_t)child->fd, &how, WEXITED | WNOWAIT | flags);
    if (!gone && !how.si_pid)
        return;
    if (!gone) {
        kill(-child->pid, SIGKILL);
        waitid(P_PIDFD, (id_t)child->fd, &how, WEXITED);
    } else {
        how.si_code = CLD_EXITED;
        how.si_status = -1;
    }
    count_end(hook, child, &how);
    close(child->fd);
    child->pid = 0;
    hook->counts.running--;
}

static void end_late(struct child *child, uint64_t now)
{
    if (!child->pid || now < child->due)
        return;
    signal_group(child, child->late ? SIGKILL : SIGTERM);
    child->late = true;
    child->due = now + HOOK_GRACE_NS;
}

/* --- the hook ------------------------------------------------------------------------ */

struct hook *hook_new(const struct hook_options *options, struct error *err)
{
    unsigned slots = options->running ? options->running : 1;
    if (access(options->path, X_OK)) {
        error_system(err, ERROR_CONFIG, "cannot run %s", options->path);
        return NULL;
    }
    struct hook *hook = calloc(1, sizeof(*hook) + slots * sizeof(struct child));
    if (!hook || !(hook->path = strdup(options->path)) ||
        (hook->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) {
        error_system(err, ERROR_RUN, "cannot make a hook");
        free(hook ? hook->path : NULL);
        free(hook);
        return NULL;
    }
    hook->slots = slots;
    hook->timeout = options->timeout_ns ? options->timeout_ns : HOOK_TIMEOUT_NS;
    hook->quiet = options->quiet;
    return hook;
}

void hook_work(struct hook *hook, uint64_t now)
{
    for (unsigned i = 0; i < hook->slots; i++) {
        struct child *child = &hook->children[i];
        if (child->pid)
            reap(hook, child, WNOHANG);
        end_late(child, now);
        if (!child->pid && hook->counts.waiting)
            start(hook, child, now);
    }
}

/* What does not end of itself is killed. */
void hook_close(struct hook *hook)
{
    if (!hook)
        return;
    for (unsigned i = 0; i < hook->slots; i++)
        if (hook->children[i].pid)
            signal_group(&hook->children[i], SIGTERM);
    for (unsigned i = 0, patience = HOOK_CLOSE_MS; i < hook->slots; i++) {
        struct child *child = &hook->children[i];
        struct pollfd ended = { child->fd, POLLIN, 0 };
        if (!child->pid)
            continue;
        if (poll(&ended, 1, (int)patience) != 1) {
            patience = 0;
            signal_group(child, SIGKILL);
        }
        reap(hook, child, 0);
    }
    while (hook->counts.waiting)
        free(next_event(hook));
    close(hook->epoll);
    free(hook->path);
    free(hook);
}

int hook_fd(const struct hook *hook)
{
    return hook->epoll;
}

uint64_t hook_due(const struct hook *hook)
{
    uint64_t due = UINT64_MAX;
    if (hook->counts.waiting && hook->counts.running < hook->slots)
        return 0;
    for (unsigned i = 0; i < hook->slots; i++)
        if (hook->children[i].pid && hook->children[i].due < due)
            due = hook->children[i].due;
    return due;
}

struct hook_counts hook_counts(const struct hook *hook)
{
    return hook->counts;
}

const char *hook_trouble(struct hook *hook)
{
    bool in_trouble = hook->in_trouble;
    hook->in_trouble = false;
    return in_trouble ? hook->trouble : NULL;
}
