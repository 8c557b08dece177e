/* test_bottleneck: the virtual clock is exact, and so is the queue in front of it. */
#include "selftest/selftest.h"

#include "apps/clumsy/bottleneck.h"
#include "lib/random.h"
#include "lib/statistics.h"

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

static struct bottleneck make(uint64_t rate, struct limit limit)
{
    struct bottleneck bottleneck = { 0 };
    struct bottleneck_conf conf = { .rate = rate, .limit = limit };
    bottleneck_configure(&bottleneck, &conf);
    return bottleneck;
}

static struct limit endless(void)
{
    return (struct limit){ .ns = 1000 * S };
}

static uint64_t ceiling(unsigned __int128 a, uint64_t b)
{
    return (uint64_t)((a + b - 1) / b);
}

/* Packet n of a saturated link leaves at 8 * bytes * n / rate, to the nanosecond. */
START_TEST(test_exact)
{
    const uint64_t rates[] = { 7, 56000, 1000003, 10000000, 999999937, 40000000000 };
    for (int k = 0; k < 6; k++) {
        struct bottleneck bottleneck = make(rates[k], (struct limit){ .packets = 1 });
        bottleneck.conf.limit.packets = 0;
        uint64_t departure, bits = 0, wrong = 0;
        for (uint32_t i = 0; i < 20000; i++) {
            uint32_t length = 60 + i * 7919 % 1455;
            bits += 8 * (uint64_t)length;
            wrong += !bottleneck_pass(&bottleneck, S, length, &departure) ||
                     departure != S + ceiling((unsigned __int128)bits * S, rates[k]);
        }
        ck_assert_uint_eq(wrong, 0);
        bottleneck_free(&bottleneck);
    }
}
END_TEST

/* A link that has been idle starts with the arrival, whatever fraction was left. */
START_TEST(test_idle)
{
    struct bottleneck bottleneck = make(3000000000, endless());
    uint64_t departure;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t arrival = S + 1000 * i;
        ck_assert(bottleneck_pass(&bottleneck, arrival, 100, &departure));
        ck_assert_uint_eq(departure, arrival + 267); /* 266.67 */
    }
    bottleneck_free(&bottleneck);
}
END_TEST

static uint64_t time_of(const struct bottleneck_conf *conf, uint32_t length)
{
    struct bottleneck bottleneck = { 0 };
    uint64_t departure;
    bottleneck_configure(&bottleneck, conf);
    ck_assert(bottleneck_pass(&bottleneck, S, length, &departure));
    bottleneck_free(&bottleneck);
    return departure - S;
}

/* At 8 Gbit/s a byte takes 1 ns. */
START_TEST(test_accounting)
{
    struct bottleneck_conf conf = { .rate = 8 * S };
    ck_assert_uint_eq(time_of(&conf, 1514), 1514);
    conf.overhead = 24;
    ck_assert_uint_eq(time_of(&conf, 1514), 1538);
    conf.overhead = -14;
    ck_assert_uint_eq(time_of(&conf, 1514), 1500);
    ck_assert_uint_eq(time_of(&conf, 10), 0);
    conf.overhead = 0;
    conf.count = COUNT_WIRE;
    ck_assert_uint_eq(time_of(&conf, 1514), 1538);
    ck_assert_uint_eq(time_of(&conf, 60), 84);
    ck_assert_uint_eq(time_of(&conf, 42), 84);
    conf.overhead = 4;
    ck_assert_uint_eq(time_of(&conf, 42), 88);
    conf.count = COUNT_L3;
    conf.overhead = 0;
    ck_assert_uint_eq(time_of(&conf, 1514), 1500);
    ck_assert_uint_eq(time_of(&conf, 10), 0);
    /* ATM: whole cells of 48 bytes, 53 on the line; with the 8 bytes of AAL5. */
    conf.overhead = 8;
    conf.cell = 48;
    conf.cell_overhead = 5;
    ck_assert_uint_eq(time_of(&conf, 14 + 40), 53);
    ck_assert_uint_eq(time_of(&conf, 14 + 41), 2 * 53);
    ck_assert_uint_eq(time_of(&conf, 1514), 32 * 53);
}
END_TEST

