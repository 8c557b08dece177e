/* packet: a frame on its way through the graph.
 *
 *   arena_open             map the one arena of the process
 *   packet_allocate        take a packet from this thread's freelist
 *   packet_large_reserve, packet_allocate_large    a second class, for super-frames
 *   packet_free            give it back
 *   packet_clone           a packet with the same frame and metadata
 *   packet_append, packet_prepend, packet_trim_front, packet_resize
 *   packet_copy_tagged     the frame as a wire has it, to somewhere else
 *   packet_from_address    the packet whose chunk holds an address
 *
 *      headers (dense, one cache line each)      chunks (2 KiB each by default)
 *      +--------+                                +---------------------------------+
 *      | data  -+--------------------------+     | headroom |  frame ......  | room|
 *      +--------+                          +---->|----------^                      |
 *      | ...    |                                +---------------------------------+
 *
 * The header of a packet is a cache line in a dense array; the frame lies in a chunk of
 * the arena, and header index = chunk index. Frames start at one of seven staggered
 * offsets: without that, the first lines of all frames would compete for two sets of the
 * L1 cache.
 *
 * Packets of the second size class have chunks of 68 KiB, for any frame that an IP packet
 * can be; there are none until an app asks for them, and headers of both classes lie in
 * one array. Whoever frees, clones, grows or looks at a packet need not care which it is.
 *
 * What a kernel leaves to hardware travels beside the frame, where an app asked for that
 * (RawSocket with offload = "csum" or "gso"); as a rule packets are plain:
 *   - PACKET_CSUM_PARTIAL: the field at csum_start + csum_offset holds the sum of the
 *     pseudo header. Who changes an IP address keeps that in step; ports and payload are
 *     free to change. Who wants a change to be seen as damage completes the checksum first
 *     (packet_complete of engine/plain.h).
 *   - gso_type: the frame is a super-frame, many segments of gso_size bytes payload with
 *     one set of headers. Who forwards it need do nothing; who looks at packets one by one,
 *     as they are on a wire, receives by plain_receive_burst.
 *   - The calls here that move the start of a frame move csum_start with it; a frame that
 *     is cut has neither of both any more.
 *   - An egress that cannot say so to whom it gives frames makes them plain first:
 *     engine/plain.h.
 *
 * A packet has exactly one owner: the app that took it from a link or allocated it, until
 * it transmits or frees it. Every thread has a freelist of its own, without locks, which
 * trades batches with one that all share. Running out of packets is normal under
 * overload: packet_allocate then returns NULL, and the caller leaves its input where it
 * is.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/error.h"

#define CACHE_LINE       64
#define PACKET_TAG       4   /* bytes of a VLAN tag */
#define PACKET_HEADROOM  128 /* least room in front of a frame for headers to come */
#define PACKET_LARGE     (68u << 10) /* bytes of a chunk of the second size class */
#define PACKET_LARGE_MAX 4096        /* packets of it at most */
#define FREELIST_SIZE    2048
#define FREELIST_BATCH   512

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum packet_flag {
    PACKET_CSUM_PARTIAL =
        1, /* the L4 checksum at csum_start + csum_offset is yet to be filled */
    PACKET_CSUM_VALID =
        2,           /* known to be right: who changes bytes of the frame clears it */
    PACKET_VLAN = 4, /* vlan_tci and vlan_tpid hold a tag that is not in the frame */
    PACKET_FREE = 0x8000, /* on a freelist (kept in debug builds only) */
};

struct packet {
    uint8_t *data;      /* first byte of the frame */
    uint32_t length;    /* bytes of the frame */
    uint32_t hash;      /* flow hash, 0 unknown */
    uint64_t timestamp; /* when the frame was received, ns, CLOCK_MONOTONIC; 0 unknown */
    uint16_t flags;     /* enum packet_flag */
    uint16_t vlan_tci;
    uint16_t vlan_tpid;
    /* The fields of struct virtio_net_hdr (linux/virtio_net.h) from gso_type on: gso_size
     * has a meaning when gso_type is not 0, the csum fields when PACKET_CSUM_PARTIAL is
     * set. */
    uint16_t gso_type;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
    uint16_t unused;
    uint8_t *chunk;       /* first byte of the chunk the frame lies in; never changes */
    uint8_t *start;       /* where frames of this chunk start; never changes */
    uint8_t *short_start; /* where frames known to fit a cache line start */
} __attribute__((aligned(CACHE_LINE)));

