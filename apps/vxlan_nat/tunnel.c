/* tunnel: what becomes of frames that come in tunnels. */
#include "apps/vxlan_nat/admission.h"
#include "apps/vxlan_nat/look.h"
#include "apps/vxlan_nat/vxlan_nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum vxlan_stage vxlan_stage_of(uint8_t reason)
{
#define STAGE_ROW(NAME, name, stage, doc) [VX_##NAME] = STAGE_##stage,
    static const uint8_t stages[] = { VXLAN_REASONS(STAGE_ROW) };
    return stages[reason % VX_REASONS];
}

void vxlan_refuse_packet(struct app *app, struct packet *p, enum vxlan_reason reason)
{
    const struct vxlan_nat *nat = app->state;
    enum vxlan_stage stage = vxlan_stage_of((uint8_t)reason);
    vxlan_trace_refused(nat->live.trace, p, (uint8_t)reason);
    app_count(app, FIRST_REASON + reason - 1, 1);
    app_count(app, ERRORS, stage != STAGE_PASS && stage != STAGE_IGNORE);
    packet_free(p);
}

void vxlan_count_flow(const struct vxlan_nat *nat, struct vxlan_flow *flow,
                      const struct vxlan_frame *f)
{
    if (nat->fast) { /* which counts there as well */
        __atomic_fetch_add(&flow->packets, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&flow->bytes, f->end - f->inner, __ATOMIC_RELAXED);
    } else {
        flow->packets++;
        flow->bytes += f->end - f->inner;
    }
    flow->used = nat->state->now;
}

/* --- which flow? ----------------------------------------------------------------------- */

static bool is_stateful(const struct app *app)
{
    return ((const struct vxlan_nat_conf *)app->conf)->mode != MODE_ONEWAY;
}

/* What answers to a packet like f, which gets flow->to, get. */
static struct vxlan_flow answer_to(const uint8_t *frame, const struct vxlan_frame *f,
                                   const struct vxlan_flow *flow)
{
    struct vxlan_frame back = { .family = f->family,
                                .protocol = f->protocol,
                                .ports = f->ports,
                                .echo = f->echo,
                                .sport = ntohs(flow->to.dport),
                                .dport = ntohs(flow->to.sport) };
    struct rewrite_target source = { .port = f->dport, .has_port = true };
    struct rewrite_target destination = { .port = f->sport, .has_port = true };
    struct vxlan_flow answer = *flow;
    memcpy(back.src, flow->to.dst, 16);
    memcpy(back.dst, flow->to.src, 16);
    memcpy(source.address, f->dst, 16);
    memcpy(destination.address, f->src, 16);
    answer.to = rewrite_plan(&back, &source, &destination);
    answer.pseudo = vxlan_pseudo(&back);
    memcpy(answer.macs, frame + f->inner + 6, 6);
    memcpy(answer.macs + 6, frame + f->inner, 6);
    return answer;
}

/* The flow as it is known, or own, with the reason why not. */
static struct vxlan_flow *put_session(struct app *app, const struct vxlan_seen *seen,
                                      struct vxlan_flow *own)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_flow answer = answer_to(seen->p->data, &seen->f, own);
    struct vxlan_key answer_key = session_answer_key(&seen->f.key, own);
    int error;
    struct vxlan_flow *flow =
        sessions_add(&nat->sessions, &seen->f.key, own, &answer_key, &answer, &error);
    if (!flow)
        own->reason = error == -EEXIST ? VX_CT_CONFLICT : VX_CT_FULL;
    return flow ? flow : own;
}

/* The first source whose answers are nobody else's. */
static struct vxlan_flow *put_with_source(struct app *app, const struct vxlan_seen *seen,
                                          struct vxlan_flow *own)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_frame *f = &seen->f;
    struct rewrite_target source, to = { .port = ntohs(own->to.dport), .has_port = true };
    memcpy(to.address, own->to.dst, 16);
    own->flags |= FLOW_REWRITTEN;
    for (uint32_t i = 0; snat_choose(&nat->plan.snat, f, i, &source); i++) {
        own->to = rewrite_plan(f, &source, &to);
        own->reason = VX_NONE;
        struct vxlan_flow *flow = put_session(app, seen, own);
        if (flow != own || own->reason != VX_CT_CONFLICT)
            return flow;
    }
    own->reason = VX_SNAT_PORTS;
    return own;
}

static struct vxlan_flow *add_session(struct app *app, const struct vxlan_seen *seen,
                                      struct vxlan_flow *own)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    const struct vxlan_frame *f = &seen->f;
    own->flags |= FLOW_STATEFUL;
    own->transitory = f->protocol == VXLAN_TCP;
    if (f->protocol == VXLAN_TCP && !conf->tcp_loose && !(f->tcp & VXLAN_TCP_SYN)) {
        own->reason = VX_CT_INVALID;
        return own; /* the next one may begin it */
    }
    if (!nat->plan.snat.on)
        return put_session(app, seen, own);
    return put_with_source(app, seen, own);
}

