/* egress: frames get the MACs of their next hop, or wait for them.
 *
 * Waiting is by gateway, but each frame remembers its own address: whenever the kernel's answers
 * change it is asked for anew, for another route may have come.
 */
#include "apps/vxlan_nat/egress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/packet.h"
#include "lib/next_hop.h"
#include "lib/table.h"

struct held {
    struct packet *p;
    uint8_t address[16];
};

struct waiting {
    struct held held[EGRESS_PACKETS]; /* the oldest first */
    uint32_t count, bytes;
    uint32_t tries;
    bool failed;
    uint64_t at; /* the next try, or the end of the failure */
};

struct egress {
    struct next_hop *hop;
    struct table *waiting; /* of gateways to struct waiting */
    struct egress_sink sink;
    uint8_t smac[6], dmac[6];
    bool has_smac, has_dmac;
    unsigned held;
    uint64_t generation, due;
};

/* --- one next hop ----------------------------------------------------------------------- */

static void set_time(struct egress *egress, struct waiting *waiting, uint64_t now)
{
    waiting->at = now + EGRESS_SECOND;
    if (waiting->at < egress->due)
        egress->due = waiting->at;
}

/* That the kernel may refuse makes no difference: nobody will have answered. */
static void try_once(struct egress *egress, struct waiting *waiting, uint64_t now)
{
    next_hop_use(egress->hop, table_key(egress->waiting, waiting));
    waiting->tries++;
    set_time(egress, waiting, now);
}

static struct held take_oldest(struct egress *egress, struct waiting *waiting)
{
    struct held oldest = waiting->held[0];
    memmove(waiting->held, waiting->held + 1, --waiting->count * sizeof(oldest));
    waiting->bytes -= oldest.p->length;
    egress->held--;
    return oldest;
}

static void drop_oldest(struct egress *egress, struct waiting *waiting)
{
    egress->sink.drop(take_oldest(egress, waiting).p, VX_NEIGH, egress->sink.user);
}

static void append(struct egress *egress, struct waiting *waiting, struct packet *p,
                   const uint8_t address[16])
{
    while (waiting->count == EGRESS_PACKETS || waiting->bytes + p->length > EGRESS_BYTES)
        drop_oldest(egress, waiting);
    struct held *held = &waiting->held[waiting->count++];
    held->p = p;
    memcpy(held->address, address, sizeof(held->address));
    waiting->bytes += p->length;
    egress->held++;
}

/* False when it cannot wait. */
static bool hold(struct egress *egress, struct packet *p, const uint8_t address[16],
                 const uint8_t gateway[16], uint64_t now)
{
    struct waiting *waiting = table_insert(egress->waiting, gateway);
    if (!waiting || (waiting->failed && now < waiting->at))
        return false;
    if (waiting->failed)
        waiting->tries = 0;
    waiting->failed = false;
    if (!waiting->tries)
        try_once(egress, waiting, now);
    if (p->length > EGRESS_BYTES)
        return false;
    append(egress, waiting, p, address);
    return true;
}

/* --- one packet ------------------------------------------------------------------------- */

static enum egress_verdict address_frame(struct egress *egress, struct packet *p,
                                         const uint8_t dmac[6])
{
    memcpy(p->data, dmac, 6);
    memcpy(p->data + 6, egress->has_smac ? egress->smac : next_hop_mac(egress->hop), 6);
    return EGRESS_SEND;
}

enum egress_verdict egress_resolve(struct egress *egress, struct packet *p,
                                   const uint8_t address[16], uint64_t now,
                                   enum vxlan_reason *reason)
{
    struct next_hop_answer answer;
    enum next_hop_state state = next_hop_find(egress->hop, address, &answer);
    *reason = state == NEXT_HOP_DOWN ? VX_TX_DOWN : VX_NEIGH;
    if (state == NEXT_HOP_DOWN)
        return EGRESS_REFUSED;
    if (egress->has_dmac)
        return address_frame(egress, p, egress->dmac);
    if (state == NEXT_HOP_UNRESOLVED && hold(egress, p, address, answer.gateway, now))
        return EGRESS_HELD;
    if (state != NEXT_HOP_KNOWN)
        return EGRESS_REFUSED;
    if (answer.stale)
        next_hop_use(egress->hop, answer.gateway);
    return address_frame(egress, p, answer.mac);
}

