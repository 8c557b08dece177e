/* VxlanNat in a graph: what comes out of tunnels, where to, and why the rest does not. */
#include "selftest/pieces.h"
#include "selftest/vxlan_tunnels.h"

START_TEST(inner_packets_get_their_destination)
{
    BUILD("vnis=42 df=keep allow=10.0.0.0/24", "proto=tcp port=8080 to=172.30.82.95:8081",
          "to=172.30.82.96");
    size_t n = 0;
    for (uint32_t payload = 0; payload < 1400; payload += 61)
        for (int tcp = 0; tcp < 2; tcp++) {
            struct made made = { .protocol = tcp ? IS_TCP : IS_UDP,
                                 .to = 8080,
                                 .payload = payload,
                                 .number = n };
            put_in(&usual, inner, frame_make(inner, &made));
            uint32_t length = tcp ? expect(&made, "172.30.82.95", 8081)
                                  : expect(&made, "172.30.82.96", 8080);
            struct packet *p = came(n + 1)[n];
            ck_assert_uint_eq(p->length, length);
            ck_assert_mem_eq(p->data, wanted, length);
            n++;
        }
    ck_assert_uint_eq(count("nat_applied"), n);
    ck_assert_uint_eq(count("df_cleared"), 0);
}
END_TEST

START_TEST(ipv6_inside_and_outside)
{
    struct tunnel tunnel = { .v6 = true, .vni = 7 };
    struct made made = { .v6 = true, .protocol = IS_TCP, .to = 80, .payload = 30 };
    BUILD("allow=2001:db8::/32", "port=80 to=[2001:db8:9::1]:8000");
    put_in(&tunnel, inner, frame_make(inner, &made));
    const struct packet *p = came(1)[0];
    ck_assert_ptr_null(frame_problem(p->data, p->length));
    ck_assert_mem_eq(p->data + 14 + 24, "\x20\x01\x0d\xb8\0\x09\0\0\0\0\0\0\0\0\0\x01",
                     16);
    ck_assert_uint_eq(get16(p->data + 54 + 2), 8000);
}
END_TEST

START_TEST(df_is_cleared_with_a_new_id)
{
    struct made made = { .payload = 30 };
    uint32_t ids[3];
    BUILD("allow=10.0.0.0/8 smac=02:00:00:00:00:aa dmac=02:00:00:00:00:bb",
          "to=172.30.82.95");
    for (int i = 0; i < 3; i++)
        put_in(&usual, inner, frame_make(inner, &made));
    struct packet **p = came(3);
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_null(frame_problem(p[i]->data, p[i]->length));
        ck_assert_uint_eq(get16(p[i]->data + 20), 0);
        ck_assert_mem_eq(p[i]->data, "\x02\0\0\0\0\xbb\x02\0\0\0\0\xaa", 12);
        ids[i] = get16(p[i]->data + 18);
    }
    ck_assert(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    ck_assert_uint_eq(count("df_cleared"), 3);
}
END_TEST

/* --- what does not ------------------------------------------------------------------- */

