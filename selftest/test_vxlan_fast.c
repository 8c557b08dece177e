/* VxlanNat's XDP program does what the app does, or nothing. */
#include <unistd.h>

#include "lib/random.h"
#include "selftest/vxlan_fast_rig.h"

static uint32_t wrapped(const struct made *made)
{
    return frame_wrap(outer, &usual, inner, frame_make(inner, made));
}

/* --- the same ------------------------------------------------------------------------ */

static const uint8_t protocols[] = { IS_UDP, IS_TCP, IS_ICMP };

START_TEST(known_flows)
{
    FAST("df=keep", "port=80 to=172.30.82.95:81", "port=80 to=[2001:db8:9::1]:8000",
         "to=172.30.82.96", "to=2001:db8:9::2");
    uint32_t frames = 0;
    for (uint32_t i = 0; i < 3 * 2 * 2 * 40; i++) {
        struct made made = { .protocol = protocols[i % 3],
                             .v6 = i / 3 & 1,
                             .to = i / 6 & 1 ? 80 : 81,
                             .options = i % 5,
                             .flags = IS_ACK,
                             .payload = i * 5 % 1300,
                             .number = i };
        struct tunnel tunnel = { .v6 = i & 1, .vni = 42 };
        uint32_t length = frame_wrap(outer, &tunnel, inner, frame_make(inner, &made)),
                 made_length = 0;
        ck_assert_int_eq(by_app(outer, length, &made_length), 1);
        ck_assert_int_eq(by_program(outer, length), XDP_REDIRECT);
        ck_assert_uint_eq(out_length, made_length);
        ck_assert_mem_eq(out, wanted, made_length);
        frames++;
    }
    app->class->tick(app);
    test_breathe(engine, 1);
    ck_assert_uint_eq(nat->sessions.count, 2 * 2 * 2 + 2);
    engine_set_time(engine, engine_now(engine) + 200000000);
    app->class->tick(app);
    ck_assert_uint_eq(count("fast_packets"), frames);
    ck_assert_uint_eq(count("forwarded"), 2 * frames);
    ck_assert_uint_eq(count("nat_applied"), 2 * frames);
}
END_TEST

START_TEST(identifications)
{
    struct made made = { .payload = 30 };
    uint32_t length, made_length;
    FAST("", "to=172.30.82.95");
    length = wrapped(&made);
    ck_assert_int_eq(by_app(outer, length, &made_length), 1);
    uint32_t id = get16(wanted + 18);
    for (int i = 1; i < 4; i++) {
        ck_assert_int_eq(by_program(outer, length), XDP_REDIRECT);
        ck_assert_uint_eq(get16(out + 18), (id + i) & 0xffff);
        ck_assert_uint_eq(get16(out + 20), 0);
        ck_assert_ptr_null(frame_problem(out, out_length));
    }
    engine_set_time(engine, engine_now(engine) + 200000000);
    app->class->tick(app);
    ck_assert_uint_eq(count("df_cleared"), 4);
}
END_TEST

/* Who is refused is by the program as well, under the same reason. */
START_TEST(who_is_refused)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length, made_length;
    FAST("", "port=81 to=172.30.82.95");
    length = wrapped(&made);
    ck_assert_int_eq(by_app(outer, length, &made_length), 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(by_program(outer, length), XDP_DROP);
    put32(outer + 50 + 26, 0xc6336407); /* whom nobody allows */
    ck_assert_int_eq(by_app(outer, length, &made_length), 0);
    ck_assert_int_eq(by_program(outer, length), XDP_DROP);
    engine_set_time(engine, engine_now(engine) + 200000000);
    app->class->tick(app);
    ck_assert_uint_eq(count("drop_no_rule"), 6);
    ck_assert_uint_eq(count("drop_not_allowed"), 2);
}
END_TEST

