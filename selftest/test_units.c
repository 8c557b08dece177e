/* test_units: quantities as people write them, to numbers and back. */
#include "selftest/selftest.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/random.h"
#include "lib/units.h"

#define COUNT(A) (sizeof(A) / sizeof((A)[0]))

struct quantity {
    const char *text;
    int result;
    uint64_t value;
};

static void check_quantities(const struct quantity *rows, size_t n,
                             int (*parse)(const char *, uint64_t *))
{
    for (size_t i = 0; i < n; i++) {
        uint64_t value = 0;
        int result = parse(rows[i].text, &value);
        ck_assert_msg(result == rows[i].result, "\"%s\": result %d, not %d", rows[i].text,
                      result, rows[i].result);
        if (!result)
            ck_assert_msg(value == rows[i].value, "\"%s\": %" PRIu64 ", not %" PRIu64,
                          rows[i].text, value, rows[i].value);
    }
}

/* What no quantity is, whatever its kind. */
static const char *const nonsense[] = {
    "",       " ",   "-",    "+",    ".",    "e5",         "nan",   "NAN",
    "nan(1)", "inf", "-inf", "+inf", "Inf%", "0x10",       "0X1p3", "-0x",
    "1 s",    " 1",  "1 ",   "1..2", "--1",  "1,5",        "1e999", "-1e999",
    "1.5.2",  "ms",  "1x",   "1\n",  "\xff", "1\xc2\xb5s",
};

static void check_nonsense(int (*parse)(const char *, uint64_t *))
{
    for (size_t i = 0; i < COUNT(nonsense); i++) {
        uint64_t value;
        ck_assert_msg(parse(nonsense[i], &value) < 0, "\"%s\" was taken", nonsense[i]);
    }
}

START_TEST(test_duration)
{
    static const struct quantity rows[] = {
        { "0", 0, 0 },
        { "1", 0, 1000000000 },
        { "0.05", 0, 50000000 },
        { "50ms", 0, 50000000 },
        { "50MS", 0, 50000000 },
        { "50msec", 0, 50000000 },
        { "1.5us", 0, 1500 },
        { "2usec", 0, 2000 },
        { "7ns", 0, 7 },
        { "7nsec", 0, 7 },
        { "3s", 0, 3000000000 },
        { "3sec", 0, 3000000000 },
        { "2min", 0, 120000000000 },
        { "1h", 0, 3600000000000 },
        { "1d", 0, 86400000000000 },
        { "1e3ms", 0, 1000000000 },
        { "+5ms", 0, 5000000 },
        { ".5ms", 0, 500000 },
        { "5.ms", 0, 5000000 },
        { "0.4ns", 0, 0 },
        { "0.6ns", 0, 1 },
        { "-0", 0, 0 },
        { "-5ms", -ERANGE, 0 },
        { "-0.1ns", -ERANGE, 0 },
        { "584y", -EINVAL, 0 },
        { "9007199s", 0, 9007199000000000 },
        { "18446744074s", -ERANGE, 0 },
        { "1e30s", -ERANGE, 0 },
        { "10mbit", -EINVAL, 0 },
        { "10%", -EINVAL, 0 },
        { "10p", -EINVAL, 0 },
    };
    check_quantities(rows, COUNT(rows), units_parse_duration);
    check_nonsense(units_parse_duration);
}
END_TEST

START_TEST(test_rate)
{
    static const struct quantity rows[] = {
        { "0", 0, 0 },
        { "1", 0, 1 },
        { "9600bit", 0, 9600 },
        { "10kbit", 0, 10000 },
        { "10mbit", 0, 10000000 },
        { "10Mbit", 0, 10000000 },
        { "2.5gbit", 0, 2500000000 },
        { "1tbit", 0, 1000000000000 },
        { "1kibit", 0, 1024 },
        { "1mibit", 0, 1048576 },
        { "1gibit", 0, 1073741824 },
        { "1bps", 0, 8 },
        { "1kbps", 0, 8000 },
        { "1mbps", 0, 8000000 },
        { "1gbps", 0, 8000000000 },
        { "1kibps", 0, 8192 },
        { "1mibps", 0, 8388608 },
        { "1gibps", 0, 8589934592 },
        { "1e6", 0, 1000000 },
        { "-1mbit", -ERANGE, 0 },
        { "99999999tbit", -ERANGE, 0 },
        { "10m", -EINVAL, 0 },
        { "10ms", -EINVAL, 0 },
        { "10mbit/s", -EINVAL, 0 },
    };
    check_quantities(rows, COUNT(rows), units_parse_rate);
    check_nonsense(units_parse_rate);
}
END_TEST

