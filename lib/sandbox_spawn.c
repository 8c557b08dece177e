/* sandbox_spawn: a program in a sandbox, with its own view of the system.
 *
 * Only a process that is made by one in the pid namespace, or by one whose children go
 * there, is in it; and we stay outside, where our terminal and our threads are. So a
 * helper process turns towards the pid namespace and makes the program's process as a
 * sibling of its own (CLONE_PARENT): a child of ours.
 *
 * A pipe that exec closes brings back what went wrong before.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/sandbox_internal.h"

struct result {
    int error; /* negative errno */
    struct error text;
};

/* --- its view of files --------------------------------------------------------------- */

static int write_text(const char *path, const char *text, struct error *err)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return error_system(err, ERROR_RUN, "cannot make %s", path);
    bool good = fputs(text, file) >= 0;
    if (fclose(file) || !good)
        return error_system(err, ERROR_RUN, "cannot write %s", path);
    chmod(path, 0644);
    return 0;
}

/* A bind mount outlives the file system of the file, which hides /proc for a moment. */
static int replace_files(const struct sandbox_file *files, struct error *err)
{
    static const char here[] = "/proc", new_file[] = "/proc/file";
    int error = 0;
    for (; files && files->path && !error; files++) {
        if (access(files->path, F_OK))
            continue;
        if (mount("tmpfs", here, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m"))
            return error_system(err, ERROR_RUN, "cannot mount a tmpfs");
        error = write_text(new_file, files->text, err);
        if (!error && mount(new_file, files->path, NULL, MS_BIND, NULL))
            error = error_system(err, ERROR_RUN, "cannot replace %s", files->path);
        umount2(here, MNT_DETACH);
    }
    return error;
}

/* Name services that answer through a socket know nothing of these networks, and would be
 * asked before the files. /etc/resolv.conf may lead to a file of theirs. */
static void hide_name_services(void)
{
    static const char resolve[] = "/run/systemd/resolve", nscd[] = "/run/nscd";
    if (!access(resolve, F_OK) &&
        !mount("tmpfs", resolve, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k")) {
        write_text("/run/systemd/resolve/stub-resolv.conf", "", NULL);
        write_text("/run/systemd/resolve/resolv.conf", "", NULL);
    }
    if (!access(nscd, F_OK))
        mount("tmpfs", nscd, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k");
}

/* What may fail here does so where the caller's own /proc or /sys is covered in part (a
 * container): it then keeps those. */
static void mount_kernel_views(void)
{
    int groups = open_tree(AT_FDCWD, "/sys/fs/cgroup",
                           OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    if (!mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) &&
        groups >= 0)
        move_mount(groups, "", AT_FDCWD, "/sys/fs/cgroup", MOVE_MOUNT_F_EMPTY_PATH);
    if (groups >= 0)
        close(groups);
}

static int own_mounts(const struct sandbox_command *command, struct error *err)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
        return error_system(err, ERROR_RUN, "cannot make a mount namespace");
    hide_name_services();
    int error = replace_files(command->files, err);
    if (error)
        return error;
    mount_kernel_views();
    return 0;
}

/* --- its rights and signals ---------------------------------------------------------- */

/* Those over networks outlive exec for any user. No others: a program's tests may want to
 * be refused. */
static void keep_capabilities(void)
{
    static const int kept[] = { CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW };
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data))
        return;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        data[0].inheritable |= 1u << kept[i];
    if (syscall(SYS_capset, &header, data))
        return;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0);
}

