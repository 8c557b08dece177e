/* guarded: the protected addresses of a data path, and what is known of each.
 *
 *   guarded_set     these are protected from now on
 *   guarded_tick    looks at all of them
 *   guarded_find, guarded_each
 *   guarded_free
 *
 * Each has a slot in the data path's counters for as long as it is protected. An address that
 * stays keeps its detector.
 */
#pragma once
#include "apps/flow_sentinel/detect.h"
#include "apps/flow_sentinel/path.h"
#include "lib/table.h"

struct guarded_one {
    struct path_address address;
    struct sentinel_destination to; /* as the data path has it; index 0: an empty slot */
    struct detector detector;
    bool keep; /* while guarded_set is at work */
};

struct guarded {
    struct guarded_one *slots; /* slot i has index i + 1 */
    uint32_t room;
    struct table *by_address; /* the number of its slot */
};

/* room: of the data path's destinations. -ENOMEM. */
int guarded_new(struct guarded *guarded, uint32_t room);
void guarded_free(struct guarded *guarded);

/* Returns how many found no room. */
uint32_t guarded_set(struct guarded *guarded, struct path *path,
                     const struct path_address *addresses, size_t count);

void guarded_tick(struct guarded *guarded, struct path *path,
                  const struct detect_policy *policy, uint64_t now,
                  void (*news)(const struct guarded_one *one,
                               const struct detect_news *news, void *user),
                  void *user);
