/* snapshot: who is blocked, banned and allowed, as a file. */
#include "apps/flow_sentinel/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/flow_sentinel/parameters.h"
#include "lib/array.h"
#include "lib/units.h"

#define HEADER    "# vanguard sentinel snapshot 1\n"
#define END       "# end %zu\n"
#define LINE_SIZE 160 /* the longest is half of that */
#define MS        1000000ull

enum { WORDS = 5 }; /* prefix, kind, remaining, ttl, limit */

void snapshot_clear(struct snapshot *snapshot)
{
    free(snapshot->rows);
    *snapshot = (struct snapshot){ 0 };
}

/* --- writing ------------------------------------------------------------------------------- */

static unsigned long long milliseconds(uint64_t ns)
{
    return (ns + MS - 1) / MS;
}

static void write_row(FILE *file, const struct snapshot_row *row)
{
    char text[PREFIX_TEXT_SIZE];
    fprintf(file, "%s %s", prefix_format(&row->prefix, text),
            sentinel_kind_names[row->kind]);
    if (row->remaining)
        fprintf(file, " %llums %llums", milliseconds(row->remaining),
                milliseconds(row->ttl));
    if (row->force)
        fputs(" force", file);
    if (row->kind == KIND_BLOCKED)
        fprintf(file, " %s", sentinel_limit_names[row->limit]);
    fputc('\n', file);
}

/* 0, or -1 and errno. Closes the file. */
static int write_rows(FILE *file, const struct snapshot *snapshot)
{
    fputs(HEADER, file);
    for (size_t i = 0; i < snapshot->count; i++)
        write_row(file, &snapshot->rows[i]);
    fprintf(file, END, snapshot->count);
    bool failed = ferror(file);
    return fclose(file) || failed ? -1 : 0;
}

int snapshot_write(const char *path, const struct snapshot *snapshot, struct error *err)
{
    char draft[PATH_MAX];
    if (snprintf(draft, sizeof(draft), "%s.new", path) >= (int)sizeof(draft))
        return error_set(err, ERROR_FILE, ENAMETOOLONG, "%s: too long a name", path);
    unlink(draft);
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        error_system(err, ERROR_FILE, "cannot create %s", draft);
        if (fd >= 0)
            close(fd);
        return -EIO;
    }
    if (!write_rows(file, snapshot) && !rename(draft, path))
        return 0;
    error_system(err, ERROR_FILE, "cannot write %s", path);
    unlink(draft);
    return -EIO;
}

/* --- reading ------------------------------------------------------------------------------- */

static int find(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (names[i] && !strcmp(names[i], name))
            return i;
    return -1;
}

static bool parse_time(const char *text, uint64_t *ns)
{
    return !units_parse_duration(text, ns) && *ns && *ns <= SNAPSHOT_TTL_MAX;
}

static bool parse_row(char *line, struct snapshot_row *row)
{
    char *words[WORDS + 1], *save = NULL;
    int count = 0;
    for (char *word = strtok_r(line, " ", &save); word && count <= WORDS;
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    *row = (struct snapshot_row){ 0 };
    if (count < 2 || prefix_parse(&row->prefix, words[0]))
        return false;
    int kind = find(sentinel_kind_names, KINDS, words[1]);
    row->force = kind == KIND_BANNED && count == 3 && !strcmp(words[2], "force");
    bool timed = count > 2 && !row->force;
    if (timed && (count < 4 || !parse_time(words[2], &row->remaining) ||
                  !parse_time(words[3], &row->ttl)))
        return false;
    row->kind = (uint8_t)kind;
    if (kind != KIND_BLOCKED)
        return (kind == KIND_BANNED || kind == KIND_ALLOWED) &&
               count == (timed ? 4 : 2 + row->force);
    int limit = count == WORDS ? find(sentinel_limit_names, LIMITS, words[4]) : -1;
    row->limit = (uint8_t)limit;
    return limit >= 0;
}

struct reader {
    FILE *file;
    const char *path;
    size_t max, line;
    struct snapshot *snapshot;
    struct error *err;
};

static int fail(struct reader *r, int errnum, const char *what)
{
    return error_set(r->err, ERROR_FILE, errnum, "%s:%zu: %s", r->path, r->line, what);
}

static int add_row(struct reader *r, char *line)
{
    struct snapshot *snapshot = r->snapshot;
    if (snapshot->count == r->max)
        return fail(r, ENOSPC, "more than there is room for");
    if (!array_reserve(&snapshot->rows, snapshot->count, sizeof(*snapshot->rows)))
        return fail(r, ENOMEM, "out of memory");
    if (!parse_row(line, &snapshot->rows[snapshot->count]))
        return fail(r, EBADMSG, "nothing that a sentinel says of a source");
    snapshot->count++;
    return 0;
}

/* Of the bytes between two newlines, as there are no others in a right one. */
static int read_lines(struct reader *r)
{
    char line[LINE_SIZE], end[LINE_SIZE];
    int error = 0;
    r->line = 1;
    if (!fgets(line, sizeof(line), r->file) || strcmp(line, HEADER))
        return fail(r, EBADMSG, "no snapshot of a sentinel");
    while (!error && fgets(line, sizeof(line), r->file)) {
        size_t length = strlen(line);
        r->line++;
        snprintf(end, sizeof(end), END, r->snapshot->count);
        if (!strcmp(line, end))
            return fgetc(r->file) == EOF ? 0 : fail(r, EBADMSG, "not the end");
        if (!length || line[length - 1] != '\n')
            return fail(r, EBADMSG, "no line");
        line[length - 1] = 0;
        error = add_row(r, line);
    }
    return error ? error : fail(r, EBADMSG, "cut short");
}

static int open_file(const char *path, FILE **file, struct error *err)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO in its place must not hold us up */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ENOENT
                               : error_system(err, ERROR_FILE, "cannot open %s", path);
    bool ours = !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
                !(st.st_mode & (S_IWGRP | S_IWOTH));
    *file = ours ? fdopen(fd, "r") : NULL;
    if (*file)
        return 0;
    close(fd);
    return error_set(err, ERROR_FILE, EPERM, "%s is not a file that only we can write",
                     path);
}

int snapshot_read(const char *path, size_t max, struct snapshot *snapshot,
                  struct error *err)
{
    struct reader r = { .path = path, .max = max, .snapshot = snapshot, .err = err };
    *snapshot = (struct snapshot){ 0 };
    int error = open_file(path, &r.file, err);
    if (error)
        return error;
    error = read_lines(&r);
    fclose(r.file);
    if (error)
        snapshot_clear(snapshot);
    return error;
}
