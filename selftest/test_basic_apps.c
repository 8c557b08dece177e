/* test_basic_apps: Source, Sink, Tee, Join, Split, Repeater, Truncate in real graphs.
 *
 * For every one of them: what was received is what was sent, dropped by reason, or is
 * still held.
 */
#include "selftest/selftest.h"

#include "selftest/support.h"

static struct engine *engine;
static struct graph *graph;
static struct packet *hoard[16384];
static uint32_t hoarded;

static void setup(void)
{
    engine = test_engine(1);
    graph = graph_new();
    hoarded = 0;
}

static void teardown(void)
{
    engine_free(engine);
    while (hoarded)
        packet_free(hoard[--hoarded]);
    ck_assert_uint_eq(arena_in_use(), 0); /* every app gives back what it holds */
}

/* Takes all free packets but so many. */
static void leave(uint32_t n)
{
    while ((hoard[hoarded] = packet_allocate()))
        hoarded++;
    while (n--)
        packet_free(hoard[--hoarded]);
}

static struct link *find_link(const char *name)
{
    struct link *link = engine_find_link(engine, name);
    ck_assert_msg(link != NULL, "no link %s", name);
    return link;
}

static void inject_numbered(const char *app, uint64_t from, uint64_t n, uint32_t length)
{
    for (uint64_t i = from; i < from + n; i++) {
        struct packet *p = packet_allocate();
        ck_assert_ptr_nonnull(p);
        packet_resize(p, length);
        p->timestamp = i;
        memcpy(p->data, &i, length < sizeof(i) ? length : sizeof(i));
        test_inject(engine, app, p);
    }
}

static size_t collected(const char *app)
{
    size_t count;
    test_collected(engine, app, &count);
    return count;
}

/* The Collect app holds packets from, from + step, ... */
static void check_numbers(const char *app, size_t n, uint64_t from, uint64_t step)
{
    size_t count;
    struct packet **p = test_collected(engine, app, &count);
    ck_assert_uint_eq(count, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t number;
        memcpy(&number, p[i]->data, sizeof(number));
        if (number != from + i * step || p[i]->timestamp != number)
            ck_abort_msg("%s: packet %zu is %d", app, i, (int)number);
    }
}

/* --- Source and Sink ---------------------------------------------------------------- */

START_TEST(test_source)
{
    static const uint8_t ethernet[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
    static const uint8_t zeros[46];
    size_t count;
    test_app(graph, "source", "Source", "count", "300", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "source -> out");
    test_configure(engine, graph);
    test_breathe(engine, 10);
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 300);
    ck_assert_uint_eq(test_counter(engine, "source", "packets"), 300);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(p[i]->length, 60);
        ck_assert_mem_eq(p[i]->data, ethernet, 14);
        ck_assert_mem_eq(p[i]->data + 14, zeros, 46);
    }
}
END_TEST

START_TEST(test_source_to_many)
{
    test_app(graph, "source", "Source", "count", "1000", "size", "1536", NULL);
    test_app(graph, "sink", "Sink", NULL);
    test_link(graph, "source.a -> sink.a");
    test_link(graph, "source.b -> sink.b");
    test_link(graph, "source.c -> sink.c");
    test_configure(engine, graph);
    test_breathe(engine, 10);
    ck_assert_uint_eq(test_counter(engine, "source", "packets"), 1000);
    ck_assert_uint_eq(test_counter(engine, "sink", "packets"), 1000);
    ck_assert_uint_eq(test_counter(engine, "sink", "bytes"), 1536000);
}
END_TEST

/* As many as there is room for, as many as there are. */
START_TEST(test_source_limits)
{
    test_app(graph, "source", "Source", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "source -> out");
    test_configure(engine, graph);
    struct app *source = engine_find_app(engine, "source");
    struct link *link = find_link("source.output -> out.input");
    for (int i = 0; i < 20; i++)
        source->class->pull(source);
    ck_assert_uint_eq(link_readable(link), LINK_SIZE);
    ck_assert_uint_eq(link->drops, 0);
    test_breathe(engine, 1);
    leave(5);
    test_breathe(engine, 3);
    ck_assert_uint_eq(collected("out"), LINK_SIZE + 5);
    ck_assert_uint_eq(test_counter(engine, "source", "packets"), LINK_SIZE + 5);
    ck_assert_uint_eq(link->drops, 0);
}
END_TEST

