/* configure: from one graph to the next: what is kept, changed, made, stopped, rolled
 * back, and what becomes of packets on links. test_configure_random.c does it at random.
 */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/apps.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

/* --- an app that tells what is done to it ------------------------------------------- */

#define UNLUCKY     13 /* a level at which start and reconfigure fail */
#define UNSUPPORTED 99 /* one to which nobody changes in place */

struct probe_conf {
    int64_t level;
};

struct probe {
    uint64_t pushes;
};

enum { PUSHES };

static const struct counter_row probe_counters[] = { { "pushes", "" }, { NULL, "" } };

/* "+a1" a started at level 1, "~a2" changed to level 2, "-a" stopped, "!" it failed */
static char story[32768];

static void tell(const char *what, const struct app *app, int64_t level, bool failed)
{
    size_t used = strlen(story), room = sizeof(story) - used;
    int more = *what == '-' ? snprintf(story + used, room, "-%s ", app->name)
                            : snprintf(story + used, room, "%s%s%d%s ", what, app->name,
                                       (int)level, failed ? "!" : "");
    ck_assert_uint_lt((size_t)more, room);
}

static int unlucky(int64_t level, struct error *err)
{
    return level == UNLUCKY ? error_set(err, ERROR_RUN, EIO, "level 13 is unlucky") : 0;
}

static int probe_start(struct app *app, struct error *err)
{
    const struct probe_conf *conf = app->conf;
    int error = unlucky(conf->level, err);
    tell("+", app, conf->level, error);
    return error;
}

static void probe_stop(struct app *app)
{
    tell("-", app, 0, false);
}

static int probe_reconfigure(struct app *app, const void *new, struct error *err)
{
    const struct probe_conf *conf = new;
    int error = conf->level == UNSUPPORTED ? -EOPNOTSUPP : unlucky(conf->level, err);
    tell("~", app, conf->level, error);
    return error;
}

/* Everything to the first output; without one it stays where it is. */
static void probe_push(struct app *app)
{
    struct probe *probe = app->state;
    probe->pushes++;
    app_count(app, PUSHES, 1);
    for (uint32_t i = 0; app->noutputs && i < app->ninputs; i++)
        link_forward(app->inputs[i], app->outputs[0]);
}

static const struct port any_ports[] = { { "*", PORT_INPUT, "" },
                                         { "*", PORT_OUTPUT, "" },
                                         { NULL } };

static const struct param probe_params[] = {
    PARAM_INTEGER(struct probe_conf, level, "0", "0", "100", "a number"),
    PARAM_END,
};

#define PROBE(NAME, RECONFIGURE)                                                         \
    {                                                                                    \
        .name = NAME, .doc = "", .ports = any_ports, .params = probe_params,             \
        .conf_size = sizeof(struct probe_conf), .counters = probe_counters,              \
        .state_size = sizeof(struct probe), .start = probe_start, .stop = probe_stop,    \
        .push = probe_push, .reconfigure = RECONFIGURE                                   \
    }

static const struct app_class probe_class = PROBE("Probe", probe_reconfigure);
static const struct app_class plain_class = PROBE("Plain", NULL);

/* --- fixture ------------------------------------------------------------------------ */

static struct engine *engine;
static struct error err;
static uint32_t in_use;

static void setup(void)
{
    if (!apps_find("Probe")) {
        apps_add(&probe_class, NULL);
        apps_add(&plain_class, NULL);
    }
    engine = test_engine(1);
    in_use = arena_in_use();
    story[0] = 0;
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), in_use);
}

/* What happened since the last call. */
static const char *happened(void)
{
    static char last[sizeof(story)];
    strcpy(last, story);
    story[0] = 0;
    return last;
}

/* A graph of words: "a:1" is a Probe named a at level 1, "a=1" a Plain one, "(a" an
 * Inject, ")a" a Collect; "a.x>b" is a link. */
