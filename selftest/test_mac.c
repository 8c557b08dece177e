/* mac: there and back, and what is no address. */
#include <string.h>

#include "lib/mac.h"
#include "selftest/selftest.h"

START_TEST(there_and_back)
{
    static const struct {
        const char *text, *back;
    } rows[] = {
        { "02:00:00:00:42:fe", "02:00:00:00:42:fe" },
        { "AB:CD:EF:01:23:45", "ab:cd:ef:01:23:45" },
        { "2:0:0:0:0:1", "02:00:00:00:00:01" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uint8_t mac[6];
        char text[MAC_TEXT_SIZE];
        ck_assert_msg(mac_parse(mac, rows[i].text), "%s", rows[i].text);
        ck_assert_str_eq(mac_format(mac, text), rows[i].back);
    }
}
END_TEST

START_TEST(no_address)
{
    static const char *const rows[] = { "",
                                        "02:00:00:00:42",
                                        "02:00:00:00:42:",
                                        "02:00:00:00:42:fe:",
                                        "02:00:00:00:42:fe ",
                                        "02-00-00-00-42-fe",
                                        "02:00:00:00:42:gg",
                                        "102:00:00:00:42:fe" };
    uint8_t mac[6];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        ck_assert_msg(!mac_parse(mac, rows[i]), "%s", rows[i]);
}
END_TEST

static Suite *suite_mac(void)
{
    Suite *suite = suite_create("mac");
    TCase *tests = tcase_create("mac");
    tcase_add_test(tests, there_and_back);
    tcase_add_test(tests, no_address);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(mac)
