/* test_clumsy: how Clumsy moves packets: exact times, order, limits, accounting.
 *
 * What its random decisions look like from the far end is in clumsy_law, what it refuses
 * to be configured as in clumsy_parameters.
 */
#include "selftest/selftest.h"

#include <stdio.h>
#include <stdlib.h>

#include "selftest/clumsy_rig.h"

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

START_TEST(test_nothing)
{
    struct rig *rig = rig_new(1, "");
    rig_send_many(rig, 1000);
    rig_send(rig, 60, RIG_START - 5);
    rig_breathe(rig, RIG_START);
    ck_assert_uint_eq(rig->count, 1001);
    for (size_t i = 0; i < rig->count; i++)
        ck_assert(rig->got[i].number == i && rig->got[i].intact);
    /* Nothing was copied: it is an empty line that is as good as a wire. */
    ck_assert_uint_eq(rig_counter(rig, "held"), 0);
    rig_free(rig);
}
END_TEST

/* To the nanosecond, counted from the timestamp, and woken up for. */
START_TEST(test_delay_exact)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } owd[] = { { "owd=0s", 0 },
                { "owd=1us", US },
                { "owd=1ms", MS },
                { "owd=300ms", 300 * MS },
                { "owd=10s", 10 * S } };
    for (int i = 0; i < 5; i++) {
        struct rig *rig = rig_new(1, owd[i].text);
        uint64_t arrived[] = { RIG_START - 700, RIG_START };
        uint64_t until = RIG_START + owd[i].ns;
        rig_send(rig, 60, RIG_START - 700);
        rig_send(rig, 1514, 0);
        rig_breathe(rig, RIG_START);
        rig_run(rig, until);
        ck_assert_uint_eq(rig->count, 2);
        for (int k = 0; k < 2; k++) {
            uint64_t release = arrived[k] + owd[i].ns;
            ck_assert_uint_eq(rig->got[k].number, (uint64_t)k);
            ck_assert_uint_eq(rig->got[k].timestamp, release);
            ck_assert_uint_eq(rig->got[k].seen,
                              release > RIG_START ? release : RIG_START);
            ck_assert(rig->got[k].intact);
        }
        rig_free(rig);
    }
}
END_TEST

START_TEST(test_never_early)
{
    struct rig *rig = rig_new(1, "owd=1ms");
    rig_send(rig, 60, 0);
    rig_breathe(rig, RIG_START);
    rig_breathe(rig, RIG_START + MS - 1);
    ck_assert_uint_eq(rig->count, 0);
    ck_assert_uint_eq(rig_counter(rig, "held"), 1);
    rig_check(rig);
    rig_breathe(rig, RIG_START + MS);
    ck_assert_uint_eq(rig->count, 1);
    rig_free(rig);
}
END_TEST

/* A timestamp of the future is not believed. */
START_TEST(test_future_timestamp)
{
    struct rig *rig = rig_new(1, "owd=1ms");
    rig_send(rig, 60, RIG_START + S);
    rig_run(rig, RIG_START + 2 * MS);
    ck_assert_uint_eq(rig->count, 1);
    ck_assert_uint_eq(rig->got[0].seen, RIG_START + MS);
    rig_free(rig);
}
END_TEST

