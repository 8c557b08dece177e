/* counters: 64-bit words in a shared-memory file, one writer each, any number of readers.
 *
 *   counters_create, counters_destroy      the writer's side: the process that counts
 *   counters_add, counters_remove          the words of one object: an app, a link ...
 *   counters_open, counters_close          the reader's side: top, report, tests
 *   counters_read                          a consistent copy of the directory
 *
 *      file: | header | entries: name, kind, place of the words ... | words ... |
 *
 * An object's words are an array, in the order of its rows, on cache lines of its own;
 * whoever owns it writes them with plain stores. Readers map the file read-only, so
 * nothing they do can disturb the data plane. The directory of names changes only at a
 * reconfiguration; a generation number, odd while it changes, tells readers to look
 * again.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/app.h"
#include "lib/error.h"

struct counters;

/* Fits "links/" and the longest name of a link; what is longer still is cut. */
#define COUNTER_NAME_SIZE 312

enum counter_kind {
    COUNTER_FREE,      /* an entry that is not in use */
    COUNTER_WORD,      /* one word */
    COUNTER_HISTOGRAM, /* a struct histogram (lib/histogram.h) */
};

struct counter_entry {
    uint32_t kind;
    uint32_t word;                /* index of its first word */
    char name[COUNTER_NAME_SIZE]; /* "apps/wan/drop_loss" */
};

/* A file at path (mode 0640, replaced when it is there), or memory of this process alone
 * when path is NULL. */
struct counters *counters_create(const char *path, struct error *err);
void counters_destroy(struct counters *counters); /* unlinks the file */

/* Words for the rows, zeroed, named object/row. NULL when the file is full. */
uint64_t *counters_add(struct counters *counters, const char *object,
                       const struct counter_row *rows);

/* Room for one struct histogram under this name. */
struct histogram *counters_add_histogram(struct counters *counters, const char *name);

/* Takes back what one of the two returned (NULL is fine). */
void counters_remove(struct counters *counters, void *words);

/* Brackets a series of additions and removals: readers see all of it or nothing. */
void counters_change_begin(struct counters *counters);
void counters_change_end(struct counters *counters);

struct counters *counters_open(const char *path, struct error *err);
void counters_close(struct counters *counters);

/* The process that writes. */
pid_t counters_pid(const struct counters *counters);

/* Changes when the directory does. */
uint64_t counters_generation(const struct counters *counters);

/* Calls back for every entry in use; false when a writer was busy changing the directory
 * (forget what was seen, call again). The words are live. */
bool counters_read(const struct counters *counters,
                   void (*entry)(const struct counter_entry *entry, const uint64_t *words,
                                 void *user),
                   void *user);

/* One word by its full name; 0 when there is none. */
uint64_t counters_value(const struct counters *counters, const char *name);
