/* test_clumsy_link: a link that stops or opens in slots, and losses behind the bottleneck. Exact, in virtual time.
 */
#include "selftest/selftest.h"

#include <math.h>
#include <stdlib.h>

#include "apps/clumsy/outage.h"
#include "apps/clumsy/slot.h"
#include "lib/random.h"
#include "selftest/clumsy_rig.h"
#include "lib/statistics.h"

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

/* --- outages ------------------------------------------------------------------------------ */

/* Half-open intervals from the start of the app on, to the packet. */
static void check_down(const char *text, bool (*down)(uint64_t ms))
{
    struct rig *rig = rig_new(1, text);
    rig_send_paced(rig, 3000, 100, MS);
    rig_run(rig, RIG_START + 4 * S);
    uint64_t wrong = 0, at = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        bool came = at < rig->count && rig->got[at].number == i;
        wrong += came == down(i);
        at += came;
    }
    ck_assert_msg(!wrong, "%lu wrong, %s", (unsigned long)wrong, text);
    ck_assert_uint_eq(rig_counter(rig, "drop_down"), 3000 - rig->count);
    rig_free(rig);
}

static bool never(uint64_t ms)
{
    return false;
}

static bool always(uint64_t ms)
{
    return true;
}

static bool once(uint64_t ms)
{
    return ms >= 500 && ms < 700;
}

static bool from_then(uint64_t ms)
{
    return ms >= 500;
}

static bool at_first(uint64_t ms)
{
    return ms < 200;
}

static bool periods(uint64_t ms)
{
    return ms % 1000 >= 750;
}

START_TEST(test_down)
{
    check_down("", never);
    check_down("down.now=true", always);
    check_down("down.at=500ms down.duration=200ms", once);
    check_down("down.at=500ms", from_then);
    check_down("down.for=200ms", at_first);
    check_down("down.period=1s down.off=250ms", periods);
    check_down("down.period=1s down.duty=75%", periods);
    check_down("down.on=750ms down.off=250ms", periods);
}
END_TEST

static double exponential_cdf(double x, const void *mean)
{
    return 1 - exp(-x / *(const double *)mean);
}

/* Lengths of up and down are exponential and independent, with the means asked for. */
START_TEST(test_down_poisson)
{
    enum { CYCLES = 2000 };
    static double lengths[2][CYCLES];
    struct outage outage = { 0 };
    struct down_conf conf = { .on = "exp 10s", .off = "exp 1s", .duty = 1 };
    outage_configure(&outage, &conf, statistics_seed(4), "wan", S);
    uint64_t time = S;
    for (int i = 0; i < 2 * CYCLES; i++) {
        bool down = outage_at(&outage, time);
        ck_assert(down == (i % 2 == 1));
        if (down)
            ck_assert_uint_eq(outage_over(&outage, time), outage.up.until);
        lengths[i % 2][i / 2] = (double)(outage.up.until - outage.up.since);
        time = outage.up.until;
    }
    for (int down = 0; down < 2; down++) {
        double mean = down ? 1e9 : 1e10, twice = 2 * mean;
        double seen = mean_of(lengths[down], CYCLES);
        ck_assert_double_lt(fabs(seen - mean), 5 * mean / sqrt(CYCLES));
        ck_assert_double_lt(fabs(correlation_of(lengths[down], CYCLES, 1)),
                            5 / sqrt(CYCLES));
        ck_assert_double_lt(ks_distance(lengths[down], CYCLES, exponential_cdf, &mean),
                            ks_limit(CYCLES));
        ck_assert_double_gt(ks_distance(lengths[down], CYCLES, exponential_cdf, &twice),
                            ks_limit(CYCLES));
    }
}
END_TEST

/* A schedule goes on where it is when other parameters change, and packets find it so whether
 * they come often or seldom. */
