/* VxlanNat with answers: sessions, and what ends them. */
#include "apps/vxlan_nat/snat.h"
#include "selftest/vxlan_answers.h"

/* --- there and back ------------------------------------------------------------------- */

static const uint8_t protocols[] = { IS_UDP, IS_TCP, IS_ICMP };

/* Who asked gets the answer as if nobody stood between. */
START_TEST(answers_go_back)
{
    BUILD(ROUTE EXACT, "port=80 to=172.30.82.95:81", "port=80 to=[2001:db8:9::1]:8000",
          "to=172.30.82.96", "to=2001:db8:9::2");
    for (int i = 0; i < 12; i++) {
        struct made made = { .protocol = protocols[i % 3],
                             .v6 = i / 3 & 1,
                             .to = 80,
                             .flags = IS_SYN,
                             .payload = 30 + (uint32_t)i };
        struct tunnel tunnel = { .v6 = i / 6 & 1, .vni = 42 + (uint32_t)i, .host = 9 };
        uint32_t length = frame_make(inner, &made), back;
        made.from = (uint16_t)(1000 + i); /* its own session */
        length = frame_make(inner, &made);
        put_in(&tunnel, inner, length);
        came((size_t)i + 1);
        answer_last(0);
        ck_assert_uint_eq(how_many("returned"), (size_t)i + 1);
        const uint8_t *frame = uncovered(&back);
        frame_turn_round(inner, length);
        ck_assert_uint_eq(back, length);
        ck_assert_mem_eq(frame, inner, length);
        ck_assert_uint_eq(get32(frame - 4), (42 + (uint32_t)i) << 8);
    }
    later(S / 100);
    ck_assert_uint_eq(count("sessions"), 12);
}
END_TEST

/* The outer packet goes where the question came from. */
START_TEST(to_the_other_end)
{
    struct made made = { .to = 80, .payload = 30 };
    BUILD(ROUTE, FORWARD);
    ask(&made);
    answer_last(0);
    const struct packet *p = returned(1)[0];
    ck_assert_mem_eq(p->data, outer + 6, 6);
    ck_assert_mem_eq(p->data + 6, outer, 6);
    ck_assert_mem_eq(p->data + 26, outer + 30, 4);
    ck_assert_mem_eq(p->data + 30, outer + 26, 4);
}
END_TEST

START_TEST(without_a_tunnel)
{
    struct made made = { .to = 80, .payload = 30 };
    BUILD("mode=nat-out allow=10.0.0.0/8 " EXACT, FORWARD);
    ask(&made);
    answer_last(0);
    const struct packet *p = returned(1)[0];
    uint32_t length = frame_make(inner, &made);
    frame_turn_round(inner, length);
    ck_assert_uint_eq(p->length, length);
    ck_assert_mem_eq(p->data + 12, inner + 12, length - 12);
    ck_assert_mem_eq(p->data, outer + 6, 6);
    ck_assert_mem_eq(p->data + 6, outer, 6);
}
END_TEST

START_TEST(what_is_no_answer)
{
    struct made made = { .to = 80, .payload = 30 };
    BUILD(ROUTE, FORWARD);
    answer(inner, frame_make(inner, &made)); /* to nothing */
    ask(&made);
    answer(came(1)[0]->data, came(1)[0]->length); /* it is the question again */
    memset(reply, 0xff, 60);
    answer(reply, 60);
    ck_assert_uint_eq(count("pass_back_other"), 3);
    returned(0);
}
END_TEST

START_TEST(fragments_of_answers)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length;
    BUILD(ROUTE, FORWARD);
    ask(&made);
    uint32_t first = fragment(reply, 5, 0, 400, true);
    memcpy(reply + 26, came(1)[0]->data + 30, 4);
    memcpy(reply + 30, came(1)[0]->data + 26, 4);
    put16(reply + 34, 81);
    put16(reply + 36, get16(came(1)[0]->data + 34));
    put16(reply + 24, 0);
    put16(reply + 24, ~naive_sum(reply + 14, 20, 0));
    uint8_t second[FRAME_MOST];
    uint32_t rest = fragment(second, 5, 400, 100, false);
    memcpy(second + 26, reply + 26, 8);
    put16(second + 24, 0);
    put16(second + 24, ~naive_sum(second + 14, 20, 0));
    answer(second, rest); /* it waits */
    returned(0);
    answer(reply, first);
    returned(2);
    const uint8_t *frame = uncovered(&length);
    ck_assert_mem_eq(frame + 30, "\x0a\0\0", 3);
    ck_assert_uint_eq(naive_sum(frame + 14, 20, 0), 0xffff);
}
END_TEST

