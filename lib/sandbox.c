/* sandbox: namespaces of our own. */
#include "lib/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/sandbox_internal.h"

/* --- why the kernel refuses ---------------------------------------------------------- */

static long sysctl_number(const char *path, long otherwise)
{
    FILE *file = fopen(path, "re");
    long number = otherwise;
    if (file && fscanf(file, "%ld", &number) != 1)
        number = otherwise;
    if (file)
        fclose(file);
    return number;
}

static const char *cure(void)
{
    if (!sysctl_number("/proc/sys/user/max_user_namespaces", 1))
        return "sysctl user.max_user_namespaces=10000";
    if (!sysctl_number("/proc/sys/user/max_net_namespaces", 1))
        return "sysctl user.max_net_namespaces=10000";
    if (!sysctl_number("/proc/sys/kernel/unprivileged_userns_clone", 1))
        return "sysctl kernel.unprivileged_userns_clone=1";
    if (sysctl_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0))
        return "sysctl kernel.apparmor_restrict_unprivileged_userns=0";
    return "in a container allow unshare(2) (docker: --cap-add SYS_ADMIN --security-opt "
           "seccomp=unconfined)";
}

static int refused(const char *what, struct error *err)
{
    return error_set(err, ERROR_PRIVILEGE, errno,
                     "cannot make %s: %s (%s, or run as root)", what, strerror(errno),
                     cure());
}

/* --- the user namespace -------------------------------------------------------------- */

/* Files in /proc/self tell no error before close. */
static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, text, strlen(text));
    close(fd);
    return written == (ssize_t)strlen(text) ? 0 : -1;
}

static int map_caller(uid_t uid, gid_t gid, bool as_root, struct error *err)
{
    char text[64];
    if (write_file("/proc/self/setgroups", "deny") && errno != ENOENT)
        return error_system(err, ERROR_RUN, "cannot write /proc/self/setgroups");
    snprintf(text, sizeof(text), "%u %u 1", as_root ? 0 : uid, uid);
    if (write_file("/proc/self/uid_map", text))
        return error_system(err, ERROR_RUN, "cannot write /proc/self/uid_map");
    snprintf(text, sizeof(text), "%u %u 1", as_root ? 0 : gid, gid);
    if (write_file("/proc/self/gid_map", text))
        return error_system(err, ERROR_RUN, "cannot write /proc/self/gid_map");
    return 0;
}

static int unshare_all(struct sandbox *sandbox, const struct sandbox_options *options,
                       struct error *err)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    sandbox->user = options->user || options->as_root;
    if (!sandbox->user && !unshare(CLONE_NEWNET))
        return 0;
    if (!sandbox->user &&
        errno != EPERM) /* a root without its rights needs the other way */
        return refused("a network namespace", err);
    sandbox->user = true;
    if (unshare(CLONE_NEWUSER))
        return refused("a user namespace", err);
    int error = map_caller(uid, gid, options->as_root, err);
    if (error)
        return error;
    return unshare(CLONE_NEWNET) ? refused("a network namespace", err) : 0;
}

/* --- init ---------------------------------------------------------------------------- */

/* The first process of the pid namespace. Signals from inside do nothing to it. It has
 * nothing open but the lifeline: whoever reads what its parent wrote must see the end. */
static void be_init(int lifeline)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "lab-init");
    signal(SIGCHLD, SIG_IGN); /* nobody waits for orphans */
    setsid();
    dup2(lifeline, 0);
    close_range(1, ~0u, 0);
    /* The parent may have died before prctl: then the pipe says so. */
    struct pollfd end = { .fd = 0, .events = POLLIN };
    while (poll(&end, 1, -1) < 0)
        ;
    _exit(0);
}

static int start_init(struct sandbox *sandbox, struct error *err)
{
    int ends[2];
    char path[64];
    if (pipe2(ends, O_CLOEXEC))
        return error_system(err, ERROR_RUN, "cannot make a pipe");
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
    if (!pid) {
        close(ends[1]);
        be_init(ends[0]);
    }
    close(ends[0]);
    sandbox->lifeline = ends[1];
    if (pid < 0)
        return refused("a pid namespace", err);
    sandbox->init = pid;
    snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
    sandbox->pids = open(path, O_RDONLY | O_CLOEXEC);
    return sandbox->pids < 0 ? error_system(err, ERROR_RUN, "cannot open %s", path) : 0;
}

/* --- networks ------------------------------------------------------------------------ */

static int own_network(struct error *err)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_system(err, ERROR_RUN, "cannot open /proc/thread-self/ns/net")
                  : fd;
}

int sandbox_network(struct sandbox *sandbox, struct error *err)
{
    if (sandbox->count == SANDBOX_NETWORKS_MAX)
        return error_set(err, ERROR_CONFIG, E2BIG, "more than %d hosts",
                         SANDBOX_NETWORKS_MAX);
    if (unshare(CLONE_NEWNET))
        return refused("a network namespace", err);
    int fd = own_network(err);
    struct error back;
    int error = sandbox_enter(sandbox, SANDBOX_MIDDLE, &back);
    if (fd < 0)
        return fd;
    sandbox->networks[sandbox->count] = fd;
    if (error && err)
        *err = back;
    return error ? error : sandbox->count++;
}

int sandbox_enter(struct sandbox *sandbox, int network, struct error *err)
{
    if (setns(sandbox_descriptor(sandbox, network), CLONE_NEWNET))
        return error_system(err, ERROR_RUN, "cannot enter a network namespace");
    return 0;
}

int sandbox_descriptor(const struct sandbox *sandbox, int network)
{
    return network == SANDBOX_OUTSIDE  ? sandbox->outside
           : network == SANDBOX_MIDDLE ? sandbox->middle
                                       : sandbox->networks[network];
}

bool sandbox_in_user_namespace(const struct sandbox *sandbox)
{
    return sandbox->user;
}

/* --- from beginning to end ------------------------------------------------------------ */

static void remember_signals(struct sandbox *sandbox)
{
    for (int number = 1; number < SANDBOX_SIGNALS; number++) {
        struct sigaction action;
        sandbox->ignored[number] =
            !sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN;
    }
    sandbox->slack = prctl(PR_GET_TIMERSLACK);
}

struct sandbox *sandbox_new(const struct sandbox_options *options, struct error *err)
{
    struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
    sandbox->outside = sandbox->middle = sandbox->pids = sandbox->lifeline = -1;
    remember_signals(sandbox);
    signal(SIGCHLD, SIG_DFL); /* ignored, by a caller, it hides how a child has ended */
    sandbox->outside = own_network(err);
    int error = sandbox->outside < 0 ? sandbox->outside : 0;
    if (!error)
        error = unshare_all(sandbox, options, err);
    if (!error) {
        sandbox->middle = own_network(err);
        error = sandbox->middle < 0 ? sandbox->middle : start_init(sandbox, err);
    }
    if (!error)
        return sandbox;
    sandbox_free(sandbox);
    return NULL;
}

static void close_one(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void sandbox_free(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    close_one(sandbox->lifeline);
    if (sandbox->init > 0) {
        kill(sandbox->init, SIGKILL);
        /* init ends when nobody is left in its namespace, not even the dead. */
        for (size_t i = 0; i < sandbox->nchildren; i++)
            reap(sandbox->children[i]);
        reap(sandbox->init);
    }
    free(sandbox->children);
    for (int i = 0; i < sandbox->count; i++)
        close_one(sandbox->networks[i]);
    close_one(sandbox->outside);
    close_one(sandbox->middle);
    close_one(sandbox->pids);
    free(sandbox);
}
