/* test_packet_filter: what matches goes one way, what does not the other. */
#include "selftest/selftest.h"

#include <stdlib.h>

#include "apps/apps.h"
#include "selftest/support.h"

static struct engine *engine;

static void setup(void)
{
    engine = test_engine(1);
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

/* Without an expression (NULL), or with the outputs named in `linked`: "o", "r", "or". */
static void filter_graph(const char *expression, const char *linked)
{
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "filter", "PacketFilter", "filter", expression, NULL);
    test_link(graph, "in -> filter");
    if (strchr(linked, 'o')) {
        test_app(graph, "yes", "Collect", NULL);
        test_link(graph, "filter -> yes");
    }
    if (strchr(linked, 'r')) {
        test_app(graph, "no", "Collect", NULL);
        test_link(graph, "filter.rejected -> no");
    }
    test_configure(engine, graph);
}

/* An Ethernet frame of 60 bytes: IPv4 UDP from port 1000 to the given one. */
static struct packet *udp(uint16_t port)
{
    static const uint8_t header[] = { 2, 0, 0, 0,  0,  2,    2, 0,         0,
                                      0, 0, 1, 8,  0,  0x45, 0, 0,         46,
                                      0, 0, 0, 0,  64, 17,   0, 0,         10,
                                      0, 0, 1, 10, 0,  0,    2, 1000 >> 8, 1000 & 255 };
    struct packet *p = packet_from_bytes(header, sizeof(header));
    packet_resize(p, 60);
    p->data[36] = (uint8_t)(port >> 8);
    p->data[37] = (uint8_t)port;
    return p;
}

static bool matches(const char *expression, struct packet *p)
{
    filter_graph(expression, "or");
    uint64_t before = test_counter(engine, "filter", "matched");
    test_inject(engine, "in", p);
    test_breathe(engine, 1);
    test_collect_clear(engine, "yes");
    test_collect_clear(engine, "no");
    return test_counter(engine, "filter", "matched") > before;
}

START_TEST(test_expressions)
{
    ck_assert(matches("udp", udp(53)));
    ck_assert(matches("udp port 53", udp(53)));
    ck_assert(!matches("udp port 53", udp(54)));
    ck_assert(!matches("tcp", udp(53)));
    ck_assert(matches("src host 10.0.0.1 and dst net 10.0.0.0/24", udp(1)));
    ck_assert(matches("ether[0] == 2 and greater 60 and less 60", udp(1)));
    ck_assert(!matches("greater 61", udp(1)));
    ck_assert(!matches("ip6", udp(1)));
    ck_assert(matches("", udp(1))); /* everything, as with tcpdump */
}
END_TEST

/* Frames that end before what the filter looks at do not match, nor harm. */
START_TEST(test_short_frames)
{
    for (uint32_t length = 0; length < 38; length++) {
        struct packet *p = udp(53);
        packet_resize(p, length);
        ck_assert(!matches("udp dst port 53", p));
    }
}
END_TEST

/* A tag in the frame is seen, one beside it is not. */
START_TEST(test_vlan)
{
    struct packet *inside = udp(53), *beside = udp(53);
    ck_assert(packet_prepend(inside, 4));
    memmove(inside->data, inside->data + 4, 12);
    memcpy(inside->data + 12, (uint8_t[]){ 0x81, 0, 0, 5 }, 4);
    beside->flags |= PACKET_VLAN;
    beside->vlan_tpid = 0x8100;
    beside->vlan_tci = 5;
    ck_assert(matches("vlan 5 and udp", packet_clone(inside)));
    ck_assert(!matches("vlan 6 and udp", packet_clone(inside)));
    ck_assert(!matches("udp", inside));
    ck_assert(!matches("vlan 5 and udp", packet_clone(beside)));
    ck_assert(matches("udp", beside));
}
END_TEST