/* One's refusal says nothing of a tunnel that ends elsewhere. */
START_TEST(refused_for_others)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length, made_length;
    FAST("vteps=10.0.0.77", "port=81 to=172.30.82.95");
    length = wrapped(&made);
    ck_assert_int_eq(by_app(outer, length, &made_length), 0);
    ck_assert_int_eq(by_program(outer, length), XDP_DROP);
    outer[33] ^= 7; /* its destination, which is not ours */
    put16(outer + 24, 0);
    put16(outer + 24, ~naive_sum(outer + 14, 20, 0));
    ck_assert_int_eq(by_program(outer, length), XDP_PASS);
    ck_assert_int_eq(by_app(outer, length, &made_length), 0);
    ck_assert_uint_eq(count("pass_not_ours"), 1);
    engine_set_time(engine, engine_now(engine) + 200000000);
    app->class->tick(app);
}
END_TEST

/* An ICMP error is about another flow than its own, though that is refused. */
START_TEST(errors_of_the_refused)
{
    struct made made = { .protocol = IS_ICMP, .type = 13, .payload = 30 };
    uint32_t length, made_length;
    FAST("mode=route", "port=81 to=172.30.82.95");
    length = wrapped(&made);
    ck_assert_int_eq(by_app(outer, length, &made_length), 0);
    outer[50 + 34] = 3;
    ck_assert_int_eq(by_program(outer, length), XDP_PASS);
}
END_TEST

/* Whose answers are another one's by now does not go on as if they were still its own. */
START_TEST(over_and_replaced)
{
    struct made made = { .to = 80, .payload = 30 };
    struct tunnel second = { .vni = 43 };
    uint32_t made_length, length = frame_make(inner, &made);
    FAST("mode=route df=keep", "to=172.30.82.95");
    length = frame_wrap(outer, &usual, inner, frame_make(inner, &made));
    ck_assert_int_eq(by_app(outer, length, &made_length), 1);
    ck_assert_int_eq(by_program(outer, length), XDP_REDIRECT);
    engine_set_time(engine, engine_now(engine) + 121000000000);
    length = frame_wrap(outer, &second, inner, frame_make(inner, &made));
    ck_assert_int_eq(by_app(outer, length, &made_length), 1);
    length = frame_wrap(outer, &usual, inner, frame_make(inner, &made));
    ck_assert_int_eq(by_program(outer, length), XDP_PASS);
    ck_assert_int_eq(by_app(outer, length, &made_length), 0);
    ck_assert_uint_eq(count("drop_ct_conflict"), 1);
    app->class->tick(app);
}
END_TEST

/* What waited for a MAC while its link went away ends somewhere too. */
START_TEST(nothing_is_linked_any_more)
{
    static const char settings[] = "ingress=a0 egress=b0 fastpath=off allow=10.0.0.0/8";
    struct made made = { .to = 80, .payload = 30 };
    if (!interfaces())
        return;
    shell("ip addr add 172.30.82.1/24 dev b0");
    BUILD(settings, "to=172.30.82.95");
    put_in(&usual, inner, frame_make(inner, &made));
    ck_assert_uint_eq(count("held"), 1);
    struct error err;
    struct value args = test_table(settings), list = value_table();
    value_table_add(&list, NULL, test_table("to=172.30.82.95"));
    value_table_add(&args, "rules", list);
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    ck_assert_int_eq(
        graph_add_app(graph, "nat", apps_find("VxlanNat"), &args, NULL, &err), 0);
    test_link(graph, "in -> nat");
    test_configure(engine, graph);
    value_free(&args);
    shell("ip neigh replace 172.30.82.95 lladdr 02:00:00:00:00:95 dev b0");
    for (int i = 0; count("held") && i < 100; i++) {
        engine_set_time(engine, engine_now(engine) + 20000000);
        test_breathe(engine, 2);
        usleep(10000);
    }
    ck_assert_uint_eq(count("drop_no_output"), 1);
}
END_TEST

/* --- what it leaves to the app ------------------------------------------------------- */

static const struct {
    const char *what, *hex;
    uint32_t at;
} left[] = {
    { "another source", "0a000007", 50 + 26 },
    { "another port", "0051", 50 + 36 },
    { "another network", "00002b", 46 },
    { "another tunnel", "0a0000fe", 26 },
    { "a fragment", "2000", 50 + 20 },
    { "TTL", "00", 50 + 22 },
    { "no I flag", "00", 42 },
    { "an outer fragment", "2000", 20 },
    { "a tag", "8100", 50 + 12 },
    { "options that are not there", "4f", 50 + 14 },
};

