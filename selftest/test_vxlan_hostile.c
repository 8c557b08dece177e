/* VxlanNat met by packets that mean it ill: long headers, errors that are too long, forged tunnels, and
 * by parameters that change. */
#include "selftest/vxlan_tunnels.h"

#define ROUTE "mode=route allow=10.0.0.0/8,2001:db8::/32 "
#define S     1000000000ull
#define FAR   6144

static uint8_t big[70000], around[70000];

static void put_large(uint32_t length)
{
    struct error err;
    ck_assert_int_eq(packet_large_reserve(4, &err), 0);
    test_inject(engine, "in", packet_from_bytes(around, length));
    sent++;
    test_breathe(engine, 2);
}

/* Of IPv6 there are no fragments to be made. */
START_TEST(long_icmp6_error)
{
    struct made made = { .v6 = true, .to = 80, .payload = 30 };
    BUILD(ROUTE "mtu=1280 ttl=keep", "port=80 to=[2001:db8:9::1]:8000");
    put_in(&usual, inner, frame_make(inner, &made));
    came(1);
    uint8_t q[FRAME_MOST], *e = big;
    uint32_t n = frame_make(q, &made);
    frame_turn_round(q, n); /* the answer as the asker has it */
    uint32_t payload = 1500;
    frame_make(e, &made);
    e[20] = 58;
    put16(e + 18, 8 + payload);
    for (uint32_t i = 0; i < payload; i++)
        e[62 + i] = 0x03 + (i & 1) * 0x3c; /* types and lengths of options */
    memset(e + 54, 0, 8);
    e[54] = 1;
    memcpy(e + 62, q + 14, n - 14);
    struct look look = frame_look(e, 62 + payload);
    put16(e + 56, ~transport_sum(e, &look));
    put_in(&usual, e, 62 + payload);
    came(1);
    ck_assert_uint_eq(count("drop_mtu"), 1);
}
END_TEST

/* An IPv6 frame with three headers of options, 2,048 bytes each, in front of its UDP; its length. */
static uint32_t stretch(uint8_t *out, const uint8_t *frame, uint32_t length)
{
    uint8_t *options = out + 54;
    memcpy(out, frame, 54);
    memset(options, 0, FAR);
    for (int i = 0; i < 3; i++) {
        options[2048 * i] = i == 2 ? IS_UDP : 60;
        options[2048 * i + 1] = 255;
    }
    memcpy(options + FAR, frame + 54, length - 54);
    out[20] = 60;
    put16(out + 18, get16(out + 18) + FAR);
    return length + FAR;
}

/* What is to be rewritten is further behind than anybody looks: inside, and outside. */
START_TEST(far_headers)
{
    struct made six = { .v6 = true, .to = 80, .payload = 30 },
                four = { .to = 80, .payload = 30 };
    struct tunnel tunnel = { .v6 = true, .vni = 42 };
    BUILD("allow=10.0.0.0/8,2001:db8::/32", "to=172.30.82.95", "to=2001:db8:9::1");
    if (_i) {
        uint32_t length = frame_wrap(big, &tunnel, inner, frame_make(inner, &four));
        put_large(stretch(around, big, length));
    } else {
        uint32_t length = stretch(big, inner, frame_make(inner, &six));
        put_large(frame_wrap(around, &usual, big, length));
    }
    came(0);
    ck_assert_uint_eq(count("drop_in_ip_bad"), 1);
}
END_TEST