START_TEST(test_down_goes_on)
{
    struct outage often = { 0 }, seldom = { 0 };
    struct down_conf conf = { .on = "exp 100ms", .off = "uniform 10ms 30ms", .duty = 1 };
    outage_configure(&often, &conf, 3, "wan", S);
    outage_configure(&seldom, &conf, 3, "wan", S);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        bool down = outage_at(&often, S + i * MS);
        if (i % 50 == 49)
            wrong += outage_at(&seldom, S + i * MS) != down;
        if (i % 1000 == 0)
            outage_configure(&often, &conf, 3, "wan", S);
    }
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

/* hold: what comes meanwhile leaves in the end, in order, as fast as the link goes. */
START_TEST(test_hold)
{
    static const char *const cases[] = {
        "down.at=10ms down.duration=20ms down.queue=hold owd=1ms",
        "down.at=10ms down.duration=20ms down.queue=hold owd=1ms rate=8mbit queue=1s",
        "down.period=30ms down.off=20ms down.queue=hold owd=1ms rate=8mbit queue=1s",
    };
    struct rig *rig = rig_new(1, cases[_i]);
    rig_send_paced(rig, 29, 500, MS); /* half a millisecond each at that rate */
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig->count, 29);
    for (uint64_t i = 0; i < 29; i++) {
        uint64_t us = i < 10 ? 1000 * i : 30000;
        us += !_i ? 0 : i < 10 ? 500 : 500 * (i - 9);
        ck_assert_uint_eq(rig->got[i].number, i);
        ck_assert_msg(rig->got[i].timestamp == RIG_START + MS + us * US, "packet %lu",
                      (unsigned long)i);
    }
    ck_assert_uint_eq(rig_counter(rig, "drop_down"), 0);
    rig_free(rig);
}
END_TEST

/* One way only: the other direction, with the same seed and its own Clumsy, loses nothing. */
START_TEST(test_one_way)
{
    enum { N = 10000 };
    struct rig *rig = rig_pass(1, "loss=100%", N, US), *other = rig_pass(1, "", N, US);
    ck_assert_uint_eq(rig->count, 0);
    ck_assert_uint_eq(other->count, N);
    rig_free(rig);
    rig_free(other);
}
END_TEST

/* --- slots -------------------------------------------------------------------------------- */

/* Departures are slots; at most so many in one, and each is used before the next one is. */
static size_t slots_of(struct rig *rig, uint64_t most_packets, uint64_t most_bytes,
                       double *gaps)
{
    uint64_t packets = 0, bytes = 0, wrong = 0;
    size_t n = 0;
    for (size_t i = 0; i < rig->count; i++) {
        const struct arrival *got = &rig->got[i];
        bool first = !i || got->timestamp != got[-1].timestamp;
        wrong += got->number != i || got->seen != got->timestamp;
        if (first && i)
            gaps[n++] = (double)(got->timestamp - got[-1].timestamp);
        packets = first ? 1 : packets + 1;
        bytes = first ? got->length : bytes + got->length;
        wrong += (most_packets && packets > most_packets) ||
                 (most_bytes && bytes > most_bytes);
    }
    ck_assert_uint_eq(wrong, 0);
    return n;
}

static double uniform_cdf(double x, const void *user)
{
    const double *ends = user;
    return fmin(fmax((x - ends[0]) / (ends[1] - ends[0]), 0), 1);
}

static double normal_law(double x, const void *user)
{
    const double *law = user;
    return normal_cdf((x - law[0]) / law[1]);
}

START_TEST(test_slots)
{
    enum { N = 6000 };
    static double gaps[N];
    double uniform[] = { 2e6, 6e6 }, normal[] = { 4e6, 1e6 };
    struct rig *rig = rig_new(1, _i ? "slot.delay=4ms slot.sd=1ms slot.bytes=300"
                                    : "slot.min=2ms slot.max=6ms slot.packets=3");
    for (int i = 0; i < N; i++)
        rig_send(rig, 100, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + 20 * S);
    ck_assert_uint_eq(rig->count, N);
    size_t n = slots_of(rig, 3, 300, gaps);
    ck_assert_uint_eq(n, N / 3 - 1);
    ck_assert_uint_gt(rig->got[0].timestamp, RIG_START);
    double as_uniform = ks_distance(gaps, n, uniform_cdf, uniform);
    double as_normal = ks_distance(gaps, n, normal_law, normal);
    ck_assert_double_lt(_i ? as_normal : as_uniform, ks_limit(n));
    ck_assert_double_gt(_i ? as_uniform : as_normal, ks_limit(n));
    rig_free(rig);
}
END_TEST

