/* VxlanNat in a graph: what comes out of tunnels, where to, and why the rest does not. */
#include <errno.h>

#include "apps/apps.h"
#include "selftest/frame_maker.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

static struct engine *engine;
static uint64_t sent;

static void setup(void)
{
    engine = test_engine(1);
    sent = 0;
}

/* --- graphs -------------------------------------------------------------------------- */

/* "proto=tcp port=80 to=192.0.2.1" */
static struct value table_of(const char *text)
{
    struct value table = value_table();
    char copy[256], *save = NULL;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        char *value = strchr(word, '=');
        *value++ = 0;
        value_table_add(&table, word, value_string(value));
    }
    return table;
}

/* rules: ended by NULL; settings as above. */
static int build(const char *const *rules, const char *settings, struct error *err)
{
    struct graph *graph = graph_new();
    struct value args = table_of(settings), list = value_table();
    for (; *rules; rules++)
        value_table_add(&list, NULL, table_of(*rules));
    value_table_add(&args, "rules", list);
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "out", "Collect", NULL);
    int error = graph_add_app(graph, "nat", apps_find("VxlanNat"), &args, NULL, err);
    value_free(&args);
    if (error) {
        graph_free(graph);
        return error;
    }
    test_link(graph, "in -> nat");
    test_link(graph, "nat -> out");
    test_configure(engine, graph);
    return 0;
}

#define BUILD(SETTINGS, ...)                                                             \
    do {                                                                                 \
        struct error err_;                                                               \
        ck_assert_msg(                                                                   \
            !build((const char *const[]){ __VA_ARGS__, NULL }, SETTINGS, &err_), "%s",   \
            err_.text);                                                                  \
    } while (0)

static uint64_t count(const char *counter)
{
    return test_counter(engine, "nat", counter);
}

/* --- tunnels ------------------------------------------------------------------------- */

struct tunnel {
    bool v6;
    uint32_t vni;
    uint16_t port; /* 0: 4789 */
    uint8_t host;  /* last byte of the outer source */
};

/* Ethernet, IP, UDP and VXLAN around a frame; returns the length. */
static uint32_t wrap(uint8_t *out, const struct tunnel *tunnel, const uint8_t *inner,
                     uint32_t length)
{
    struct made made = { .v6 = tunnel->v6,
                         .host = tunnel->host,
                         .from = 50000,
                         .to = tunnel->port ? tunnel->port : 4789 };
    uint32_t header = frame_make(out, &made);
    uint32_t l3 = 14, l4 = header - 8;
    memset(out + header, 0, 8);
    out[header] = 8;
    put32(out + header + 4, tunnel->vni << 8);
    memcpy(out + header + 8, inner, length);
    put16(out + l4 + 4, 16 + length);
    put16(out + l4 + 6, 0);
    if (tunnel->v6) {
        put16(out + l3 + 4, 16 + length);
        struct look look = frame_look(out, header + 8 + length);
        put16(out + l4 + 6, ~transport_sum(out, &look));
    } else {
        put16(out + l3 + 2, 36 + length);
        put16(out + l3 + 10, 0);
        put16(out + l3 + 10, ~naive_sum(out + l3, 20, 0));
    }
    return header + 8 + length;
}

static const struct tunnel usual = { .vni = 42 };
static uint8_t outer[FRAME_MOST + 128];

static void put_in(const struct tunnel *tunnel, const uint8_t *inner, uint32_t length)
{
    test_inject_bytes(engine, "in", outer, wrap(outer, tunnel, inner, length));
    sent++;
    test_breathe(engine, 2);
}

/* Frames that came out, of which there must be so many. */
static struct packet **came(size_t n)
{
    size_t found;
    struct packet **packets = test_collected(engine, "out", &found);
    ck_assert_uint_eq(found, n);
    return packets;
}

