/* admission: may a packet pass, and where to?
 *
 *   admission_decide   for the first packet of a flow, or one that belongs to none
 *   admission_holds    whether packets of a flow may still pass
 *
 * Pure: a plan and what is known of a packet in, a verdict out.
 */
#pragma once
#include "apps/vxlan_nat/flow.bpf.h"
#include "apps/vxlan_nat/plan.h"

/* Fills flow's reason, to, rule and FLOW_REWRITTEN. */
void admission_decide(const struct plan *plan, const struct vxlan_frame *f,
                      struct vxlan_flow *flow);

/* Networks, tunnels and, but for keep, addresses by another plan than the one it was decided by. */
bool admission_holds(const struct plan *plan, const struct vxlan_key *key,
                     const struct vxlan_tunnel *tunnel, bool keep);

bool admission_is_network(const struct vxlan_policy *policy, uint32_t vni);
