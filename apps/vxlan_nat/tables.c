/* tables: VxlanNat's flows, and what they refer to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/vxlan_nat/admission.h"
#include "apps/vxlan_nat/vxlan_nat.h"
#include "lib/random.h"
#include "lib/table.h"

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

int vxlan_tables_open(struct app *app, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    struct random_key random = random_key(app->engine->options.seed, app->name, "flows");
    struct siphash_key seed = { random_draw(&random, 0), random_draw(&random, 1) };
    struct sessions *s = &nat->sessions;
    uint32_t room = (uint32_t)conf->sessions, back = conf->mode == MODE_ONEWAY ? 1 : room;
    nat->state = calloc(1, sizeof(*nat->state));
    s->state = nat->state;
    s->flows = shared_table_new(VXLAN_KEY_WORDS, sizeof(struct vxlan_flow), room,
                                random_draw(&random, 2));
    s->answers = shared_table_new(VXLAN_KEY_WORDS, sizeof(struct vxlan_flow), back,
                                  random_draw(&random, 3));
    nat->tunnels = table_new(32, sizeof(uint64_t), VXLAN_TUNNELS, &seed, TABLE_REFUSE);
    return nat->state && s->flows && s->answers && nat->tunnels
               ? 0
               : error_set(err, ERROR_RUN, ENOMEM, "no memory for %u sessions", room);
}

void vxlan_tables_close(struct vxlan_nat *nat)
{
    shared_table_free(nat->sessions.flows);
    shared_table_free(nat->sessions.answers);
    table_free(nat->tunnels);
    free(nat->state);
}

void vxlan_tables_follow(struct app *app)
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
    state->hops[0] = state->source = (union vxlan_hop){ .state = MAC_KEPT };
    if (plan->has_dmac)
        state->hops[0].state = MAC_KNOWN;
    if (plan->has_smac)
        state->source.state = MAC_KNOWN;
    memcpy(state->hops[0].mac, plan->dmac, 6);
    memcpy(state->source.mac, plan->smac, 6);
    nat->sessions.timers = timers_of(app->conf);
    while ((flow = sessions_next(&nat->sessions, &at, &key)))
        if (flow->reason || !admission_holds(plan, key, &state->tunnels[flow->tunnel]))
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

/* A round over all flows: those that are over go, and tunnels of which none is left. */
void vxlan_tables_sweep(struct vxlan_nat *nat)
{
    struct sessions *s = &nat->sessions;
    const struct vxlan_key *key;
    struct vxlan_flow *flow = NULL;
    for (uint32_t i = 0; i < SWEEP && (flow = sessions_next(s, &nat->swept, &key)); i++) {
        if (sessions_left(s, key, flow))
            nat->wanted[flow->tunnel] = true;
        else
            sessions_remove(s, key);
    }
    if (flow)
        return;
    nat->swept = 0;
    forget_tunnels(nat);
}