START_TEST(test_sink_of_nothing)
{
    test_app(graph, "sink", "Sink", NULL);
    test_app(graph, "source", "Source", NULL);
    test_configure(engine, graph);
    test_breathe(engine, 2);
    ck_assert_uint_eq(test_counter(engine, "sink", "packets"), 0);
    ck_assert_uint_eq(test_counter(engine, "source", "packets"), 0);
}
END_TEST

/* --- Tee ---------------------------------------------------------------------------- */

static void tee_graph(void)
{
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "in2", "Inject", NULL);
    test_app(graph, "tee", "Tee", NULL);
    test_app(graph, "a", "Collect", NULL);
    test_app(graph, "b", "Collect", NULL);
    test_app(graph, "c", "Collect", NULL);
    test_link(graph, "in -> tee.one");
    test_link(graph, "in2 -> tee.two");
    test_link(graph, "tee.a -> a");
    test_link(graph, "tee.b -> b");
    test_link(graph, "tee.c -> c");
    test_configure(engine, graph);
}

START_TEST(test_tee)
{
    tee_graph();
    inject_numbered("in", 0, 200, 60 + (uint32_t)_i * 700);
    inject_numbered("in2", 200, 100, 60 + (uint32_t)_i * 700);
    test_breathe(engine, 1);
    check_numbers("a", 300, 0, 1);
    check_numbers("b", 300, 0, 1);
    check_numbers("c", 300, 0, 1);
    ck_assert_uint_eq(test_counter(engine, "tee", "copies"), 600);
    size_t count;
    struct packet **a = test_collected(engine, "a", &count);
    struct packet **b = test_collected(engine, "b", &count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_ne(a[i]->chunk, b[i]->chunk);
        ck_assert_uint_eq(a[i]->length, b[i]->length);
        ck_assert_mem_eq(a[i]->data, b[i]->data, a[i]->length);
    }
}
END_TEST

START_TEST(test_tee_without_packets)
{
    tee_graph();
    inject_numbered("in", 0, 100, 60);
    leave(70);
    test_breathe(engine, 1);
    check_numbers("a", 100, 0, 1); /* the packets themselves */
    ck_assert_uint_eq(collected("b") + collected("c"), 70);
    ck_assert_uint_eq(test_counter(engine, "tee", "copies"), 70);
    ck_assert_uint_eq(test_counter(engine, "tee", "drop_no_packet"), 130);
}
END_TEST

/* A full output loses its own copies, counted by the link, and no others. */
START_TEST(test_tee_full_output)
{
    tee_graph();
    struct link *full = find_link("tee.b -> b.input");
    while (link_writable(full) > 30)
        link_transmit(full, packet_allocate());
    inject_numbered("in", 0, 100, 60);
    test_breathe(engine, 1);
    check_numbers("a", 100, 0, 1);
    check_numbers("c", 100, 0, 1);
    ck_assert_uint_eq(full->drops, 70);
    ck_assert_uint_eq(collected("b"), LINK_SIZE);
}
END_TEST

/* --- Join and Split ----------------------------------------------------------------- */

static void join_graph(void)
{
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "in2", "Inject", NULL);
    test_app(graph, "join", "Join", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> join.one");
    test_link(graph, "in2 -> join.two");
    test_link(graph, "join -> out");
    test_configure(engine, graph);
}

START_TEST(test_join)
{
    join_graph();
    inject_numbered("in", 0, 500, 60);
    inject_numbered("in2", 500, 300, 60);
    test_breathe(engine, 1);
    check_numbers("out", 800, 0, 1);
}
END_TEST

START_TEST(test_join_full_output)
{
    join_graph();
    struct link *output = find_link("join.output -> out.input");
    struct link *one = find_link("in.output -> join.one");
    struct link *two = find_link("in2.output -> join.two");
    while (link_writable(output) > 150)
        link_transmit(output, packet_allocate());
    inject_numbered("in", 0, 100, 60);
    inject_numbered("in2", 100, 100, 60);
    test_breathe(engine, 1);
    ck_assert_uint_eq(link_readable(one), 0);
    ck_assert_uint_eq(link_readable(two), 50);
    ck_assert_uint_eq(output->drops, 0);
    test_collect_clear(engine, "out");
    test_breathe(engine, 1);
    check_numbers("out", 50, 150, 1);
}
END_TEST

