/* plan: VxlanNat's parameters, and what they come to. */
#pragma once
#include "apps/vxlan_nat/allowlist.h"
#include "apps/vxlan_nat/rules.h"
#include "apps/vxlan_nat/snat.h"
#include "lib/param.h"
#include "lib/prefix_set.h"

#define MTU_LEAST 68 /* what every IPv4 link takes (RFC 791, 3.2) */

enum { MATCH_SRC, MATCH_DST, MATCH_EITHER, MATCH_BOTH };
enum { MODE_ONEWAY, MODE_ROUTE, MODE_NAT_OUT };
enum { FASTPATH_AUTO, FASTPATH_XDP, FASTPATH_OFF };
enum { CHECKSUM_FINISHED, CHECKSUM_KEPT, CHECKSUM_ANEW };
enum { CHANGE_AUTO, CHANGE_NO, CHANGE_YES };

struct vxlan_nat_conf {
    struct value allow, rules;
    char *allow_file, *ports, *vnis, *vteps, *peers, *smac, *dmac;
    char *ingress, *egress, *snat;
    int mode, match, inner_vlan, df, ttl, fastpath, checksum;
    int64_t mtu, tunnel_mtu, sessions, allow_max;
    uint64_t tcp_established, tcp_transitory, udp_answered, udp_unanswered, icmp, other;
    bool strict, udp6_zero, verify_csum, forward_rest, tcp_loose, clamp_mss, reassemble,
        inner_udp6_zero;
    bool flat_only, mask, skip_bad, allow_empty, keep_sessions, claim, guard;
};

/* What a configuration comes to. */
struct plan {
    struct vxlan_policy policy;
    struct allowlist allow;
    struct prefix_set *vteps, *peers; /* NULL: none was named */
    struct rules rules;
    struct snat snat;
    uint8_t smac[6], dmac[6];
    bool has_smac, has_dmac;
    int match, checksum;
    bool forward_rest, clear_df, decrement, clamp_mss;
};

extern const struct param vxlan_nat_params[];

/* Fills the plan, or leaves it empty. */
int plan_make(struct plan *plan, const struct vxlan_nat_conf *conf, struct error *err);
void plan_clear(struct plan *plan);

/* The list alone: what allow_file has, and allow. */
int plan_allow(struct allowlist *list, const struct vxlan_nat_conf *conf,
               struct error *err);
struct allowlist_options plan_allow_options(const struct vxlan_nat_conf *conf);

/* Whose an inner packet is that may pass; 0: nobody's. */
uint32_t plan_organization(const struct plan *plan, const uint32_t src[4],
                           const uint32_t dst[4]);

/* address: 16 bytes, as in struct vxlan_frame. */
static inline bool plan_is_among(const struct prefix_set *set, const uint32_t address[4])
{
    return prefix_set_match(set, (const uint8_t *)address, NULL, NULL);
}
