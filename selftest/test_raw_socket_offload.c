/* RawSocket: super-frames and unfinished checksums: split, completed, passed on whole, sent,
 * refused. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sys/socket.h>

#include "selftest/raw_socket_rig.h"
#include "selftest/selftest.h"
#include "selftest/super_frame.h"

static struct rig rig;
static uint8_t got[RIG_FRAME_MAX];

#define PAYLOAD 5000
#define SEGMENT 1400

/* A TCP super-frame of 5,000 bytes with what a kernel says of it in front. */
static size_t make_super(uint8_t *at, bool tag)
{
    struct virtio_net_hdr vnet;
    size_t length = super_frame(at + sizeof(vnet), tag, PAYLOAD, SEGMENT, &vnet);
    memcpy(at, &vnet, sizeof(vnet));
    return sizeof(vnet) + length;
}

/* What a host with offloads sends comes out as the frames that belong on a wire. */
START_TEST(super_frame_is_split)
{
    static uint8_t super[RIG_FRAME_MAX];
    static const char *const options[] = { "merge=1", "merge=1 version=v3",
                                           "merge=1 version=read" };
    bool tag = _i >= 3;
    uint32_t l3 = tag ? 18 : 14;
    int on = 1;
    if (!rig_network())
        return;
    rig_start(&rig, options[_i % 3]);
    ck_assert(!setsockopt(rig.left, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)));
    wire_send(rig.left, super, make_super(super, tag));
    for (uint32_t at = 0, i = 0; at < PAYLOAD; at += SEGMENT, i++) {
        uint32_t payload = PAYLOAD - at < SEGMENT ? PAYLOAD - at : SEGMENT;
        ck_assert_uint_eq(rig_next(&rig, rig.right, got), l3 + 40 + payload);
        const char *wrong = segment_check(got, l3 + 40 + payload);
        ck_assert_msg(!wrong, "%s", wrong);
        ck_assert_uint_eq(got[l3 + 5], 0x34 + i); /* identification */
        ck_assert_mem_eq(got + l3 + 40, super + 10 + l3 + 40 + at, payload);
    }
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_split"), 1);
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_packets"), 4);
    rig_stop(&rig);
}
END_TEST

/* With offload = "gso" it crosses as it is, and what is said of it with it. */
START_TEST(super_frame_crosses_whole)
{
    static uint8_t super[RIG_FRAME_MAX];
    static const char *const options[] = { "offload=gso", "offload=gso version=v3",
                                           "offload=gso direction=both",
                                           "offload=gso vlan=metadata",
                                           "offload=gso version=read" };
    bool tag = _i >= 5;
    int on = 1;
    if (!rig_network())
        return;
    rig_start(&rig, options[_i % 5]);
    ck_assert(!setsockopt(rig.left, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)));
    ck_assert(!setsockopt(rig.right, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)));
    size_t length = make_super(super, tag);
    wire_send(rig.left, super, length);
    size_t have = 0;
    RIG_UNTIL(&rig,
              (have = recv(rig.right, got, sizeof(got), MSG_DONTWAIT)) != (size_t)-1);
    struct virtio_net_hdr was, is;
    memcpy(&was, super, sizeof(was));
    memcpy(&is, got, sizeof(is));
    uint16_t l3 = tag ? 18 : 14; /* the tag comes beside the frame */
    ck_assert_uint_eq(is.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    ck_assert_uint_eq(is.gso_type, was.gso_type);
    ck_assert_uint_eq(is.gso_size, was.gso_size);
    ck_assert_uint_eq(is.csum_start, 34);
    ck_assert_uint_eq(is.csum_offset, was.csum_offset);
    ck_assert_uint_eq(have, 10u + 14 + 40 + PAYLOAD);
    ck_assert_mem_eq(got + 10, super + 10, 12);
    ck_assert_mem_eq(got + 10 + 14, super + 10 + l3, 40 + PAYLOAD);
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_gso"), 1);
    ck_assert_uint_eq(rig_count(&rig, "if2", "tx_gso"), 1);
    rig_expect_kernel(&rig, "if1", 1);
    rig_stop(&rig);
}
END_TEST

