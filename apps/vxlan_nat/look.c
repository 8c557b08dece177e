/* look: what is in a frame. */
#include "apps/vxlan_nat/look.h"

#include <netinet/in.h>
#include <string.h>

#include "apps/vxlan_nat/admission.h"
#include "apps/vxlan_nat/rewrite.bpf.h"
#include "lib/checksum.h"

struct vxlan_context {
    const uint8_t *data, *end;
    const struct plan *plan;
};

static bool is_among(const struct prefix_set *set, const uint32_t address[4])
{
    return !set || plan_is_among(set, address);
}

static bool udp_is_wrong(const struct vxlan_context *c, const struct vxlan_frame *f)
{
    bool ipv4 = f->outer_family == 4;
    uint8_t addresses[32];
    const uint8_t *udp = c->data + f->udp;
    uint32_t length = f->outer_end - f->udp;
    size_t size = ipv4 ? 4 : 16;
    memcpy(addresses, (const uint8_t *)f->outer_src + 16 - size, size);
    memcpy(addresses + size, (const uint8_t *)f->outer_dst + 16 - size, size);
    uint64_t sum = ipv4 ? checksum_pseudo4(addresses, IPPROTO_UDP, length)
                        : checksum_pseudo6(addresses, IPPROTO_UDP, length);
    return checksum_fold(checksum_sum(udp, length, sum)) != 0;
}

#define VXLAN_DATA(c)             ((c)->data)
#define VXLAN_END(c)              ((c)->end)
#define VXLAN_POLICY(c)           (&(c)->plan->policy)
#define VXLAN_IS_VTEP(c, address) is_among((c)->plan->vteps, address)
#define VXLAN_IS_PEER(c, address) is_among((c)->plan->peers, address)
#define VXLAN_IS_NETWORK(c, vni)  admission_is_network(&(c)->plan->policy, vni)
#define VXLAN_UDP_IS_WRONG(c, f)  udp_is_wrong(c, f)

#define VXLAN_HEADERS 8

#include "apps/vxlan_nat/decap.bpf.h"

/* Nobody has so many headers in front but to see what becomes of it: what is rewritten lies nearer. */
static bool is_in_reach(struct vxlan_frame *f)
{
    if (f->l3 <= VXLAN_REACH && f->l4 <= VXLAN_REACH)
        return true;
    f->reason = VX_IN_IP_BAD;
    return false;
}

enum look look_tunnel(const struct plan *plan, const uint8_t *data, uint32_t length,
                      struct vxlan_frame *f)
{
    struct vxlan_context c = { data, data + length, plan };
    if (!vxlan_outer(&c, f) || !vxlan_tunnel(&c, f))
        return LOOK_OUTSIDE;
    return vxlan_inner(&c, f) && is_in_reach(f) ? LOOK_INSIDE : LOOK_TUNNEL;
}

bool look_back(const struct plan *plan, const uint8_t *data, uint32_t length,
               struct vxlan_frame *f)
{
    struct vxlan_context c = { data, data + length, plan };
    *f = (struct vxlan_frame){ .outer_end = length };
    return vxlan_inner(&c, f) && is_in_reach(f);
}