static struct graph *graph_of(const char *text)
{
    struct graph *graph = graph_new();
    char *words = strdup(text), *rest = words, *word;
    while ((word = strsep(&rest, " "))) {
        char *arrow = strchr(word, '>'), *level = strpbrk(word, ":=");
        if (arrow) {
            char spec[200];
            snprintf(spec, sizeof(spec), "%.*s -> %s", (int)(arrow - word), word,
                     arrow + 1);
            test_link(graph, spec);
        } else if (level) {
            const char *class = *level == ':' ? "Probe" : "Plain";
            *level = 0;
            test_app(graph, word, class, "level", level + 1, NULL);
        } else if (*word) {
            test_app(graph, word + 1, *word == '(' ? "Inject" : "Collect", NULL);
        }
    }
    free(words);
    return graph;
}

static void configure(const char *text)
{
    test_configure(engine, graph_of(text));
}

static void configure_fails(const char *text, int error, const char *message)
{
    uint64_t configs = engine->counter[ENGINE_CONFIGS];
    ck_assert_int_eq(engine_configure(engine, graph_of(text), &err), error);
    ck_assert_str_eq(err.text, message);
    ck_assert_uint_eq(engine->counter[ENGINE_CONFIGS], configs);
    ck_assert_uint_eq(counters_generation(engine->counters) % 2, 0);
}

static struct app *app_at(const char *name)
{
    struct app *app = engine_find_app(engine, name);
    ck_assert_msg(app != NULL, "no app %s", name);
    return app;
}

static struct link *link_at(const char *name)
{
    struct link *link = engine_find_link(engine, name);
    ck_assert_msg(link != NULL, "no link %s", name);
    ck_assert_str_eq(link->name, name);
    return link;
}

static int64_t level_of(const char *name)
{
    return ((const struct probe_conf *)app_at(name)->conf)->level;
}

/* Puts packets with the timestamps first, first + 1 ... on a link. */
static void put(const char *name, uint64_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct packet *p = packet_from_bytes("frame", 5);
        ck_assert_ptr_nonnull(p);
        p->timestamp = first + i;
        link_transmit(link_at(name), p);
    }
}

/* The packets on a link have the timestamps first, first + 1 ... */
static void holds(const char *name, uint64_t first, uint32_t n)
{
    struct link *link = link_at(name);
    ck_assert_uint_eq(link_readable(link), n);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_uint_eq((*link_slot(link, link->read + i))->timestamp, first + i);
}

/* --- diff --------------------------------------------------------------------------- */

START_TEST(starts_and_stops_in_order)
{
    configure("b:1 a:2 c:3 b>a");
    ck_assert_str_eq(happened(), "+b1 +a2 +c3 ");
    configure("a:2 d:4");
    ck_assert_str_eq(happened(), "+d4 -c -b ");
    ck_assert_ptr_null(engine_find_app(engine, "b"));
    ck_assert_uint_eq(engine->nlinks, 0);
    configure("");
    ck_assert_str_eq(happened(), "-d -a ");
    ck_assert_uint_eq(engine->counter[ENGINE_CONFIGS], 3);
}
END_TEST

START_TEST(same_graph_changes_nothing)
{
    configure("a:1 b=2 a>b");
    put("a.output -> b.input", 0, 10);
    engine_breathe(engine);
    happened();
    const struct app *a = app_at("a"), *b = app_at("b");
    const struct link *link = link_at("a.output -> b.input");
    configure("a:1 b=2 a>b");
    ck_assert_str_eq(happened(), "");
    ck_assert(a == app_at("a") && b == app_at("b"));
    ck_assert_ptr_eq(link, link_at("a.output -> b.input"));
    holds("a.output -> b.input", 0, 10);
    engine_breathe(engine);
    ck_assert_uint_eq(test_counter(engine, "b", "pushes"), 2);
    configure("b=2 a:1 a>b"); /* another order is no difference either */
    ck_assert_str_eq(happened(), "");
    ck_assert(a == app_at("a") && b == app_at("b"));
    holds("a.output -> b.input", 0, 10);
}
END_TEST

START_TEST(parameters_change_in_place)
{
    configure("a:1 b:2 a>b");
    put("a.output -> b.input", 0, 10);
    engine_breathe(engine);
    happened();
    const struct app *a = app_at("a");
    configure("a:5 b:2 a>b");
    ck_assert_str_eq(happened(), "~a5 ");
    ck_assert_ptr_eq(a, app_at("a"));
    ck_assert_int_eq(level_of("a"), 5);
    holds("a.output -> b.input", 0, 10);
    engine_breathe(engine);
    ck_assert_uint_eq(((struct probe *)app_at("a")->state)->pushes, 2);
    configure("a:6 b:2 c:0 a>b b>c"); /* and when the graph changes too */
    ck_assert_str_eq(happened(), "+c0 ~a6 ");
    ck_assert_ptr_eq(a, app_at("a"));
    ck_assert_int_eq(level_of("a"), 6);
    ck_assert_uint_eq(test_counter(engine, "a", "pushes"), 2);
}
END_TEST

