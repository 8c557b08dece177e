/* groups: protected addresses that have limits of their own, by prefix.
 *
 *   groups_load     from parameters
 *   groups_find     what holds for an address: of the longest prefix, or of all
 *   groups_cookies  does any of them want SYN cookies?
 *   groups_clear
 *
 * A group is a table of a prefix and of parameters that are also the app's own, which are its
 * defaults. What is no matter of a single address is no group's either.
 */
#pragma once
#include "apps/flow_sentinel/detect.h"
#include "apps/flow_sentinel/path.h"
#include "lib/prefix.h"

struct sentinel_conf;

#define GROUPS_MAX 256

struct group {
    struct prefix prefix;
    struct detect_policy policy;
};

struct groups {
    struct detect_policy all; /* of who is in none */
    struct group *some;
    size_t count;
};

/* Into groups that are empty, which they stay on error: ERROR_CONFIG, "groups[2].dst_pps: ...". */
int groups_load(struct groups *groups, const struct sentinel_conf *conf,
                struct error *err);

/* Valid until the groups are cleared. */
const struct detect_policy *groups_find(const struct groups *groups,
                                        const struct path_address *address);

bool groups_cookies(const struct groups *groups);
void groups_clear(struct groups *groups);
