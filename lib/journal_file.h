/* journal_file: how the files of a run directory are made, opened and read. For journal.c
 * and journal_claim.c; everybody else wants lib/journal.h, which also tells what is in
 * the files.
 *
 *   journal_file_directory  open a directory of this user
 *   journal_file_create     make a file that appears whole or not at all
 *   journal_file_write      append a text
 *   journal_file_read       read a small file of this user
 *   journal_file_number     parse: a literal, then a number
 *   journal_file_owner      parse: a process id and a start time
 *   journal_file_recover    journal_recover for a directory that is open
 *
 * Names are resolved from directory descriptors, symbolic links are never followed, and
 * what belongs to another user is refused.
 */
#pragma once

#include "lib/owner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JOURNAL_FILE_UNDO "undo"
#define JOURNAL_FILE_PID  "pid"

struct error;

struct journal_header {
    struct owner owner;
    struct netns netns;
};

/* Returns a descriptor. -ENOTDIR or -ELOOP for anything but a directory, -EPERM for
 * another user's. */
int journal_file_directory(int at, const char *path, struct error *err);

/* -EEXIST when there is one. Returns a descriptor for reading and appending. */
int journal_file_create(int directory, const char *name, mode_t mode, const char *content,
                        struct error *err);

/* Returns 0 when all of it was written, or -errno (errno is set as well). */
int journal_file_write(int fd, const char *text, size_t length);

/* Reads the whole file, which must be shorter than size, and ends it with a NUL. Returns
 * the length. -ENOENT is silent; -EBADMSG for anything but a regular file, -EPERM for one
 * that others can write, -EFBIG. */
ssize_t journal_file_read(int directory, const char *name, char *text, size_t size,
                          struct error *err);

/* Reads `literal` and the decimal number right behind it, and moves *at past both. False,
 * with *at anywhere, when that is not what is there or the number is above max. */
bool journal_file_number(const char **at, const char *literal, uint64_t max,
                         uint64_t *number);
bool journal_file_owner(const char **at, const char *before_pid,
                        const char *before_starttime, struct owner *owner);

/* As journal_recover, but -ENOENT (silent) without a file. *header is what the file says,
 * if it is a journal. */
int journal_file_recover(int directory, struct journal_header *header, struct error *err);