/* Nor is anything in it an option of IPv4. */
START_TEST(options_past_the_end)
{
    struct made made = { .v6 = true, .to = 80, .payload = 30 };
    BUILD(ROUTE "mtu=1500 ttl=keep", "port=80 to=[2001:db8:9::1]:8000");
    put_in(&usual, inner, frame_make(inner, &made));
    came(1);
    uint8_t q[FRAME_MOST], *e = big;
    uint32_t n = frame_make(q, &made);
    frame_turn_round(q, n);
    uint32_t payload = 1496 + 1494 - 48;
    frame_make(e, &made);
    e[20] = 58;
    put16(e + 18, 8 + payload);
    memset(e + 62, 1, payload);
    put16(e + 62 + payload - 2, 0x03ff); /* an option of 255 bytes */
    memset(e + 54, 0, 8);
    e[54] = 1;
    memcpy(e + 62, q + 14, n - 14);
    struct look look = frame_look(e, 62 + payload);
    put16(e + 56, ~transport_sum(e, &look));
    struct packet *guard[16];
    for (int i = 0; i < 16; i++) {
        guard[i] = packet_allocate();
        memset(guard[i]->chunk, 0xaa, arena.chunk_size);
    }
    for (int i = 0; i < 16; i += 2)
        packet_free(guard[i]); /* fragments lie between the others */
    put_large(frame_wrap(around, &usual, e, 62 + payload));
    int bad = 0;
    for (int i = 1; i < 16; i += 2) {
        for (uint32_t k = 0; k < arena.chunk_size; k++)
            bad += guard[i]->chunk[k] != 0xaa;
        packet_free(guard[i]);
    }
    ck_assert_int_eq(bad, 0);
}
END_TEST

static void turn(uint8_t *reply, size_t last)
{
    size_t found;
    struct packet **p = test_collected(engine, "out", &found);
    const struct packet *one = p[last < found ? last : found - 1];
    memcpy(reply, one->data, one->length);
    frame_turn_round(reply, one->length);
    answer(reply, one->length);
}

/* The tables of one mode are not those of another. */
START_TEST(mode_by_reload)
{
    uint8_t reply[FRAME_MOST];
    struct error err;
    BUILD("allow=10.0.0.0/8", "to=172.30.82.95");
    struct made made = { .to = 80, .payload = 30 };
    put_in(&usual, inner, frame_make(inner, &made));
    ck_assert_int_eq(build((const char *const[]){ "to=172.30.82.95", NULL }, ROUTE, &err),
                     0);
    size_t found;
    sent = answers = 0; /* the counters begin anew */
    for (int i = 0; i < 20; i++) {
        made.from = (uint16_t)(3000 + i);
        put_in(&usual, inner, frame_make(inner, &made));
    }
    test_collected(engine, "out", &found);
    turn(reply, 99);
    ck_assert_uint_eq(count("drop_ct_full"), 0);
}
END_TEST

/* A tunnel in which hardly anything fits. */
START_TEST(short_tunnel_mtu)
{
    struct error err;
    struct made made = { .to = 80, .payload = 30 };
    ck_assert_int_ne(build((const char *const[]){ "to=172.30.82.95", NULL },
                           ROUTE "tunnel_mtu=60", &err),
                     0);
    BUILD(ROUTE "tunnel_mtu=138 clamp_mss=false", "to=172.30.82.95");
    ck_assert_int_eq(packet_large_reserve(4, &err), 0);
    put_in(&usual, inner, frame_make(inner, &made));
    const struct packet *p = came(1)[0];
    memcpy(big, p->data, p->length);
    frame_turn_round(big, p->length);
    put16(big + 16, 9000);
    big[20] = 0;
    put16(big + 24, 0);
    put16(big + 24, ~naive_sum(big + 14, 20, 0));
    test_inject(engine, "answers", packet_from_bytes(big, 9014));
    answers++;
    test_breathe(engine, 2);
    size_t found;
    struct packet **r = test_collected(engine, "returned", &found);
    ck_assert_uint_gt(found, 100);
    for (size_t i = 0; i < found; i++)
        ck_assert_uint_le(r[i]->length, 138 + 14);
}
END_TEST

