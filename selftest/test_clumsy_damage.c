/* test_clumsy_damage: bytes that Clumsy changes or cuts off, seen from the far end.
 *
 * What should have arrived is made again from the packet's number, and compared bit by bit.
 */
#include "selftest/selftest.h"

#include <math.h>
#include <stdlib.h>

#include "apps/clumsy/damage.h"
#include "selftest/clumsy_rig.h"
#include "lib/statistics.h"

#define US 1000ull

static const struct made tcp4 = { .protocol = IS_TCP, .flags = IS_ACK, .payload = 64 };
static const struct made udp6 = { .v6 = true, .tags = 1, .payload = 64 };
static const struct made ping = { .protocol = IS_ICMP, .payload = 64 };

/* n of these frames and all that comes of them. */
static struct rig *send_all(const char *settings, const struct made *made, uint64_t n)
{
    struct rig *rig = rig_new(1, settings);
    rig->keep = true;
    for (uint64_t i = 0; i < n; i++) {
        rig_send_made(rig, made, RIG_START + i);
        if (i % 500 == 499)
            rig_breathe(rig, RIG_START + i);
    }
    rig_run(rig, rig->engine->now + US);
    ck_assert_uint_eq(rig->count, n);
    return rig;
}

struct damage {
    uint32_t bits;        /* that differ */
    uint32_t first, last; /* byte with such a bit */
    uint32_t bytes;       /* that differ */
    uint8_t expected[FRAME_MOST];
    uint32_t length;
};

static struct damage compare(const struct arrival *got, const struct made *made,
                             uint64_t number)
{
    struct damage damage = { .first = FRAME_MOST };
    struct made numbered = *made;
    numbered.number = number;
    damage.length = frame_make(damage.expected, &numbered);
    for (uint32_t i = 0; i < got->length && i < damage.length; i++) {
        uint8_t wrong = damage.expected[i] ^ got->data[i];
        damage.bits += (uint32_t)__builtin_popcount(wrong);
        damage.bytes += wrong != 0;
        if (wrong) {
            damage.first = damage.first < i ? damage.first : i;
            damage.last = i;
        }
    }
    return damage;
}

/* Exactly so many bits, each place of its part of the packet as often as any other. */
static void check_where(const char *where, const struct made *made, uint32_t from,
                        uint32_t to)
{
    enum { N = 8000, BITS = 2 };
    char settings[100];
    snprintf(settings, sizeof(settings),
             "corrupt.p=100%% corrupt.bits=2 corrupt.where=%s", where);
    struct rig *rig = send_all(settings, made, N);
    double observed[8 * FRAME_MOST] = { 0 }, law[8 * FRAME_MOST], freedom;
    uint32_t have = 8 * (to - from);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < N; i++) {
        struct damage damage = compare(&rig->got[i], made, i);
        wrong += damage.bits != BITS || damage.first < from || damage.last >= to ||
                 rig->got[i].length != damage.length;
        for (uint32_t bit = 8 * from; bit < 8 * to; bit++)
            observed[bit - 8 * from] +=
                (damage.expected[bit / 8] ^ rig->got[i].data[bit / 8]) >> (7 - bit % 8) &
                1;
    }
    ck_assert_msg(!wrong, "%lu wrong, %s", (unsigned long)wrong, where);
    for (uint32_t bit = 0; bit < have; bit++)
        law[bit] = (double)N * BITS / have;
    double chi = chi_square(observed, law, have, &freedom);
    ck_assert_double_lt(chi, chi_square_limit(freedom));
    observed[0] += 4 * law[0]; /* control: one place too often */
    chi = chi_square(observed, law, have, &freedom);
    ck_assert_double_gt(chi, chi_square_limit(freedom));
    ck_assert_uint_eq(rig_counter(rig, "corrupted"), N);
    rig_free(rig);
}