/* What the packet of a super-frame says of it. */
START_TEST(super_frame_as_a_packet)
{
    static uint8_t super[RIG_FRAME_MAX];
    size_t count;
    int on = 1;
    if (!rig_network())
        return;
    rig_listen(&rig, _i ? "offload=gso version=v3" : "offload=gso");
    ck_assert(!setsockopt(rig.left, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)));
    for (int tag = 0; tag < 2; tag++) {
        wire_send(rig.left, super, make_super(super, tag));
        RIG_UNTIL(&rig, rig_collected(&rig) == 1u + (unsigned)tag);
        struct packet *p = test_collected(rig.engine, "out", &count)[tag];
        ck_assert(packet_is_large(p));
        ck_assert_uint_eq(p->flags, PACKET_CSUM_PARTIAL);
        ck_assert_uint_eq(p->gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
        ck_assert_uint_eq(p->gso_size, SEGMENT);
        ck_assert_uint_eq(p->csum_start, SUPER_HEADERS(tag) - 20);
        ck_assert_uint_eq(p->csum_offset, 16);
        ck_assert_uint_eq(p->length, SUPER_HEADERS(tag) + PAYLOAD);
        ck_assert_mem_eq(p->data, super + 10, p->length);
        ck_assert_uint_ne(p->timestamp, 0);
    }
    rig_stop(&rig);
}
END_TEST

/* One segment whose checksum is to be filled in. */
static size_t make_unfinished(uint8_t *at, uint32_t payload)
{
    struct virtio_net_hdr vnet;
    size_t length = super_frame(at + sizeof(vnet), false, payload, 0, &vnet);
    vnet.gso_type = VIRTIO_NET_HDR_GSO_NONE;
    memcpy(at, &vnet, sizeof(vnet));
    return sizeof(vnet) + length;
}

/* With offload = "csum" it stays unfinished all the way; super-frames are split. */
START_TEST(unfinished_checksum_crosses)
{
    static uint8_t frame[RIG_FRAME_MAX];
    int on = 1;
    if (!rig_network())
        return;
    rig_start(&rig, _i ? "offload=csum direction=both" : "offload=csum merge=1");
    ck_assert(!setsockopt(rig.left, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)));
    ck_assert(!setsockopt(rig.right, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)));
    size_t length = make_unfinished(frame, 1000), have = 0;
    wire_send(rig.left, frame, length);
    RIG_UNTIL(&rig,
              (have = recv(rig.right, got, sizeof(got), MSG_DONTWAIT)) != (size_t)-1);
    ck_assert_uint_eq(have, length);
    ck_assert_mem_eq(got + 10, frame + 10, length - 10);
    ck_assert_uint_eq(((struct virtio_net_hdr *)(void *)got)->csum_start, 34);
    ck_assert_uint_eq(got[0], VIRTIO_NET_HDR_F_NEEDS_CSUM);
    wire_send(rig.left, frame, make_super(frame, false));
    for (int i = 0; i < 4; i++) {
        RIG_UNTIL(&rig,
                  (have = recv(rig.right, got, sizeof(got), MSG_DONTWAIT)) != (size_t)-1);
        const char *wrong = segment_check(got + 10, have - 10);
        ck_assert_msg(!wrong, "%s", wrong);
    }
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_split"), 1);
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_csum_completed"), 0);
    rig_stop(&rig);
}
END_TEST

static struct packet *offloaded(const uint8_t *super, size_t length, uint16_t gso_size)
{
    struct packet *p = packet_from_bytes(super + 10, (uint32_t)(length - 10));
    ck_assert_ptr_nonnull(p);
    p->flags = PACKET_CSUM_PARTIAL;
    p->csum_start = 34;
    p->csum_offset = 16;
    p->gso_type = gso_size ? VIRTIO_NET_HDR_GSO_TCPV4 : 0;
    p->gso_size = gso_size;
    return p;
}

/* Handed to a socket that does not do that, they go out as the wire wants them. */
START_TEST(offloaded_packets_are_made_plain)
{
    static uint8_t super[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
    static const char *const options[] = { "merge=1", "merge=1 direction=both" };
    struct error err;
    if (!rig_network())
        return;
    rig_listen(&rig, options[_i]);
    ck_assert(!packet_large_reserve(10, &err));
    test_inject(rig.engine, "in", offloaded(super, make_super(super, false), SEGMENT));
    test_inject(rig.engine, "in", offloaded(frame, make_unfinished(frame, 999), 0));
    struct packet *bad = offloaded(super, make_super(super, false), SEGMENT);
    bad->gso_type = 99;
    test_inject(rig.engine, "in", bad);
    for (uint32_t at = 0; at < PAYLOAD; at += SEGMENT) {
        uint32_t payload = PAYLOAD - at < SEGMENT ? PAYLOAD - at : SEGMENT;
        ck_assert_uint_eq(rig_next(&rig, rig.left, got), 54 + payload);
        ck_assert_ptr_null(segment_check(got, 54 + payload));
        ck_assert_mem_eq(got + 54, super + 64 + at, payload);
    }
    ck_assert_uint_eq(rig_next(&rig, rig.left, got), 54 + 999);
    ck_assert_ptr_null(segment_check(got, 54 + 999));
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_split"), 1);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_segments"), 4);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_csum_completed"), 1);
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "drop_tx_offload") == 1);
    rig_stop(&rig);
}
END_TEST

