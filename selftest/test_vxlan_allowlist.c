/* VxlanNat's allowlist files: what they say, and forty that are refused. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/vxlan_nat/allowlist.h"
#include "selftest/bad_allowlists.h"
#include "selftest/selftest.h"

static char path[] = "/tmp/vanguard-allowlist-XXXXXX.json";
static struct allowlist list;
static struct allowlist_options options;
static struct error err;

static void setup(void)
{
    strcpy(path + sizeof(path) - 12, "XXXXXX.json");
    close(mkstemps(path, 5));
    list = (struct allowlist){ 0 };
    options = (struct allowlist_options){ .max = 65536 };
}

static void teardown(void)
{
    unlink(path);
    allowlist_clear(&list);
}

static int read_bytes(const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    fclose(file);
    err.text[0] = 0;
    return allowlist_read(&list, path, &options, &err);
}

static int read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static bool find(const char *address, uint32_t *number)
{
    struct prefix prefix;
    uint8_t mapped[16];
    ck_assert_int_eq(prefix_parse(&prefix, address), 0);
    prefix_mapped(&prefix, mapped);
    return list.set && prefix_set_match(list.set, mapped, NULL, number);
}

static bool allows(const char *address)
{
    return find(address, NULL);
}

/* "": nobody's. */
static void check_owner(const char *address, const char *owner)
{
    uint32_t number;
    ck_assert(find(address, &number));
    const char *name = allowlist_name(&list, number);
    ck_assert_msg(!strcmp(name ? name : "", owner), "%s is %s's", address, name);
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
    ck_assert_uint_eq(list.entries, 4);
    ck_assert_uint_eq(list.added, 3);
    ck_assert_int_eq(list.total, 3);
}
END_TEST

static const char owners[] =
    "{ \"organizations\": ["
    "    { \"name\": \"a\", \"ips\": [\"198.51.100.7\"], \"cidrs\": [\"203.0.113.0/24\"] },"
    "    { \"name\": \"off\", \"ips\": [\"198.51.100.8\"], \"enabled\": false },"
    "    { \"name\": \"b\\u0007\", \"ips\": [\"203.0.113.9\", \"198.51.100.7\"] } ],"
    "  \"flat_ip_list\": [\"198.51.100.7\", \"2001:db8::/32\"] }";

/* The flat list names what the organizations have; of two the first one has it. */
START_TEST(whose_they_are)
{
    ck_assert_msg(!read_text(owners), "%s", err.text);
    check_owner("198.51.100.7", "a");
    check_owner("203.0.113.1", "a");
    check_owner("203.0.113.9", "b?");
    check_owner("2001:db8::1", "");
    ck_assert(!allows("198.51.100.8"));
    ck_assert_uint_eq(list.nnames, 2);
    allowlist_clear(&list);
    options.flat_only = true;
    ck_assert_int_eq(read_text(owners), 0);
    check_owner("198.51.100.7", "");
    ck_assert(!allows("203.0.113.1"));
}
END_TEST

static size_t told;

static void tell(void *user, const char *problem)
{
    ck_assert_ptr_nonnull(strstr(problem, path));
    told++;
}

START_TEST(what_may_be_wrong)
{
    static const char text[] =
        "{\"flat_ip_list\": [\"192.0.2.1/24\", \"192.0.2.300\", \"198.51.100.1\"]}";
    options.mask = true;
    ck_assert_int_ne(read_text(text), 0);
    allowlist_clear(&list);
    options.skip_bad = true;
    options.tell = tell;
    told = 0;
    ck_assert_int_eq(read_text(text), 0);
    ck_assert(allows("192.0.2.77") && allows("198.51.100.1"));
    ck_assert_uint_eq(list.skipped, 1);
    ck_assert_uint_eq(told, 1);
    allowlist_clear(&list);
    /* what is left is nothing */
    ck_assert_int_ne(read_text("{\"flat_ip_list\": [\"192.0.2.300\"]}"), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "no entries"));
    options.allow_empty = true;
    ck_assert_int_eq(read_text("{\"flat_ip_list\": [\"192.0.2.300\"]}"), 0);
    ck_assert_int_eq(read_text("{}"), 0);
}
END_TEST

START_TEST(more_than_there_is_room_for)
{
    options.max = 2;
    ck_assert_int_eq(
        read_text("{\"flat_ip_list\": [\"::1\", \"192.0.2.1\", \"192.0.2.1\"]}"), 0);
    ck_assert_int_ne(read_text("{\"flat_ip_list\": [\"::1\", \"192.0.2.2\"]}"), 0);
    ck_assert_msg(strstr(err.text, "flat_ip_list[2]: more than 2 different entries"),
                  "%s", err.text);
}
END_TEST

/* Another name, another language. */
START_TEST(lines_of_text)
{
    static const char name[] = "/tmp/vanguard-allowlist.txt";
    FILE *file = fopen(name, "w");
    fputs("# ours\n192.0.2.0/24\n2001:db8::1\n", file);
    fclose(file);
    ck_assert_msg(!allowlist_read(&list, name, &options, &err), "%s", err.text);
    unlink(name);
    ck_assert(allows("192.0.2.9") && allows("2001:db8::1") && !allows("192.0.3.1"));
}
END_TEST

/* ::ffff:0:0/96 is all of IPv4 to those who map it; here it is not. */
START_TEST(families_are_apart)
{
    ck_assert_int_eq(read_text("{\"flat_ip_list\": [\"::/0\"]}"), 0);
    ck_assert(allows("2001:db8::1"));
    ck_assert(!allows("192.0.2.1"));
    ck_assert_int_eq(list.total, 0);
}
END_TEST

START_TEST(a_file_is_refused)
{
    ck_assert_int_ne(read_text(bad_allowlists[_i].text), 0);
    ck_assert_msg(strstr(err.text, bad_allowlists[_i].complaint) &&
                      strstr(err.text, path),
                  "%s: %s", bad_allowlists[_i].text, err.text);
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
    ck_assert_int_ne(allowlist_read(&list, "/nowhere.json", &options, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "/nowhere.json"));
    ck_assert_int_ne(allowlist_read(&list, "/tmp", &options, &err), 0);
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
    ck_assert_uint_eq(list.added, COUNT);
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
    tcase_add_test(tests, whose_they_are);
    tcase_add_test(tests, what_may_be_wrong);
    tcase_add_test(tests, more_than_there_is_room_for);
    tcase_add_test(tests, lines_of_text);
    tcase_add_test(tests, families_are_apart);
    tcase_add_loop_test(tests, a_file_is_refused, 0, BAD_ALLOWLISTS);
    tcase_add_test(tests, odd_bytes);
    tcase_add_test(tests, many);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_allowlist)
