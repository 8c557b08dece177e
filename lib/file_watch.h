/* file_watch: files that change while we run.
 *
 *   file_mark            what tells a file from what it was, or from another in its place
 *   file_watch_begin     they are about to be read
 *   file_watch_changed   they are others than were read, and nobody writes them any more
 *
 * By looks at them, a while apart, so that it does not matter how they change: written in place,
 * renamed over, behind a symbolic link that is turned, on a file system of another host. A file has
 * changed when it is another one than was read, or has been written to; it is at rest when two looks
 * see the same. Several files are one: all must be at rest.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeros: it is not there, or no regular file. */
struct file_mark {
    uint64_t device, inode, size, changed;
};

struct file_watch {
    struct file_mark read, seen;
};

/* path: NULL is no file. */
struct file_mark file_mark(const char *path);

/* What is written from here on is another change. */
void file_watch_begin(struct file_watch *files, const char *const *paths, size_t count);

/* True until they are read again, or file_watch_begin says so. */
bool file_watch_changed(struct file_watch *files, const char *const *paths, size_t count);