/* In a row, delays add up exactly even when every breath is late. */
START_TEST(test_in_a_row)
{
    struct engine *engine = test_engine(1);
    struct graph *graph = graph_new();
    size_t count;
    test_app(graph, "a", "Inject", NULL);
    test_app(graph, "x", "Clumsy", "owd", "10ms", NULL);
    test_app(graph, "y", "Clumsy", "owd", "20ms", NULL);
    test_app(graph, "b", "Collect", NULL);
    test_link(graph, "a -> x");
    test_link(graph, "x -> y");
    test_link(graph, "y -> b");
    test_configure(engine, graph);
    test_inject_bytes(engine, "a", "0123456789abcdef", 16);
    engine_breathe(engine);
    engine_set_time(engine, RIG_START + 13 * MS);
    engine_breathe(engine);
    engine_set_time(engine, RIG_START + 31 * MS);
    engine_breathe(engine);
    struct packet **p = test_collected(engine, "b", &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(p[0]->timestamp, RIG_START + 30 * MS);
    engine_free(engine);
}
END_TEST

/* All that is known of a packet survives the delay. */
START_TEST(test_metadata)
{
    struct rig *rig = rig_new(1, "owd=1ms");
    struct packet *p = packet_from_bytes("0123456789abcdef", 16);
    size_t count;
    p->hash = 0x12345678;
    p->flags = PACKET_VLAN | PACKET_CSUM_PARTIAL;
    p->vlan_tci = 1;
    p->vlan_tpid = 2;
    p->gso_type = 3;
    p->gso_size = 4;
    p->csum_start = 5;
    p->csum_offset = 6;
    test_inject(rig->engine, "a", p);
    engine_breathe(rig->engine);
    engine_set_time(rig->engine, RIG_START + MS);
    engine_breathe(rig->engine);
    p = test_collected(rig->engine, "b", &count)[0];
    ck_assert_uint_eq(p->hash, 0x12345678);
    ck_assert_uint_eq(p->flags & ~PACKET_FREE, PACKET_VLAN | PACKET_CSUM_PARTIAL);
    ck_assert_uint_eq(p->vlan_tci, 1);
    ck_assert_uint_eq(p->vlan_tpid, 2);
    ck_assert_uint_eq(p->gso_type, 3);
    ck_assert_uint_eq(p->gso_size, 4);
    ck_assert_uint_eq(p->csum_start, 5);
    ck_assert_uint_eq(p->csum_offset, 6);
    rig_receive(rig);
    rig_free(rig);
}
END_TEST

/* Frames longer than what fits behind the usual headroom. */
START_TEST(test_long_frames)
{
    struct rig *rig = rig_new(1, "owd=1ms");
    uint8_t frame[2048];
    size_t count;
    rig_fill(frame, sizeof(frame), 7);
    for (uint32_t length = arena.chunk_size - 600; length <= arena.chunk_size;
         length += 50) {
        struct packet *p = packet_allocate();
        p->data = p->chunk;
        p->length = length;
        memcpy(p->data, frame, length);
        test_inject(rig->engine, "a", p);
    }
    engine_breathe(rig->engine);
    engine_set_time(rig->engine, RIG_START + MS);
    engine_breathe(rig->engine);
    struct packet **p = test_collected(rig->engine, "b", &count);
    ck_assert_uint_eq(count, 13);
    for (size_t i = 0; i < count; i++)
        ck_assert_mem_eq(p[i]->data, frame, p[i]->length);
    rig_receive(rig);
    rig_free(rig);
}
END_TEST

/* 10 Mbit/s, frames of 1250 bytes: one leaves every millisecond, and with the default
 * queue the 102nd is refused: one being sent, 100 ms of them waiting. */
START_TEST(test_rate_and_queue)
{
    struct rig *rig = rig_new(1, "rate=10mbit owd=5ms");
    for (int i = 0; i < 150; i++)
        rig_send(rig, 1250, 0);
    rig_breathe(rig, RIG_START);
    ck_assert_uint_eq(rig_counter(rig, "drop_queue"), 49);
    ck_assert_uint_eq(rig_counter(rig, "queue_packets"), 101);
    ck_assert_uint_eq(rig_counter(rig, "queue_bytes"), 101 * 1250);
    rig_run(rig, RIG_START + 50 * MS);
    ck_assert_uint_eq(rig_counter(rig, "queue_packets"), 51);
    ck_assert_uint_eq(rig_counter(rig, "held"), 56);
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig->count, 101);
    for (size_t i = 0; i < rig->count; i++) {
        ck_assert_uint_eq(rig->got[i].number, i);
        ck_assert_uint_eq(rig->got[i].seen, RIG_START + (i + 1) * MS + 5 * MS);
    }
    rig_free(rig);
}
END_TEST

