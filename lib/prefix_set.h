/* prefix_set: networks of IPv4 and IPv6 with a number each; the longest match wins.
 *
 *   prefix_set_new       an empty one
 *   prefix_set_insert    a prefix and its value
 *   prefix_set_remove    a prefix
 *   prefix_set_find      the value of exactly this prefix
 *   prefix_set_match     the longest prefix that contains an address
 *   prefix_set_next      every prefix in turn
 *   prefix_set_count     how many there are
 *   prefix_set_free
 *
 * For block and allow lists, IPv4 and IPv6 apart: ::/0 contains no IPv4 address. Host bits
 * behind a prefix do not matter. Addresses that are matched are 16 bytes, IPv4 mapped (see
 * prefix_mapped), and prefixes within ::ffff:0:0/96 are IPv4's.
 *
 * Memory: at most 64 bytes a prefix, and what doubling takes ahead.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/prefix.h"

#define PREFIX_SET_MAX 1048576 /* of each family */

struct prefix_set;

/* NULL when memory is out. */
struct prefix_set *prefix_set_new(void);
void prefix_set_free(struct prefix_set *set);

/* Sets the value, replacing an earlier one. -ENOSPC when there are PREFIX_SET_MAX of the
 * family, -ENOMEM; the set is then as it was. */
int prefix_set_insert(struct prefix_set *set, const struct prefix *prefix,
                      uint32_t value);

/* False when it was not there. */
bool prefix_set_remove(struct prefix_set *set, const struct prefix *prefix);

/* False when it is not there. value, matched: NULL, or where to put it. */
bool prefix_set_find(const struct prefix_set *set, const struct prefix *prefix,
                     uint32_t *value);
bool prefix_set_match(const struct prefix_set *set, const uint8_t address[16],
                      struct prefix *matched, uint32_t *value);

/* The same for prefix_size bytes of an address of that family. */
bool prefix_set_match_family(const struct prefix_set *set, int family,
                             const void *address, struct prefix *matched,
                             uint32_t *value);

/* Starts with *cursor 0; false at the end. The order is no order. Prefixes may be removed
 * meanwhile; one that is inserted meanwhile may be met or not. */
bool prefix_set_next(const struct prefix_set *set, uint32_t *cursor,
                     struct prefix *prefix, uint32_t *value);

/* family: AF_INET, AF_INET6. */
uint32_t prefix_set_count(const struct prefix_set *set, int family);
