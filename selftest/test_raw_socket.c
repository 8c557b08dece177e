/* RawSocket: frames between real interfaces, in a network namespace of the test's own.
 * What else there is: test_raw_socket_life.c, _offload.c, _options.c, _fanout.c, _send.c,
 * _traffic.c. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include "selftest/raw_socket_rig.h"
#include "selftest/selftest.h"

static struct rig rig;
static uint8_t got[RIG_FRAME_MAX];

static const char *const versions[] = { "version=v2", "version=v3", "version=read" };

static void expect_silence(int wire)
{
    ck_assert_uint_eq(wire_receive(wire, got), 0);
}

/* --- both ways ---------------------------------------------------------------------- */

#define BATCH 50

static size_t length_of(uint32_t n)
{
    return n < 1501 ? 14 + n : 1514;
}

/* Every length there is, in both directions at once; nothing else comes out. */
START_TEST(frames_cross_unchanged)
{
    const uint32_t frames = 1600;
    if (!rig_network())
        return;
    rig_start(&rig, versions[_i]);
    for (uint32_t n = 0; n < frames; n += BATCH) {
        for (uint32_t i = n; i < n + BATCH; i++) {
            wire_send(rig.left, frame_make(i, length_of(i)), length_of(i));
            wire_send(rig.right, frame_make(~i, length_of(i)), length_of(i));
        }
        for (uint32_t i = n; i < n + BATCH; i++) {
            rig_expect(&rig, rig.right, frame_make(i, length_of(i)), length_of(i));
            rig_expect(&rig, rig.left, frame_make(~i, length_of(i)), length_of(i));
        }
    }
    rig_expect_kernel(&rig, "if1", frames); /* not a frame of its own */
    rig_expect_kernel(&rig, "if2", frames);
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_packets"), frames);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_packets"), frames);
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_bytes"),
                      rig_count(&rig, "if2", "tx_bytes"));
    expect_silence(rig.left);
    expect_silence(rig.right);
    rig_stop(&rig);
}
END_TEST

START_TEST(small_batches)
{
    if (!rig_network())
        return;
    rig_start(&rig, "rx_batch=1 promisc=true qdisc_bypass=true");
    for (uint32_t n = 0; n < 20; n++)
        wire_send(rig.left, frame_make(n, 60), 60);
    engine_breathe(rig.engine);
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_packets"), 1);
    for (uint32_t n = 0; n < 20; n++)
        rig_expect(&rig, rig.right, frame_make(n, 60), 60);
    rig_expect_kernel(&rig, "if1", 20);
    rig_stop(&rig);
}
END_TEST

/* Ten thousand frames of all lengths arrive once each, in order, and nowhere else. */
START_TEST(many_frames_exactly)
{
    const uint32_t frames = 10000;
    uint32_t sent = 0;
    size_t count;
    if (!rig_network())
        return;
    rig_listen(&rig, versions[_i]);
    while (sent < frames) {
        for (uint32_t i = 0; i < BATCH; i++, sent++)
            wire_send(rig.left, frame_make(sent, length_of(sent % 1600)),
                      length_of(sent % 1600));
        RIG_UNTIL(&rig, rig_count(&rig, "if1", "rx_packets") == sent);
    }
    struct packet **p = test_collected(rig.engine, "out", &count);
    ck_assert_uint_eq(count, frames);
    for (uint32_t n = 0; n < frames; n++) {
        ck_assert_uint_eq(p[n]->length, length_of(n % 1600));
        ck_assert_mem_eq(p[n]->data, frame_make(n, p[n]->length), p[n]->length);
        ck_assert(!n || p[n]->timestamp >= p[n - 1]->timestamp);
    }
    rig_expect_kernel(&rig, "if1", frames);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_ring_full"), 0);
    rig_stop(&rig);
}
END_TEST

/* A frame is there in the next breath; in a block that is not full it waits for the retire
 * time, and comes all the same. */