/* What is known of fragments outlives its session, and keeps its tunnel. */
START_TEST(fragments_by_a_number_of_before)
{
    struct error err;
    static uint8_t reply[FRAME_MOST], second[FRAME_MOST];
    struct made made = { .to = 80, .payload = 30 };
    struct tunnel other = { .vni = 43, .host = 99 };
    BUILD(ROUTE, "port=80 to=172.30.82.95:81");
    put_in(&usual, inner, frame_make(inner, &made));
    const struct packet *p = came(1)[0];
    uint32_t first = fragment(reply, 5, 0, 400, true);
    memcpy(reply + 26, p->data + 30, 4);
    memcpy(reply + 30, p->data + 26, 4);
    put16(reply + 34, 81);
    put16(reply + 36, get16(p->data + 34));
    put16(reply + 24, 0);
    put16(reply + 24, ~naive_sum(reply + 14, 20, 0));
    answer(reply, first);
    returned(1);
    /* its source may not pass any more; another tunnel comes */
    ck_assert_int_eq(build((const char *const[]){ "port=80 to=172.30.82.95:81", NULL },
                           "mode=route allow=10.0.0.9", &err),
                     0);
    test_breathe(engine, 2);
    engine_set_time(engine, engine_now(engine) + S / 10);
    test_breathe(engine, 2);
    engine_set_time(engine, engine_now(engine) + S / 10);
    test_breathe(engine, 2);
    made.host = 9;
    put_in(&other, inner, frame_make(inner, &made));
    uint32_t rest = fragment(second, 5, 400, 100, false);
    memcpy(second + 26, reply + 26, 8);
    put16(second + 24, 0);
    put16(second + 24, ~naive_sum(second + 14, 20, 0));
    answer(second, rest);
    size_t found;
    struct packet **r = test_collected(engine, "returned", &found);
    ck_assert_uint_eq(found, 2);
    ck_assert_mem_eq(r[0]->data + 30, r[1]->data + 30, 4); /* the same end */
}
END_TEST

/* What nobody answered makes way, wherever it lies. */
START_TEST(full_of_junk)
{
    BUILD(ROUTE "sessions=64", "to=172.30.82.95");
    struct made made = { .to = 80, .payload = 30 };
    for (int i = 0; i < 400; i++) {
        made.from = (uint16_t)(3000 + i);
        put_in(&usual, inner, frame_make(inner, &made));
    }
    ck_assert_uint_eq(count("drop_ct_full"), 0);
}
END_TEST

/* Who may not pass has no tunnel. */
START_TEST(tunnels_of_refused)
{
    BUILD("mode=route allow=10.0.0.1", "to=172.30.82.95");
    struct made made = { .to = 80, .payload = 30, .host = 66 };
    struct tunnel tunnel = { .vni = 42 };
    for (int i = 0; i < 1024; i++) {
        made.from = (uint16_t)(3000 + i);
        uint32_t n = frame_wrap(outer, &tunnel, inner, frame_make(inner, &made));
        put32(outer + 26, 0x0b000000 + (uint32_t)i);
        put16(outer + 24, 0);
        put16(outer + 24, ~naive_sum(outer + 14, 20, 0));
        test_inject_bytes(engine, "in", outer, n);
        sent++;
        test_breathe(engine, 2);
    }
    made.host = 1;
    put_in(&usual, inner, frame_make(inner, &made));
    ck_assert_uint_eq(count("drop_not_allowed"), 1024);
    came(1);
}
END_TEST

static Suite *suite_vxlan_hostile(void)
{
    Suite *suite = suite_create("vxlan_hostile");
    TCase *tests = tcase_create("vxlan_hostile");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, long_icmp6_error);
    tcase_add_test(tests, options_past_the_end);
    tcase_add_loop_test(tests, far_headers, 0, 2);
    tcase_add_test(tests, mode_by_reload);
    tcase_add_test(tests, short_tunnel_mtu);
    tcase_add_test(tests, fragments_by_a_number_of_before);
    tcase_add_test(tests, full_of_junk);
    tcase_add_test(tests, tunnels_of_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_hostile)
