/* graph: what a person is told about a graph that cannot be, and the text of links. */
#include "engine/graph.h"

#include <errno.h>
#include <string.h>

#include "apps/apps.h"
#include "lib/random.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

struct fixed_conf {
    int64_t level;
};

static const struct port fixed_ports[] = {
    { "input", PORT_INPUT, "" },
    { "side", PORT_INPUT, "" },
    { "output", PORT_OUTPUT, "" },
    { "monitor", PORT_OUTPUT, "" },
    { NULL },
};

static const struct param fixed_params[] = {
    PARAM_INTEGER(struct fixed_conf, level, "3", "0", "10", "how much"),
    PARAM_END,
};

static int verify_level(const void *conf, struct error *err)
{
    const struct fixed_conf *fixed = conf;
    return fixed->level == 7 ? error_set(err, ERROR_CONFIG, EINVAL, "level 7 is taken")
                             : 0;
}

static const struct app_class fixed_class = {
    .name = "Fixed",
    .doc = "ports with names",
    .ports = fixed_ports,
    .params = fixed_params,
    .conf_size = sizeof(struct fixed_conf),
    .verify = verify_level,
};

static const struct port end_ports[] = { { "input", PORT_INPUT, "" }, { NULL } };
static const struct app_class end_class = { .name = "End",
                                            .doc = "",
                                            .ports = end_ports };

static struct graph *graph;
static struct error err;

static void setup(void)
{
    graph = graph_new();
    memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
    graph_free(graph);
}

static void add(const char *name, const struct app_class *class)
{
    struct value nothing = { 0 };
    ck_assert_msg(!graph_add_app(graph, name, class, &nothing, NULL, &err), "%s",
                  err.text);
}

static void add_link(const char *spec)
{
    ck_assert_msg(!graph_add_link(graph, spec, NULL, &err), "%s", err.text);
}

/* --- apps --------------------------------------------------------------------------- */

START_TEST(app_is_found_with_its_parameters)
{
    struct value args = value_table();
    value_table_add(&args, "level", value_integer(5));
    ck_assert_int_eq(graph_add_app(graph, "a-1_B", &fixed_class, &args, "x.lua:3", &err),
                     0);
    value_free(&args);
    const struct graph_app *app = graph_find_app(graph, "a-1_B");
    ck_assert_ptr_nonnull(app);
    ck_assert_ptr_eq(app->class, &fixed_class);
    ck_assert_str_eq(app->place, "x.lua:3");
    ck_assert_int_eq(((struct fixed_conf *)app->conf)->level, 5);
    ck_assert_ptr_null(graph_find_app(graph, "a-1_b"));
}
END_TEST

static void refuse_name(const char *name, const char *text)
{
    struct value nothing = { 0 };
    ck_assert_int_eq(graph_add_app(graph, name, &fixed_class, &nothing, NULL, &err),
                     -EINVAL);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_str_eq(err.text, text);
    ck_assert_uint_eq(graph->napps, 0);
}

START_TEST(names_that_are_none)
{
    static const char rule[] = ": letters, digits, _ and - only, at most 63";
    static const char *const names[] = { "", "a b", "a.b", "a->b", "caf\xc3\xa9", "a\n" };
    char text[256], longest[NAME_SIZE];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(text, sizeof(text), "app name \"%s\"%s", names[i], rule);
        refuse_name(names[i], text);
    }
    memset(text, 'x', 200);
    text[200] = 0;
    char wanted[400];
    snprintf(wanted, sizeof(wanted), "app name \"%.80s\"%s", text, rule);
    refuse_name(text, wanted);
    text[NAME_SIZE] = 0;
    snprintf(wanted, sizeof(wanted), "app name \"%s\"%s", text, rule);
    refuse_name(text, wanted);
    snprintf(longest, sizeof(longest), "%.63s", text);
    add(longest, &fixed_class);
}
END_TEST

START_TEST(app_names_are_unique)
{
    struct value nothing = { 0 };
    add("wan", &fixed_class);
    ck_assert_int_eq(graph_add_app(graph, "wan", &end_class, &nothing, "b.lua:2", &err),
                     -EEXIST);
    ck_assert_str_eq(err.text, "app \"wan\" is there already");
    ck_assert_int_eq(graph_add_app(graph, "lan", &end_class, &nothing, "b.lua:3", &err),
                     0);
    ck_assert_int_eq(graph_add_app(graph, "lan", &end_class, &nothing, NULL, &err),
                     -EEXIST);
    ck_assert_str_eq(err.text, "app \"lan\" is there already, at b.lua:3");
    ck_assert_uint_eq(graph->napps, 2);
}
END_TEST

