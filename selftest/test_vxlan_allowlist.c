/* VxlanNat's allowlist files: what they say, and forty that say nothing. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/vxlan_nat/allowlist.h"
#include "selftest/selftest.h"

static char path[] = "/tmp/vanguard-allowlist-XXXXXX";
static struct prefix_set *set;
static struct allowlist facts;
static struct error err;

static void setup(void)
{
    strcpy(path + sizeof(path) - 7, "XXXXXX");
    close(mkstemp(path));
    set = NULL;
}

static void teardown(void)
{
    unlink(path);
    prefix_set_free(set);
}

static int read_bytes(const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
    err.text[0] = 0;
    return allowlist_read(path, &set, &facts, &err);
}

static int read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static bool allows(const char *address)
{
    struct prefix prefix;
    uint8_t mapped[16];
    ck_assert_int_eq(prefix_parse(&prefix, address), 0);
    prefix_mapped(&prefix, mapped);
    return set && prefix_set_match(set, mapped, NULL, NULL);
}

START_TEST(what_may_pass)
{
    ck_assert_msg(
        !read_text(
            "{ \"version\": \"1.0\", \"total_ips\": 3, \"colour\": [[1]],"
            "  \"organizations\": ["
            "    { \"name\": \"a\", \"ips\": [\"198.51.100.7\"],"
            "      \"cidrs\": [\"203.0.113.0/24\"], \"note\": \"x\" },"
            "    { \"name\": \"b\", \"ips\": [\"198.51.100.9\"], \"enabled\": false },"
            "    { \"name\": \"c\", \"enabled\": true } ],"
            "  \"flat_ip_list\": [\"198.51.100.7\", \"2001:db8::/32\"] }"),
        "%s", err.text);
    ck_assert(allows("198.51.100.7") && allows("203.0.113.255") && allows("2001:db8::5"));
    ck_assert(!allows("198.51.100.9") && !allows("203.0.114.1") &&
              !allows("2001:db9::1"));
    ck_assert_uint_eq(facts.entries, 4);
    ck_assert_uint_eq(facts.prefixes, 3);
    ck_assert_int_eq(facts.total, 3);
}
END_TEST

/* ::ffff:0:0/96 is all of IPv4 to those who map it; here it is not. */
START_TEST(families_are_apart)
{
    ck_assert_int_eq(read_text("{\"flat_ip_list\": [\"::/0\"]}"), 0);
    ck_assert(allows("2001:db8::1"));
    ck_assert(!allows("192.0.2.1"));
    ck_assert_int_eq(facts.total, -1);
}
END_TEST

