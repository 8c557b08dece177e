/* VxlanNat and ICMP errors: those that others send about packets, and what is said of packets that get no
 * further. */
#include "selftest/vxlan_answers.h"

/* An ICMP error about a packet, from an address; returns its length. */
static uint32_t complain(uint8_t *out, const uint8_t *about, uint8_t type, uint8_t code,
                         uint32_t from, uint32_t quoted)
{
    memset(out, 0, FRAME_MOST);
    memcpy(out, about + 6, 6);
    memcpy(out + 6, about, 6);
    uint8_t *ip = out + 14, *icmp = ip + 20;
    put16(out + 12, 0x0800);
    ip[0] = 0x45;
    ip[8] = 64;
    ip[9] = IS_ICMP;
    put16(ip + 2, 28 + quoted);
    put32(ip + 12, from);
    memcpy(ip + 16, about + 26, 4);
    put16(ip + 10, ~naive_sum(ip, 20, 0));
    icmp[0] = type;
    icmp[1] = code;
    memcpy(icmp + 8, about + 14, quoted);
    put16(icmp + 2, ~naive_sum(icmp, 8 + quoted, 0));
    return 14 + 28 + quoted;
}

/* Port unreachable, TTL exceeded, fragmentation needed; with 8 and with 28 bytes of it. */
static const struct {
    uint8_t type, code;
    uint32_t quoted;
} errors[] = { { 3, 3, 28 }, { 11, 0, 28 }, { 3, 4, 28 }, { 3, 3, 48 } };

START_TEST(errors_come_back)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length;
    BUILD(ROUTE EXACT, FORWARD);
    ask(&made);
    const struct packet *p = came(1)[0];
    uint32_t target = get32(p->data + 30), router = 0xac1e5201;
    uint32_t from = errors[_i].type == 11 ? router : target;
    uint32_t size = complain(reply, p->data, errors[_i].type, errors[_i].code, from,
                             errors[_i].quoted);
    later(100 * S);
    answer(reply, size);
    const uint8_t *frame = uncovered(&length);
    ck_assert_uint_eq(length, size);
    ck_assert_ptr_null(frame_problem(frame, length));
    frame_make(inner, &made);
    ck_assert_mem_eq(frame + 30, inner + 26, 4); /* to who asked */
    if (from == router)
        ck_assert_uint_eq(get32(frame + 26), router);
    else
        ck_assert_mem_eq(frame + 26, inner + 30, 4);
    ck_assert_mem_eq(frame + 42 + 12, inner + 26, 8); /* about the packet as it was */
    ck_assert_mem_eq(frame + 42 + 20, inner + 34, 4);
    ck_assert_uint_eq(frame[34], errors[_i].type);
    ck_assert_uint_eq(naive_sum(frame + 42, 20, 0), 0xffff);
    later(21 * S); /* it has refreshed nothing */
    check_answered(false);
}
END_TEST

/* The one who asked complains about the answer. */
START_TEST(errors_go_on)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length;
    BUILD(ROUTE EXACT, FORWARD);
    ask(&made);
    answer_last(0);
    const uint8_t *frame = uncovered(&length);
    uint32_t size = complain(inner, frame, 3, 3, get32(frame + 30), 28);
    put_in(&usual, inner, size);
    const struct packet *p = came(2)[1];
    ck_assert_ptr_null(frame_problem(p->data, p->length));
    ck_assert_uint_eq(get32(p->data + 30), 0xac1e525f); /* 172.30.82.95 */
    ck_assert_mem_eq(p->data + 42 + 12, reply + 26, 8);
    ck_assert_mem_eq(p->data + 42 + 20, reply + 34, 4);
}
END_TEST

/* Nor does it tell of addresses that others are not to see (RFC 5508, 4.2). */
START_TEST(errors_get_other_sources)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length;
    BUILD(ROUTE EXACT "snat=192.0.2.70", FORWARD);
    ask(&made);
    answer_last(0);
    const uint8_t *frame = uncovered(&length);
    uint32_t size = complain(inner, frame, 11, 0, 0x0a0000fe, 28);
    put_in(&usual, inner, size);
    const struct packet *p = came(2)[1];
    ck_assert_ptr_null(frame_problem(p->data, p->length));
    ck_assert_uint_eq(get32(p->data + 26), 0xc0000246);
    ck_assert_mem_eq(p->data + 42 + 12, reply + 26, 8);
}
END_TEST

/* They are forwarded as well, and must not go round for ever. */
START_TEST(errors_take_a_hop)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length;
    BUILD(ROUTE, FORWARD);
    ask(&made);
    answer_last(0);
    const uint8_t *frame = uncovered(&length);
    uint32_t size = complain(inner, frame, 3, 3, get32(frame + 30), 28);
    for (int i = 0; i < 2; i++) { /* with the TTL of 64, and with 1 */
        put_in(&usual, inner, size);
        inner[22] = 1;
        put16(inner + 24, 0);
        put16(inner + 24, ~naive_sum(inner + 14, 20, 0));
    }
    const struct packet *p = came(2)[1];
    ck_assert_uint_eq(p->data[22], 63);
    ck_assert_ptr_null(frame_problem(p->data, p->length));
    ck_assert_uint_eq(count("drop_ttl_exceeded"), 1);
    size = complain(reply, came(2)[0]->data, 3, 3, get32(p->data + 30), 28);
    for (int i = 0; i < 2; i++) {
        answer(reply, size);
        reply[22] = 1;
        put16(reply + 24, 0);
        put16(reply + 24, ~naive_sum(reply + 14, 20, 0));
    }
    returned(2);
    frame = uncovered(&length);
    ck_assert_uint_eq(frame[22], 63);
    ck_assert_ptr_null(frame_problem(frame, length));
    ck_assert_uint_eq(count("drop_back_ttl"), 1);
    ck_assert_uint_eq(count("icmp_sent"), 0);
}
END_TEST

