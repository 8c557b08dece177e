/* VxlanNat and what odd hosts, hostile ones and other apps bring it. */
#include "selftest/private_network.h"
#include "selftest/vxlan_tunnels.h"

/* --- what travels beside a frame ------------------------------------------------------ */

static void put_in_packet(struct packet *p)
{
    test_inject(engine, "in", p);
    sent++;
    test_breathe(engine, 2);
}

/* Frames of jumbo interfaces come in large packets, and go out in ordinary ones. */
START_TEST(fragments_fit_their_packets)
{
    static uint8_t big[6000], around[7000];
    struct made made = { .payload = 40 };
    struct error err;
    BUILD("allow=10.0.0.0/8 mtu=3000", "to=172.30.82.95");
    ck_assert_int_eq(packet_large_reserve(4, &err), 0);
    frame_make(big, &made);
    put16(big + 16, 5000);
    put_in_packet(packet_from_bytes(around, frame_wrap(around, &usual, big, 5014)));
    size_t n;
    uint32_t payload = 0;
    struct packet **p = test_collected(engine, "out", &n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_le(p[i]->length, packet_capacity());
        payload += p[i]->length - 34;
    }
    ck_assert_uint_eq(payload, 4980);
}
END_TEST

START_TEST(nothing_of_the_outer_packet_stays)
{
    struct made made = { .payload = 40 };
    BUILD("allow=10.0.0.0/8", "to=172.30.82.95");
    struct packet *p = packet_from_bytes(
        outer, frame_wrap(outer, &usual, inner, frame_make(inner, &made)));
    p->flags = PACKET_VLAN | PACKET_CSUM_VALID;
    p->vlan_tci = 7;
    p->vlan_tpid = 0x8100;
    p->hash = 5;
    put_in_packet(p);
    ck_assert_uint_eq(came(1)[0]->flags, 0);
    ck_assert_uint_eq(came(1)[0]->hash, 0);
}
END_TEST

/* As RawSocket with offload = "csum" brings what the sender left to its interface. */
START_TEST(unfinished_checksums)
{
    struct made made = { .payload = 40, .to = 80 };
    BUILD("allow=10.0.0.0/8 df=keep", "port=80 to=172.30.82.95:81");
    uint32_t length = frame_make(inner, &made);
    uint8_t rest[4] = { 0, IS_UDP, 0, 48 };
    put16(inner + 40, naive_sum(rest, 4, naive_sum(inner + 26, 8, 0)));
    struct packet *p = packet_from_bytes(outer, frame_wrap(outer, &usual, inner, length));
    p->flags = PACKET_CSUM_PARTIAL;
    p->csum_start = 50 + 34;
    p->csum_offset = 6;
    put_in_packet(p);
    expect(&made, "172.30.82.95", 81);
    ck_assert_mem_eq(came(1)[0]->data, wanted, length);
}
END_TEST

/* A sender that leaves checksums to an interface which there is not: they are finished, or stay as wrong
 * as they are, and that is noticed. */
START_TEST(checksums_left_undone)
{
    static const char *const modes[] = { "auto", "incremental", "recompute" };
    char settings[64];
    snprintf(settings, sizeof(settings), "allow=10.0.0.0/8 df=keep checksum=%s",
             modes[_i]);
    BUILD(settings, "port=80 to=172.30.82.95:81");
    for (uint32_t i = 0; i < 9 * 1024; i++) {
        struct made made = { .protocol = i & 1 ? IS_TCP : IS_UDP,
                             .to = 80,
                             .payload = 30 };
        uint32_t length = frame_make(inner, &made);
        uint32_t sum = naive_sum(inner + 26, 8, (i & 1 ? 6 : 17) + length - 34);
        put16(inner + 34 + (i & 1 ? 16 : 6), sum);
        test_inject_bytes(engine, "in", outer, frame_wrap(outer, &usual, inner, length));
        sent++;
        if (i % 512)
            continue;
        test_breathe(engine, 2);
        size_t found;
        struct packet **p = test_collected(engine, "out", &found);
        const char *problem = frame_problem(p[found - 1]->data, p[found - 1]->length);
        if (_i == 1)
            ck_assert_str_eq(problem, "transport checksum");
        else
            ck_assert_ptr_null(problem);
    }
    test_breathe(engine, 2);
    ck_assert_uint_eq(count("csum_finished"), _i == 1 ? 0 : sent);
    ck_assert_uint_ge(count("csum_checked"), 8);
    ck_assert_uint_eq(count("csum_bad"), count("csum_checked"));
}
END_TEST

/* Routers of RFC 1191 send fragments with DF. */
START_TEST(fragments_keep_their_id)
{
    BUILD("allow=10.0.0.0/8", "to=172.30.82.95");
    for (int i = 0; i < 2; i++) {
        uint32_t length = fragment(inner, 5, 400 * (uint32_t)i, 400, !i);
        inner[20] |= 0x40;
        put_in(&usual, inner, length);
    }
    struct packet **p = came(2);
    ck_assert_uint_eq(get16(p[0]->data + 18), 5);
    ck_assert_uint_eq(get16(p[1]->data + 18), 5);
    ck_assert_uint_eq((p[0]->data[20] | p[1]->data[20]) & 0x40, 0);
}
END_TEST

