/* tables: VxlanNat's flows, and what they refer to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/vxlan_nat/admission.h"
#include "apps/vxlan_nat/vxlan_nat.h"
#include "lib/interface.h"
#include "lib/random.h"
#include "lib/table.h"

#define SECOND   1000000000ull
#define PATIENCE (60 * SECOND) /* between tries to attach: each loads a program */
#define REFUSED                                                                          \
    50 /* tenths of a second: packets that are dropped need not be known for long */
#define TCP_RESET 100

static uint32_t tenths(uint64_t ns)
{
    return (uint32_t)(ns / TENTH);
}

static struct session_timers timers_of(const struct vxlan_nat_conf *conf)
{
    return (struct session_timers){ .tcp_established = tenths(conf->tcp_established),
                                    .tcp_transitory = tenths(conf->tcp_transitory),
                                    .tcp_reset = TCP_RESET,
                                    .udp_answered = tenths(conf->udp_answered),
                                    .udp_unanswered = tenths(conf->udp_unanswered),
                                    .icmp = tenths(conf->icmp),
                                    .other = tenths(conf->other),
                                    .stateless = tenths(conf->udp_answered),
                                    .refused = REFUSED };
}

/* Where the flows are; nat->fast stays NULL when there is to be no fast path, or none can be and that
 * is as good. */
static int open_fast(struct app *app, uint32_t flows, uint64_t seed, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    struct error why;
    if (conf->fastpath == FASTPATH_OFF || !conf->ingress || !conf->egress)
        return 0;
    nat->fast = fast_path_new(flows, seed, &why);
    if (!nat->fast && conf->fastpath == FASTPATH_XDP) {
        *err = why;
        return -EIO;
    }
    if (!nat->fast) {
        snprintf(nat->live.path, sizeof(nat->live.path), "%s", why.text);
        app_log(app, "no fast path: %s", why.text);
    }
    return 0;
}

int vxlan_tables_open(struct app *app, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    struct random_key random = random_key(app->engine->options.seed, app->name, "flows");
    struct siphash_key seed = { random_draw(&random, 0), random_draw(&random, 1) };
    struct sessions *s = &nat->sessions;
    uint32_t room = (uint32_t)conf->sessions, back = conf->mode == MODE_ONEWAY ? 1 : room;
    uint64_t secret = random_draw(&random, 2);
    int error = open_fast(app, room, secret, err);
    if (error)
        return error;
    s->state = nat->fast ? fast_path_state(nat->fast) : calloc(1, sizeof(*s->state));
    s->flows = nat->fast ? fast_path_flows(nat->fast)
                         : shared_table_new(VXLAN_KEY_WORDS, sizeof(struct vxlan_flow),
                                            room, secret);
    s->answers =
        shared_table_new(VXLAN_KEY_WORDS, sizeof(struct vxlan_flow), back, secret);
    nat->state = s->state;
    nat->tunnels = table_new(32, sizeof(uint64_t), VXLAN_TUNNELS, &seed, TABLE_REFUSE);
    if (!s->state || !s->flows || !s->answers || !nat->tunnels)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for %u sessions", room);
    return 0;
}

void vxlan_tables_close(struct vxlan_nat *nat)
{
    table_free(nat->tunnels);
    shared_table_free(nat->sessions.answers);
    if (nat->fast) {
        fast_path_free(nat->fast);
        return;
    }
    shared_table_free(nat->sessions.flows);
    free(nat->state);
}

static uint32_t tunnel_mtu(const struct vxlan_nat_conf *conf)
{
    struct interface ingress;
    if (conf->tunnel_mtu || !conf->ingress)
        return (uint32_t)conf->tunnel_mtu;
    return interface_query(conf->ingress, &ingress, NULL) ? 0 : ingress.mtu;
}

/* MACs that do not depend on where a frame goes. */
static void set_fixed(struct vxlan_nat *nat)
{
    const struct plan *plan = &nat->plan;
    union vxlan_hop hop = { .state = plan->has_dmac ? MAC_KNOWN : MAC_KEPT };
    union vxlan_hop source = { .state = plan->has_smac ? MAC_KNOWN : MAC_KEPT };
    memcpy(hop.mac, plan->dmac, 6);
    memcpy(source.mac, plan->smac, 6);
    nat->state->hops[VXLAN_HOP_FIXED].word = hop.word;
    if (!nat->next_hop)
        nat->state->source.word = source.word;
}

void vxlan_tables_follow(struct app *app, const struct vxlan_nat_conf *conf)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_state *state = nat->state;
    const struct plan *plan = &nat->plan;
    const struct vxlan_key *key;
    struct vxlan_flow *flow;
    uint64_t at = 0;
    state->policy = plan->policy;
    state->clear_df = plan->clear_df;
    state->decrement = plan->decrement;
    state->shared = nat->fast != NULL;
    state->finish =
        plan->checksum == CHECKSUM_ANEW ? 2 : plan->checksum == CHECKSUM_FINISHED;
    state->bidirectional = conf->mode != MODE_ONEWAY;
    nat->tunnel_mtu = tunnel_mtu(conf);
    set_fixed(nat);
    if (conf->mtu || !nat->next_hop)
        state->mtu = (uint32_t)conf->mtu;
    nat->sessions.timers = timers_of(conf);
    while ((flow = sessions_next(&nat->sessions, &at, &key)))
        if (flow->reason || !admission_holds(plan, key, &state->tunnels[flow->tunnel],
                                             conf->keep_sessions))
            sessions_remove(&nat->sessions, key);
}