static const struct {
    const char *text, *complaint;
} wrongs[] = {
    { "", "expected" },
    { "{", "expected" },
    { "[]", "no JSON object" },
    { "\"192.0.2.1\"", "" },
    { "{}", "no entries" },
    { "{\"flat_ip_list\": []}", "no entries" },
    { "{\"flat_ip_list\": null}", "flat_ip_list is no list" },
    { "{\"flat_ip_list\": \"192.0.2.1\"}", "flat_ip_list is no list" },
    { "{\"flat_ip_list\": {\"a\": \"192.0.2.1\"}}", "flat_ip_list is no list" },
    { "{\"flat_ip_list\": [1]}", "flat_ip_list[1]: \"what is no text\"" },
    { "{\"flat_ip_list\": [null]}", "flat_ip_list[1]" },
    { "{\"flat_ip_list\": [\"\"]}", "flat_ip_list[1]: \"\"" },
    { "{\"flat_ip_list\": [\"192.0.2.1\", \"192.0.2\"]}", "flat_ip_list[2]" },
    { "{\"flat_ip_list\": [\"192.0.2.01\"]}", "192.0.2.01" },
    { "{\"flat_ip_list\": [\"192.0.2.256\"]}", "192.0.2.256" },
    { "{\"flat_ip_list\": [\"192.0.2.0/33\"]}", "192.0.2.0/33" },
    { "{\"flat_ip_list\": [\"192.0.2.0/-1\"]}", "192.0.2.0/-1" },
    { "{\"flat_ip_list\": [\"192.0.2.0/\"]}", "192.0.2.0/" },
    { "{\"flat_ip_list\": [\"192.0.2.1/24\"]}", "bits behind" },
    { "{\"flat_ip_list\": [\"2001:db8::1/32\"]}", "bits behind" },
    { "{\"flat_ip_list\": [\"2001:db8::/129\"]}", "2001:db8::/129" },
    { "{\"flat_ip_list\": [\"2001:db8:::1\"]}", "2001:db8:::1" },
    { "{\"flat_ip_list\": [\"192.0.2.1 \"]}", "192.0.2.1 " },
    { "{\"flat_ip_list\": [\"example.org\"]}", "example.org" },
    { "{\"flat_ip_list\": [\"192.0.2.1\\u0000x\"]}", "" },
    { "{\"flat_ip_list\": [\"192.0.2.1\"],}", "" },
    { "{\"flat_ip_list\": [\"192.0.2.1\"]} x", "end of file" },
    { "{\"flat_ip_list\": [\"192.0.2.1\"], \"flat_ip_list\": []}", "duplicate" },
    { "{\"total_ips\": \"3\", \"flat_ip_list\": [\"192.0.2.1\"]}", "total_ips" },
    { "{\"total_ips\": 1.5, \"flat_ip_list\": [\"192.0.2.1\"]}", "total_ips" },
    { "{\"total_ips\": 99999999999999999999, \"flat_ip_list\": [\"192.0.2.1\"]}", "" },
    { "{\"organizations\": {}}", "organizations is no list" },
    { "{\"organizations\": [1]}", "organizations[1]" },
    { "{\"organizations\": [{}]}", "organizations[1] has no name" },
    { "{\"organizations\": [{\"name\": 1}]}", "organizations[1] has no name" },
    { "{\"organizations\": [{\"name\": \"a\", \"enabled\": 1}]}", "enabled" },
    { "{\"organizations\": [{\"name\": \"a\", \"ips\": 1}]}", "organizations[1].ips" },
    { "{\"organizations\": [{\"name\": \"a\"}, {\"name\": \"b\", \"cidrs\": [\"::/0\", 1]}]}",
      "organizations[2].cidrs[2]" },
    { "\xef\xbb\xbf{\"flat_ip_list\": [\"192.0.2.1\"]}", "" }, /* a byte order mark */
    { "{\"flat_ip_list\": [\"\xff\"]}", "" },                  /* no UTF-8 */
    { "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "deeper than 16" },
};

#define WRONGS (sizeof(wrongs) / sizeof(*wrongs))

START_TEST(a_file_is_refused)
{
    ck_assert_int_ne(read_text(wrongs[_i].text), 0);
    ck_assert_msg(strstr(err.text, wrongs[_i].complaint) && strstr(err.text, path),
                  "%s: %s", wrongs[_i].text, err.text);
}
END_TEST

START_TEST(odd_bytes)
{
    static char deep[200001];
    const char nul[] = "{\"flat_ip_list\": [\"192.0.2.1\"]}\0{";
    ck_assert_int_ne(read_bytes(nul, sizeof(nul)), 0);
    memset(deep, '[', sizeof(deep));
    ck_assert_int_ne(read_bytes(deep, sizeof(deep)), 0);
    /* brackets in words do not nest */
    ck_assert_int_eq(read_text("{\"note\": \"[[[[[[[[[[[[[[[[[[[[\\\"[[[\","
                               " \"flat_ip_list\": [\"192.0.2.1\"]}"),
                     0);
    ck_assert_int_ne(allowlist_read("/nowhere.json", &set, &facts, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "/nowhere.json"));
    ck_assert_int_ne(allowlist_read("/tmp", &set, &facts, &err), 0);
}
END_TEST

START_TEST(many)
{
    enum { COUNT = 65536 };
    char *text = malloc(COUNT * 24 + 64);
    size_t length =
        (size_t)sprintf(text, "{\"total_ips\": %d, \"flat_ip_list\": [", COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        length += (size_t)sprintf(text + length, "%s\"10.%u.%u.%u\"", i ? "," : "",
                                  i >> 14 & 3, i >> 6 & 255, (i & 63) * 4);
    strcpy(text + length, "]}");
    ck_assert_msg(!read_text(text), "%s", err.text);
    ck_assert_uint_eq(facts.prefixes, COUNT);
    for (unsigned i = 0; i < COUNT; i += 97) {
        char address[32];
        snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 14 & 3, i >> 6 & 255,
                 (i & 63) * 4);
        ck_assert(allows(address));
        snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 14 & 3, i >> 6 & 255,
                 (i & 63) * 4 + 1);
        ck_assert(!allows(address));
    }
    free(text);
}
END_TEST

static Suite *suite_vxlan_allowlist(void)
{
    Suite *suite = suite_create("vxlan_allowlist");
    TCase *tests = tcase_create("vxlan_allowlist");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_may_pass);
    tcase_add_test(tests, families_are_apart);
    tcase_add_loop_test(tests, a_file_is_refused, 0, WRONGS);
    tcase_add_test(tests, odd_bytes);
    tcase_add_test(tests, many);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_allowlist)