START_TEST(parameters_are_refused_with_the_app_in_front)
{
    struct value args = value_table();
    value_table_add(&args, "level", value_integer(11));
    ck_assert_int_lt(graph_add_app(graph, "wan", &fixed_class, &args, NULL, &err), 0);
    ck_assert_str_eq(err.text, "app \"wan\" (Fixed): level: 11 is not within 0..10");
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    value_free(&args);

    args = value_table();
    value_table_add(&args, "level", value_integer(7));
    ck_assert_int_eq(graph_add_app(graph, "wan", &fixed_class, &args, NULL, &err),
                     -EINVAL);
    ck_assert_str_eq(err.text, "app \"wan\" (Fixed): level 7 is taken");
    value_free(&args);
    ck_assert_uint_eq(graph->napps, 0);
    add("wan", &fixed_class); /* the name was not used up */
}
END_TEST

/* --- links and the check ------------------------------------------------------------ */

static void check_refuses(int error, const char *text)
{
    ck_assert_int_eq(graph_check(graph, &err), error);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_str_eq(err.text, text);
    ck_assert_int_eq(graph_check(graph, NULL), error);
}

START_TEST(ports_have_defaults)
{
    add_link("a -> b");
    add_link(" a.monitor  ->  b.side ");
    add_link("a-b->c");
    ck_assert_str_eq(graph->links[0].name, "a.output -> b.input");
    ck_assert_str_eq(graph->links[1].name, "a.monitor -> b.side");
    ck_assert_str_eq(graph->links[2].name, "a-b.output -> c.input");
    add("a", &fixed_class); /* links may come before apps */
    add("b", &fixed_class);
    add("a-b", &fixed_class);
    add("c", &end_class);
    ck_assert_msg(!graph_check(graph, &err), "%s", err.text);
}
END_TEST

START_TEST(same_link_twice)
{
    add_link("a -> b");
    ck_assert_int_eq(graph_add_link(graph, "a.output->b.input", "x.lua:1", &err),
                     -EEXIST);
    ck_assert_str_eq(err.text, "link \"a.output -> b.input\" is there already");
    ck_assert_uint_eq(graph->nlinks, 1);
}
END_TEST

START_TEST(misspelt_app)
{
    add("clumsy", &fixed_class);
    add("sink", &end_class);
    add_link("clumsey -> sink");
    check_refuses(-ENOENT, "link \"clumsey.output -> sink.input\": no app \"clumsey\" "
                           "(did you mean \"clumsy\"?)");
}
END_TEST

START_TEST(unknown_app_and_the_place)
{
    add("clumsy", &fixed_class);
    ck_assert_int_eq(graph_add_link(graph, "clumsy -> x", "wan.lua:7", &err), 0);
    check_refuses(-ENOENT, "wan.lua:7: link \"clumsy.output -> x.input\": no app \"x\"");
}
END_TEST

START_TEST(unknown_ports_list_those_there_are)
{
    add("a", &fixed_class);
    add("b", &fixed_class);
    add_link("a.outptu -> b");
    check_refuses(-ENOENT, "link \"a.outptu -> b.input\": Fixed has no output port "
                           "\"outptu\" (its outputs: output, monitor)");
}
END_TEST

START_TEST(unknown_input_port)
{
    add("a", &fixed_class);
    add("b", &fixed_class);
    add_link("a -> b.output");
    check_refuses(-ENOENT, "link \"a.output -> b.output\": Fixed has no input port "
                           "\"output\" (its inputs: input, side)");
}
END_TEST

START_TEST(no_ports_of_that_direction)
{
    add("a", &end_class);
    add("b", &fixed_class);
    add_link("a -> b");
    check_refuses(-ENOENT, "link \"a.output -> b.input\": End has no output ports");
}
END_TEST

START_TEST(any_port_takes_every_name_but_once)
{
    add("tee", apps_find("Tee"));
    add("a", &fixed_class);
    add("b", &end_class);
    add_link("tee.input -> a.input"); /* the same name on both sides is two ports */
    add_link("a.output -> tee.input");
    ck_assert_msg(!graph_check(graph, &err), "%s", err.text);
    add_link("tee.input -> b");
    check_refuses(-EEXIST, "link \"tee.input -> b.input\": tee.input has a link already "
                           "(\"tee.input -> a.input\")");
}
END_TEST