/* A token bucket: over every window of time t no more than rate * t + burst and a packet; a link
 * that has been idle passes the burst at once, and no more than it. */
START_TEST(test_burst)
{
    enum { N = 3000, LENGTH = 500, BURST = 10000 };
    const uint64_t rate = 8000000; /* a byte takes 1 us */
    static uint64_t departure[N];
    struct bottleneck bottleneck = { 0 };
    struct bottleneck_conf conf = { .rate = rate, .burst = BURST, .limit = endless() };
    struct random_key key = random_key(statistics_seed(2), "burst", "");
    uint64_t time = S, wrong = 0, at_once = 0;
    bottleneck_configure(&bottleneck, &conf);
    for (uint64_t i = 0; i < N; i++) {
        time += i % 50 ? random_draw(&key, i) % (600 * US) : 30 * MS; /* loads of 1.7 */
        wrong += !bottleneck_pass(&bottleneck, time, LENGTH, &departure[i]) ||
                 departure[i] < time;
        at_once += departure[i] == time;
    }
    for (int i = 0; i < N; i++)
        for (int k = i; k < N && k < i + 300; k++) {
            double bytes = (k - i + 1.0) * LENGTH;
            double window = (double)(departure[k] - departure[i]);
            wrong += bytes > window * 1e-3 + BURST + LENGTH;
        }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(at_once, N / 4);
    bottleneck_free(&bottleneck);

    /* The bucket is full at the beginning, also at that of time. */
    for (uint64_t start = 0; start <= 2 * S; start += 2 * S) {
        struct bottleneck idle = { 0 };
        bottleneck_configure(&idle, &conf);
        for (uint64_t i = 0; i < 40; i++) {
            bottleneck_pass(&idle, start, LENGTH, &departure[0]);
            uint64_t late = i < BURST / LENGTH ? 0 : (i + 1) * LENGTH - BURST;
            ck_assert_uint_eq(departure[0], start + late * US);
        }
        bottleneck_free(&idle);
    }
}
END_TEST

static uint64_t accepted(struct bottleneck *bottleneck, uint64_t arrival, uint32_t length,
                         uint64_t offered)
{
    uint64_t sum = 0, departure;
    for (uint64_t i = 0; i < offered; i++)
        sum += bottleneck_pass(bottleneck, arrival, length, &departure);
    return sum;
}

/* Exactly the limit fits, and as much again as has left. */
START_TEST(test_limit_packets)
{
    struct bottleneck bottleneck = make(8000000, (struct limit){ .packets = 100 });
    ck_assert_uint_eq(accepted(&bottleneck, S, 1000, 250), 100);
    ck_assert_uint_eq(bottleneck_packets(&bottleneck), 100);
    ck_assert_uint_eq(accepted(&bottleneck, S + 5 * MS - 1, 1000, 50), 4);
    ck_assert_uint_eq(accepted(&bottleneck, S + 5 * MS, 1000, 50), 1);
    bottleneck_expire(&bottleneck, S + 105 * MS - 1);
    ck_assert_uint_eq(bottleneck_packets(&bottleneck), 1);
    bottleneck_expire(&bottleneck, S + 105 * MS);
    ck_assert_uint_eq(bottleneck_packets(&bottleneck), 0);
    ck_assert_uint_eq(bottleneck.bytes, 0);
    bottleneck_free(&bottleneck);
}
END_TEST

START_TEST(test_limit_bytes)
{
    struct bottleneck bottleneck = make(8000000, (struct limit){ .bytes = 10999 });
    ck_assert_uint_eq(accepted(&bottleneck, S, 1000, 50), 10);
    ck_assert_uint_eq(accepted(&bottleneck, S, 999, 50), 1);
    ck_assert_uint_eq(accepted(&bottleneck, S, 1, 50), 0);
    ck_assert_uint_eq(bottleneck.bytes, 10999);
    bottleneck_free(&bottleneck);
}
END_TEST

