/* packets of the second size class: what is done to any packet, done to them; and the
 * apps that copy, cut and compare. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "selftest/selftest.h"
#include "selftest/support.h"

#define LARGE 60 /* packets of the class */
#define LONG  65557u

static uint8_t bytes[PACKET_LARGE + 1];
static struct engine *engine;
static uint32_t in_use;

static void setup(void)
{
    struct error err;
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    engine = test_engine(1);
    ck_assert_msg(!packet_large_reserve(LARGE, &err), "%s", err.text);
    in_use = arena_in_use();
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), in_use);
}

static struct packet *large(uint32_t length)
{
    struct packet *p = packet_allocate_large();
    ck_assert(p && packet_is_large(p) && packet_append(p, bytes, length));
    return p;
}

START_TEST(reserve)
{
    struct error err;
    struct packet *p[LARGE + 20];
    uint32_t n = 0;
    ck_assert_int_eq(packet_large_reserve(LARGE, &err), 0);
    ck_assert_int_eq(packet_large_reserve(1, &err), 0);
    ck_assert_uint_eq(arena.large, LARGE);
    ck_assert_int_eq(packet_large_reserve(PACKET_LARGE_MAX + 1, &err), -EINVAL);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    while ((p[n] = packet_allocate_large()))
        n++;
    ck_assert_uint_eq(n, LARGE);
    ck_assert_uint_eq(arena_in_use(), in_use + LARGE);
    ck_assert_int_eq(packet_large_reserve(LARGE + 5, &err), 0);
    while ((p[n] = packet_allocate_large()))
        n++;
    ck_assert_uint_eq(n, LARGE + 5);
    packet_free_burst(p, n);
    ck_assert_uint_eq(arena_in_use(), in_use);
}
END_TEST

/* Every one of them holds the longest frame there can be, and no two overlap. */
START_TEST(capacity)
{
    struct packet *p[LARGE];
    ck_assert_uint_ge(packet_large_capacity(), LONG);
    for (uint32_t i = 0; i < LARGE; i++) {
        p[i] = large(packet_large_capacity());
        ck_assert_uint_ge(packet_headroom(p[i]), PACKET_HEADROOM);
        ck_assert_uint_eq(packet_headroom(p[i]) + packet_tailroom(p[i]) + p[i]->length,
                          PACKET_LARGE);
        memset(p[i]->data, (int)i, p[i]->length);
    }
    for (uint32_t i = 0; i < LARGE; i++) {
        for (uint32_t at = 0; at < p[i]->length; at++)
            if (p[i]->data[at] != i)
                ck_abort_msg("packet %u, byte %u", i, at);
        ck_assert_ptr_eq(packet_from_address(p[i]->chunk), p[i]);
        ck_assert_ptr_eq(packet_from_address(p[i]->chunk + PACKET_LARGE - 1), p[i]);
        packet_free(p[i]);
    }
    ck_assert_ptr_null(packet_from_address(arena.large_chunks - 1));
    ck_assert_ptr_null(packet_from_address(arena.large_chunks +
                                           (size_t)PACKET_LARGE_MAX * PACKET_LARGE));
}
END_TEST

START_TEST(bounds)
{
    struct packet *p = large(3);
    uint32_t tail = packet_tailroom(p), head = packet_headroom(p);
    ck_assert(!packet_append(p, bytes, tail + 1));
    ck_assert(!packet_resize(p, tail + 4));
    ck_assert(!packet_prepend(p, head + 1));
    ck_assert(packet_resize(p, tail + 3));
    ck_assert_uint_eq(p->data[3] | p->data[tail + 2], 0);
    ck_assert(packet_prepend(p, head));
    ck_assert_uint_eq(p->length, PACKET_LARGE);
    packet_free(p);
}
END_TEST

/* A clone is as large as it needs to be. */
START_TEST(clones)
{
    static const uint32_t lengths[] = { 0,    14,   64,    65,    1500, 1536,
                                        1537, 2048, 30000, 65000, LONG, PACKET_LARGE };
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct packet *p = packet_allocate_large();
        packet_place(p, lengths[i]);
        ck_assert(packet_append(p, bytes, lengths[i]));
        p->timestamp = 77;
        p->gso_type = 1;
        struct packet *copy = packet_clone(p), *again = packet_clone(copy);
        ck_assert_int_eq(packet_is_large(copy), lengths[i] > arena.chunk_size);
        ck_assert_uint_eq(again->length, lengths[i]);
        ck_assert_mem_eq(again->data, bytes, lengths[i]);
        ck_assert_uint_eq(again->timestamp, 77);
        ck_assert_uint_eq(again->gso_type, 1);
        ck_assert(again->data >= again->chunk &&
                  again->data + lengths[i] <= again->chunk + packet_chunk_size(again));
        if (lengths[i] <= LONG)
            ck_assert_uint_ge(packet_headroom(p), PACKET_HEADROOM);
        packet_free(p);
        packet_free(copy);
        packet_free(again);
    }
}
END_TEST