START_TEST(test_queue_units)
{
    static const struct {
        const char *settings;
        uint64_t fit; /* of frames of 100 bytes that come at once */
    } cases[] = {
        { "rate=1mbit queue=5p", 5 },
        { "rate=1mbit queue=1KB", 10 },
        { "rate=1mbit queue=2ms", 3 },
        { "rate=1kbit", 10 },
        { "rate=1kbit queue.limit=20p", 20 },
        { "rate.rate=8mbit rate.overhead=100 queue=1ms", 6 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig *rig = rig_new(1, cases[i].settings);
        rig_send_many(rig, 500);
        rig_breathe(rig, RIG_START);
        ck_assert_uint_eq(rig_counter(rig, "held"), cases[i].fit);
        ck_assert_uint_eq(rig_counter(rig, "drop_queue"), 500 - cases[i].fit);
        rig_free(rig);
    }
}
END_TEST

/* Held until three more have left; the last one, with nobody behind it, for 100 ms. */
START_TEST(test_reorder_late)
{
    static const uint64_t order[] = { 0,  1,  2, 3,  4,  5,  6,  7,  8,  10,
                                      11, 12, 9, 13, 14, 15, 16, 17, 18, 19 };
    struct rig *rig = rig_new(1, "reorder.p=100% reorder.gap=10 owd=1ms");
    for (uint64_t i = 0; i < 20; i++) {
        rig_run(rig, RIG_START + i * MS);
        rig_send_many(rig, 1);
        rig_breathe(rig, RIG_START + i * MS);
    }
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig->count, 20);
    for (size_t i = 0; i < 20; i++) {
        uint64_t n = order[i], ms = n == 9 ? 13 : n == 19 ? 120 : n + 1;
        ck_assert_uint_eq(rig->got[i].number, n);
        ck_assert_uint_eq(rig->got[i].seen, RIG_START + ms * MS);
        ck_assert_uint_eq(rig->got[i].timestamp, RIG_START + ms * MS);
    }
    ck_assert_uint_eq(rig_counter(rig, "reordered"), 1);
    rig_free(rig);
}
END_TEST

/* The same without a delay: what passes directly counts as well. */
START_TEST(test_reorder_late_direct)
{
    struct rig *rig = rig_new(1, "reorder.p=100% reorder.gap=5 reorder.depth=2");
    for (uint64_t i = 0; i < 8; i++) {
        rig_send_many(rig, 1);
        rig_breathe(rig, RIG_START + i * MS);
    }
    static const uint64_t order[] = { 0, 1, 2, 3, 5, 6, 4, 7 };
    ck_assert_uint_eq(rig->count, 8);
    for (size_t i = 0; i < 8; i++)
        ck_assert_uint_eq(rig->got[i].number, order[i]);
    rig_free(rig);
}
END_TEST

/* Whatever was in flight stays so, in order, with the time that it was given. */
START_TEST(test_change_under_way)
{
    struct rig *rig = rig_new(1, "owd=10ms");
    rig_send_many(rig, 3);
    rig_breathe(rig, RIG_START);
    rig_set(rig, "owd=2ms");
    rig_send_many(rig, 1);
    rig_breathe(rig, RIG_START + MS);
    rig_set(rig, "");
    rig_send_many(rig, 1);
    rig_breathe(rig, RIG_START + 2 * MS);
    ck_assert_uint_eq(rig->count, 0);
    rig_run(rig, RIG_START + 10 * MS);
    ck_assert_uint_eq(rig->count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(rig->got[i].number, i);
        ck_assert_uint_eq(rig->got[i].seen, RIG_START + 10 * MS);
    }
    rig_send_many(rig, 1);
    rig_breathe(rig, RIG_START + 11 * MS);
    ck_assert_uint_eq(rig->count, 6);
    rig_free(rig);
}
END_TEST