START_TEST(test_join_unlinked)
{
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "join", "Join", NULL);
    test_link(graph, "in -> join");
    test_configure(engine, graph);
    inject_numbered("in", 0, 10, 60);
    test_breathe(engine, 2);
    ck_assert_uint_eq(link_readable(find_link("in.output -> join.input")), 10);
}
END_TEST

START_TEST(test_split)
{
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "split", "Split", NULL);
    test_app(graph, "a", "Collect", NULL);
    test_app(graph, "b", "Collect", NULL);
    test_app(graph, "c", "Collect", NULL);
    test_link(graph, "in -> split");
    test_link(graph, "split.z -> c");
    test_link(graph, "split.x -> a");
    test_link(graph, "split.y -> b");
    test_configure(engine, graph);
    inject_numbered("in", 0, 100, 60);
    test_breathe(engine, 1);
    inject_numbered("in", 100, 200, 60); /* goes on where it left off */
    test_breathe(engine, 1);
    check_numbers("a", 100, 0, 3);
    check_numbers("b", 100, 1, 3);
    check_numbers("c", 100, 2, 3);
}
END_TEST

static void unlinked_graph(const char *class, const char *key, const char *value)
{
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "app", class, key, value, NULL);
    test_link(graph, "in -> app");
    test_configure(engine, graph);
    inject_numbered("in", 0, 100, 60);
    test_breathe(engine, 1);
    ck_assert_uint_eq(test_counter(engine, "app", "drop_no_output"), 100);
    ck_assert_uint_eq(arena_in_use(), 0);
}

START_TEST(test_unlinked)
{
    if (_i == 0)
        unlinked_graph("Tee", NULL, NULL);
    else if (_i == 1)
        unlinked_graph("Split", NULL, NULL);
    else
        unlinked_graph("Truncate", "size", "20");
}
END_TEST

/* --- Repeater ----------------------------------------------------------------------- */

static void repeater_graph(const char *limit)
{
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "repeater", "Repeater", "limit", limit, NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> repeater");
    test_link(graph, "repeater -> out");
    test_configure(engine, graph);
}

START_TEST(test_repeater)
{
    repeater_graph("5");
    inject_numbered("in", 0, 7, 60);
    test_breathe(engine, 4);
    ck_assert_uint_eq(test_counter(engine, "repeater", "drop_limit"), 2);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_ge(count, 100);
    for (size_t i = 0; i < count; i++)
        if (p[i]->timestamp != i % 5)
            ck_abort_msg("packet %zu is %d", i, (int)p[i]->timestamp);
    ck_assert_uint_eq(arena_in_use(), count + 5);
}
END_TEST

/* Neither a full output nor a lack of packets breaks the sequence. */
START_TEST(test_repeater_limits)
{
    repeater_graph("4096");
    inject_numbered("in", 0, 7, 60);
    test_breathe(engine, 1);
    leave(10);
    test_breathe(engine, 2);
    ck_assert_uint_eq(collected("out"), 10);
    while (hoarded)
        packet_free(hoard[--hoarded]);
    struct app *repeater = engine_find_app(engine, "repeater");
    for (int i = 0; i < 20; i++)
        repeater->class->pull(repeater);
    ck_assert_uint_eq(find_link("repeater.output -> out.input")->drops, 0);
    test_breathe(engine, 2);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    for (size_t i = 0; i < count; i++)
        if (p[i]->timestamp != i % 7)
            ck_abort_msg("packet %zu is %d", i, (int)p[i]->timestamp);
}
END_TEST

/* --- Truncate ----------------------------------------------------------------------- */

static void truncate_graph(const char *size, const char *pad)
{
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "tee", "Tee", NULL);
    test_app(graph, "first", "Truncate", "size", size, "pad", pad, NULL);
    test_app(graph, "copies", "Truncate", "size", size, "pad", pad, NULL);
    test_app(graph, "out", "Collect", NULL);
    test_app(graph, "out2", "Collect", NULL);
    test_link(graph, "in -> tee");
    test_link(graph, "tee.a -> first");
    test_link(graph, "tee.b -> copies");
    test_link(graph, "first -> out");
    test_link(graph, "copies -> out2");
    test_configure(engine, graph);
}