/* The other end of a tunnel moves, and sessions with it. */
START_TEST(tunnels_move)
{
    struct made made = { .to = 80, .payload = 30 };
    struct tunnel other = { .vni = 42, .host = 77 };
    BUILD(ROUTE, FORWARD);
    ask(&made);
    put_in(&other, inner, frame_make(inner, &made));
    answer_last(0);
    ck_assert_uint_eq(returned(1)[0]->data[33], 77);
    later(S / 100);
    ck_assert_uint_eq(count("sessions"), 1);
}
END_TEST

/* --- how long ------------------------------------------------------------------------- */

START_TEST(udp_ends)
{
    struct made made = { .to = 80, .payload = 30 };
    BUILD(ROUTE "udp_unanswered=120s udp_answered=300s", FORWARD);
    ask(&made);
    later(119 * S);
    check_answered(true);
    later(299 * S);
    check_answered(true); /* which is a packet, too */
    later(299 * S);
    ask(&made);
    later(299 * S);
    check_answered(true);
    later(301 * S);
    check_answered(false);
    made.from = 3;
    ask(&made);
    later(121 * S);
    check_answered(false);
    ck_assert_uint_eq(count("sessions"), 0);
}
END_TEST

static void open_tcp(struct made *made)
{
    made->protocol = IS_TCP;
    made->flags = IS_SYN;
    ask(made);
    answer_last(IS_SYN | IS_ACK);
    made->flags = IS_ACK;
    ask(made);
}

START_TEST(tcp_ends)
{
    struct made made = { .to = 80 };
    BUILD(ROUTE "tcp_established=7440s tcp_transitory=240s", FORWARD);
    open_tcp(&made);
    later(7439 * S);
    check_answered(true);
    made.flags = IS_FIN | IS_ACK;
    ask(&made);
    later(239 * S);
    check_answered(true);
    later(241 * S);
    check_answered(false);
    /* not opened */
    made.from = 5;
    made.flags = IS_SYN;
    ask(&made);
    later(239 * S);
    answer_last(IS_SYN | IS_ACK);
    later(241 * S);
    check_answered(false);
    /* reset */
    made.from = 6;
    open_tcp(&made);
    answer_last(IS_RST);
    later(9 * S);
    check_answered(true);
    later(11 * S);
    check_answered(false);
}
END_TEST

START_TEST(others_end)
{
    struct made made = { .protocol = IS_ICMP };
    BUILD(ROUTE "icmp=60s", "to=172.30.82.95");
    ask(&made);
    later(59 * S);
    check_answered(true);
    later(61 * S);
    check_answered(false);
}
END_TEST

START_TEST(in_the_middle_of_a_connection)
{
    struct made made = { .to = 80, .protocol = IS_TCP, .flags = IS_ACK };
    BUILD(ROUTE "tcp_loose=false", FORWARD);
    ask(&made);
    came(0);
    ck_assert_uint_eq(count("drop_ct_invalid"), 1);
    open_tcp(&made);
    came(2);
}
END_TEST

/* Connections that are open outlast any number of packets with forged sources. */
START_TEST(a_full_table)
{
    struct made made = { .to = 80 };
    BUILD(ROUTE "sessions=256", FORWARD);
    for (uint16_t i = 0; i < 50; i++) {
        made.from = (uint16_t)(100 + i);
        open_tcp(&made);
    }
    made.protocol = IS_UDP;
    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t length = frame_make(inner, &made);
        put32(inner + 26, 0x0a010000 + i * 7);
        put_in(&usual, inner, length);
    }
    later(2 * S);
    ck_assert_uint_le(count("sessions"), 256);
    ck_assert_uint_gt(count("sessions"), 200);
    ck_assert_uint_gt(count("sessions_displaced"), 3000);
    ck_assert_uint_eq(count("drop_ct_full"), 0);
    made.protocol = IS_TCP;
    made.flags = IS_ACK;
    for (uint16_t i = 0; i < 50; i++) {
        made.from = (uint16_t)(100 + i);
        ask(&made);
        check_answered(true);
    }
}
END_TEST