/* Order is kept on both ways, over more than one burst. */
START_TEST(test_ways)
{
    size_t matching, others;
    filter_graph("udp port 53", "or");
    for (uint16_t i = 0; i < 300; i++) {
        struct packet *p = udp(i % 3 ? 53 : 54);
        p->timestamp = i;
        test_inject(engine, "in", p);
    }
    test_breathe(engine, 1);
    struct packet **yes = test_collected(engine, "yes", &matching);
    struct packet **no = test_collected(engine, "no", &others);
    ck_assert_uint_eq(matching, 200);
    ck_assert_uint_eq(others, 100);
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(no[i]->timestamp, 3 * i);
        ck_assert_uint_eq(yes[2 * i]->timestamp, 3 * i + 1);
        ck_assert_uint_eq(yes[2 * i + 1]->timestamp, 3 * i + 2);
    }
    ck_assert_uint_eq(test_counter(engine, "filter", "matched"), 200);
    ck_assert_uint_eq(test_counter(engine, "filter", "rejected"), 100);
    ck_assert_uint_eq(test_counter(engine, "filter", "drop_rejected"), 0);
    ck_assert_uint_eq(test_counter(engine, "filter", "drop_no_output"), 0);
}
END_TEST

START_TEST(test_unlinked)
{
    filter_graph("udp port 53", _i == 0 ? "o" : _i == 1 ? "r" : "");
    for (uint16_t i = 0; i < 5; i++)
        test_inject(engine, "in", udp(i < 3 ? 53 : 54));
    test_breathe(engine, 1);
    ck_assert_uint_eq(test_counter(engine, "filter", "matched"), 3);
    ck_assert_uint_eq(test_counter(engine, "filter", "rejected"), 2);
    ck_assert_uint_eq(test_counter(engine, "filter", "drop_rejected"), _i == 1 ? 0 : 2);
    ck_assert_uint_eq(test_counter(engine, "filter", "drop_no_output"), _i == 0 ? 0 : 3);
    ck_assert_uint_eq(arena_in_use(), _i == 0 ? 3 : _i == 1 ? 2 : 0);
}
END_TEST

START_TEST(test_bad_expression)
{
    static const char *const bad[] = { "tcp prot 80", "(", "host 300.1.1.1",
                                       "udp port x" };
    const char *expected = "app \"f\" (PacketFilter): filter: \"";
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct graph *graph = graph_new();
        struct value text = value_string(bad[i]);
        struct error err = { 0 };
        int error =
            graph_add_app(graph, "f", apps_find("PacketFilter"), &text, NULL, &err);
        ck_assert_msg(error < 0, "\"%s\" was taken", bad[i]);
        ck_assert_int_eq(err.kind, ERROR_CONFIG);
        ck_assert_msg(!strncmp(err.text, expected, strlen(expected)) &&
                          strstr(err.text, bad[i]) && strstr(err.text, "\": "),
                      "%s", err.text);
        value_free(&text);
        graph_free(graph);
    }
}
END_TEST

/* In place: the counters go on. */
START_TEST(test_reconfigure)
{
    ck_assert(matches("udp", udp(53)));
    const struct app *app = engine_find_app(engine, "filter");
    ck_assert(!matches("tcp", udp(53)));
    ck_assert_ptr_eq(app, engine_find_app(engine, "filter"));
    ck_assert_uint_eq(test_counter(engine, "filter", "matched"), 1);
    ck_assert_uint_eq(test_counter(engine, "filter", "rejected"), 1);
}
END_TEST

static Suite *suite_packet_filter(void)
{
    Suite *suite = suite_create("packet_filter");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, test_expressions);
    tcase_add_test(all, test_short_frames);
    tcase_add_test(all, test_vlan);
    tcase_add_test(all, test_ways);
    tcase_add_loop_test(all, test_unlinked, 0, 3);
    tcase_add_test(all, test_bad_expression);
    tcase_add_test(all, test_reconfigure);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(packet_filter)