static bool valve_open;

static void valve_push(struct app *app)
{
    if (valve_open)
        link_forward(app_input(app, 0), app_output(app, 0));
}

static const struct port valve_ports[] = { { "input", PORT_INPUT, "" },
                                           { "output", PORT_OUTPUT, "" },
                                           { NULL } };

static const struct app_class valve_class = {
    .name = "Valve", .doc = "", .ports = valve_ports, .push = valve_push
};

/* Inject "a" -> Clumsy "wan" -> Valve "valve" -> Collect "b" */
static struct engine *valved(const char *owd)
{
    struct engine *engine = test_engine(1);
    struct graph *graph = graph_new();
    struct value nothing = { 0 };
    struct error err;
    test_app(graph, "a", "Inject", NULL);
    test_app(graph, "wan", "Clumsy", "owd", owd, NULL);
    ck_assert(!graph_add_app(graph, "valve", &valve_class, &nothing, NULL, &err));
    test_app(graph, "b", "Collect", NULL);
    test_link(graph, "a -> wan");
    test_link(graph, "wan -> valve");
    test_link(graph, "valve -> b");
    test_configure(engine, graph);
    valve_open = false;
    return engine;
}

/* Frames of 64 bytes, the first two of which are a number. */
static void inject_numbered(struct engine *engine, uint32_t n)
{
    uint8_t frame[64] = { 0 };
    for (uint32_t i = 0; i < n; i++) {
        frame[0] = (uint8_t)i;
        frame[1] = (uint8_t)(i >> 8);
        test_inject_bytes(engine, "a", frame, sizeof(frame));
    }
}

static void breathe_on(struct engine *engine, unsigned breaths)
{
    while (breaths--) {
        engine_set_time(engine, engine->now + 100 * US);
        engine_breathe(engine);
    }
}

/* A full output loses nothing, with a delay and without: what is due waits, in order, and
 * is taken up again without anybody's help. */
START_TEST(test_output_full)
{
    const char *const owd[] = { "1ms", "0s" };
    for (int k = 0; k < 2; k++) {
        struct engine *engine = valved(owd[k]);
        size_t count;
        uint64_t wrong = 0;
        inject_numbered(engine, 3000);
        breathe_on(engine, 30);
        ck_assert_uint_eq(test_counter(engine, "wan", "delivered"), LINK_SIZE);
        ck_assert_uint_eq(test_counter(engine, "wan", "held"), 3000 - LINK_SIZE);
        ck_assert_uint_eq(test_counter(engine, "wan", "output_full"), 1);
        ck_assert_uint_gt(timers_next(&engine->timers), engine->now);
        ck_assert_uint_lt(timers_next(&engine->timers), engine->now + MS);
        valve_open = true;
        breathe_on(engine, 5);
        struct packet **p = test_collected(engine, "b", &count);
        ck_assert_uint_eq(count, 3000);
        for (size_t i = 0; i < count; i++)
            wrong += p[i]->data[0] + 256u * p[i]->data[1] != i;
        ck_assert_uint_eq(wrong, 0);
        ck_assert_uint_eq(engine_find_link(engine, "wan.output -> valve.input")->drops,
                          0);
        ck_assert_uint_eq(test_counter(engine, "wan", "held"), 0);
        engine_free(engine);
    }
}
END_TEST

/* Those that nothing delays wait as well when they must, and are not called reordered. */
START_TEST(test_output_full_exempt)
{
    static const uint8_t arp[42] = { [12] = 8, [13] = 6 };
    struct engine *engine = valved("1ms");
    size_t count;
    inject_numbered(engine, 1500);
    breathe_on(engine, 30);
    test_inject_bytes(engine, "a", arp, sizeof(arp));
    breathe_on(engine, 1);
    ck_assert_uint_eq(test_counter(engine, "wan", "held"), 1501 - LINK_SIZE);
    valve_open = true;
    breathe_on(engine, 5);
    struct packet **p = test_collected(engine, "b", &count);
    ck_assert_uint_eq(count, 1501);
    ck_assert_uint_eq(p[1500]->length, sizeof(arp));
    ck_assert_uint_eq(test_counter(engine, "wan", "exempt"), 1);
    ck_assert_uint_eq(test_counter(engine, "wan", "reordered"), 0);
    engine_free(engine);
}
END_TEST