START_TEST(two_links_into_a_port)
{
    add("a", &fixed_class);
    add("b", &fixed_class);
    add("z", &end_class);
    add_link("a -> z");
    ck_assert_int_eq(graph_add_link(graph, "b -> z", "l.lua:9", &err), 0);
    check_refuses(-EEXIST, "l.lua:9: link \"b.output -> z.input\": z.input has a link "
                           "already (\"a.output -> z.input\")");
}
END_TEST

/* Names of full length in every message: cut perhaps, never beyond the buffer. */
START_TEST(longest_names)
{
    char name[NAME_SIZE], spec[600];
    memset(name, 'n', NAME_SIZE - 1);
    name[NAME_SIZE - 1] = 0;
    add(name, apps_find("Tee"));
    add("a", &end_class);
    add("b", &end_class);
    snprintf(spec, sizeof(spec), "%s.%s -> a", name, name);
    add_link(spec);
    ck_assert_msg(!graph_check(graph, &err), "%s", err.text);
    snprintf(spec, sizeof(spec), "%s.%s -> b", name, name);
    add_link(spec);
    ck_assert_int_eq(graph_check(graph, &err), -EEXIST);
    ck_assert_uint_lt(strlen(err.text), sizeof(err.text));
}
END_TEST

START_TEST(copy_is_equal_and_of_its_own)
{
    struct value args = value_table();
    value_table_add(&args, "level", value_integer(5));
    ck_assert_int_eq(graph_add_app(graph, "a", &fixed_class, &args, "x.lua:3", &err), 0);
    value_free(&args);
    add("b", &end_class);
    ck_assert_int_eq(graph_add_link(graph, "a -> b", "x.lua:4", &err), 0);
    struct graph *copy = graph_copy(graph);
    graph_free(graph);
    graph = copy;
    ck_assert_msg(!graph_check(graph, &err), "%s", err.text);
    ck_assert_uint_eq(graph->napps, 2);
    ck_assert_uint_eq(graph->nlinks, 1);
    ck_assert_int_eq(((struct fixed_conf *)graph_find_app(graph, "a")->conf)->level, 5);
    ck_assert_str_eq(graph->links[0].place, "x.lua:4");
    ck_assert_int_eq(graph_add_link(graph, "a -> b", NULL, &err), -EEXIST);
}
END_TEST

/* --- the text of a link ------------------------------------------------------------- */

static const char *const broken[] = {
    "",
    " ",
    "a",
    "a ->",
    "-> b",
    "->",
    "a - > b",
    "a > b",
    "a. -> b",
    ".output -> b",
    "a -> b.",
    "a -> .input",
    "a b -> c",
    "a -> b c",
    "a -> b -> c",
    "a.b.c -> d",
    "a -> b\n",
    "a\t-> b",
    "a -> \xff",
    "\x80 -> b",
    "a => b",
    "a.output b.input",
};

START_TEST(broken_specs)
{
    struct link_spec spec;
    char text[256];
    ck_assert_int_eq(link_spec_parse(&spec, broken[_i], &err), -EINVAL);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    snprintf(text, sizeof(text), "link \"%s\": not of the form \"app.port -> app.port\"",
             broken[_i]);
    ck_assert_str_eq(err.text, text);
    ck_assert_int_eq(graph_add_link(graph, broken[_i], NULL, NULL), -EINVAL);
    ck_assert_uint_eq(graph->nlinks, 0);
}
END_TEST

START_TEST(spec_lengths)
{
    char text[1000], longest[NAME_SIZE];
    struct link_spec spec;
    memset(longest, 'x', NAME_SIZE - 1);
    longest[NAME_SIZE - 1] = 0;
    snprintf(text, sizeof(text), "%s.%s->%s.%s", longest, longest, longest, longest);
    ck_assert_int_eq(link_spec_parse(&spec, text, &err), 0);
    ck_assert_str_eq(spec.from_app, longest);
    ck_assert_str_eq(spec.from_port, longest);
    ck_assert_str_eq(spec.to_app, longest);
    ck_assert_str_eq(spec.to_port, longest);
    static const char *const formats[] = { "%sx -> b",   "a.%sx -> b", "a -> %sx",
                                           "a -> b.%sx", "%s- -> b",   "%s--> b" };
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof(text), formats[i], longest);
#pragma GCC diagnostic pop
        ck_assert_int_eq(link_spec_parse(&spec, text, &err), -EINVAL);
    }
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    ck_assert_int_eq(link_spec_parse(&spec, text, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "not of the form"));
}
END_TEST

