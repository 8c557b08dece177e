/* VxlanNat and damaged tunnels: what becomes of each kind of damage, by the app and by its XDP program,
 * in tunnels over IPv4 and IPv6. The flow of the frame as it was is known to both. */
#include "selftest/vxlan_fast_rig.h"

enum place { FRAME, UDP, VXLAN, INNER, IP, L4 };

/* What lies where, of the frame in `outer`. */
static uint32_t at[L4 + 1];
static bool v6;
static uint32_t length;

#define RULES "port=80 to=172.30.82.95:81", "port=80 to=[2001:db8:9::1]:8000"

static void make_inner(const struct made *made)
{
    struct tunnel tunnel = { .v6 = v6, .vni = 42 };
    uint32_t size = frame_make(inner, made);
    struct look look = frame_look(inner, size);
    length = frame_wrap(outer, &tunnel, inner, size);
    at[UDP] = v6 ? 54 : 34;
    at[VXLAN] = at[UDP] + 8;
    at[INNER] = at[VXLAN] + 8;
    at[IP] = at[INNER] + look.l3;
    at[L4] = at[INNER] + look.l4;
}

static const struct made usual_frame = { .to = 80, .payload = 80 };

/* Lengths and the checksum of IP around so many bytes of UDP; of UDP too unless it says otherwise. */
static void set_size(uint32_t size, bool of_udp)
{
    length = at[UDP] + size;
    if (of_udp)
        put16(outer + at[UDP] + 4, size);
    put16(outer + (v6 ? 18 : 16), v6 ? size : 20 + size);
    if (v6)
        return;
    put16(outer + 24, 0);
    put16(outer + 24, ~naive_sum(outer + 14, 20, 0));
}

static void set_checksum(void)
{
    struct look look = frame_look(outer, length);
    put16(outer + at[UDP] + 6, 0);
    uint32_t sum = ~transport_sum(outer, &look) & 0xffff;
    put16(outer + at[UDP] + 6, sum ? sum : 0xffff);
}

/* reason: NULL, it goes on. */
static void expect_reason(const char *what, const char *reason)
{
    int verdict;
    uint64_t before = reason ? count(reason) : 0;
    int went = compare(outer, length, &verdict);
    const char *over = v6 ? "IPv6" : "IPv4";
    ck_assert_msg(went == !reason, "%s over %s: %d came out", what, over, went);
    ck_assert_msg(!reason || count(reason) == before + 1, "%s over %s: not %s", what,
                  over, reason);
}

/* The flow of the usual frame is known from now on. */
#define CORPUS(SETTINGS, ...)                                                            \
    FAST("df=keep udp6_zero=true " SETTINGS, __VA_ARGS__);                               \
    v6 = _i;                                                                             \
    make_inner(&usual_frame);                                                            \
    expect_reason("the usual frame", NULL)

/* --- single bytes ----------------------------------------------------------------------- */