/* Nor does a lack of packets. */
START_TEST(test_no_packet)
{
    struct rig *rig = rig_new(1, "owd=1ms");
    static struct packet *all[20000];
    uint32_t n = 0;
    rig_send_many(rig, 100);
    rig_breathe(rig, RIG_START);
    while ((all[n] = packet_allocate()))
        n++;
    rig_breathe(rig, RIG_START + MS);
    rig_breathe(rig, RIG_START + 2 * MS);
    ck_assert_uint_eq(rig->count, 0);
    ck_assert_uint_eq(rig_counter(rig, "no_packet"), 1);
    rig_check(rig);
    for (uint32_t i = 0; i < n; i++)
        packet_free(all[i]);
    rig_run(rig, RIG_START + 3 * MS);
    ck_assert_uint_eq(rig->count, 100);
    for (size_t i = 0; i < 100; i++)
        ck_assert_uint_eq(rig->got[i].timestamp, RIG_START + MS);
    ck_assert_uint_eq(rig_counter(rig, "no_packet"), 1);
    rig_free(rig);
}
END_TEST

/* Copies that cannot be made now are made later. */
START_TEST(test_no_packet_for_copies)
{
    struct rig *rig = rig_new(1, "duplicate=100%");
    static struct packet *all[20000];
    uint32_t n = 0;
    rig_send_many(rig, 10);
    while ((all[n] = packet_allocate()))
        n++;
    rig_breathe(rig, RIG_START);
    for (uint32_t i = 0; i < n; i++)
        packet_free(all[i]);
    rig_run(rig, RIG_START + MS);
    ck_assert_uint_eq(rig->count, 20);
    for (size_t i = 0; i < 20; i++)
        ck_assert(rig->got[i].intact && rig->got[i].number == i / 2);
    rig_free(rig);
}
END_TEST

/* 112 bytes of memory hold a 60-byte frame: 40 of them fit 4480. The rest is dropped
 * under its own name, and nobody leaves early to make room. */
START_TEST(test_memory)
{
    struct rig *rig = rig_new(1, "owd=1ms memory=4480");
    for (int i = 0; i < 100; i++)
        rig_send(rig, 60, 0);
    rig_breathe(rig, RIG_START);
    ck_assert_uint_eq(rig_counter(rig, "held"), 40);
    ck_assert_uint_eq(rig_counter(rig, "held_bytes"), 4480);
    ck_assert_uint_eq(rig_counter(rig, "drop_memory"), 60);
    rig_breathe(rig, RIG_START + MS - 1);
    ck_assert_uint_eq(rig->count, 0);
    rig_run(rig, RIG_START + MS);
    ck_assert_uint_eq(rig->count, 40);
    rig_free(rig);
}
END_TEST

START_TEST(test_not_linked)
{
    struct engine *engine = test_engine(1);
    for (int delayed = 0; delayed < 2; delayed++) {
        struct graph *graph = graph_new();
        test_app(graph, "a", "Inject", NULL);
        test_app(graph, "wan", "Clumsy", "owd", delayed ? "1ms" : "0s", NULL);
        test_link(graph, "a -> wan");
        test_configure(engine, graph);
        inject_numbered(engine, 500);
        breathe_on(engine, 20);
        ck_assert_uint_eq(test_counter(engine, "wan", "drop_no_output"),
                          500 * (1 + (uint64_t)delayed));
        ck_assert_uint_eq(test_counter(engine, "wan", "delivered"), 0);
        ck_assert_uint_eq(arena_in_use(), 0);
    }
    engine_free(engine);
}
END_TEST