START_TEST(two_networks_with_the_same_addresses)
{
    struct made made = { .to = 80, .payload = 30 };
    struct tunnel other = { .vni = 43 };
    BUILD(ROUTE, FORWARD);
    ask(&made);
    put_in(&other, inner, frame_make(inner, &made));
    came(1);
    ck_assert_uint_eq(count("drop_ct_conflict"), 1);
}
END_TEST

/* Sources that can be told apart where they go; each gets its own answer. */
START_TEST(other_sources)
{
    struct made made = { .v6 = _i & 1,
                         .protocol = _i & 2 ? IS_ICMP : IS_UDP,
                         .payload = 30 };
    BUILD(ROUTE EXACT "snat=192.0.2.70,192.0.2.71,2001:db8:70::1", "to=172.30.82.95",
          "to=2001:db8:9::1");
    made.from = 2000; /* may be kept */
    for (uint32_t i = 0; i < 20; i++) {
        struct tunnel tunnel = { .vni = 100 + i };
        uint32_t length = frame_make(inner, &made), back;
        put_in(&tunnel, inner, length);
        const struct packet *p = came(i + 1)[i];
        struct look look = frame_look(p->data, p->length);
        ck_assert_ptr_null(frame_problem(p->data, p->length));
        if (made.v6)
            ck_assert_mem_eq(p->data + 22, "\x20\x01\x0d\xb8\0\x70\0\0\0\0\0\0\0\0\0\x01",
                             16);
        else
            ck_assert_uint_eq(get32(p->data + 26) & ~1u, 0xc0000246);
        uint32_t port = get16(p->data + look.l4 + (_i & 2 ? 4 : 0));
        ck_assert(i ? port != 2000 : port == 2000);
        ck_assert_uint_ge(port, 1024);
        ck_assert(port < 32768 || port >= 61000);
        answer_last(0);
        const uint8_t *frame = uncovered(&back);
        frame_turn_round(inner, length);
        ck_assert_uint_eq(back, length);
        ck_assert_mem_eq(frame, inner, length);
        ck_assert_uint_eq(get32(frame - 4), (100 + i) << 8);
    }
    /* one source, one port, wherever it goes */
    made.to = 4000;
    struct tunnel tunnel = { .vni = 100 };
    put_in(&tunnel, inner, frame_make(inner, &made));
    const struct packet *p = came(21)[20];
    struct look look = frame_look(p->data, p->length);
    if (!(_i & 2))
        ck_assert_uint_eq(get16(p->data + look.l4), 2000);
}
END_TEST

/* All that is tried differs, is no port of hosts', and there is an end to it. */
START_TEST(sources_that_are_tried)
{
    struct vxlan_frame f = { .family = 4, .ports = 1, .protocol = IS_UDP };
    struct rewrite_target source;
    struct snat snat;
    struct error err;
    bool seen[65536] = { false };
    uint32_t n = 0;
    ck_assert_int_eq(snat_read(&snat, "192.0.2.70", NULL, &err), 0);
    for (f.sport = 80; snat_choose(&snat, &f, n, &source); n++) {
        ck_assert(!seen[source.port]);
        ck_assert((source.port >= 1024 && source.port < 32768) || source.port >= 61000);
        seen[source.port] = true;
    }
    ck_assert_uint_eq(n, 32);
    uint16_t before = source.port;
    ck_assert(snat_choose(&snat, &f, 31, &source) && source.port == before);
    snat.secret.a = 1; /* who does not know it cannot say */
    ck_assert(snat_choose(&snat, &f, 31, &source) && source.port != before);
    ck_assert_int_ne(snat_read(&snat, "192.0.2.0/24", NULL, &err), 0);
    ck_assert_int_ne(snat_read(&snat, "interface", NULL, &err), 0);
}
END_TEST

/* --- other parameters ----------------------------------------------------------------- */

