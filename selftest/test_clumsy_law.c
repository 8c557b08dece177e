/* test_clumsy_law: what Clumsy does as seen from the far end: counts, distributions,
 * damage, exemptions, repeatability.
 *
 * Counts come from what arrived, and the app's own counters must agree with them.
 */
#include "selftest/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/checksum.h"
#include "selftest/clumsy_rig.h"
#include "lib/statistics.h"

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

/* How many of n packets were lost, told by the numbers of those that came. */
static uint64_t lost(const char *settings, uint64_t n)
{
    struct rig *rig = rig_pass(11, settings, n, US);
    uint64_t next = 0, gaps = 0, wrong = 0;
    for (size_t i = 0; i < rig->count; i++) {
        wrong += rig->got[i].number < next || !rig->got[i].intact;
        gaps += rig->got[i].number - next;
        next = rig->got[i].number + 1;
    }
    gaps += n - next;
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rig_counter(rig, "drop_loss"), gaps);
    rig_free(rig);
    return gaps;
}

START_TEST(test_loss)
{
    enum { N = 20000 };
    struct region region = region_binomial(N, 0.1);
    ck_assert(region_contains(region, lost("loss=10%", N)));
    ck_assert(!region_contains(region, lost("loss=5%", N)));
    ck_assert(!region_contains(region, lost("loss=20%", N)));
    ck_assert(!region_contains(region, lost("", N)));
    ck_assert_uint_eq(lost("loss=0%", N), 0);
    ck_assert_uint_eq(lost("loss=100%", N), N);
}
END_TEST

/* Another run of the same seed, jitter, delay, or a change under way: the same are lost.
 */
START_TEST(test_loss_pattern)
{
    enum { N = 5000 };
    static const char *const others[] = { "loss=20% owd=1ms",
                                          "loss=20% owd=1ms jitter.half=1ms",
                                          "loss=20% rate=100mbit",
                                          "loss=20% corrupt=5%" };
    struct rig *plain = rig_pass(5, "loss=20%", N, 100 * US);
    for (int i = 0; i < 3; i++) {
        struct rig *other = rig_pass(5, others[i], N, 100 * US);
        uint64_t wrong = 0;
        ck_assert_uint_eq(other->count, plain->count);
        for (size_t k = 0; k < plain->count; k++)
            wrong += other->got[k].number != plain->got[k].number;
        ck_assert_uint_eq(wrong, 0);
        rig_free(other);
    }
    struct rig *changed = rig_new(5, "loss=20%");
    uint64_t wrong = 0;
    for (int i = 0; i < N / 500; i++) {
        rig_set(changed, i % 2 ? "loss=20%" : "loss=20% owd=1ms jitter.sd=100us");
        rig_send_many(changed, 500);
        rig_run(changed, changed->engine->now + 10 * MS);
    }
    ck_assert_uint_eq(changed->count, plain->count);
    for (size_t k = 0; k < plain->count; k++)
        wrong += changed->got[k].number != plain->got[k].number;
    ck_assert_uint_eq(wrong, 0);
    rig_free(changed);
    rig_free(plain);
}
END_TEST

static uint64_t digest(uint64_t seed, const char *settings)
{
    struct rig *rig = rig_pass(seed, settings, 3000, 20 * US);
    uint64_t sum = 0;
    for (size_t i = 0; i < rig->count; i++)
        sum = (sum * 31 + rig->got[i].number) * 31 + rig->got[i].timestamp +
              rig->got[i].intact;
    rig_free(rig);
    return sum;
}

START_TEST(test_repeatable)
{
    const char *all = "loss.p=5% loss.burst=3 duplicate.p=5% duplicate.copies=2 "
                      "corrupt=5% reorder=5% rate=50mbit owd=5ms jitter.sd=1ms "
                      "jitter.mode=reorder";
    char seeded[300];
    snprintf(seeded, sizeof(seeded), "%s seed=%lu", all,
             (unsigned long)statistics_seed(9));
    uint64_t once = digest(9, all);
    ck_assert_uint_eq(digest(9, all), once);
    ck_assert_uint_ne(digest(10, all), once);
    ck_assert_uint_eq(digest(10, seeded), once); /* the app's own seed goes first */
}
END_TEST

