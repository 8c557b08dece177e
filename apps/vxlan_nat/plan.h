/* plan: VxlanNat's parameters, and what they come to. */
#pragma once
#include "apps/vxlan_nat/allowlist.h"
#include "apps/vxlan_nat/rules.h"
#include "lib/param.h"
#include "lib/prefix_set.h"

enum { MATCH_SRC, MATCH_DST, MATCH_EITHER, MATCH_BOTH };

struct vxlan_nat_conf {
    struct value allow, rules;
    char *allow_file, *ports, *vnis, *vteps, *peers, *smac, *dmac;
    int match, inner_vlan;
    int64_t mtu;
    bool strict, udp6_zero, verify_csum, forward_rest, clear_df, decrement_ttl;
};

/* What a configuration comes to. */
struct plan {
    struct vxlan_policy policy;
    struct prefix_set *allowed, *vteps, *peers; /* NULL: none was named */
    struct allowlist file;                      /* what allow_file had, if it was JSON */
    struct rules rules;
    uint8_t smac[6], dmac[6];
    bool has_smac, has_dmac;
};

extern const struct param vxlan_nat_params[];

/* Fills the plan, or leaves it empty. */
int plan_make(struct plan *plan, const struct vxlan_nat_conf *conf, struct error *err);
void plan_clear(struct plan *plan);