/* Fixed slots: what is ready before one leaves with it, whatever the rest is; delays are counted
 * before. A packet too long for a slot has one of its own. */
START_TEST(test_slots_fixed)
{
    struct rig *rig = rig_new(1, "slot.min=10ms slot.bytes=1000 owd=5ms");
    static const uint64_t sent[] = { 0, 1, 4, 6, 20, 20, 20, 20 },
                          left[] = { 10, 10, 10, 20, 30, 30, 40, 50 };
    static const uint32_t lengths[] = { 100, 100, 100, 100, 500, 500, 1200, 100 };
    for (int i = 0; i < 8; i++) {
        rig_run(rig, RIG_START + sent[i] * MS);
        rig_send(rig, lengths[i], 0);
        rig_breathe(rig, RIG_START + sent[i] * MS);
    }
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig->count, 8);
    for (int i = 0; i < 8; i++)
        ck_assert_msg(rig->got[i].timestamp == RIG_START + left[i] * MS, "packet %d", i);
    rig_set(rig, "owd=5ms"); /* no slots any more */
    rig_send_many(rig, 1);
    rig_breathe(rig, rig->engine->now);
    rig_run(rig, RIG_START + 2 * S);
    ck_assert_uint_eq(rig->got[8].timestamp, RIG_START + S + 5 * MS);
    rig_free(rig);
}
END_TEST

/* --- losses behind the bottleneck --------------------------------------------------------- */

/* They have taken the link's time: those that are left come when they would without losses; of
 * losses at the entry they come earlier. */
START_TEST(test_exit)
{
    enum { N = 10000 };
    static const char *const at[] = {
        "rate=10mbit queue.limit=20000p loss.p=10% loss.at=exit",
        "rate=10mbit queue.limit=20000p loss.p=10%",
        "rate=10mbit queue.limit=20000p loss.p=10% loss.at=exit queue.drop=head",
    };
    struct rig *rig = rig_new(1, at[_i]);
    for (int i = 0; i < N; i++) {
        rig_send(rig, 125, RIG_START);
        if (i % 1000 == 999)
            rig_breathe(rig, RIG_START);
    }
    rig_run(rig, RIG_START + 2 * S);
    uint64_t off = 0;
    for (size_t i = 0; i < rig->count; i++)
        off += rig->got[i].timestamp != RIG_START + (rig->got[i].number + 1) * 100 * US;
    ck_assert(region_contains(region_binomial(N, 0.1), N - rig->count));
    ck_assert(!region_contains(region_binomial(N, 0.2), N - rig->count));
    ck_assert(!region_contains(region_binomial(N, 0.05), N - rig->count));
    ck_assert_uint_eq(rig_counter(rig, "drop_loss"), N - rig->count);
    if (_i == 1)
        ck_assert_uint_gt(off, N / 2);
    else
        ck_assert_uint_eq(off, 0);
    rig_free(rig);
}
END_TEST

static Suite *suite_clumsy_link(void)
{
    Suite *suite = suite_create("clumsy_link");
    TCase *down = tcase_create("down");
    tcase_set_timeout(down, 60);
    tcase_add_test(down, test_down);
    tcase_add_test(down, test_down_poisson);
    tcase_add_test(down, test_down_goes_on);
    tcase_add_loop_test(down, test_hold, 0, 3);
    tcase_add_test(down, test_one_way);
    suite_add_tcase(suite, down);
    TCase *slot = tcase_create("slot");
    tcase_set_timeout(slot, 60);
    tcase_add_loop_test(slot, test_slots, 0, 2);
    tcase_add_test(slot, test_slots_fixed);
    tcase_add_loop_test(slot, test_exit, 0, 3);
    suite_add_tcase(suite, slot);
    return suite;
}

SUITE(clumsy_link)