static void resolve_again(struct egress *egress, const struct held *held, uint64_t now)
{
    enum vxlan_reason reason;
    switch (egress_resolve(egress, held->p, held->address, now, &reason)) {
    case EGRESS_SEND:
        egress->sink.send(held->p, egress->sink.user);
        break;
    case EGRESS_REFUSED:
        egress->sink.drop(held->p, reason, egress->sink.user);
        break;
    case EGRESS_HELD:
        break;
    }
}

/* --- all of them ------------------------------------------------------------------------ */

/* Those that still wait for the same come back in the same order. */
static void resolve_all(struct egress *egress, struct waiting *waiting, uint64_t now)
{
    for (uint32_t n = waiting->count; n; n--) {
        struct held oldest = take_oldest(egress, waiting);
        resolve_again(egress, &oldest, now);
    }
}

static void come_due(struct egress *egress, struct waiting *waiting, uint64_t now)
{
    if (waiting->tries < EGRESS_TRIES) {
        try_once(egress, waiting, now);
        return;
    }
    while (waiting->count)
        drop_oldest(egress, waiting);
    waiting->failed = true;
    set_time(egress, waiting, now);
}

void egress_poll(struct egress *egress, uint64_t now)
{
    uint64_t generation = next_hop_generation(egress->hop);
    bool changed = generation != egress->generation;
    if (!changed && now < egress->due)
        return;
    egress->generation = generation;
    egress->due = UINT64_MAX;
    struct waiting *waiting = table_next(egress->waiting, NULL), *next;
    for (; waiting; waiting = next) {
        if (changed)
            resolve_all(egress, waiting, now);
        next = table_next(egress->waiting, waiting);
        bool over = now >= waiting->at;
        if (waiting->count && over)
            come_due(egress, waiting, now);
        else if (!waiting->count && (over || !waiting->failed))
            table_remove(egress->waiting, table_key(egress->waiting, waiting));
        else if (waiting->at < egress->due)
            egress->due = waiting->at;
    }
}

uint64_t egress_due(const struct egress *egress)
{
    return egress->due;
}

unsigned egress_held(const struct egress *egress)
{
    return egress->held;
}

/* --- begin and end ---------------------------------------------------------------------- */

static struct table *new_table(void)
{
    struct siphash_key seed;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        return NULL;
    return table_new(16, sizeof(struct waiting), EGRESS_NEIGHBOURS, &seed, TABLE_REFUSE);
}

struct egress *egress_new(struct next_hop *hop, const uint8_t *smac, const uint8_t *dmac,
                          const struct egress_sink *sink)
{
    struct egress *egress = calloc(1, sizeof(*egress));
    if (!egress)
        return NULL;
    *egress = (struct egress){ .hop = hop,
                               .waiting = new_table(),
                               .sink = *sink,
                               .has_smac = smac,
                               .has_dmac = dmac,
                               .generation = next_hop_generation(hop),
                               .due = UINT64_MAX };
    if (smac)
        memcpy(egress->smac, smac, sizeof(egress->smac));
    if (dmac)
        memcpy(egress->dmac, dmac, sizeof(egress->dmac));
    if (egress->waiting)
        return egress;
    free(egress);
    return NULL;
}

unsigned egress_free(struct egress *egress)
{
    unsigned held = egress ? egress->held : 0;
    struct waiting *waiting = NULL;
    if (!egress)
        return 0;
    while ((waiting = table_next(egress->waiting, waiting)))
        while (waiting->count)
            packet_free(take_oldest(egress, waiting).p);
    table_free(egress->waiting);
    free(egress);
    return held;
}
