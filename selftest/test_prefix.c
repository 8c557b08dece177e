/* prefix: texts in and out, and what a network contains. */
#include "lib/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/random.h"
#include "selftest/selftest.h"

static struct prefix parsed(const char *text)
{
    struct prefix prefix;
    ck_assert_msg(!prefix_parse(&prefix, text), "%s", text);
    return prefix;
}

START_TEST(texts)
{
    static const char *const same[] = { "0.0.0.0/0",          "192.0.2.1/24",
                                        "255.255.255.255/32", "::/0",
                                        "2001:db8::1/64",     "fe80::1/128",
                                        "::ffff:192.0.2.1/96" };
    char text[PREFIX_TEXT_SIZE];
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct prefix prefix = parsed(same[i]);
        ck_assert_str_eq(prefix_format(&prefix, text), same[i]);
    }
    struct prefix host = parsed("10.0.0.1"), host6 = parsed("2001:DB8:0::1");
    ck_assert_str_eq(prefix_format(&host, text), "10.0.0.1/32");
    ck_assert_str_eq(prefix_format(&host6, text), "2001:db8::1/128");
    ck_assert_uint_eq(prefix_size(&host), 4);
    ck_assert_uint_eq(prefix_size(&host6), 16);
    static const char longest[] = "1111:2222:3333:4444:5555:6666:7777:8888/128";
    host6 = parsed(longest);
    ck_assert_str_eq(prefix_format(&host6, text), longest);
}
END_TEST

START_TEST(wrong_texts)
{
    static const char *const wrong[] = {
        "",
        "/",
        "/24",
        "10.0.0",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/x",
        "10.0.0.1/-1",
        "10.0.0.1/+1",
        "10.0.0.1/ 8",
        "10.0.0.1/8 ",
        " 10.0.0.1",
        "10.0.0.1 /8",
        "10.0.0.1//8",
        "10.0.0.1/8/8",
        "10.0.0.1/0x8",
        "10.0.0.1/4294967304",
        "10.0.0.1/18446744073709551624",
        "10.0.0.300",
        "010.0.0.1",
        "10.0.0.1.1",
        "::1/129",
        "::1::1",
        "12345::1",
        "fe80::1%lo",
        "host",
        "10.0.0.1/08.0",
        ":",
    };
    struct prefix prefix = { .bits = 77 };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_msg(prefix_parse(&prefix, wrong[i]) == -EINVAL, "%s", wrong[i]);
        ck_assert_uint_eq(prefix.bits, 77);
    }
}
END_TEST

/* Whatever it is made of: no crash, and what is taken comes out and in again as the same. */
START_TEST(hostile_texts)
{
    static const char letters[] = "0123456789abcdef:./%x -\xff";
    struct random_key key = random_key(1, "prefix", "texts");
    uint64_t draws = 0;
    char again[PREFIX_TEXT_SIZE];
    unsigned taken = 0;
    for (unsigned round = 0; round < 200000; round++) {
        size_t length = random_draw(&key, draws++) % (round % 10 ? 12 : 200);
        char *text = malloc(length + 1); /* its own: the sanitizer sees what is behind */
        for (size_t i = 0; i < length; i++)
            text[i] = letters[random_draw(&key, draws++) % (sizeof(letters) - 1)];
        text[length] = 0;
        struct prefix prefix, other;
        if (!prefix_parse(&prefix, text)) {
            ck_assert_int_eq(prefix_parse(&other, prefix_format(&prefix, again)), 0);
            ck_assert(prefix.family == other.family && prefix.bits == other.bits);
            ck_assert_mem_eq(prefix.address, other.address, sizeof(prefix.address));
            taken++;
        }
        free(text);
    }
    ck_assert_uint_gt(taken, 0);
}
END_TEST

static bool contains(const char *network, const char *text)
{
    struct prefix prefix = parsed(network), host = parsed(text);
    return prefix_contains(&prefix, host.family, host.address);
}

START_TEST(networks)
{
    ck_assert(contains("10.1.2.3/8", "10.255.0.1"));
    ck_assert(!contains("10.1.2.3/8", "11.1.2.3"));
    ck_assert(contains("10.0.0.4/30", "10.0.0.7"));
    ck_assert(!contains("10.0.0.4/30", "10.0.0.8"));
    ck_assert(contains("0.0.0.0/0", "255.1.2.3"));
    ck_assert(contains("10.0.0.1", "10.0.0.1"));
    ck_assert(!contains("10.0.0.1", "10.0.0.0"));
    ck_assert(contains("2001:db8::/33", "2001:db8:7fff::1"));
    ck_assert(!contains("2001:db8::/33", "2001:db8:8000::1"));
    ck_assert(contains("fe80::1/128", "fe80::1"));
    ck_assert(!contains("fe80::1/128", "fe80::"));
    ck_assert(!contains("0.0.0.0/0", "::1"));
    ck_assert(!contains("::/0", "1.2.3.4"));
}
END_TEST

/* Bit by bit, the first that differs decides. */
START_TEST(every_length)
{
    for (int v6 = 0; v6 < 2; v6++)
        for (unsigned bits = 0; bits <= (v6 ? 128 : 32); bits++) {
            struct prefix prefix = parsed(v6 ? "2001:db8::aaaa:5555" : "170.85.1.2");
            prefix.bits = (uint8_t)bits;
            for (unsigned bit = 0; bit < prefix_size(&prefix) * 8; bit++) {
                uint8_t other[16];
                memcpy(other, prefix.address, sizeof(other));
                other[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
                ck_assert_int_eq(prefix_contains(&prefix, prefix.family, other),
                                 bit >= bits);
            }
        }
}
END_TEST

static void check_mapped(const char *text, const char *as_ipv6, unsigned bits,
                         const char *back)
{
    struct prefix prefix = parsed(text), ipv6 = parsed(as_ipv6);
    uint8_t address[16];
    char again[PREFIX_TEXT_SIZE];
    ck_assert_uint_eq(prefix_mapped(&prefix, address), bits);
    ck_assert_mem_eq(address, ipv6.address, sizeof(address));
    prefix = prefix_unmapped(address, bits);
    ck_assert_str_eq(prefix_format(&prefix, again), back);
}

START_TEST(both_families)
{
    check_mapped("192.0.2.1", "::ffff:192.0.2.1", 128, "192.0.2.1/32");
    check_mapped("192.0.2.255/25", "::ffff:192.0.2.128", 121, "192.0.2.128/25");
    check_mapped("255.0.0.0/0", "::ffff:0.0.0.0", 96, "0.0.0.0/0");
    check_mapped("ffff::ffff/15", "fffe::", 15, "fffe::/15");
    check_mapped("ffff::/0", "::", 0, "::/0");
    check_mapped("2001:db8::1", "2001:db8::1", 128, "2001:db8::1/128");
    check_mapped("::ffff:10.1.2.3/104", "::ffff:10.0.0.0", 104, "10.0.0.0/8");
    check_mapped("::ffff:10.1.2.3/95", "::fffe:0:0", 95, "::fffe:0:0/95");
}
END_TEST

static Suite *suite_prefix(void)
{
    Suite *suite = suite_create("prefix");
    TCase *tests = tcase_create("prefix");
    tcase_add_test(tests, texts);
    tcase_add_test(tests, wrong_texts);
    tcase_add_test(tests, hostile_texts);
    tcase_add_test(tests, networks);
    tcase_add_test(tests, every_length);
    tcase_add_test(tests, both_families);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(prefix)