/* Where nothing tells its packets from others, or there is no room, answers find no way. */
static struct vxlan_flow *add_flow(struct app *app, const struct vxlan_seen *seen,
                                   bool known, struct vxlan_flow *own)
{
    struct vxlan_nat *nat = app->state;
    bool possible = known && (own->reason || own->tunnel < VXLAN_TUNNELS);
    struct vxlan_flow *flow = NULL;
    int error;
    if (is_stateful(app) && !own->reason) {
        if (possible)
            return add_session(app, seen, own);
        own->reason = known ? VX_CT_FULL : VX_IN_L4_SHORT;
    }
    if (own->reason)
        memcpy(own->refused_at, seen->f.outer_dst, sizeof(own->refused_at));
    if (possible)
        flow = sessions_add(&nat->sessions, &seen->f.key, own, NULL, NULL, &error);
    return flow ? flow : own;
}

/* Decides about a packet. The flow as it is known from now on, or `own`: it cannot, or is not to, be
 * known. */
static struct vxlan_flow *decide_flow(struct app *app, const struct vxlan_seen *seen,
                                      bool known, struct vxlan_flow *own)
{
    struct vxlan_nat *nat = app->state;
    *own = (struct vxlan_flow){ .used = nat->state->now,
                                .vni = seen->f.vni,
                                .pseudo = vxlan_pseudo(&seen->f),
                                .tunnel = VXLAN_TUNNELS };
    admission_decide(&nat->plan, &seen->f, own);
    if (!own->reason) { /* what is refused is so wherever it comes from */
        own->tunnel = (uint16_t)vxlan_tunnel_number(nat, seen->p->data, &seen->f);
        own->hop = (uint16_t)vxlan_hop_number(nat, own->to.dst);
    }
    return add_flow(app, seen, known, own);
}

/* A session goes on by another tunnel, if it may come from there: ends of tunnels move. */
static bool moves(struct app *app, const struct vxlan_seen *seen, struct vxlan_flow *flow)
{
    struct vxlan_nat *nat = app->state;
    uint32_t tunnel = vxlan_tunnel_number(nat, seen->p->data, &seen->f);
    if (!(flow->flags & FLOW_STATEFUL) || tunnel >= VXLAN_TUNNELS)
        return false;
    struct vxlan_key key = session_answer_key(&seen->f.key, flow);
    struct vxlan_flow *answer = sessions_answer(&nat->sessions, &key);
    if (answer)
        answer->tunnel = (uint16_t)tunnel;
    flow->tunnel = (uint16_t)tunnel;
    return true;
}

/* NULL where it is to be decided. */
static struct vxlan_flow *known_flow(struct app *app, const struct vxlan_seen *seen)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_flow *flow =
        sessions_find_hashed(&nat->sessions, &seen->f.key, seen->hash);
    if (flow &&
        (flow->reason || vxlan_is_from(&seen->f, &nat->state->tunnels[flow->tunnel]) ||
         moves(app, seen, flow)))
        return flow;
    return NULL;
}

/* NULL: its first one did not come. */
static struct vxlan_flow *fragment_flow(struct app *app, const struct vxlan_seen *seen,
                                        struct vxlan_flow *own)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_frame *f = &seen->f;
    uint64_t now = engine_now(app->engine);
    if (!nat->plan.rules.by_port && !is_stateful(app))
        return decide_flow(app, seen, false, own);
    if (!f->l4)
        return fragments_find(nat->fragments, seen, now);
    bool known = f->ports || f->echo;
    struct vxlan_flow *flow = known ? known_flow(app, seen) : NULL;
    if (!flow)
        flow = decide_flow(app, seen, known, own);
    fragments_put(nat->fragments, seen, flow, now);
    return flow;
}

static struct vxlan_flow *find_flow(struct app *app, const struct vxlan_seen *seen,
                                    struct vxlan_flow *own)
{
    if (seen->f.fragment)
        return fragment_flow(app, seen, own);
    if (!vxlan_has_key(&seen->f))
        return decide_flow(app, seen, false, own);
    struct vxlan_flow *flow = known_flow(app, seen);
    return flow ? flow : decide_flow(app, seen, true, own);
}

/* --- fragments that are early ------------------------------------------------------------ */

void vxlan_wait_for_first(struct app *app, const struct vxlan_seen *seen)
{
    struct vxlan_nat *nat = app->state;
    if (!fragments_hold(nat->fragments, seen, engine_now(app->engine)))
        vxlan_refuse_packet(app, seen->p, seen->back ? VX_BACK_EARLY : VX_FRAG_EARLY);
}

