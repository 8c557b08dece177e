/* test_rate_limiter: the token bucket to the byte, over any length of time. */
#include "selftest/selftest.h"

#include "lib/random.h"
#include "selftest/support.h"

#define SECOND 1000000000ull
#define START  SECOND /* where test_engine's clock stands at first */

static struct engine *engine;

static void setup(void)
{
    engine = test_engine(1);
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

static void limiter_graph(const char *rate, const char *burst, bool linked)
{
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "limiter", "RateLimiter", "rate", rate, burst ? "burst" : NULL, burst,
             NULL);
    test_link(graph, "in -> limiter");
    if (linked) {
        test_app(graph, "out", "Collect", NULL);
        test_link(graph, "limiter -> out");
    }
    test_configure(engine, graph);
}

/* How many of n packets of a length pass at a time. */
static size_t offer(uint64_t time, unsigned n, uint32_t length)
{
    size_t count;
    engine_set_time(engine, time);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = packet_allocate();
        packet_resize(p, length);
        p->timestamp = i;
        test_inject(engine, "in", p);
    }
    test_breathe(engine, 1);
    test_collected(engine, "out", &count);
    test_collect_clear(engine, "out");
    return count;
}

START_TEST(test_bucket)
{
    limiter_graph("8kbit", "1000", true); /* 1,000 bytes per second */
    ck_assert_uint_eq(offer(START, 20, 100), 10);
    ck_assert_uint_eq(offer(START, 1, 14), 0);
    ck_assert_uint_eq(offer(START + SECOND / 10 - 1, 1, 100), 0);
    ck_assert_uint_eq(offer(START + SECOND / 10, 2, 100), 1);
    ck_assert_uint_eq(offer(START + SECOND / 5, 1, 101), 0); /* too long by one byte */
    ck_assert_uint_eq(offer(START + SECOND / 5, 1, 100), 1);
    ck_assert_uint_eq(offer(START + 100 * SECOND, 20, 100),
                      10); /* never more than that */
    ck_assert_uint_eq(offer(START + 200 * SECOND, 1, 1001), 0);
    ck_assert_uint_eq(offer(START + 200 * SECOND, 1, 1000), 1);
    ck_assert_uint_eq(test_counter(engine, "limiter", "drop_rate"),
                      10 + 1 + 1 + 1 + 1 + 10 + 1);
}
END_TEST

START_TEST(test_default_burst)
{
    limiter_graph("1mbit", NULL, true);
    ck_assert_uint_eq(offer(START, 20, 1500), 10);
}
END_TEST

/* A short packet passes where a long one does not; order is kept. */
START_TEST(test_mixed)
{
    limiter_graph("8bit", "150", true);
    for (unsigned i = 0; i < 4; i++) {
        struct packet *p = packet_allocate();
        packet_resize(p, i % 2 ? 20 : 100);
        p->timestamp = i;
        test_inject(engine, "in", p);
    }
    test_breathe(engine, 1);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(p[0]->timestamp, 0);
    ck_assert_uint_eq(p[1]->timestamp, 1);
    ck_assert_uint_eq(p[2]->timestamp, 3);
}
END_TEST

/* The bucket in plain arithmetic of 128 bits, with breaths at odd times: every packet has
 * the same fate, after any time. */
START_TEST(test_exact)
{
    static const struct {
        const char *text;
        uint64_t rate;
    } rates[] = { { "7bit", 7 },
                  { "999999937bit", 999999937 },
                  { "1tbit", 1000000000000 } };
    struct random_key key = random_key(5, "limiter", "test");
    uint64_t burst = 3001, now = START;
    unsigned __int128 tokens = (unsigned __int128)burst * 8 * SECOND;
    unsigned __int128 full = tokens;
    limiter_graph(rates[_i].text, "3001", true);
    for (uint64_t i = 0; i < 3000; i++) {
        /* About half the time that a packet takes. */
        uint64_t scale = 2 * 400 * 8 * SECOND / rates[_i].rate;
        uint64_t step = random_draw(&key, i) % scale;
        uint32_t length = 60 + (uint32_t)(random_draw(&key, ~i) % 1400);
        now += step;
        tokens += (unsigned __int128)step * rates[_i].rate;
        tokens = tokens < full ? tokens : full;
        bool pass = tokens >= (unsigned __int128)length * 8 * SECOND;
        if (pass)
            tokens -= (unsigned __int128)length * 8 * SECOND;
        if (offer(now, 1, length) != pass)
            ck_abort_msg("packet %d should%s pass", (int)i, pass ? "" : " not");
    }
    uint64_t dropped = test_counter(engine, "limiter", "drop_rate");
    ck_assert_uint_gt(dropped, 300);
    ck_assert_uint_lt(dropped, 2700);
}
END_TEST