START_TEST(when_a_single_frame_comes)
{
    static const char *const options[] = { "version=v2", "version=read",
                                           "version=v3 retire_ms=1000" };
    if (!rig_network())
        return;
    rig_listen(&rig, options[_i]);
    for (uint32_t n = 0; n < (_i == 2 ? 2 : 200); n++) {
        wire_send(rig.left, frame_make(n, 100), 100);
        engine_breathe(rig.engine);
        engine_breathe(rig.engine);
        ck_assert_uint_eq(rig_collected(&rig), _i == 2 ? n : n + 1);
        RIG_UNTIL(&rig, rig_collected(&rig) == n + 1);
    }
    rig_stop(&rig);
}
END_TEST

/* While frames are dropped and not, no counter ever goes back, and in the end all sent are
 * received or dropped. */
START_TEST(counters_never_go_back)
{
    static const char *const names[] = { "kernel_packets", "drop_ring_full",
                                         "rx_packets",     "rx_bytes",
                                         "freezes",        "losing_blocks" };
    uint64_t before[6] = { 0 };
    uint32_t sent = 0;
    if (!rig_network())
        return;
    rig_start(&rig, _i ? "version=v3 ring=64 rx_batch=8" : "ring=64 rx_batch=8");
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < 20; i++, sent++)
            wire_send(rig.left, frame_make(0, i % 2 ? 60 : 1400), i % 2 ? 60 : 1400);
        engine_breathe(rig.engine);
        for (size_t i = 0; i < 6; i++) {
            uint64_t now = rig_count(&rig, "if1", names[i]);
            ck_assert_msg(now >= before[i], "%s went back", names[i]);
            before[i] = now;
        }
    }
    rig_expect_kernel(&rig, "if1", sent);
    ck_assert_uint_gt(rig_count(&rig, "if1", "drop_ring_full"), 0);
    rig_stop(&rig);
}
END_TEST

/* --- direction ---------------------------------------------------------------------- */

/* Whether frame n is among what was collected. */
static bool has(uint32_t n)
{
    size_t count;
    struct packet **p = test_collected(rig.engine, "out", &count);
    for (size_t i = 0; i < count; i++)
        if (p[i]->length == 100 && !memcmp(p[i]->data, frame_make(n, 100), 100))
            return true;
    return false;
}

static const struct {
    const char *options;
    bool in, out;
} directions[] = {
    { "direction=in version=v2", true, false },
    { "direction=in version=v3", true, false },
    { "direction=out version=v2", false, true },
    { "direction=out version=v3", false, true },
    { "direction=both version=v2", true, true },
    { "direction=both version=v3", true, true },
    { "direction=in version=read", true, false },
    { "direction=out version=read", false, true },
    { "direction=both version=read", true, true },
};

START_TEST(direction)
{
    enum { FROM_LEFT = 1, FROM_HOST, OWN, LAST = 10 };
    bool in = directions[_i].in, out = directions[_i].out;
    if (!rig_network())
        return;
    rig_listen(&rig, directions[_i].options);
    int host = wire_open("if1"); /* somebody else on this host */
    wire_send(rig.left, frame_make(FROM_LEFT, 100), 100);
    wire_send(host, frame_make(FROM_HOST, 100), 100);
    test_inject_bytes(rig.engine, "in", frame_make(OWN, 100), 100);
    rig_expect(&rig, rig.left, frame_make(FROM_HOST, 100), 100);
    rig_expect(&rig, rig.left, frame_make(OWN, 100), 100);
    wire_send(in ? rig.left : host, frame_make(LAST, 100), 100);
    RIG_UNTIL(&rig, has(LAST));
    ck_assert_int_eq(has(FROM_LEFT), in);
    ck_assert_int_eq(has(FROM_HOST), out);
    ck_assert(!has(OWN));
    ck_assert_uint_eq(rig_collected(&rig), 1 + in + out);
    close(host);
    rig_stop(&rig);
}
END_TEST

/* On the loopback interface every frame passes twice, once out and once in. */
START_TEST(direction_on_loopback)
{
    static const char *const options[] = { "direction=in", "direction=out",
                                           "direction=both" };
    struct graph *graph = graph_new();
    if (!rig_network())
        return;
    shell("ip link set lo up");
    rig_engine(&rig, NULL);
    rig_socket(graph, "if1", "lo", options[_i]);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "if1 -> out");
    test_configure(rig.engine, graph);
    shell("ping -c 10 -i 0.002 -q 127.0.0.1 >/dev/null");
    uint32_t frames = _i == 2 ? 40 : 20;
    RIG_UNTIL(&rig, rig_collected(&rig) >= frames);
    test_breathe(rig.engine, 5);
    ck_assert_uint_eq(rig_collected(&rig), frames);
    rig_stop(&rig);
}
END_TEST

