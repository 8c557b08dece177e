/* test_nat_mappings: which port stands for whom, how long, and who may come in. */
#include "lib/random.h"
#include "selftest/nat_rig.h"
#include "selftest/selftest.h"

/* --- mappings ------------------------------------------------------------------------ */

START_TEST(endpoint_independent)
{
    struct made made = { .from = 5000, .to = 53 };
    uint32_t port = nat_port(nat_out(&made), true);
    made.to = 123;
    ck_assert_uint_eq(nat_port(nat_out(&made), true), port);
    made.from = 5001;
    ck_assert_uint_ne(nat_port(nat_out(&made), true), port);
    made.from = 5000;
    made.protocol = IS_TCP;
    nat_out(&made);
    ck_assert_uint_eq(nat_counter("mappings"), 3);
    made.host = 9;
    made.to = (uint16_t)port; /* nobody inside is reached by what others have */
    uint8_t frame[FRAME_MOST];
    ck_assert_ptr_null(nat_pass(false, frame, frame_make(frame, &made)));
    ck_assert_uint_eq(nat_counter("drop_no_mapping"), 1);
}
END_TEST

/* Packets to the same outside port may come from anybody, or not. */
START_TEST(filtering)
{
    static const char *const modes[] = { "endpoint-independent", "address-dependent",
                                         "address-and-port-dependent" };
    NAT_CONFIGURE("filtering", modes[_i]);
    struct made made = { .from = 5000 };
    const struct packet *out = nat_out(&made);
    ck_assert_ptr_nonnull(nat_answer(out));
    uint8_t frame[FRAME_MOST];
    uint32_t length = out->length;
    memcpy(frame, out->data, length);
    frame_turn_round(frame, length);
    struct look look = frame_look(frame, length);
    frame[look.l4] ^= 1; /* another port */
    ck_assert_int_eq(nat_pass(false, frame, length) != NULL, _i < 2);
    frame[look.l3 + 15] ^= 1; /* another address */
    ck_assert_int_eq(nat_pass(false, frame, length) != NULL, _i < 1);
    ck_assert_uint_eq(nat_counter("drop_filtered"), _i);
    struct made echo = { .protocol = IS_ICMP };
    ck_assert_ptr_nonnull(nat_answer(nat_out(&echo)));
}
END_TEST

START_TEST(timeout)
{
    NAT_CONFIGURE("udp_timeout", "10s", "refresh", _i ? "both" : "outbound");
    struct made made = { .from = 5000 };
    const struct packet *out = nat_out(&made);
    uint32_t port = nat_port(out, true);
    nat_sleep(9 * S);
    ck_assert_ptr_nonnull(nat_out(&made));
    nat_sleep(9 * S);
    ck_assert_ptr_nonnull(nat_answer(out));
    nat_sleep(1 * S);
    ck_assert_int_eq(nat_answer(out) != NULL, _i);
    nat_sleep(10 * S);
    ck_assert_ptr_null(nat_answer(out));
    ck_assert_uint_eq(nat_counter("expired"), 1);
    ck_assert_uint_eq(nat_counter("mappings"), 0);
    ck_assert_uint_ne(nat_port(nat_out(&made), true), port);
}
END_TEST

/* A connection that is established lives longer than one that begins or has ended. */
START_TEST(tcp)
{
    NAT_CONFIGURE("tcp_timeout", "100s", "tcp_transitory_timeout", "10s");
    struct made made = { .protocol = IS_TCP, .from = 5000, .flags = IS_SYN };
    const struct packet *out = nat_out(&made);
    nat_sleep(10 * S);
    ck_assert_ptr_null(nat_answer(out)); /* half open */
    out = nat_out(&made);
    ck_assert_ptr_nonnull(nat_answer(out));
    made.flags = IS_ACK;
    nat_out(&made);
    nat_sleep(99 * S);
    made.flags = _i ? IS_RST : IS_FIN | IS_ACK;
    out = nat_out(&made);
    nat_sleep(9 * S);
    ck_assert_ptr_nonnull(nat_answer(out)); /* a FIN, too */
    nat_sleep(_i ? 1 * S : 10 * S);
    ck_assert_ptr_null(nat_answer(out));
    ck_assert_uint_eq(nat_counter("expired"), 2);
}
END_TEST

/* --- rebinds ------------------------------------------------------------------------- */

