/* forward: how VxlanNat's packets go out, either way. */
#include <netinet/in.h>
#include <string.h>

#include "apps/vxlan_nat/encap.h"
#include "apps/vxlan_nat/vxlan_nat.h"

enum { TO_OUTPUT, TO_BACK };

/* How a frame is sent, and what that needs to know. */
struct passage {
    bool (*send)(struct app *app, struct packet *p, const struct passage *passage);
    const struct vxlan_flow *flow;
    struct vxlan_way way;
};

/* The packet in as many frames as it takes; it is freed. What came in a large packet goes out in
 * ordinary ones, whatever mtu allows. False: not all of it went out, for want of packets or, back,
 * of a link. */
static bool send_fragments(struct app *app, struct packet *p, uint32_t l3, uint32_t mtu,
                           const struct passage *passage)
{
    const uint8_t *ip = p->data + l3;
    uint32_t total = p->length - l3, at = 0, room = packet_capacity() - l3;
    bool sent = false;
    app_count(app, FRAGMENTED, 1);
    do {
        struct packet *part = packet_allocate();
        uint32_t next = 0;
        if (!part)
            break;
        memcpy(part->data, p->data, l3);
        part->length = l3 + rewrite_fragment(part->data + l3, ip, total, at,
                                             mtu < room ? mtu : room, &next);
        part->timestamp = p->timestamp;
        sent = passage->send(app, part, passage);
        at = next;
    } while (at && sent);
    packet_free(p);
    return sent && !at;
}

/* What travels beside the frame is said of the outer one: its tag, its checksum, its flow. */
uint32_t vxlan_uncover(const struct app *app, struct packet *p,
                       const struct vxlan_frame *f)
{
    const struct vxlan_nat *nat = app->state;
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
    return l3;
}

uint32_t vxlan_back_mtu(const struct vxlan_nat *nat, const struct vxlan_flow *flow)
{
    uint32_t overhead = encap_overhead(&nat->state->tunnels[flow->tunnel]);
    if (!nat->tunnel_mtu)
        return 0;
    return nat->tunnel_mtu > overhead + MTU_LEAST ? nat->tunnel_mtu - overhead
                                                  : MTU_LEAST;
}

/* The longest packet that goes both ways; 0: any. */
static uint32_t narrowest(const struct app *app, const struct vxlan_flow *flow)
{
    const struct vxlan_nat *nat = app->state;
    uint32_t on = nat->state->mtu, back = vxlan_back_mtu(nat, flow);
    return on && (!back || on < back) ? on : back;
}

static void clamp(struct app *app, const struct vxlan_seen *seen,
                  const struct vxlan_flow *flow)
{
    const struct vxlan_frame *f = &seen->f;
    uint32_t most = narrowest(app, flow), headers = f->family == 4 ? 40 : 60;
    if (most > headers)
        rewrite_mss(seen->p->data, f, (uint16_t)(most - headers));
}

/* Addresses, ports, TTL, DF; and what a SYN asks for. */
static void change_packet(struct app *app, const struct vxlan_seen *seen,
                          const struct vxlan_flow *flow)
{
    struct vxlan_nat *nat = app->state;
    const struct plan *plan = &nat->plan;
    const struct vxlan_frame *f = &seen->f;
    struct vxlan_change change = { plan->clear_df, plan->decrement, 0 };
    if (plan->checksum != CHECKSUM_KEPT)
        app_count(app, CSUM_FINISHED,
                  rewrite_finish(seen->p->data, f, plan->checksum == CHECKSUM_ANEW));
    if (plan->clear_df && f->df)
        change.id = htons(VXLAN_NEXT_ID(nat->state, vxlan_id_slot(f)));
    app_count(app, DF_CLEARED, rewrite_packet(seen->p->data, f, &flow->to, &change));
    if (f->tcp & VXLAN_TCP_SYN && plan->clamp_mss)
        clamp(app, seen, flow);
}

/* DF is not cleared, or nothing can be cut into fragments. */
static bool is_stuck(const struct vxlan_nat *nat, const struct vxlan_frame *f)
{
    return f->family == 6 || f->truncated || (f->df && !nat->plan.clear_df);
}

/* Makes of the packet what its flow wants. The reason why it is not, or VX_NONE: *l3 is where its IP
 * header is then. */
static enum vxlan_reason prepare(struct app *app, const struct vxlan_seen *seen,
                                 const struct vxlan_flow *flow, uint32_t mtu,
                                 uint32_t *l3)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_frame *f = &seen->f;
    if (f->hops < 1u + nat->plan.decrement) {
        vxlan_tell(app, seen, flow, ICMP_TIME_EXCEEDED, 0);
        return VX_TTL_EXCEEDED;
    }
    if (mtu && f->end - f->l3 > mtu && is_stuck(nat, f)) {
        vxlan_tell(app, seen, flow, ICMP_TOO_BIG, mtu);
        return VX_MTU;
    }
    change_packet(app, seen, flow);
    *l3 = vxlan_uncover(app, seen->p, f);
    return VX_NONE;
}

/* --- on -------------------------------------------------------------------------------- */

bool vxlan_forward_known(struct app *app, const struct vxlan_seen *seen,
                         const struct vxlan_flow *flow, struct vxlan_passed *passed)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_frame *f = &seen->f;
    struct link *output = app_output(app, TO_OUTPUT);
    struct packet *p = seen->p;
    if (!output || !vxlan_pass(p->data, p->data + f->end, f, flow, nat->state))
        return false;
    p->data += f->inner;
    p->length = f->end - f->inner;
    p->flags = 0;
    p->hash = 0;
    link_transmit(output, p);
    vxlan_count_passed(passed, f, flow, nat->state);
    return true;
}

