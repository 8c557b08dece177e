/* interface_life: what is told of a veth interface, and when it is to be tried again. */
#include "lib/interface_life.h"

#include <poll.h>

#include "lib/error.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"

#define MILLISECOND 1000000ull

static struct interface_life life;
static uint64_t now; /* only tests move it */

/* The next event; the kernel tells of everything at once, so that no test waits. */
static enum life_event next(void)
{
    return life_next(&life, now);
}

/* Waits until there is news. */
static enum life_event news(void)
{
    enum life_event event;
    while (!(event = next())) {
        struct pollfd fd = { .fd = life_fd(&life), .events = POLLIN };
        ck_assert_msg(poll(&fd, 1, 20000) == 1, "nothing more happens");
    }
    return event;
}

static void open_now(void)
{
    struct interface interface;
    ck_assert_int_eq(interface_query("wan", &interface, NULL), 0);
    life_opened(&life, interface.index, interface.flags & 1);
}

static void make(const char *options)
{
    shell("ip link add wan %s type veth peer name peer", options);
}

static bool start(void)
{
    struct error err;
    if (!private_network())
        return false;
    make("mtu 1400");
    shell("ip link set wan up");
    ck_assert_int_eq(life_open(&life, "wan", &err), 0);
    open_now();
    ck_assert_int_eq(life.state, LIFE_UP);
    ck_assert_int_eq(next(), LIFE_NOTHING);
    return true;
}

static void quiet(void)
{
    ck_assert_int_eq(next(), LIFE_NOTHING);
    ck_assert_uint_eq(life_wake_at(&life), LIFE_NEVER);
}

START_TEST(down_and_up)
{
    if (!start())
        return;
    shell("ip link set wan down");
    ck_assert_int_eq(news(), LIFE_WENT_DOWN);
    ck_assert_int_eq(life.state, LIFE_DOWN);
    quiet();
    shell("ip link set wan up");
    ck_assert_int_eq(news(), LIFE_WENT_UP);
    ck_assert_int_eq(life.state, LIFE_UP);
    quiet();
    shell("ip link set peer up && ip link set peer down"); /* the carrier is no matter */
    quiet();
    life_close(&life);
}
END_TEST

/* Both between two calls: the caller hears of both. */
START_TEST(down_and_up_at_once)
{
    if (!start())
        return;
    shell("ip link set wan down && ip link set wan up");
    ck_assert_int_eq(news(), LIFE_WENT_DOWN);
    ck_assert_int_eq(next(), LIFE_WENT_UP);
    quiet();
    shell("ip link set wan down");
    ck_assert_int_eq(news(), LIFE_WENT_DOWN);
    shell("ip link set wan up && ip link set wan down"); /* nothing new in sum */
    quiet();
    life_close(&life);
}
END_TEST

START_TEST(opened_while_down)
{
    if (!private_network())
        return;
    make("");
    ck_assert_int_eq(life_open(&life, "wan", NULL), 0);
    open_now();
    ck_assert_int_eq(life.state, LIFE_DOWN);
    quiet();
    shell("ip link set wan up");
    ck_assert_int_eq(news(), LIFE_WENT_UP);
    quiet();
    life_close(&life);
}
END_TEST

START_TEST(mtu)
{
    if (!start())
        return;
    ck_assert_uint_eq(life.mtu, 1400);
    shell("ip link set wan mtu 1300 && ip link set wan mtu 1200");
    ck_assert_int_eq(news(), LIFE_NEW_MTU);
    ck_assert_uint_eq(life.mtu, 1200);
    quiet();
    shell("ip link set wan alias unchanged");
    quiet();
    life_close(&life);
}
END_TEST

START_TEST(gone_and_back)
{
    if (!start())
        return;
    for (int i = 0; i < 3; i++) {
        shell("ip link del wan");
        ck_assert_int_eq(news(), LIFE_WENT_DOWN);
        ck_assert_int_eq(next(), LIFE_WENT_AWAY);
        ck_assert_int_eq(life.state, LIFE_GONE);
        quiet(); /* there is none: nothing is tried, nothing is waited for */
        make("mtu 1300");
        ck_assert_int_eq(news(), LIFE_TRY_OPEN);
        open_now();
        ck_assert_int_eq(life.state, LIFE_DOWN);
        ck_assert_uint_eq(life.mtu, 1300);
        shell("ip link set wan mtu 1500");
        ck_assert_int_eq(news(), LIFE_NEW_MTU);
        shell("ip link set wan up");
        ck_assert_int_eq(news(), LIFE_WENT_UP);
        quiet();
    }
    life_close(&life);
}
END_TEST

/* All between two calls. */
START_TEST(made_again_at_once)
{
    if (!start())
        return;
    shell("ip link del wan");
    make("");
    ck_assert_int_eq(news(), LIFE_WENT_DOWN);
    ck_assert_int_eq(next(), LIFE_WENT_AWAY);
    ck_assert_int_eq(next(), LIFE_TRY_OPEN);
    open_now();
    quiet();
    life_close(&life);
}
END_TEST