static bool well_formed(const char *name)
{
    size_t length = strlen(name);
    return length && length < NAME_SIZE &&
           strspn(name,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
               length;
}

/* Random texts of the pieces that matter: what is accepted reads the same again. */
START_TEST(random_specs)
{
    static const char *const pieces[] = { "a", "b-", "_", "->", " -> ", ".",
                                          " ", "-",  ">", "\t", "\xff" };
    struct random_key key = random_key(1, "graph", "specs");
    unsigned accepted = 0;
    for (uint64_t n = 0; n < 200000; n++) {
        char text[64] = "", again[600];
        struct link_spec spec, other;
        for (uint64_t i = 0; i < 3 + n % 7; i++)
            strcat(text, pieces[random_draw(&key, 100 * n + i) %
                                (sizeof(pieces) / sizeof(pieces[0]))]);
        if (link_spec_parse(&spec, text, NULL))
            continue;
        accepted++;
        ck_assert(well_formed(spec.from_app) && well_formed(spec.from_port));
        ck_assert(well_formed(spec.to_app) && well_formed(spec.to_port));
        snprintf(again, sizeof(again), "%s.%s -> %s.%s", spec.from_app, spec.from_port,
                 spec.to_app, spec.to_port);
        ck_assert_int_eq(link_spec_parse(&other, again, NULL), 0);
        ck_assert_str_eq(spec.from_app, other.from_app);
        ck_assert_str_eq(spec.from_port, other.from_port);
        ck_assert_str_eq(spec.to_app, other.to_app);
        ck_assert_str_eq(spec.to_port, other.to_port);
    }
    ck_assert_uint_gt(accepted, 1000);
}
END_TEST

START_TEST(replaced_by_two)
{
    struct graph *net = graph_new();
    test_app(net, "a", "Tee", NULL);
    test_app(net, "b", "Tee", NULL);
    test_app(net, "in", "Source", NULL);
    test_app(net, "out", "Sink", NULL);
    test_link(net, "a.x -> b.input");
    test_link(net, "b.y -> a.input");
    ck_assert_int_eq(graph_replace_app(net, "c", NULL, NULL), -ENOENT);
    ck_assert_int_eq(graph_replace_app(net, "a", "in", "out"), 0);
    ck_assert_ptr_null(graph_find_app(net, "a"));
    ck_assert_str_eq(graph_find_app(net, "out")->name, "out");
    ck_assert_uint_eq(net->napps, 3);
    ck_assert_uint_eq(net->nlinks, 2);
    ck_assert_str_eq(net->links[0].name, "in.x -> b.input");
    ck_assert_str_eq(net->links[1].name, "b.y -> out.input");
    ck_assert_int_eq(graph_replace_app(net, "b", NULL, "out"), 0);
    ck_assert_uint_eq(net->nlinks, 1);
    ck_assert_str_eq(net->links[0].name, "in.x -> out.input");
    test_app(net, "a", "Tee", NULL);
    ck_assert_uint_eq(net->napps, 3);
    graph_free(net);
}
END_TEST

static Suite *suite_graph(void)
{
    Suite *suite = suite_create("graph");
    TCase *tests = tcase_create("graph");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, app_is_found_with_its_parameters);
    tcase_add_test(tests, names_that_are_none);
    tcase_add_test(tests, app_names_are_unique);
    tcase_add_test(tests, parameters_are_refused_with_the_app_in_front);
    tcase_add_test(tests, ports_have_defaults);
    tcase_add_test(tests, same_link_twice);
    tcase_add_test(tests, misspelt_app);
    tcase_add_test(tests, unknown_app_and_the_place);
    tcase_add_test(tests, unknown_ports_list_those_there_are);
    tcase_add_test(tests, unknown_input_port);
    tcase_add_test(tests, no_ports_of_that_direction);
    tcase_add_test(tests, any_port_takes_every_name_but_once);
    tcase_add_test(tests, two_links_into_a_port);
    tcase_add_test(tests, longest_names);
    tcase_add_test(tests, copy_is_equal_and_of_its_own);
    tcase_add_loop_test(tests, broken_specs, 0, sizeof(broken) / sizeof(broken[0]));
    tcase_add_test(tests, spec_lengths);
    tcase_add_test(tests, random_specs);
    tcase_add_test(tests, replaced_by_two);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(graph)
