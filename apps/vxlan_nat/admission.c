/* admission: may a packet pass, and where to? */
#include "apps/vxlan_nat/admission.h"

#include <string.h>

bool admission_is_network(const struct vxlan_policy *policy, uint32_t vni)
{
    for (uint32_t i = 0; i < policy->nvnis; i++)
        if (vni >= policy->vnis[i].first && vni <= policy->vnis[i].last)
            return true;
    return !policy->nvnis;
}

static bool is_martian(const struct vxlan_frame *f)
{
    const uint8_t *src = (const uint8_t *)f->src;
    if (f->family == 4)
        return !src[12] || src[12] == 127 || src[12] >= 224;
    return src[0] == 0xff || !(f->src[0] | f->src[1] | f->src[2]);
}

static bool is_allowed(const struct plan *plan, const struct vxlan_frame *f)
{
    const struct prefix_set *allowed = plan->allow.set;
    bool src = allowed && plan->match != MATCH_DST && plan_is_among(allowed, f->src);
    bool dst = allowed && plan->match != MATCH_SRC && plan_is_among(allowed, f->dst);
    return plan->match == MATCH_BOTH ? src && dst : src || dst;
}

static enum vxlan_reason check(const struct plan *plan, const struct vxlan_frame *f)
{
    const struct prefix_set *vteps = plan->vteps;
    if (is_martian(f))
        return VX_IN_MARTIAN;
    if (vteps && (plan_is_among(vteps, f->src) || plan_is_among(vteps, f->dst)))
        return VX_IN_LOOP;
    return is_allowed(plan, f) ? VX_NONE : VX_NOT_ALLOWED;
}

static enum vxlan_reason without_rule(const struct plan *plan,
                                      const struct vxlan_frame *f)
{
    bool has_ports = f->protocol == VXLAN_TCP || f->protocol == VXLAN_UDP;
    if (plan->forward_rest)
        return VX_NONE;
    if (!plan->rules.by_port || f->ports)
        return VX_NO_RULE;
    return has_ports ? VX_IN_L4_SHORT : VX_UNSUPPORTED_L4;
}

void admission_decide(const struct plan *plan, const struct vxlan_frame *f,
                      struct vxlan_flow *flow)
{
    struct rewrite_target to;
    int rule = -1;
    flow->rule = VXLAN_NO_RULE;
    flow->reason = (uint8_t)check(plan, f);
    if (!flow->reason)
        rule = rules_find(&plan->rules, f, &to);
    if (rule >= 0) {
        flow->flags |= FLOW_REWRITTEN;
        flow->rule = (uint16_t)rule;
    } else if (!flow->reason) {
        flow->reason = (uint8_t)without_rule(plan, f);
    }
    flow->to = rewrite_plan(f, NULL, rule < 0 ? NULL : &to);
}

bool admission_holds(const struct plan *plan, const struct vxlan_key *key,
                     const struct vxlan_tunnel *tunnel, bool keep)
{
    struct vxlan_frame f = { .vni = key->network & 0xffffff,
                             .protocol = (uint8_t)(key->network >> 24) };
    memcpy(f.src, key->src, sizeof(f.src));
    memcpy(f.dst, key->dst, sizeof(f.dst));
    f.family = vxlan_is_mapped(f.src) ? 4 : 6;
    return admission_is_network(&plan->policy, f.vni) &&
           (!plan->vteps || plan_is_among(plan->vteps, tunnel->ours)) &&
           (!plan->peers || plan_is_among(plan->peers, tunnel->peer)) &&
           (keep || !check(plan, &f));
}
