/* VxlanNat with many sources, many sessions, and what mirrors cut off. */
#include "selftest/vxlan_tunnels.h"

#define S 1000000000ull

static struct app *app;

static void find_app(void)
{
    app = engine_find_app(engine, "nat");
}

/* A frame through the app alone, for many: its length, of which what there is room for is at `to`. */
static uint32_t through(struct link *input, struct link *output, const uint8_t *frame,
                        uint32_t length, uint8_t *to, uint32_t room)
{
    uint32_t made = 0;
    struct packet *p = packet_from_bytes(frame, length);
    ck_assert_ptr_nonnull(p);
    link_transmit(input, p);
    app->class->push(app);
    while (!link_empty(output)) {
        p = link_receive(output);
        made = p->length;
        memcpy(to, p->data, made < room ? made : room);
        packet_free(p);
    }
    return made;
}

static uint32_t ask(const uint8_t *frame, uint32_t length, uint8_t *to, uint32_t room)
{
    sent++;
    return through(app_input(app, 0), app_output(app, 0), frame, length, to, room);
}

static uint32_t ask_for(const struct made *made)
{
    return ask(outer, frame_wrap(outer, &usual, inner, frame_make(inner, made)), wanted,
               sizeof(wanted));
}

/* What came out last is answered; whether that goes back. */
static bool reply(uint8_t flags)
{
    static uint8_t answer[FRAME_MOST], back[FRAME_MOST];
    uint32_t length = 14 + get16(wanted + 16);
    memcpy(answer, wanted, length);
    frame_turn_round(answer, length);
    struct look look = frame_look(answer, length);
    if (look.protocol == IS_TCP) {
        answer[look.l4 + 13] = flags;
        put16(answer + look.l4 + 16, 0);
        put16(answer + look.l4 + 16, ~transport_sum(answer, &look));
    }
    answers++;
    return through(app_input(app, 1), app_output(app, 1), answer, length, back,
                   sizeof(back));
}

static void later(uint64_t ns)
{
    engine_set_time(engine, engine_now(engine) + ns);
    test_breathe(engine, 2);
}

/* --- groups --------------------------------------------------------------------------- */

#define SOURCES 100000

static struct value member(const char *to, int64_t weight)
{
    struct value table = value_table();
    value_table_add(&table, "to", value_string(to));
    value_table_add(&table, "weight", value_integer(weight));
    return table;
}

/* Each source gets one member for all its packets, by weight. */
START_TEST(sources_share_a_group)
{
    struct made made = { .to = 80, .payload = 20 };
    struct value list = value_table(), rule = value_table(), group = value_table();
    struct error err;
    uint32_t shares[3] = { 0 };
    value_table_add(&group, NULL, member("172.30.82.1:81", 1));
    value_table_add(&group, NULL, member("172.30.82.2:82", 2));
    value_table_add(&group, NULL, member("172.30.82.3:83", 1));
    value_table_add(&rule, "port", value_string("80"));
    value_table_add(&rule, "to", group);
    value_table_add(&list, NULL, rule);
    ck_assert_msg(!build_of(list, "allow=10.0.0.0/8", &err), "%s", err.text);
    find_app();
    for (uint32_t i = 0; i < SOURCES; i++) {
        uint32_t length = frame_wrap(outer, &usual, inner, frame_make(inner, &made));
        put32(outer + 50 + 26, 0x0a000000 | (i + 256));
        put16(outer + 50 + 40, 0);
        ck_assert_uint_gt(ask(outer, length, wanted, sizeof(wanted)), 0);
        uint32_t which = wanted[33];
        ck_assert_uint_eq(get16(wanted + 36), 80 + which);
        shares[which - 1]++;
        if (i % 64 == 0) { /* another packet of it, another flow */
            put16(outer + 50 + 34, 7);
            ask(outer, length, wanted, sizeof(wanted));
            ck_assert_uint_eq(wanted[33], which);
        }
    }
    ck_assert_double_eq_tol((double)shares[0] / SOURCES, 0.25, 0.25 * 0.02);
    ck_assert_double_eq_tol((double)shares[1] / SOURCES, 0.5, 0.5 * 0.02);
    ck_assert_double_eq_tol((double)shares[2] / SOURCES, 0.25, 0.25 * 0.02);
}
END_TEST

/* --- sessions ------------------------------------------------------------------------- */

#define ROUTE "mode=route allow=10.0.0.0/8 ttl=keep df=keep "

static void open_tcp(struct made *made)
{
    made->protocol = IS_TCP;
    made->flags = IS_SYN;
    ask_for(made);
    ck_assert(reply(IS_SYN | IS_ACK));
    made->flags = IS_ACK;
    ask_for(made);
}

/* What begins a session of each kind, and how long it lasts: a sixtieth of what is usual. */
static void begin(int kind, uint16_t from)
{
    struct made made = { .to = 80, .from = from, .payload = 20 };
    switch (kind) {
    case 0:
        open_tcp(&made);
        break;
    case 1:
        made.protocol = IS_TCP;
        made.flags = IS_SYN;
        ask_for(&made);
        break;
    case 2:
        ask_for(&made);
        reply(0);
        break;
    case 3:
        ask_for(&made);
        break;
    default:
        made.protocol = IS_ICMP;
        ask_for(&made);
        break;
    }
}