START_TEST(replaced_where_it_cannot_change)
{
    configure("a=1 b:2 a>b b>a");
    put("a.output -> b.input", 0, 10);
    put("b.output -> a.input", 50, 10);
    ck_assert_uint_eq(test_counter(engine, "a", "pushes"), 0);
    happened();
    const struct app *b = app_at("b");
    configure("a=2 b:2 a>b b>a");
    ck_assert_str_eq(happened(), "+a2 -a ");
    ck_assert_int_eq(level_of("a"), 2);
    ck_assert_ptr_eq(b, app_at("b"));
    holds("a.output -> b.input", 0, 10); /* both its links keep what they have */
    holds("b.output -> a.input", 50, 10);
    engine_breathe(engine);
    ck_assert_uint_eq(((struct probe *)app_at("a")->state)->pushes, 1);
    ck_assert_uint_eq(test_counter(engine, "a", "pushes"), 1);
}
END_TEST

START_TEST(unsupported_change_replaces)
{
    configure("a:1 b:1 a>b");
    put("a.output -> b.input", 0, 10);
    happened();
    configure("a:99 b:1 a>b");
    ck_assert_str_eq(happened(), "~a99! +a99 -a ");
    ck_assert_int_eq(level_of("a"), UNSUPPORTED);
    ck_assert_ptr_eq(app_at("a")->outputs[0], link_at("a.output -> b.input"));
    holds("a.output -> b.input", 0, 10);
}
END_TEST

START_TEST(another_class_of_the_same_name)
{
    configure("a:1 b:1 a>b");
    put("a.output -> b.input", 0, 10);
    happened();
    configure("a=1 b:1 a>b");
    ck_assert_str_eq(happened(), "+a1 -a ");
    ck_assert_str_eq(app_at("a")->class->name, "Plain");
    holds("a.output -> b.input", 0, 10);
}
END_TEST

START_TEST(ports_follow_the_links)
{
    configure("a:0 b:0 c:0 a.x>b a.m>c");
    ck_assert_uint_eq(app_at("a")->noutputs, 2);
    ck_assert_str_eq(app_at("a")->outputs[0]->from, "m"); /* sorted by name */
    ck_assert_str_eq(app_at("a")->outputs[1]->from, "x");
    configure("a:0 b:0 c:0 a.x>b");
    ck_assert_uint_eq(app_at("a")->noutputs, 1);
    ck_assert_uint_eq(app_at("c")->ninputs, 0);
    configure("a:0 b:0 c:0 a.x>b b.y>c");
    ck_assert_str_eq(app_at("c")->inputs[0]->to, "input");
    ck_assert_ptr_eq(app_at("c")->inputs[0], app_at("b")->outputs[0]);
}
END_TEST

/* --- failure ------------------------------------------------------------------------ */

/* A graph in full swing, to be found unharmed. */
static struct app *old_a, *old_b;
static struct link *old_link;

static void old_graph(void)
{
    configure("a:1 b:2 c=3 a>b");
    put("a.output -> b.input", 0, 10);
    engine_breathe(engine);
    old_a = app_at("a");
    old_b = app_at("b");
    old_link = link_at("a.output -> b.input");
    happened();
}

static void check_old_graph(void)
{
    ck_assert(engine->napps == 3 && engine->nlinks == 1);
    ck_assert(app_at("a") == old_a && app_at("b") == old_b);
    ck_assert_ptr_eq(link_at("a.output -> b.input"), old_link);
    ck_assert(old_a->noutputs == 1 && old_a->outputs[0] == old_link);
    ck_assert(level_of("a") == 1 && level_of("b") == 2 && level_of("c") == 3);
    holds("a.output -> b.input", 0, 10);
    uint64_t pushes = test_counter(engine, "a", "pushes");
    engine_breathe(engine);
    ck_assert_uint_eq(test_counter(engine, "a", "pushes"), pushes + 1);
    ck_assert_uint_eq(((struct probe *)old_a->state)->pushes, pushes + 1);
    ck_assert_uint_eq(test_counter(engine, "c", "pushes"), pushes + 1);
    ck_assert_str_eq(happened(), "");
}