/* --- VLAN tags ---------------------------------------------------------------------- */

/* The frame as a tagged one. */
static const uint8_t *tagged(uint32_t n, size_t length, uint16_t tpid, uint16_t tci)
{
    static uint8_t frame[RIG_FRAME_MAX];
    const uint8_t tag[4] = { (uint8_t)(tpid >> 8), (uint8_t)tpid, (uint8_t)(tci >> 8),
                             (uint8_t)tci };
    const uint8_t *plain = frame_make(n, length - 4);
    memcpy(frame, plain, 12);
    memcpy(frame + 12, tag, 4);
    memcpy(frame + 16, plain + 12, length - 4 - 12);
    return frame;
}

/* TCI 0 is a tag as well: a priority tag. */
static const struct {
    uint16_t tpid, tci;
} tags[] = { { 0x8100, 100 }, { 0x8100, 0 }, { 0x8100, 0xffff }, { 0x8100, 0xe001 },
             { 0x88a8, 100 }, { 0x88a8, 0 }, { 0x88a8, 0x5fff } };

#define TAGS (sizeof(tags) / sizeof(tags[0]))

START_TEST(tags_cross)
{
    static const char *const options[] = { "vlan=restore", "vlan=metadata",
                                           "vlan=restore version=v3",
                                           "vlan=metadata version=v3",
                                           "vlan=restore version=read" };
    static const size_t lengths[] = { 20, 60, 64, 65, 1000, 1518 };
    if (!rig_network())
        return;
    rig_start(&rig, options[_i]);
    for (uint32_t n = 0; n < TAGS; n++)
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            const uint8_t *frame = tagged(n, lengths[l], tags[n].tpid, tags[n].tci);
            if (lengths[l] > 1514 && tags[n].tpid != 0x8100)
                continue; /* AF_PACKET has no extra room for other tags */
            wire_send(rig.left, frame, lengths[l]);
            rig_expect(&rig, rig.right, frame, lengths[l]);
        }
    uint8_t both[100]; /* two tags */
    memcpy(both, tagged(1, 100, 0x88a8, 7), sizeof(both));
    memcpy(both + 16, "\x81\x00\x00\x09\x88\xb5", 6);
    wire_send(rig.left, both, sizeof(both));
    rig_expect(&rig, rig.right, both, sizeof(both));
    rig_stop(&rig);
}
END_TEST

START_TEST(tag_in_metadata)
{
    size_t count;
    if (!rig_network())
        return;
    rig_listen(&rig, "vlan=metadata");
    for (uint32_t n = 0; n < TAGS; n++)
        wire_send(rig.left, tagged(n, 104, tags[n].tpid, tags[n].tci), 104);
    wire_send(rig.left, frame_make(TAGS, 100), 100);
    RIG_UNTIL(&rig, rig_collected(&rig) == TAGS + 1);
    struct packet **p = test_collected(rig.engine, "out", &count);
    for (uint32_t n = 0; n < TAGS; n++) {
        ck_assert_uint_eq(p[n]->length, 100);
        ck_assert_mem_eq(p[n]->data, frame_make(n, 100), 100);
        ck_assert_uint_eq(p[n]->flags & PACKET_VLAN, PACKET_VLAN);
        ck_assert_uint_eq(p[n]->vlan_tpid, tags[n].tpid);
        ck_assert_uint_eq(p[n]->vlan_tci, tags[n].tci);
    }
    ck_assert_uint_eq(p[TAGS]->flags & PACKET_VLAN, 0);
    rig_stop(&rig);
}
END_TEST