/* A packet may wait 10 ms for its turn and no nanosecond longer. */
START_TEST(test_limit_time)
{
    struct bottleneck bottleneck = make(8000000, (struct limit){ .ns = 10 * MS });
    ck_assert_uint_eq(accepted(&bottleneck, S, 1000, 50), 11);
    ck_assert_uint_eq(accepted(&bottleneck, S + MS - 1, 1000, 50), 0);
    ck_assert_uint_eq(accepted(&bottleneck, S + MS, 1000, 50), 1);
    bottleneck_free(&bottleneck);
    /* A third of a nanosecond too long. */
    bottleneck = make(3000000000, (struct limit){ .ns = 266 });
    ck_assert_uint_eq(accepted(&bottleneck, S, 100, 50), 1);
    bottleneck.conf.limit.ns = 267;
    ck_assert_uint_eq(accepted(&bottleneck, S, 100, 50), 1);
    bottleneck_free(&bottleneck);
}
END_TEST

/* An idle link takes anything; a busy one not. */
START_TEST(test_limit_tiny)
{
    const struct limit limits[] = { { .ns = 1 }, { .bytes = 1 }, { .packets = 1 } };
    for (int i = 0; i < 3; i++) {
        struct bottleneck bottleneck = make(8000, limits[i]);
        ck_assert_uint_eq(accepted(&bottleneck, S, 1000, 5), 1);
        ck_assert_uint_eq(accepted(&bottleneck, 2 * S - 2, 1000, 5), 0);
        ck_assert_uint_eq(accepted(&bottleneck, 2 * S, 1000, 5), 1);
        bottleneck_free(&bottleneck);
    }
}
END_TEST

/* With two limits, as the default has, a packet must exceed both. */
START_TEST(test_limit_either)
{
    const struct limit either = { .ns = 100 * MS, .packets = 10 };
    struct bottleneck slow = make(80000, either), fast = make(80000000, either);
    ck_assert_uint_eq(accepted(&slow, S, 1000, 50), 10); /* 1 s */
    ck_assert_uint_eq(accepted(&fast, S, 1000, 5000), 1001);
    bottleneck_free(&slow);
    bottleneck_free(&fast);
}
END_TEST

/* What is queued leaves as it was going to, what follows at the new rate. */
START_TEST(test_change)
{
    struct bottleneck bottleneck = make(3000000000, endless());
    struct bottleneck_conf conf = { .rate = 8000000, .limit = endless() };
    uint64_t departure;
    ck_assert(bottleneck_pass(&bottleneck, S, 100, &departure));
    ck_assert_uint_eq(departure, S + 267);
    bottleneck_configure(&bottleneck, &conf);
    ck_assert_uint_eq(bottleneck_packets(&bottleneck), 1);
    ck_assert(bottleneck_pass(&bottleneck, S, 100, &departure));
    ck_assert_uint_eq(departure, S + 267 + 100000);
    ck_assert(bottleneck_pass(&bottleneck, S, 100, &departure));
    ck_assert_uint_eq(departure, S + 267 + 200000);
    bottleneck_free(&bottleneck);
}
END_TEST

/* Its own bookkeeping is bounded too. */
START_TEST(test_bounded)
{
    struct bottleneck bottleneck = make(8000, endless());
    bottleneck.conf.limit.ns = UINT64_MAX / 2;
    bottleneck.conf.overhead = -99;
    ck_assert_uint_eq(accepted(&bottleneck, S, 100, BOTTLENECK_PACKETS + 5),
                      BOTTLENECK_PACKETS);
    bottleneck_free(&bottleneck);
}
END_TEST

static Suite *suite_bottleneck(void)
{
    Suite *suite = suite_create("bottleneck");
    TCase *clock = tcase_create("clock");
    tcase_add_test(clock, test_exact);
    tcase_add_test(clock, test_idle);
    tcase_add_test(clock, test_accounting);
    tcase_add_test(clock, test_burst);
    tcase_add_test(clock, test_change);
    suite_add_tcase(suite, clock);
    TCase *queue = tcase_create("queue");
    tcase_add_test(queue, test_limit_packets);
    tcase_add_test(queue, test_limit_bytes);
    tcase_add_test(queue, test_limit_time);
    tcase_add_test(queue, test_limit_tiny);
    tcase_add_test(queue, test_limit_either);
    tcase_add_test(queue, test_bounded);
    suite_add_tcase(suite, queue);
    return suite;
}

SUITE(bottleneck)
