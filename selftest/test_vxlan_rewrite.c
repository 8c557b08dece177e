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

static void check_target(const struct vxlan_frame *f, const struct rewrite_target *to)
{
    const uint8_t *dst = frame + f->l3 + (f->family == 4 ? 16 : 24);
    ck_assert_mem_eq(dst, to->address + (f->family == 4 ? 12 : 0),
                     f->family == 4 ? 4 : 16);
    if (f->ports)
        ck_assert_uint_eq(get16(frame + f->l4 + 2), to->has_port ? to->port : f->dport);
}

/* Random packets to random places: each is right before and behind. */
START_TEST(checksums_stay_right)
{
    static const uint8_t protocols[] = { IS_TCP, IS_UDP, IS_ICMP };
    struct random_key random = random_key(7, "rewrite", "packets");
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t draw = random_draw(&random, 2 * i),
                 other = random_draw(&random, 2 * i + 1);
        struct made made = { .v6 = draw & 1,
                             .protocol =
                                 protocols[draw >> 1 & 3 ? (draw >> 1 & 3) - 1 : 0],
                             .options = draw >> 3 & 3,
                             .tags = draw >> 5 & 1,
                             .from = (uint16_t)(draw >> 16),
                             .to = (uint16_t)(draw >> 32),
                             .payload = draw >> 48 & 63,
                             .number = other };
        uint32_t length = frame_make(frame, &made);
        struct vxlan_frame f = inner_facts(frame, length);
        struct rewrite_target to = { .port = (uint16_t)(other >> 8),
                                     .has_port = other & 1 && (uint16_t)(other >> 8) };
        for (int n = 0; n < 16; n++)
            to.address[n] = (uint8_t)(other * 0x9e3779b97f4a7c15ull >> (n % 8 * 8));
        struct rewrite rewrite = { .to = &to,
                                   .clear_df = other >> 1 & 1,
                                   .id = (uint16_t)(other >> 24),
                                   .decrement = other >> 2 & 1 };
        ck_assert_ptr_null(frame_problem(frame, length));
        bool cleared = rewrite_packet(frame, &f, &rewrite);
        const char *problem = frame_problem(frame, length);
        ck_assert_msg(!problem, "packet %lu: %s", (unsigned long)i, problem);
        check_target(&f, &to);
        struct vxlan_frame now = inner_facts(frame, length);
        ck_assert_uint_eq(now.hops, f.hops - rewrite.decrement);
        ck_assert_uint_eq(now.df, f.df && !rewrite.clear_df);
        ck_assert_int_eq(cleared, f.df && rewrite.clear_df);
        if (cleared)
            ck_assert_uint_eq(get16(frame + f.l3 + 4), rewrite.id);
    }
}
END_TEST

/* UDP: no checksum stays none, and one of 0 is written as 0xffff. */
START_TEST(udp_without_a_checksum)
{
    struct made made = { .payload = 20 };
    struct rewrite_target to = target("192.0.2.7", 53);
    struct rewrite rewrite = { .to = &to };
    uint32_t length = frame_make(frame, &made);
    struct vxlan_frame f = inner_facts(frame, length);
    put16(frame + f.l4 + 6, 0);
    rewrite_packet(frame, &f, &rewrite);
    ck_assert_uint_eq(get16(frame + f.l4 + 6), 0);
    /* a payload that makes the new checksum 0 */
    length = frame_make(frame, &made);
    rewrite_packet(frame, &f, &rewrite);
    uint32_t sum = get16(frame + f.l4 + 6);
    length = frame_make(frame, &made);
    put16(frame + f.l4 + 8, get16(frame + f.l4 + 8) + sum);
    put16(frame + f.l4 + 6, 0);
    struct look look = frame_look(frame, length);
    put16(frame + f.l4 + 6, ~transport_sum(frame, &look));
    rewrite_packet(frame, &f, &rewrite);
    ck_assert_uint_eq(get16(frame + f.l4 + 6), 0xffff);
    ck_assert_ptr_null(frame_problem(frame, length));
}
END_TEST

/* A damaged packet stays damaged; one without a change stays as it was. */
START_TEST(damage_stays)
{
    struct made made = { .protocol = IS_TCP, .payload = 100 };
    struct rewrite_target to = target("192.0.2.7", 53);
    struct rewrite rewrite = { .to = &to }, nothing = { 0 };
    uint32_t length = frame_make(frame, &made);
    struct vxlan_frame f = inner_facts(frame, length);
    memcpy(before, frame, sizeof(before));
    rewrite_packet(frame, &f, &nothing);
    ck_assert_mem_eq(frame, before, sizeof(before));
    frame[f.l4 + 30] ^= 1;
    rewrite_packet(frame, &f, &rewrite);
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
    struct rewrite rewrite = { .to = &to };
    uint32_t length = frame_make(frame, &made);
    struct vxlan_frame whole = inner_facts(frame, length);
    for (uint32_t end = whole.l4; end < length; end++) {
        struct vxlan_frame f = whole;
        f.end = end;
        f.ports = end >= whole.l4 + 20u;
        frame_make(frame, &made);
        memset(frame + end, 0xee, sizeof(frame) - end);
        rewrite_packet(frame, &f, &rewrite);
        for (uint32_t i = end; i < sizeof(frame); i++)
            ck_assert_uint_eq(frame[i], 0xee);
    }
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
    tcase_add_test(tests, fragments_are_the_packet);
    tcase_add_test(tests, fragments_of_a_fragment);
    tcase_add_test(tests, fragments_of_a_damaged_packet);
    tcase_add_test(tests, options_that_are_copied);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_rewrite)
