/* test_clumsy_parameters: what Clumsy refuses to be, and what it is by default. */
#include "selftest/selftest.h"

#include "apps/apps.h"
#include "apps/clumsy/parameters.h"
#include "selftest/clumsy_rig.h"

/* Settings that contradict each other are refused, with the reason. */
START_TEST(test_contradictions)
{
    static const char *const cases[][2] = {
        { "jitter.half=1ms jitter.sd=1ms", "jitter: half (uniform) and sd (the" },
        { "jitter.sd=1ms jitter.dist=uniform", "jitter.sd: a uniform" },
        { "jitter.half=1ms jitter.dist=normal", "jitter.half: only a uniform" },
        { "jitter.floor=1ms", "jitter.floor: there is neither" },
        { "loss.p=1% loss.gemodel.p=1% loss.gemodel.r=1%", "loss: gemodel excludes p" },
        { "loss.burst=2 loss.gemodel.p=1% loss.gemodel.r=1%", "loss: gemodel excludes" },
        { "loss.gemodel.p=1%", "loss.gemodel.r is required" },
        { "loss.p=1% loss.burst=0.5", "loss.burst: a run is at least 1" },
        { "loss.p=90% loss.burst=2", "loss.burst: 90% lost means runs of 9 packets" },
        { "queue=10ms", "queue: only a bottleneck has one" },
        { "reorder.p=1% reorder.mode=early", "reorder.mode: early skips the delay" },
        { "reorder.p=1% reorder.hold=0s", "reorder.hold: 0 holds nothing" },
        { "rate=10gbit owd=600ms",
          "memory: 256MB is not enough for rate, owd and queue" },
        { "latency=10ms", "no parameter \"latency\": some mean one way" },
        { "owd=10ms delay=10ms", "owd and delay are the same: give one" },
        { "owd=10ms jitter.dist=gamma", "jitter.sd: is required by that distribution" },
        { "jitter.table=/nowhere/x.dist", "jitter.table: /nowhere/x.dist: No such file" },
        { "jitter.sd=1ms jitter.corr=10%", "jitter.corr: is for the modes" },
        { "jitter.sd=1ms jitter.dist=pareto jitter.shape=2", "jitter.shape: a Pareto" },
        { "loss.p=1% loss.burst=2 loss.corr=10%", "loss: corr and burst exclude" },
        { "loss.p=10% loss.burst=2 loss.density=5%", "loss: no chain has 10% lost" },
        { "loss.state.p13=60% loss.state.p31=60% loss.state.p32=60%",
          "loss.state: p31 + p32 is more than 100%" },
        { "loss.state.p13=60% loss.state.p31=1% loss.state.p14=60%",
          "loss.state: p13 + p14 is more than 100%" },
        { "loss.onoff.on=20ms", "loss.onoff: takes both on and off" },
        { "loss.onoff.on=often loss.onoff.off=1s", "loss.onoff: \"often\" is not a law" },
        { "loss.p=1% loss.trace=/nowhere", "loss: p, state, onoff and trace exclude" },
        { "loss.trace=/nowhere/at/all", "loss.trace: /nowhere/at/all: No such file" },
        { "drop.filter=nonsense=1", "drop.filter: \"nonsense=1\"" },
        { "match=nonsense=1", "match: \"nonsense=1\"" },
        { "corrupt.p=1% corrupt.ber=1%", "corrupt: p and ber exclude" },
        { "rst.p=1% rst.at=5", "rst: p and at exclude" },
        { "queue.aqm=codel", "queue: only a bottleneck has one" },
        { "rate=1mbit queue.aqm=codel queue.drop=head", "queue: aqm and drop exclude" },
        { "rate=1mbit queue.ecn=true", "queue.ecn: only an aqm marks" },
        { "slot.min=1ms slot.delay=1ms", "slot: min and max (uniform) and delay" },
        { "slot.packets=3", "slot: no time between slots" },
        { "down.period=1s down.off=10ms down.at=1s", "down: at and duration" },
        { "down.at=1s down.queue=hold", "down.queue: hold needs an end" },
        { "down.period=1s down.off=2s", "down: off (or 1 - duty) is a part" },
        { "down.on=1s", "down.on: needs off" },
        { "trace.file=/nowhere/at/all", "trace: /nowhere/at/all: No such file" },
        { "loss=101%", "loss.p: 101% is not within 0%..100%" },
        { "duplicate.copies=2", "duplicate.p is required" },
        { "owd=61s", "owd: 61s is not within 0s..60s" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct graph *graph = graph_new();
        struct value args = rig_settings(cases[i][0]);
        struct error err = { 0 };
        int error = graph_add_app(graph, "wan", apps_find("Clumsy"), &args, NULL, &err);
        error = error ? error : graph_check(graph, &err);
        ck_assert_msg(error && strstr(err.text, cases[i][1]), "%s: %s", cases[i][0],
                      err.text);
        ck_assert_int_eq(err.kind, ERROR_CONFIG);
        value_free(&args);
        graph_free(graph);
    }
}
END_TEST

static struct clumsy_conf parse(const char *settings)
{
    struct clumsy_conf conf;
    struct error err;
    struct value args = rig_settings(settings);
    ck_assert_msg(!param_parse(clumsy_params, &args, &conf, sizeof(conf), &err), "%s",
                  err.text);
    ck_assert_msg(!clumsy_verify(&conf, &err), "%s", err.text);
    value_free(&args);
    return conf;
}

/* A value in place of a table is its first field. */
START_TEST(test_shorthands)
{
    struct clumsy_conf conf = parse("jitter=5ms loss=1% duplicate=2% corrupt=3% "
                                    "reorder=4% rate=10mbit queue=64KB");
    ck_assert_uint_eq(conf.jitter.half, 5000000);
    ck_assert_double_eq(conf.loss.p, 0.01);
    ck_assert_double_eq(conf.duplicate.p, 0.02);
    ck_assert_double_eq(conf.corrupt.p, 0.03);
    ck_assert_double_eq(conf.reorder.p, 0.04);
    ck_assert_uint_eq(conf.rate.rate, 10000000);
    ck_assert_uint_eq(clumsy_queue_limit(&conf).bytes, 65536);
    ck_assert_uint_eq(clumsy_queue_limit(&conf).ns, 0);
}
END_TEST

START_TEST(test_defaults)
{
    struct clumsy_conf conf = parse("");
    ck_assert_int_eq(conf.jitter.mode, JITTER_PROCESS);
    ck_assert_uint_eq(conf.jitter.coherence, 50000000);
    ck_assert_int_eq(conf.duplicate.copies, 1);
    ck_assert_int_eq(conf.corrupt.bits, 1);
    ck_assert_int_eq(conf.reorder.mode, REORDER_LATE);
    ck_assert_int_eq(conf.reorder.depth, 3);
    ck_assert_uint_eq(conf.reorder.hold, 100000000);
    ck_assert_int_eq(conf.reorder.gap, 1);
    ck_assert_double_eq(conf.loss.gemodel.bad, 1);
    ck_assert_int_eq(conf.seed, -1);
    ck_assert_uint_eq(conf.memory, 256 << 20);
    ck_assert_uint_eq(clumsy_queue_limit(&conf).ns, 100000000);
    ck_assert_uint_eq(clumsy_queue_limit(&conf).packets, 10);
}
END_TEST

static Suite *suite_clumsy_parameters(void)
{
    Suite *suite = suite_create("clumsy_parameters");
    TCase *parameters = tcase_create("parameters");
    tcase_add_test(parameters, test_contradictions);
    tcase_add_test(parameters, test_shorthands);
    tcase_add_test(parameters, test_defaults);
    suite_add_tcase(suite, parameters);
    return suite;
}

SUITE(clumsy_parameters)
