/* queue: packets that wait for the bottleneck where not the newest one goes, and active queue
 * management.
 *
 *   queue_configure   discipline and limits; what waits stays
 *   queue_describe    ... another limit or rate only
 *   queue_push        a packet arrives
 *   queue_pop         the link is free: which one is sent?
 *   queue_purge       packets of an owner who leaves
 *   queue_free
 *
 *     tail, head, random   which packet goes when the queue is full
 *     codel                RFC 8289: drops from the head, by how long packets have waited
 *     pie                  RFC 8033: drops at arrival, by a delay estimated from the rate
 *     fq_codel             RFC 8290: a queue per flow, new ones first, each with CoDel
 *     red                  drops at arrival, by the average length (Floyd, Jacobson 1993)
 *
 * Pure bookkeeping: a packet is a handle that the caller knows. Every packet pushed comes out
 * of queue_pop or of the drop function, exactly once. With ECN a packet that can be marked
 * (ECT) is marked and kept where the AQM would drop it (PIE: while its probability is at most
 * 10 %, RFC 8033, 5.1); a full queue drops it all the same. No limit refuses a packet that
 * finds the queue empty. Time is the caller's and does not go back.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/clumsy/parameters.h"
#include "lib/random.h"

#define QUEUE_PACKETS 1000       /* the limit with an AQM when none is given */
#define QUEUE_MOST    (1u << 20) /* packets, whatever the limit is */

struct queue_packet {
    uint64_t arrival;  /* ns */
    uint64_t sequence; /* the caller's */
    uint64_t draw;     /* place in the streams of random numbers */
    uint64_t flow;     /* hash */
    uint32_t length;   /* bytes */
    uint32_t handle;   /* the caller's */
    bool ect, marked;  /* can be marked; was marked here */
    bool lost;         /* the caller's, as are these */
    uint16_t owner;
};

enum queue_reason { QUEUE_FULL, QUEUE_AQM };

/* Packets that are dropped, also those of queue_free. Must not call the queue. */
typedef void queue_drop_fn(void *user, const struct queue_packet *packet,
                           enum queue_reason reason);

struct queue; /* opaque */

/* A queue without a packet; NULL when memory is out. */
struct queue *queue_new(queue_drop_fn *drop, void *user);
void queue_free(struct queue *queue);

/* conf passed clumsy_verify; limit is conf's, or what stands for it. A time is turned into
 * bytes with rate, bit/s, for the limit and for PIE; without a rate it stands for at least
 * QUEUE_PACKETS, and PIE goes by the age of the oldest packet. May be called at any time; a
 * limit that was lowered counts from the next arrival on. When memory is out the discipline
 * stays what it was. */
void queue_configure(struct queue *queue, const struct queue_conf *conf,
                     const struct limit *limit, uint64_t rate, uint64_t seed,
                     const char *name);

/* The same where a trace says what the link is now. */
void queue_describe(struct queue *queue, const struct limit *limit, uint64_t rate);

void queue_push(struct queue *queue, uint64_t now, const struct queue_packet *packet);

/* The next to be sent. False: the queue is empty now (packets may have been dropped). */
bool queue_pop(struct queue *queue, uint64_t now, struct queue_packet *packet);

/* Drops all packets of an owner (QUEUE_FULL). */
void queue_purge(struct queue *queue, uint16_t owner);

uint64_t queue_packets(const struct queue *queue);
uint64_t queue_bytes(const struct queue *queue);