static const struct {
    const char *what;
    struct made made;
    enum place place;
    int offset;
    const char *hex;
    const char *reason, *strict; /* NULL: it goes on; strict: with that */
} rows[] = {
    { "I flag 0", { 0 }, VXLAN, 0, "00", "drop_vx_noflag", "drop_vx_noflag" },
    { "all flags but I", { 0 }, VXLAN, 0, "f7", "drop_vx_noflag", "drop_vx_noflag" },
    { "GBP", { 0 }, VXLAN, 0, "88000007", NULL, "drop_vx_reserved" },
    { "GPE", { 0 }, VXLAN, 0, "0c000003", NULL, "drop_vx_reserved" },
    { "port of GPE", { 0 }, UDP, 2, "12b6", "pass_not_vxlan", "pass_not_vxlan" },
    { "port of Geneve", { 0 }, UDP, 2, "17c1", "pass_not_vxlan", "pass_not_vxlan" },
    { "VNI 0", { 0 }, VXLAN, 4, "000000", "drop_vx_vni", "drop_vx_vni" },
    { "VNI 0xffffff", { 0 }, VXLAN, 4, "ffffff", "drop_vx_vni", "drop_vx_vni" },
    { "VNI 43", { 0 }, VXLAN, 4, "00002b", "drop_vx_vni", "drop_vx_vni" },
    { "source port 0", { 0 }, UDP, 0, "0000", NULL, NULL },
    { "UDP length 0", { 0 }, UDP, 4, "0000", "drop_udp_len", "drop_udp_len" },
    { "UDP length 7", { 0 }, UDP, 4, "0007", "drop_udp_len", "drop_udp_len" },
    { "UDP length 8", { 0 }, UDP, 4, "0008", "drop_vx_short", "drop_vx_short" },
    { "UDP length 15", { 0 }, UDP, 4, "000f", "drop_vx_short", "drop_vx_short" },
    { "UDP length 16", { 0 }, UDP, 4, "0010", "drop_in_short", "drop_in_short" },
    { "UDP length 29", { 0 }, UDP, 4, "001d", "drop_in_short", "drop_in_short" },
    { "UDP length 30", { 0 }, UDP, 4, "001e", "drop_in_short", "drop_in_short" },
    { "UDP length 65535", { 0 }, UDP, 4, "ffff", "drop_udp_len", "drop_udp_len" },
    { "inner ARP", { 0 }, INNER, 12, "0806", "drop_in_arp", "drop_in_arp" },
    { "inner LLDP", { 0 }, INNER, 12, "88cc", "drop_in_ethertype", "drop_in_ethertype" },
    { "inner MPLS", { 0 }, INNER, 12, "8847", "drop_in_ethertype", "drop_in_ethertype" },
    { "one tag",
      { .to = 80, .tags = 1 },
      INNER,
      0,
      "02",
      "drop_in_vlan",
      "drop_in_vlan" },
    { "3 tags", { .to = 80, .tags = 3 }, INNER, 0, "02", "drop_in_vlan", "drop_in_vlan" },
    { "IHL 15", { .to = 80, .options = 10 }, INNER, 0, "02", NULL, NULL },
    { "IHL 4", { 0 }, IP, 0, "44", "drop_in_ip_bad", "drop_in_ip_bad" },
    { "IP version 6 in type of 4",
      { 0 },
      IP,
      0,
      "60",
      "drop_in_ip_bad",
      "drop_in_ip_bad" },
    { "inner length 1 more", { 0 }, IP, 2, "006d", NULL, NULL },
    { "inner length 1000 more", { 0 }, IP, 2, "0454", NULL, NULL },
    { "inner length 1 less", { 0 }, IP, 2, "006b", NULL, NULL },
    { "inner length 20", { 0 }, IP, 2, "0014", "drop_in_l4_short", "drop_in_l4_short" },
    { "inner UDP length 0", { 0 }, L4, 4, "0000", NULL, NULL },
    { "inner UDP length 65535", { 0 }, L4, 4, "ffff", NULL, NULL },
    { "TCP doff 15", { .to = 80, .protocol = IS_TCP }, L4, 12, "f0", NULL, NULL },
    { "TCP doff 0", { .to = 80, .protocol = IS_TCP }, L4, 12, "00", NULL, NULL },
    { "ICMP error, 8 bytes",
      { .protocol = IS_ICMP, .type = 3, .payload = 8 },
      L4,
      1,
      "03",
      "drop_unsupported_l4",
      "drop_unsupported_l4" },
    { "ICMP error, nothing",
      { .protocol = IS_ICMP, .type = 3 },
      L4,
      1,
      "03",
      "drop_unsupported_l4",
      "drop_unsupported_l4" },
    { "from the target", { 0 }, IP, 12, "0a00005f", NULL, NULL },
    { "from a group", { 0 }, IP, 12, "e0000001", "drop_in_martian", "drop_in_martian" },
    { "a first fragment", { 0 }, IP, 6, "2000", NULL, NULL },
    { "past the longest packet",
      { 0 },
      IP,
      6,
      "1fff",
      "drop_in_ip_bad",
      "drop_in_ip_bad" },
    { "TTL 0", { 0 }, IP, 8, "00", "drop_ttl_exceeded", "drop_ttl_exceeded" },
    { "neighbour discovery",
      { .v6 = true, .protocol = IS_ICMP, .type = 135, .payload = 16 },
      INNER,
      0,
      "02",
      "drop_unsupported_l4",
      "drop_unsupported_l4" },
    { "from nobody",
      { .v6 = true, .to = 80 },
      IP,
      8,
      "00000000000000000000000000000000",
      "drop_in_martian",
      "drop_in_martian" },
    { "no next header",
      { .v6 = true, .to = 80 },
      IP,
      6,
      "3b",
      "drop_unsupported_l4",
      "drop_unsupported_l4" },
    { "endless options",
      { .v6 = true, .to = 80, .payload = 32 },
      IP,
      6,
      "3c",
      "drop_in_ip_bad",
      "drop_in_ip_bad" },
};