/* P(0), P(1), P(2) of packets that may be lost, then doubled; copies are exact. */
START_TEST(test_duplicate)
{
    enum { N = 20000 };
    static uint8_t times[N];
    memset(times, 0, sizeof(times));
    struct rig *rig = rig_pass(2, "loss=20% duplicate=30% owd=1ms", N, US);
    uint64_t seen[4] = { 0 }, damaged = 0;
    for (size_t i = 0; i < rig->count; i++) {
        times[rig->got[i].number]++;
        damaged += !rig->got[i].intact;
    }
    for (int i = 0; i < N; i++)
        seen[times[i] < 3 ? times[i] : 3]++;
    ck_assert_uint_eq(damaged, 0);
    ck_assert_uint_eq(seen[3], 0);
    ck_assert(region_contains(region_binomial(N, 0.2), seen[0]));
    ck_assert(region_contains(region_binomial(N, 0.8 * 0.7), seen[1]));
    ck_assert(region_contains(region_binomial(N, 0.8 * 0.3), seen[2]));
    ck_assert(!region_contains(region_binomial(N, 0.8 * 0.15), seen[2]));
    ck_assert_uint_eq(rig_counter(rig, "duplicated"), seen[2]);
    ck_assert_uint_eq(rig_counter(rig, "reordered"), 0);
    rig_free(rig);
}
END_TEST

/* Two in a row that double everything make four of each. */
START_TEST(test_duplicate_twice)
{
    struct engine *engine = test_engine(1);
    struct graph *graph = graph_new();
    size_t count;
    test_app(graph, "a", "Inject", NULL);
    test_app(graph, "x", "Clumsy", "duplicate", "100%", NULL);
    test_app(graph, "y", "Clumsy", "duplicate", "100%", NULL);
    test_app(graph, "b", "Collect", NULL);
    test_link(graph, "a -> x");
    test_link(graph, "x -> y");
    test_link(graph, "y -> b");
    test_configure(engine, graph);
    for (int i = 0; i < 100; i++)
        test_inject_bytes(engine, "a", "0123456789abcdef", 16);
    engine_breathe(engine);
    struct packet **p = test_collected(engine, "b", &count);
    ck_assert_uint_eq(count, 400);
    for (size_t i = 0; i < count; i++)
        ck_assert_mem_eq(p[i]->data, "0123456789abcdef", 16);
    engine_free(engine);
}
END_TEST

static unsigned flipped(const struct packet *p, const uint8_t *as_sent)
{
    unsigned bits = 0;
    for (uint32_t i = 0; i < p->length; i++)
        bits += (unsigned)__builtin_popcount(p->data[i] ^ as_sent[i]);
    return bits;
}

/* Exactly so many bits differ, none of them in the Ethernet header, and only in the
 * packets that were chosen; copies of a packet are chosen each for itself. */