START_TEST(errors_about_nothing)
{
    struct made made = { .to = 80, .payload = 30 };
    BUILD(ROUTE, FORWARD);
    frame_make(inner, &made);
    uint32_t size = complain(reply, inner, 3, 3, 0x0a000009, 28);
    put_in(&usual, reply, size);
    answer(reply, size);
    reply[14 + 20 + 2] ^= 1;
    put_in(&usual, reply, size);
    answer(reply, size);
    ck_assert_uint_eq(count("drop_icmp_orphan"), 1);
    ck_assert_uint_eq(count("pass_back_other"), 1);
    ck_assert_uint_eq(count("drop_icmp_bad"), 1);
    ck_assert_uint_eq(count("drop_back_icmp_bad"), 1);
    came(0);
    returned(0);
}
END_TEST

/* Who sends what does not fit hears of it, by a packet that looks as if it came from who it was
 * sent to. */
START_TEST(too_long)
{
    struct made made = { .to = 80, .payload = 1000 };
    uint32_t length;
    BUILD(ROUTE "mtu=900", FORWARD);
    ask(&made);
    came(0);
    const uint8_t *frame = uncovered(&length);
    ck_assert_ptr_null(frame_problem(frame, length));
    ck_assert_mem_eq(frame, inner + 6, 6);
    ck_assert_mem_eq(frame + 26, inner + 30, 4);
    ck_assert_mem_eq(frame + 30, inner + 26, 4);
    ck_assert_uint_eq(get16(frame + 34), 0x0304);
    ck_assert_uint_eq(get16(frame + 40), 900);
    ck_assert_mem_eq(frame + 42, inner + 14, 28);
    ck_assert_uint_eq(count("drop_mtu"), 1);
    ck_assert_uint_eq(count("icmp_sent"), 1);
}
END_TEST

/* In the VLAN that it is in. */
START_TEST(too_long_with_tags)
{
    struct made made = { .to = 80, .tags = 2, .payload = 1000 };
    uint32_t length;
    BUILD(ROUTE "mtu=900 inner_vlan=keep", FORWARD);
    ask(&made);
    came(0);
    const uint8_t *frame = uncovered(&length);
    ck_assert_mem_eq(frame, inner + 6, 6);
    ck_assert_mem_eq(frame + 6, inner, 6);
    ck_assert_mem_eq(frame + 12, inner + 12, 10);
    ck_assert_ptr_null(frame_problem(frame, length));
    ck_assert_mem_eq(frame + 22 + 16, inner + 22 + 12, 4);
    ck_assert_uint_eq(get16(frame + 22 + 20), 0x0304);
}
END_TEST

START_TEST(answers_that_are_too_long)
{
    struct made made = { .to = 80, .payload = 1000 };
    BUILD(ROUTE "tunnel_mtu=900", FORWARD);
    ask(&made);
    answer_last(0);
    returned(0);
    const struct packet *p = came(2)[1];
    ck_assert_ptr_null(frame_problem(p->data, p->length));
    ck_assert_uint_eq(get16(p->data + 34), 0x0304);
    ck_assert_uint_eq(get16(p->data + 40), 900 - 50);
    ck_assert_mem_eq(p->data, reply + 6, 6);
    ck_assert_mem_eq(p->data + 30, reply + 26, 4);
    ck_assert_uint_eq(count("drop_back_mtu"), 1);
}
END_TEST

/* Nor does an error itself go where it does not fit. */
START_TEST(errors_that_are_too_long)
{
    struct made made = { .to = 80, .payload = 700 };
    BUILD(ROUTE "tunnel_mtu=760", FORWARD);
    ask(&made);
    const struct packet *p = came(1)[0];
    answer(reply, complain(reply, p->data, 3, 3, get32(p->data + 30), 700));
    returned(0);
    came(1); /* nobody is told of an error */
    ck_assert_uint_eq(count("drop_back_mtu"), 1);
}
END_TEST

START_TEST(too_many_hops)
{
    struct made made = { .to = 80, .payload = 30 };
    uint32_t length;
    BUILD(ROUTE, FORWARD);
    uint32_t size = frame_make(inner, &made);
    inner[14 + 8] = 1;
    put16(inner + 14 + 10, 0);
    put16(inner + 14 + 10, ~naive_sum(inner + 14, 20, 0));
    put_in(&usual, inner, size);
    came(0);
    ck_assert_uint_eq(uncovered(&length)[34], 11);
    ck_assert_uint_eq(count("drop_ttl_exceeded"), 1);
    for (int i = 0; i < 200; i++) /* not without limit */
        put_in(&usual, inner, size);
    ck_assert_uint_lt(how_many("returned"), 60);
}
END_TEST

static Suite *suite_vxlan_told(void)
{
    Suite *suite = suite_create("vxlan_told");
    TCase *tests = tcase_create("vxlan_told");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, errors_come_back, 0,
                        (int)(sizeof(errors) / sizeof(errors[0])));
    tcase_add_test(tests, errors_go_on);
    tcase_add_test(tests, errors_get_other_sources);
    tcase_add_test(tests, errors_take_a_hop);
    tcase_add_test(tests, errors_about_nothing);
    tcase_add_test(tests, too_long);
    tcase_add_test(tests, too_long_with_tags);
    tcase_add_test(tests, answers_that_are_too_long);
    tcase_add_test(tests, errors_that_are_too_long);
    tcase_add_test(tests, too_many_hops);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_told)
