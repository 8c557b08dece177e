/* fq_codel: whose turn it is among flows: the scheduler of RFC 8290.
 *
 *   fq_init, fq_free
 *   fq_resize      another number of flows, all of them idle
 *   fq_wake        a flow has got a packet
 *   fq_rest        nobody has
 *   fq_next        whose packet is next
 *   fq_charge      it was sent
 *
 *     fresh    e f      flows that had been idle: first
 *     served   a c b    flows that have had a turn
 *
 * A turn is a quantum of bytes, then it goes to the end of the served ones; a fresh flow that
 * has nothing more goes there as well, so that it cannot come back as a fresh one at once. A
 * packet of many quanta waits for as many turns.
 */
#pragma once
#include "apps/clumsy/codel.h"
#include "apps/clumsy/queue_flows.h"

struct fq_flow {
    struct codel codel;
    int64_t credit; /* bytes */
    uint32_t next;
    bool listed;
};

struct fq_list {
    uint32_t head, tail;
};

struct fq {
    struct fq_flow *flows;
    uint32_t count;
    struct fq_list fresh, served;
    int64_t quantum;
};

/* One flow. False when memory is out, in fq_resize with nothing changed. */
bool fq_init(struct fq *fq);
bool fq_resize(struct fq *fq, uint32_t count);
void fq_free(struct fq *fq);

void fq_wake(struct fq *fq, uint32_t flow);
void fq_rest(struct fq *fq);

/* Some flow has a packet. */
uint32_t fq_next(struct fq *fq, const struct queue_flows *flows);

static inline void fq_charge(struct fq *fq, uint32_t flow, uint32_t length)
{
    fq->flows[flow].credit -= length;
}
