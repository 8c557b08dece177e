/* networks: IPv6 networks of many sources that are blocked as a whole.
 *
 *   networks_key       the key of one, beside those of sources
 *   networks_prefix    what a key is of: a network, an IPv6 source, an IPv4 address
 *   networks_begin, networks_count, networks_end   looks at all blocks; blocks networks
 *   networks_put, networks_get   one
 *   networks_remove    those around a prefix, with the blocks in them
 *   networks_free
 *
 * An attacker of IPv6 has not an address but a network, often a /56 or a /48 (RFC 6177), and goes
 * from one source in it to the next. Where more than so many sources of a /56 are blocked at the
 * same time, the /56 is; where more than so many /56 of a /48 are, the /48. These are blocks like
 * others: they end, go on while something comes, and come again for longer. The data path asks for
 * them last, so that who is allowed within stays so, and only when there are some.
 */
#pragma once
#include "apps/flow_sentinel/path.h"
#include "lib/prefix.h"
#include "lib/table.h"

#define NETWORKS_ROOM 131072 /* /56 that are counted at a time */

struct networks {
    struct table *tally; /* NULL: there was none yet */
    uint32_t most;       /* blocked sources of a network; 0: networks are not blocked */
    unsigned source_bits;
    uint64_t now, present; /* present: as in struct sentinel_state */
};

/* bits: 56 or 48. */
struct path_address networks_key(const uint32_t address[4], unsigned bits);

/* source_bits: of an IPv6 source. */
struct prefix networks_prefix(const uint32_t key[4], unsigned source_bits);

/* Every entry is to be told of between these two; told: of each new block. */
void networks_begin(struct networks *networks, uint32_t most, unsigned source_bits,
                    uint64_t now);
void networks_count(struct networks *networks, const struct path_address *key,
                    const struct sentinel_entry *entry);
void networks_end(struct networks *networks, struct path *path,
                  const struct sentinel_policy *policy,
                  void (*told)(const struct path_address *key,
                               const struct sentinel_entry *entry, void *user),
                  void *user);

/* -EINVAL: no network that can be blocked as a whole. -ENOSPC. */
int networks_put(struct path *path, const struct prefix *prefix,
                 const struct sentinel_entry *entry);

/* The smallest one around a prefix. False when there is none. */
bool networks_get(struct path *path, const struct prefix *prefix,
                  struct path_address *key, struct sentinel_entry *entry);

/* False when there was none. */
bool networks_remove(struct path *path, const struct prefix *prefix);

void networks_free(struct networks *networks);
