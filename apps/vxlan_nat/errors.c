/* errors: ICMP errors about packets of sessions, and our own. */
#include <arpa/inet.h>
#include <string.h>

#include "apps/vxlan_nat/rewrite.h"
#include "apps/vxlan_nat/vxlan_nat.h"

#define INTERVAL 1000000ull  /* ns: a thousand a second */
#define BURST    50000000ull /* ns, of as many as come at once */

/* The key of the packets that the embedded one answers, and of those it is answered by. */
static struct vxlan_key reversed(const struct vxlan_frame *f,
                                 const struct icmp_embedded *e, uint32_t vni)
{
    bool query = vxlan_is_icmp(f->family, e->protocol);
    struct vxlan_key key = { .network = vni | (uint32_t)e->protocol << 24 };
    memcpy(key.src, e->dst, 16);
    memcpy(key.dst, e->src, 16);
    if (!e->ports)
        return key;
    /* of a query the identifier is where the question has it, or the answer */
    key.identity = query ? (vni ? (uint32_t)e->sport << 16 : e->sport)
                         : (uint32_t)e->dport << 16 | e->sport;
    return key;
}

static struct icmp_end end_of(const uint32_t address[4], uint16_t port)
{
    struct icmp_end end = { .port = ntohs(port) };
    memcpy(end.address, address, 16);
    return end;
}

/* What was sent by the rewrite `to` comes back: its source was to.dst, its destination to.src. */
static void turn_round(const struct vxlan_seen *seen, const struct icmp_embedded *e,
                       const struct vxlan_rewrite *to)
{
    bool query = vxlan_is_icmp(seen->f.family, e->protocol);
    uint16_t id = to->sport | to->dport;
    struct icmp_translation how = {
        .src = end_of(to->dst, query ? id : to->dport),
        .dst = end_of(to->src, query ? id : to->sport),
    };
    memcpy(how.outer_src, seen->f.src, 16);
    memcpy(how.outer_dst, to->dst, 16);
    /* it is the other end itself who says it, or nobody is to see who does (RFC 5508, 4.2) */
    if (!memcmp(seen->f.src, e->dst, 16) ||
        (!seen->back && memcmp(to->src, e->dst, 16) != 0))
        memcpy(how.outer_src, to->src, 16);
    icmp_translate(seen->p->data, &seen->f, e, &how);
}

/* It is forwarded like any other. False: its TTL does not allow that. */
static bool take_hop(const struct vxlan_nat *nat, const struct vxlan_seen *seen)
{
    const struct vxlan_change change = { .decrement = nat->plan.decrement };
    const struct vxlan_rewrite same = rewrite_plan(&seen->f, NULL, NULL);
    if (seen->f.hops < 1u + nat->plan.decrement)
        return false;
    rewrite_packet(seen->p->data, &seen->f, &same, &change);
    return true;
}

static void error_on(struct app *app, const struct vxlan_seen *seen,
                     const struct icmp_embedded *e)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_key key = reversed(&seen->f, e, seen->f.vni);
    const struct vxlan_flow *flow = sessions_find(&nat->sessions, &key);
    if (!flow || flow->reason || !app_output(app, 0)) {
        vxlan_refuse_packet(app, seen->p, flow ? VX_NO_OUTPUT : VX_ICMP_ORPHAN);
        return;
    }
    if (nat->state->mtu && seen->f.end - seen->f.l3 > nat->state->mtu) {
        vxlan_refuse_packet(app, seen->p, VX_MTU); /* nobody is told of an error */
        return;
    }
    if (!take_hop(nat, seen)) {
        vxlan_refuse_packet(app, seen->p, VX_TTL_EXCEEDED);
        return;
    }
    turn_round(seen, e, &flow->to);
    vxlan_uncover(app, seen->p, &seen->f);
    app_count(app, NAT_APPLIED, 1);
    vxlan_send_on(app, seen->p, flow);
}

