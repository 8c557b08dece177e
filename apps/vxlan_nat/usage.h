/* usage: how many flows, packets and bytes went on by which rule, and of whom.
 *
 *   usage_new, usage_free
 *   usage_add           a flow, all that it has done so far
 *   usage_add_all       what another one has
 *   usage_forget_rule   its number means another from here on
 *
 * Flows count their packets themselves, also where no app sees them (flow.bpf.h). Those that are over
 * are added here; who asks adds those that are not.
 */
#pragma once
#include <stdint.h>

#include "apps/vxlan_nat/rules.h"
#include "lib/strmap.h"

#define USAGE_OWNERS  65536     /* more names are nobody's */
#define USAGE_NO_RULE RULES_MAX /* or one that is gone */

struct use {
    uint64_t flows, packets, bytes;
};

struct usage {
    struct use rules[RULES_MAX + 1];
    struct use nobody;
    struct use_of {
        char *name;
        struct use use;
    } * owners;
    uint32_t nowners;
    struct strmap by_name;
};

/* NULL when memory is out. */
struct usage *usage_new(void);
void usage_free(struct usage *usage);

/* owner: a name, or NULL. */
void usage_add(struct usage *usage, const char *owner, const struct vxlan_flow *flow);
void usage_add_all(struct usage *to, const struct usage *from);

/* What went by that rule did so by none that there is. */
void usage_forget_rule(struct usage *usage, uint32_t number);
