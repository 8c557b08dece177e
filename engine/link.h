/* link: a ring of packets from one app's output to another app's input.
 *
 *   link_receive, link_transmit               one packet: what app authors learn first
 *   link_receive_burst, link_transmit_burst   many: what the shipped apps use
 *   link_run, link_advance                    the same without a copy of the pointers
 *   link_forward                              all that is on one link to another
 *   link_readable, link_writable, link_empty, link_full
 *
 *        write                      read
 *          |                         |
 *      +---v-------------------------v---+
 *      |   .  p9 p8 p7 p6 p5 p4 p3 p2  . |   1,024 slots, 64-bit cursors that never wrap
 *      +---------------------------------+
 *
 * The cursors are the packet counters: write is how many packets were ever transmitted,
 * read how many were received, their difference what is held. Bytes and drops are added
 * once per burst. A link belongs to one engine and one thread; one that leads to another
 * core has a struct link at either end (engine/interlink.h). Transmitting on a full link
 * frees the packet and counts it: the loss shows where the bottleneck is.
 */
#pragma once
#include "engine/packet.h"

#define LINK_SIZE  1024
#define LINK_MASK  (LINK_SIZE - 1)
#define LINK_BURST 64 /* what the shipped apps move at a time */

struct link {
    uint64_t read;  /* packets received ever */
    uint64_t write; /* packets transmitted ever */
    uint64_t base;  /* the cursor when the link was last empty: the ring's first slot */
    uint64_t base_bytes;   /* bytes then */
    uint64_t bytes;        /* of the packets transmitted */
    uint64_t drops;        /* packets freed because the link was full */
    uint64_t *counters;    /* in shared memory: enum link_counter, copied by the engine */
    const char *name;      /* "a.output -> b.input" */
    const char *from, *to; /* the ports' names, for apps with ports of any name */
    struct interlink *across; /* NULL: both apps are on one core */
    struct packet *ring[LINK_SIZE] __attribute__((aligned(CACHE_LINE)));
};

/* The words in shared memory, in this order. */
enum link_counter {
    LINK_RXPACKETS,
    LINK_TXPACKETS,
    LINK_TXBYTES,
    LINK_TXDROP,
    LINK_COUNTERS,
};

/* Frees n packets for which there was no room. */
void link_drop(struct link *link, struct packet *const *p, uint32_t n);

static inline struct packet **link_slot(struct link *link, uint64_t cursor)
{
    return &link->ring[(cursor - link->base) & LINK_MASK];
}

static inline uint32_t link_readable(const struct link *link)
{
    return (uint32_t)(link->write - link->read);
}

static inline uint32_t link_writable(const struct link *link)
{
    return LINK_SIZE - link_readable(link);
}

static inline bool link_empty(const struct link *link)
{
    return link->write == link->read;
}

/* A link that is empty goes on at the first slot of its ring. */
static inline void link_rebase(struct link *link)
{
    if (link_empty(link)) {
        link->base = link->write;
        link->base_bytes = link->bytes;
    }
}

static inline bool link_full(const struct link *link)
{
    return link_readable(link) == LINK_SIZE;
}

/* The next packet, which the caller owns from now on; the link must not be empty. */
static inline struct packet *link_receive(struct link *link)
{
    return *link_slot(link, link->read++);
}

/* The next packet, still the link's; NULL when there is none. */
static inline struct packet *link_front(struct link *link)
{
    return link_empty(link) ? NULL : *link_slot(link, link->read);
}

/* Hands the packet over to the link, or frees it when the link is full. */
static inline void link_transmit(struct link *link, struct packet *p)
{
    if (unlikely(link_full(link))) {
        link_drop(link, &p, 1);
        return;
    }
    link_rebase(link);
    *link_slot(link, link->write++) = p;
    link->bytes += p->length;
}

/* The packets at the front that lie side by side, at most n, still the link's: *p points
 * to the pointers; returns how many. They stay valid until something is transmitted on
 * this link. */
static inline uint32_t link_run(struct link *link, struct packet ***p, uint32_t n)
{
    uint32_t have = link_readable(link), at = (link->read - link->base) & LINK_MASK;
    uint32_t run = have <= LINK_SIZE - at ? have : LINK_SIZE - at;
    *p = &link->ring[at];
    return run < n ? run : n;
}

/* Takes the n packets at the front, found by link_run: the caller owns them. */
static inline void link_advance(struct link *link, uint32_t n)
{
    link->read += n;
}

/* Takes up to n packets; returns how many. The caller owns them. */
static inline uint32_t link_receive_burst(struct link *link, struct packet **p,
                                          uint32_t n)
{
    struct packet **run;
    uint32_t got = 0, some;
    while (got < n && (some = link_run(link, &run, n - got))) {
        packet_pointers(p + got, run, some);
        link_advance(link, some);
        got += some;
    }
    return got;
}

/* Puts n packets of so many bytes on a link that has room for them. */
static inline void link_put(struct link *link, struct packet *const *p, uint32_t n,
                            uint64_t bytes)
{
    link_rebase(link);
    uint32_t at = (link->write - link->base) & LINK_MASK;
    link->write += n;
    link->bytes += bytes;
    if (unlikely(n > LINK_SIZE - at)) {
        packet_pointers(&link->ring[at], p, LINK_SIZE - at);
        p += LINK_SIZE - at;
        n -= LINK_SIZE - at;
        at = 0;
    }
    packet_pointers(&link->ring[at], p, n);
}

static inline uint64_t link_bytes(struct packet *const *p, uint32_t n)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += p[i]->length;
    return bytes;
}

/* Hands over n packets; those that do not fit are freed and counted as drops. */
static inline void link_transmit_burst(struct link *link, struct packet *const *p,
                                       uint32_t n)
{
    uint32_t room = link_writable(link), fit = n < room ? n : room;
    link_put(link, p, fit, link_bytes(p, fit));
    if (unlikely(fit < n))
        link_drop(link, p + fit, n - fit);
}

/* Moves everything on from to to. Where from was filled since it was last empty and to
 * has the room, which is the usual case, the bytes are known and the packets need not be
 * looked at. */
static inline void link_forward(struct link *from, struct link *to)
{
    struct packet **p;
    uint32_t n = link_readable(from);
    if (likely(from->read == from->base && n <= link_writable(to))) {
        link_put(to, from->ring, n, from->bytes - from->base_bytes);
        link_advance(from, n);
        return;
    }
    while ((n = link_run(from, &p, LINK_SIZE))) {
        link_transmit_burst(to, p, n);
        link_advance(from, n);
    }
}
