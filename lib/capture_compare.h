/* capture_compare: what a network did, from a capture before it and one behind it.
 *
 *   compare_read         one of the two files
 *   compare_match        find each packet of the one in the other
 *   compare_figures      what that says
 *   compare_free
 *
 * Packets are found by their bytes from IP on, without those that routers change (hop limit,
 * DSCP and ECN, IPv4 header checksum); of others by all bytes. What is left over was
 * damaged: it is looked for among the packets sent shortly before, the one that differs in
 * the fewest bits. Comments in the files are ignored: this is the view of somebody else.
 *
 * Packets of equal bytes cannot be told apart: counts stay right, delays are taken from the
 * others. Packets sent so late that they may still have been on their way when the second
 * capture ended count for nothing. Times of both files must be of one clock. Memory holds
 * both files; whatever bytes come in, work is bounded.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

enum compare_side { COMPARE_BEFORE, COMPARE_AFTER };

#define COMPARE_NONE UINT32_MAX

/* Of a packet; of one behind the network most has no meaning. */
struct compare_packet {
    uint64_t time, hash;
    uint64_t offset; /* of its bytes */
    uint32_t length;
    uint32_t next;   /* before: with the same hash */
    uint32_t match;  /* after: number of the packet before; before: of the first after */
    uint32_t copies; /* before: how often it came out */
    uint32_t bits;   /* after: that differ */
    bool unique;     /* before: no other has the same bytes */
    bool shorter;    /* after: cut off */
};

struct compare_list {
    struct compare_packet *packets;
    uint32_t count, size;
};

struct compare {
    struct compare_list list[2];
    uint8_t *bytes;
    uint64_t used, size;
    bool all; /* set by the owner: ARP and neighbour discovery count too */
    uint32_t exempt[2];
    uint32_t *table; /* hash to the first packet not found yet, then to the last */
    uint32_t *last;
    uint32_t slots;
    bool routed; /* most packets differ in what routers change */
};

struct compare_figures {
    uint32_t sent, received;       /* packets before that count; all after */
    uint32_t lost;                 /* of those sent */
    uint32_t duplicated, copies;   /* packets that came more than once; how often more */
    uint32_t corrupted, truncated; /* of those received */
    uint64_t bits;                 /* damaged in those corrupted */
    uint32_t foreign;              /* received, but never sent */
    uint32_t reordered;   /* behind a later one (RFC 4737, 3.3), copies left out */
    uint32_t extent;      /* the largest (RFC 4737, 4.2.1) */
    uint32_t ambiguous;   /* sent with equal bytes */
    uint32_t exempt;      /* ARP and neighbour discovery before, left out */
    uint32_t runs;        /* of lost packets */
    uint32_t pairs[2][2]; /* neighbours: this one lost or not, the next one too */
    uint32_t last_sent;   /* number of the last that counts, plus 1 */
};

/* compare is all zeros at first. -errno with a message. */
int compare_read(struct compare *compare, enum compare_side side, const char *path,
                 struct error *err);
int compare_add(struct compare *compare, enum compare_side side, uint64_t time,
                const uint8_t *bytes, uint32_t length);

/* -ENOMEM when memory is out. */
int compare_match(struct compare *compare);
void compare_figures(const struct compare *compare, struct compare_figures *figures);
void compare_free(struct compare *compare);

/* The delay in ns of a packet sent, false when it has none that is certain. */
bool compare_delay(const struct compare *compare, uint32_t index, uint64_t *ns);