/* What the kernel would refuse, or send longer than the interface allows. */
START_TEST(offloads_that_cannot_be_sent)
{
    static uint8_t super[RIG_FRAME_MAX];
    if (!rig_network())
        return;
    rig_listen(&rig, "offload=gso");
    size_t length = make_super(super, false);
    test_inject(rig.engine, "in", offloaded(super, length, 1461 + 4));
    struct packet *p = offloaded(super, length, SEGMENT);
    p->flags = 0; /* a super-frame with a finished checksum */
    test_inject(rig.engine, "in", p);
    p = offloaded(super, length, SEGMENT);
    p->csum_start = 60000;
    test_inject(rig.engine, "in", p);
    p = offloaded(super, length, 0);
    p->length = 1000;
    p->csum_start = 999;
    test_inject(rig.engine, "in", p);
    test_inject(rig.engine, "in", offloaded(super, length, 0)); /* not split: too long */
    test_inject_bytes(rig.engine, "in", frame_make(1, 100), 100);
    rig_expect(&rig, rig.left, frame_make(1, 100), 100);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_tx_oversize"), 2);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_tx_offload"), 3);
    shell("ip link set left mtu 9000 && ip link set if1 mtu 9000"); /* it is heard of */
    for (rig_give_time(&rig); !rig_count(&rig, "if1", "tx_gso");) {
        test_inject(rig.engine, "in", offloaded(super, length, 1461 + 4));
        rig_step(&rig, "longer segments");
    }
    rig_stop(&rig);
}
END_TEST

static bool polls_for(const struct engine *engine, short events)
{
    for (uint32_t i = 1; i < engine->npolls; i++)
        if (engine->polls[i].events & events)
            return true;
    return false;
}

/* The same with TCP segments that go out in runs: while they wait the engine sleeps. */
START_TEST(slow_wire_for_runs)
{
    const uint32_t frames = 1000, payload = 1400;
    static uint8_t super[RIG_FRAME_MAX];
    if (!rig_network())
        return;
    rig_listen(&rig, NULL);
    shell("tc qdisc add dev if1 root tbf rate 80kbit burst 20000 limit 100000000");
    make_super(super, false);
    uint8_t *frame = super + sizeof(struct virtio_net_hdr);
    frame[16] = (40 + payload) >> 8;
    frame[17] = (40 + payload) & 0xff;
    frame[47] = 0x10; /* ACK */
    for (uint32_t n = 0; n < frames; n++) {
        uint32_t sequence = htonl(n * payload), id = htons((uint16_t)n);
        memcpy(frame + 38, &sequence, 4);
        memcpy(frame + 18, &id, 2);
        struct packet *p = packet_from_bytes(frame, 54 + payload);
        p->flags |= PACKET_CSUM_VALID;
        test_inject(rig.engine, "in", p);
    }
    struct link *link = engine_find_link(rig.engine, "in.output -> if1.input");
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "tx_blocked") > 3 && link->write == frames);
    ck_assert_uint_gt(rig_count(&rig, "if1", "tx_merged"), 0);
    RIG_UNTIL(&rig, poll(rig.engine->polls, rig.engine->npolls, 20) == 0);
    ck_assert_uint_lt(rig_count(&rig, "if1", "tx_packets"), frames);
    shell("tc qdisc change dev if1 root tbf rate 10gbit burst 10mb limit 100000000");
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "tx_packets") == frames);
    engine_breathe(rig.engine);
    ck_assert(!polls_for(rig.engine, POLLOUT));
    rig_stop(&rig);
}
END_TEST

static Suite *suite_raw_socket_offload(void)
{
    Suite *suite = suite_create("raw_socket_offload");
    TCase *tests = tcase_create("raw_socket_offload");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, super_frame_is_split, 0, 6);
    tcase_add_loop_test(tests, super_frame_crosses_whole, 0, 10);
    tcase_add_loop_test(tests, super_frame_as_a_packet, 0, 2);
    tcase_add_loop_test(tests, unfinished_checksum_crosses, 0, 2);
    tcase_add_loop_test(tests, offloaded_packets_are_made_plain, 0, 2);
    tcase_add_test(tests, offloads_that_cannot_be_sent);
    tcase_add_test(tests, slow_wire_for_runs);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(raw_socket_offload)