START_TEST(start_fails)
{
    old_graph();
    configure_fails("a:5 b:2 c=3 d:4 e:13 f:6 a>d d>b e>f", -EIO,
                    "app \"e\" (Probe): level 13 is unlucky");
    ck_assert_str_eq(happened(), "+d4 +e13! -e -d ");
    check_old_graph();
    configure("a:1 b:2 c=3 d:4 a>b b>d"); /* and the next one goes well */
    ck_assert_str_eq(happened(), "+d4 ");
}
END_TEST

START_TEST(start_of_a_replacement_fails)
{
    old_graph();
    configure_fails("a:1 b:2 c=13 d:4 a>b", -EIO,
                    "app \"c\" (Plain): level 13 is unlucky");
    ck_assert_str_eq(happened(), "+c13! -c ");
    check_old_graph();
}
END_TEST

START_TEST(reconfigure_fails)
{
    old_graph();
    configure_fails("a:5 b:13 c=4 d:1 a>d", -EIO,
                    "app \"b\" (Probe): level 13 is unlucky");
    ck_assert_str_eq(happened(), "+c4 +d1 ~a5 ~b13! ~a1 -c -d ");
    check_old_graph();
}
END_TEST

START_TEST(unsupported_change_and_then_a_failure)
{
    old_graph();
    configure_fails("a:99 b:13 c=3 a>b", -EIO, "app \"b\" (Probe): level 13 is unlucky");
    ck_assert_str_eq(happened(), "~a99! +a99 ~b13! -a ");
    check_old_graph();
}
END_TEST

START_TEST(impossible_graph)
{
    old_graph();
    configure_fails("a:1 b:2 c=3 d:4 a>b a>d", -EEXIST,
                    "link \"a.output -> d.input\": a.output has a link already "
                    "(\"a.output -> b.input\")");
    ck_assert_str_eq(happened(), "");
    check_old_graph();
}
END_TEST

START_TEST(error_names_the_place)
{
    struct value args = value_table();
    value_table_add(&args, "level", value_integer(UNLUCKY));
    struct graph *graph = graph_new();
    ck_assert_int_eq(graph_add_app(graph, "x", &probe_class, &args, "wan.lua:14", NULL),
                     0);
    value_free(&args);
    ck_assert_int_eq(engine_configure(engine, graph, &err), -EIO);
    ck_assert_str_eq(err.text, "wan.lua:14: app \"x\" (Probe): level 13 is unlucky");
}
END_TEST

static void count_entry(const struct counter_entry *entry, const uint64_t *words,
                        void *user)
{
    ++*(unsigned *)user;
}

static unsigned counter_entries(void)
{
    unsigned n = 0;
    ck_assert(counters_read(engine->counters, count_entry, &n));
    return n;
}

START_TEST(failure_leaves_no_counters_behind)
{
    old_graph();
    unsigned before = counter_entries();
    for (unsigned i = 0; i < 3; i++) {
        configure_fails("a:1 b:13 c=3 d:4 a>d d>b c>a", -EIO,
                        "app \"b\" (Probe): level 13 is unlucky");
        ck_assert_uint_eq(counter_entries(), before);
        ck_assert_uint_eq(counters_value(engine->counters, "apps/d/pushes"), 0);
    }
    configure("");
    ck_assert_uint_eq(counter_entries(), ENGINE_COUNTERS + 1);
}
END_TEST

/* An app for whose counters there is no room was never started, so it is not stopped. */
START_TEST(no_room_for_counters)
{
    static const struct counter_row row[] = { { "x", "" }, { NULL, "" } };
    old_graph();
    while (counters_add(engine->counters, "filler", row))
        ;
    uint64_t *room = counters_add(engine->counters, "filler", NULL);
    configure_fails("a:1 b:2 c=3 d:4 a>b", -ENOSPC,
                    "app \"d\" (Probe): no room for its counters");
    ck_assert_str_eq(happened(), "");
    configure_fails("a:1 b:2 c=3 a>b b>c", -ENOSPC,
                    "no room for the counters of 2 links");
    ck_assert_str_eq(happened(), "");
    ck_assert_ptr_null(room);
    check_old_graph();
}
END_TEST