static bool emit_one(struct app *app, struct packet *p, const struct passage *passage)
{
    (void)passage;
    app_count(app, BYTES_PROCESSED, p->length);
    link_transmit(app_output(app, TO_OUTPUT), p);
    return true;
}

static uint32_t l3_of(const struct packet *p)
{
    uint32_t l3 = 14;
    while (p->data[l3 - 2] == 0x81 || p->data[l3 - 2] == 0x88 || p->data[l3 - 2] == 0x91)
        l3 += 4;
    return l3;
}

/* Only of IPv4 there are fragments, and not against its will. */
static bool may_cut(const uint8_t *ip)
{
    return ip[0] >> 4 == 4 && !(ip[6] & 0x40);
}

void vxlan_emit(struct app *app, struct packet *p)
{
    static const struct passage passage = { .send = emit_one };
    const struct vxlan_nat *nat = app->state;
    uint32_t l3 = l3_of(p);
    uint32_t mtu = nat->state->mtu;
    if (!app_output(app, TO_OUTPUT)) { /* not any more, for a frame that waited */
        vxlan_refuse_packet(app, p, VX_NO_OUTPUT);
        return;
    }
    if (mtu && p->length - l3 > mtu && !may_cut(p->data + l3)) {
        vxlan_refuse_packet(app, p, VX_MTU); /* what it fitted has become narrower */
        return;
    }
    bool sent = !mtu || p->length - l3 <= mtu ? emit_one(app, p, &passage)
                                              : send_fragments(app, p, l3, mtu, &passage);
    app_count(app, FORWARDED, sent);
    app_count(app, REDIRECTED, sent);
    app_count(app, DROP_NO_PACKET, !sent);
    app_count(app, ERRORS, !sent);
}

void vxlan_send_on(struct app *app, struct packet *p, const struct vxlan_flow *flow)
{
    const struct vxlan_nat *nat = app->state;
    union vxlan_hop hop = nat->state->hops[flow->hop];
    if (hop.state == MAC_UNKNOWN) {
        vxlan_resolve(app, p, flow->to.dst);
        return;
    }
    if (hop.state == MAC_KNOWN)
        memcpy(p->data, hop.mac, 6);
    if (nat->state->source.state == MAC_KNOWN)
        memcpy(p->data + 6, nat->state->source.mac, 6);
    vxlan_emit(app, p);
}

void vxlan_forward(struct app *app, const struct vxlan_seen *seen,
                   const struct vxlan_flow *flow)
{
    const struct vxlan_nat *nat = app->state;
    enum vxlan_reason reason = VX_NO_OUTPUT;
    uint32_t l3;
    if (app_output(app, TO_OUTPUT))
        reason = prepare(app, seen, flow, nat->state->mtu, &l3);
    if (reason) {
        vxlan_refuse_packet(app, seen->p, reason);
        return;
    }
    app_count(app, NAT_APPLIED, flow->flags & FLOW_REWRITTEN);
    vxlan_send_on(app, seen->p, flow);
}

/* --- back ------------------------------------------------------------------------------- */

static bool cover(struct vxlan_nat *nat, struct packet *p, const struct vxlan_way *way)
{
    struct encap how = { .vni = way->vni,
                         .entropy = way->entropy,
                         .id = ++nat->outer_id,
                         .no_csum6 = nat->plan.policy.udp6_zero };
    return encap(p, &nat->state->tunnels[way->tunnel], &how);
}

bool vxlan_send_back(struct app *app, struct packet *p, const struct vxlan_way *way)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    const struct vxlan_tunnel *tunnel = &nat->state->tunnels[way->tunnel];
    struct link *output = app_output(app, TO_BACK);
    uint32_t length = p->length;
    if (conf->mode == MODE_NAT_OUT) {
        memcpy(p->data, tunnel->peer_mac, 6);
        memcpy(p->data + 6, tunnel->our_mac, 6);
    }
    if (!output || (conf->mode == MODE_ROUTE && !cover(nat, p, way))) {
        packet_free(p);
        return false;
    }
    app_count(app, BACK_BYTES, length);
    link_transmit(output, p);
    return true;
}

static bool send_back(struct app *app, struct packet *p, const struct passage *passage)
{
    memcpy(p->data, passage->flow->macs, 12);
    return vxlan_send_back(app, p, &passage->way);
}

void vxlan_count_back(struct app *app, bool sent)
{
    app_count(app, BACK_FORWARDED, sent);
    app_count(app, FIRST_REASON + VX_BACK_NO_OUTPUT - 1, !sent);
    app_count(app, ERRORS, !sent);
}

/* What a packet that came back is refused for. */
static enum vxlan_reason back_reason(enum vxlan_reason reason)
{
    return reason == VX_MTU ? VX_BACK_MTU : VX_BACK_TTL;
}

void vxlan_return(struct app *app, const struct vxlan_seen *seen,
                  const struct vxlan_flow *answer)
{
    const struct vxlan_rewrite *to = &answer->to;
    const struct passage passage = {
        .send = send_back,
        .flow = answer,
        .way = { answer->tunnel, answer->vni,
                 (to->src[3] ^ to->dst[3]) * 0x9e3779b1u ^ to->sport ^ to->dport },
    };
    uint32_t l3, mtu = vxlan_back_mtu(app->state, answer);
    enum vxlan_reason reason = prepare(app, seen, answer, mtu, &l3);
    if (reason) {
        vxlan_refuse_packet(app, seen->p, back_reason(reason));
        return;
    }
    bool sent = !mtu || seen->p->length - l3 <= mtu
                    ? send_back(app, seen->p, &passage)
                    : send_fragments(app, seen->p, l3, mtu, &passage);
    vxlan_count_back(app, sent);
}