START_TEST(test_size)
{
    static const struct quantity rows[] = {
        { "0", 0, 0 },
        { "1500", 0, 1500 },
        { "1500b", 0, 1500 },
        { "1k", 0, 1024 },
        { "1kb", 0, 1024 },
        { "64KB", 0, 65536 },
        { "1kib", 0, 1024 },
        { "1.5k", 0, 1536 },
        { "1m", 0, 1048576 },
        { "1mb", 0, 1048576 },
        { "1MiB", 0, 1048576 },
        { "2g", 0, 2147483648 },
        { "2gb", 0, 2147483648 },
        { "2gib", 0, 2147483648 },
        { "9007199254740992", 0, 9007199254740992 },
        { "18446744073709549568", 0, 18446744073709549568u }, /* the last double there */
        { "18446744073709551616", -ERANGE, 0 },
        { "17179869184gb", -ERANGE, 0 },
        { "-1", -ERANGE, 0 },
        { "1bit", -EINVAL, 0 },
        { "1kbit", -EINVAL, 0 },
    };
    check_quantities(rows, COUNT(rows), units_parse_size);
    check_nonsense(units_parse_size);
}
END_TEST

START_TEST(test_percent)
{
    static const struct {
        const char *text;
        int result;
        double value;
    } rows[] = {
        { "1.5%", 0, 0.015 },
        { "100%", 0, 1 },
        { "150%", 0, 1.5 },
        { "0.25", 0, 0.25 },
        { "0", 0, 0 },
        { "-3%", 0, -0.03 },
        { "1e-6%", 0, 1e-8 },
        { "5%%", -EINVAL, 0 },
        { "5 %", -EINVAL, 0 },
        { "%", -EINVAL, 0 },
        { "1e400%", -ERANGE, 0 },
        { "5ms", -EINVAL, 0 },
        { "nan%", -EINVAL },
        { "inf%", -EINVAL, 0 },
        { "0x5%", -EINVAL, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        double value = NAN;
        ck_assert_msg(units_parse_percent(rows[i].text, &value) == rows[i].result,
                      "\"%s\"", rows[i].text);
        if (!rows[i].result)
            ck_assert_double_eq_tol(value, rows[i].value, 1e-15);
    }
}
END_TEST

START_TEST(test_number)
{
    double value;
    ck_assert_int_eq(units_parse_number("-1.25e2", &value), 0);
    ck_assert_double_eq(value, -125);
    ck_assert_int_eq(units_parse_number("0", &value), 0);
    ck_assert_double_eq(value, 0);
    ck_assert_int_eq(units_parse_number("1e-320", &value),
                     0); /* denormal, not an error */
    ck_assert_int_eq(units_parse_number("1e309", &value), -ERANGE);
    ck_assert_int_eq(units_parse_number("-1e309", &value), -ERANGE);
    ck_assert_int_eq(units_parse_number("1%", &value), -EINVAL);
    for (size_t i = 0; i < COUNT(nonsense); i++)
        ck_assert_msg(units_parse_number(nonsense[i], &value) < 0, "\"%s\" was taken",
                      nonsense[i]);
}
END_TEST

START_TEST(test_integer)
{
    static const struct {
        const char *text;
        int result;
        int64_t value;
    } rows[] = {
        { "0", 0, 0 },
        { "-0", 0, 0 },
        { "007", 0, 7 },
        { "-12", 0, -12 },
        { "9223372036854775807", 0, INT64_MAX },
        { "-9223372036854775808", 0, INT64_MIN },
        { "9223372036854775808", -ERANGE, 0 },
        { "-9223372036854775809", -ERANGE, 0 },
        { "1.0", -EINVAL, 0 },
        { "1e3", -EINVAL, 0 },
        { "+1", -EINVAL, 0 },
        { "1k", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "-", -EINVAL, 0 },
        { "--1", -EINVAL, 0 },
        { " 1", -EINVAL, 0 },
        { "0x10", -EINVAL, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t value = 77;
        ck_assert_msg(units_parse_integer(rows[i].text, &value) == rows[i].result,
                      "\"%s\"", rows[i].text);
        if (!rows[i].result)
            ck_assert_int_eq(value, rows[i].value);
    }
}
END_TEST

START_TEST(test_limit)
{
    static const struct {
        const char *text;
        int result;
        struct limit limit;
    } rows[] = {
        { "100p", 0, { .packets = 100 } },
        { "100packets", 0, { .packets = 100 } },
        { "1e3P", 0, { .packets = 1000 } },
        { "64KB", 0, { .bytes = 65536 } },
        { "10b", 0, { .bytes = 10 } },
        { "5m", 0, { .bytes = 5242880 } },
        { "100ms", 0, { .ns = 100000000 } },
        { "5min", 0, { .ns = 300000000000 } },
        { "1s", 0, { .ns = 1000000000 } },
        { "0p", 0, { 0 } },
        { "100", -EINVAL, { 0 } }, /* of what? */
        { "-5p", -ERANGE, { 0 } },
        { "-5ms", -ERANGE, { 0 } },
        { "-5KB", -ERANGE, { 0 } },
        { "1e30p", -ERANGE, { 0 } },
        { "99999999999gb", -ERANGE, { 0 } },
        { "10mbit", -EINVAL, { 0 } },
        { "p", -EINVAL, { 0 } },
        { "", -EINVAL, { 0 } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct limit limit;
        int result = units_parse_limit(rows[i].text, &limit);
        ck_assert_msg(result == rows[i].result, "\"%s\": %d", rows[i].text, result);
        if (!result)
            ck_assert_msg(!memcmp(&limit, &rows[i].limit, sizeof(limit)), "\"%s\"",
                          rows[i].text);
    }
}
END_TEST

START_TEST(test_set)
{
    static const struct {
        const char *text, *canonical;
        int result;
        uint64_t set;
    } rows[] = {
        { "0", "0", 0, 1 },
        { "1,3", "1,3", 0, 0xa },
        { "0-3,8", "0-3,8", 0, 0x10f },
        { "3,2,1", "1-3", 0, 0xe },
        { "63", "63", 0, 1ull << 63 },
        { "0-62", "0-62", 0, UINT64_MAX >> 1 },
        { "0-63", "all", 0, UINT64_MAX },
        { "all", "all", 0, UINT64_MAX },
        { "64", NULL, -ERANGE, 0 },
        { "0-99999999999", NULL, -ERANGE, 0 },
        { "3-1", NULL, -EINVAL, 0 },
        { "1,", NULL, -EINVAL, 0 },
        { ",1", NULL, -EINVAL, 0 },
        { "1-", NULL, -EINVAL, 0 },
        { "-1", NULL, -EINVAL, 0 },
        { "0-63x", NULL, -EINVAL, 0 },
        { "all,1", NULL, -EINVAL, 0 },
        { "", NULL, -EINVAL, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t set;
        char text[200];
        int result = units_parse_set(rows[i].text, &set);
        ck_assert_msg(result == rows[i].result, "\"%s\": %d", rows[i].text, result);
        if (result)
            continue;
        ck_assert_msg(set == rows[i].set, "\"%s\"", rows[i].text);
        ck_assert_str_eq(units_format_set(text, sizeof(text), set), rows[i].canonical);
    }
    char text[200], small[4];
    ck_assert_uint_eq(strlen(units_format_set(text, sizeof(text), 0x5555555555555555)),
                      90);
    ck_assert_str_eq(units_format_set(small, sizeof(small), 0x5555555555555555), "0,2");
}
END_TEST

START_TEST(test_seconds)
{
    uint64_t ns;
    ck_assert_int_eq(units_duration_from_seconds(0.05, &ns), 0);
    ck_assert_uint_eq(ns, 50000000);
    ck_assert_int_eq(units_duration_from_seconds(0, &ns), 0);
    ck_assert_uint_eq(ns, 0);
    ck_assert_int_eq(units_duration_from_seconds(-1e-12, &ns), -ERANGE);
    ck_assert_int_eq(units_duration_from_seconds(NAN, &ns), -ERANGE);
    ck_assert_int_eq(units_duration_from_seconds(INFINITY, &ns), -ERANGE);
    ck_assert_int_eq(units_duration_from_seconds(1e11, &ns), -ERANGE);
}
END_TEST

START_TEST(test_format)
{
    char text[40];
#define IS(FORMAT, VALUE, TEXT) ck_assert_str_eq(FORMAT(text, sizeof(text), VALUE), TEXT)
    IS(units_format_duration, 0, "0s");
    IS(units_format_duration, 999, "999ns");
    IS(units_format_duration, 1500, "1.5us");
    IS(units_format_duration, 50000000, "50ms");
    IS(units_format_duration, 1000000000, "1s");
    IS(units_format_duration, 90000000000, "90s");
    IS(units_format_duration, 1000000001, "1000.000001ms");
    IS(units_format_duration, 10000000, "10ms");
    IS(units_format_duration, UINT64_MAX, "18446744073709.551615ms");
    IS(units_format_percent, 0, "0%");
    IS(units_format_percent, 0.015, "1.5%");
    IS(units_format_percent, 1, "100%");
    IS(units_format_percent, 1e-9, "1e-07%");
    IS(units_format_rate, 0, "0bit");
    IS(units_format_rate, 9600, "9.6kbit");
    IS(units_format_rate, 10000000, "10mbit");
    IS(units_format_rate, 1234567891, "1234.567891mbit");
    IS(units_format_rate, 2500000000, "2.5gbit");
    IS(units_format_rate, 1000000000000, "1000gbit");
    IS(units_format_size, 0, "0b");
    IS(units_format_size, 1500, "1500b");
    IS(units_format_size, 1536, "1.5KB");
    IS(units_format_size, 15000, "15000b");
    IS(units_format_size, 65536, "64KB");
    IS(units_format_size, 1048576, "1MB");
    IS(units_format_size, 3221225472, "3GB");
    struct limit limit = { .packets = 100 };
    IS(units_format_limit, &limit, "100p");
    limit = (struct limit){ .bytes = 65536 };
    IS(units_format_limit, &limit, "64KB");
    limit = (struct limit){ .ns = 5000000 };
    IS(units_format_limit, &limit, "5ms");
#undef IS
    ck_assert_str_eq(units_format_duration(text, 4, 123456000), "123");
}
END_TEST

/* What is printed, the parser reads back as the same number. */
static void check_round_trip(uint64_t value,
                             const char *(*format)(char *, size_t, uint64_t),
                             int (*parse)(const char *, uint64_t *))
{
    char text[40];
    uint64_t back;
    format(text, sizeof(text), value);
    ck_assert_msg(!parse(text, &back) && back == value, "%" PRIu64 " as \"%s\"", value,
                  text);
}

START_TEST(test_round_trip)
{
    struct random_key key = random_key(1, "units", "round trip");
    for (uint64_t i = 0; i < 20000; i++) {
        /* Of every magnitude up to 2^50: beyond that, a double has not enough digits. */
        uint64_t value = random_draw(&key, i) >> (14 + i % 50);
        check_round_trip(value, units_format_duration, units_parse_duration);
        check_round_trip(value, units_format_rate, units_parse_rate);
        check_round_trip(value, units_format_size, units_parse_size);
    }
    for (uint64_t i = 0; i < 2000; i++) {
        char text[40];
        double fraction = random_unit(&key, i) * pow(0.1, (double)(i % 8)), back;
        units_format_percent(text, sizeof(text), fraction);
        ck_assert_msg(!units_parse_percent(text, &back), "%s", text);
        ck_assert_double_eq_tol(back / fraction, 1, 1e-8);
    }
}
END_TEST

static Suite *suite_units(void)
{
    Suite *suite = suite_create("units");
    TCase *all = tcase_create("all");
    tcase_add_test(all, test_duration);
    tcase_add_test(all, test_rate);
    tcase_add_test(all, test_size);
    tcase_add_test(all, test_percent);
    tcase_add_test(all, test_number);
    tcase_add_test(all, test_integer);
    tcase_add_test(all, test_limit);
    tcase_add_test(all, test_set);
    tcase_add_test(all, test_seconds);
    tcase_add_test(all, test_format);
    tcase_add_test(all, test_round_trip);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(units)
