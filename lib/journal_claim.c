/* journal_claim: run directories, one live process per name. The contract is in
 * lib/journal.h.
 *
 * Whoever claims, releases or sweeps holds a lock on the parent directory, so that nobody
 * takes a directory that another process is about to remove.
 */
#include "lib/journal.h"

#include "lib/error.h"
#include "lib/journal_file.h"
#include "lib/owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a run directory lies. */
struct place {
    char parent[PATH_MAX];
    char name[NAME_MAX + 1];
};

static int place_find(const char *directory, struct place *place, struct error *err)
{
    size_t length = strlen(directory);
    while (length > 1 && directory[length - 1] == '/')
        length--;
    const char *slash = memrchr(directory, '/', length);
    const char *name = slash ? slash + 1 : directory;
    size_t name_length = length - (size_t)(name - directory);
    size_t parent_length = slash ? (size_t)(slash - directory) : 0;
    if (parent_length >= sizeof(place->parent) || name_length >= sizeof(place->name) ||
        name_length == 0 || name[0] == '.')
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "\"%.200s\" cannot be a run directory", directory);
    snprintf(place->parent, sizeof(place->parent), "%.*s", (int)parent_length, directory);
    if (parent_length == 0)
        strcpy(place->parent, slash ? "/" : ".");
    snprintf(place->name, sizeof(place->name), "%.*s", (int)name_length, name);
    return 0;
}

/* Opens the parent of run directories; whoever sweeps or claims holds its lock. */
static int open_parent(const char *parent, struct error *err)
{
    int fd = journal_file_directory(AT_FDCWD, parent, err);
    if (fd < 0)
        return fd;
    while (flock(fd, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        int status = error_system(err, ERROR_RUN, "cannot lock the directory %s", parent);
        close(fd);
        return status;
    }
    return fd;
}

/* Returns 0, -ENOENT (silent) without a pid file, or another failure. */
static int read_owner(int directory, struct owner *owner, struct error *err)
{
    char text[64];
    const char *at = text;
    ssize_t length =
        journal_file_read(directory, JOURNAL_FILE_PID, text, sizeof(text), err);
    if (length < 0)
        return (int)length;
    if (!journal_file_owner(&at, "", " ", owner) || strcmp(at, "\n"))
        return error_set(err, ERROR_RUN, EBADMSG, "%s is not a pid file",
                         JOURNAL_FILE_PID);
    return 0;
}

static void remove_files(int directory)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (!entries) {
        if (copy >= 0)
            close(copy);
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries));) {
        struct stat st;
        if (strcmp(entry->d_name, JOURNAL_FILE_PID) &&
            !fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
            (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode)))
            unlinkat(directory, entry->d_name, 0);
    }
    closedir(entries);
}

/* The pid file goes last: whoever is killed in the middle leaves a directory that the
 * next sweep still takes for one of ours. */
static int remove_directory(int parent, const char *name, int directory,
                            struct error *err)
{
    remove_files(directory);
    unlinkat(directory, JOURNAL_FILE_PID, 0);
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0)
        return error_system(err, ERROR_RUN, "cannot remove the directory %s", name);
    return 0;
}

/* Returns 1 when it removed the directory, 0 when it is none of ours, -EBUSY when its
 * owner is alive (*found tells which), or as journal_recover. */
static int sweep_one(int parent, const char *name, int directory,
                     struct journal_header *found, struct error *err)
{
    int owned = read_owner(directory, &found->owner, err);
    if (owned && owned != -ENOENT)
        return owned;
    if (!owned && owner_alive(&found->owner))
        return error_set(err, ERROR_RUN, EBUSY, "its owner (pid %d) is alive",
                         found->owner.pid);
    int recovered = journal_file_recover(directory, found, err);
    if (recovered < 0 && recovered != -ENOENT)
        return recovered;
    if (recovered == -ENOENT && owned == -ENOENT)
        return 0;
    int status = remove_directory(parent, name, directory, err);
    return status ? status : 1;
}

static int sweep_entry(int parent, const char *name, struct error *err)
{
    struct journal_header found;
    int directory = journal_file_directory(parent, name, NULL);
    if (directory < 0)
        return 0;
    int status = sweep_one(parent, name, directory, &found, err);
    close(directory);
    if (status == -EBUSY || status == -EXDEV)
        return 0;
    if (status < 0)
        error_prefix(err, "%s: ", name);
    return status;
}

