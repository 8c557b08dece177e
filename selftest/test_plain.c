/* plain: links read as packets that belong on a wire. */
#include "engine/plain.h"

#include <stdlib.h>

#include "lib/checksum.h"
#include "selftest/selftest.h"
#include "selftest/super_frame.h"
#include "selftest/support.h"

#define PAYLOAD 60000u
#define SEGMENT 1400u
#define PARTS   43u /* PAYLOAD / SEGMENT, and the rest */

static struct engine *engine;
static struct link *link;
static struct plain plain;
static uint8_t super[PACKET_LARGE];
static uint32_t in_use;

static void setup(void)
{
    struct error err;
    engine = test_engine(1);
    ck_assert_msg(!packet_large_reserve(20, &err), "%s", err.text);
    ck_assert(!posix_memalign((void **)&link, CACHE_LINE, sizeof(*link)));
    memset(link, 0, sizeof(*link));
    in_use = arena_in_use();
}

static void teardown(void)
{
    while (!link_empty(link))
        packet_free(link_receive(link));
    plain_drop(&plain);
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), in_use);
    free(link);
}

static void put_plain(uint32_t length)
{
    static const uint8_t bytes[1500] = { 1, 2, 3 };
    link_transmit(link, packet_from_bytes(bytes, length));
}

static struct packet *offloaded(uint32_t payload, uint16_t segment)
{
    struct virtio_net_hdr vnet;
    size_t length = super_frame(super, false, payload, segment, &vnet);
    struct packet *p = packet_from_bytes(super, (uint32_t)length);
    ck_assert_ptr_nonnull(p);
    p->flags = PACKET_CSUM_PARTIAL;
    p->csum_start = vnet.csum_start;
    p->csum_offset = vnet.csum_offset;
    p->gso_type = segment ? vnet.gso_type : 0;
    p->gso_size = segment;
    p->timestamp = 77;
    return p;
}

static struct packet *put_offloaded(uint32_t payload, uint16_t segment)
{
    struct packet *p = offloaded(payload, segment);
    link_transmit(link, p);
    return p;
}

static struct packet *next(void)
{
    struct packet **p;
    if (!plain_run(&plain, link, &p, 7))
        return NULL;
    struct packet *first = *p;
    plain_advance(&plain, link, 1);
    return first;
}

static void expect_valid(struct packet *p, uint32_t length)
{
    ck_assert_ptr_nonnull(p);
    ck_assert(packet_is_plain(p) && p->flags & PACKET_CSUM_VALID);
    ck_assert_uint_eq(p->length, length);
    const char *wrong = segment_check(p->data, p->length);
    ck_assert_msg(!wrong, "%s", wrong);
}

START_TEST(plain_packets_pass)
{
    struct packet **p, **q;
    for (uint32_t i = 0; i < 10; i++)
        put_plain(60 + i);
    ck_assert_uint_eq(plain_run(&plain, link, &p, 7), 7);
    ck_assert_uint_eq(link_run(link, &q, 7), 7);
    ck_assert_ptr_eq(p, q);
    plain_advance(&plain, link, 0);
    for (uint32_t i = 0; i < 10; i++) {
        struct packet *one = next();
        ck_assert_uint_eq(one->length, 60 + i);
        packet_free(one);
    }
    ck_assert_ptr_null(next());
}
END_TEST

START_TEST(checksum_is_completed)
{
    put_plain(60);
    struct packet *p = put_offloaded(1000, 0);
    put_plain(60);
    ck_assert_ptr_nonnull(segment_check(p->data, p->length));
    packet_free(next());
    ck_assert_ptr_eq(p, next());
    expect_valid(p, 1054);
    packet_free(p);
    packet_free(next());
    ck_assert_uint_eq(plain.completed, 1);
    ck_assert_uint_eq(plain.bad, 0);
}
END_TEST

START_TEST(super_frame_is_split)
{
    put_plain(60);
    struct packet *p = put_offloaded(PAYLOAD, SEGMENT);
    p->flags |= PACKET_VLAN;
    p->vlan_tci = 9;
    put_plain(61);
    packet_free(next());
    for (uint32_t i = 0, at = 0; i < PARTS; i++, at += SEGMENT) {
        uint32_t payload = PAYLOAD - at < SEGMENT ? PAYLOAD - at : SEGMENT;
        p = next();
        expect_valid(p, 54 + payload);
        ck_assert_mem_eq(p->data + 54, super + 54 + at, payload);
        ck_assert_uint_eq(p->timestamp, 77);
        ck_assert_uint_eq(p->vlan_tci, 9);
        ck_assert_uint_eq(p->flags & PACKET_VLAN, PACKET_VLAN);
        packet_free(p);
    }
    p = next();
    ck_assert_uint_eq(p->length, 61);
    packet_free(p);
    ck_assert_ptr_null(next());
    ck_assert_uint_eq(plain.split, 1);
    ck_assert_uint_eq(plain.segments, PARTS);
}
END_TEST

