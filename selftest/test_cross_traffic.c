/* test_cross_traffic: what is left for others beside a CrossTraffic, and what that does with what
 * they leave to it, on a clock that only the test moves. */
#include <math.h>

#include "apps/apps.h"
#include "selftest/clumsy_rig.h"
#include "selftest/selftest.h"

#define S    1000000000ull
#define MS   1000000ull
#define SIZE 1514u

static struct engine *engine;
static uint64_t received; /* by the user: packets */
static uint64_t started;

static void put_app(struct graph *graph, const char *name, const char *class,
                    const char *settings)
{
    struct value args = rig_settings(settings);
    struct error err;
    ck_assert_msg(!graph_add_app(graph, name, apps_find(class), &args, NULL, &err), "%s",
                  err.text);
    value_free(&args);
}

/* A user's way and that of the CrossTraffic, none with traffic NULL. */
static void configure(const char *way, const char *traffic)
{
    struct graph *graph = graph_new();
    test_app(graph, "user", "Inject", NULL);
    test_app(graph, "far", "Collect", NULL);
    put_app(graph, "way", "Clumsy", way);
    test_link(graph, "user.output -> way.input");
    test_link(graph, "way.output -> far.input");
    if (traffic) {
        put_app(graph, "theirs", "Clumsy", way);
        put_app(graph, "traffic", "CrossTraffic", traffic);
        test_link(graph, "traffic.output -> theirs.input");
        test_link(graph, "theirs.output -> traffic.input");
    }
    test_configure(engine, graph);
}

static uint64_t counter(const char *name)
{
    return test_counter(engine, "traffic", name);
}

static void setup(void)
{
    engine = test_engine(3);
    started = engine_now(engine);
    received = 0;
}