START_TEST(tagged_frames_dropped)
{
    if (!rig_network())
        return;
    rig_start(&rig, "vlan=drop");
    for (uint32_t n = 0; n < TAGS; n++) {
        wire_send(rig.left, tagged(n, 104, tags[n].tpid, tags[n].tci), 104);
        wire_send(rig.left, frame_make(n, 100), 100);
    }
    for (uint32_t n = 0; n < TAGS; n++)
        rig_expect(&rig, rig.right, frame_make(n, 100), 100);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_vlan"), TAGS);
    rig_expect_kernel(&rig, "if1", 2 * TAGS);
    expect_silence(rig.right);
    rig_stop(&rig);
}
END_TEST

/* --- sizes -------------------------------------------------------------------------- */

/* A larger MTU than when the socket was opened: what is longer than a slot comes whole
 * all the same, what is longer than a packet is dropped and counted. */
START_TEST(frames_longer_than_a_slot)
{
    uint32_t sent = 0, longest = 2048 - 4;
    if (!rig_network())
        return;
    rig_start(&rig, versions[_i]);
    shell("for i in left if1 if2 right; do ip link set $i mtu 9000 || exit 1; done");
    for (uint32_t length = 1500; length <= longest; length += 1 + length % 7, sent++) {
        wire_send(rig.left, frame_make(length, length), length);
        rig_expect(&rig, rig.right, frame_make(length, length), length);
    }
    wire_send(rig.left, frame_make(1, longest), longest);
    rig_expect(&rig, rig.right, frame_make(1, longest), longest);
    for (uint32_t length = longest + 1; length <= 9014; length += 300, sent++)
        wire_send(rig.left, frame_make(length, length), length);
    wire_send(rig.left, frame_make(2, 2000), 2000); /* it goes on, with the right one */
    rig_expect(&rig, rig.right, frame_make(2, 2000), 2000);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_oversize"),
                      (9014 - longest - 1) / 300 + 1);
    rig_expect_kernel(&rig, "if1", sent + 2);
    rig_stop(&rig);
}
END_TEST

/* Frames longer than a packet come in large ones, where that is wanted. */
START_TEST(jumbo_frames)
{
    static const char *const options[] = { "jumbo=true", "jumbo=true version=v3",
                                           "jumbo=true vlan=metadata" };
    if (!rig_network())
        return;
    shell("for i in left if1 if2 right; do ip link set $i mtu 15000 || exit 1; done");
    rig_start(&rig, options[_i]);
    for (uint32_t length = 1500; length <= 15014; length += 1 + length % 700) {
        const uint8_t *frame =
            length % 3 ? frame_make(length, length) : tagged(length, length, 0x8100, 9);
        wire_send(rig.left, frame, length);
        rig_expect(&rig, rig.right, frame, length);
    }
    rig_stop(&rig);
}
END_TEST

START_TEST(frames_that_the_wire_refuses)
{
    if (!rig_network())
        return;
    rig_listen(&rig, NULL);
    test_inject_bytes(rig.engine, "in", frame_make(1, 1600), 1600);
    test_inject_bytes(rig.engine, "in", frame_make(2, 13), 13);
    test_inject_bytes(rig.engine, "in", frame_make(3, 0), 0);
    test_inject_bytes(rig.engine, "in", frame_make(4, 14), 14);
    rig_expect(&rig, rig.left, frame_make(4, 14), 14);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_tx_oversize"), 1);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_tx_runt"), 2);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_packets"), 1);
    rig_stop(&rig);
}
END_TEST

/* So many bytes are kept, whether or not a slot holds them; a frame of just that length
 * is whole. */