START_TEST(test_corrupt)
{
    enum { N = 5000, BITS = 3 };
    struct rig *rig = rig_new(4, "corrupt.p=10% corrupt.bits=3 duplicate=100% owd=1ms");
    uint8_t frame[RIG_FRAME];
    rig_fill(frame, sizeof(frame), 1);
    uint64_t hit = 0, wrong = 0, header = 0;
    for (int i = 0; i < N / 500; i++) {
        size_t count;
        for (int k = 0; k < 500; k++)
            test_inject_bytes(rig->engine, "a", frame, sizeof(frame));
        for (int k = 0; k < 3; k++) {
            engine_set_time(rig->engine, rig->engine->now + MS);
            engine_breathe(rig->engine);
        }
        struct packet **p = test_collected(rig->engine, "b", &count);
        ck_assert_uint_eq(count, 1000);
        for (size_t k = 0; k < count; k++) {
            unsigned bits = flipped(p[k], frame);
            hit += bits == BITS;
            wrong += bits && bits != BITS;
            header += memcmp(p[k]->data, frame, 14) != 0;
        }
        rig_receive(rig);
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(header, 0);
    ck_assert_uint_eq(rig_counter(rig, "corrupted"), hit);
    ck_assert(region_contains(region_binomial(2 * N, 0.1), hit));
    ck_assert(!region_contains(region_binomial(2 * N, 0.05), hit));
    ck_assert(!region_contains(region_binomial(2 * N, 0.2), hit));
    rig_free(rig);
}
END_TEST

/* A checksum left for later is completed before the damage, not over it; one that was
 * verified is no longer said to be right. */
START_TEST(test_corrupt_checksum)
{
    struct rig *rig = rig_new(4, "corrupt=100%");
    uint8_t frame[60] = { [12] = 8 };
    const uint64_t pseudo = 0x1234;
    size_t count;
    for (int i = 34; i < 60; i++)
        frame[i] = (uint8_t)(i * 7);
    memcpy(frame + 34 + 16, &(uint16_t){ pseudo }, 2);
    struct packet *p = packet_from_bytes(frame, sizeof(frame));
    p->flags = PACKET_CSUM_PARTIAL | PACKET_CSUM_VALID;
    p->csum_start = 34;
    p->csum_offset = 16;
    test_inject(rig->engine, "a", p);
    engine_breathe(rig->engine);
    p = test_collected(rig->engine, "b", &count)[0];
    ck_assert_uint_eq(p->flags & (PACKET_CSUM_PARTIAL | PACKET_CSUM_VALID), 0);
    checksum_complete(frame, sizeof(frame), 34, 16);
    ck_assert_uint_eq(checksum_fold(checksum_sum(frame + 34, 26, pseudo)), 0);
    ck_assert_uint_eq(flipped(p, frame), 1);
    rig_receive(rig);
    rig_free(rig);
}
END_TEST

static double uniform_cdf(double x, const void *half)
{
    double u = (x / *(const double *)half + 1) / 2;
    return u < 0 ? 0 : u > 1 ? 1 : u;
}

/* Delays as the clock of the far end sees them: a Kolmogorov-Smirnov test of the one law
 * that was asked for and the one next to it. */
START_TEST(test_jitter)
{
    enum { N = 10000 };
    static double samples[N];
    struct rig *rig = rig_new(6, "owd=50ms jitter.half=20ms jitter.mode=reorder");
    for (uint64_t i = 0; i < N; i += 100) {
        for (uint64_t k = 0; k < 100; k++)
            rig_send(rig, RIG_FRAME, 0);
        rig_run(rig, RIG_START + (i / 100 + 1) * 100 * MS);
    }
    ck_assert_uint_eq(rig->count, N);
    for (size_t i = 0; i < N; i++) {
        uint64_t sent = RIG_START + rig->got[i].number / 100 * 100 * MS;
        samples[i] = (double)rig->got[i].seen - (double)(sent + 50 * MS);
    }
    double half = 20e6, narrower = 18e6;
    ck_assert_double_lt(ks_distance(samples, N, uniform_cdf, &half), ks_limit(N));
    ck_assert_double_gt(ks_distance(samples, N, uniform_cdf, &narrower), ks_limit(N));
    rig_free(rig);
}
END_TEST

/* Out of order as RFC 4737 defines it, counted at the far end and by the app. */
static uint64_t reordered(struct rig *rig, uint64_t *extent_is_3)
{
    uint64_t highest = 0, late = 0;
    for (size_t i = 0; i < rig->count; i++) {
        uint64_t number = rig->got[i].number, overtaken = 0;
        if (number >= highest) {
            highest = number;
            continue;
        }
        late++;
        for (size_t k = i; k > 0 && k + 50 > i; k--)
            overtaken += rig->got[k - 1].number > number;
        *extent_is_3 += overtaken == 3;
    }
    return late;
}

/* About p of the packets come late, each after exactly three that were sent later. */
START_TEST(test_reorder_late)
{
    enum { N = 20000 };
    static const char *const settings[] = { "owd=1ms reorder=2%", "owd=1ms reorder=1%",
                                            "owd=1ms reorder=4%", "owd=1ms" };
    struct region region = region_binomial(N, 0.02);
    for (int i = 0; i < 4; i++) {
        struct rig *rig = rig_pass(8, settings[i], N, 10 * US);
        uint64_t extent_is_3 = 0, late = reordered(rig, &extent_is_3);
        ck_assert_uint_eq(rig->count, N);
        ck_assert_uint_eq(rig_counter(rig, "reordered"), late);
        ck_assert_uint_ge(extent_is_3 + 1, late); /* the very last may lack followers */
        ck_assert_int_eq(region_contains(region, late), i == 0);
        if (i == 3)
            ck_assert_uint_eq(late, 0);
        rig_free(rig);
    }
}
END_TEST

/* (1-p)(1-(1-p)^9) of the packets are late when 25 % skip a delay of ten spacings. */
START_TEST(test_reorder_early)
{
    enum { N = 20000 };
    struct rig *rig =
        rig_pass(8, "owd=100us reorder.p=25% reorder.mode=early", N, 10 * US);
    uint64_t unused = 0, late = reordered(rig, &unused);
    ck_assert_uint_eq(rig_counter(rig, "reordered"), late);
    ck_assert_double_lt(fabs((double)late / N - 0.6936), 5 * sqrt(10 * 0.2125 / N));
    rig_free(rig);
}
END_TEST

/* The rhythm of breaths decides nothing: what was read late, all at once, leaves in the
 * order and with the times it would have had. */
START_TEST(test_rhythm)
{
    enum { N = 400 };
    static const char *const settings[] = {
        "owd=1ms jitter.half=1ms jitter.mode=reorder duplicate.p=20% duplicate.copies=2",
        "owd=100us reorder.p=20% reorder.mode=early",
        "owd=100us reorder=20% rate=70mbit",
        "reorder.p=20% reorder.depth=7 loss=10%",
        "jitter.sd=1ms",
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        struct rig *fine = rig_new(3, settings[i]), *coarse = rig_new(3, settings[i]);
        for (uint64_t k = 0; k < N; k++) {
            rig_run(fine, RIG_START + k * 10 * US);
            rig_send(fine, RIG_FRAME, 0);
            rig_breathe(fine, RIG_START + k * 10 * US);
            rig_send(coarse, RIG_FRAME, RIG_START + k * 10 * US);
            if (k == N / 2) /* leaves something in the line */
                rig_breathe(coarse, RIG_START + k * 10 * US);
        }
        rig_run(fine, RIG_START + S);
        rig_breathe(coarse, RIG_START + S);
        ck_assert_uint_eq(fine->count, coarse->count);
        ck_assert_uint_gt(fine->count, N / 2);
        uint64_t wrong = 0;
        for (size_t k = 0; k < fine->count; k++)
            wrong += fine->got[k].number != coarse->got[k].number ||
                     fine->got[k].timestamp != coarse->got[k].timestamp ||
                     fine->got[k].seen != fine->got[k].timestamp;
        ck_assert_uint_eq(wrong, 0);
        rig_free(fine);
        rig_free(coarse);
    }
}
END_TEST

struct exemption {
    bool exempt;
    uint32_t length;
    uint8_t bytes[62];
};

#define MACS 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2
#define IPV6(NEXT, TYPE)                                                                 \
    0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, NEXT, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, TYPE
#define TAG 0x81, 0, 0, 5

static const struct exemption exemptions[] = {
    { true, 42, { MACS, 0x08, 0x06 } },
    { true, 46, { MACS, TAG, 0x08, 0x06 } },
    { true, 50, { MACS, 0x88, 0xa8, 0, 1, TAG, 0x08, 0x06 } },
    { false, 54, { MACS, TAG, TAG, TAG, 0x08, 0x06 } },
    { true, 55, { MACS, IPV6(58, 133) } },
    { true, 59, { MACS, TAG, IPV6(58, 135) } },
    { true, 55, { MACS, IPV6(58, 137) } },
    { false, 55, { MACS, IPV6(58, 132) } },
    { false, 55, { MACS, IPV6(58, 138) } },
    { false, 55, { MACS, IPV6(58, 128) } },
    { false, 55, { MACS, IPV6(17, 135) } },
    { false, 54, { MACS, IPV6(58, 135) } }, /* cut off before the type */
    { false, 60, { MACS, 0x08, 0x00, 0x08, 0x06 } },
    { false, 15, { MACS, 0x81, 0x00, 0 } },
    { false, 13, { MACS, 0x08 } },
    { false, 0, { 0 } },
};

/* Neither lost nor delayed, unless asked to. */
START_TEST(test_exempt)
{
    for (size_t i = 0; i < sizeof(exemptions) / sizeof(exemptions[0]); i++) {
        const struct exemption *e = &exemptions[i];
        for (int asked = 0; asked < 2; asked++) {
            bool through = e->exempt && !asked;
            struct rig *rig = rig_new(1, asked ? "loss=100% arp=true" : "loss=100%");
            test_inject_bytes(rig->engine, "a", e->bytes, e->length);
            rig_breathe(rig, RIG_START);
            ck_assert_msg(rig->count == through, "case %zu", i);
            ck_assert_uint_eq(rig_counter(rig, "exempt"), through);
            rig_free(rig);
        }
    }
}
END_TEST

START_TEST(test_exempt_not_delayed)
{
    struct rig *rig = rig_new(1, "owd=10ms rate=1kbit duplicate=100% corrupt=100%");
    rig_send_many(rig, 5);
    test_inject_bytes(rig->engine, "a", exemptions[0].bytes, exemptions[0].length);
    engine_breathe(rig->engine);
    size_t count;
    struct packet **p = test_collected(rig->engine, "b", &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_mem_eq(p[0]->data, exemptions[0].bytes, exemptions[0].length);
    rig_receive(rig);
    rig_free(rig);
}
END_TEST

/* How many of them there are changes nothing for the others. */
START_TEST(test_exempt_no_index)
{
    struct rig *plain = rig_new(3, "loss=50%"), *mixed = rig_new(3, "loss=50%");
    rig_send_many(plain, 500);
    for (int i = 0; i < 500; i++) {
        rig_send_many(mixed, 1);
        if (i % 3)
            test_inject_bytes(mixed->engine, "a", exemptions[0].bytes, 42);
    }
    rig_breathe(plain, RIG_START);
    rig_breathe(mixed, RIG_START);
    ck_assert_uint_eq(rig_counter(mixed, "reordered"), 0);
    size_t k = 0;
    for (size_t i = 0; i < mixed->count; i++)
        if (mixed->got[i].intact) {
            ck_assert_uint_lt(k, plain->count);
            ck_assert_uint_eq(mixed->got[i].number, plain->got[k++].number);
        }
    ck_assert_uint_eq(k, plain->count);
    rig_free(mixed);
    rig_free(plain);
}
END_TEST

static uint32_t dice(uint64_t *state, uint32_t sides)
{
    *state = *state * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(*state >> 33) % sides;
}

/* Any settings, changed at any time, in breaths of any length: nothing is lost that was
 * not counted, and nothing leaves before it was sent. */
START_TEST(test_anything)
{
    static const char *const parts[] = {
        "owd=3ms ",
        "jitter.half=1ms ",
        "jitter.mode=reorder ",
        "loss=10% ",
        "corrupt=9% ",
        "duplicate.p=20% ",
        "arp=true ",
        "reorder.p=20% reorder.depth=20 ",
        "rate=20mbit queue=3ms ",
        "memory=40KB ",
    };
    enum { PARTS = sizeof(parts) / sizeof(parts[0]) };
    uint64_t state = 1, early = 0;
    struct rig *rig = rig_new(77, "");
    for (int round = 0; round < 300; round++) {
        char settings[512] = "";
        uint32_t choice = dice(&state, 1u << PARTS);
        for (uint32_t i = 0; i < PARTS; i++)
            if (choice >> i & 1)
                strcat(settings, parts[i]);
        rig_set(rig, settings);
        for (int breath = 0; breath < 5; breath++) {
            uint64_t now = rig->engine->now + dice(&state, 2 * MS);
            for (uint32_t n = dice(&state, 60); n; n--)
                rig_send(rig, 22 + dice(&state, 1400), now - dice(&state, MS));
            rig_breathe(rig, now);
        }
        rig_check(rig);
        for (size_t i = 0; i < rig->count; i++)
            early += rig->got[i].timestamp > rig->got[i].seen;
    }
    ck_assert_uint_eq(early, 0);
    ck_assert_uint_gt(rig->count, 20000);
    rig_set(rig, "");
    rig_run(rig, rig->engine->now + S);
    ck_assert_uint_eq(rig_counter(rig, "held"), 0);
    rig_free(rig);
}
END_TEST

static Suite *suite_clumsy_law(void)
{
    Suite *suite = suite_create("clumsy_law");
    TCase *law = tcase_create("law");
    tcase_set_timeout(law, 60); /* sanitizers on a slow machine */
    tcase_add_test(law, test_loss);
    tcase_add_test(law, test_loss_pattern);
    tcase_add_test(law, test_repeatable);
    tcase_add_test(law, test_duplicate);
    tcase_add_test(law, test_duplicate_twice);
    tcase_add_test(law, test_corrupt);
    tcase_add_test(law, test_corrupt_checksum);
    tcase_add_test(law, test_jitter);
    tcase_add_test(law, test_reorder_late);
    tcase_add_test(law, test_reorder_early);
    tcase_add_test(law, test_rhythm);
    tcase_add_test(law, test_anything);
    suite_add_tcase(suite, law);
    TCase *exempt = tcase_create("exempt");
    tcase_add_test(exempt, test_exempt);
    tcase_add_test(exempt, test_exempt_not_delayed);
    tcase_add_test(exempt, test_exempt_no_index);
    suite_add_tcase(suite, exempt);
    return suite;
}

SUITE(clumsy_law)
