/* journal_file: how the files of a run directory are made, opened and read. */
#include "lib/journal_file.h"

#include "lib/error.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool journal_file_number(const char **at, const char *literal, uint64_t max,
                         uint64_t *number)
{
    size_t length = strlen(literal);
    if (strncmp(*at, literal, length) || !isdigit((unsigned char)(*at)[length]))
        return false;
    char *end;
    errno = 0;
    *number = strtoull(*at + length, &end, 10);
    if (errno || *number > max)
        return false;
    *at = end;
    return true;
}

bool journal_file_owner(const char **at, const char *before_pid,
                        const char *before_starttime, struct owner *owner)
{
    uint64_t pid;
    if (!journal_file_number(at, before_pid, INT_MAX, &pid) || pid == 0 ||
        !journal_file_number(at, before_starttime, UINT64_MAX, &owner->starttime))
        return false;
    owner->pid = (pid_t)pid;
    return true;
}

int journal_file_directory(int at, const char *path, struct error *err)
{
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_system(err, ERROR_RUN, "cannot open the directory %s", path);
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid()) {
        close(fd);
        return error_set(err, ERROR_PRIVILEGE, EPERM, "%s belongs to another user", path);
    }
    return fd;
}

int journal_file_write(int fd, const char *text, size_t length)
{
    ssize_t written = write(fd, text, length);
    if (written == (ssize_t)length)
        return 0;
    if (written >= 0)
        errno = ENOSPC; /* on a file a short write means just that */
    return -errno;
}

int journal_file_create(int directory, const char *name, mode_t mode, const char *content,
                        struct error *err)
{
    char draft[32];
    snprintf(draft, sizeof(draft), "%s.new", name);
    unlinkat(directory, draft, 0);
    int fd = openat(directory, draft,
                    O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return error_system(err, ERROR_RUN, "cannot create the file %s", name);
    int status = 0;
    if (journal_file_write(fd, content, strlen(content)) ||
        linkat(directory, draft, directory, name, 0))
        status = error_system(err, ERROR_RUN, "cannot create the file %s", name);
    unlinkat(directory, draft, 0);
    if (!status)
        return fd;
    close(fd);
    return status;
}

static int check_file(int fd, const char *name, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_system(err, ERROR_RUN, "cannot stat the file %s", name);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_RUN, EBADMSG, "%s is not a regular file", name);
    if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
        return error_set(err, ERROR_PRIVILEGE, EPERM,
                         "%s is not a file that only we can write", name);
    return 0;
}

ssize_t journal_file_read(int directory, const char *name, char *text, size_t size,
                          struct error *err)
{
    /* O_NONBLOCK: a FIFO in its place must not hold us up */
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT
                   ? -ENOENT
                   : error_system(err, ERROR_RUN, "cannot open the file %s", name);
    ssize_t length = check_file(fd, name, err);
    if (!length) {
        length = read(fd, text, size);
        if (length < 0)
            length = error_system(err, ERROR_RUN, "cannot read the file %s", name);
        else if ((size_t)length == size)
            length = error_set(err, ERROR_RUN, EFBIG, "the file %s is too long", name);
        else
            text[length] = 0;
    }
    close(fd);
    return length;
}