START_TEST(another_namespace_is_away)
{
    if (!start())
        return;
    shell("unshare -n sleep 20 & there=$!; "
          "while [ /proc/$there/ns/net -ef /proc/$$/ns/net ]; do :; done; "
          "ip link set wan netns $there && kill $there");
    ck_assert_int_eq(news(), LIFE_WENT_DOWN);
    ck_assert_int_eq(next(), LIFE_WENT_AWAY);
    quiet();
    life_close(&life);
}
END_TEST

START_TEST(renamed)
{
    if (!start())
        return;
    shell("ip link set wan down && ip link set wan name other && ip link set other up");
    ck_assert_int_eq(news(), LIFE_WENT_DOWN);
    ck_assert_int_eq(next(), LIFE_WENT_UP);
    quiet();
    shell("ip link add wan mtu 1234 up type veth peer name far"); /* another's now */
    quiet();
    ck_assert_uint_eq(life.mtu, 1400);
    shell("ip link del other");
    ck_assert_int_eq(news(), LIFE_WENT_DOWN);
    ck_assert_int_eq(next(), LIFE_WENT_AWAY);
    ck_assert_int_eq(next(), LIFE_TRY_OPEN);
    open_now();
    ck_assert_int_eq(life.state, LIFE_UP);
    ck_assert_uint_eq(life.mtu, 1234);
    quiet();
    life_close(&life);
}
END_TEST

/* Tried again after 10 ms, and each time twice as long up to a second. */
START_TEST(backs_off)
{
    if (!start())
        return;
    shell("ip link del wan");
    make("");
    while (news() != LIFE_TRY_OPEN)
        ;
    static const uint64_t delays[] = { 10, 20, 40, 80, 160, 320, 640, 1000, 1000 };
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        life_failed(&life, now);
        uint64_t wait = delays[i] * MILLISECOND;
        ck_assert_uint_eq(life_wake_at(&life), now + wait);
        now += wait - 1;
        ck_assert_int_eq(next(), LIFE_NOTHING);
        now++;
        ck_assert_int_eq(next(), LIFE_TRY_OPEN);
    }
    open_now();
    shell("ip link del wan"); /* from the beginning */
    make("");
    while (news() != LIFE_TRY_OPEN)
        ;
    life_failed(&life, now);
    ck_assert_uint_eq(life_wake_at(&life), now + 10 * MILLISECOND);
    shell("ip link set wan up"); /* news: no need to wait */
    ck_assert_int_eq(news(), LIFE_TRY_OPEN);
    life_close(&life);
}
END_TEST

START_TEST(not_to_be_opened_again)
{
    if (!start())
        return;
    shell("ip link del wan");
    make("");
    while (news() != LIFE_TRY_OPEN)
        ;
    quiet();
    now += 10000 * MILLISECOND;
    quiet();
    life_close(&life);
}
END_TEST

START_TEST(not_there_at_the_start)
{
    if (!private_network())
        return;
    ck_assert_int_eq(life_open(&life, "wan", NULL), 0);
    ck_assert_int_eq(life.state, LIFE_GONE);
    quiet();
    make("");
    ck_assert_int_eq(news(), LIFE_TRY_OPEN);
    open_now();
    quiet();
    life_close(&life);
    life_close(&life);
}
END_TEST

START_TEST(no_name)
{
    struct error err;
    struct interface_life other;
    ck_assert_int_eq(life_open(&other, "sixteen-letters-", &err), -ENAMETOOLONG);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    life_close(&other);
}
END_TEST

START_TEST(words)
{
    struct interface_life up = { .state = LIFE_UP }, gone = { .state = LIFE_GONE };
    ck_assert_str_eq(life_state_name(&up), "up");
    ck_assert_str_eq(life_state_name(&gone), "gone");
    ck_assert_str_eq(life_news(LIFE_WENT_AWAY), "is gone");
    ck_assert_ptr_null(life_news(LIFE_NEW_MTU));
}
END_TEST

static Suite *suite_interface_life(void)
{
    Suite *suite = suite_create("interface_life");
    TCase *tests = tcase_create("interface_life");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, down_and_up);
    tcase_add_test(tests, down_and_up_at_once);
    tcase_add_test(tests, opened_while_down);
    tcase_add_test(tests, mtu);
    tcase_add_test(tests, gone_and_back);
    tcase_add_test(tests, made_again_at_once);
    tcase_add_test(tests, another_namespace_is_away);
    tcase_add_test(tests, renamed);
    tcase_add_test(tests, backs_off);
    tcase_add_test(tests, not_to_be_opened_again);
    tcase_add_test(tests, not_there_at_the_start);
    tcase_add_test(tests, no_name);
    tcase_add_test(tests, words);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(interface_life)
