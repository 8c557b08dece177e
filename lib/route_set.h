/* route_set: the routes of one interface; the longest prefix wins, among its routes the lowest
 * metric, among those the first.
 *
 *   route_set_new       an empty one
 *   route_set_add       a route
 *   route_set_remove    one route, or all of a prefix and metric
 *   route_set_match     the gateway for an address
 *   route_set_begin     everything there is will be added once more ...
 *   route_set_end       ... and was: what was not is gone
 *   route_set_clear
 *   route_set_refused   routes that there was no room for
 *   route_set_free
 *
 * Addresses are 16 bytes, IPv4 mapped (lib/prefix.h). A gateway of zeros: there is none, who is
 * sent to is on the link.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/prefix.h"

struct route_set;

/* Room for so many routes and no more, taken as it is needed. NULL when memory is out. */
struct route_set *route_set_new(uint32_t most);
void route_set_free(struct route_set *set); /* or NULL */

/* last: behind others of the same prefix and metric, else before them; one that is there stays
 * where it is. Each of these returns whether the set changed. */
bool route_set_add(struct route_set *set, const struct prefix *prefix, uint32_t metric,
                   const uint8_t gateway[16], bool last);

/* gateway: NULL for any. */
bool route_set_remove(struct route_set *set, const struct prefix *prefix, uint32_t metric,
                      const uint8_t *gateway);
void route_set_begin(struct route_set *set);
bool route_set_end(struct route_set *set);
bool route_set_clear(struct route_set *set);

/* NULL when no route has the address. Good until the set changes. */
const uint8_t *route_set_match(const struct route_set *set, const uint8_t address[16]);

uint64_t route_set_refused(const struct route_set *set);
