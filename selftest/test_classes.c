/* Lint of the class table: what every app class must be, checked for all of them. */
#include <stdlib.h>

#include "apps/apps.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

static bool is_name(const char *name, bool capital)
{
    if (capital ? *name < 'A' || *name > 'Z' : *name < 'a' || *name > 'z')
        return false;
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9') ||
              (capital ? *name >= 'A' && *name <= 'Z' : *name == '_')))
            return false;
    return true;
}

/* A sentence for a person: there, not too long, no full stop. */
static bool is_doc(const char *doc)
{
    return doc && strlen(doc) > 5 && strlen(doc) < 240 && doc[strlen(doc) - 1] != '.';
}

#define for_each_class(CLASS)                                                            \
    for (const struct app_class *const *CLASS = apps_all(); *CLASS; CLASS++)

START_TEST(names_are_unique_and_docs_are_there)
{
    int n = 0;
    for_each_class(class)
    {
        ck_assert_msg(is_name((*class)->name, true), "%s", (*class)->name);
        ck_assert_msg(is_doc((*class)->doc), "%s", (*class)->name);
        ck_assert_ptr_eq(apps_find((*class)->name), *class);
        n++;
    }
    ck_assert_int_ge(n, 14);
    ck_assert_ptr_null(apps_find("NoSuchApp"));
}
END_TEST

START_TEST(every_class_does_something)
{
    for_each_class(class)
    {
        ck_assert_msg((*class)->pull || (*class)->push, "%s moves no packets",
                      (*class)->name);
        ck_assert_msg(!(*class)->conf_size == !(*class)->params, "%s: conf without rows",
                      (*class)->name);
    }
}
END_TEST

START_TEST(ports_are_named_once)
{
    for_each_class(class)
    {
        const struct port *ports = (*class)->ports;
        ck_assert_msg(!ports || ports->name, "%s has no ports", (*class)->name);
        for (const struct port *port = ports; port && port->name; port++) {
            bool any = !strcmp(port->name, "*");
            ck_assert_msg(any || is_name(port->name, false), "%s.%s", (*class)->name,
                          port->name);
            ck_assert_msg(is_doc(port->doc), "%s.%s", (*class)->name, port->name);
            for (const struct port *other = ports; other->name; other++)
                ck_assert_msg(other == port || other->direction != port->direction ||
                                  (!any && strcmp(other->name, port->name)),
                              "%s.%s twice, or beside *", (*class)->name, port->name);
        }
    }
}
END_TEST

START_TEST(counters_are_named_once)
{
    for_each_class(class)
    {
        const struct counter_row *rows = (*class)->counters;
        for (const struct counter_row *row = rows; row && row->name; row++) {
            ck_assert_msg(is_name(row->name, false), "%s.%s", (*class)->name, row->name);
            ck_assert_msg(is_doc(row->doc), "%s.%s", (*class)->name, row->name);
            for (const struct counter_row *other = row + 1; other->name; other++)
                ck_assert_msg(strcmp(other->name, row->name), "%s.%s twice",
                              (*class)->name, row->name);
        }
    }
}
END_TEST

static void check_default(const char *class, const struct param *row, size_t size)
{
    struct error err;
    char *conf = calloc(1, size + sizeof(uint64_t) * 8);
    ck_assert_msg(!param_parse_text(row, row->initial, conf, &err),
                  "%s.%s: default %s: %s", class, row->name, row->initial, err.text);
    if (row->type == PARAM_TYPE_STRING || row->type == PARAM_TYPE_INTERFACE)
        free(*(char **)(conf + row->offset));
    free(conf);
}

/* The other defaults that a choice brings are of rows that there are, and valid. */
static void check_profile(const char *class, const struct param *rows,
                          const struct param_initial *initial, size_t size)
{
    char *conf = calloc(1, size);
    for (; initial->name; initial++) {
        struct value args = value_table(), value = value_string(initial->value);
        struct param one[2] = { { .name = NULL }, PARAM_END };
        for (const struct param *row = rows; row->name; row++)
            if (!strcmp(row->name, initial->name))
                one[0] = *row;
        ck_assert_msg(one[0].name != NULL, "%s: profile: no %s", class, initial->name);
        value_table_add(&args, initial->name, value);
        struct error err;
        ck_assert_msg(!param_parse(one, &args, conf, size, &err), "%s: profile: %s",
                      class, err.text);
        param_free(one, conf);
        value_free(&args);
    }
    free(conf);
}

