/* targets: what a rule makes a packet's destination, one or one of several.
 *
 *   port_range_parse   "N" or "N-M"
 *   targets_read       what is written behind `to`
 *   targets_choose     the destination that a packet gets
 *   targets_clear
 *
 * "172.30.82.95:8081", or a group of up to TARGETS_GROUP of one family, that share the sources by
 * their weights:
 *
 *     { "172.30.82.95:8081", { to = "172.30.82.96:8081", weight = 2 } }
 *
 * All packets of one source address go to one of them (weighted rendezvous hashing: Thaler,
 * Ravishankar, 1998). Each draws for the source by what it is, not by its place in the list: a group
 * with one less moves the sources of that one and no others, and a restart none.
 */
#pragma once
#include "apps/vxlan_nat/rewrite.h"
#include "lib/error.h"
#include "lib/random.h"
#include "lib/value.h"

#define TARGETS_GROUP 256
#define TARGETS_MAX   16384 /* of all rules */

struct port_range {
    uint16_t low, high;
};

/* 1..65535, in order. */
bool port_range_parse(struct port_range *range, const char *text);

struct target {
    struct rewrite_target to;
    uint16_t high; /* of a range that keeps its order; else to.port */
    double weight;
    struct random_key draws;
};

/* Those of all rules. Zeros: none. */
struct targets {
    struct target *list;
    uint32_t count;
};

/* Those of one rule. */
struct target_group {
    uint32_t first, count;
    int family; /* AF_INET, AF_INET6 */
};

/* ports: those of the rule; NULL: it has none. On error the place is in err; targets may have grown
 * all the same. */
int targets_read(struct targets *targets, struct target_group *group,
                 const struct value *value, const struct port_range *ports,
                 struct error *err);
void targets_clear(struct targets *targets);

/* source: 16 bytes. behind: how far the packet's port is behind the rule's first one. */
void targets_choose(const struct targets *targets, const struct target_group *group,
                    const void *source, uint16_t behind, struct rewrite_target *to);