/* --- tunnels ------------------------------------------------------------------------- */

/* The lowest number that is free. */
static uint32_t free_number(const struct vxlan_nat *nat)
{
    uint32_t number = 0;
    while (number < VXLAN_TUNNELS && nat->state->tunnels[number].known)
        number++;
    return number;
}

uint32_t vxlan_tunnel_number(struct vxlan_nat *nat, const uint8_t *frame,
                             const struct vxlan_frame *f)
{
    uint32_t ends[8];
    memcpy(ends, f->outer_dst, 16);
    memcpy(ends + 4, f->outer_src, 16);
    uint64_t *number = table_find(nat->tunnels, ends);
    uint32_t made;
    if (!number && (made = free_number(nat)) < VXLAN_TUNNELS &&
        (number = table_insert(nat->tunnels, ends))) {
        *number = made;
        memcpy(nat->state->tunnels[made].ours, f->outer_dst, 16);
        memcpy(nat->state->tunnels[made].peer, f->outer_src, 16);
    }
    if (!number)
        return VXLAN_TUNNELS;
    struct vxlan_tunnel *tunnel = &nat->state->tunnels[*number];
    memcpy(tunnel->our_mac, frame, 6);
    memcpy(tunnel->peer_mac, frame + 6, 6);
    memcpy(&tunnel->port, frame + f->udp + 2, 2);
    tunnel->known = 1;
    nat->wanted[*number] = true;
    return (uint32_t)*number;
}

/* Forgets tunnels that no flow refers to any more. */
static void forget_tunnels(struct vxlan_nat *nat)
{
    for (uint32_t i = 0; i < VXLAN_TUNNELS; i++) {
        struct vxlan_tunnel *tunnel = &nat->state->tunnels[i];
        if (tunnel->known && !nat->wanted[i]) {
            tunnel->known = 0;
            table_remove(nat->tunnels, tunnel->ours); /* and peer, which is behind it */
        }
        nat->wanted[i] = false;
    }
}

static void want(const struct vxlan_flow *flow, void *user)
{
    struct vxlan_nat *nat = user;
    if (flow->tunnel < VXLAN_TUNNELS)
        nat->wanted[flow->tunnel] = true;
    nat->hop_wanted[flow->hop] = true;
}

/* A round over all flows: those that are over go, and tunnels and hops of which none is left, and no
 * packet of which later fragments may come. */
void vxlan_tables_sweep(struct vxlan_nat *nat, uint64_t now)
{
    struct sessions *s = &nat->sessions;
    const struct vxlan_key *key;
    struct vxlan_flow *flow = NULL;
    if (now < nat->next_round)
        return;
    for (uint32_t i = 0; i < SWEEP && (flow = sessions_next(s, &nat->swept, &key)); i++) {
        if (sessions_left(s, key, flow))
            want(flow, nat);
        else
            sessions_remove(s, key);
    }
    if (flow)
        return;
    nat->swept = 0;
    nat->next_round = now + TENTH;
    fragments_each(nat->fragments, now, want, nat);
    forget_tunnels(nat);
    vxlan_hops_forget(nat);
}

/* --- the fast path ------------------------------------------------------------------- */

void vxlan_tables_count(struct app *app, const struct vxlan_passed *passed)
{
    app_count(app, NAT_APPLIED, passed->rewritten);
    app_count(app, DF_CLEARED, passed->df_cleared);
    app_count(app, FORWARDED, passed->forwarded);
    app_count(app, REDIRECTED, passed->forwarded);
    app_count(app, BYTES_PROCESSED, passed->bytes);
}

static void count_fast(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_counts since;
    uint64_t refused = 0;
    fast_path_collect(nat->fast, &since);
    for (uint32_t reason = VX_NONE + 1; reason < VX_REASONS; reason++) {
        refused += since.refused[reason];
        app_count(app, FIRST_REASON + reason - 1, since.refused[reason]);
    }
    vxlan_tables_count(app, &since.passed);
    app_count(app, FIRST_REASON + VX_IN_TRUNC - 1, since.truncated);
    app_count(app, TOTAL_PACKETS, since.passed.forwarded + refused);
    app_count(app, VXLAN_PACKETS, since.passed.forwarded + refused);
    app_count(app, INNER_PACKETS, since.passed.forwarded + refused);
    app_count(app, FAST_PACKETS, since.passed.forwarded);
    app_count(app, ERRORS, refused);
}

/* Why not is said once. */
static void attach_fast(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    struct error err;
    if (!fast_path_attach(nat->fast, conf->ingress, conf->egress, &err)) {
        app_log(app, "fast path: %s", fast_path_describe(nat->fast));
        *nat->live.path = 0;
        nat->complained = false;
        nat->patience = 0;
        return;
    }
    nat->patience = nat->patience < PATIENCE ? 2 * nat->patience + SECOND : PATIENCE;
    nat->next_try = engine_now(app->engine) + nat->patience;
    if (!nat->complained) {
        app_log(app, "no fast path: %s", err.text);
        snprintf(nat->live.path, sizeof(nat->live.path), "%s", err.text);
        nat->complained = true;
    }
}

void vxlan_tables_follow_fast(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    uint64_t now = engine_now(app->engine);
    count_fast(app);
    if (now < nat->looked + TENTH)
        return;
    nat->looked = now;
    if (fast_path_is_attached(nat->fast) && fast_path_is_stale(nat->fast))
        fast_path_detach(nat->fast);
    if (!fast_path_is_attached(nat->fast) && now >= nat->next_try)
        attach_fast(app);
}
