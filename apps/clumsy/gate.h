/* gate: the bottleneck that one or several Clumsies go through, with its queue.
 *
 *   gate_join       one of its own, or the one of that name
 *   gate_leave
 *   gate_configure  has it a queue that decides later?
 *   gate_describe   what a trace says of the link now
 *   gate_push       a packet into that queue
 *   gate_advance    everything that leaves the queue by a time
 *   gate_next       when something leaves it
 *
 *     Clumsy a --+                              +--> delay of a
 *                +--> [ queue ]--> bottleneck --+
 *     Clumsy b --+                              +--> delay of b
 *
 * A plain droptail queue needs no events: bottleneck_pass answers at once. With another one,
 * packets stay parked in the delay line of their Clumsy until the gate says what becomes of
 * them. The parameters of one who leaves leave with it: the one who joined last before it has
 * the say then. Those that share a gate are apps of one engine, so nothing is locked here but the list
 * of gates.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/bottleneck.h"
#include "apps/clumsy/queue.h"

#define GATE_NEVER UINT64_MAX

/* What a gate tells those who go through it. */
struct gate_member {
    void *user;
    /* The packet has left the bottleneck at a time. */
    void (*passed)(void *user, const struct queue_packet *packet, uint64_t departure);
    void (*dropped)(void *user, const struct queue_packet *packet,
                    enum queue_reason reason);
    void (*changed)(void *user); /* there is a queue now, or none any more */
    void (*inherit)(void *user); /* configure bottleneck and gate: who did so has left */
};

struct gate {
    struct bottleneck bottleneck;
    struct queue *queue;                /* or NULL */
    const struct gate_member **members; /* by number, NULL: has left */
    uint16_t count;
    uint16_t owner; /* whose parameters it has */
    unsigned users;
    struct limit limit; /* of the queue, */
    uint64_t rate;      /* as it was told last */
    const void *scope;
    char *name; /* NULL: of its own */
    struct gate *next;
};

/* scope: within which a name means one thing. Notes the member's number in the gate. NULL
 * when memory is out (or 65,000 have come and gone). gate_leave drops the packets of the
 * member that wait in the queue. */
struct gate *gate_join(const void *scope, const char *name,
                       const struct gate_member *member, uint16_t *number);
void gate_leave(struct gate *gate, uint16_t number);

/* The queue comes, changes or goes, as the member of that number will have it; what waits in one
 * that goes is dropped. False when memory is out. */
bool gate_configure(struct gate *gate, uint16_t number, const struct clumsy_conf *conf,
                    uint64_t seed, const char *name);

/* Only with a queue. */
void gate_describe(struct gate *gate, const struct limit *limit, uint64_t rate);

/* number: of the member. Only with a queue; gate_advance to that time comes first. */
void gate_push(struct gate *gate, uint16_t number, uint64_t now,
               struct queue_packet *packet);
void gate_advance(struct gate *gate, uint64_t until);

static inline uint64_t gate_next(const struct gate *gate)
{
    return gate->queue && queue_packets(gate->queue) ? gate->bottleneck.departed
                                                     : GATE_NEVER;
}