START_TEST(room_for_half_of_the_counters)
{
    static const struct counter_row row[] = { { "x", "" }, { NULL, "" } };
    uint64_t *words, *last = NULL;
    old_graph();
    while ((words = counters_add(engine->counters, "filler", row)))
        last = words;
    counters_remove(engine->counters, last); /* of the shape of "pushes" */
    configure_fails("a:1 b:2 c=3 d:4 a>b", -ENOSPC,
                    "app \"d\" (Probe): no room for its counters");
    ck_assert_str_eq(happened(), "");
    check_old_graph();
}
END_TEST

/* --- packets on links that go ------------------------------------------------------- */

START_TEST(app_inserted_into_a_link)
{
    configure("(in )out in>out");
    put("in.output -> out.input", 0, 500);
    configure("(in x:0 y:0 )out in>x x>y y>out");
    holds("y.output -> out.input", 0, 500); /* in front of whatever comes by the detour */
    put("in.output -> x.input", 500, 200);
    engine_breathe(engine);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 700);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(p[i]->timestamp, i);
    ck_assert_uint_eq(engine->counter[ENGINE_DROP_UNLINKED], 0);
}
END_TEST

/* What had passed the app is older than what had not. */
START_TEST(app_taken_out_of_a_link)
{
    configure("(in x:0 )out in>x x>out");
    put("x.output -> out.input", 0, 300);
    put("in.output -> x.input", 300, 300);
    configure("(in )out in>out");
    holds("in.output -> out.input", 0, 600);
    ck_assert_uint_eq(engine->counter[ENGINE_DROP_UNLINKED], 0);
}
END_TEST

START_TEST(other_receiver)
{
    configure("a:0 b:0 c:0 a>b");
    put("a.output -> b.input", 0, 20);
    configure("a:0 b:0 c:0 a>c");
    holds("a.output -> c.input", 0, 20);
    ck_assert_uint_eq(engine->counter[ENGINE_DROP_UNLINKED], 0);
}
END_TEST

START_TEST(heir_that_was_there_before)
{
    configure("a:0 b:0 c:0 a>c.one b>c.two");
    put("a.output -> c.one", 50, 20);
    put("b.output -> c.two", 0, 50);
    configure("a:0 b:0 c:0 b>c.two a>c.three");
    holds("b.output -> c.two", 0, 50);
    holds("a.output -> c.three", 50, 20);
}
END_TEST

START_TEST(no_heir)
{
    configure("a:0 b:0 c:0 a>b b>c");
    put("a.output -> b.input", 0, 30);
    put("b.output -> c.input", 0, 12);
    configure("a:0 b:0 c:0 b>c");
    ck_assert_uint_eq(engine->counter[ENGINE_DROP_UNLINKED], 30);
    ck_assert_uint_eq(counters_value(engine->counters, "engine/drop_unlinked"), 30);
    configure("");
    ck_assert_uint_eq(engine->counter[ENGINE_DROP_UNLINKED], 42);
    ck_assert_uint_eq(arena_in_use(), in_use);
}
END_TEST

START_TEST(heir_that_is_full)
{
    configure("a:0 b:0 c:0 a.x>b a.y>c");
    put("a.x -> b.input", 0, 700);
    put("a.y -> c.input", 700, 700);
    configure("a:0 b:0 d:0 a.x>d.p a.y>d.q"); /* b and c are gone: two heirs */
    holds("a.x -> d.p", 0, 700);
    holds("a.y -> d.q", 700, 700);
    configure("a:0 d:0 e:0 a.x>d.p d.q>e");
    ck_assert_uint_eq(engine->counter[ENGINE_DROP_UNLINKED], 700);
    configure("a:0 f=0 g=0 a.x>f f>g");
    holds("a.x -> f.input", 0, 700);
    put("f.output -> g.input", 700, 700);
    configure("a:0 g=0 a.x>g");
    ck_assert_uint_eq(link_readable(link_at("a.x -> g.input")), LINK_SIZE);
    ck_assert_uint_eq(link_at("a.x -> g.input")->drops, 1400 - LINK_SIZE);
}
END_TEST

