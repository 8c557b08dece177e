/* forward: how VxlanNat's inner packets go out. */
#include <netinet/in.h>
#include <string.h>

#include "apps/vxlan_nat/vxlan_nat.h"

static void send_one(struct app *app, struct link *output, struct packet *p)
{
    app_count(app, BYTES_PROCESSED, p->length);
    link_transmit(output, p);
}

/* The packet in as many frames as it takes; it is freed. What came in a large packet goes out in
 * ordinary ones, whatever mtu allows. False: not all of it went out. */
static bool send_fragments(struct app *app, struct link *output, struct packet *p,
                           uint32_t l3, uint32_t mtu)
{
    const uint8_t *ip = p->data + l3;
    uint32_t total = p->length - l3, at = 0, room = packet_capacity() - l3;
    bool sent = false;
    app_count(app, FRAGMENTED, 1);
    do {
        struct packet *part = packet_allocate();
        uint32_t next = 0;
        if (!part) {
            app_count(app, DROP_NO_PACKET, 1);
            break;
        }
        memcpy(part->data, p->data, l3);
        part->length = l3 + rewrite_fragment(part->data + l3, ip, total, at,
                                             mtu < room ? mtu : room, &next);
        part->timestamp = p->timestamp;
        send_one(app, output, part);
        at = next;
        sent = !at;
    } while (at);
    packet_free(p);
    return sent;
}

/* The inner frame alone, from its Ethernet header to the end of its IP packet. What travels beside
 * it is said of the outer one: its tag, its checksum, its flow. */
static uint32_t uncover(const struct app *app, struct packet *p,
                        const struct vxlan_frame *f, const struct vxlan_flow *flow)
{
    const struct vxlan_nat *nat = app->state;
    const union vxlan_hop *hop = &nat->state->hops[flow->hop];
    uint32_t l3 = f->l3 - f->inner;
    packet_resize(p, f->end);
    packet_trim_front(p, f->inner);
    p->flags = 0;
    p->hash = 0;
    if (f->tags && nat->plan.policy.inner_vlan == INNER_VLAN_STRIP) {
        memmove(p->data + l3 - 14, p->data, 12);
        packet_trim_front(p, l3 - 14);
        l3 = 14;
    }
    if (hop->state == MAC_KNOWN)
        memcpy(p->data, hop->mac, 6);
    if (nat->state->source.state == MAC_KNOWN)
        memcpy(p->data + 6, nat->state->source.mac, 6);
    return l3;
}

/* DF is not cleared, or nothing can be cut into fragments. */
static bool is_stuck(const struct vxlan_nat *nat, const struct vxlan_frame *f)
{
    return f->family == 6 || f->truncated || (f->df && !nat->plan.clear_df);
}

void vxlan_forward(struct app *app, struct packet *p, const struct vxlan_frame *f,
                   const struct vxlan_flow *flow)
{
    struct vxlan_nat *nat = app->state;
    const struct plan *plan = &nat->plan;
    struct link *output = app_output(app, 0);
    struct vxlan_change change = { plan->clear_df, plan->decrement, 0 };
    bool fits = !flow->mtu || f->end - f->l3 <= flow->mtu;
    if (f->hops < 1u + plan->decrement) {
        vxlan_refuse_packet(app, p, VX_TTL_EXCEEDED);
    } else if (!fits && is_stuck(nat, f)) {
        vxlan_refuse_packet(app, p, VX_MTU);
    } else if (!output) {
        vxlan_refuse_packet(app, p, VX_NO_OUTPUT);
    } else {
        if (plan->clear_df && f->df)
            change.id = htons((uint16_t)++nat->state->ids[vxlan_id_slot(f)]);
        app_count(app, DF_CLEARED, rewrite_packet(p->data, f, &flow->to, &change));
        app_count(app, NAT_APPLIED, flow->flags & FLOW_REWRITTEN);
        uint32_t l3 = uncover(app, p, f, flow);
        if (fits)
            send_one(app, output, p);
        bool sent = fits || send_fragments(app, output, p, l3, flow->mtu);
        app_count(app, FORWARDED, sent);
        app_count(app, REDIRECTED, sent);
        app_count(app, ERRORS, !sent);
    }
}
