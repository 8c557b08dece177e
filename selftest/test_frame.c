/* test_frame: where the layers of a frame are, and what frames with wrong headers do not lead to;
 * the small helpers of lib/ beside it: tally, sojourn, capture_filter, array.
 */
#include "selftest/selftest.h"

#include <math.h>
#include <stdlib.h>

#include "lib/array.h"
#include "lib/capture_filter.h"
#include "lib/frame.h"
#include "lib/random.h"
#include "lib/sojourn.h"
#include "lib/tally.h"
#include "selftest/frame_maker.h"
#include "lib/statistics.h"

#define MS 1000000ull
#define S  1000000000ull

static const struct made kinds[] = {
    { .payload = 30 },
    { .payload = 0, .tags = 1 },
    { .protocol = IS_TCP, .payload = 30, .options = 10 },
    { .protocol = IS_TCP, .payload = 30, .tags = 3, .v6 = true },
    { .protocol = IS_ICMP, .payload = 30 },
    { .protocol = IS_ICMP, .payload = 30, .v6 = true },
    { .payload = 30, .v6 = true, .ecn = 3 },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* As the maker knows it, with padding behind the packet. */
START_TEST(test_parse)
{
    uint8_t data[FRAME_MOST + 10];
    uint32_t length = frame_make(data, &kinds[_i]);
    struct look look = frame_look(data, length);
    struct frame frame;
    memset(data + length, 0xaa, 10);
    frame_parse(&frame, data, length + 10);
    bool ports = look.protocol == IS_TCP || look.protocol == IS_UDP;
    ck_assert_uint_eq(frame.family, look.v6 ? 6 : 4);
    ck_assert_uint_eq(frame.protocol, look.protocol);
    ck_assert_uint_eq(frame.l3, look.l3);
    ck_assert_uint_eq(frame.l4, look.l4);
    ck_assert_uint_eq(frame.end, length);
    ck_assert_uint_eq(frame.payload, ports ? look.payload : 0);
    ck_assert_uint_eq(frame_ecn(&frame), kinds[_i].ecn);
    ck_assert(!frame.fragment);
    ck_assert_int_eq(frame_is_tcp(&frame), look.protocol == IS_TCP);
    ck_assert_int_eq(frame_is_udp(&frame), look.protocol == IS_UDP);
    struct frame within;
    frame_parse_ip(&within, data, length + 10, look.l3);
    ck_assert_uint_eq(within.family, frame.family);
    ck_assert_uint_eq(within.protocol, frame.protocol);
    ck_assert_uint_eq(within.l4, frame.l4);
    ck_assert_uint_eq(within.payload, frame.payload);
    ck_assert_uint_eq(within.end, frame.end);
    frame_parse_ip(&within, data, look.l3 + 8, look.l3);
    ck_assert_uint_eq(within.family, 0);
}
END_TEST

/* Of any beginning of a frame, and with any byte changed, all offsets are within; and fixing
 * changes nothing that is right. */
START_TEST(test_hostile)
{
    uint8_t data[FRAME_MOST], copy[FRAME_MOST];
    uint32_t length = frame_make(data, &kinds[_i]);
    uint64_t wrong = 0;
    struct frame frame;
    frame_parse(&frame, data, length);
    memcpy(copy, data, length);
    frame_fix(&frame, copy, true, true);
    ck_assert_mem_eq(copy, data, length);
    for (uint32_t cut = 0; cut <= length; cut++)
        for (uint32_t at = 12; at < cut; at++)
            for (int bit = 0; bit < 8; bit++) {
                uint8_t *exact = malloc(cut);
                memcpy(exact, data, cut);
                exact[at] ^= (uint8_t)(1 << bit);
                frame_parse(&frame, exact, cut);
                wrong += frame.l3 > cut || frame.l4 > cut || frame.end > cut ||
                         frame.payload > frame.end || (frame.l4 && frame.l4 < frame.l3);
                wrong += frame_content(&frame) == 1; /* reads all of it */
                frame_fix(&frame, exact, bit & 1, true);
                free(exact);
            }
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

/* Fragments: the first has ports but no checksum to fix; the others have no transport. */
START_TEST(test_fragments)
{
    uint8_t data[FRAME_MOST], before[FRAME_MOST];
    struct made made = { .payload = 60 };
    uint32_t length = frame_make(data, &made);
    struct frame frame;
    put16(data + 20, 0x2000); /* more follow */
    frame_parse(&frame, data, length);
    ck_assert(frame.fragment && frame.l4 == 34 && frame.payload == 42);
    data[50] ^= 1;
    memcpy(before, data, length);
    frame_fix(&frame, data, false, true);
    ck_assert_mem_eq(data + 34, before + 34, length - 34);
    ck_assert_uint_eq(naive_sum(data + 14, 20, 0), 0xffff);
    put16(data + 20, 0x0003);
    frame_parse(&frame, data, length);
    ck_assert(frame.fragment && !frame.l4 && !frame.payload);
    /* IPv6: behind hop-by-hop options and a fragment header. */
    made.v6 = true;
    made.payload = 60;
    length = frame_make(data, &made);
    memmove(data + 54 + 16, data + 54, length - 54);
    data[20] = 0;
    memcpy(data + 54, "\x2c\0\1\4\0\0\0\0\x11\0\0\1\0\0\0\7", 16);
    put16(data + 18, 68 + 16);
    frame_parse(&frame, data, length + 16);
    ck_assert(frame.fragment && frame.l4 == 70 && frame.protocol == IS_UDP);
    data[64] = 8; /* not the first any more */
    frame_parse(&frame, data, length + 16);
    ck_assert(frame.fragment && !frame.l4);
}
END_TEST

/* A sum of 0 in UDP over IPv4 is none, and stays; over IPv6 it is computed. */
START_TEST(test_no_checksum)
{
    uint8_t data[FRAME_MOST];
    for (int v6 = 0; v6 < 2; v6++) {
        struct made made = { .payload = 60, .v6 = v6 };
        uint32_t length = frame_make(data, &made), at = (v6 ? 54 : 34) + 6;
        struct frame frame;
        put16(data + at, 0);
        frame_parse(&frame, data, length);
        frame_fix(&frame, data, false, true);
        ck_assert_int_eq(get16(data + at) != 0, v6);
        ck_assert_int_eq(frame_problem(data, length) == NULL, v6);
    }
}
END_TEST

/* A sum that comes out as 0 is written as 0xffff in UDP: RFC 768. */
START_TEST(test_zero_checksum)
{
    uint8_t data[FRAME_MOST];
    struct made made = { .payload = 10 };
    uint32_t length = frame_make(data, &made);
    while (get16(data + 40) != 0xffff) {
        made.number++;
        length = frame_make(data, &made);
    }
    struct frame frame;
    put16(data + 40, 1);
    frame_parse(&frame, data, length);
    frame_fix(&frame, data, false, true);
    ck_assert_uint_eq(get16(data + 40), 0xffff);
}
END_TEST

/* --- tally -------------------------------------------------------------------------------- */

/* What was used lately is known; memory does not grow; what it forgets is the oldest. */
START_TEST(test_tally)
{
    struct tally tally;
    ck_assert(tally_init(&tally, 1000));
    ck_assert_uint_eq(tally.sets * TALLY_WAYS, 1024);
    ck_assert_ptr_null(tally_find(&tally, 0));
    for (uint64_t key = 0; key < 200; key++)
        *tally_at(&tally, key * 977) = (uint32_t)key;
    for (uint64_t key = 0; key < 200; key++)
        ck_assert_uint_eq(*tally_find(&tally, key * 977), key);
    *tally_at(&tally, 42) = 7;
    for (uint64_t key = 1; key < 100000; key++) {
        *tally_at(&tally, key << 20) = 1;
        const uint32_t *kept = tally_find(&tally, 42); /* used all the time */
        if (!kept || *kept != 7)
            ck_abort_msg("forgotten at %lu", (unsigned long)key);
    }
    ck_assert_ptr_null(tally_find(&tally, 977));
    ck_assert_uint_eq(*tally_at(&tally, 977), 0); /* anew */
    tally_free(&tally);
    ck_assert_ptr_null(tally.entries);
}
END_TEST

/* The clock of ages goes round. */
START_TEST(test_tally_wraps)
{
    struct tally tally;
    ck_assert(tally_init(&tally, TALLY_WAYS));
    tally.now = UINT32_MAX - 5;
    for (uint64_t key = 1; key <= TALLY_WAYS; key++)
        *tally_at(&tally, key) = (uint32_t)key;
    tally_at(&tally, 100); /* the oldest goes: 1, from before the turn */
    ck_assert_ptr_null(tally_find(&tally, 1));
    for (uint64_t key = 2; key <= TALLY_WAYS; key++)
        ck_assert_uint_eq(*tally_find(&tally, key), key);
    tally_free(&tally);
}
END_TEST

/* --- sojourn ------------------------------------------------------------------------------ */

START_TEST(test_sojourn_text)
{
    static const struct {
        const char *text;
        struct sojourn_law law;
    } good[] = {
        { "20ms", { SOJOURN_FIXED, 20 * MS, 0 } },
        { "  20ms ", { SOJOURN_FIXED, 20 * MS, 0 } },
        { "exp 1min", { SOJOURN_EXPONENTIAL, 60 * S, 0 } },
        { "uniform 10ms 30ms", { SOJOURN_UNIFORM, 10 * MS, 30 * MS } },
    };
    static const char *const bad[] = {
        "",
        "soon",
        "exp",
        "exp soon",
        "exp 1ms 2ms",
        "20ms 1ms",
        "uniform 10ms",
        "uniform 30ms 10ms",
        "1us",
        "20000h",
        "gauss 1ms",
        "uniform 1ms 2ms 3ms",
        "exp 11111111111111111111111111111111111111111111ms"
    };
    struct sojourn_law law;
    struct error err;
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(sojourn_parse(good[i].text, &law, &err), 0);
        ck_assert(law.kind == good[i].law.kind && law.a == good[i].law.a &&
                  law.b == good[i].law.b);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(sojourn_parse(bad[i], &law, &err) != 0, "%s", bad[i]);
}
END_TEST

static double uniform_cdf(double x, const void *user)
{
    return fmin(fmax((x - 1e6) / 2e6, 0), 1);
}

static double exponential_cdf(double x, const void *user)
{
    return 1 - exp(-x / 2e6);
}

START_TEST(test_sojourn_law)
{
    enum { N = 20000 };
    static double samples[N];
    struct random_key key = random_key(statistics_seed(5), "wan", "down");
    const struct sojourn_law laws[] = { { SOJOURN_UNIFORM, MS, 3 * MS },
                                        { SOJOURN_EXPONENTIAL, 2 * MS, 0 } };
    for (int k = 0; k < 2; k++) {
        for (uint64_t i = 0; i < N; i++)
            samples[i] = (double)sojourn_draw(&laws[k], &key, i);
        double uniform = ks_distance(samples, N, uniform_cdf, NULL);
        double exponential = ks_distance(samples, N, exponential_cdf, NULL);
        ck_assert_double_lt(k ? exponential : uniform, ks_limit(N));
        ck_assert_double_gt(k ? uniform : exponential, ks_limit(N));
    }
}
END_TEST

/* Over a long silence the state is as if somebody had asked all the time. */
START_TEST(test_sojourn_silence)
{
    static const struct sojourn_law laws[][2] = {
        { { SOJOURN_FIXED, 3 * MS, 0 }, { SOJOURN_FIXED, 4 * MS, 0 } },
        { { SOJOURN_EXPONENTIAL, 3 * MS, 0 }, { SOJOURN_UNIFORM, MS, 4 * MS } },
    };
    struct sojourn often, seldom;
    uint64_t wrong = 0;
    struct random_key key = random_key(statistics_seed(5), "wan", "down");
    for (int k = 0; k < 2; k++) {
        sojourn_start(&often, laws[k], key, true, S);
        sojourn_start(&seldom, laws[k], key, true, S);
        for (uint64_t i = 0; i < 20000; i++) {
            bool state = sojourn_at(&often, S + i * MS / 3);
            if (i % 1000 == 777)
                wrong += sojourn_at(&seldom, S + i * MS / 3) != state ||
                         seldom.since != often.since || seldom.until != often.until;
            wrong += k == 0 && state != (i * MS / 3 % (7 * MS) < 4 * MS);
        }
    }
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

/* --- the rest ----------------------------------------------------------------------------- */

START_TEST(test_filter)
{
    static const struct {
        const char *text;
        struct made made;
        bool matches;
    } cases[] = {
        { "", { .payload = 9 }, true },
        { NULL, { .payload = 9 }, true },
        { "tcp", { .payload = 9 }, false },
        { "tcp", { .protocol = IS_TCP }, true },
        { "not tcp", { .protocol = IS_TCP }, false },
        { "ip6 and udp dst port 2000", { .v6 = true, .payload = 9 }, true },
        { "ip6 and udp dst port 2001", { .v6 = true, .payload = 9 }, false },
        { "vlan 7 and src host 10.0.0.1", { .tags = 1, .payload = 9 }, true },
        { "src host 10.0.0.1", { .tags = 1, .payload = 9 }, false },
        { "less 60", { .payload = 9 }, true },
    };
    uint8_t frame[FRAME_MOST];
    struct capture_filter filter;
    struct error err;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t length = frame_make(frame, &cases[i].made);
        ck_assert_int_eq(capture_filter_compile(&filter, cases[i].text, &err), 0);
        ck_assert_msg(capture_filter_matches(&filter, frame, length) == cases[i].matches,
                      "case %zu", i);
        ck_assert(cases[i].text == NULL || !*cases[i].text ||
                  !capture_filter_matches(&filter, frame, 5) || i == 9);
        capture_filter_free(&filter);
    }
    ck_assert_int_ne(capture_filter_compile(&filter, "tcp nonsense", &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "\"tcp nonsense\""));
}
END_TEST

START_TEST(test_array)
{
    uint32_t *array = NULL;
    uint64_t wrong = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        if (!array_reserve(&array, i, sizeof(*array)))
            ck_abort_msg("no memory");
        array[i] = i;
    }
    for (uint32_t i = 0; i < 100000; i++)
        wrong += array[i] != i;
    ck_assert_uint_eq(wrong, 0);
    free(array);
}
END_TEST

static Suite *suite_frame(void)
{
    Suite *suite = suite_create("frame");
    TCase *tests = tcase_create("frame");
    tcase_set_timeout(tests, 60); /* sanitizers on a slow machine */
    tcase_add_loop_test(tests, test_parse, 0, KINDS);
    tcase_add_loop_test(tests, test_hostile, 0, KINDS);
    tcase_add_test(tests, test_fragments);
    tcase_add_test(tests, test_no_checksum);
    tcase_add_test(tests, test_zero_checksum);
    tcase_add_test(tests, test_tally);
    tcase_add_test(tests, test_tally_wraps);
    tcase_add_test(tests, test_sojourn_text);
    tcase_add_test(tests, test_sojourn_law);
    tcase_add_test(tests, test_sojourn_silence);
    tcase_add_test(tests, test_filter);
    tcase_add_test(tests, test_array);
    suite_add_tcase(suite, tests);
    return suite;
}

SUITE(frame)