START_TEST(test_where)
{
    check_where("auto", &tcp4, 54, 118);
    check_where("payload", &udp6, 66, 130);
    check_where("any", &tcp4, 14, 118);
    check_where("l2", &udp6, 0, 18);
    check_where("l3", &tcp4, 14, 34);
    check_where("l3", &udp6, 18, 58);
    check_where("l4", &tcp4, 34, 54);
    check_where("auto", &ping, 34, 106);
}
END_TEST

/* A part that a packet has not is not damaged, and does not count. */
START_TEST(test_nowhere)
{
    struct rig *rig = send_all("corrupt.p=100% corrupt.where=payload", &ping, 100);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < 100; i++)
        wrong += compare(&rig->got[i], &ping, i).bits != 0;
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rig_counter(rig, "corrupted"), 0);
    rig_free(rig);
}
END_TEST

/* zero: one byte that is 0 now; byte: all its bits; random: one byte, mostly another. */
START_TEST(test_modes)
{
    enum { N = 4000 };
    static const char *const modes[] = { "zero", "byte", "random" };
    char settings[100];
    snprintf(settings, sizeof(settings),
             "corrupt.p=100%% corrupt.where=payload corrupt.mode=%s", modes[_i]);
    struct rig *rig = send_all(settings, &udp6, N);
    uint64_t wrong = 0, same = 0;
    double bytes[256] = { 0 }, law[256], freedom;
    for (uint64_t i = 0; i < N; i++) {
        struct damage damage = compare(&rig->got[i], &udp6, i);
        uint8_t now = damage.bits ? rig->got[i].data[damage.first] : 0;
        same += !damage.bits;
        wrong += damage.bytes > 1 || (_i == 0 && now) || (_i == 1 && damage.bits != 8);
        bytes[now] += damage.bits > 0;
    }
    ck_assert_uint_eq(wrong, 0);
    if (_i == 1)
        ck_assert_uint_eq(same, 0);
    if (_i != 2)
        goto done;
    ck_assert(region_contains(region_binomial(N, 1 / 256.0), same));
    for (int i = 0; i < 256; i++)
        law[i] = (double)(N - same) / 256;
    bytes[0] = law[0]; /* most of the payload is none too often 0 */
    ck_assert_double_lt(chi_square(bytes, law, 256, &freedom),
                        1.3 * chi_square_limit(freedom));
done:
    rig_free(rig);
}
END_TEST

/* none: one wrong bit is always caught by the checksum, so it is as good as lost. all: the
 * application gets it. l3: the IPv4 header is right again, what it carries is not. */
START_TEST(test_fix)
{
    enum { N = 3000 };
    static const struct {
        const char *settings;
        const struct made *made;
        const char *problem; /* of each */
    } cases[] = {
        { "corrupt.p=100% corrupt.where=payload", &tcp4, "transport checksum" },
        { "corrupt.p=100% corrupt.where=payload", &udp6, "transport checksum" },
        { "corrupt.p=100%", &ping, "transport checksum" },
        { "corrupt.p=100% corrupt.where=payload corrupt.fix=all", &tcp4, NULL },
        { "corrupt.p=100% corrupt.where=payload corrupt.fix=all", &udp6, NULL },
        { "corrupt.p=100% corrupt.where=payload corrupt.fix=l3", &tcp4,
          "transport checksum" },
    };
    struct rig *rig = send_all(cases[_i].settings, cases[_i].made, N);
    uint64_t wrong = 0, intact = 0;
    for (uint64_t i = 0; i < N; i++) {
        const struct arrival *got = &rig->got[i];
        struct damage damage = compare(got, cases[_i].made, i);
        struct look look = frame_look(damage.expected, damage.length);
        const char *problem = frame_problem(got->data, got->length);
        wrong += (problem == NULL) != (cases[_i].problem == NULL) ||
                 (problem && strcmp(problem, cases[_i].problem));
        intact += !memcmp(got->data + look.payload, damage.expected + look.payload,
                          look.end - look.payload);
    }
    ck_assert_uint_eq(wrong, 0);
    if (cases[_i].made != &ping)
        ck_assert_uint_eq(intact, 0);
    rig_free(rig);
}
END_TEST