START_TEST(rebinds)
{
    struct made made = { .from = 5000 };
    NAT_CONFIGURE("rebind_at", "5s", "rebind_period", "100s");
    const struct packet *old = nat_out(&made);
    nat_sleep(4999999999);
    ck_assert_ptr_nonnull(nat_answer(old));
    nat_sleep(1);
    ck_assert_ptr_null(nat_answer(old));
    const struct packet *new = nat_out(&made);
    ck_assert_uint_ne(nat_port(new, true), nat_port(old, true));
    ck_assert_ptr_nonnull(nat_answer(new));
    ck_assert_ptr_null(nat_answer(old));
    ck_assert_uint_eq(nat_counter("rebinds"), 1);
    ck_assert_uint_eq(nat_counter("drop_no_mapping"), 2);
    NAT_CONFIGURE("rebind_at", "5s", "rebind_period", "100s", "generation", "1");
    ck_assert_ptr_null(nat_answer(new));
    ck_assert_uint_eq(nat_counter("forgotten"), 2);
    nat_sleep(300 * S);
    test_breathe(nat_engine, 1);
    ck_assert_uint_eq(nat_counter("rebinds"), 5);
}
END_TEST

/* With two ports, and one of them another's, the only other one is taken, again and again. */
START_TEST(few_ports)
{
    struct made made = { .from = 5000 }, other = { .from = 6000 };
    char generation[8];
    NAT_CONFIGURE("ports", "7000-7001");
    uint32_t last = nat_port(nat_out(&made), true);
    for (int i = 1; i < 20; i++) {
        snprintf(generation, sizeof(generation), "%d", i);
        NAT_CONFIGURE("ports", "7000-7001", "generation", generation);
        uint32_t port = nat_port(nat_out(&made), true);
        ck_assert_uint_eq(port, 14001 - last);
        last = port;
    }
    ck_assert_ptr_nonnull(nat_out(&other));
    other.from = 6001;
    ck_assert_ptr_null(nat_out(&other));
    ck_assert_uint_eq(nat_counter("drop_no_port"), 1);
    ck_assert_uint_eq(nat_counter("mappings"), 2);
}
END_TEST

START_TEST(bounded)
{
    NAT_CONFIGURE("max_mappings", "100", "rebind_at", "1s");
    struct made made = { .payload = 1 };
    for (uint16_t i = 0; i < 150; i++) {
        made.from = (uint16_t)(5000 + i);
        ck_assert_int_eq(nat_out(&made) != NULL, i < 100);
    }
    ck_assert_uint_eq(nat_counter("drop_max_mappings"), 50);
    nat_sleep(1 * S); /* what is forgotten gives way */
    for (uint16_t i = 0; i < 100; i++) {
        made.from = (uint16_t)(8000 + i);
        ck_assert_ptr_nonnull(nat_out(&made));
    }
    ck_assert_uint_eq(nat_counter("mappings"), 100);
}
END_TEST

/* Any order of packets, timeouts and rebinds, beside a plain list of who has which port. */
START_TEST(random_order)
{
    enum { HOSTS = 200 };
    static struct packet *last[HOSTS];
    uint64_t used[HOSTS] = { 0 };
    struct random_key key = random_key(7, "nat", "test");
    NAT_CONFIGURE("udp_timeout", "20s", "rebind_period", "77s");
    uint64_t started = engine_now(nat_engine), epoch[HOSTS] = { 0 };
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t draw = random_draw(&key, i), host = draw % HOSTS;
        nat_sleep((draw >> 32) % (100 * S / 1000));
        uint64_t now = engine_now(nat_engine), period = (now - started) / (77 * S);
        bool mapped = last[host] && now - used[host] < 20 * S && epoch[host] == period;
        if (draw >> 20 & 1) {
            struct packet *in = last[host] ? nat_answer(last[host]) : NULL;
            if (in) /* the port may be another's by now */
                ck_assert_int_eq(nat_port(in, false) == 1000 + host, mapped);
            ck_assert(in || !mapped);
            continue;
        }
        struct made made = { .from = (uint16_t)(1000 + host) };
        struct packet *p = nat_out(&made);
        if (mapped)
            ck_assert_uint_eq(nat_port(p, true), nat_port(last[host], true));
        else if (last[host] && now - used[host] < 20 * S)
            ck_assert_uint_ne(nat_port(p, true), nat_port(last[host], true));
        last[host] = p;
        used[host] = now;
        epoch[host] = period;
    }
    ck_assert_uint_gt(nat_counter("expired"), 1000);
    ck_assert_uint_gt(nat_counter("forgotten"), 500);
}
END_TEST

static Suite *suite_nat_mappings(void)
{
    Suite *suite = suite_create("nat_mappings");
    TCase *tests = tcase_create("nat_mappings");
    tcase_add_checked_fixture(tests, nat_setup, nat_teardown);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, endpoint_independent);
    tcase_add_loop_test(tests, filtering, 0, 3);
    tcase_add_loop_test(tests, timeout, 0, 2);
    tcase_add_loop_test(tests, tcp, 0, 2);
    tcase_add_test(tests, rebinds);
    tcase_add_test(tests, few_ports);
    tcase_add_test(tests, bounded);
    tcase_add_test(tests, random_order);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(nat_mappings)