START_TEST(left_to_the_app)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length, made_length;
    FAST("df=keep", "to=172.30.82.95");
    length = wrapped(&made);
    ck_assert_int_eq(by_program(outer, length), XDP_PASS);
    ck_assert_int_eq(by_app(outer, length, &made_length), 1);
    patch(outer + left[_i].at, left[_i].hex);
    ck_assert_msg(by_program(outer, length) == XDP_PASS, "%s", left[_i].what);
    ck_assert_uint_eq(out_length, length);
    ck_assert_mem_eq(out, outer, length);
}
END_TEST

/* An ICMP error is about another flow than its own, the beginning and the end of a connection the
 * app's to see. */
START_TEST(sessions_by_the_app)
{
    struct made made = { .protocol = IS_TCP, .to = 80, .flags = IS_SYN, .payload = 30 };
    uint32_t length, made_length;
    FAST("df=keep mode=route", "to=172.30.82.95");
    length = wrapped(&made);
    ck_assert_int_eq(by_app(outer, length, &made_length), 1);
    ck_assert_int_eq(by_program(outer, length), XDP_PASS);
    made.flags = IS_ACK;
    length = wrapped(&made);
    ck_assert_int_eq(by_program(outer, length), XDP_PASS); /* nobody answered */
    memcpy(inner, wanted, made_length);
    frame_turn_round(inner, made_length);
    answer(inner, made_length);
    ck_assert_int_eq(by_app(outer, length, &made_length), 1);
    ck_assert_int_eq(by_program(outer, length), XDP_REDIRECT);
    made.flags = IS_FIN | IS_ACK;
    ck_assert_int_eq(by_program(outer, wrapped(&made)), XDP_PASS);
    made.protocol = IS_ICMP;
    made.type = 13; /* a timestamp, which is a flow of its own */
    length = wrapped(&made);
    ck_assert_int_eq(by_app(outer, length, &made_length), 1);
    outer[50 + 34] = 3;
    ck_assert_int_eq(by_program(outer, length), XDP_PASS);
}
END_TEST

/* Who is told of packets is told of all of them. */
START_TEST(nothing_while_packets_are_traced)
{
    struct made made = { .payload = 40 };
    uint32_t made_length;
    FAST("df=keep", "to=172.30.82.96");
    uint32_t length = frame_wrap(outer, &usual, inner, frame_make(inner, &made));
    ck_assert_int_eq(by_app(outer, length, &made_length), 1);
    ck_assert_int_eq(by_program(outer, length), XDP_REDIRECT);
    ck_assert_int_eq(live_trace(app, 2, NULL), 0);
    ck_assert_int_eq(by_program(outer, length), XDP_PASS);
    live_end_trace(app);
    ck_assert_int_eq(by_program(outer, length), XDP_REDIRECT);
    engine_set_time(engine, engine_now(engine) + 200000000);
    app->class->tick(app);
}
END_TEST

/* One that is removed from the list is dropped from the next packet on. */
START_TEST(another_list)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length, made_length;
    FAST("df=keep", "to=172.30.82.95");
    length = wrapped(&made);
    ck_assert_int_eq(by_app(outer, length, &made_length), 1);
    ck_assert_int_eq(by_program(outer, length), XDP_REDIRECT);
    struct error err;
    struct value args = test_table(WHERE "allow=192.0.2.0/24"), list = value_table();
    value_table_add(&list, NULL, test_table("to=172.30.82.95"));
    value_table_add(&args, "rules", list);
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "out", "Collect", NULL);
    ck_assert_int_eq(
        graph_add_app(graph, "nat", apps_find("VxlanNat"), &args, NULL, &err), 0);
    test_link(graph, "in -> nat");
    test_link(graph, "nat -> out");
    test_configure(engine, graph);
    value_free(&args);
    ck_assert_int_eq(by_program(outer, length), XDP_PASS);
    ck_assert_int_eq(by_app(outer, length, &made_length), 0);
    ck_assert_int_eq(by_program(outer, length), XDP_DROP);
    engine_set_time(engine, engine_now(engine) + 200000000);
    app->class->tick(app);
    ck_assert_uint_eq(count("drop_not_allowed"), 2);
}
END_TEST