static void reset_signals(const struct sandbox *sandbox)
{
    sigset_t none;
    for (int number = 1; number < SANDBOX_SIGNALS; number++)
        signal(number, sandbox->ignored[number] ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (sandbox->slack > 0)
        prctl(PR_SET_TIMERSLACK, (unsigned long)sandbox->slack);
}

static void redirect(const struct sandbox_command *command)
{
    int null = command->background ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    if (command->background)
        setsid();
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (command->output >= 0) {
        dup2(command->output, STDOUT_FILENO);
        dup2(command->output, STDERR_FILENO);
    }
}

/* --- processes ----------------------------------------------------------------------- */

/* execvp(3) says "permission denied" when there is a folder on the way that we may not
 * look into, though the program is nowhere. */
static bool is_somewhere(const char *name)
{
    const char *folders = getenv("PATH");
    char path[4096];
    if (strchr(name, '/') || !folders)
        return true;
    for (const char *end; *folders; folders = *end ? end + 1 : end) {
        end = strchrnul(folders, ':');
        snprintf(path, sizeof(path), "%.*s/%s", (int)(end - folders), folders, name);
        if (!access(path, F_OK))
            return true;
    }
    return false;
}

static int execute(const struct sandbox *sandbox, const struct sandbox_command *command,
                   struct error *err)
{
    if (setns(sandbox_descriptor(sandbox, command->network), CLONE_NEWNET))
        return error_system(err, ERROR_RUN, "cannot enter a network namespace");
    int error = own_mounts(command, err);
    if (error)
        return error;
    if (sandbox->user)
        keep_capabilities();
    redirect(command);
    reset_signals(sandbox);
    for (char *const *set = command->environment; set && *set; set++)
        putenv(*set);
    execvp(command->argv[0], command->argv);
    if (errno == ENOENT || (errno == EACCES && !is_somewhere(command->argv[0])))
        return error_set(err, ERROR_RUN, ENOENT, "%s: not found", command->argv[0]);
    return error_set(err, ERROR_RUN, errno == EPERM ? EACCES : errno, "%s: %s",
                     command->argv[0], strerror(errno));
}

static void be_program(const struct sandbox *sandbox,
                       const struct sandbox_command *command, int results)
{
    struct result result = { 0 };
    result.error = execute(sandbox, command, &result.text);
    ssize_t ignored = write(results, &result, sizeof(result));
    _exit(ignored < 0 ? 126 : 127);
}

/* In the helper. The pid that clone returns is the one we see. */
static void be_helper(const struct sandbox *sandbox,
                      const struct sandbox_command *command, int pids, int results)
{
    pid_t pid = -1;
    if (!setns(sandbox->pids, CLONE_NEWPID))
        pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
    if (!pid)
        be_program(sandbox, command, results);
    pid = pid < 0 ? -errno : pid;
    _exit(write(pids, &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
}

static ssize_t read_all(int fd, void *to, size_t size)
{
    ssize_t n;
    do {
        n = read(fd, to, size);
    } while (n < 0 && errno == EINTR);
    return n;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static pid_t make_process(const struct sandbox *sandbox,
                          const struct sandbox_command *command, int results,
                          struct error *err)
{
    int ends[2];
    pid_t pid = -EIO;
    if (pipe2(ends, O_CLOEXEC))
        return error_system(err, ERROR_RUN, "cannot make a pipe");
    fflush(NULL); /* what is buffered must not be written twice */
    pid_t helper = fork();
    if (!helper)
        be_helper(sandbox, command, ends[1], results);
    close(ends[1]);
    if (helper < 0) {
        error_system(err, ERROR_RUN, "cannot make a process");
        pid = -EAGAIN;
    } else {
        if (read_all(ends[0], &pid, sizeof(pid)) != sizeof(pid))
            pid = -EIO;
        if (pid < 0)
            error_set(err, ERROR_RUN, -pid, "cannot make a process: %s", strerror(-pid));
        reap(helper);
    }
    close(ends[0]);
    return pid;
}

static void remember(struct sandbox *sandbox, pid_t pid)
{
    size_t size = (sandbox->nchildren + 1) * sizeof(pid_t);
    sandbox->children = realloc(sandbox->children, size);
    sandbox->children[sandbox->nchildren++] = pid;
}

pid_t sandbox_wait(struct sandbox *sandbox, pid_t pid, int *status, int flags)
{
    pid_t ended = waitpid(pid, status, flags);
    for (size_t i = 0; ended == pid && i < sandbox->nchildren; i++)
        if (sandbox->children[i] == pid)
            sandbox->children[i] = sandbox->children[--sandbox->nchildren];
    return ended;
}

pid_t sandbox_spawn(struct sandbox *sandbox, const struct sandbox_command *command,
                    struct error *err)
{
    int ends[2];
    struct result result;
    if (pipe2(ends, O_CLOEXEC))
        return error_system(err, ERROR_RUN, "cannot make a pipe");
    pid_t pid = make_process(sandbox, command, ends[1], err);
    close(ends[1]);
    if (pid > 0 && read_all(ends[0], &result, sizeof(result)) == sizeof(result)) {
        reap(pid);
        pid = result.error < 0 ? result.error : -EIO;
        if (err)
            *err = result.text;
    }
    if (pid > 0)
        remember(sandbox, pid);
    close(ends[0]);
    return pid;
}