/* The header, damaged and made right: its sum is right, and none of the payload has changed. */
START_TEST(test_fix_l3)
{
    enum { N = 3000 };
    struct made zero = tcp4;
    struct rig *rig =
        send_all("corrupt.p=100% corrupt.where=l3 corrupt.fix=l3", &zero, N);
    uint64_t wrong = 0, checked = 0;
    for (uint64_t i = 0; i < N; i++) {
        const uint8_t *ip = rig->got[i].data + 14;
        struct damage damage = compare(&rig->got[i], &zero, i);
        wrong += memcmp(ip + 20, damage.expected + 34, damage.length - 34) != 0;
        if (ip[0] != 0x45)
            continue; /* its length is not known any more */
        wrong += naive_sum(ip, 20, 0) != 0xffff;
        checked++;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(checked, N / 2);
    rig_free(rig);
}
END_TEST

/* P(packet is hit) = 1 - (1-ber)^bits, and the hits of one are binomial. */
START_TEST(test_ber)
{
    enum { N = 20000, LENGTH = 118, HITS = 12 };
    const double ber = 0.001, half = 0.0005;
    struct rig *rig = send_all("corrupt.ber=0.1% corrupt.where=any", &tcp4, N);
    double observed[HITS] = { 0 }, law[HITS] = { 0 }, freedom;
    for (uint64_t i = 0; i < N; i++) {
        uint32_t bits = compare(&rig->got[i], &tcp4, i).bits;
        observed[bits < HITS ? bits : HITS - 1]++;
    }
    for (int control = 0; control < 2; control++) {
        double p = control ? half : ber, term = N * pow(1 - p, 8 * LENGTH), sum = 0;
        for (int k = 0; k < HITS; k++) {
            law[k] = term;
            sum += term;
            term *= (8.0 * LENGTH - k) / (k + 1) * p / (1 - p);
        }
        law[HITS - 1] += fmax(N - sum, 0);
        double chi = chi_square(observed, law, HITS, &freedom);
        ck_assert_int_eq(chi < chi_square_limit(freedom), !control);
    }
    double none = pow(1 - ber, 8 * LENGTH);
    ck_assert(region_contains(region_binomial(N, none), (uint64_t)observed[0]));
    ck_assert_uint_eq(rig_counter(rig, "corrupted"), (uint64_t)(N - observed[0]));
    rig_free(rig);
}
END_TEST

/* Nothing is said about rates at which no packet passes. */
START_TEST(test_ber_extremes)
{
    ck_assert_uint_eq(damage_bits(0, 1500, 0), 0);
    ck_assert_uint_eq(damage_bits(1, 1500, 0), CLUMSY_BITS_MAX);
    ck_assert_uint_eq(damage_bits(0.5, 65535, 0.5), CLUMSY_BITS_MAX);
    ck_assert_uint_eq(damage_bits(1e-12, 1500, 0.999), 0);
    ck_assert_uint_eq(damage_bits(0.1, 1, 0), 0);
}
END_TEST

/* --- truncation --------------------------------------------------------------------------- */

static const char *cut_problem(const char *settings, const struct made *made, uint32_t to)
{
    struct rig *rig = send_all(settings, made, 10);
    uint8_t frame[FRAME_MOST];
    uint32_t length = frame_make(frame, made);
    const char *problem = frame_problem(rig->got[9].data, rig->got[9].length);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(rig->got[i].length, to < length ? to : length);
    ck_assert_uint_eq(rig_counter(rig, "truncated"), to < length ? 10 : 0);
    rig_free(rig);
    return problem;
}

START_TEST(test_truncate)
{
    ck_assert_str_eq(cut_problem("truncate=100", &tcp4, 100), "IP length");
    ck_assert_str_eq(cut_problem("truncate=100", &udp6, 100), "IP length");
    ck_assert_str_eq(cut_problem("truncate.to=100 truncate.fix=l3", &tcp4, 100),
                     "transport checksum");
    ck_assert_ptr_null(cut_problem("truncate.to=100 truncate.fix=all", &tcp4, 100));
    ck_assert_ptr_null(cut_problem("truncate.to=100 truncate.fix=all", &udp6, 100));
    ck_assert_ptr_null(cut_problem("truncate.to=60 truncate.fix=all", &ping, 60));
    ck_assert_ptr_null(cut_problem("truncate=118", &tcp4, 118)); /* as long already */
    ck_assert_ptr_null(cut_problem("truncate=1000", &tcp4, 1000));
}
END_TEST

START_TEST(test_truncate_share)
{
    enum { N = 20000 };
    struct region region = region_binomial(N, 0.1);
    static const char *const settings[] = { "truncate.to=60 truncate.p=10%",
                                            "truncate.to=60 truncate.p=5%",
                                            "truncate.to=60 truncate.p=20%", "" };
    for (int k = 0; k < 4; k++) {
        struct rig *rig = rig_pass(3, settings[k], N, US);
        uint64_t cut = 0;
        for (size_t i = 0; i < rig->count; i++)
            cut += rig->got[i].length == 60;
        ck_assert_int_eq(region_contains(region, cut), k == 0);
        ck_assert_uint_eq(rig_counter(rig, "truncated"), cut);
        rig_free(rig);
    }
}
END_TEST

/* Of copies some are whole, some cut and some damaged, each by itself; and in front of a queue
 * that decides later too. */
START_TEST(test_copies)
{
    enum { N = 4000 };
    static const char *const queue[] = { "", " rate=1gbit queue.aqm=codel" };
    char settings[200];
    snprintf(settings, sizeof(settings),
             "duplicate.p=100%% duplicate.copies=2 truncate.to=80 truncate.p=50%% "
             "corrupt.p=50%% corrupt.where=l3%s",
             queue[_i]);
    struct rig *rig = rig_new(1, settings);
    rig->keep = true;
    uint64_t cut = 0, hit = 0, wrong = 0;
    for (uint64_t i = 0; i < N; i++) {
        rig_send_made(rig, &tcp4, 0);
        rig_breathe(rig, rig->engine->now + 10 * US);
    }
    rig_run(rig, rig->engine->now + 10 * US);
    ck_assert_uint_eq(rig->count, 3 * N);
    for (uint64_t i = 0; i < 3 * N; i++) {
        struct damage damage = compare(&rig->got[i], &tcp4, i / 3);
        cut += rig->got[i].length == 80;
        hit += damage.bits == 1;
        wrong += damage.bits > 1 || (damage.bits && damage.last >= 34) ||
                 (rig->got[i].length != 80 && rig->got[i].length != 118);
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert(region_contains(region_binomial(3 * N, 0.5), cut));
    ck_assert(region_contains(region_binomial(3 * N, 0.5), hit));
    rig_free(rig);
}
END_TEST

static Suite *suite_clumsy_damage(void)
{
    Suite *suite = suite_create("clumsy_damage");
    TCase *tests = tcase_create("damage");
    tcase_set_timeout(tests, 60); /* sanitizers on a slow machine */
    tcase_add_test(tests, test_where);
    tcase_add_test(tests, test_nowhere);
    tcase_add_loop_test(tests, test_modes, 0, 3);
    tcase_add_loop_test(tests, test_fix, 0, 6);
    tcase_add_test(tests, test_fix_l3);
    tcase_add_test(tests, test_ber);
    tcase_add_test(tests, test_ber_extremes);
    tcase_add_test(tests, test_truncate);
    tcase_add_test(tests, test_truncate_share);
    tcase_add_loop_test(tests, test_copies, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}

SUITE(clumsy_damage)