/* Nothing is lost without a reason. */
static void check_books(void)
{
    static const char *const pass[] = { "pass_not_ip", "pass_not_ours",
                                        "pass_not_vxlan" };
    static const char *const before_vni[] = {
        "drop_l2_short", "drop_ip_bad",    "drop_outer_frag",  "drop_outer_ttl",
        "drop_udp_len",  "drop_udp_csum",  "drop_udp6_zero",   "drop_vtep_denied",
        "drop_vx_short", "drop_vx_noflag", "drop_vx_reserved", "drop_vx_vni",
        "drop_offload"
    };
    static const char *const in_tunnel[] = { "drop_in_short",     "drop_in_mac",
                                             "drop_in_vlan",      "drop_in_arp",
                                             "drop_in_ethertype", "drop_in_ip_bad" };
    static const char *const behind[] = {
        "drop_in_martian",   "drop_in_loop",        "drop_not_allowed",
        "drop_in_l4_short",  "drop_unsupported_l4", "drop_no_rule",
        "drop_ttl_exceeded", "drop_frag_early",     "drop_mtu",
        "drop_no_output"
    };
    uint64_t passed = 0, outside = 0, inside = 0, later = 0;
    for (size_t i = 0; i < sizeof(pass) / sizeof(*pass); i++)
        passed += count(pass[i]);
    for (size_t i = 0; i < sizeof(before_vni) / sizeof(*before_vni); i++)
        outside += count(before_vni[i]);
    for (size_t i = 0; i < sizeof(in_tunnel) / sizeof(*in_tunnel); i++)
        inside += count(in_tunnel[i]);
    for (size_t i = 0; i < sizeof(behind) / sizeof(*behind); i++)
        later += count(behind[i]);
    ck_assert_uint_eq(count("total_packets"), sent);
    ck_assert_uint_eq(sent, passed + outside + count("vxlan_packets"));
    ck_assert_uint_eq(count("vxlan_packets"), inside + count("inner_packets"));
    ck_assert_uint_eq(count("inner_packets"), later + count("forwarded"));
    ck_assert_uint_eq(count("forwarded"), count("redirected") + count("drop_no_packet"));
    ck_assert_uint_eq(count("errors"),
                      outside + inside + later + count("drop_no_packet"));
}

static void teardown(void)
{
    check_books();
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

/* --- what comes out ------------------------------------------------------------------ */

static uint8_t inner[FRAME_MOST], wanted[FRAME_MOST];

/* The frame that must come of it, made by itself. */
static uint32_t expect(const struct made *made, const char *address, uint16_t port)
{
    struct made other = *made;
    unsigned a, b, c, d;
    other.to = port;
    uint32_t length = frame_make(wanted, &other);
    struct look look = frame_look(wanted, length);
    uint8_t *ip = wanted + look.l3;
    ck_assert_int_eq(sscanf(address, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
    put32(ip + 16, a << 24 | b << 16 | c << 8 | d);
    put16(ip + 10, 0);
    put16(ip + 10, ~naive_sum(ip, look.l4 - look.l3, 0));
    uint8_t *sum = wanted + look.l4 + (look.protocol == IS_TCP ? 16 : 6);
    put16(sum, 0);
    put16(sum, ~transport_sum(wanted, &look));
    return length;
}

START_TEST(inner_packets_get_their_destination)
{
    BUILD("vnis=42 clear_df=false allow=10.0.0.0/24",
          "proto=tcp port=8080 to=172.30.82.95:8081", "to=172.30.82.96");
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
    { "drop_outer_frag", "", 0, 20, "2000", false },
    { "drop_outer_frag", "", 0, 20, "0001", false },
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
    { "drop_ttl_exceeded", "decrement_ttl=true", 2, 22, "01", false },
    { "drop_mtu", "mtu=68 clear_df=false", 2, 0, "02", false },
};

#define WRONGS (sizeof(wrongs) / sizeof(*wrongs))

static void patch(uint8_t *at, const char *hex)
{
    for (; *hex; hex += 2) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex, "%2x", &byte), 1);
        *at++ = (uint8_t)byte;
    }
}

