/* guarded: the protected addresses of a data path, and what is known of each and of their
 * prefixes.
 *
 *   guarded_set       these are protected from now on
 *   guarded_regroup   limits of addresses are those of these groups from now on
 *   guarded_tick      looks at all of them
 *   guarded_free
 *
 * Each has a slot in the data path's counters for as long as it is protected. An address that
 * stays keeps its detector; so does a prefix, a block of 256 addresses, as long as one of it does.
 * What a prefix gives its addresses holds at the tick after.
 */
#pragma once
#include "apps/flow_sentinel/detect.h"
#include "apps/flow_sentinel/groups.h"
#include "apps/flow_sentinel/path.h"
#include "lib/table.h"

#define GUARDED_BITS 120 /* of an address as in the tables: an IPv4 /24, an IPv6 /120 */

struct guarded_one {
    struct path_address address;
    struct sentinel_destination to; /* as the data path has it; index 0: an empty slot */
    struct detector detector;
    const struct detect_policy *policy; /* of its group */
    struct detect_share share;          /* of its prefix */
    uint32_t next; /* slot + 1 of another one of its prefix; 0: none */
    bool keep;     /* while guarded_set is at work */
};

struct guarded_prefix {
    struct path_address address;
    struct prefix_detector detector;
    uint32_t first,
        count; /* slot + 1 of one of its addresses; 0: nobody has this prefix */
};

struct guarded {
    struct guarded_one *slots; /* slot i has index i + 1 */
    struct guarded_prefix *prefixes;
    uint32_t room;            /* of either */
    struct table *by_address; /* the number of its slot */
    struct table *by_prefix;
    const struct detect_policy *policy; /* of prefixes */
};

/* Of an address, or of a prefix of so many bits. */
typedef void guarded_news(const struct path_address *address, unsigned bits,
                          const struct detect_news *news, void *user);

/* room: of the data path's destinations. -ENOMEM. */
int guarded_new(struct guarded *guarded, uint32_t room);
void guarded_free(struct guarded *guarded);

/* Returns how many found no room. */
uint32_t guarded_set(struct guarded *guarded, struct path *path,
                     const struct path_address *addresses, size_t count,
                     const struct groups *groups);

/* groups: what was there before may be cleared behind this, not these. */
void guarded_regroup(struct guarded *guarded, const struct groups *groups);

void guarded_tick(struct guarded *guarded, struct path *path, uint64_t now,
                  guarded_news *news, void *user);
