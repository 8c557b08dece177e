/* run_directory: the place under which other processes find this one.
 *
 *   run_directory_parent     where the run directories of this user are
 *   run_directory_claim      take one and begin its journal
 *   run_directory_release    put the host back, remove it
 *
 * /run/vanguard/NAME for root, otherwise $XDG_RUNTIME_DIR/vanguard/NAME, otherwise
 * /tmp/vanguard-UID/NAME. In it lie the counters, the journal and the process id.
 */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

struct journal;

struct run_directory {
    char path[PATH_MAX]; /* "" when there is none */
    struct journal *journal;
};

/* Returns text. */
const char *run_directory_parent(char *text, size_t size);

/* Takes NAME, or, where any_name, the first free one of NAME, NAME-2, NAME-3, ... Bytes
 * that do not belong into a file name become "_". -EEXIST when a live process has it;
 * -EACCES and the like when the place cannot be written. */
int run_directory_claim(struct run_directory *directory, const char *name, bool any_name,
                        struct error *err);

/* The first failure, after having tried all of it. Harmless when there is none. */
int run_directory_release(struct run_directory *directory, struct error *err);