START_TEST(every_reason)
{
    struct tunnel tunnel = { .v6 = wrongs[_i].v6, .vni = 42 };
    struct made made = { .payload = 48 };
    char settings[256];
    uint32_t header = tunnel.v6 ? 62 : 42;
    snprintf(settings, sizeof(settings), "allow=10.0.0.1/32 %s", wrongs[_i].settings);
    BUILD(settings, "to=172.30.82.95");
    uint32_t length = wrap(outer, &tunnel, inner, frame_make(inner, &made));
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
        uint32_t length = wrap(outer, &usual, inner, frame_make(inner, &made));
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
    BUILD(_i ? "allow=10.0.0.0/8 forward_rest=true clear_df=false" : "allow=10.0.0.0/8",
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

static uint32_t fragment(uint8_t *out, uint32_t id, uint32_t offset, uint32_t size,
                         bool more)
{
    struct made made = { .to = 80, .payload = size - (offset ? 0 : 8) };
    uint32_t length = frame_make(out, &made);
    if (offset) { /* no header, payload only */
        memmove(out + 34, out + 42, size);
        length -= 8;
    }
    put16(out + 16, length - 14);
    put16(out + 18, id);
    put16(out + 20, (more ? 0x2000 : 0) | offset / 8);
    put16(out + 24, 0);
    put16(out + 24, ~naive_sum(out + 14, 20, 0));
    return length;
}

START_TEST(fragments_follow_the_first)
{
    BUILD("allow=10.0.0.0/8", "port=80 to=172.30.82.95:81");
    put_in(&usual, inner,
           fragment(inner, 5, 800, 100, false)); /* nobody knows where to */
    put_in(&usual, inner, fragment(inner, 5, 0, 400, true));
    put_in(&usual, inner, fragment(inner, 5, 800, 100, false));
    put_in(&usual, inner, fragment(inner, 6, 400, 400, true)); /* another packet's */
    put_in(&usual, inner, fragment(inner, 5, 400, 400, true));
    struct packet **p = came(3);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(p[i]->data[33], 95);
        ck_assert_uint_eq(naive_sum(p[i]->data + 14, 20, 0), 0xffff);
    }
    ck_assert_uint_eq(get16(p[0]->data + 36), 81);
    ck_assert_uint_eq(count("drop_frag_early"), 2);
    engine_set_time(engine, engine_now(engine) + 15000000000ull);
    put_in(&usual, inner, fragment(inner, 5, 400, 400, true));
    ck_assert_uint_eq(count("drop_frag_early"), 3);
    ck_assert_uint_eq(count("forwarded"), 3);
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
    put_in_packet(packet_from_bytes(around, wrap(around, &usual, big, 5014)));
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
    struct packet *p =
        packet_from_bytes(outer, wrap(outer, &usual, inner, frame_make(inner, &made)));
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
    BUILD("allow=10.0.0.0/8 clear_df=false", "port=80 to=172.30.82.95:81");
    uint32_t length = frame_make(inner, &made);
    uint8_t rest[4] = { 0, IS_UDP, 0, 48 };
    put16(inner + 40, naive_sum(rest, 4, naive_sum(inner + 26, 8, 0)));
    struct packet *p = packet_from_bytes(outer, wrap(outer, &usual, inner, length));
    p->flags = PACKET_CSUM_PARTIAL;
    p->csum_start = 50 + 34;
    p->csum_offset = 6;
    put_in_packet(p);
    expect(&made, "172.30.82.95", 81);
    ck_assert_mem_eq(came(1)[0]->data, wanted, length);
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
    BUILD("allow=2001:db8::/32", "port=80 to=[2001:db8:9::1]:8000");
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

START_TEST(headers_are_within_their_packet)
{
    BUILD("allow=2001:db8::/32", "to=2001:db8:9::1");
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
    length = wrap(outer, &tunnel, inner, length);
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
    struct packet *p =
        packet_from_bytes(outer, wrap(outer, &usual, inner, frame_make(inner, &made)));
    while (n < 1 << 17 && (held[n] = packet_allocate()))
        n++;
    put_in_packet(p);
    while (n)
        packet_free(held[--n]);
    came(0);
    ck_assert_uint_eq(count("drop_no_packet"), 1);
    ck_assert_uint_eq(count("forwarded"), 1);
}
END_TEST

/* A super-frame that is wrongly described ends somewhere too. */
START_TEST(bad_super_frames_are_counted)
{
    struct made made = { .payload = 1400 };
    struct error err;
    BUILD("allow=10.0.0.0/8", "to=172.30.82.95");
    ck_assert_int_eq(packet_large_reserve(4, &err), 0);
    struct packet *p =
        packet_from_bytes(outer, wrap(outer, &usual, inner, frame_make(inner, &made)));
    p->gso_type = 1; /* of TCP, which it is not */
    p->gso_size = 500;
    put_in_packet(p);
    came(0);
    ck_assert_uint_eq(count("drop_offload"), 1);
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
    tcase_add_test(tests, fragments_follow_the_first);
    tcase_add_test(tests, long_packets_go_out_in_fragments);
    tcase_add_test(tests, fragments_fit_their_packets);
    tcase_add_test(tests, nothing_of_the_outer_packet_stays);
    tcase_add_test(tests, unfinished_checksums);
    tcase_add_test(tests, fragments_keep_their_id);
    tcase_add_test(tests, ipv6_fragments_follow_the_first);
    tcase_add_test(tests, headers_are_within_their_packet);
    tcase_add_loop_test(tests, addresses_in_disguise, 0, 3);
    tcase_add_test(tests, no_packet_for_a_fragment);
    tcase_add_test(tests, bad_super_frames_are_counted);
    tcase_add_test(tests, mistakes);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_nat)