static void error_back(struct app *app, const struct vxlan_seen *seen,
                       const struct icmp_embedded *e)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_key key = reversed(&seen->f, e, 0);
    const struct vxlan_flow *answer = sessions_answer(&nat->sessions, &key);
    if (!answer) {
        vxlan_refuse_packet(app, seen->p, VX_BACK_OTHER);
        return;
    }
    uint32_t mtu = vxlan_back_mtu(nat, answer);
    if (mtu && seen->f.end - seen->f.l3 > mtu) {
        vxlan_refuse_packet(app, seen->p, VX_BACK_MTU); /* nobody is told of an error */
        return;
    }
    if (!take_hop(nat, seen)) {
        vxlan_refuse_packet(app, seen->p, VX_BACK_TTL);
        return;
    }
    struct vxlan_way way = { answer->tunnel, answer->vni, answer->to.dst[3] };
    turn_round(seen, e, &answer->to);
    vxlan_uncover(app, seen->p, &seen->f);
    memcpy(seen->p->data, answer->macs, 12);
    vxlan_count_back(app, vxlan_send_back(app, seen->p, &way));
}

bool vxlan_take_error(struct app *app, const struct vxlan_seen *seen)
{
    struct icmp_embedded e;
    if (!vxlan_is_icmp(seen->f.family, seen->f.protocol))
        return false;
    switch (icmp_read(seen->p->data, &seen->f, &e)) {
    case ICMP_ERROR:
        (seen->back ? error_back : error_on)(app, seen, &e);
        return true;
    case ICMP_DAMAGED:
        vxlan_refuse_packet(app, seen->p, seen->back ? VX_BACK_ICMP_BAD : VX_ICMP_BAD);
        return true;
    default:
        return false;
    }
}

/* --- our own ---------------------------------------------------------------------------- */

static bool may_tell(struct vxlan_nat *nat, uint64_t now)
{
    if (nat->icmp_due > now + BURST)
        return false;
    nat->icmp_due = (nat->icmp_due > now ? nat->icmp_due : now) + INTERVAL;
    return true;
}

/* To the sender of the frame, from the one it was meant for; in its VLAN, if there are any. */
static struct packet *make_error(const struct vxlan_nat *nat,
                                 const struct vxlan_seen *seen, enum icmp_error error,
                                 uint32_t mtu)
{
    const struct vxlan_frame *f = &seen->f;
    const uint8_t *frame = seen->p->data, *ethernet = frame + f->inner;
    bool tags = nat->plan.policy.inner_vlan == INNER_VLAN_KEEP;
    uint32_t l3 = tags ? (uint32_t)f->l3 - f->inner : 14;
    struct packet *p = ethernet[0] & 1 ? NULL : packet_allocate();
    if (!p)
        return NULL;
    uint32_t length = icmp_make(p->data + l3, ICMP_MOST, error, mtu, frame + f->l3,
                                f->end - f->l3, (const uint8_t *)f->dst);
    if (!length) {
        packet_free(p);
        return NULL;
    }
    memcpy(p->data, ethernet + 6, 6);
    memcpy(p->data + 6, ethernet, 6);
    memcpy(p->data + 12, ethernet + 12, l3 - 14);
    p->data[l3 - 2] = f->family == 4 ? 0x08 : 0x86;
    p->data[l3 - 1] = f->family == 4 ? 0x00 : 0xdd;
    p->length = l3 + length;
    return p;
}

void vxlan_tell(struct app *app, const struct vxlan_seen *seen,
                const struct vxlan_flow *flow, enum icmp_error error, uint32_t mtu)
{
    struct vxlan_nat *nat = app->state;
    struct packet *p = NULL;
    if (nat->state->bidirectional && may_tell(nat, engine_now(app->engine)))
        p = make_error(nat, seen, error, mtu);
    if (!p)
        return;
    struct vxlan_way way = { flow->tunnel, flow->vni, flow->to.src[3] };
    bool sent = true;
    if (!seen->back)
        sent = vxlan_send_back(app, p, &way);
    else if (app_output(app, 0))
        link_transmit(app_output(app, 0), p);
    else
        packet_free(p);
    app_count(app, ICMP_SENT, sent);
}