static int sweep_all(int parent, struct error *err)
{
    int removed = 0, failure = 0;
    int copy = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (!entries) {
        failure = error_system(err, ERROR_RUN, "cannot list the run directories");
        if (copy >= 0)
            close(copy);
        return failure;
    }
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        int status = sweep_entry(parent, entry->d_name, failure ? NULL : err);
        if (status > 0)
            removed += status;
        else if (!failure)
            failure = status;
    }
    closedir(entries);
    return failure ? failure : removed;
}

int journal_sweep(const char *parent, struct error *err)
{
    int fd = open_parent(parent, err);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int status = sweep_all(fd, err);
    close(fd);
    return status;
}

/* Sweeps the directory that is about to be claimed, if it is there. What lies in it
 * without being ours to remove may stay. */
static int clear_place(int parent, const char *name, struct error *err)
{
    struct journal_header found;
    int directory = journal_file_directory(parent, name, err);
    if (directory < 0)
        return directory == -ENOENT ? 0 : directory;
    int status = sweep_one(parent, name, directory, &found, err);
    /* The interfaces of a namespace that is gone are gone with it. Should netns_exists
     * err, one interface stays slower than it was; a name that cannot be started again
     * would be worse. */
    if (status == -EXDEV && !netns_exists(&found.netns) &&
        !unlinkat(directory, JOURNAL_FILE_UNDO, 0))
        status = sweep_one(parent, name, directory, &found, err);
    close(directory);
    if (status == -EBUSY)
        return error_set(err, ERROR_RUN, EEXIST, "%s is already running (pid %d)", name,
                         found.owner.pid);
    if (status >= 0 || status == -ENOTEMPTY)
        return 0;
    if (status == -EXDEV)
        return error_set(err, ERROR_RUN, EXDEV,
                         "an earlier %s left changes in another network namespace "
                         "(net:[%ju]): start it there, or remove its file %s",
                         name, (uintmax_t)found.netns.inode, JOURNAL_FILE_UNDO);
    error_prefix(err, "%s: ", name);
    return status;
}

static int claim(int parent, const char *name, struct error *err)
{
    struct owner self;
    char text[64];
    int status = owner_self(&self, err);
    if (status || (status = clear_place(parent, name, err)))
        return status;
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
        return error_system(err, ERROR_RUN, "cannot make the directory %s", name);
    int directory = journal_file_directory(parent, name, err);
    if (directory < 0)
        return directory;
    snprintf(text, sizeof(text), "%d %ju\n", self.pid, (uintmax_t)self.starttime);
    int fd = journal_file_create(directory, JOURNAL_FILE_PID, 0644, text, err);
    close(directory);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

int journal_claim(const char *directory, struct error *err)
{
    struct place place;
    int status = place_find(directory, &place, err);
    if (status)
        return status;
    if (mkdir(place.parent, 0755) < 0 && errno != EEXIST)
        return error_system(err, ERROR_RUN, "cannot make the directory %s", place.parent);
    int parent = open_parent(place.parent, err);
    if (parent < 0)
        return parent;
    /* The own place first: a failure there is to be told, not swallowed with the others'.
     */
    status = claim(parent, place.name, err);
    if (!status)
        sweep_all(parent, NULL);
    close(parent);
    return status;
}

static int release(int parent, const char *name, struct error *err)
{
    struct owner self, owner;
    int directory = journal_file_directory(parent, name, err);
    if (directory < 0)
        return directory;
    int status = owner_self(&self, err);
    if (!status)
        status = read_owner(directory, &owner, err);
    if (status == -ENOENT ||
        (!status && (owner.pid != self.pid || owner.starttime != self.starttime)))
        status =
            error_set(err, ERROR_RUN, EPERM, "%s is not this process's directory", name);
    if (!status)
        status = remove_directory(parent, name, directory, err);
    close(directory);
    return status;
}

int journal_release(const char *directory, struct error *err)
{
    struct place place;
    int status = place_find(directory, &place, err);
    if (status)
        return status;
    int parent = open_parent(place.parent, err);
    if (parent < 0)
        return parent;
    status = release(parent, place.name, err);
    close(parent);
    return status;
}