#define ROWS (int)(sizeof(rows) / sizeof(*rows))

static void try_rows(bool strict)
{
    for (int i = 0; i < ROWS; i++) {
        const struct made *made =
            rows[i].made.to || rows[i].made.protocol || rows[i].made.v6 ? &rows[i].made
                                                                        : &usual_frame;
        make_inner(made);
        patch(outer + at[rows[i].place] + rows[i].offset, rows[i].hex);
        if (v6)
            put16(outer + at[UDP] + 6, 0);
        expect_reason(rows[i].what, strict ? rows[i].strict : rows[i].reason);
    }
}

START_TEST(every_row)
{
    CORPUS("vnis=42", RULES);
    try_rows(false);
}
END_TEST

START_TEST(every_row_strict)
{
    CORPUS("vnis=42 strict=true", RULES);
    try_rows(true);
}
END_TEST

/* Each of 39 alone, in the flags, behind them and behind the VNI. */
START_TEST(reserved_bits)
{
    CORPUS("vnis=42", RULES);
    for (int strict = 0; strict < 2; strict++) {
        if (strict)
            BUILD(PLACES "df=keep udp6_zero=true vnis=42 strict=true", RULES);
        for (uint32_t bit = 0; bit < 64; bit++) {
            if (bit == 4 || (bit >= 32 && bit < 56)) /* I; the VNI */
                continue;
            make_inner(&usual_frame);
            outer[at[VXLAN] + bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
            if (v6)
                put16(outer + at[UDP] + 6, 0);
            expect_reason("a reserved bit", strict ? "drop_vx_reserved" : NULL);
        }
    }
}
END_TEST

/* --- cut off ------------------------------------------------------------------------------ */

/* What a packet is that ends behind so many bytes of its inner frame. */
static const char *cut_reason(uint32_t there, uint32_t header, uint32_t transport)
{
    return there <= 14                       ? "drop_in_short"
           : there < 14 + header             ? "drop_in_ip_bad"
           : there < 14 + header + transport ? "drop_in_l4_short"
                                             : NULL;
}

/* By the sender, and so that the outer headers say more than came. */
START_TEST(cut_at_every_byte)
{
    static const struct made kinds[] = { { .to = 80, .payload = 20 },
                                         { .to = 80, .payload = 20, .protocol = IS_TCP },
                                         { .to = 80, .payload = 20, .v6 = true } };
    CORPUS("vnis=42", RULES);
    for (int kind = 0; kind < 3; kind++) {
        const struct made *made = &kinds[kind];
        uint32_t header = made->v6 ? 40 : 20, transport = made->protocol ? 20 : 8;
        for (uint32_t size = 0; size < 16 + 14 + header + transport + 20; size++) {
            make_inner(made);
            put16(outer + at[UDP] + 6, 0);
            set_size(8 + size, true);
            expect_reason("a header that is cut off",
                          size < 8 ? "drop_vx_short"
                                   : cut_reason(size - 8, header, transport));
            make_inner(made);
            length = at[UDP] + 8 + size < length ? at[UDP] + 8 + size : length - 1;
            expect_reason("a frame that is cut off", "drop_ip_bad");
        }
    }
}
END_TEST

/* UDP says one byte more or less than IP. */
START_TEST(other_lengths)
{
    CORPUS("vnis=42", RULES);
    make_inner(&usual_frame);
    put16(outer + at[UDP] + 4, length - at[UDP] + 1);
    expect_reason("one byte more", "drop_udp_len");
    uint64_t before = count("in_trunc");
    put16(outer + at[UDP] + 4, length - at[UDP] - 1);
    expect_reason("one byte less", NULL);
    app->class->tick(app);
    ck_assert_uint_ge(count("in_trunc"), before + 1);
    make_inner(&usual_frame);
    set_size(length - at[UDP] + 9, false);
    expect_reason("behind UDP there is more", NULL);
}
END_TEST

/* --- the outer checksum ------------------------------------------------------------------- */

START_TEST(outer_checksums)
{
    CORPUS("verify_csum=true", RULES);
    put16(outer + at[UDP] + 6, 0);
    expect_reason("none", NULL);
    set_checksum();
    expect_reason("a right one", NULL);
    outer[at[UDP] + 6] ^= 0x55;
    expect_reason("a wrong one", "drop_udp_csum");
    put16(outer + at[UDP] + 6, 0xffff);
    expect_reason("one of all ones", "drop_udp_csum");
    /* one that happens to be 0, and is sent as all ones */
    set_checksum();
    uint32_t sum = get16(outer + at[UDP] + 6), port = get16(outer + at[UDP]);
    uint32_t moved = port + sum;
    put16(outer + at[UDP], (moved & 0xffff) + (moved >> 16));
    set_checksum();
    ck_assert_uint_eq(get16(outer + at[UDP] + 6), 0xffff);
    expect_reason("zero as all ones", NULL);
}
END_TEST

START_TEST(no_checksum_over_ipv6)
{
    FAST("df=keep", RULES);
    v6 = true;
    make_inner(&usual_frame);
    expect_reason("with a checksum", NULL);
    put16(outer + at[UDP] + 6, 0);
    expect_reason("without", "drop_udp6_zero");
}
END_TEST

/* --- what has a meaning inside -------------------------------------------------------------- */

/* A tunnel in the tunnel is a datagram like any other. */
START_TEST(a_tunnel_in_a_tunnel)
{
    uint8_t within[FRAME_MOST];
    struct tunnel tunnel = { .vni = 42 };
    CORPUS("", "port=4789 to=172.30.82.95:81", RULES);
    uint32_t size = frame_wrap(within, &tunnel, inner, frame_make(inner, &usual_frame));
    tunnel.v6 = v6;
    length = frame_wrap(outer, &tunnel, within, size);
    expect_reason("a tunnel", NULL);
    expect_reason("it again", NULL);
    ck_assert_uint_eq(get16(wanted + 36), 81);
    ck_assert_mem_eq(wanted + 42, within + 42, size - 42);
}
END_TEST

/* Of those addresses is the inner packet, too. */
START_TEST(a_loop)
{
    FAST("df=keep vteps=10.0.0.77,2001:db8::4d", RULES);
    v6 = _i;
    make_inner(&usual_frame);
    expect_reason("to our own address", "drop_in_loop");
    expect_reason("again", "drop_in_loop");
    ck_assert_int_eq(by_program(outer, length), XDP_DROP);
}
END_TEST

/* In mode route errors that say nothing are none. */
START_TEST(errors_cut_off)
{
    struct made made = { .protocol = IS_ICMP, .type = 3 };
    CORPUS("mode=route", RULES);
    for (made.payload = 0; made.payload < 40; made.payload++) {
        make_inner(&made);
        expect_reason("an ICMP error", "drop_icmp_bad");
    }
}
END_TEST

static Suite *suite_vxlan_corpus(void)
{
    Suite *suite = suite_create("vxlan_corpus");
    TCase *tests = tcase_create("vxlan_corpus");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, every_row, 0, 2);
    tcase_add_loop_test(tests, every_row_strict, 0, 2);
    tcase_add_loop_test(tests, reserved_bits, 0, 2);
    tcase_add_loop_test(tests, cut_at_every_byte, 0, 2);
    tcase_add_loop_test(tests, other_lengths, 0, 2);
    tcase_add_loop_test(tests, outer_checksums, 0, 2);
    tcase_add_test(tests, no_checksum_over_ipv6);
    tcase_add_loop_test(tests, a_tunnel_in_a_tunnel, 0, 2);
    tcase_add_loop_test(tests, a_loop, 0, 2);
    tcase_add_loop_test(tests, errors_cut_off, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_corpus)
