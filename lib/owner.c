/* owner: which process, and which network namespace, is meant by something left on disk.
 */
#include "lib/owner.h"

#include "lib/error.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads /proc/PID/stat, proc(5). -ESRCH also for a zombie, which changes nothing any
 * more: pid 1 of a container may never reap. */
static int process_starttime(pid_t pid, uint64_t *starttime)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    int errnum = errno;
    if (fd >= 0)
        close(fd);
    if (length < 0)
        return -errnum;
    text[length] = 0;
    /* The name stands in parentheses and may hold anything, parentheses too. */
    const char *fields = strrchr(text, ')');
    char state;
    int threads;
    uintmax_t value;
    if (!fields ||
        sscanf(fields,
               ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %d %*s %ju",
               &state, &threads, &value) != 3)
        return -EBADMSG;
    *starttime = value;
    return strchr("ZXx", state) && threads <= 1 ? -ESRCH : 0;
}

bool owner_alive(const struct owner *owner)
{
    uint64_t starttime;
    if (kill(owner->pid, 0) < 0 && errno == ESRCH)
        return false;
    int status = process_starttime(owner->pid, &starttime);
    return status ? status != -ESRCH : starttime == owner->starttime;
}

int owner_self(struct owner *owner, struct error *err)
{
    owner->pid = getpid();
    int status = process_starttime(owner->pid, &owner->starttime);
    return status ? error_set(err, ERROR_RUN, -status, "cannot read /proc/%d/stat: %s",
                              owner->pid, strerror(-status))
                  : 0;
}

int netns_self(struct netns *netns, struct error *err)
{
    struct stat st;
    if (stat("/proc/thread-self/ns/net", &st) < 0)
        return error_system(err, ERROR_RUN, "cannot read /proc/thread-self/ns/net");
    *netns = (struct netns){ .device = st.st_dev, .inode = st.st_ino };
    socklen_t length = sizeof(netns->cookie);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), status = 0;
    if (fd < 0)
        return error_system(err, ERROR_RUN, "cannot identify the network namespace");
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &netns->cookie, &length) < 0 &&
        errno != ENOPROTOOPT)
        status = error_system(err, ERROR_RUN, "cannot identify the network namespace");
    close(fd);
    return status;
}

bool netns_equal(const struct netns *a, const struct netns *b)
{
    return a->device == b->device && a->inode == b->inode && a->cookie == b->cookie;
}

static bool netns_mounted(const struct netns *netns)
{
    char root[64];
    snprintf(root, sizeof(root), " net:[%ju] ", (uintmax_t)netns->inode);
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    bool found = !mounts;
    while (!found && getline(&line, &size, mounts) >= 0)
        found = strstr(line, root) != NULL;
    free(line);
    if (mounts)
        fclose(mounts);
    return found;
}

bool netns_exists(const struct netns *netns)
{
    struct netns ours;
    if (netns_self(&ours, NULL))
        return true;
    if (ours.device == netns->device && ours.inode == netns->inode)
        return false; /* its number is ours by now */
    DIR *proc = opendir("/proc");
    bool found = !proc || netns_mounted(netns);
    for (struct dirent *entry; !found && (entry = readdir(proc));) {
        char path[sizeof(entry->d_name) + 16];
        struct stat st;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "%s/ns/net", entry->d_name);
        found = !fstatat(dirfd(proc), path, &st, 0) && st.st_dev == netns->device &&
                st.st_ino == netns->inode;
    }
    if (proc)
        closedir(proc);
    return found;
}