START_TEST(frames_are_cut)
{
    static const struct {
        const char *options;
        uint32_t snaplen;
    } cases[] = {
        { "snaplen=100 version=v2", 100 },   { "snaplen=100 version=v3", 100 },
        { "snaplen=14 version=v2", 14 },     { "snaplen=1900 version=v2", 1900 },
        { "snaplen=1900 version=v3", 1900 }, { "snaplen=2044 version=v2", 2044 },
        { "snaplen=100 version=read", 100 }, { "snaplen=1900 version=read", 1900 }
    };
    static const uint32_t lengths[] = { 60, 99, 100, 101, 1514, 1900, 1901, 2044, 5000 };
    const uint32_t count = sizeof(lengths) / sizeof(lengths[0]);
    size_t have;
    if (!rig_network())
        return;
    rig_listen(&rig, cases[_i].options);
    shell("ip link set left mtu 9000 && ip link set if1 mtu 9000");
    for (uint32_t n = 0; n < count; n++)
        wire_send(rig.left, frame_make(n, lengths[n]), lengths[n]);
    RIG_UNTIL(&rig, rig_collected(&rig) == count);
    struct packet **p = test_collected(rig.engine, "out", &have);
    for (uint32_t n = 0; n < count; n++) {
        uint32_t snaplen = cases[_i].snaplen;
        uint32_t wanted = lengths[n] < snaplen ? lengths[n] : snaplen;
        ck_assert_uint_eq(p[n]->length, wanted);
        ck_assert_mem_eq(p[n]->data, frame_make(n, wanted), wanted);
    }
    rig_expect_kernel(&rig, "if1", count);
    rig_stop(&rig);
}
END_TEST

#define SNAPLENS 8

/* --- no room ------------------------------------------------------------------------ */

START_TEST(ring_overflow)
{
    const uint32_t frames = 20000;
    uint32_t n = 0, seen = 0;
    if (!rig_network())
        return;
    bool v3 = _i;
    rig_start(&rig, v3 ? "ring=64 version=v3" : "ring=64");
    for (n = 0; n < frames; n++) /* nobody breathes */
        wire_send(rig.left, frame_make(0, 1000), 1000);
    wire_send(rig.left, frame_make(0, 1000), 1000);
    rig_expect_kernel(&rig, "if1", frames + 1);
    uint64_t received = rig_count(&rig, "if1", "rx_packets");
    ck_assert_uint_ge(received, 64);
    ck_assert_uint_gt(rig_count(&rig, "if1", "drop_ring_full"), 0);
    ck_assert_uint_eq(received + rig_count(&rig, "if1", "drop_ring_full"), frames + 1);
    for (; seen < received; seen++)
        rig_expect(&rig, rig.right, frame_make(0, 1000), 1000);
    for (n = 0; n < 100; n++) { /* nothing more is lost */
        wire_send(rig.left, frame_make(n, 60), 60);
        rig_expect(&rig, rig.right, frame_make(n, 60), 60);
    }
    rig_expect_kernel(&rig, "if1", frames + 101);
    ck_assert_int_eq(rig_count(&rig, "if1", "freezes") > 0, v3);
    ck_assert_int_eq(rig_count(&rig, "if1", "losing_blocks") > 0, v3);
    rig_stop(&rig);
}
END_TEST

/* With nobody to take them, packets fill the link, then the ring; nothing is lost by us.
 */
START_TEST(full_link)
{
    const uint32_t frames = 2000;
    struct graph *graph = graph_new();
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    rig_socket(graph, "if1", "if1", NULL);
    test_app(graph, "hold", "Inject", NULL); /* has no push */
    test_app(graph, "join", "Join", NULL);   /* nor does this, without an output */
    test_link(graph, "if1 -> join.a");
    test_configure(rig.engine, graph);
    rig.left = wire_open("left");
    for (uint32_t n = 0; n < frames; n++)
        wire_send(rig.left, frame_make(n, 200), 200);
    struct link *link = engine_find_link(rig.engine, "if1.output -> join.a");
    RIG_UNTIL(&rig,
              link_full(link) && rig_count(&rig, "if1", "kernel_packets") == frames);
    test_breathe(rig.engine, 10);
    ck_assert_uint_eq(link->drops, 0);
    ck_assert_uint_eq(rig_count(&rig, "if1", "rx_packets"), LINK_SIZE);
    ck_assert_uint_eq(rig_received(&rig, "if1"), LINK_SIZE);

    graph = graph_new(); /* now somebody takes them */
    rig_socket(graph, "if1", "if1", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "if1 -> out");
    test_configure(rig.engine, graph);
    RIG_UNTIL(&rig, rig_collected(&rig) == frames);
    size_t count;
    struct packet **p = test_collected(rig.engine, "out", &count);
    for (uint32_t n = 0; n < frames; n++)
        ck_assert_mem_eq(p[n]->data, frame_make(n, 200), 200);
    rig_stop(&rig);
}
END_TEST