static void find_histogram(const struct counter_entry *entry, const uint64_t *words,
                           void *user)
{
    if (!strcmp(entry->name, "apps/wan/lateness_ns"))
        *(const struct histogram **)user = (const struct histogram *)words;
}

static const struct histogram *lateness(struct engine *engine)
{
    const struct histogram *found = NULL;
    ck_assert(counters_read(engine->counters, find_histogram, &found));
    return found;
}

START_TEST(test_stop)
{
    struct rig *rig = rig_new(1, "owd=1ms reorder=50% duplicate=10% rate=1gbit");
    rig_send_many(rig, 500);
    rig_breathe(rig, RIG_START);
    uint64_t held = rig_counter(rig, "held");
    const uint64_t *words = engine_find_app(rig->engine, "wan")->counters;
    const struct counter_row *row = engine_find_app(rig->engine, "wan")->class->counters;
    ck_assert_uint_gt(held, 500);
    ck_assert_ptr_nonnull(lateness(rig->engine));
    test_configure(rig->engine, graph_new());
    for (; row->name; row++, words++) /* still mapped, though free */
        if (!strcmp(row->name, "drop_stopped"))
            ck_assert_uint_eq(*words, held);
        else if (!strcmp(row->name, "held"))
            ck_assert_uint_eq(*words, 0);
    ck_assert_ptr_null(lateness(rig->engine));
    rig_free(rig);
}
END_TEST

START_TEST(test_lateness)
{
    struct rig *rig = rig_new(1, "owd=1ms");
    char *text;
    size_t size;
    rig_send_many(rig, 10);
    rig_breathe(rig, RIG_START);
    rig_breathe(rig, RIG_START + MS + 7);
    const struct histogram *histogram = lateness(rig->engine);
    ck_assert_uint_eq(histogram->count, 10);
    ck_assert_uint_eq(histogram->min, 7);
    ck_assert_uint_eq(histogram->max, 7);
    /* Read later than it was to leave: that counts as well. */
    rig_send(rig, 60, RIG_START + 9 * MS);
    rig_breathe(rig, RIG_START + 10 * MS + 30);
    ck_assert_uint_eq(histogram->count, 11);
    ck_assert_uint_eq(histogram->max, 30);
    struct app *wan = engine_find_app(rig->engine, "wan");
    FILE *out = open_memstream(&text, &size);
    wan->class->report(wan, out);
    fclose(out);
    ck_assert_str_eq(text, "(left late by 0.007 us at the median, 0.03 us at p99)");
    free(text);
    rig_free(rig);
}
END_TEST

static Suite *suite_clumsy(void)
{
    Suite *suite = suite_create("clumsy");
    TCase *times = tcase_create("times");
    tcase_add_test(times, test_nothing);
    tcase_add_test(times, test_delay_exact);
    tcase_add_test(times, test_never_early);
    tcase_add_test(times, test_future_timestamp);
    tcase_add_test(times, test_in_a_row);
    tcase_add_test(times, test_rate_and_queue);
    tcase_add_test(times, test_queue_units);
    tcase_add_test(times, test_reorder_late);
    tcase_add_test(times, test_reorder_late_direct);
    tcase_add_test(times, test_change_under_way);
    tcase_add_test(times, test_lateness);
    suite_add_tcase(suite, times);
    TCase *packets = tcase_create("packets");
    tcase_set_timeout(packets, 60); /* sanitizers on a slow machine */
    tcase_add_test(packets, test_metadata);
    tcase_add_test(packets, test_long_frames);
    tcase_add_test(packets, test_output_full);
    tcase_add_test(packets, test_output_full_exempt);
    tcase_add_test(packets, test_no_packet);
    tcase_add_test(packets, test_no_packet_for_copies);
    tcase_add_test(packets, test_memory);
    tcase_add_test(packets, test_not_linked);
    tcase_add_test(packets, test_stop);
    suite_add_tcase(suite, packets);
    return suite;
}

SUITE(clumsy)
