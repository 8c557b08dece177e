/* prefix_file: a list of networks from a file, as the block lists of this world are.
 *
 *   prefix_file_read     all of a file, or nothing and why
 *   prefix_list_clear
 *
 * One network, address or range on a line:
 *
 *     # a comment; so is what follows ; or #
 *     192.0.2.0/24             any words
 *     2001:db8::1              a whole address
 *     10.0.0.5-10.0.0.9        as the fewest prefixes that are this range
 *
 * Empty lines and CR before the newline do not matter. What makes a line wrong: no such
 * network in its first word; a second word that looks as if it belonged to it (begins with
 * "/" or "-", or is an address); a NUL byte; a prefix so short that it is likely a slip or
 * an attack. Host bits behind the prefix are cleared and counted: lists of addresses with
 * their network's bits are common.
 *
 * The file is hostile: memory is bounded by the number of prefixes asked for, time by
 * PREFIX_FILE_BYTES and a deadline, whatever the path leads to.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "lib/prefix.h"

struct error;

#define PREFIX_FILE_BYTES   (64u << 20) /* of a file; the longest list with its comments */
#define PREFIX_FILE_WAIT_MS 10000       /* for all of a pipe */

struct prefix_file {
    const char *path; /* "-" is stdin */
    size_t max;       /* prefixes */
    bool really;      /* wide prefixes (prefix_is_wide) as well */
    int wait_ms;      /* 0: PREFIX_FILE_WAIT_MS */
};

struct prefix_list {
    struct prefix *prefixes; /* zeros behind their bits; in the file's order */
    size_t count;
    size_t cleared; /* of them had host bits behind the prefix */
};

/* Fills list, which prefix_list_clear frees. On an error the list is empty, and err names
 * file and line: `blocked.txt:17: "10.0.0.0/33" is not a prefix`. Waits where nothing comes
 * from a pipe or terminal: at most wait_ms in all. */
int prefix_file_read(const struct prefix_file *file, struct prefix_list *list,
                     struct error *err);
void prefix_list_clear(struct prefix_list *list);