_Static_assert(sizeof(struct packet) == CACHE_LINE, "a packet header is one cache line");

/* What a copy takes over, from length to before chunk, is half a cache line. */
_Static_assert(offsetof(struct packet, chunk) - offsetof(struct packet, length) == 32,
               "metadata is copied in one go");

/* Copying small frames is bound by the number of stores. Functions marked so are compiled
 * twice on x86-64, the second time with the 32-byte moves that most machines have. */
#if defined(__x86_64__) && !defined(PACKET_DEBUG)
#define WIDE_MOVES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define WIDE_MOVES
#endif

struct arena {
    struct packet *headers; /* count, then PACKET_LARGE_MAX of the second size class */
    uint8_t *chunks;
    uint8_t *large_chunks;
    uint32_t large; /* packets of the second size class; 0: nobody has asked for any */
    uint32_t count;
    uint32_t chunk_size;
    uint32_t chunk_shift;
    const char
        *pages; /* what the memory is made of: "huge", "transparent huge", "plain" */
};

struct freelist {
    uint32_t count;
    uint32_t published; /* what arena_in_use believes count to be */
    uint64_t misses;    /* times that there was no packet to be had */
    uint64_t frees;     /* packets and bytes ever freed on this thread: the load report */
    uint64_t freebytes; /* counts what left the graph */
    struct packet *packets[FREELIST_SIZE];
};

/* The arena of the process. Read-only once open, but for large, which only grows. */
extern struct arena arena;

/* The freelist of this thread; used through the calls below. */
extern __thread struct freelist packet_freelist;

/* Maps count packets with chunks of chunk_size bytes (a power of two, 2048..65536): huge
 * pages, else transparent huge pages, else plain ones. Idempotent for the same figures,
 * -EBUSY when the arena is open with others. The memory stays for the life of the
 * process. */
int arena_open(uint32_t count, uint32_t chunk_size, struct error *err);

/* Packets on no freelist, that is held by links and apps of any thread. Exact when no
 * other thread has allocated or freed since it called packet_freelist_publish; otherwise
 * off by what they have since, at most FREELIST_SIZE each. */
uint32_t arena_in_use(void);

/* Tells arena_in_use how many packets are on this thread's freelist. */
void packet_freelist_publish(void);

/* The freelist of the thread that found no packet, until another gives some back: whoever
 * has free packets should release them. NULL: no shortage. */
extern _Atomic(struct freelist *) packet_shortage;

/* Sees to it that there are at least count packets of the second size class, at most
 * PACKET_LARGE_MAX; for the start of an app that allocates them. Memory is taken when they
 * are used. Any thread; the arena is open. */
int packet_large_reserve(uint32_t count, struct error *err);

/* A packet of length 0 of the second size class, or NULL when there is none. */
struct packet *packet_allocate_large(void);

/* Packets of either class; not for direct use. */
void packet_free_mixed(struct packet *const *p, uint32_t n);
struct packet *packet_clone_large(const struct packet *from);
uint32_t packet_large_in_use(void);

/* Headers of both classes: those of packets that may come to be, too. */
static inline uint32_t arena_packets(void)
{
    return arena.count + PACKET_LARGE_MAX;
}

/* Has anybody asked for packets of the second size class? */
static inline bool arena_has_large(void)
{
    return __atomic_load_n(&arena.large, __ATOMIC_RELAXED);
}

static inline bool packet_is_large(const struct packet *p)
{
    return p >= arena.headers + arena.count;
}

/* Bytes of its chunk. */
static inline uint32_t packet_chunk_size(const struct packet *p)
{
    return unlikely(packet_is_large(p)) ? PACKET_LARGE : arena.chunk_size;
}

