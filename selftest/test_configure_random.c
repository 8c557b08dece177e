/* configure, at random: a thousand graphs one after the other, on one core and on two, and
 * not a packet unaccounted for. After every step
 *
 *     made = taken + dropped by apps + dropped on links + drop_unlinked + on links
 *
 * and the arena agrees. */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/random.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

#define STEPS   1000
#define NAMES   8
#define PORTS   3
#define UNLUCKY 13

/* What all apps together did: apps come and go, and their counters with them. */
static uint64_t made, taken, dropped;
static int running; /* starts less stops */
static struct random_key dice;
static uint64_t rolls;

static uint32_t roll(uint32_t sides)
{
    return (uint32_t)(random_draw(&dice, rolls++) % sides);
}

/* --- apps --------------------------------------------------------------------------- */

struct conf {
    int64_t level;
};

static int check_level(const struct conf *conf, struct error *err)
{
    return conf->level == UNLUCKY ? error_set(err, ERROR_RUN, EIO, "unlucky") : 0;
}

static int start(struct app *app, struct error *err)
{
    running++;
    return check_level(app->conf, err);
}

static void stop(struct app *app)
{
    running--;
}

static int reconfigure(struct app *app, const void *conf, struct error *err)
{
    return roll(4) ? check_level(conf, err) : -EOPNOTSUPP;
}

static void feed(struct app *app)
{
    for (uint32_t i = 0; i < app->noutputs; i++)
        for (uint32_t n = roll(200); n; n--) {
            struct packet *p = packet_from_bytes("some packet", 11);
            if (!p)
                return;
            made++;
            link_transmit(app->outputs[i], p);
        }
}

/* To outputs in turn; what comes in while there is none is dropped. */
static void pass(struct app *app)
{
    uint32_t turn = 0;
    for (uint32_t i = 0; i < app->ninputs; i++)
        for (uint32_t n = link_readable(app->inputs[i]); n; n--) {
            dropped += !app->noutputs;
            struct packet *p = link_receive(app->inputs[i]);
            app_transmit(app->noutputs ? app->outputs[turn++ % app->noutputs] : NULL, p);
        }
}

static void take(struct app *app)
{
    for (uint32_t i = 0; i < app->ninputs; i++)
        for (uint32_t n = roll(300); n && !link_empty(app->inputs[i]); n--) {
            taken++;
            packet_free(link_receive(app->inputs[i]));
        }
}

static const struct port any_ports[] = { { "*", PORT_INPUT, "" },
                                         { "*", PORT_OUTPUT, "" },
                                         { NULL } };

static const struct param params[] = {
    PARAM_INTEGER(struct conf, level, "0", "0", "100", "a number"),
    PARAM_END,
};

#define CLASS(NAME, ...)                                                                 \
    {                                                                                    \
        .name = NAME, .doc = "", .ports = any_ports, .params = params,                   \
        .conf_size = sizeof(struct conf), .start = start, .stop = stop, __VA_ARGS__      \
    }

static const struct app_class classes[] = {
    CLASS("Feed", .pull = feed),
    CLASS("FeedChange", .pull = feed, .reconfigure = reconfigure),
    CLASS("Pass", .push = pass),
    CLASS("PassChange", .push = pass, .reconfigure = reconfigure),
    CLASS("Take", .push = take, .reconfigure = reconfigure),
    CLASS("Hold"), /* its inputs fill up */
};

#define CLASSES (sizeof(classes) / sizeof(classes[0]))

/* --- graphs ------------------------------------------------------------------------- */

static const struct app_class *of[NAMES]; /* the class of each name, or NULL */
static int64_t level[NAMES];
static uint32_t cores, core[NAMES];

/* Links as they shall be: from port, from app, to port, to app; and the port taken at the
 * other end. */
static bool leads[NAMES][PORTS];
static uint32_t leads_to[NAMES][PORTS], leads_port[NAMES][PORTS];

static void unlink_all_to(uint32_t app, uint32_t port)
{
    for (uint32_t i = 0; i < NAMES; i++)
        for (uint32_t j = 0; j < PORTS; j++)
            if (leads_to[i][j] == app && leads_port[i][j] == port)
                leads[i][j] = false;
}

/* Some changes of the plan; few, so that much of the graph is kept. */
static void change_plan(void)
{
    for (uint32_t n = 1 + roll(6); n; n--) {
        uint32_t a = roll(NAMES), p = roll(PORTS);
        if (cores > 1 && !roll(5))
            core[a] = roll(cores);
        switch (roll(5)) {
        case 0:
            of[a] = roll(4) ? &classes[roll(CLASSES)] : NULL;
            break;
        case 1:
            level[a] = roll(10) ? roll(12) : UNLUCKY;
            break;
        case 2:
            leads[a][p] = false;
            break;
        default:
            leads_to[a][p] = roll(NAMES);
            leads_port[a][p] = roll(PORTS);
            unlink_all_to(leads_to[a][p], leads_port[a][p]);
            leads[a][p] = true;
        }
    }
}