START_TEST(no_free_packet)
{
    struct packet *p, *all = NULL;
    if (!rig_network())
        return;
    rig_listen(&rig, versions[_i]);
    while ((p = packet_allocate())) {
        memcpy(p->data, &all, sizeof(all));
        all = p;
    }
    wire_send(rig.left, frame_make(1, 100), 100);
    wire_send(rig.left, frame_make(2, 100), 100);
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "rx_no_packet") >= 3);
    ck_assert_uint_eq(rig_collected(&rig), 0);
    while ((p = all)) {
        memcpy(&all, p->data, sizeof(all));
        packet_free(p);
    }
    RIG_UNTIL(&rig, rig_collected(&rig) == 2);
    ck_assert(has(1) && has(2));
    rig_expect_kernel(&rig, "if1", 2);
    rig_stop(&rig);
}
END_TEST

START_TEST(nothing_linked)
{
    struct graph *graph = graph_new();
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    rig_socket(graph, "if1", "if1", versions[_i]);
    test_configure(rig.engine, graph);
    rig.left = wire_open("left");
    for (uint32_t n = 0; n < 10; n++)
        wire_send(rig.left, frame_make(n, 100), 100);
    rig_expect_kernel(&rig, "if1", 10);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_no_output"), 10);
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

/* A slow wire: what the kernel does not take stays on the link, in order, and goes out
 * when there is room again. */
START_TEST(slow_wire)
{
    const uint32_t frames = 1000;
    static const char *const options[] = { "direction=in", "direction=both" };
    if (!rig_network())
        return;
    rig_listen(&rig, options[_i]);
    shell("tc qdisc add dev if1 root tbf rate 80kbit burst 2000 limit 100000000");
    for (uint32_t n = 0; n < frames; n++)
        test_inject_bytes(rig.engine, "in", frame_make(n, 1000), 1000);
    struct link *link = engine_find_link(rig.engine, "in.output -> if1.input");
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "tx_blocked") > 3 && link->write == frames);
    ck_assert(polls_for(rig.engine, POLLOUT));
    RIG_UNTIL(&rig, poll(rig.engine->polls, rig.engine->npolls, 20) == 0); /* sleeps */
    ck_assert_uint_gt(link_readable(link), 0);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_packets") + link_readable(link), frames);
    shell("tc qdisc change dev if1 root tbf rate 10gbit burst 10mb limit 100000000");
    for (uint32_t n = 0; n < frames; n++)
        rig_expect(&rig, rig.left, frame_make(n, 1000), 1000);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_packets"), frames);
    ck_assert(!polls_for(rig.engine, POLLOUT));
    rig_stop(&rig);
}
END_TEST

static Suite *suite_raw_socket(void)
{
    Suite *suite = suite_create("raw_socket");
    TCase *tests = tcase_create("raw_socket");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, frames_cross_unchanged, 0, 3);
    tcase_add_test(tests, small_batches);
    tcase_add_loop_test(tests, many_frames_exactly, 0, 3);
    tcase_add_loop_test(tests, when_a_single_frame_comes, 0, 3);
    tcase_add_loop_test(tests, counters_never_go_back, 0, 2);
    tcase_add_loop_test(tests, direction, 0, 9);
    tcase_add_loop_test(tests, direction_on_loopback, 0, 3);
    tcase_add_loop_test(tests, tags_cross, 0, 5);
    tcase_add_test(tests, tag_in_metadata);
    tcase_add_test(tests, tagged_frames_dropped);
    tcase_add_loop_test(tests, frames_longer_than_a_slot, 0, 3);
    tcase_add_loop_test(tests, jumbo_frames, 0, 3);
    tcase_add_test(tests, frames_that_the_wire_refuses);
    tcase_add_loop_test(tests, frames_are_cut, 0, SNAPLENS);
    tcase_add_loop_test(tests, ring_overflow, 0, 2);
    tcase_add_test(tests, full_link);
    tcase_add_loop_test(tests, no_free_packet, 0, 3);
    tcase_add_loop_test(tests, nothing_linked, 0, 3);
    tcase_add_loop_test(tests, slow_wire, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(raw_socket)
