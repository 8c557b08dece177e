/* interlink: the part of a link that crosses from one core to another. */
#include "engine/interlink.h"

#include <stdlib.h>

struct interlink *interlink_new(struct link *from, struct link *to)
{
    struct interlink *interlink = aligned_alloc(CACHE_LINE, sizeof(*interlink));
    memset(interlink, 0, offsetof(struct interlink, ring));
    interlink->from = from;
    interlink->to = to;
    return interlink;
}

void interlink_free(struct interlink *interlink)
{
    free(interlink);
}

/* How much of n lies side by side from a cursor on. */
static uint32_t side_by_side(uint64_t cursor, uint32_t n)
{
    uint32_t left = INTERLINK_SIZE - (uint32_t)(cursor & INTERLINK_MASK);
    return n < left ? n : left;
}

uint32_t interlink_flush(struct interlink *interlink)
{
    struct link *from = interlink->from;
    uint32_t have = link_readable(from);
    if (!have)
        return 0;
    uint64_t write = atomic_load_explicit(&interlink->write, memory_order_relaxed);
    if (INTERLINK_SIZE - (write - interlink->read_seen) < have)
        interlink->read_seen =
            atomic_load_explicit(&interlink->read, memory_order_acquire);
    uint32_t room = INTERLINK_SIZE - (uint32_t)(write - interlink->read_seen);
    uint32_t n = have < room ? have : room, done = 0;
    while (done < n) {
        struct packet **p;
        uint32_t run = link_run(from, &p, side_by_side(write + done, n - done));
        packet_pointers(&interlink->ring[(write + done) & INTERLINK_MASK], p, run);
        link_advance(from, run);
        done += run;
    }
    if (n) /* before the look at whether the receiver sleeps */
        atomic_store(&interlink->write, write + n);
    return n;
}

uint32_t interlink_fetch(struct interlink *interlink)
{
    struct link *to = interlink->to;
    uint64_t read = atomic_load_explicit(&interlink->read, memory_order_relaxed);
    uint32_t room = link_writable(to);
    if (interlink->write_seen - read < room)
        interlink->write_seen =
            atomic_load_explicit(&interlink->write, memory_order_acquire);
    uint32_t have = (uint32_t)(interlink->write_seen - read);
    uint32_t n = have < room ? have : room, done = 0;
    if (!n)
        return 0;
    while (done < n) {
        struct packet **p = &interlink->ring[(read + done) & INTERLINK_MASK];
        uint32_t run = side_by_side(read + done, n - done);
        link_put(to, p, run, link_bytes(p, run));
        done += run;
    }
    atomic_store_explicit(&interlink->read, read + n, memory_order_release);
    return n;
}