/* Without free packets it waits where it is. */
START_TEST(waits_for_packets)
{
    static struct packet *all[20000];
    uint32_t n = 0;
    put_offloaded(PAYLOAD, SEGMENT);
    while ((all[n] = packet_allocate()))
        n++;
    packet_free_burst(all + n - (PARTS - 1), PARTS - 1); /* one too few */
    n -= PARTS - 1;
    ck_assert_ptr_null(next());
    ck_assert_ptr_null(next());
    ck_assert_uint_eq(plain.no_packet, 2);
    ck_assert_uint_eq(link_readable(link), 1);
    packet_free(all[--n]);
    struct packet *p = next();
    expect_valid(p, 54 + SEGMENT);
    packet_free(p);
    ck_assert_uint_eq(plain.count, PARTS - 1);
    while (n)
        packet_free(all[--n]);
    ck_assert_uint_eq(plain_drop(&plain), PARTS - 1);
    ck_assert_ptr_null(next());
}
END_TEST

/* What is wrongly described is freed, and what follows passes. */
START_TEST(lies)
{
    put_offloaded(1000, 0)->csum_start = 60000;
    put_offloaded(PAYLOAD, 0)->gso_type = 3;
    put_offloaded(PAYLOAD, 0)->gso_type = 1;    /* a size of 0 */
    put_offloaded(PAYLOAD, 20)->csum_start = 1; /* too many segments */
    put_offloaded(PAYLOAD, 30000);              /* longer than a packet */
    struct packet *p = put_offloaded(3000, SEGMENT);
    p->data[12] = 0x12; /* no IP */
    p = put_offloaded(3000, SEGMENT);
    p->length = 50; /* half a header */
    put_plain(99);
    p = next();
    ck_assert_uint_eq(p->length, 99);
    packet_free(p);
    ck_assert_uint_eq(plain.bad, 7);
}
END_TEST

START_TEST(unfinished_checksums_may_stay)
{
    plain.partial = true;
    struct packet *p = put_offloaded(1000, 0);
    put_offloaded(3000, SEGMENT);
    ck_assert_ptr_eq(next(), p);
    ck_assert_uint_eq(p->flags, PACKET_CSUM_PARTIAL);
    packet_free(p);
    p = next();
    expect_valid(p, 54 + SEGMENT);
    packet_free(p);
}
END_TEST

/* What Clumsy damages are the segments, each of them, and so that it can be seen. */
START_TEST(damaged_super_frame)
{
    struct graph *graph = graph_new();
    size_t count;
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "wan", "Clumsy", "corrupt", "100%", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> wan.input");
    test_link(graph, "wan.output -> out");
    test_configure(engine, graph);
    test_inject(engine, "in", offloaded(PAYLOAD, SEGMENT));
    test_inject(engine, "in", offloaded(1000, 0));
    struct packet *bad = offloaded(3000, SEGMENT);
    bad->gso_size = 0;
    test_inject(engine, "in", bad);
    engine_breathe(engine);
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, PARTS + 1);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_le(p[i]->length, 54 + SEGMENT);
        ck_assert(packet_is_plain(p[i]) && !(p[i]->flags & PACKET_CSUM_VALID));
        ck_assert_ptr_nonnull(segment_check(p[i]->data, p[i]->length));
    }
    ck_assert_uint_eq(test_counter(engine, "wan", "packets"), PARTS + 2);
    ck_assert_uint_eq(test_counter(engine, "wan", "split"), 1);
    ck_assert_uint_eq(test_counter(engine, "wan", "drop_gso"), 1);
    ck_assert_uint_eq(test_counter(engine, "wan", "delivered"), PARTS + 1);
}
END_TEST

/* A policer whose bucket is smaller than a super-frame passes some of its segments. */
START_TEST(policed_super_frame)
{
    struct graph *graph = graph_new();
    size_t count;
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "limit", "RateLimiter", "rate", "1mbit", "burst", "15000", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> limit.input");
    test_link(graph, "limit.output -> out");
    test_configure(engine, graph);
    test_inject(engine, "in", offloaded(PAYLOAD, SEGMENT));
    engine_breathe(engine);
    test_collected(engine, "out", &count);
    ck_assert_uint_eq(test_counter(engine, "limit", "split"), 1);
    ck_assert_uint_eq(count + test_counter(engine, "limit", "drop_rate"), PARTS);
    ck_assert_uint_ge(count, 15000 / (54 + SEGMENT));
    ck_assert_uint_lt(count, PARTS);
}
END_TEST

static Suite *suite_plain(void)
{
    Suite *suite = suite_create("plain");
    TCase *tests = tcase_create("plain");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, plain_packets_pass);
    tcase_add_test(tests, checksum_is_completed);
    tcase_add_test(tests, super_frame_is_split);
    tcase_add_test(tests, waits_for_packets);
    tcase_add_test(tests, lies);
    tcase_add_test(tests, unfinished_checksums_may_stay);
    tcase_add_test(tests, damaged_super_frame);
    tcase_add_test(tests, policed_super_frame);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(plain)