static void check_truncated(const char *app, const char *out, bool pad)
{
    static const uint8_t zeros[100];
    size_t count;
    struct packet **p = test_collected(engine, out, &count);
    ck_assert_uint_eq(count, 300);
    for (size_t i = 0; i < count; i++) {
        uint32_t was = i < 100 ? 60 : i < 200 ? 100 : 1500;
        uint32_t expected = was > 100 || pad ? 100 : was;
        ck_assert_uint_eq(p[i]->length, expected);
        ck_assert_uint_eq(p[i]->data[0], i & 255);
        if (was < expected)
            ck_assert_mem_eq(p[i]->data + was, zeros, expected - was);
    }
    ck_assert_uint_eq(test_counter(engine, app, "truncated"), 100);
    ck_assert_uint_eq(test_counter(engine, app, "padded"), pad ? 100 : 0);
}

/* Of packets and of copies of packets, which start anywhere in their chunks. */
START_TEST(test_truncate)
{
    truncate_graph("100", _i ? "true" : "false");
    inject_numbered("in", 0, 100, 60);
    inject_numbered("in", 100, 100, 100);
    inject_numbered("in", 200, 100, 1500);
    test_breathe(engine, 1);
    check_truncated("first", "out", _i);
    check_truncated("copies", "out2", _i);
}
END_TEST

/* --- all ---------------------------------------------------------------------------- */

/* A graph of all of them, stopped in mid-flight, loses nothing. */
START_TEST(test_all_together)
{
    test_app(graph, "source", "Source", "count", "5000", NULL);
    test_app(graph, "tee", "Tee", NULL);
    test_app(graph, "split", "Split", NULL);
    test_app(graph, "cut", "Truncate", "size", "40", NULL);
    test_app(graph, "join", "Join", NULL);
    test_app(graph, "repeater", "Repeater", "limit", "50", NULL);
    test_app(graph, "sink", "Sink", NULL);
    test_link(graph, "source -> tee");
    test_link(graph, "tee.a -> split");
    test_link(graph, "tee.b -> repeater");
    test_link(graph, "split.a -> cut");
    test_link(graph, "split.b -> join.b");
    test_link(graph, "cut -> join.a");
    test_link(graph, "join -> sink.all");
    test_link(graph, "repeater -> sink.again");
    test_configure(engine, graph);
    test_breathe(engine, 100);
    uint64_t again = find_link("repeater.output -> sink.again")->write;
    ck_assert_uint_eq(test_counter(engine, "source", "packets"), 5000);
    ck_assert_uint_eq(test_counter(engine, "tee", "copies"), 5000);
    ck_assert_uint_eq(test_counter(engine, "cut", "truncated"), 2500);
    ck_assert_uint_eq(test_counter(engine, "repeater", "drop_limit"), 4950);
    ck_assert_uint_eq(test_counter(engine, "sink", "packets"), 5000 + again);
    ck_assert_uint_eq(test_counter(engine, "sink", "bytes"),
                      2500 * 40 + 2500 * 60 + again * 60);
    ck_assert_uint_eq(arena_in_use(), 50 + 1); /* the sequence, the Source's template */
}
END_TEST

static Suite *suite_basic_apps(void)
{
    Suite *suite = suite_create("basic_apps");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, test_source);
    tcase_add_test(all, test_source_to_many);
    tcase_add_test(all, test_source_limits);
    tcase_add_test(all, test_sink_of_nothing);
    tcase_add_loop_test(all, test_tee, 0, 3);
    tcase_add_test(all, test_tee_without_packets);
    tcase_add_test(all, test_tee_full_output);
    tcase_add_test(all, test_join);
    tcase_add_test(all, test_join_full_output);
    tcase_add_test(all, test_join_unlinked);
    tcase_add_test(all, test_split);
    tcase_add_loop_test(all, test_unlinked, 0, 3);
    tcase_add_test(all, test_repeater);
    tcase_add_test(all, test_repeater_limits);
    tcase_add_loop_test(all, test_truncate, 0, 2);
    tcase_add_test(all, test_all_together);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(basic_apps)