/* Exchange a batch with the shared freelist; not for direct use. */
bool packet_freelist_refill(void);
void packet_freelist_spill(void);
void packet_double_free(const struct packet *p) __attribute__((noreturn));

/* Gives this thread's free packets back to the shared list: before a thread ends or
 * sleeps, and in a shortage. */
void packet_freelist_release(void);

/* With PACKET_DEBUG the bytes of free packets are poisoned under AddressSanitizer. */
void packet_debug_poison(struct packet *p, bool poison);

static inline void packet_reset(struct packet *p)
{
    p->data = p->start;
    memset(&p->length, 0,
           offsetof(struct packet, gso_size) - offsetof(struct packet, length));
}

/* Moves pointers. */
static inline void packet_pointers(struct packet **restrict to,
                                   struct packet *const *restrict from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] = from[i];
}

/* Takes up to n packets (n <= FREELIST_BATCH) whose headers are as they were left: for
 * callers that fill in every field, as packet_copy does. */
static inline uint32_t packet_take_burst(struct packet **p, uint32_t n)
{
    struct freelist *f = &packet_freelist;
    while (unlikely(f->count < n))
        if (!packet_freelist_refill())
            n = f->count;
    f->count -= n;
    packet_pointers(p, &f->packets[f->count], n);
#ifdef PACKET_DEBUG
    for (uint32_t i = 0; i < n; i++)
        packet_debug_poison(p[i], false);
#endif
    return n;
}

/* Takes up to n packets of length 0 (n <= FREELIST_BATCH); returns how many. */
static inline uint32_t packet_allocate_burst(struct packet **p, uint32_t n)
{
    n = packet_take_burst(p, n);
    for (uint32_t i = 0; i < n; i++)
        packet_reset(p[i]);
    return n;
}

/* A packet of length 0, owned by the caller; NULL when there is none. */
static inline struct packet *packet_allocate(void)
{
    struct packet *p;
    return packet_allocate_burst(&p, 1) ? p : NULL;
}

/* packet_free_burst for packets of the first size class. */
static inline void packet_free_ordinary(struct packet *const *p, uint32_t n)
{
    struct freelist *f = &packet_freelist;
    if (unlikely(f->count + n > FREELIST_SIZE))
        packet_freelist_spill();
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
#ifdef PACKET_DEBUG
        packet_debug_poison(p[i], true);
#endif
        bytes += p[i]->length;
    }
    packet_pointers(&f->packets[f->count], p, n);
    f->count += n;
    f->frees += n;
    f->freebytes += bytes;
}

/* Frees n packets that the caller owns (n <= FREELIST_BATCH). */
static inline void packet_free_burst(struct packet *const *p, uint32_t n)
{
    if (unlikely(arena_has_large()))
        packet_free_mixed(p, n);
    else
        packet_free_ordinary(p, n);
}

/* Frees a packet that the caller owns. */
static inline void packet_free(struct packet *p)
{
    packet_free_burst(&p, 1);
}

/* Bytes that fit behind and before the frame. */
static inline uint32_t packet_tailroom(const struct packet *p)
{
    return (uint32_t)(p->chunk + packet_chunk_size(p) - (p->data + p->length));
}

static inline uint32_t packet_headroom(const struct packet *p)
{
    return (uint32_t)(p->data - p->chunk);
}

/* The longest frame that a packet just allocated can hold, whichever it is. */
static inline uint32_t packet_capacity(void)
{
    return arena.chunk_size - PACKET_HEADROOM - 6 * CACHE_LINE;
}

/* ... and one of the second size class. */
static inline uint32_t packet_large_capacity(void)
{
    return PACKET_LARGE - PACKET_HEADROOM - 6 * CACHE_LINE;
}

/* Where a frame starts that is too long for its packet's usual place. */
static inline uint8_t *packet_long_start(const struct packet *p, uint32_t length)
{
    return packet_is_large(p) && length <= packet_large_capacity() ? p->start : p->chunk;
}

typedef uint64_t packet_half_line __attribute__((vector_size(32), aligned(1), may_alias));

