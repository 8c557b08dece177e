/* VxlanNat's rewrite: every packet stays right, and what is not to change does not. */
#include <arpa/inet.h>

#include "apps/vxlan_nat/rewrite.h"
#include "lib/prefix.h"
#include "lib/random.h"
#include "selftest/inner_facts.h"
#include "selftest/selftest.h"

static uint8_t frame[FRAME_MOST], before[FRAME_MOST];

static struct rewrite_target target(const char *address, uint16_t port)
{
    struct rewrite_target to = { .port = port, .has_port = port };
    struct prefix prefix;
    ck_assert_int_eq(prefix_parse(&prefix, address), 0);
    prefix_mapped(&prefix, to.address);
    return to;
}

/* to: NULL, it stays. */
static bool rewrite(const struct vxlan_frame *f, const struct rewrite_target *to,
                    const struct vxlan_change *change)
{
    static const struct vxlan_change none;
    struct vxlan_rewrite plan = rewrite_plan(f, NULL, to);
    return rewrite_packet(frame, f, &plan, change ? change : &none);
}

/* As ck_assert, which writes a file at each call. */
#define NEED(CONDITION)                                                                  \
    do {                                                                                 \
        if (!(CONDITION))                                                                \
            ck_abort_msg("%s", #CONDITION);                                              \
    } while (0)

static void check_target(const struct vxlan_frame *f, const struct rewrite_target *to)
{
    const uint8_t *dst = frame + f->l3 + (f->family == 4 ? 16 : 24);
    NEED(!memcmp(dst, to->address + (f->family == 4 ? 12 : 0), f->family == 4 ? 4 : 16));
    if (f->ports)
        NEED(get16(frame + f->l4 + 2) == (to->has_port ? to->port : f->dport));
}

#define PACKETS 1000000

static const uint8_t protocols[] = { IS_TCP, IS_UDP, IS_ICMP };

static struct made any_packet(uint64_t draw, uint64_t other)
{
    return (struct made){ .v6 = draw & 1,
                          .protocol = protocols[draw >> 1 & 3 ? (draw >> 1 & 3) - 1 : 0],
                          .options = draw >> 3 & 3,
                          .tags = draw >> 5 & 1,
                          .from = (uint16_t)(draw >> 16),
                          .to = (uint16_t)(draw >> 32),
                          .payload = draw >> 48 & 63,
                          .number = other };
}

static struct rewrite_target any_target(const struct vxlan_frame *f, uint64_t draw)
{
    struct rewrite_target to = { .port = (uint16_t)(draw >> 8),
                                 .has_port = draw & 1 && (uint16_t)(draw >> 8) };
    for (int n = 0; n < 16; n++)
        to.address[n] = (uint8_t)(draw * 0x9e3779b97f4a7c15ull >> (n % 8 * 8));
    if (f->family == 4)
        memcpy(to.address, f->dst, 12); /* mapped */
    return to;
}

static uint8_t *checksum_of(const struct look *look)
{
    return frame + look->l4 +
           (look->protocol == IS_TCP   ? 16
            : look->protocol == IS_UDP ? 6
                                       : 2);
}

/* A right checksum, written as it must be; UDP has none that is 0. all_ones: TCP and ICMP may write 0 so,
 * too. */
static void set_checksum(const struct look *look, bool all_ones)
{
    uint8_t *at = checksum_of(look);
    put16(at, 0);
    uint32_t sum = ~transport_sum(frame, look) & 0xffff;
    put16(at, sum || (look->protocol != IS_UDP && !all_ones) ? sum : 0xffff);
}

/* The last two bytes that lie as words do become what makes the checksum 0, of the packet as it lies
 * there; false: there is no room. */
static bool force_zero(const struct look *look)
{
    uint32_t at = look->payload + ((look->payload - look->l4) & 1);
    if (at + 2 > look->end)
        return false;
    put16(checksum_of(look), 0);
    put16(frame + at, 0);
    put16(frame + at, ~transport_sum(frame, look));
    return true;
}

/* Ports, or the identifier of an echo. */
static void check_identity(const struct vxlan_frame *f, const struct vxlan_rewrite *to)
{
    if (f->ports) {
        NEED(get16(frame + f->l4) == ntohs(to->sport));
        NEED(get16(frame + f->l4 + 2) == ntohs(to->dport));
    } else if (f->echo) {
        NEED(get16(frame + f->l4 + 4) == ntohs(to->sport | to->dport));
    }
}

/* Random packets to random places, from there or from others: each is right before and behind. In an
 * eighth of them the checksum is 0 before, or all ones, and in another one behind. */
START_TEST(checksums_stay_right)
{
    struct random_key random = random_key(7, "rewrite", "packets");
    uint32_t zeros = 0;
    for (uint64_t i = 0; i < PACKETS; i++) {
        uint64_t draw = random_draw(&random, 2 * i),
                 other = random_draw(&random, 2 * i + 1);
        struct made made = any_packet(draw, other);
        uint32_t length = frame_make(frame, &made);
        struct look look = frame_look(frame, length);
        struct vxlan_frame f = inner_facts(frame, length);
        f.echo = !f.ports;
        f.sport = f.echo ? made.from : f.sport;
        f.dport = f.echo ? 0 : f.dport;
        struct rewrite_target to = any_target(&f, other), from = any_target(&f, draw);
        struct vxlan_rewrite plan = rewrite_plan(&f, draw >> 58 & 1 ? &from : NULL, &to);
        struct vxlan_change change = { .clear_df = other >> 1 & 1,
                                       .id = (uint16_t)(other >> 24),
                                       .decrement = other >> 2 & 1 };
        uint32_t force = draw >> 60 & 7;
        if (force == 1 && force_zero(&look)) {
            set_checksum(&look, other & 8);
            zeros++;
        } else if (force == 2 && look.payload + 3 <= look.end) {
            memcpy(before, frame, length);
            rewrite_packet(frame, &f, &plan, &change);
            force_zero(&look);
            uint32_t at = look.payload + ((look.payload - look.l4) & 1);
            memcpy(before + at, frame + at, 2);
            memcpy(frame, before, length);
            set_checksum(&look, false);
        }
        NEED(!frame_problem(frame, length));
        bool cleared = rewrite_packet(frame, &f, &plan, &change);
        const char *problem = frame_problem(frame, length);
        if (problem)
            ck_abort_msg("packet %lu: %s", (unsigned long)i, problem);
        const uint8_t *sum = checksum_of(&look);
        NEED(look.protocol != IS_UDP || sum[0] | sum[1]);
        zeros += force == 2 && (get16(sum) == 0 || get16(sum) == 0xffff);
        check_target(&f, &to);
        check_identity(&f, &plan);
        struct vxlan_frame now = inner_facts(frame, length);
        NEED(now.hops == f.hops - change.decrement);
        NEED(now.df == (f.df && !change.clear_df));
        NEED(cleared == (f.df && change.clear_df));
        if (cleared)
            NEED(get16(frame + f.l3 + 4) == ntohs(change.id));
    }
    ck_assert_uint_gt(zeros, PACKETS / 5);
}
END_TEST

/* UDP: no checksum stays none, and one of 0 is written as 0xffff. */
START_TEST(udp_without_a_checksum)
{
    struct made made = { .payload = 20 };
    struct rewrite_target to = target("192.0.2.7", 53);
    uint32_t length = frame_make(frame, &made);
    struct vxlan_frame f = inner_facts(frame, length);
    put16(frame + f.l4 + 6, 0);
    rewrite(&f, &to, NULL);
    ck_assert_uint_eq(get16(frame + f.l4 + 6), 0);
    /* a payload that makes the new checksum 0 */
    length = frame_make(frame, &made);
    rewrite(&f, &to, NULL);
    uint32_t sum = get16(frame + f.l4 + 6);
    length = frame_make(frame, &made);
    put16(frame + f.l4 + 8, get16(frame + f.l4 + 8) + sum);
    put16(frame + f.l4 + 6, 0);
    struct look look = frame_look(frame, length);
    put16(frame + f.l4 + 6, ~transport_sum(frame, &look));
    rewrite(&f, &to, NULL);
    ck_assert_uint_eq(get16(frame + f.l4 + 6), 0xffff);
    ck_assert_ptr_null(frame_problem(frame, length));
}
END_TEST

/* A damaged packet stays damaged; one without a change stays as it was. */
START_TEST(damage_stays)
{
    struct made made = { .protocol = IS_TCP, .payload = 100 };
    struct rewrite_target to = target("192.0.2.7", 53);
    uint32_t length = frame_make(frame, &made);
    struct vxlan_frame f = inner_facts(frame, length);
    memcpy(before, frame, sizeof(before));
    rewrite(&f, NULL, NULL);
    ck_assert_mem_eq(frame, before, sizeof(before));
    frame[f.l4 + 30] ^= 1;
    rewrite(&f, &to, NULL);
    ck_assert_str_eq(frame_problem(frame, length), "transport checksum");
    frame[f.l4 + 30] ^= 1;
    ck_assert_ptr_null(frame_problem(frame, length));
}
END_TEST

/* What is not there is not written. */
START_TEST(what_is_cut_off)
{
    struct made made = { .protocol = IS_TCP, .payload = 100 };
    struct rewrite_target to = target("192.0.2.7", 53);
    uint32_t length = frame_make(frame, &made);
    struct vxlan_frame whole = inner_facts(frame, length);
    for (uint32_t end = whole.l4; end < length; end++) {
        struct vxlan_frame f = whole;
        f.end = end;
        f.ports = end >= whole.l4 + 20u;
        frame_make(frame, &made);
        memset(frame + end, 0xee, sizeof(frame) - end);
        rewrite(&f, &to, NULL);
        for (uint32_t i = end; i < sizeof(frame); i++)
            ck_assert_uint_eq(frame[i], 0xee);
    }
}
END_TEST

/* --- segments ------------------------------------------------------------------------ */

/* A packet with TCP options: n bytes, a multiple of 4. */
static uint32_t make_options(bool v6, uint8_t flags, const char *options, uint32_t n)
{
    struct made made = {
        .v6 = v6, .protocol = IS_TCP, .flags = flags, .payload = n + 9, .number = 77
    };
    uint32_t length = frame_make(frame, &made);
    struct look look = frame_look(frame, length);
    frame[look.l4 + 12] = (uint8_t)((20 + n) / 4 << 4);
    memcpy(frame + look.l4 + 20, options, n);
    put16(frame + look.l4 + 16, 0);
    put16(frame + look.l4 + 16, ~transport_sum(frame, &look));
    ck_assert_ptr_null(frame_problem(frame, length));
    memcpy(before, frame, sizeof(before));
    return length;
}

static const struct {
    const char *why, *options;
    uint8_t size;
    uint8_t mss; /* where it is, of what is to become 1300; 0: it stays */
} option_rows[] = {
    { "alone", "\2\4\x5\xb4", 4, 2 },
    { "as small", "\2\4\x5\x14", 4, 0 },
    { "smaller", "\2\4\x2\x18", 4, 0 },
    { "just above", "\2\4\x5\x15", 4, 2 },
    { "behind others", "\4\2\1\1\2\4\xff\xff", 8, 6 },
    { "odd", "\1\2\4\x5\xb4\1\1\1", 8, 3 },
    { "odd, last but one", "\3\3\7\2\4\x23\x28\0", 8, 5 },
    { "none", "\1\1\4\2", 4, 0 },
    { "no options", "", 0, 0 },
    { "behind the end", "\1\1\0\0\2\4\x5\xb4", 8, 0 },
    { "a length of 0", "\2\4\x5\xb4\x8\0\0\0", 8, 0 },
    { "a length of 1", "\2\4\x5\xb4\x8\1\0\0", 8, 0 },
    { "past the end", "\2\4\x5\xb4\x8\5\0\0", 8, 0 },
    { "without a length", "\2\4\x5\xb4\1\1\1\x8", 8, 0 },
    { "too short", "\2\3\x5\1", 4, 0 },
    { "too long", "\2\6\x5\xb4\x5\xb4\0\0", 8, 0 },
    { "cut", "\1\1\2\4", 4, 0 },
    { "all there can be",
      "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"
      "\2\4\x23\x28",
      40, 38 },
};

#define OPTION_ROWS (int)(sizeof(option_rows) / sizeof(*option_rows))

/* Only the two bytes and the checksum change; only in a SYN, with an ACK or not. */
START_TEST(segments_become_shorter)
{
    static const uint8_t flags[] = { IS_SYN, IS_SYN | IS_ACK, IS_ACK, IS_PSH | IS_ACK };
    for (int i = 0; i < 8; i++) {
        uint32_t length = make_options(i & 1, flags[i / 2], option_rows[_i].options,
                                       option_rows[_i].size);
        struct vxlan_frame f = inner_facts(frame, length);
        bool changes = option_rows[_i].mss && i < 4;
        ck_assert_int_eq(rewrite_mss(frame, &f, 1300), changes);
        ck_assert_ptr_null(frame_problem(frame, length));
        if (changes) {
            memcpy(before + f.l4 + 16, frame + f.l4 + 16, 2);
            put16(before + f.l4 + 20 + option_rows[_i].mss, 1300);
        }
        ck_assert_msg(!memcmp(frame, before, sizeof(frame)), "%s", option_rows[_i].why);
    }
}
END_TEST

/* Two of them: who reads the last one is to have it too. */
START_TEST(both_of_two)
{
    uint32_t length = make_options(false, IS_SYN, "\2\4\x5\xb4\1\2\4\x5\x98\1\1\0", 12);
    struct vxlan_frame f = inner_facts(frame, length);
    ck_assert(rewrite_mss(frame, &f, 1300));
    ck_assert_uint_eq(get16(frame + f.l4 + 22), 1300);
    ck_assert_uint_eq(get16(frame + f.l4 + 27), 1300);
    ck_assert_ptr_null(frame_problem(frame, length));
}
END_TEST

/* Cut at every byte, in memory that ends there. A mirror's is changed as far as it is there; one whose
 * header is longer than the packet is nonsense. The rest of the first keeps the checksum right. */
START_TEST(segments_that_are_cut_off)
{
    const char *options = "\1\2\4\x5\xb4\4\2\2\4\x5\xb4\0";
    uint32_t length = make_options(_i, IS_SYN, options, 12);
    struct vxlan_frame f = inner_facts(frame, length);
    for (uint32_t end = f.l4; end < length; end++) {
        uint32_t options_there = end < f.l4 + 20u ? 0 : end - f.l4 - 20;
        uint8_t *bytes = malloc(end);
        make_options(_i, IS_SYN, options, 12);
        memcpy(bytes, frame, end);
        f.end = end;
        f.truncated = false;
        bool whole = options_there >= 12;
        if (!whole) {
            ck_assert(!rewrite_mss(bytes, &f, 1300));
            ck_assert_mem_eq(bytes, frame, end);
        }
        f.truncated = true;
        ck_assert_int_eq(rewrite_mss(bytes, &f, 1300), options_there >= 5);
        memcpy(frame, bytes, end);
        ck_assert_ptr_null(frame_problem(frame, length));
        free(bytes);
    }
}
END_TEST

/* What would be a SYN with a size in it, were it one. */
START_TEST(what_has_no_segments)
{
    static const uint8_t syn[24] = { [12] = 0x60, 2, [20] = 2, 4, 5, 0xb4 };
    struct made made = { .payload = 100 };
    uint32_t length = frame_make(frame, &made);
    struct vxlan_frame f = inner_facts(frame, length);
    memcpy(frame + f.l4, syn, sizeof(syn));
    ck_assert(!rewrite_mss(frame, &f, 100)); /* UDP */
    f.protocol = IS_TCP;
    ck_assert(rewrite_mss(frame, &f, 100));
    memcpy(frame, syn, sizeof(syn));
    f.l4 = 0; /* a later fragment */
    ck_assert(!rewrite_mss(frame, &f, 100));
    length = make_options(false, IS_SYN, "\2\4\x5\xb4", 4);
    f = inner_facts(frame, length);
    f.truncated = true;
    frame[f.l4 + 12] = 0x40; /* a header shorter than itself */
    ck_assert(!rewrite_mss(frame, &f, 100));
}
END_TEST

/* --- fragments ----------------------------------------------------------------------- */

/* Puts together what the pieces say; returns the bytes behind the header. */
static uint32_t put_together(uint8_t *whole, const struct made *made, uint32_t mtu)
{
    static uint8_t piece[FRAME_MOST];
    uint32_t length = frame_make(frame, made), at = 0, end = 0, seen = 0;
    const uint8_t *ip = frame + 14;
    memset(whole, 0, FRAME_MOST);
    do {
        uint32_t next;
        uint32_t size = rewrite_fragment(piece, ip, length - 14, at, mtu, &next);
        uint32_t header = 4u * (piece[0] & 15), flags = get16(piece + 6);
        ck_assert_uint_le(size, mtu);
        ck_assert_uint_eq(get16(piece + 2), size);
        ck_assert_uint_eq(naive_sum(piece, header, 0), 0xffff);
        ck_assert_uint_eq((flags & 0x1fff) * 8, at);
        ck_assert_int_eq((flags & 0x2000) != 0, next != 0);
        if (next)
            ck_assert_uint_eq((size - header) % 8, 0);
        memcpy(whole + at, piece + header, size - header);
        end = at + size - header;
        at = next;
        ck_assert_uint_lt(seen++, 200);
    } while (at);
    return end;
}

START_TEST(fragments_are_the_packet)
{
    static uint8_t whole[FRAME_MOST];
    for (uint8_t options = 0; options <= 10; options += 5)
        for (uint32_t payload = 0; payload < 1500; payload += 37)
            for (uint32_t mtu = 68; mtu < 1600; mtu += 91) {
                struct made made = { .options = options, .payload = payload };
                uint32_t size = put_together(whole, &made, mtu);
                ck_assert_uint_eq(size, 8 + payload);
                ck_assert_mem_eq(whole, frame + 14 + 20 + 4 * options, size);
            }
}
END_TEST

/* A fragment's fragments: offsets are those of the packet, and the last one still says so. */
START_TEST(fragments_of_a_fragment)
{
    static uint8_t piece[FRAME_MOST];
    struct made made = { .payload = 400 };
    uint32_t length = frame_make(frame, &made), next;
    put16(frame + 14 + 6, 0x2000 | 100);
    rewrite_fragment(piece, frame + 14, length - 14, 0, 228, &next);
    ck_assert_uint_eq(get16(piece + 6), 0x2000 | 100);
    ck_assert_uint_eq(next, 208);
    rewrite_fragment(piece, frame + 14, length - 14, next, 1500, &next);
    ck_assert_uint_eq(get16(piece + 6), 0x2000 | (100 + 208 / 8));
    ck_assert_uint_eq(next, 0);
}
END_TEST

START_TEST(fragments_of_a_damaged_packet)
{
    static uint8_t piece[FRAME_MOST];
    struct made made = { .payload = 400 };
    uint32_t length = frame_make(frame, &made), next = 0;
    frame[14 + 8] ^= 5;
    uint32_t wrong = naive_sum(frame + 14, 20, 0);
    do {
        rewrite_fragment(piece, frame + 14, length - 14, next, 228, &next);
        ck_assert_uint_eq(naive_sum(piece, 20, 0), wrong);
    } while (next);
}
END_TEST

/* Record route is for the first one only, loose source routing for all (RFC 791, 3.1). */
START_TEST(options_that_are_copied)
{
    static uint8_t piece[FRAME_MOST];
    struct made made = { .payload = 400, .options = 4 };
    uint32_t length = frame_make(frame, &made), next;
    memcpy(frame + 14 + 20, "\x07\x07\x04\0\0\0\0\x83\x07\x04\0\0\0\0\x01\0", 16);
    rewrite_fragment(piece, frame + 14, length - 14, 0, 236, &next);
    ck_assert_mem_eq(piece + 20, frame + 14 + 20, 16);
    rewrite_fragment(piece, frame + 14, length - 14, next, 236, &next);
    ck_assert_mem_eq(piece + 20, "\1\1\1\1\1\1\1\x83\x07\x04\0\0\0\0\x01\0", 16);
    /* nonsense is left alone, and ends */
    memset(frame + 14 + 20, 0x07, 16);
    frame[14 + 21] = 0;
    rewrite_fragment(piece, frame + 14, length - 14, 200, 236, &next);
    ck_assert_mem_eq(piece + 20, frame + 14 + 20, 16);
}
END_TEST

static Suite *suite_vxlan_rewrite(void)
{
    Suite *suite = suite_create("vxlan_rewrite");
    TCase *tests = tcase_create("vxlan_rewrite");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, checksums_stay_right);
    tcase_add_test(tests, udp_without_a_checksum);
    tcase_add_test(tests, damage_stays);
    tcase_add_test(tests, what_is_cut_off);
    tcase_add_loop_test(tests, segments_become_shorter, 0, OPTION_ROWS);
    tcase_add_test(tests, both_of_two);
    tcase_add_loop_test(tests, segments_that_are_cut_off, 0, 2);
    tcase_add_test(tests, what_has_no_segments);
    tcase_add_test(tests, fragments_are_the_packet);
    tcase_add_test(tests, fragments_of_a_fragment);
    tcase_add_test(tests, fragments_of_a_damaged_packet);
    tcase_add_test(tests, options_that_are_copied);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_rewrite)