/* Of packets that no flow is kept of: what others are sent to in between is nothing to them. */
START_TEST(fragments_keep_their_next_hop)
{
    struct made made = { .to = 80, .payload = 30 };
    if (!private_network())
        return;
    shell("ip link add b0 type veth peer name b1; ip link set b0 up; ip link set b1 up");
    shell("ip addr add 172.30.82.1/24 dev b0");
    shell("for i in 95 96; do ip neigh add 172.30.82.$i lladdr 02:00:00:00:00:$i dev b0; "
          "done");
    BUILD("allow=10.0.0.0/8 egress=b0", "dst=10.0.0.77 port=80 to=172.30.82.96",
          "dst=10.0.0.77 to=172.30.82.95");
    for (uint32_t offset = 0; offset < 1200; offset += 400) {
        uint32_t length = fragment(inner, 5, offset, 400, true);
        inner[23] = 47; /* GRE */
        put16(inner + 24, 0);
        put16(inner + 24, ~naive_sum(inner + 14, 20, 0));
        put_in(&usual, inner, length);
        for (int i = 0; i < 4; i++) { /* numbers of next hops are taken back */
            engine_set_time(engine, engine_now(engine) + 60000000);
            test_breathe(engine, 1);
        }
        made.from = (uint16_t)(1 + offset);
        put_in(&usual, inner, frame_make(inner, &made));
    }
    struct packet **p = came(6);
    for (int i = 0; i < 6; i++)
        ck_assert_uint_eq(p[i]->data[5], i & 1 ? 0x96 : 0x95);
}
END_TEST

/* IPv6 with these bytes behind its header, of which `size` are its payload. */
static uint32_t make6(uint8_t *out, uint8_t next, const char *hex, uint32_t size)
{
    struct made made = { .v6 = true };
    frame_make(out, &made);
    put16(out + 18, size);
    out[20] = next;
    patch(out + 54, hex);
    return 54 + (uint32_t)strlen(hex) / 2;
}

/* The next header of a fragment is that behind it; only the first has all of them. */
START_TEST(ipv6_fragments_follow_the_first)
{
    BUILD("allow=2001:db8::/32 inner_udp6_zero=true", "port=80 to=[2001:db8:9::1]:8000");
    put_in(&usual, inner,
           make6(inner, 44,
                 "3c00000100000007"  /* fragment, id 7 */
                 "1100010400000000"  /* destination options */
                 "1000005000180000", /* UDP */
                 24));
    put_in(&usual, inner,
           make6(inner, 44,
                 "3c00001000000007"
                 "0102030405060708",
                 16));
    struct packet **p = came(2);
    ck_assert_uint_eq(get16(p[0]->data + 72), 8000);
    ck_assert_uint_eq(get16(p[1]->data + 14 + 24 + 4), 9);
}
END_TEST

START_TEST(ipv6_without_a_checksum)
{
    struct made made = { .v6 = true, .payload = 30 };
    BUILD(_i ? "allow=2001:db8::/32 inner_udp6_zero=true" : "allow=2001:db8::/32",
          "to=2001:db8:9::1");
    uint32_t length = frame_make(inner, &made);
    put16(inner + 14 + 40 + 6, 0);
    put_in(&usual, inner, length);
    struct packet **p = came((size_t)_i);
    if (_i)
        ck_assert_uint_eq(get16(p[0]->data + 14 + 40 + 6), 0);
    ck_assert_uint_eq(count("drop_in_udp6_zero"), !_i);
}
END_TEST

START_TEST(headers_are_within_their_packet)
{
    BUILD("allow=2001:db8::/32 inner_udp6_zero=true", "to=2001:db8:9::1");
    put_in(&usual, inner,
           make6(inner, 60,
                 "1100010400000000"
                 "1000005000080000",
                 0));
    put_in(&usual, inner,
           make6(inner, 60,
                 "1100010400000000"
                 "1000005000080000",
                 16));
    came(1);
    ck_assert_uint_eq(count("drop_in_ip_bad"), 1);
}
END_TEST

/* IPv4 in disguise is not what people mean who allow an IPv4 prefix. */
START_TEST(addresses_in_disguise)
{
    struct made made = { .v6 = true };
    struct tunnel tunnel = { .v6 = _i >= 2, .vni = 42 };
    BUILD(_i == 0   ? "allow=10.0.0.0/8"
          : _i == 1 ? "allow=10.0.0.0/8 match=dst"
                    : "allow=2001:db8::/32 udp6_zero=true peers=10.0.0.0/8",
          "to=2001:db8:9::1");
    uint32_t length = frame_make(inner, &made);
    if (_i < 2)
        patch(inner + (_i ? 38 : 22), "00000000000000000000ffff0a000001");
    length = frame_wrap(outer, &tunnel, inner, length);
    if (_i == 2)
        patch(outer + 22, "00000000000000000000ffff0a000001");
    test_inject_bytes(engine, "in", outer, length);
    sent++;
    test_breathe(engine, 2);
    came(0);
    ck_assert_uint_eq(count(_i < 2 ? "drop_in_ip_bad" : "drop_ip_bad"), 1);
}
END_TEST