static inline void packet_copy_half_line(void *to, const void *from)
{
    *(packet_half_line *)to = *(const packet_half_line *)from;
}

/* Chooses where a frame of a known length starts, in a packet just taken or allocated: a
 * long one gives up headroom, a short one lies anywhere in its chunk, which spreads the
 * frames that are looked at most over the whole L1 cache. The length is at most
 * packet_chunk_size. */
static inline void packet_place(struct packet *p, uint32_t length)
{
    if (length <= CACHE_LINE)
        p->data = p->short_start;
    else
        p->data =
            likely(length <= packet_capacity()) ? p->start : packet_long_start(p, length);
}

/* Copies a frame in whole cache lines to where to->data points. Frames of packets just
 * allocated start at a line and chunks end at one, so that writing a whole last line
 * stays within the chunk; reading it may run into the next chunk, which does no harm. */
static inline void packet_copy_lines(uint8_t *to, const uint8_t *from, uint32_t length)
{
#ifdef PACKET_DEBUG
    memcpy(to, from, length);
#else
    packet_copy_half_line(to, from);
    packet_copy_half_line(to + 32, from + 32);
    for (uint32_t at = CACHE_LINE; unlikely(at < length); at += CACHE_LINE) {
        packet_copy_half_line(to + at, from + at);
        packet_copy_half_line(to + at + 32, from + at + 32);
    }
#endif
}

/* Makes to, a packet just taken or allocated whose chunk is large enough, a copy of from:
 * the frame and all metadata. */
static inline void packet_copy(struct packet *to, const struct packet *from)
{
    /* All loads before the first store: headers of packets 64 apart lie 4 KiB apart, and
     * a load waits for an earlier store whose address has the same low 12 bits. */
    const uint8_t *data = from->data;
    uint32_t length = from->length;
    packet_copy_half_line(&to->length, &from->length);
    packet_place(to, length);
    packet_copy_lines(to->data, data, length);
}

/* A copy that the caller owns too, or NULL when there is no free packet. */
static inline struct packet *packet_clone(const struct packet *from)
{
    struct packet *p;
    if (unlikely(from->length > arena.chunk_size))
        return packet_clone_large(from);
    if (!packet_take_burst(&p, 1))
        return NULL;
    packet_copy(p, from);
    return p;
}

/* A packet with a frame of these bytes, of the second size class where there is one and
 * the first is too small; NULL when there is no free packet or it is too long. */
struct packet *packet_from_bytes(const void *bytes, uint32_t length);

/* Change the frame in place; false, and nothing changed, when there is no room for that.
 * packet_prepend moves the start back by length bytes, whose content is undefined. */
bool packet_append(struct packet *p, const void *bytes, uint32_t length);
bool packet_prepend(struct packet *p, uint32_t length);
bool packet_trim_front(struct packet *p, uint32_t length);

/* Puts the tag that travels beside a frame (PACKET_VLAN) into it; nothing without one. False
 * when the frame is shorter than its addresses or there is no room: it is as it was. */
bool packet_insert_vlan(struct packet *p);

/* The frame with the tag that travels beside it put in, to room for PACKET_TAG bytes more than
 * its length; returns its length there. */
uint32_t packet_copy_tagged(const struct packet *p, uint8_t *to);
static inline bool packet_push_vlan(struct packet *p)
{
    return likely(!(p->flags & PACKET_VLAN)) || packet_insert_vlan(p);
}

bool packet_resize(struct packet *p, uint32_t length); /* new bytes at the end are 0 */

/* The packet in whose chunk the address lies, NULL when it is not in the arena. */
static inline struct packet *packet_from_address(const void *address)
{
    size_t offset = (size_t)((const uint8_t *)address - arena.chunks);
    if (likely(offset < (size_t)arena.count << arena.chunk_shift))
        return &arena.headers[offset >> arena.chunk_shift];
    offset = (size_t)((const uint8_t *)address - arena.large_chunks);
    return offset < (size_t)PACKET_LARGE_MAX * PACKET_LARGE && arena_has_large()
               ? &arena.headers[arena.count + offset / PACKET_LARGE]
               : NULL;
}