START_TEST(no_packet_for_a_clone)
{
    struct packet *p[LARGE];
    for (uint32_t i = 0; i < LARGE; i++)
        p[i] = large(LONG);
    ck_assert_ptr_null(packet_clone(p[0]));
    ck_assert_ptr_null(packet_from_bytes(bytes, LONG));
    packet_free_burst(p, LARGE);
}
END_TEST

START_TEST(from_bytes)
{
    struct packet *p = packet_from_bytes(bytes, packet_capacity());
    struct packet *q = packet_from_bytes(bytes, packet_capacity() + 1);
    ck_assert(!packet_is_large(p) && packet_is_large(q));
    ck_assert_mem_eq(q->data, bytes, packet_capacity() + 1);
    ck_assert_ptr_null(packet_from_bytes(bytes, PACKET_LARGE + 1));
    packet_free(p);
    packet_free(q);
}
END_TEST

/* Both classes in one burst, among them more than a freelist holds. */
START_TEST(mixed_bursts)
{
    struct packet *p[FREELIST_BATCH];
    uint64_t frees = packet_freelist.frees, freebytes = packet_freelist.freebytes;
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < FREELIST_BATCH; i++)
            p[i] = i % 10 ? packet_from_bytes(bytes, 100) : large(10000);
        packet_free_burst(p, FREELIST_BATCH);
        ck_assert_uint_eq(arena_in_use(), in_use);
    }
    ck_assert_uint_eq(packet_freelist.frees - frees, 20 * FREELIST_BATCH);
    ck_assert_uint_eq(packet_freelist.freebytes - freebytes,
                      20 * (52 * 10000 + (FREELIST_BATCH - 52) * 100));
}
END_TEST

/* What is left to hardware moves with the start of a frame, and ends when it is cut. */
START_TEST(offload_fields)
{
    struct packet *p = large(1000);
    p->flags = PACKET_CSUM_PARTIAL | PACKET_VLAN;
    p->csum_start = 34;
    p->csum_offset = 16;
    p->gso_type = 1;
    ck_assert(packet_prepend(p, 4));
    ck_assert_uint_eq(p->csum_start, 38);
    ck_assert(packet_trim_front(p, 38));
    ck_assert_uint_eq(p->csum_start, 0);
    ck_assert_uint_eq(p->flags, PACKET_CSUM_PARTIAL | PACKET_VLAN);
    ck_assert_uint_eq(p->gso_type, 1);
    ck_assert(packet_trim_front(p, 1));
    ck_assert_uint_eq(p->flags, PACKET_VLAN);
    ck_assert_uint_eq(p->gso_type, 0);
    p->flags = PACKET_CSUM_PARTIAL | PACKET_VLAN;
    p->gso_type = 1;
    ck_assert(packet_resize(p, p->length));
    ck_assert(packet_resize(p, p->length + 1));
    ck_assert_uint_eq(p->gso_type, 1);
    ck_assert(packet_resize(p, p->length - 1));
    ck_assert_uint_eq(p->gso_type, 0);
    ck_assert_uint_eq(p->flags, PACKET_VLAN);
    packet_free(p);
}
END_TEST

