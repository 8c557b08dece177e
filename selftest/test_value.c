/* test_value: configuration values, and the map of strings. */
#include "selftest/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/strmap.h"
#include "lib/value.h"

static struct value sample(void)
{
    struct value inner = value_table(), outer = value_table();
    value_table_add(&inner, "p", value_string("1%"));
    value_table_add(&inner, NULL, value_integer(7));
    value_table_add(&outer, "loss", inner);
    value_table_add(&outer, "delay", value_number(0.05));
    value_table_add(&outer, "on", value_bool(true));
    return outer;
}

START_TEST(test_get)
{
    struct value table = sample(), scalar = value_integer(1);
    ck_assert_int_eq(value_get(&table, "delay")->kind, VALUE_NUMBER);
    ck_assert_str_eq(value_get(value_get(&table, "loss"), "p")->string, "1%");
    ck_assert_ptr_null(value_get(&table, "los"));
    ck_assert_ptr_null(value_get(value_get(&table, "loss"), "7")); /* a list item */
    ck_assert_ptr_null(value_get(&scalar, "loss"));
    value_free(&table);
    ck_assert_int_eq(table.kind, VALUE_NIL);
}
END_TEST

START_TEST(test_copy)
{
    struct value table = sample(), copy = value_copy(&table);
    ck_assert(value_equal(&table, &copy));
    ck_assert_ptr_ne(table.table, copy.table);
    ck_assert_ptr_ne(value_get(&table, "loss")->table, value_get(&copy, "loss")->table);
    struct value *inner = (struct value *)value_get(&copy, "loss");
    inner->table->fields[0].value.string[0] = '2';
    ck_assert(!value_equal(&table, &copy));
    ck_assert_str_eq(value_get(value_get(&table, "loss"), "p")->string, "1%");
    value_free(&table);
    value_free(&copy);
}
END_TEST

START_TEST(test_equal)
{
    struct value distinct[] = {
        { VALUE_NIL },      value_bool(false),  value_bool(true),  value_integer(0),
        value_integer(1),   value_number(0),    value_number(0.5), value_string(""),
        value_string("0"),  value_opaque(0),    value_opaque(1),   value_table(),
        value_string("00"), value_integer(-1L),
    };
    size_t n = sizeof(distinct) / sizeof(distinct[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            ck_assert_msg(value_equal(&distinct[i], &distinct[j]) == (i == j), "%zu %zu",
                          i, j);
    for (size_t i = 0; i < n; i++)
        value_free(&distinct[i]);
}
END_TEST

/* A table of fields "a" and "b" and items, given in the order of text: "a1b2" has a = 1,
 * b = 2; "-3" is the list item 3. */
static struct value table_of(const char *text)
{
    struct value table = value_table();
    for (; *text; text += 2) {
        char key[2] = { text[0], 0 };
        value_table_add(&table, *key == '-' ? NULL : key, value_integer(text[1] - '0'));
    }
    return table;
}

START_TEST(test_tables_equal)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        { "a1b2", "b2a1", true },  { "a1b2", "a1b1", false },
        { "a1", "a1b2", false },   { "-1-2", "-1-2", true },
        { "-1-2", "-2-1", false }, { "-1a5-2", "a5-1-2", true },
        { "-1a5", "-1b5", false }, { "-1-2", "-1a2", false },
        { "a1b2", "a1c2", false }, { "-1a1-2", "-1a1a2", false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct value a = table_of(rows[i].a), b = table_of(rows[i].b);
        ck_assert_msg(value_equal(&a, &b) == rows[i].equal, "%s %s", rows[i].a,
                      rows[i].b);
        ck_assert_msg(value_equal(&b, &a) == rows[i].equal, "%s %s", rows[i].b,
                      rows[i].a);
        value_free(&a);
        value_free(&b);
    }
}
END_TEST

START_TEST(test_format)
{
    char text[80];
    struct value table = sample(), empty = value_table();
    ck_assert_str_eq(value_format(text, sizeof(text), &table),
                     "{loss={p=\"1%\", 7}, delay=0.05, on=true}");
    ck_assert_str_eq(value_format(text, sizeof(text), &empty), "{}");
    ck_assert_str_eq(value_format(text, sizeof(text), value_get(&table, "on")), "true");
    struct value nil = { VALUE_NIL }, opaque = value_opaque(3), tenth = value_number(0.1);
    ck_assert_str_eq(value_format(text, sizeof(text), &nil), "nil");
    ck_assert_str_eq(value_format(text, sizeof(text), &opaque), "(an object)");
    ck_assert_str_eq(value_format(text, sizeof(text), &tenth), "0.1");
    value_free(&table);
    value_free(&empty);
}
END_TEST

/* Cut to any size, the text is terminated and the beginning of the whole. */
START_TEST(test_format_cut)
{
    struct value table = sample();
    char whole[80];
    value_format(whole, sizeof(whole), &table);
    for (size_t size = 1; size < sizeof(whole); size++) {
        char *text = malloc(size);
        memset(text, 'x', size);
        value_format(text, size, &table);
        size_t length = strnlen(text, size);
        ck_assert_msg(length < size && !strncmp(text, whole, length), "size %zu", size);
        ck_assert_uint_eq(length, strlen(whole) < size ? strlen(whole) : size - 1);
        free(text);
    }
    value_free(&table);
}
END_TEST

START_TEST(test_strmap)
{
    enum { KEYS = 3000 };
    static char names[KEYS][16];
    struct strmap map = { 0 };
    ck_assert_uint_eq(strmap_get(&map, "key0"), STRMAP_NONE);
    for (uint32_t i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "key%u", i);
        strmap_put(&map, names[i], i);
        ck_assert_uint_le(2 * map.count, map.size);
    }
    ck_assert_uint_eq(map.count, KEYS);
    for (uint32_t i = 0; i < KEYS; i++)
        ck_assert_uint_eq(strmap_get(&map, names[i]), i);
    ck_assert_uint_eq(strmap_get(&map, "key3000"), STRMAP_NONE);
    ck_assert_uint_eq(strmap_get(&map, ""), STRMAP_NONE);
    strmap_put(&map, names[17], 1000000);
    strmap_put(&map, "", 5);
    ck_assert_uint_eq(map.count, KEYS + 1);
    ck_assert_uint_eq(strmap_get(&map, "key17"), 1000000);
    ck_assert_uint_eq(strmap_get(&map, ""), 5);
    strmap_clear(&map);
    ck_assert_uint_eq(strmap_get(&map, "key17"), STRMAP_NONE);
    strmap_put(&map, "again", 1);
    ck_assert_uint_eq(strmap_get(&map, "again"), 1);
    strmap_clear(&map);
}
END_TEST

static Suite *suite_value(void)
{
    Suite *suite = suite_create("value");
    TCase *all = tcase_create("all");
    tcase_add_test(all, test_get);
    tcase_add_test(all, test_copy);
    tcase_add_test(all, test_equal);
    tcase_add_test(all, test_tables_equal);
    tcase_add_test(all, test_format);
    tcase_add_test(all, test_format_cut);
    tcase_add_test(all, test_strmap);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(value)