/* Bytes of the whole frame, counted from a place, and what is counted then. */
static const struct {
    const char *reason, *settings;
    int place; /* 0: the frame, 1: VXLAN header, 2: inner frame */
    int offset;
    const char *bytes; /* hex; NULL: cut off there */
    bool v6;
} wrongs[] = {
    { "drop_l2_short", "", 0, 13, NULL, false },
    { "pass_not_ip", "", 0, 12, "0806", false },
    { "pass_not_ip", "", 0, 12, "88cc", false },
    { "drop_ip_bad", "", 0, 14, "44", false },
    { "drop_ip_bad", "", 0, 14, "65", false },
    { "drop_ip_bad", "", 0, 16, "ffff", false },
    { "drop_ip_bad", "", 0, 33, NULL, false },
    { "pass_not_ours", "vteps=10.0.0.78", 0, 0, "02", false },
    { "pass_not_vxlan", "", 0, 23, "06", false },
    { "pass_not_vxlan", "", 0, 36, "12b6", false },
    { "pass_not_vxlan", "ports=8472,4790", 0, 0, "02", false },
    { "drop_outer_frag", "reassemble=false", 0, 20, "2000", false },
    { "drop_outer_frag", "reassemble=false", 0, 20, "0001", false },
    { "drop_outer_ttl", "", 0, 22, "00", false },
    { "drop_udp_len", "", 0, 38, "0007", false },
    { "drop_udp_len", "", 0, 38, "ffff", false },
    { "drop_udp_csum", "verify_csum=true", 0, 40, "1234", false },
    { "drop_udp6_zero", "", 0, 60, "0000", true },
    { "drop_vtep_denied", "peers=10.0.0.2/32,192.0.2.0/24", 0, 0, "02", false },
    { "drop_vx_short", "", 0, 38, "000f", false },
    { "drop_vx_noflag", "", 1, 0, "00", false },
    { "drop_vx_noflag", "", 1, 0, "f7", false },
    { "drop_vx_reserved", "strict=true", 1, 0, "88", false },
    { "drop_vx_reserved", "strict=true", 1, 3, "01", false },
    { "drop_vx_reserved", "strict=true", 1, 7, "01", false },
    { "drop_vx_vni", "vnis=41,43-50", 1, 0, "08", false },
    { "drop_in_short", "", 0, 38, "001e", false },
    { "drop_in_mac", "", 2, 6, "03", false },
    { "drop_in_mac", "", 2, 6, "000000000000", false },
    { "drop_in_vlan", "", 2, 12, "8100", false },
    { "drop_in_arp", "", 2, 12, "0806", false },
    { "drop_in_ethertype", "", 2, 12, "8847", false },
    { "drop_in_ip_bad", "", 2, 14, "44", false },
    { "drop_in_ip_bad", "", 2, 14, "4f00003b", false },
    { "drop_in_ip_bad", "", 2, 14, "65", false },
    { "drop_in_ip_bad", "", 2, 16, "0013", false },
    { "drop_in_ip_bad", "", 2, 20, "1fff", false }, /* ends past 65,535 bytes */
    { "drop_in_martian", "", 2, 26, "7f000001", false },
    { "drop_in_martian", "", 2, 26, "e0000001", false },
    { "drop_in_martian", "", 2, 26, "00000000", false },
    { "drop_in_loop", "vteps=10.0.0.77", 2, 0, "02", false },
    { "drop_not_allowed", "", 2, 26, "0b000001", false },
    { "drop_not_allowed", "match=dst", 2, 0, "02", false },
    { "drop_not_allowed", "match=both", 2, 0, "02", false },
    { "drop_ttl_exceeded", "", 2, 22, "00", false },
    { "drop_ttl_exceeded", "ttl=decrement", 2, 22, "01", false },
    { "drop_mtu", "mtu=68 df=keep", 2, 0, "02", false },
};

#define WRONGS (sizeof(wrongs) / sizeof(*wrongs))

START_TEST(every_reason)
{
    struct tunnel tunnel = { .v6 = wrongs[_i].v6, .vni = 42 };
    struct made made = { .payload = 48 };
    char settings[256];
    uint32_t header = tunnel.v6 ? 62 : 42;
    snprintf(settings, sizeof(settings), "allow=10.0.0.1/32 %s", wrongs[_i].settings);
    BUILD(settings, "to=172.30.82.95");
    uint32_t length = frame_wrap(outer, &tunnel, inner, frame_make(inner, &made));
    uint32_t at = (uint32_t)wrongs[_i].offset + (wrongs[_i].place == 1   ? header
                                                 : wrongs[_i].place == 2 ? header + 8
                                                                         : 0);
    if (wrongs[_i].bytes)
        patch(outer + at, wrongs[_i].bytes);
    else
        length = at;
    test_inject_bytes(engine, "in", outer, length);
    sent++;
    test_breathe(engine, 2);
    came(0);
    ck_assert_msg(count(wrongs[_i].reason) == 1, "%d: not %s", _i, wrongs[_i].reason);
}
END_TEST

