/* queue_rig: a queue with a link behind it, in virtual time.
 *
 *   rig_open, rig_configure, rig_close
 *   rig_push             a packet arrives, and the link does nothing
 *   rig_offer            a packet arrives, after what has left by then
 *   rig_run              what leaves by a time
 *   rig_send             the link is free
 *   rig_aqm              defaults of an AQM
 *
 * Every packet is followed by its sequence number: it must leave or be dropped, once.
 */
#pragma once
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "apps/clumsy/queue.h"

#define MS 1000000ull
#define S  1000000000ull

#define LINK        10000000            /* bit/s: 1250 bytes take 1 ms */
#define RIG_PACKETS (QUEUE_MOST + 1000) /* that can be offered */

struct rig {
    struct queue *queue;
    uint64_t rate, idle_at, now;
    uint8_t *seen; /* by sequence: 1 it was sent, 2 dropped */
    uint64_t offered, sent, full, aqm, marked, bytes;
    uint64_t log; /* hash of all that happened */
    void *user;
    void (*on_sent)(struct rig *rig, const struct queue_packet *packet, uint64_t now);
    void (*on_drop)(struct rig *rig, const struct queue_packet *packet);
};

static inline void rig_note(struct rig *rig, const struct queue_packet *packet,
                            uint8_t what)
{
    if (packet->sequence >= rig->offered || rig->seen[packet->sequence])
        ck_abort_msg("packet %lu came out again", (unsigned long)packet->sequence);
    rig->seen[packet->sequence] = what;
    rig->log = (rig->log ^ (packet->sequence * 4 + what)) * 0x100000001b3;
}

static inline void rig_dropped(void *user, const struct queue_packet *packet,
                               enum queue_reason reason)
{
    struct rig *rig = user;
    rig_note(rig, packet, 2);
    *(reason == QUEUE_FULL ? &rig->full : &rig->aqm) += 1;
    if (rig->on_drop)
        rig->on_drop(rig, packet);
}

static inline void rig_configure(struct rig *rig, const struct queue_conf *conf,
                                 struct limit limit)
{
    queue_configure(rig->queue, conf, &limit, rig->rate, 7, "wan");
}

/* At rest in its place: the queue knows it. */
static inline void rig_open(struct rig *rig, struct queue_conf conf, struct limit limit)
{
    *rig = (struct rig){ .rate = LINK, .now = S, .seen = calloc(RIG_PACKETS, 1) };
    rig->queue = queue_new(rig_dropped, rig);
    rig_configure(rig, &conf, limit);
}

static inline void rig_close(struct rig *rig)
{
    queue_free(rig->queue);
    ck_assert_uint_eq(rig->offered, rig->sent + rig->full + rig->aqm);
    free(rig->seen);
}

static inline bool rig_send(struct rig *rig, uint64_t now)
{
    struct queue_packet packet;
    rig->now = now;
    if (!queue_pop(rig->queue, now, &packet)) {
        if (queue_packets(rig->queue))
            ck_abort_msg("nothing comes out of a queue that is not empty");
        return false;
    }
    rig_note(rig, &packet, 1);
    rig->sent++;
    rig->marked += packet.marked;
    rig->bytes += packet.length;
    rig->idle_at = now + packet.length * 8 * S / rig->rate;
    if (rig->on_sent)
        rig->on_sent(rig, &packet, now);
    return true;
}

static inline void rig_run(struct rig *rig, uint64_t until)
{
    while (queue_packets(rig->queue) && rig->idle_at <= until)
        rig_send(rig, rig->idle_at > rig->now ? rig->idle_at : rig->now);
    rig->now = until;
}

static inline void rig_push(struct rig *rig, struct queue_packet packet)
{
    packet.arrival = rig->now;
    packet.sequence = packet.draw = rig->offered++;
    packet.handle = (uint32_t)packet.sequence;
    queue_push(rig->queue, rig->now, &packet);
}

static inline void rig_offer(struct rig *rig, uint64_t now, struct queue_packet packet)
{
    rig_run(rig, now);
    rig_push(rig, packet);
    if (rig->idle_at <= now)
        rig_send(rig, now);
}

static inline struct queue_conf rig_aqm(int aqm)
{
    return (struct queue_conf){
        .aqm = aqm, .probability = 0.02, .flows = 1024, .quantum = 1514
    };
}
