/* receive: from frames in the ring to packets on a link. */
#include "apps/raw_socket/receive.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <time.h>

#include "engine/engine.h"
#include "lib/checksum.h"
#include "lib/hardware_clock.h"

#define TAG_SIZE    4
#define MAC_BYTES   12 /* both addresses: the tag comes behind them */
#define LEAST_FRAME 14

/* One call's worth of state. */
struct receiver {
    struct app *app;
    struct ring *ring;
    const struct receive_options *options;
    struct link *output;
    uint64_t realtime_offset; /* CLOCK_MONOTONIC - CLOCK_REALTIME */
    uint64_t device_offset;   /* CLOCK_MONOTONIC - the device's clock */
};

static uint64_t nanoseconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void read_offsets(struct receiver *r)
{
    int clock = r->options->clock;
    r->realtime_offset = 0 - nanoseconds(CLOCK_REALTIME);
    r->realtime_offset += nanoseconds(CLOCK_MONOTONIC);
    if (unlikely(clock >= 0)) {
        r->device_offset = 0 - hardware_clock_now(clock);
        r->device_offset += nanoseconds(CLOCK_MONOTONIC);
    }
}

/* When the frame came in, on the engine's clock; never later than now. It may have come while this
 * breath was under way: taken for earlier, a delay that is counted from it would be too short. */
static uint64_t arrival(const struct receiver *r, const struct ring_frame *frame)
{
    bool device = frame->hardware && r->options->clock >= 0;
    uint64_t time = frame->time + (device ? r->device_offset : r->realtime_offset);
    app_count(r->app, RX_SOFT_STAMPS, !device && r->options->clock >= 0);
    if (likely(time <= engine_now(r->app->engine)))
        return time;
    uint64_t now = engine_clock(r->app->engine);
    return time < now ? time : now;
}

/* The tag that the kernel took out, back into the frame or into the metadata. */
static void add_vlan(const struct receiver *r, const struct ring_frame *frame,
                     struct packet *p)
{
    if (!frame->vlan)
        return;
    if (r->options->vlan == VLAN_METADATA) {
        p->flags |= PACKET_VLAN;
        p->vlan_tci = frame->vlan_tci;
        p->vlan_tpid = frame->vlan_tpid;
        return;
    }
    packet_prepend(p, TAG_SIZE);
    memmove(p->data, p->data + TAG_SIZE, MAC_BYTES);
    uint8_t *tag = p->data + MAC_BYTES;
    tag[0] = (uint8_t)(frame->vlan_tpid >> 8);
    tag[1] = (uint8_t)frame->vlan_tpid;
    tag[2] = (uint8_t)(frame->vlan_tci >> 8);
    tag[3] = (uint8_t)frame->vlan_tci;
}

static void deliver(const struct receiver *r, const struct ring_frame *frame,
                    struct packet *p)
{
    p->timestamp = arrival(r, frame);
    add_vlan(r, frame, p);
    app_count(r->app, RX_PACKETS, 1);
    app_count(r->app, RX_BYTES, p->length);
    app_count(r->app, RX_GSO, p->gso_type != 0);
    link_transmit(r->output, p);
}

/* Where a frame of that length goes, with room for a tag in front. */
static void place(struct packet *p, uint32_t length)
{
    packet_place(p, length + TAG_SIZE);
    if (p->data == p->chunk)
        p->data += TAG_SIZE;
}

/* Drops the frame, under a reason. */
static bool refuse(const struct receiver *r, const struct ring_frame *frame,
                   uint32_t reason)
{
    ring_discard(r->ring, frame);
    app_count(r->app, reason, 1);
    return true;
}

/* What is left to do stays in the packet. */
static bool note_checksum(const struct segment_offload *offload, struct packet *p)
{
    if ((uint32_t)offload->csum_start + offload->csum_offset + 2 > p->length)
        return false;
    p->flags |= PACKET_CSUM_PARTIAL;
    p->csum_start = offload->csum_start;
    p->csum_offset = offload->csum_offset;
    return true;
}

