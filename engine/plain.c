/* plain: an input link read as packets that belong on a wire. */
#include "engine/plain.h"

#include <errno.h>

#include "lib/checksum.h"

int packet_complete(struct packet *p)
{
    if (!(p->flags & PACKET_CSUM_PARTIAL))
        return 0;
    if (checksum_complete(p->data, p->length, p->csum_start, p->csum_offset))
        return -EINVAL;
    p->flags &= (uint16_t)~PACKET_CSUM_PARTIAL;
    p->flags |= PACKET_CSUM_VALID;
    return 0;
}

static int make_plan(const struct packet *p, struct segment_plan *plan)
{
    struct segment_offload offload = { .gso_type = (uint8_t)p->gso_type,
                                       .gso_size = p->gso_size };
    int error = segment_plan(plan, p->data, p->length, p->length, &offload);
    if (error)
        return error;
    return plan->header_length + segment_payload(plan, 0) > packet_capacity() ? -EMSGSIZE
                                                                              : 0;
}

static bool allocate(struct packet **p, uint32_t n)
{
    uint32_t have = 0, got = 1;
    while (have < n && got) {
        uint32_t want = n - have < FREELIST_BATCH ? n - have : FREELIST_BATCH;
        have += got = packet_allocate_burst(p + have, want);
    }
    if (have == n)
        return true;
    for (uint32_t i = 0; i < have; i++)
        packet_free(p[i]);
    return false;
}

/* Segment i of a super-frame: what travels beside the frame is the same. */
static void make_segment(const struct packet *from, const struct segment_plan *plan,
                         uint32_t i, struct packet *p)
{
    p->timestamp = from->timestamp;
    p->hash = from->hash;
    p->vlan_tci = from->vlan_tci;
    p->vlan_tpid = from->vlan_tpid;
    p->flags = (uint16_t)((from->flags & PACKET_VLAN) | PACKET_CSUM_VALID);
    memcpy(p->data + plan->header_length, from->data + segment_offset(plan, i),
           segment_payload(plan, i));
    p->length = (uint32_t)segment_finish(plan, i, p->data);
}

/* Splits the super-frame. False when it has to wait. */
static bool split(struct plain *plain, const struct packet *p)
{
    struct segment_plan plan;
    if (make_plan(p, &plan)) {
        plain->bad++;
        return true;
    }
    if (!allocate(plain->packets, plan.count)) {
        plain->no_packet++;
        return false;
    }
    for (uint32_t i = 0; i < plan.count; i++)
        make_segment(p, &plan, i, plain->packets[i]);
    plain->first = 0;
    plain->count = plan.count;
    plain->split++;
    plain->segments += plan.count;
    return true;
}

/* Makes the packet at the front plain. False when it has to wait. */
static bool make_plain(struct plain *plain, struct link *link, struct packet *p)
{
    if (p->gso_type) {
        if (!split(plain, p))
            return false;
    } else if (!packet_complete(p)) {
        plain->completed++;
        return true;
    } else {
        plain->bad++;
    }
    packet_free(p);
    link_advance(link, 1);
    return true;
}

uint32_t plain_run(struct plain *plain, struct link *link, struct packet ***p, uint32_t n)
{
    uint16_t unfinished = plain->partial ? 0 : PACKET_CSUM_PARTIAL;
    while (!plain->count) {
        uint32_t have = link_run(link, p, n), run = 0;
        while (run < have && likely(!((*p)[run]->flags & unfinished)) &&
               likely(!(*p)[run]->gso_type))
            run++;
        if (run || !have)
            return run;
        if (!make_plain(plain, link, **p))
            return 0;
    }
    *p = plain->packets + plain->first;
    return plain->count < n ? plain->count : n;
}

void plain_advance(struct plain *plain, struct link *link, uint32_t n)
{
    if (likely(!plain->count)) {
        link_advance(link, n);
        return;
    }
    plain->first += n;
    plain->count -= n;
}

uint32_t plain_drop(struct plain *plain)
{
    uint32_t n = plain->count;
    for (; plain->count; plain->count--)
        packet_free(plain->packets[plain->first++]);
    return n;
}