static void teardown(void)
{
    if (engine_find_app(engine, "traffic")) {
        uint64_t held = test_counter(engine, "theirs", "packets") -
                        test_counter(engine, "theirs", "delivered");
        const struct app_class *class = apps_find("Clumsy");
        for (uint32_t i = 0; class->counters[i].name; i++)
            if (!strncmp(class->counters[i].name, "drop_", 5))
                held -= engine_find_app(engine, "theirs")->counters[i];
        uint64_t dropped = test_counter(engine, "theirs", "packets") -
                           test_counter(engine, "theirs", "delivered") - held;
        ck_assert_uint_eq(counter("sent"), counter("received") + dropped + held);
        ck_assert_uint_le(counter("lost") - counter("spurious"), dropped + held);
    }
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

static void send_one(uint64_t time)
{
    struct packet *p = packet_from_bytes((const uint8_t[60]){ 2, 0, 0, 0, 0, 9 }, 60);
    packet_resize(p, SIZE);
    p->timestamp = time;
    test_inject(engine, "user", p);
}

static uint64_t take(void)
{
    size_t n;
    test_collected(engine, "far", &n);
    test_collect_clear(engine, "far");
    received += n;
    return n;
}

/* The user sends at a rate, or, with none, whatever came through is sent again: a saturating
 * flow that neither loses nor waits. Returns bit/s that it got. */
static double run(uint64_t duration, uint64_t rate)
{
    uint64_t from = engine_now(engine), before = received, sent = 0;
    for (uint64_t time = from; time < from + duration; time += MS / 4) {
        engine_set_time(engine, time);
        for (; rate && sent * SIZE * 8 * S / rate <= time - from; sent++)
            send_one(from + sent * SIZE * 8 * S / rate);
        test_breathe(engine, 2);
        for (uint64_t n = take(); n && !rate; n--)
            send_one(time);
    }
    engine_set_time(engine, from + duration);
    return (double)(received - before) * SIZE * 8 * 1e9 / (double)duration;
}

static double run_window(uint64_t duration)
{
    for (int i = 0; i < 20; i++)
        send_one(engine_now(engine));
    return run(duration, 0);
}

#define BOTTLENECK "rate.rate=10mbit rate.shared=x queue=200ms"

static bool within(double value, double wish, double share)
{
    return fabs(value - wish) <= share * wish;
}

/* With 5 of 10 Mbit/s taken, the other 5 are left; without, they are not the half. */
START_TEST(udp_shares)
{
    static const char *const traffic[] = { "kind=udp rate=5mbit",
                                           "kind=udp rate=5mbit flows=7 size=700",
                                           "kind=udp rate=5mbit spacing=poisson", NULL };
    configure(BOTTLENECK, traffic[_i]);
    double got = run_window(20 * S);
    ck_assert_msg(within(got, 5e6, 0.01) == (_i < 3), "%.0f bit/s", got);
    if (_i == 3)
        return;
    ck_assert_uint_eq(counter("lost"), 0);
    ck_assert(within((double)counter("sent_bytes") * 8 / 20, 5e6, _i < 2 ? 0.001 : 0.05));
    ck_assert(within((double)counter("goodput"), 5e6, _i < 2 ? 0.01 : 0.2));
}
END_TEST

/* Exactly the packets that are due, whenever the engine breathes, and in every pause none. Stamped
 * with their times they find no queue, though five of them are made at once. */
START_TEST(udp_times)
{
    configure("rate.rate=10mbit rate.shared=x queue=2500us",
              _i ? "kind=udp rate=1mbit size=1250 on=100ms off=300ms"
                 : "kind=udp rate=1mbit size=1250");
    for (uint64_t ms = 0; ms < 4000; ms += 50) {
        engine_set_time(engine, started + ms * MS + 1);
        test_breathe(engine, 2);
        uint64_t active = _i ? ms / 400 * 100 + (ms % 400 < 100 ? ms % 400 : 100) : ms;
        bool edge =
            _i && ms % 400 >= 100; /* the packet of the next beginning is to come */
        ck_assert_uint_eq(counter("sent"), active / 10 + !edge);
    }
    ck_assert_uint_eq(test_counter(engine, "theirs", "drop_queue"), 0);
}
END_TEST

/* Counts in windows of a Poisson process: their variance is their mean. */
START_TEST(poisson)
{
    double sum = 0, squares = 0;
    uint64_t before = 0;
    configure("owd=0", "kind=udp rate=10mbit size=1250 spacing=poisson"); /* 1 a ms */
    for (int i = 1; i <= 5000; i++) {
        engine_set_time(engine, started + (uint64_t)i * 10 * MS);
        test_breathe(engine, 2);
        double n = (double)(counter("sent") - before);
        before = counter("sent");
        sum += n;
        squares += n * n;
    }
    double mean = sum / 5000, variance = squares / 5000 - mean * mean;
    ck_assert_msg(within(mean, 10, 0.03), "mean %f", mean);
    ck_assert_msg(within(variance, 10, 0.1), "variance %f", variance);
}
END_TEST

/* It takes what there is, gives way to what comes, and takes it again. */
START_TEST(tcp_gives_way)
{
    configure(BOTTLENECK, "kind=tcp rtt=20ms");
    run(10 * S, 1000); /* a packet in 12 s */
    uint64_t alone = counter("received_bytes");
    run(5 * S, 1000);
    double first = (double)(counter("received_bytes") - alone) * 8 / 5;
    double user = run(10 * S, 7000000);
    uint64_t beside = counter("received_bytes");
    run(10 * S, 7000000);
    double second = (double)(counter("received_bytes") - beside) * 8 / 10;
    run(10 * S, 1000);
    uint64_t again = counter("received_bytes");
    run(5 * S, 1000);
    double third = (double)(counter("received_bytes") - again) * 8 / 5;
    ck_assert_msg(within(first, 10e6, 0.02), "alone %.0f", first);
    ck_assert_msg(within(user, 7e6, 0.05), "the user %.0f", user);
    ck_assert_msg(within(second, 3e6, 0.1), "beside %.0f", second);
    ck_assert_msg(within(third, 10e6, 0.02), "again %.0f", third);
}
END_TEST

/* A saturating flow of the user's has everything, but for a TCP beside it: that keeps the queue full. */
START_TEST(tcp_takes_a_share)
{
    configure(BOTTLENECK, _i ? NULL : "kind=tcp rtt=20ms");
    double got = run_window(20 * S);
    ck_assert_msg(within(got, 1.8e6, 0.3) == !_i, "%.0f", got);
    ck_assert_msg(within(got, 10e6, 0.01) == _i, "%.0f", got);
    ck_assert(_i || within((double)counter("received_bytes") * 8 / 20, 10e6 - got, 0.05));
}
END_TEST

/* Half the window on a loss: with a queue of one round trip a link stays busy, with next to none it
 * is used by three quarters (the mean of a half and the whole). */
START_TEST(tcp_sawtooth)
{
    configure(_i ? "rate.rate=10mbit rate.shared=x queue=3p"
                 : "rate.rate=10mbit rate.shared=x queue=100ms",
              "kind=tcp rtt=100ms");
    run(40 * S, 1000);
    uint64_t before = counter("received_bytes");
    run(60 * S, 1000);
    double got = (double)(counter("received_bytes") - before) * 8 / 60;
    ck_assert_msg(within(got, _i ? 7.6e6 : 9.95e6, _i ? 0.06 : 0.01), "%.0f", got);
    ck_assert_uint_eq(counter("timeouts"), 0);
}
END_TEST

/* 1.31 / sqrt(p) packets a round trip, of random losses (Mathis and others, 1997). */
START_TEST(tcp_law)
{
    double p = _i ? 0.002 : 0.0005, rtt = 0.02;
    configure(_i ? "loss=0.2%" : "loss=0.05%", "kind=tcp rtt=20ms");
    run(20 * S, 1000);
    uint64_t before = counter("received");
    run(120 * S, 1000);
    double got = (double)(counter("received") - before) / 120;
    double law = 1.31 / sqrt(p) / rtt;
    ck_assert_msg(within(got, law, 0.1), "%.0f packets a second, not %.0f", got, law);
}
END_TEST

/* Without a path: one packet and patience; with it again, all as before. */
START_TEST(tcp_waits)
{
    configure(BOTTLENECK, "kind=tcp rtt=20ms");
    run(2 * S, 1000);
    configure(BOTTLENECK " down.now=true", "kind=tcp rtt=20ms");
    run(4 * S, 1000);
    uint64_t sent = counter("sent");
    run(3 * S, 1000);
    ck_assert_uint_ge(counter("timeouts"), 4);
    ck_assert_uint_le(counter("sent") - sent, 4);
    configure(BOTTLENECK, "kind=tcp rtt=20ms");
    run(8 * S, 1000);
    ck_assert(within((double)counter("goodput"), 10e6, 0.03));
}
END_TEST

START_TEST(pauses)
{
    configure(BOTTLENECK, "kind=tcp rtt=20ms on=1s off=1s");
    run(20 * S, 1000);
    double got = (double)counter("received_bytes") * 8 / 20;
    ck_assert_msg(got > 3.5e6 && got < 5.5e6, "%.0f", got);
}
END_TEST

/* Another rate from now on, and what is not its own is not taken for that. */
START_TEST(changes)
{
    configure("owd=0", "kind=udp rate=1mbit size=1250");
    run(1 * S, 1000);
    configure("owd=0", "kind=udp rate=2mbit size=1250");
    run(1 * S, 1000);
    ck_assert(counter("sent") >= 299 && counter("sent") <= 302);
    struct app *app = engine_find_app(engine, "traffic");
    link_transmit(app->inputs[0], packet_from_bytes((const uint8_t[60]){ 2 }, 60));
    test_breathe(engine, 1);
    ck_assert_uint_eq(counter("drop_foreign"), 1);
}
END_TEST

static Suite *suite_cross_traffic(void)
{
    Suite *suite = suite_create("cross_traffic");
    TCase *tests = tcase_create("cross_traffic");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, udp_shares, 0, 4);
    tcase_add_loop_test(tests, udp_times, 0, 2);
    tcase_add_test(tests, poisson);
    tcase_add_test(tests, tcp_gives_way);
    tcase_add_loop_test(tests, tcp_takes_a_share, 0, 2);
    tcase_add_loop_test(tests, tcp_sawtooth, 0, 2);
    tcase_add_loop_test(tests, tcp_law, 0, 2);
    tcase_add_test(tests, tcp_waits);
    tcase_add_test(tests, pauses);
    tcase_add_test(tests, changes);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(cross_traffic)