static bool take_checksum(const struct receiver *r, const struct ring_frame *frame,
                          struct packet *p)
{
    const struct segment_offload *offload = &frame->offload;
    if (!(offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
        if (offload->flags & VIRTIO_NET_HDR_F_DATA_VALID)
            p->flags |= PACKET_CSUM_VALID;
        return true;
    }
    if (r->options->offload >= MODE_CSUM)
        return note_checksum(offload, p);
    if (checksum_complete(p->data, p->length, offload->csum_start, offload->csum_offset))
        return false;
    p->flags |= PACKET_CSUM_VALID;
    app_count(r->app, RX_CSUM, 1);
    return true;
}

/* The frame's bytes, wherever they are. */
static bool copy_frame(const struct receiver *r, const struct ring_frame *frame,
                       struct packet *p)
{
    p->length = frame->length;
    if (frame->queued) {
        struct iovec to = { p->data, frame->length };
        return !ring_fetch(r->ring, frame, &to, 1);
    }
    memcpy(p->data, frame->data, frame->length);
    return true;
}

/* False when it must wait for a free packet. */
static bool take_whole(const struct receiver *r, const struct ring_frame *frame,
                       struct packet *p)
{
    if (!p) {
        app_count(r->app, RX_NO_PACKET, 1);
        return false;
    }
    place(p, frame->length);
    if (copy_frame(r, frame, p) && take_checksum(r, frame, p))
        deliver(r, frame, p);
    else
        app_drop(r->app, DROP_MALFORMED, p);
    return true;
}

/* False when it must wait for a free packet. */
static bool take_frame(const struct receiver *r, const struct ring_frame *frame)
{
    uint32_t most = r->options->jumbo ? PACKET_LARGE : arena.chunk_size;
    if (frame->lost)
        return refuse(r, frame, DROP_TRUNCATED);
    if (frame->length + TAG_SIZE > most)
        return refuse(r, frame, DROP_OVERSIZE);
    if (frame->length < LEAST_FRAME)
        return refuse(r, frame, DROP_MALFORMED);
    return take_whole(r, frame,
                      frame->length + TAG_SIZE > arena.chunk_size
                          ? packet_allocate_large()
                          : packet_allocate());
}

/* A super-frame as one packet, with what is known of it. */
static bool take_gso(const struct receiver *r, const struct ring_frame *frame)
{
    struct packet *p = packet_allocate_large();
    if (p) {
        p->gso_type = frame->offload.gso_type;
        p->gso_size = frame->offload.gso_size;
    }
    return take_whole(r, frame, p);
}

/* The payload of every segment to where it belongs in its packet. */
static int scatter(const struct receiver *r, const struct ring_frame *frame,
                   const struct segment_plan *plan, struct packet **p)
{
    uint8_t headers[SEGMENT_HEADER_MAX + TAG_SIZE];
    struct iovec to[SEGMENT_MAX + 1] = { { headers, plan->payload_offset } };
    for (uint32_t i = 0; i < plan->count; i++)
        to[i + 1] =
            (struct iovec){ p[i]->data + plan->header_length, segment_payload(plan, i) };
    if (frame->queued)
        return ring_fetch(r->ring, frame, to, plan->count + 1);
    for (uint32_t i = 0; i < plan->count; i++)
        memcpy(to[i + 1].iov_base, frame->data + segment_offset(plan, i),
               to[i + 1].iov_len);
    return 0;
}

static bool allocate(struct packet **p, uint32_t n)
{
    uint32_t have = 0;
    while (have < n) {
        uint32_t want = n - have < FREELIST_BATCH ? n - have : FREELIST_BATCH;
        uint32_t got = packet_allocate_burst(p + have, want);
        have += got;
        if (got < want)
            break;
    }
    if (have == n)
        return true;
    for (uint32_t i = 0; i < have; i++)
        packet_free(p[i]);
    return false;
}

/* False when it must wait for room or free packets. */
static bool take_super_frame(const struct receiver *r, const struct ring_frame *frame)
{
    struct segment_plan plan;
    struct packet *p[SEGMENT_MAX];
    int error = frame->lost ? -ENOBUFS
                            : segment_plan(&plan, frame->data, frame->captured,
                                           frame->length, &frame->offload);
    if (error)
        return refuse(r, frame, frame->lost ? DROP_TRUNCATED : DROP_GSO);
    if (r->options->offload == MODE_GSO && frame->length + TAG_SIZE <= PACKET_LARGE &&
        frame->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        return !link_full(r->output) && take_gso(r, frame);
    uint32_t longest = plan.header_length + segment_payload(&plan, 0);
    if (longest + TAG_SIZE > arena.chunk_size)
        return refuse(r, frame, DROP_OVERSIZE);
    if (plan.count > link_writable(r->output))
        return false;
    if (!allocate(p, plan.count)) {
        app_count(r->app, RX_NO_PACKET, 1);
        return false;
    }
    for (uint32_t i = 0; i < plan.count; i++)
        place(p[i], longest);
    error = scatter(r, frame, &plan, p);
    for (uint32_t i = 0; i < plan.count; i++) {
        if (error) {
            packet_free(p[i]);
            continue;
        }
        p[i]->length = (uint32_t)segment_finish(&plan, i, p[i]->data);
        p[i]->flags |= PACKET_CSUM_VALID;
        deliver(r, frame, p[i]);
    }
    app_count(r->app, error ? DROP_MALFORMED : RX_SPLIT, 1);
    return true;
}

/* What a snaplen leaves of a frame: no checksum can be completed, nothing split. Where a
 * slot has less than that the queue has it all. */
static void cut(const struct receiver *r, struct ring_frame *frame)
{
    frame->length = r->options->snaplen;
    if (frame->queued && frame->captured >= frame->length) {
        ring_discard(r->ring, frame);
        frame->queued = false;
    }
    frame->lost = !frame->queued && frame->captured < frame->length;
    memset(&frame->offload, 0, sizeof(frame->offload));
}

static bool take(const struct receiver *r, struct ring_frame *frame)
{
    bool outgoing = frame->packet_type == PACKET_OUTGOING;
    if ((r->options->direction == DIRECTION_OUT && !outgoing) ||
        (r->options->direction == DIRECTION_IN && outgoing)) {
        ring_discard(r->ring, frame);
        return true;
    }
    if (!r->output)
        return refuse(r, frame, DROP_NO_OUTPUT);
    if (frame->vlan && r->options->vlan == VLAN_DROP)
        return refuse(r, frame, DROP_VLAN);
    if (r->options->snaplen && frame->length > r->options->snaplen)
        cut(r, frame);
    if (frame->offload.gso_type != VIRTIO_NET_HDR_GSO_NONE)
        return take_super_frame(r, frame);
    return !link_full(r->output) && take_frame(r, frame);
}

uint32_t receive(struct app *app, struct ring *ring,
                 const struct receive_options *options, struct link *output)
{
    struct ring_frame frame;
    if (!ring_peek(ring, &frame))
        return 0;
    struct receiver r = { app, ring, options, output, 0, 0 };
    read_offsets(&r);
    uint32_t n = 0;
    while (take(&r, &frame)) {
        ring_release(ring, &frame);
        if (++n == options->burst || !ring_peek(ring, &frame))
            break;
    }
    return n;
}
