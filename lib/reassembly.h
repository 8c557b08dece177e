/* reassembly: fragments of IPv4 and IPv6 become packets again.
 *
 *   reassembly_new        how much it may hold
 *   reassembly_add        a piece; with the last one that was missing, the packet
 *   reassembly_expire     what waited too long is dropped
 *   reassembly_counters   what became of all pieces
 *   reassembly_free
 *
 * RFC 791, 3.2; RFC 8200, 4.5. The pieces of a packet have addresses, identification and, of IPv4,
 * the protocol in common. They may come in any order, and several times, if they say the same. Two
 * that say different things about one byte or about the packet's end, or too much of either, are an
 * attack or a mistake (RFC 5722, 3128): the packet is dropped, and what still comes of it until its
 * time is over. Who sends pieces without end makes old ones give way; no call takes longer for it.
 *
 * Bytes in, bytes out; any may come in. Time is the caller's, in ns, and never runs back by much.
 */
#pragma once
#include <stdint.h>

#include "lib/siphash.h"

#define REASSEMBLY_LENGTH_MAX 65535

/* Why a piece is dropped. */
#define REASSEMBLY_DROPS(ROW)                                                            \
    ROW(DAMAGED, damaged, "not a piece: lengths, or the IPv4 header's checksum")         \
    ROW(DUPLICATE, duplicate, "came before")                                             \
    ROW(OVERLAP, overlap, "says something else about the same bytes")                    \
    ROW(END, end, "two ends, or bytes behind it")                                        \
    ROW(TOO_LONG, too_long, "of a packet that is too long")                              \
    ROW(TOO_MANY, too_many, "of a packet in too many pieces")                            \
    ROW(BROKEN, broken, "of a packet that was dropped for one of these")                 \
    ROW(TIMEOUT, timeout, "the rest did not come in time")                               \
    ROW(GAVE_WAY, gave_way, "the oldest, when there was no room for others")             \
    ROW(NO_ROOM, no_room, "longer than all the room there is, or memory is out")

#define REASSEMBLY_DROP_ENUM(NAME, name, doc) REASSEMBLY_##NAME,
enum reassembly_drop { REASSEMBLY_DROPS(REASSEMBLY_DROP_ENUM) REASSEMBLY_DROP_COUNT };

/* pieces = completed + all drops + held */
struct reassembly_counters {
    uint64_t pieces;    /* that came */
    uint64_t completed; /* ... of packets that became whole */
    uint64_t drops[REASSEMBLY_DROP_COUNT];
    uint64_t held;      /* that wait now */
    uint64_t datagrams; /* packets that became whole */
    uint64_t broken;    /* packets dropped for what their pieces say */
    uint64_t bytes;     /* of memory that the held ones take now */
};

struct reassembly_limits {
    uint32_t
        datagrams;   /* at a time, those that were dropped but still have time included */
    uint32_t pieces; /* of one packet */
    uint32_t
        length; /* of one packet, as its IP header says it; REASSEMBLY_LENGTH_MAX at most */
    uint64_t bytes; /* of all pieces that are held, and what it takes to hold them */
    uint64_t time;  /* from a packet's first piece to its last */
};

/* What hosts do: RFC 1122, 3.3.2 wants 60 to 120 s; 30 s is what Linux has. */
#define REASSEMBLY_LIMITS                                                                \
    {                                                                                    \
        .datagrams = 1024, .pieces = 64, .length = REASSEMBLY_LENGTH_MAX,                \
        .bytes = 4 << 20, .time = 30000000000                                            \
    }

struct reassembly;

/* seed: secret. NULL when a limit is 0 or out of range, or memory is out. */
struct reassembly *reassembly_new(const struct reassembly_limits *limits,
                                  const struct siphash_key *seed);
void reassembly_free(struct reassembly *r);

/* ip: an IP packet, and maybe more behind it. Returns the whole packet, of *length bytes and valid
 * until the next call, or NULL. It has the header of its first piece, with new lengths, without
 * fragmentation and, where one piece had it, with the mark of congestion (RFC 3168, 5.3). What is no
 * fragment, or the only one (RFC 6946), is whole at once. */
uint8_t *reassembly_add(struct reassembly *r, const uint8_t *ip, uint32_t there,
                        uint64_t now, uint32_t *length);

/* Returns how many pieces were dropped for it. reassembly_add does so too; without traffic somebody
 * must. */
uint32_t reassembly_expire(struct reassembly *r, uint64_t now);

const struct reassembly_counters *reassembly_counters(const struct reassembly *r);