/* What the kernel's vxlan devices, or a mirror, have no quarrel with either. */
START_TEST(what_is_accepted)
{
    static const struct {
        int offset;
        const char *bytes;
    } rows[] = { { 0, "02" },  { 34, "0000" },         { 42, "ff" }, { 43, "ffffff" },
                 { 49, "ff" }, { 50, "ffffffffffff" }, { 22, "01" }, { 15, "03" } };
    struct made made = { .payload = 40 };
    BUILD("allow=10.0.0.1/32 vnis=1-100 verify_csum=true", "to=172.30.82.95");
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uint32_t length = frame_wrap(outer, &usual, inner, frame_make(inner, &made));
        patch(outer + rows[i].offset, rows[i].bytes);
        test_inject_bytes(engine, "in", outer, length);
        sent++;
        test_breathe(engine, 2);
        came(i + 1);
    }
}
END_TEST

/* --- policies ------------------------------------------------------------------------ */

START_TEST(inner_tags)
{
    struct made made = { .payload = 40, .tags = 2 };
    BUILD(_i ? "allow=10.0.0.0/8 inner_vlan=strip" : "allow=10.0.0.0/8 inner_vlan=keep",
          "to=172.30.82.95");
    uint32_t length = frame_make(inner, &made);
    put_in(&usual, inner, length);
    const struct packet *p = came(1)[0];
    ck_assert_uint_eq(p->length, _i ? length - 8 : length);
    ck_assert_mem_eq(p->data, inner, 12);
    ck_assert_uint_eq(get16(p->data + 12), _i ? 0x0800 : 0x88a8);
    ck_assert_ptr_null(frame_problem(p->data, p->length));
}
END_TEST

START_TEST(without_a_rule)
{
    struct made udp = { .payload = 40, .to = 99 }, icmp = { .protocol = IS_ICMP };
    BUILD(_i ? "allow=10.0.0.0/8 forward_rest=true df=keep" : "allow=10.0.0.0/8",
          "port=98 to=172.30.82.95");
    uint32_t length = frame_make(inner, &udp);
    put_in(&usual, inner, length);
    if (_i) {
        ck_assert_mem_eq(came(1)[0]->data, inner, length);
        ck_assert_uint_eq(count("nat_applied"), 0);
        return;
    }
    put_in(&usual, inner, frame_make(inner, &icmp));
    came(0);
    ck_assert_uint_eq(count("drop_no_rule"), 1);
    ck_assert_uint_eq(count("drop_unsupported_l4"), 1);
}
END_TEST

/* A mirror that cuts frames off leaves their lengths as they were. */
START_TEST(truncated_packets_go_on)
{
    struct made made = { .protocol = IS_TCP, .payload = 1000, .to = 80 };
    BUILD("allow=10.0.0.0/8", "port=80 to=172.30.82.95:81", "to=172.30.82.96");
    uint32_t length = frame_make(inner, &made), n = 0;
    for (uint32_t there = 34; there < length; there += 33) {
        put_in(&usual, inner, there);
        const struct packet *p = came(n + 1)[n];
        ck_assert_uint_eq(p->length, there);
        ck_assert_uint_eq(get16(p->data + 16), length - 14);
        ck_assert_uint_eq(p->data[33],
                          there < 54 ? 96 : 95); /* no ports, no port's rule */
        n++;
    }
    ck_assert_uint_eq(count("in_trunc"), n);
}
END_TEST

/* --- fragments ----------------------------------------------------------------------- */

/* A piece of the outer packet. */
static void put_piece(uint32_t from, uint32_t end, bool more)
{
    uint8_t piece[FRAME_MOST];
    uint32_t header = get16(outer + 12) == 0x86dd ? 40 : 20;
    memcpy(piece, outer, 14);
    test_inject_bytes(engine, "in", piece,
                      14 +
                          piece_make(piece + 14, outer + 14, header, from, end, more, 7));
    sent++;
    test_breathe(engine, 2);
}