/* --- anything ------------------------------------------------------------------------ */

static void later(uint64_t time)
{
    engine_set_time(engine, engine_now(engine) + time);
    app->class->tick(app);
}

/* The other end of a veth that has no NAPI any more takes nothing that is redirected to it. */
START_TEST(egress_that_takes_nothing)
{
    FAST("", "to=172.30.82.95");
    ck_assert(fast_path_is_attached(nat->fast));
    later(200000000);
    ck_assert(fast_path_is_attached(nat->fast));
    shell("ethtool -K b1 gro off");
    later(200000000);
    ck_assert(!fast_path_is_attached(nat->fast));
    shell("ethtool -K b1 gro on");
    later(2000000000);
    ck_assert(fast_path_is_attached(nat->fast));
}
END_TEST

/* Damaged in a place or two, or cut off. */
static uint32_t mutate(uint8_t *frame, uint32_t length, uint64_t draw)
{
    for (int i = 0; i < (int)(draw >> 62 & draw); i++) {
        uint64_t more = (draw >> 8) * (uint64_t)(2 * i + 1) * 0x9e3779b97f4a7c15ull;
        frame[(more >> 32) % (length < 120 ? length : 120)] = (uint8_t)(more >> 20);
    }
    return (draw >> 2 & 15) == 1 ? 14 + (uint32_t)(draw >> 40) % (length - 14) : length;
}

/* VXLAN_FRAMES says how many; they come from few flows, so that most are known. */
START_TEST(anything)
{
    const char *wish = getenv("VXLAN_FRAMES");
    uint64_t frames = wish ? strtoull(wish, NULL, 10) : 20000, taken = 0, refused = 0;
    struct random_key random = random_key(11, "vxlan_fast", "anything");
    FAST("df=keep mtu=900", "port=80 to=172.30.82.95:81",
         "port=80 to=[2001:db8:9::1]:8000", "proto=udp to=172.30.82.96");
    for (uint64_t i = 0; i < frames; i++) {
        uint64_t draw = random_draw(&random, 2 * i);
        struct made made = { .protocol = protocols[draw % 3],
                             .v6 = draw >> 8 & 1,
                             .to = draw >> 9 & 1 ? 80 : 81,
                             .options = draw >> 10 & 3,
                             .flags = IS_ACK,
                             .tags = (draw >> 12 & 15) == 1,
                             .payload = (draw >> 16 & 15) == 1 ? 1000 : draw >> 20 & 63 };
        struct tunnel tunnel = { .v6 = made.to == 80, .vni = 42 };
        uint32_t length = frame_wrap(outer, &tunnel, inner, frame_make(inner, &made));
        length = mutate(outer, length, random_draw(&random, 2 * i + 1));
        int verdict;
        compare(outer, length, &verdict);
        taken += verdict == XDP_REDIRECT;
        refused += verdict == XDP_DROP;
        if (i % 1000 == 0)
            app->class->tick(app);
    }
    engine_set_time(engine, engine_now(engine) + 200000000);
    app->class->tick(app);
    ck_assert_uint_gt(taken, frames / 8);
    ck_assert_uint_gt(refused, frames / 50);
    ck_assert_uint_eq(count("fast_packets"), taken);
}
END_TEST

static Suite *suite_vxlan_fast(void)
{
    Suite *suite = suite_create("vxlan_fast");
    TCase *tcase = tcase_create("frames");
    tcase_set_timeout(tcase, 3600);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, known_flows);
    tcase_add_test(tcase, identifications);
    tcase_add_test(tcase, who_is_refused);
    tcase_add_test(tcase, refused_for_others);
    tcase_add_test(tcase, errors_of_the_refused);
    tcase_add_test(tcase, over_and_replaced);
    tcase_add_test(tcase, nothing_is_linked_any_more);
    tcase_add_loop_test(tcase, left_to_the_app, 0, (int)(sizeof(left) / sizeof(left[0])));
    tcase_add_test(tcase, nothing_while_packets_are_traced);
    tcase_add_test(tcase, sessions_by_the_app);
    tcase_add_test(tcase, another_list);
    tcase_add_test(tcase, egress_that_takes_nothing);
    tcase_add_test(tcase, anything);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(vxlan_fast)