START_TEST(parameters_that_change)
{
    struct made made = { .to = 80, .payload = 1000 };
    BUILD(ROUTE EXACT "udp_unanswered=120s", FORWARD);
    ask(&made);
    BUILD(ROUTE EXACT "udp_unanswered=10s mtu=900", FORWARD);
    ask(&made);
    came(1);
    ck_assert_uint_eq(count("drop_mtu"), 1);
    later(11 * S);
    check_answered(false);
    BUILD(ROUTE EXACT "udp_unanswered=10s", FORWARD);
    ask(&made);
    came(2);
}
END_TEST

/* What the tables are made for begins anew. */
START_TEST(another_mode)
{
    struct made made = { .to = 80, .payload = 30 };
    BUILD("mode=oneway allow=10.0.0.0/8 " EXACT, FORWARD);
    ask(&made);
    check_answered(false);
    BUILD(ROUTE EXACT, FORWARD);
    sent = answers = 0;
    for (uint16_t i = 1; i < 9; i++) {
        made.from = i;
        ask(&made);
    }
    check_answered(true);
    ck_assert_uint_eq(count("errors"), 0);
}
END_TEST

/* A SYN asks for segments that fit on the way back, its answer for such as fit there. */
START_TEST(segments_that_fit)
{
    struct made made = { .to = 80, .protocol = IS_TCP, .flags = IS_SYN, .payload = 4 };
    uint32_t length;
    BUILD(ROUTE EXACT "mtu=1400 tunnel_mtu=1500", FORWARD);
    uint32_t size = frame_make(inner, &made);
    struct look look = frame_look(inner, size);
    inner[look.l4 + 12] = 0x60; /* the payload is an option */
    patch(inner + look.l4 + 20, "020405b4");
    put16(inner + look.l4 + 16, 0);
    put16(inner + look.l4 + 16, ~transport_sum(inner, &look));
    put_in(&usual, inner, size);
    const struct packet *p = came(1)[0];
    ck_assert_ptr_null(frame_problem(p->data, p->length));
    ck_assert_uint_eq(get16(p->data + look.l4 + 22), 1360);
    memcpy(reply, p->data, p->length);
    patch(reply + look.l4 + 20, "020405b4");
    put16(reply + look.l4 + 16, 0);
    put16(reply + look.l4 + 16, ~transport_sum(reply, &look));
    frame_turn_round(reply, p->length);
    answer(reply, p->length);
    const uint8_t *frame = uncovered(&length);
    ck_assert_uint_eq(get16(frame + look.l4 + 22), 1360);
    ck_assert_ptr_null(frame_problem(frame, length));
}
END_TEST

START_TEST(what_a_mirror_cut_off)
{
    struct made made = { .to = 80, .payload = 300 };
    BUILD(ROUTE, FORWARD);
    frame_make(inner, &made);
    put_in(&usual, inner, 200);
    came(0);
    ck_assert_uint_eq(count("drop_cut_off"), 1);
}
END_TEST

static Suite *suite_vxlan_route(void)
{
    Suite *suite = suite_create("vxlan_route");
    TCase *tests = tcase_create("vxlan_route");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, answers_go_back);
    tcase_add_test(tests, to_the_other_end);
    tcase_add_test(tests, without_a_tunnel);
    tcase_add_test(tests, what_is_no_answer);
    tcase_add_test(tests, fragments_of_answers);
    tcase_add_test(tests, tunnels_move);
    tcase_add_test(tests, udp_ends);
    tcase_add_test(tests, tcp_ends);
    tcase_add_test(tests, others_end);
    tcase_add_test(tests, in_the_middle_of_a_connection);
    tcase_add_test(tests, a_full_table);
    tcase_add_test(tests, two_networks_with_the_same_addresses);
    tcase_add_loop_test(tests, other_sources, 0, 4);
    tcase_add_test(tests, parameters_that_change);
    tcase_add_test(tests, another_mode);
    tcase_add_test(tests, segments_that_fit);
    tcase_add_test(tests, what_a_mirror_cut_off);
    suite_add_tcase(suite, tests);
    TCase *sources = tcase_create("sources");
    tcase_add_test(sources, sources_that_are_tried);
    suite_add_tcase(suite, sources);
    return suite;
}
SUITE(vxlan_route)