START_TEST(outer_packets_in_fragments)
{
    struct tunnel tunnel = { .v6 = _i & 1, .vni = 42 };
    struct made made = { .to = 80, .payload = _i & 2 ? 1950 : 900 };
    BUILD("allow=10.0.0.0/8 df=keep", "to=172.30.82.95");
    uint32_t whole = frame_wrap(outer, &tunnel, inner, frame_make(inner, &made));
    uint32_t payload = whole - 14 - (tunnel.v6 ? 40 : 20);
    put_piece(400, 800, true);
    came(0);
    put_piece(800, payload, false);
    put_piece(0, 400, true);
    uint32_t length = expect(&made, "172.30.82.95", 80);
    ck_assert_uint_eq(came(1)[0]->length, length);
    ck_assert_mem_eq(came(1)[0]->data, wanted, length);
    ck_assert_uint_eq(count("outer_merged"), 2);
    put_piece(0, 400, true); /* of one that is never whole */
    engine_set_time(engine, engine_now(engine) + 31000000000);
    test_breathe(engine, 2);
    ck_assert_uint_eq(count("drop_outer_frag"), 1);
    put_piece(0, 400, true);
    put_piece(392, 800, true); /* says something else about 8 bytes */
    outer[14 + 40 + 30] ^= 1;
    put_piece(0, 400, true);
    came(1);
    ck_assert_uint_gt(count("drop_outer_frag_bad"), 1);
}
END_TEST

/* Those that come before it wait, a moment and not many. */
START_TEST(fragments_follow_the_first)
{
    BUILD("allow=10.0.0.0/8", "port=80 to=172.30.82.95:81");
    put_in(&usual, inner, fragment(inner, 5, 800, 100, false));
    put_in(&usual, inner, fragment(inner, 6, 400, 400, true)); /* another packet's */
    came(0);
    put_in(&usual, inner, fragment(inner, 5, 0, 400, true));
    put_in(&usual, inner, fragment(inner, 5, 400, 400, true));
    struct packet **p = came(3);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(p[i]->data[33], 95);
        ck_assert_uint_eq(naive_sum(p[i]->data + 14, 20, 0), 0xffff);
    }
    ck_assert_uint_eq(get16(p[0]->data + 36), 81);
    ck_assert_uint_eq(get16(p[1]->data + 20), 100);
    ck_assert_uint_eq(count("drop_frag_early"), 0);
    engine_set_time(engine, engine_now(engine) + 15000000000ull);
    test_breathe(engine, 2);
    ck_assert_uint_eq(count("drop_frag_early"), 1);
    for (int i = 0; i < 5; i++) /* known no more; four may wait */
        put_in(&usual, inner, fragment(inner, 5, 400, 400, true));
    ck_assert_uint_eq(count("drop_frag_early"), 2);
    engine_set_time(engine, engine_now(engine) + 200000000);
    test_breathe(engine, 2);
    ck_assert_uint_eq(count("drop_frag_early"), 6);
    ck_assert_uint_eq(count("held"), 0);
}
END_TEST

/* What waits for a first one that is refused is, too. */
START_TEST(fragments_of_a_refused_packet)
{
    BUILD("allow=10.0.0.0/8", "port=81 to=172.30.82.95");
    put_in(&usual, inner, fragment(inner, 5, 800, 100, false));
    put_in(&usual, inner, fragment(inner, 5, 0, 400, true));
    put_in(&usual, inner, fragment(inner, 5, 400, 400, true));
    ck_assert_uint_eq(count("drop_no_rule"), 3);
}
END_TEST

