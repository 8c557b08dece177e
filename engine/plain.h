/* plain: an input link read as packets that belong on a wire.
 *
 *   packet_is_plain   is nothing left to be done to it by hardware?
 *   plain_run         the plain packets at the front of a link
 *   plain_advance     ... take some of them
 *   plain_front       the next packet, as it is now
 *   plain_receive_burst    as link_receive_burst; for graphs without large packets it is that
 *   plain_drop        free what is held
 *
 *      link    | packet | checksum missing | super-frame      | packet | ...
 *                 |           |              / copies by segments
 *      run     | packet |  completed  |  s0  |  s1  |  s2  |    packet | ...
 *
 * For whoever gives frames to somebody that knows nothing of unfinished checksums and
 * super-frames: a device without such help, a file, a socket without PACKET_VNET_HDR.
 * (What they are: engine/packet.h.) Used in place of link_run and link_advance, it costs
 * one look at every packet; nothing else changes for packets that are plain.
 *
 * The segments of one super-frame at a time are held here, in front of what is on the
 * link.
 */
#pragma once
#include "engine/link.h"
#include "lib/segment.h"

/* Zeroed before use; one for each link. Counts are the owner's to read. */
struct plain {
    bool partial;       /* set by the owner: unfinished checksums may stay as they are */
    uint64_t completed; /* checksums filled in */
    uint64_t split;     /* super-frames ... */
    uint64_t segments;  /* ... and what they were split into */
    uint64_t bad;       /* freed: wrongly described, or segments too long for a packet */
    uint64_t no_packet; /* times when segments had to wait for free packets */
    uint32_t first, count; /* segments not taken yet */
    struct packet *packets[SEGMENT_MAX];
};

static inline bool packet_is_plain(const struct packet *p)
{
    return !(p->flags & PACKET_CSUM_PARTIAL) && !p->gso_type;
}

/* Fills in what is missing of a checksum; -EINVAL when it is wrongly described. */
int packet_complete(struct packet *p);

/* As link_run: up to n packets that the link, or this, still owns. 0 when there is
 * nothing on the link, or no packet free to split what is. */
uint32_t plain_run(struct plain *plain, struct link *link, struct packet ***p,
                   uint32_t n);

/* Takes n packets found by the latest plain_run: the caller owns them. */
void plain_advance(struct plain *plain, struct link *link, uint32_t n);

/* As link_front: it may be one that is yet to be made plain. */
static inline struct packet *plain_front(const struct plain *plain, struct link *link)
{
    return plain->count ? plain->packets[plain->first] : link_front(link);
}

/* For apps that want wire packets: what no app has asked large packets for has no
 * super-frames, and costs nothing. Unfinished checksums may stay as they are then, so set
 * plain->partial. */
static inline uint32_t plain_receive_burst(struct plain *plain, struct link *link,
                                           struct packet **p, uint32_t n)
{
    struct packet **run;
    if (likely(!arena_has_large()))
        return link_receive_burst(link, p, n);
    n = n ? plain_run(plain, link, &run, n) : 0;
    packet_pointers(p, run, n);
    plain_advance(plain, link, n);
    return n;
}

/* Frees the segments that are held; returns how many. */
uint32_t plain_drop(struct plain *plain);
