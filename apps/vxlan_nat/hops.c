/* hops: the MACs that frames leave with, for whoever only sees the state.
 *
 * Every destination that flows have is a number in state->hops, whose MAC follows the kernel's
 * tables. What is not known there goes to egress.h, which waits for it.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "apps/vxlan_nat/egress.h"
#include "apps/vxlan_nat/vxlan_nat.h"
#include "lib/next_hop.h"
#include "lib/random.h"
#include "lib/table.h"

#define ROWS     NEXT_HOP_ROWS
#define MESSAGES 64 /* datagrams of the kernel that are read in a tick */
#define SECOND   1000000000ull

/* --- what waited ------------------------------------------------------------------------- */

static void send_held(struct packet *p, void *user)
{
    vxlan_emit(user, p);
}

static void drop_held(struct packet *p, enum vxlan_reason reason, void *user)
{
    vxlan_refuse_packet(user, p, reason);
}

/* --- numbers ----------------------------------------------------------------------------- */

/* The kernel's answer of now. */
static void refresh(struct vxlan_nat *nat, const uint8_t *address, uint32_t number)
{
    union vxlan_hop hop = { .state = MAC_UNKNOWN };
    struct next_hop_answer answer;
    nat->stale[number] = false;
    if (next_hop_find(nat->next_hop, address, &answer) == NEXT_HOP_KNOWN) {
        hop.state = MAC_KNOWN;
        memcpy(hop.mac, nat->plan.has_dmac ? nat->plan.dmac : answer.mac, 6);
        nat->stale[number] = answer.stale;
    }
    __atomic_store_n(&nat->state->hops[number].word, hop.word, __ATOMIC_RELAXED);
}

uint32_t vxlan_hop_number(struct vxlan_nat *nat, const uint32_t address[4])
{
    uint64_t *number;
    if (!nat->next_hop)
        return VXLAN_HOP_FIXED;
    number = table_find(nat->hop_numbers, address);
    for (uint32_t i = VXLAN_HOP_FIRST; !number && i < VXLAN_HOPS; i++)
        if (!nat->hop_used[i]) {
            number = table_insert(nat->hop_numbers, address);
            if (!number)
                break;
            *number = i;
            nat->hop_used[i] = true;
            refresh(nat, (const uint8_t *)address, i);
        }
    if (!number)
        return VXLAN_HOP_NONE;
    nat->hop_wanted[*number] = true;
    return (uint32_t)*number;
}

/* What no flow refers to any more. */
void vxlan_hops_forget(struct vxlan_nat *nat)
{
    uint64_t *number = NULL, *last = NULL;
    while (nat->next_hop && (number = table_next(nat->hop_numbers, last))) {
        last = number;
        if (nat->hop_wanted[*number])
            continue;
        nat->hop_used[*number] = false;
        nat->state->hops[*number].word = 0;
        table_remove(nat->hop_numbers, table_key(nat->hop_numbers, number));
    }
    memset(nat->hop_wanted, 0, sizeof(nat->hop_wanted));
}

/* --- following the kernel ------------------------------------------------------------------ */

static void each_number(struct vxlan_nat *nat,
                        void (*each)(struct vxlan_nat *nat, const uint8_t *address,
                                     uint32_t number))
{
    uint64_t *number = NULL;
    while ((number = table_next(nat->hop_numbers, number)))
        each(nat, table_key(nat->hop_numbers, number), (uint32_t)*number);
}

/* Who is sent to is to be known for certain. */
static void confirm(struct vxlan_nat *nat, const uint8_t *address, uint32_t number)
{
    struct next_hop_answer answer;
    if (nat->stale[number] &&
        next_hop_find(nat->next_hop, address, &answer) == NEXT_HOP_KNOWN)
        next_hop_use(nat->next_hop, answer.gateway);
}

static void follow_interface(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    union vxlan_hop source = { .state = MAC_KNOWN };
    memcpy(source.mac, nat->plan.has_smac ? nat->plan.smac : next_hop_mac(nat->next_hop),
           6);
    __atomic_store_n(&nat->state->source.word, source.word, __ATOMIC_RELAXED);
    if (!conf->mtu)
        nat->state->mtu = next_hop_mtu(nat->next_hop);
}

void vxlan_hops_tick(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    uint64_t now = engine_now(app->engine);
    if (!nat->next_hop)
        return;
    next_hop_read(nat->next_hop, now, MESSAGES);
    if (next_hop_generation(nat->next_hop) != nat->hop_generation) {
        nat->hop_generation = next_hop_generation(nat->next_hop);
        follow_interface(app);
        each_number(nat, refresh);
    }
    if (now >= nat->confirmed + SECOND) {
        nat->confirmed = now;
        each_number(nat, confirm);
    }
    egress_poll(nat->egress, now);
}

uint64_t vxlan_hops_due(const struct vxlan_nat *nat)
{
    if (!nat->next_hop)
        return UINT64_MAX;
    uint64_t due = egress_due(nat->egress), dump = next_hop_due(nat->next_hop);
    return due < dump ? due : dump;
}

/* --- life ------------------------------------------------------------------------------------ */

int vxlan_hops_open(struct app *app, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    const struct plan *plan = &nat->plan;
    const struct egress_sink sink = { send_held, drop_held, app };
    struct random_key random = random_key(app->engine->options.seed, app->name, "hops");
    struct siphash_key seed = { random_draw(&random, 0), random_draw(&random, 1) };
    if (!conf->egress || (plan->has_smac && plan->has_dmac))
        return 0;
    nat->next_hop = next_hop_open(conf->egress, ROWS, err);
    if (!nat->next_hop)
        return -EIO;
    nat->hop_numbers = table_new(16, sizeof(uint64_t), VXLAN_HOPS, &seed, TABLE_REFUSE);
    nat->egress = egress_new(nat->next_hop, plan->has_smac ? plan->smac : NULL,
                             plan->has_dmac ? plan->dmac : NULL, &sink);
    if (!nat->hop_numbers || !nat->egress)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for neighbours");
    app_poll(app, next_hop_fd(nat->next_hop), POLLIN);
    follow_interface(app);
    return 0;
}

void vxlan_hops_close(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    if (nat->next_hop)
        app_unpoll(app, next_hop_fd(nat->next_hop));
    egress_free(nat->egress);
    table_free(nat->hop_numbers);
    next_hop_close(nat->next_hop);
}

/* --- one packet -------------------------------------------------------------------------------- */

void vxlan_resolve(struct app *app, struct packet *p, const uint32_t address[4])
{
    struct vxlan_nat *nat = app->state;
    enum vxlan_reason reason = VX_NEIGH;
    switch (egress_resolve(nat->egress, p, (const uint8_t *)address,
                           engine_now(app->engine), &reason)) {
    case EGRESS_SEND:
        vxlan_emit(app, p);
        break;
    case EGRESS_HELD:
        break;
    case EGRESS_REFUSED:
        vxlan_refuse_packet(app, p, reason);
        break;
    }
}

uint32_t vxlan_hops_held(const struct vxlan_nat *nat)
{
    return nat->egress ? egress_held(nat->egress) : 0;
}