START_TEST(long_packets_go_out_in_fragments)
{
    struct made made = { .payload = 1400 };
    static uint8_t whole[FRAME_MOST];
    BUILD("allow=10.0.0.0/8 mtu=576", "to=172.30.82.95");
    uint32_t length = frame_make(inner, &made), end = 0;
    put_in(&usual, inner, length);
    struct packet **p = came(3);
    for (int i = 0; i < 3; i++) {
        uint32_t at = (get16(p[i]->data + 20) & 0x1fff) * 8;
        ck_assert_uint_le(p[i]->length, 14 + 576);
        ck_assert_uint_eq(naive_sum(p[i]->data + 14, 20, 0), 0xffff);
        ck_assert_uint_eq(get16(p[i]->data + 18), get16(p[0]->data + 18));
        memcpy(whole + 34 + at, p[i]->data + 34, p[i]->length - 34);
        end = at + p[i]->length - 34;
    }
    ck_assert_uint_eq(end, length - 34);
    memcpy(whole, p[0]->data, 34);
    put16(whole + 16, length - 14);
    put16(whole + 20, 0);
    put16(whole + 24, 0);
    put16(whole + 24, ~naive_sum(whole + 14, 20, 0));
    ck_assert_ptr_null(frame_problem(whole, length));
    ck_assert_uint_eq(count("fragmented"), 1);
}
END_TEST

/* --- mistakes ------------------------------------------------------------------------ */

START_TEST(mistakes)
{
    static const struct {
        const char *settings, *rule, *complaint;
    } rows[] = {
        { "", "port=0 to=192.0.2.1", "rules[1]: port: \"0\"" },
        { "", "port=80-70 to=192.0.2.1", "port" },
        { "", "port=65536 to=192.0.2.1", "port" },
        { "", "to=192.0.2.1:80", "which one" },
        { "", "port=1-3 to=192.0.2.1:7-8", "one length" },
        { "", "to=192.0.2.1/24", "to: \"192.0.2.1/24\"" },
        { "", "to=[2001:db8::1", "to" },
        { "", "to=2001:db8::1:x", "to" },
        { "", "port=80", "to" },
        { "", "dst=2001:db8::/32 to=192.0.2.1", "two families" },
        { "", "colour=red to=192.0.2.1", "colour" },
        { "", "vni=16777216 to=192.0.2.1", "vni" },
        { "vnis=16777216", "to=192.0.2.1", "vnis" },
        { "vnis=5-4", "to=192.0.2.1", "vnis" },
        { "vnis=1,", "to=192.0.2.1", "vnis" },
        { "ports=0", "to=192.0.2.1", "ports" },
        { "ports=1-9", "to=192.0.2.1", "ports" },
        { "vteps=192.0.2.1/33", "to=192.0.2.1", "vteps" },
        { "allow=hello", "to=192.0.2.1", "allow" },
        { "smac=01:00:00:00:00:01", "to=192.0.2.1", "smac" },
        { "allow_file=/nowhere", "to=192.0.2.1", "/nowhere" },
        { "mtu=67", "to=192.0.2.1", "mtu" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct error err = { 0 };
        int error =
            build((const char *const[]){ rows[i].rule, NULL }, rows[i].settings, &err);
        ck_assert_msg(error && strstr(err.text, rows[i].complaint), "%s %s: %s",
                      rows[i].settings, rows[i].rule, err.text);
    }
    BUILD("", "to=192.0.2.1");
}
END_TEST

static Suite *suite_vxlan_nat(void)
{
    Suite *suite = suite_create("vxlan_nat");
    TCase *tests = tcase_create("vxlan_nat");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, inner_packets_get_their_destination);
    tcase_add_test(tests, ipv6_inside_and_outside);
    tcase_add_test(tests, df_is_cleared_with_a_new_id);
    tcase_add_loop_test(tests, every_reason, 0, WRONGS);
    tcase_add_test(tests, what_is_accepted);
    tcase_add_loop_test(tests, inner_tags, 0, 2);
    tcase_add_loop_test(tests, without_a_rule, 0, 2);
    tcase_add_test(tests, truncated_packets_go_on);
    tcase_add_loop_test(tests, outer_packets_in_fragments, 0, 4);
    tcase_add_test(tests, fragments_follow_the_first);
    tcase_add_test(tests, fragments_of_a_refused_packet);
    tcase_add_test(tests, long_packets_go_out_in_fragments);
    tcase_add_test(tests, mistakes);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_nat)