/* Nothing is rounded: after 20,000 odd steps exactly rate * time has passed. */
START_TEST(test_long_run)
{
    uint64_t passed = 0, step = 333333333; /* ns, which divide nothing */
    limiter_graph("3bit", "64", true);
    uint64_t n = 20000, first = offer(START, 1, 64); /* empties the bucket */
    ck_assert_uint_eq(first, 1);
    for (uint64_t i = 1; i <= n; i++)
        passed += offer(START + i * step, 2, 1);
    ck_assert_uint_eq(passed, n * step * 3 / (8 * SECOND));
}
END_TEST

/* After years of silence, at the highest rate with the deepest bucket: no overflow. */
START_TEST(test_extremes)
{
    limiter_graph("549755813888bit", "64", true); /* 2^39; times 2^25 ns is 2^64 */
    ck_assert_uint_eq(offer(START, 2, 64), 1);
    ck_assert_uint_eq(offer(START + (1 << 25), 2, 64), 1);
    limiter_graph("1tbit", "1GB", true);
    ck_assert_uint_eq(offer(START + SECOND, 10, 1500), 10);
    ck_assert_uint_eq(offer(UINT64_MAX - 1, 10, 1500), 10);
    limiter_graph("1bit", "64", true);
    ck_assert_uint_eq(offer(UINT64_MAX - 1, 2, 64), 1);
    ck_assert_uint_eq(offer(UINT64_MAX, 1, 14), 0);
}
END_TEST

START_TEST(test_reconfigure)
{
    limiter_graph("8kbit", "1000", true);
    const struct app *app = engine_find_app(engine, "limiter");
    ck_assert_uint_eq(offer(START, 20, 100), 10);
    engine_set_time(engine, START + SECOND / 2); /* 500 bytes at the old rate */
    limiter_graph("80kbit", "1000", true);
    ck_assert_ptr_eq(app, engine_find_app(engine, "limiter"));
    ck_assert_uint_eq(offer(START + SECOND / 2, 10, 100), 5);
    ck_assert_uint_eq(offer(START + SECOND / 2 + SECOND / 100, 2, 100), 1); /* the new */
    engine_set_time(engine, START + 10 * SECOND);                           /* full */
    limiter_graph("80kbit", "300", true);
    ck_assert_uint_eq(offer(START + 10 * SECOND, 10, 100), 3);
    limiter_graph("80kbit", "1000", true); /* a deeper bucket is not a fuller one */
    ck_assert_uint_eq(offer(START + 10 * SECOND, 10, 100), 0);
    ck_assert_uint_eq(test_counter(engine, "limiter", "drop_rate"), 10 + 5 + 1 + 7 + 10);
}
END_TEST

START_TEST(test_unlinked)
{
    limiter_graph("1gbit", NULL, false);
    for (unsigned i = 0; i < 100; i++)
        test_inject(engine, "in", packet_allocate());
    test_breathe(engine, 1);
    ck_assert_uint_eq(test_counter(engine, "limiter", "drop_no_output"), 100);
    ck_assert_uint_eq(arena_in_use(), 0);
}
END_TEST

static Suite *suite_rate_limiter(void)
{
    Suite *suite = suite_create("rate_limiter");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, test_bucket);
    tcase_add_test(all, test_default_burst);
    tcase_add_test(all, test_mixed);
    tcase_add_loop_test(all, test_exact, 0, 3);
    tcase_add_test(all, test_long_run);
    tcase_add_test(all, test_extremes);
    tcase_add_test(all, test_reconfigure);
    tcase_add_test(all, test_unlinked);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(rate_limiter)