#ifdef PACKET_DEBUG
START_TEST(freed_twice)
{
    int status;
    pid_t child = fork();
    if (!child) {
        struct packet *p = large(10);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        packet_free(p);
        packet_free(p);
        _exit(0);
    }
    ck_assert(waitpid(child, &status, 0) == child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST
#endif

/* --- apps --------------------------------------------------------------------------- */

static const struct {
    const char *app;
    const char *parameters[6];
} apps[] = {
    { "Tee", { NULL } },
    { "Repeater", { NULL } },
    { "Clumsy", { NULL } },
    { "Clumsy", { "owd", "1ms", NULL } },
    { "Clumsy", { "owd", "1ms", "jitter", "1ms", NULL } },
    { "Clumsy", { "duplicate", "100%", NULL } },
    { "Clumsy", { "duplicate", "100%", "owd", "1ms", NULL } },
    { "Clumsy", { "rate", "10gbit", NULL } },
    { "PacketFilter", { "filter", "greater 65000", NULL } },
    { "Truncate", { "size", "65557", NULL } },
    { "RateLimiter", { "rate", "10gbit", "burst", "1MB", NULL } },
};

/* A large packet comes out of an app as it went in, once or more often. */
START_TEST(cross_an_app)
{
    struct graph *graph = graph_new();
    size_t count = 0;
    const char *const *a = apps[_i].parameters;
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "app", apps[_i].app, a[0], a[1], a[2], a[3], NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> app.input");
    test_link(graph, "app.output -> out");
    test_configure(engine, graph);
    for (uint32_t i = 0; i < 10; i++) {
        struct packet *p = large(LONG - i);
        p->timestamp = 77;
        test_inject(engine, "in", p);
    }
    for (int i = 0; i < 100; i++) {
        engine_set_time(engine, engine_now(engine) + 100000);
        engine_breathe(engine);
    }
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_ge(count, 10);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_ge(p[i]->length, LONG - 9);
        ck_assert_mem_eq(p[i]->data, bytes, p[i]->length);
    }
}
END_TEST

START_TEST(copies_of_tee)
{
    struct graph *graph = graph_new();
    size_t count;
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "tee", "Tee", NULL);
    test_app(graph, "a", "Collect", NULL);
    test_app(graph, "b", "Collect", NULL);
    test_link(graph, "in -> tee.input");
    test_link(graph, "tee.a -> a");
    test_link(graph, "tee.b -> b");
    test_configure(engine, graph);
    for (uint32_t i = 0; i < LARGE / 2 + 3; i++) /* more than there are free for copies */
        test_inject(engine, "in", large(LONG));
    test_inject_bytes(engine, "in", bytes, 60);
    engine_breathe(engine);
    test_collected(engine, "a", &count);
    ck_assert_uint_eq(count, LARGE / 2 + 4);
    struct packet **p = test_collected(engine, "b", &count);
    ck_assert_uint_eq(count, LARGE / 2 - 3 + 1);
    ck_assert_uint_eq(test_counter(engine, "tee", "copies"), count);
    ck_assert_uint_eq(test_counter(engine, "tee", "drop_no_packet"), 6);
    for (uint32_t i = 0; i + 1 < count; i++)
        ck_assert_mem_eq(p[i]->data, bytes, LONG);
    ck_assert_uint_eq(p[count - 1]->length, 60);
}
END_TEST

START_TEST(compared_by_match)
{
    struct graph *graph = graph_new();
    test_app(graph, "a", "Inject", NULL);
    test_app(graph, "b", "Inject", NULL);
    test_app(graph, "match", "Match", NULL);
    test_link(graph, "a -> match.input");
    test_link(graph, "b -> match.expected");
    test_configure(engine, graph);
    for (uint32_t i = 0; i < 3; i++) {
        struct packet *p = large(LONG);
        p->data[LONG - 1] ^= (uint8_t)(i == 2);
        test_inject(engine, "a", p);
        test_inject(engine, "b", large(LONG));
    }
    engine_breathe(engine);
    ck_assert_uint_eq(test_counter(engine, "match", "matched"), 2);
    ck_assert_uint_eq(test_counter(engine, "match", "mismatched"), 1);
}
END_TEST

static Suite *suite_packet_large(void)
{
    Suite *suite = suite_create("packet_large");
    TCase *tests = tcase_create("packet_large");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, reserve);
    tcase_add_test(tests, capacity);
    tcase_add_test(tests, bounds);
    tcase_add_test(tests, clones);
    tcase_add_test(tests, no_packet_for_a_clone);
    tcase_add_test(tests, from_bytes);
    tcase_add_test(tests, mixed_bursts);
    tcase_add_test(tests, offload_fields);
#ifdef PACKET_DEBUG
    tcase_add_test(tests, freed_twice);
#endif
    tcase_add_loop_test(tests, cross_an_app, 0, sizeof(apps) / sizeof(apps[0]));
    tcase_add_test(tests, copies_of_tee);
    tcase_add_test(tests, compared_by_match);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(packet_large)