void vxlan_take_early(struct app *app, const struct vxlan_seen *first)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_seen held;
    for (int i = 0; i < FRAGMENTS_HELD_EACH; i++) {
        if (!fragments_release(nat->fragments, first, &held))
            return;
        (held.back ? vxlan_go_back : vxlan_go_on)(app, &held);
    }
}

void vxlan_drop_early(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_seen held;
    while (fragments_expire(nat->fragments, engine_now(app->engine), &held))
        vxlan_refuse_packet(app, held.p, held.back ? VX_BACK_EARLY : VX_FRAG_EARLY);
}

/* --- the way of a packet ---------------------------------------------------------------- */

static void go_on(struct app *app, const struct vxlan_seen *seen,
                  struct vxlan_passed *passed)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_frame *f = &seen->f;
    struct vxlan_flow own, *flow = find_flow(app, seen, &own);
    if (!flow) {
        vxlan_wait_for_first(app, seen);
        return;
    }
    vxlan_trace_flow(nat->live.trace, seen->p, flow);
    vxlan_count_flow(nat, flow, f);
    if (passed && !flow->reason && !f->fragment &&
        vxlan_forward_known(app, seen, flow, passed))
        return;
    if (f->l4 && flow->flags & FLOW_STATEFUL && !flow->reason)
        sessions_see(&nat->sessions, &seen->f.key, flow, f->tcp, false);
    if (flow->reason)
        vxlan_refuse_packet(app, seen->p, flow->reason);
    else
        vxlan_forward(app, seen, flow);
    if (f->fragment && f->l4)
        vxlan_take_early(app, seen); /* whose packet is gone */
}

void vxlan_go_on(struct app *app, const struct vxlan_seen *seen)
{
    go_on(app, seen, NULL);
}

static void take(struct app *app, const struct vxlan_seen *seen,
                 struct vxlan_passed *passed)
{
    if (!is_stateful(app))
        go_on(app, seen, passed);
    else if (seen->f.truncated)
        vxlan_refuse_packet(app, seen->p, VX_CUT_OFF);
    else if (!vxlan_take_error(app, seen))
        go_on(app, seen, passed);
}

/* One of so many is looked at whether it is right as it comes. */
static void check_one(struct app *app, const struct vxlan_seen *seen, uint32_t n)
{
    struct vxlan_nat *nat = app->state;
    if ((nat->checked += n) < CHECKED)
        return;
    nat->checked = 0;
    app_count(app, CHECKED_CSUM, 1);
    app_count(app, CHECKED_CSUM_BAD, !rewrite_is_right(seen->p->data, &seen->f));
}

/* What is known of the inner packet; false: it went no further. *p: another one, when it was put
 * together of fragments. */
static bool look(struct app *app, struct packet **p, struct vxlan_frame *f)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    enum look what = look_tunnel(&nat->plan, (*p)->data, (*p)->length, f);
    if (what == LOOK_OUTSIDE && f->reason == VX_OUTER_FRAG && conf->reassemble) {
        *p = vxlan_reassemble(app, *p, f);
        if (!*p)
            return false;
        what = look_tunnel(&nat->plan, (*p)->data, (*p)->length, f);
    }
    vxlan_trace_frame(nat->live.trace, *p, (*p)->length, engine_now(app->engine), f);
    app_count(app, VXLAN_PACKETS, what != LOOK_OUTSIDE);
    if (what != LOOK_INSIDE) {
        vxlan_refuse_packet(app, *p, f->reason);
        return false;
    }
    app_count(app, INNER_PACKETS, 1);
    app_count(app, FIRST_REASON + VX_IN_TRUNC - 1, f->truncated);
    return true;
}

/* Of a batch that came at that time, if it is known. */
static void note_time(struct app *app, uint64_t came)
{
    uint64_t now = came ? engine_clock(app->engine) : 0;
    if (came)
        histogram_add(app->histograms[TOOK], now > came ? now - came : 0);
}

/* Memory comes while other packets are looked at. */
void vxlan_take_tunnelled(struct app *app, struct packet *const *p, uint32_t n)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_seen seen[VXLAN_BATCH];
    struct vxlan_passed passed = { 0 };
    uint32_t good = 0;
    uint64_t came = p[0]->timestamp;
    app_count(app, TOTAL_PACKETS, n);
    vxlan_trace_begin(nat->live.trace);
    for (uint32_t i = 0; i < n; i++) {
        struct vxlan_seen *this = &seen[good];
        this->p = p[i];
        if (!look(app, &this->p, &this->f))
            continue;
        this->back = false;
        this->hash = sessions_hash(&nat->sessions, vxlan_key_of(&this->f));
        good++;
    }
    for (uint32_t i = 0; i < good; i++)
        sessions_expect(&nat->sessions, seen[i].hash);
    if (good)
        check_one(app, &seen[0], good);
    for (uint32_t i = 0; i < good; i++)
        take(app, &seen[i], &passed);
    vxlan_tables_count(app, &passed);
    note_time(app, came);
}