/* Defaults lie within the bounds, bounds come in pairs, choices are there. */
static void check_rows(const char *class, const struct param *rows, size_t size)
{
    for (const struct param *row = rows; row->name; row++) {
        ck_assert_msg(is_name(row->name, false), "%s.%s", class, row->name);
        if (!param_is_member(row))
            continue;
        ck_assert_msg(is_doc(row->doc), "%s.%s has no doc", class, row->name);
        ck_assert_msg(!row->minimum == !row->maximum, "%s.%s: one bound", class,
                      row->name);
        ck_assert_msg(!row->choices == (row->type != PARAM_TYPE_ENUM), "%s.%s", class,
                      row->name);
        ck_assert_msg(row->offset < size, "%s.%s lies outside", class, row->name);
        for (int i = 0; row->profiles && row->choices[i]; i++)
            check_profile(class, rows, row->profiles[i], size);
        for (const struct param *other = row + 1; other->name; other++)
            ck_assert_msg(strcmp(other->name, row->name), "%s.%s twice", class,
                          row->name);
        if (row->type == PARAM_TYPE_TABLE)
            check_rows(class, row->rows, size);
        else if (row->initial && *row->initial && row->type != PARAM_TYPE_VALUE)
            check_default(class, row, size);
    }
}

START_TEST(parameters_have_docs_and_valid_defaults)
{
    for_each_class(class) if ((*class)->params)
        check_rows((*class)->name, (*class)->params, (*class)->conf_size);
}
END_TEST

/* What a required parameter is given here, so that every class can be tried. */
static struct value arguments_for(const struct app_class *class)
{
    static const char *const given[][3] = {
        { "PcapReader", "file", "/no/such/file.pcap" },
        { "PcapWriter", "file", "/no/such/folder/file.pcap" },
        { "PacketFilter", "filter", "ip" },
        { "RateLimiter", "rate", "1mbit" },
        { "RawSocket", "ifname", "no-such-if" },
        { "Tap", "ifname", "name-that-is-too-long" },
        { "Truncate", "size", "60" },
        { "XdpSocket", "ifname", "no-such-if" },
    };
    struct value args = value_table();
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        if (!strcmp(given[i][0], class->name))
            value_table_add(&args, given[i][1], value_string(given[i][2]));
    return args;
}

/* Start and stop, also a start that fails; breaths with nothing linked; nothing leaks. */
START_TEST(every_class_starts_breathes_and_stops)
{
    int failed = 0;
    for_each_class(class)
    {
        struct engine *engine = test_engine(1);
        struct graph *graph = graph_new();
        struct value args = arguments_for(*class);
        struct error err;
        ck_assert_msg(!graph_add_app(graph, "app", *class, &args, NULL, &err), "%s",
                      err.text);
        value_free(&args);
        failed += engine_configure(engine, graph, &err) != 0;
        test_breathe(engine, 3);
        engine_free(engine);
        ck_assert_msg(arena_in_use() == 0, "%s keeps packets", (*class)->name);
    }
    ck_assert_int_eq(failed, 5); /* the three devices and the two files */
}
END_TEST

static Suite *suite_classes(void)
{
    Suite *suite = suite_create("classes");
    TCase *tcase = tcase_create("classes");
    tcase_add_test(tcase, names_are_unique_and_docs_are_there);
    tcase_add_test(tcase, every_class_does_something);
    tcase_add_test(tcase, ports_are_named_once);
    tcase_add_test(tcase, counters_are_named_once);
    tcase_add_test(tcase, parameters_have_docs_and_valid_defaults);
    tcase_add_test(tcase, every_class_starts_breathes_and_stops);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(classes)