/* All or nothing of them is what went on. */
START_TEST(no_packet_for_a_fragment)
{
    static struct packet *held[1 << 17];
    struct made made = { .payload = 1400 };
    uint32_t n = 0;
    BUILD("allow=10.0.0.0/8 mtu=576", "to=172.30.82.95");
    struct packet *p = packet_from_bytes(
        outer, frame_wrap(outer, &usual, inner, frame_make(inner, &made)));
    while (n < 1 << 17 && (held[n] = packet_allocate()))
        n++;
    put_in_packet(p);
    while (n)
        packet_free(held[--n]);
    came(0);
    ck_assert_uint_eq(count("drop_no_packet"), 1);
    ck_assert_uint_eq(count("forwarded"), 0);
}
END_TEST

/* ... and an answer is not counted among what goes on. */
START_TEST(no_packet_for_a_fragment_back)
{
    static struct packet *held[1 << 17];
    struct made made = { .payload = 1400 };
    uint32_t n = 0;
    BUILD("mode=route allow=10.0.0.0/8 df=clear tunnel_mtu=626", "to=172.30.82.95");
    put_in(&usual, inner, frame_make(inner, &made));
    const struct packet *p = came(1)[0];
    memcpy(wanted, p->data, p->length);
    frame_turn_round(wanted, p->length);
    struct packet *back = packet_from_bytes(wanted, p->length);
    while (n < 1 << 17 && (held[n] = packet_allocate()))
        n++;
    link_transmit(app_input(engine_find_app(engine, "nat"), 1), back);
    answers++;
    engine_find_app(engine, "nat")->class->push(engine_find_app(engine, "nat"));
    while (n)
        packet_free(held[--n]);
    ck_assert_uint_eq(count("drop_back_no_output"), 1);
    ck_assert_uint_eq(count("drop_no_packet"), 0);
}
END_TEST

/* Addresses are in the checksums of protocols whose ports stay as they are. */
START_TEST(other_checksums)
{
    static const uint8_t protocols[] = { 136, 33 }; /* UDP-Lite (RFC 3828), DCCP (4340) */
    struct made made = { .v6 = _i & 1, .payload = 31 };
    BUILD("allow=10.0.0.0/8,2001:db8::/32", "to=172.30.82.95", "to=2001:db8:9::1");
    uint32_t length = frame_make(inner, &made);
    inner[made.v6 ? 20 : 23] = protocols[_i / 2];
    struct look look = frame_look(inner, length);
    put16(inner + look.l4 + 6, 0);
    put16(inner + look.l4 + 6, ~transport_sum(inner, &look));
    if (!made.v6) {
        put16(inner + 24, 0);
        put16(inner + 24, ~naive_sum(inner + 14, 20, 0));
    }
    put_in(&usual, inner, length);
    const struct packet *p = came(1)[0];
    ck_assert_ptr_null(frame_problem(p->data, p->length));
}
END_TEST

/* A super-frame that is wrongly described ends somewhere too. */
START_TEST(bad_super_frames_are_counted)
{
    struct made made = { .payload = 1400 };
    struct error err;
    BUILD("allow=10.0.0.0/8", "to=172.30.82.95");
    ck_assert_int_eq(packet_large_reserve(4, &err), 0);
    struct packet *p = packet_from_bytes(
        outer, frame_wrap(outer, &usual, inner, frame_make(inner, &made)));
    p->gso_type = 1; /* of TCP, which it is not */
    p->gso_size = 500;
    put_in_packet(p);
    came(0);
    ck_assert_uint_eq(count("drop_offload"), 1);
}
END_TEST

static Suite *suite_vxlan_odd(void)
{
    Suite *suite = suite_create("vxlan_odd");
    TCase *tests = tcase_create("vxlan_odd");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, fragments_fit_their_packets);
    tcase_add_test(tests, nothing_of_the_outer_packet_stays);
    tcase_add_test(tests, unfinished_checksums);
    tcase_add_test(tests, no_packet_for_a_fragment);
    tcase_add_test(tests, no_packet_for_a_fragment_back);
    tcase_add_loop_test(tests, other_checksums, 0, 4);
    tcase_add_test(tests, bad_super_frames_are_counted);
    tcase_add_loop_test(tests, checksums_left_undone, 0, 3);
    tcase_add_test(tests, fragments_keep_their_id);
    tcase_add_test(tests, fragments_keep_their_next_hop);
    tcase_add_test(tests, ipv6_fragments_follow_the_first);
    tcase_add_loop_test(tests, ipv6_without_a_checksum, 0, 2);
    tcase_add_test(tests, headers_are_within_their_packet);
    tcase_add_loop_test(tests, addresses_in_disguise, 0, 3);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_odd)
