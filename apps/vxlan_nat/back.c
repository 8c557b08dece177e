/* back: what becomes of frames that may answer what came in tunnels. */
#include "apps/vxlan_nat/look.h"
#include "apps/vxlan_nat/vxlan_nat.h"

/* The session that a packet answers: *answer is how. NULL: none. */
static struct vxlan_flow *find_session(struct vxlan_nat *nat, const struct vxlan_key *key,
                                       struct vxlan_key *flow_key,
                                       struct vxlan_flow **answer)
{
    *answer = sessions_answer(&nat->sessions, key);
    return *answer ? sessions_other(&nat->sessions, key, *answer, flow_key) : NULL;
}

static void take_later_fragment(struct app *app, const struct vxlan_seen *seen)
{
    struct vxlan_nat *nat = app->state;
    uint64_t now = engine_now(app->engine);
    struct vxlan_flow *answer = fragments_find(nat->fragments, seen, now);
    if (answer)
        vxlan_return(app, seen, answer);
    else if (!fragments_hold(nat->fragments, seen, now))
        vxlan_refuse_packet(app, seen->p, VX_BACK_EARLY);
}

static bool take_errors(struct app *app, const struct vxlan_seen *seen)
{
    const struct vxlan_frame *f = &seen->f;
    struct icmp_embedded e;
    if (f->protocol != (f->family == 4 ? VXLAN_ICMP : VXLAN_ICMPV6))
        return true;
    switch (icmp_read(seen->p->data, f, &e)) {
    case ICMP_ERROR:
        vxlan_error_back(app, seen, &e);
        return false;
    case ICMP_DAMAGED:
        vxlan_refuse_packet(app, seen->p, VX_BACK_ICMP_BAD);
        return false;
    default:
        return true;
    }
}

void vxlan_go_back(struct app *app, const struct vxlan_seen *seen)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_frame *f = &seen->f;
    struct vxlan_key key;
    struct vxlan_flow *answer;
    if (!f->l4) {
        take_later_fragment(app, seen);
        return;
    }
    struct vxlan_flow *flow = find_session(nat, &seen->f.key, &key, &answer);
    if (!flow) {
        vxlan_refuse_packet(app, seen->p, VX_BACK_OTHER);
        return;
    }
    vxlan_count_flow(nat, answer, f);
    sessions_see(&nat->sessions, &key, flow, f->tcp, true);
    if (f->fragment)
        fragments_put(nat->fragments, seen, answer, engine_now(app->engine));
    vxlan_return(app, seen, answer);
    if (f->fragment)
        vxlan_take_early(app, seen); /* whose packet is gone */
}

static void take(struct app *app, struct packet *p)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_seen seen = { .p = p, .back = true };
    app_count(app, BACK_PACKETS, 1);
    if (!nat->state->bidirectional ||
        !look_back(&nat->plan, p->data, p->length, &seen.f)) {
        vxlan_refuse_packet(app, p, VX_BACK_OTHER);
        return;
    }
    vxlan_key_of(&seen.f);
    if (take_errors(app, &seen))
        vxlan_go_back(app, &seen);
}

void vxlan_take_back(struct app *app, struct packet *const *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        take(app, p[i]);
}