/* Bytes of the heir are those of the packets, though the ring was not read from its
 * beginning. */
START_TEST(heir_counts_packets_and_bytes)
{
    configure("a:0 b:0 c:0 a>b");
    put("a.output -> b.input", 0, 40);
    for (unsigned i = 0; i < 10; i++)
        packet_free(link_receive(link_at("a.output -> b.input")));
    configure("a:0 b:0 c:0 a>c");
    holds("a.output -> c.input", 10, 30);
    engine_commit_counters(engine);
    ck_assert_uint_eq(
        counters_value(engine->counters, "links/a.output -> c.input/txpackets"), 30);
    ck_assert_uint_eq(
        counters_value(engine->counters, "links/a.output -> c.input/txbytes"), 150);
}
END_TEST

/* --- many --------------------------------------------------------------------------- */

static struct graph *chain(unsigned n, unsigned changed)
{
    struct graph *graph = graph_new();
    char name[NAME_SIZE], spec[200], level[16];
    test_app(graph, "in", "Inject", NULL);
    for (unsigned i = 0; i < n; i++) {
        /* neither in alphabetical order nor in that of adding */
        snprintf(name, sizeof(name), "x%u", i * 7919 % n);
        snprintf(level, sizeof(level), "%u", i * 7919 % n == changed);
        test_app(graph, name, "Probe", "level", level, NULL);
        if (i + 1 < n) {
            snprintf(spec, sizeof(spec), "x%u -> x%u", i, i + 1);
            test_link(graph, spec);
        }
    }
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "in -> x0");
    snprintf(spec, sizeof(spec), "x%u -> out", n - 1);
    test_link(graph, spec);
    return graph;
}

START_TEST(thousand_apps)
{
    size_t count;
    test_configure(engine, chain(1000, 0));
    for (unsigned i = 0; i < 10; i++)
        test_inject_bytes(engine, "in", &i, sizeof(i));
    engine_breathe(engine); /* all the way in one breath */
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 10);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_mem_eq(p[i]->data, &i, sizeof(i));

    const struct app *kept = app_at("x500");
    happened();
    test_configure(engine, chain(1000, 0));
    ck_assert_str_eq(happened(), "");
    test_configure(engine, chain(1000, 77));
    ck_assert_str_eq(happened(), "~x00 ~x771 ");
    ck_assert_ptr_eq(kept, app_at("x500"));
    test_configure(engine, chain(3, 0));
    ck_assert_uint_eq(engine->napps, 5);
    test_configure(engine, chain(1000, 0));
    test_inject_bytes(engine, "in", "x", 1);
    engine_breathe(engine);
    test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 11);
}
END_TEST

static Suite *suite_configure(void)
{
    Suite *suite = suite_create("configure");
    TCase *tests = tcase_create("configure");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, starts_and_stops_in_order);
    tcase_add_test(tests, same_graph_changes_nothing);
    tcase_add_test(tests, parameters_change_in_place);
    tcase_add_test(tests, replaced_where_it_cannot_change);
    tcase_add_test(tests, unsupported_change_replaces);
    tcase_add_test(tests, another_class_of_the_same_name);
    tcase_add_test(tests, ports_follow_the_links);
    tcase_add_test(tests, start_fails);
    tcase_add_test(tests, start_of_a_replacement_fails);
    tcase_add_test(tests, reconfigure_fails);
    tcase_add_test(tests, unsupported_change_and_then_a_failure);
    tcase_add_test(tests, impossible_graph);
    tcase_add_test(tests, error_names_the_place);
    tcase_add_test(tests, failure_leaves_no_counters_behind);
    tcase_add_test(tests, no_room_for_counters);
    tcase_add_test(tests, room_for_half_of_the_counters);
    tcase_add_test(tests, app_inserted_into_a_link);
    tcase_add_test(tests, app_taken_out_of_a_link);
    tcase_add_test(tests, other_receiver);
    tcase_add_test(tests, heir_that_was_there_before);
    tcase_add_test(tests, no_heir);
    tcase_add_test(tests, heir_that_is_full);
    tcase_add_test(tests, heir_counts_packets_and_bytes);
    tcase_add_test(tests, thousand_apps);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(configure)
