/* snapshot: who is blocked, banned and allowed, as a file.
 *
 *   snapshot_write   all of it, in place of the file that was there
 *   snapshot_read    ... or nothing and why
 *   snapshot_clear
 *
 * A line each, times as what is left of them, for a clock may be anywhere when they are read:
 *
 *     # vanguard sentinel snapshot 1
 *     198.51.100.7/32 blocked 43215ms 60000ms src_syn      left, of how long, by which limit
 *     2001:db8:1:2::/64 blocked 9000ms 120000ms src_bps
 *     192.0.2.9/32 banned 3599000ms 3600000ms
 *     203.0.113.0/24 banned                                for good
 *     192.0.2.128/25 banned force                          though it lies in an allowed prefix
 *     192.0.2.10/32 allowed
 *     # end 6
 *
 * Such a list can be read by whoever takes the first word of a line (lib/prefix_file.h).
 *
 * The file appears whole or not at all: written beside, mode 0600, and renamed. It is not forced
 * to the disk; one that a crash of the machine cut short is noticed by its last line. When it is
 * read it is hostile: a regular file that nobody else can write, of a bounded size, all of its
 * lines right.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/flow_sentinel/sentinel.bpf.h"
#include "lib/error.h"
#include "lib/prefix.h"

struct snapshot_row {
    struct prefix prefix;
    uint8_t kind;            /* KIND_ALLOWED, KIND_BANNED, KIND_BLOCKED */
    uint8_t limit;           /* of a block: enum sentinel_limit_kind */
    bool force;              /* of a ban for good */
    uint64_t remaining, ttl; /* ns, written as ms; 0: for good, which a block is not */
};

#define SNAPSHOT_TTL_MAX (30 * 86400 * 1000000000ull)

struct snapshot {
    size_t count;
    struct snapshot_row *rows;
};

/* A block or ban that has less than a millisecond left has one left. ERROR_FILE. */
int snapshot_write(const char *path, const struct snapshot *snapshot, struct error *err);

/* max: rows. -ENOENT, silent, when there is no file. Otherwise err names file and line, and the
 * snapshot is empty. */
int snapshot_read(const char *path, size_t max, struct snapshot *snapshot,
                  struct error *err);
void snapshot_clear(struct snapshot *snapshot);