/* So that failures do not go on and on. */
static void be_lucky(void)
{
    for (uint32_t i = 0; i < NAMES; i++)
        level[i] = level[i] == UNLUCKY ? 0 : level[i];
}

static void add_planned_app(struct graph *graph, uint32_t i)
{
    char name[2] = { (char)('a' + i), 0 };
    struct value args = value_table();
    struct error err;
    value_table_add(&args, "level", value_integer(level[i]));
    ck_assert_msg(!graph_add_app(graph, name, of[i], &args, NULL, &err), "%s", err.text);
    value_free(&args);
    ck_assert_int_eq(graph_set_core(graph, name, core[i], &err), 0);
}

static struct graph *planned_graph(void)
{
    struct graph *graph = graph_new();
    uint32_t first = roll(NAMES);
    for (uint32_t i = 0; i < NAMES; i++)
        if (of[(first + i) % NAMES])
            add_planned_app(graph, (first + i) % NAMES);
    for (uint32_t i = 0; i < NAMES; i++)
        for (uint32_t j = 0; j < PORTS; j++) {
            char spec[32];
            if (!leads[i][j] || !of[i] || !of[leads_to[i][j]])
                continue;
            snprintf(spec, sizeof(spec), "%c.p%u -> %c.p%u", 'a' + (int)i, j,
                     'a' + (int)leads_to[i][j], leads_port[i][j]);
            test_link(graph, spec);
        }
    return graph;
}

/* --- the accounts ------------------------------------------------------------------- */

static uint64_t drops_on(const struct engine *engine)
{
    uint64_t drops = 0;
    for (uint32_t i = 0; i < engine->nlinks; i++)
        drops += engine->links[i]->drops;
    return drops;
}

static uint64_t held_on(const struct engine *engine)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < engine->nlinks; i++)
        held += link_held(engine->links[i]);
    return held;
}

/* The links there are before a graph is applied. */
static struct link *links_before[NAMES * PORTS];
static uint64_t drops_before[NAMES * PORTS];
static uint32_t nbefore;

static void remember_links(const struct engine *engine)
{
    nbefore = engine->nlinks;
    for (uint32_t i = 0; i < nbefore; i++) {
        links_before[i] = engine->links[i];
        drops_before[i] = engine->links[i]->drops;
    }
}

/* Drops of those that it did not take over. */
static uint64_t drops_gone(const struct engine *engine)
{
    uint64_t drops = 0;
    for (uint32_t i = 0; i < nbefore; i++) {
        uint32_t j = 0;
        while (j < engine->nlinks && engine->links[j] != links_before[i])
            j++;
        drops += j == engine->nlinks ? drops_before[i] : 0;
    }
    return drops;
}

static void check_accounts(const struct engine *engine, uint64_t gone_drops,
                           uint32_t in_use, unsigned step)
{
    uint64_t held = held_on(engine);
    ck_assert_msg(made == taken + dropped + drops_on(engine) + gone_drops +
                              engine->counter[ENGINE_DROP_UNLINKED] + held,
                  "step %u: a packet is missing", step);
    ck_assert_msg(arena_in_use() - in_use == held, "step %u: %u in use, %u held", step,
                  arena_in_use() - in_use, (unsigned)held);
    ck_assert_uint_eq((unsigned)running, engine->napps);
}

START_TEST(nothing_gets_lost)
{
    static const char *const names[] = { "one", "two", "three" };
    struct engine *engine = test_engine(1);
    uint32_t in_use = arena_in_use(), failed = 0;
    uint64_t gone_drops = 0, unlinked = 0;
    dice = random_key(1, "configure", names[_i % 3]);
    cores = 1 + (uint32_t)_i / 3;
    if (cores > engine->cores.count) {
        fprintf(stderr, "SKIPPED: this machine has one core\n");
        engine_free(engine);
        return;
    }
    for (unsigned step = 0; step < STEPS; step++) {
        change_plan();
        struct graph *graph = planned_graph();
        struct error err;
        remember_links(engine);
        int error = engine_configure(engine, graph, &err);
        ck_assert_msg(!error || error == -EIO, "%s", err.text);
        gone_drops += drops_gone(engine);
        failed += error != 0;
        if (error)
            be_lucky();
        check_accounts(engine, gone_drops, in_use, step);
        test_breathe(engine, roll(4));
        check_accounts(engine, gone_drops, in_use, step);
    }
    unlinked = engine->counter[ENGINE_DROP_UNLINKED];
    engine_free(engine);
    ck_assert_int_eq(running, 0);
    ck_assert_uint_eq(arena_in_use(), in_use);
    ck_assert_msg(failed > 20 && failed < STEPS / 2, "%u failures", failed);
    ck_assert(made > 10000 && taken > 10000 && dropped && gone_drops && unlinked);
}
END_TEST

static Suite *suite_configure_random(void)
{
    Suite *suite = suite_create("configure_random");
    TCase *tests = tcase_create("configure_random");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, nothing_gets_lost, 0, 6);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(configure_random)