static const uint64_t lasts[] = { 124 * S, 4 * S, 5 * S, 2 * S, 1 * S };

START_TEST(timers)
{
    BUILD(ROUTE
          "tcp_established=124s tcp_transitory=4s udp_answered=5s udp_unanswered=2s "
          "icmp=1s",
          "to=172.30.82.95");
    find_app();
    begin(_i, 1000);
    later(lasts[_i] * 9 / 10);
    ck_assert(reply(IS_ACK));
    begin(_i, 1001);
    later(lasts[_i] * 11 / 10);
    ck_assert(!reply(IS_ACK));
    later(125 * S);
    ck_assert_uint_eq(count("sessions"), 0);
}
END_TEST

#define OPEN   100
#define FORGED 10000

START_TEST(forged_sources)
{
    static uint8_t open[OPEN][FRAME_MOST];
    struct made made = { .to = 80 };
    BUILD(ROUTE "sessions=1024", "port=80 to=172.30.82.95:81");
    find_app();
    for (uint16_t i = 0; i < OPEN; i++) {
        made.from = (uint16_t)(100 + i);
        open_tcp(&made);
        memcpy(open[i], wanted, sizeof(open[i]));
    }
    made.protocol = IS_UDP;
    uint32_t length = frame_wrap(outer, &usual, inner, frame_make(inner, &made));
    uint32_t in_use = arena_in_use();
    for (uint32_t i = 0; i < FORGED; i++) {
        put32(outer + 50 + 26, 0x0a010000 + i * 7);
        ask(outer, length, wanted, sizeof(wanted));
        if (i % 64 == 0)
            later(S / 1000);
    }
    ck_assert_uint_eq(arena_in_use(), in_use);
    later(S / 10);
    ck_assert_uint_le(count("sessions"), 1024);
    ck_assert_uint_gt(count("sessions_displaced"),
                      FORGED - 1024 - count("drop_ct_full") - 1);
    for (uint16_t i = 0; i < OPEN; i++) {
        memcpy(wanted, open[i], sizeof(open[i]));
        ck_assert_msg(reply(IS_ACK), "connection %d is gone", i);
    }
}
END_TEST

/* --- mirrors ---------------------------------------------------------------------------- */

#define JUMBO 9000
#define SNAPS 40

static uint8_t jumbo[JUMBO + 64], around[JUMBO + 256], whole[JUMBO + 64],
    part[JUMBO + 64];

/* What is there of a packet that a mirror cut off gets what the whole one would have got; each of a
 * network of its own, out of order. */
START_TEST(what_mirrors_cut_off)
{
    static const uint8_t protocols[] = { IS_UDP, IS_TCP, IS_ICMP };
    struct error err;
    BUILD("allow=10.0.0.0/8,2001:db8::/32 df=keep", "port=80 to=172.30.82.95:81",
          "port=80 to=[2001:db8:9::1]:8000", "to=172.30.82.96", "to=2001:db8:9::2");
    find_app();
    ck_assert_int_eq(packet_large_reserve(4, &err), 0);
    for (uint32_t i = 0; i < SNAPS * 6; i++) {
        uint32_t n = i * 97 % (SNAPS * 6), snap = 64 + n * 1336 / (SNAPS * 6 - 1);
        struct made made = { .v6 = n & 1, .protocol = protocols[n / 2 % 3], .to = 80 };
        uint32_t headers = 14 + (made.v6 ? 40 : 20) + (made.protocol == IS_TCP ? 20 : 8);
        struct tunnel tunnel = { .v6 = n / 6 & 1, .vni = n };
        made.payload = (n * 331 % 2 ? 1400 + n * 31 : JUMBO) - headers;
        uint32_t length = frame_make(jumbo, &made);
        if (snap < headers)
            continue; /* there the ports may lack */
        uint32_t out =
            ask(around, frame_wrap(around, &tunnel, jumbo, length), whole, sizeof(whole));
        ck_assert_uint_eq(out, length);
        ck_assert_ptr_null(frame_problem(whole, out));
        out = ask(around, frame_wrap(around, &tunnel, jumbo, snap), part, sizeof(part));
        ck_assert_uint_eq(out, snap);
        ck_assert_mem_eq(part, whole, snap);
        ck_assert_uint_eq(count("in_trunc") > 0, 1);
    }
    ck_assert_uint_eq(2 * count("in_trunc"), sent);
}
END_TEST

static Suite *suite_vxlan_many(void)
{
    Suite *suite = suite_create("vxlan_many");
    TCase *tests = tcase_create("vxlan_many");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, sources_share_a_group);
    tcase_add_loop_test(tests, timers, 0, 5);
    tcase_add_test(tests, forged_sources);
    tcase_add_test(tests, what_mirrors_cut_off);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_many)
