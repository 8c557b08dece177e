/* neigh_warm: SONiC's warm restart: what is as it was is not written. */
#include <linux/neighbour.h>

#include "selftest/neigh_rig.h"
#include "selftest/selftest.h"

static void in_state_db(const char *command)
{
    neigh_do("SELECT 6");
    neigh_do(command, NULL);
    neigh_do("SELECT 0");
}

static const char *state_of(const char *field)
{
    neigh_do("SELECT 6");
    const char *text = neigh_text("HGET WARM_RESTART_TABLE|neighsyncd %s", field);
    neigh_do("SELECT 0");
    return text;
}

static void row(const char *key, const char *mac)
{
    neigh_do("HSET NEIGH_TABLE:Ethernet0:%s neigh %s family IPv4", key, mac);
}

static bool begin(void)
{
    if (!neigh_start())
        return false;
    in_state_db("HSET WARM_RESTART_ENABLE_TABLE|swss enable true");
    in_state_db("HSET WARM_RESTART_TABLE|neighsyncd restore_count 3");
    neigh_do("SELECT 4");
    neigh_do("HSET WARM_RESTART|swss neighsyncd_timer 1");
    neigh_do("SELECT 0");
    return true;
}

static void until_state(const char *state)
{
    for (unsigned i = 0; strcmp(state_of("state"), state); i++) {
        neigh_breathe(10);
        ck_assert_msg(i < 2000, "the state is %s, not %s", state_of("state"), state);
    }
}

static void restored(void)
{
    in_state_db("HSET NEIGH_RESTORE_TABLE|Flags restored true");
}

/* Everything that was popped since: so many sets and deletes. */
static void expect_popped(unsigned long sets, unsigned long deletes)
{
    neigh_settle();
    ck_assert_uint_eq(neigh_orchagent.sets, sets);
    ck_assert_uint_eq(neigh_orchagent.deletes, deletes);
}

START_TEST(cold)
{
    if (!neigh_start())
        return;
    row("10.0.0.9", MAC); /* not ours: it stays */
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_run(NULL);
    expect_popped(1, 0);
    ck_assert_str_eq(state_of("restore_count"), "0");
    ck_assert_str_eq(state_of("state"), "");
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.9", "neigh"), MAC);
    neigh_delete("Ethernet0", "10.0.0.2");
    neigh_end();
}
END_TEST

START_TEST(enabled_without_count)
{
    if (!neigh_start())
        return;
    in_state_db("HSET WARM_RESTART_ENABLE_TABLE|swss enable true");
    neigh_run(NULL);
    expect_popped(0, 0);
    ck_assert_str_eq(state_of("restore_count"), "0");
    neigh_end();
}
END_TEST

START_TEST(reconcile)
{
    if (!begin())
        return;
    row("10.0.0.2", MAC);  /* the same */
    row("10.0.0.3", MAC);  /* gone */
    row("10.0.0.4", MAC2); /* another MAC address */
    row("10.0.0.6", MAC2); /* another one, which comes back during the wait */
    neigh_do("HSET NEIGH_TABLE:Ethernet0:10.0.0.7 neigh %s", MAC); /* half a row */
    neigh_do("SADD NEIGH_TABLE_KEY_SET Ethernet0:10.0.0.99");
    neigh_do("SADD NEIGH_TABLE_DEL_SET Ethernet0:10.0.0.98");
    neigh_do("HSET _NEIGH_TABLE:Ethernet0:10.0.0.99 neigh %s", MAC);
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_add("Ethernet0", "10.0.0.4", NUD_PERMANENT);
    neigh_add("Ethernet0", "10.0.0.5", NUD_PERMANENT); /* new */
    neigh_add("Ethernet0", "10.0.0.6", NUD_PERMANENT);
    neigh_add("Ethernet0", "10.0.0.7", NUD_PERMANENT);
    neigh_run(NULL);
    until_state("restored");
    ck_assert_str_eq(state_of("restore_count"), "4");
    ck_assert_str_eq(neigh_text("EXISTS NEIGH_TABLE_KEY_SET"), "0");
    ck_assert_str_eq(neigh_text("EXISTS NEIGH_TABLE_DEL_SET"), "0");
    ck_assert_str_eq(neigh_text("EXISTS _NEIGH_TABLE:Ethernet0:10.0.0.99"), "0");
    neigh_breathe(1200); /* without the flag nothing happens, the timer does not run */
    ck_assert_uint_eq(neigh_counter("neighbors_processed"), 0);
    restored();
    neigh_until("neighbors_processed", 5);
    ck_assert_str_eq(state_of("state"), "restored");
    ck_assert_uint_eq(neigh_counter("redis_commands"), 0);
    /* During the wait: a MAC address that changes back, one that goes and comes. */
    neigh_change(true, "Ethernet0", "10.0.0.6", NUD_PERMANENT, 0, mac2, 6);
    neigh_delete("Ethernet0", "10.0.0.2");
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_add("Ethernet0", "10.0.0.4", NUD_REACHABLE); /* what is new, twice */
    neigh_add("Ethernet0", "10.0.0.4", NUD_STALE);
    expect_popped(3, 1); /* .4, .5, .7; .3 */
    ck_assert_str_eq(state_of("state"), "reconciled");
    ck_assert_uint_eq(neigh_times("Ethernet0:10.0.0.2"), 0);
    ck_assert_uint_eq(neigh_times("Ethernet0:10.0.0.6"), 0);
    ck_assert_str_eq(neigh_popped("Ethernet0:10.0.0.3"), "D");
    ck_assert_str_eq(neigh_popped("Ethernet0:10.0.0.4"), "S " MAC);
    ck_assert_str_eq(neigh_popped("Ethernet0:10.0.0.7"), "S " MAC);
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.7", "family"), "IPv4");
    /* From now on as ever. */
    neigh_delete("Ethernet0", "10.0.0.2");
    neigh_settle();
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.2", "neigh"), "");
    neigh_end();
}
END_TEST

static long system_wide(const char *enable)
{
    if (!neigh_start())
        return -1;
    neigh_do("SELECT 6");
    neigh_do(enable, NULL);
    neigh_do("HSET WARM_RESTART_TABLE|neighsyncd restore_count 1");
    neigh_do("HSET NEIGH_RESTORE_TABLE|Flags restored true");
    neigh_do("SELECT 4");
    neigh_do("HSET WARM_RESTART|swss neighsyncd_timer 1");
    neigh_do("SELECT 0");
    row("10.0.0.3", MAC);
    neigh_run(NULL);
    neigh_settle();
    return neigh_rows();
}

START_TEST(system_flag)
{
    long rows = system_wide("HSET WARM_RESTART_ENABLE_TABLE|system enable true");
    if (rows < 0)
        return;
    ck_assert_int_eq(rows, 0);
    ck_assert_str_eq(state_of("state"), "reconciled");
    neigh_end();
}
END_TEST

/* Of another type than the field is looked for in. */
START_TEST(flag_of_another_type)
{
    long rows = system_wide("SET WARM_RESTART_ENABLE_TABLE|swss true");
    if (rows < 0)
        return;
    ck_assert_int_eq(rows, 1);
    ck_assert_str_eq(state_of("restore_count"), "0");
    neigh_end();
}
END_TEST

static bool has_failed(void)
{
    struct value answer = { 0 };
    struct app *app = engine_find_app(neigh_engine, "neigh");
    app->class->call(app, 0, NULL, &answer, NULL);
    bool failed = value_get(&answer, "failed")->boolean;
    value_free(&answer);
    return failed;
}

START_TEST(never_restored)
{
    neigh_clock = true;
    if (!begin())
        return;
    row("10.0.0.3", MAC);
    neigh_run("redis_timeout", "1h", NULL);
    until_state("restored");
    neigh_breathe(179000);
    ck_assert(!has_failed());
    for (unsigned i = 0; !has_failed(); i++) {
        neigh_breathe(10);
        ck_assert_uint_lt(i, 2000);
    }
    ck_assert_int_eq(neigh_rows(), 1);
    ck_assert_uint_eq(neigh_counter("redis_commands"), 0);
    neigh_end();
}
END_TEST

START_TEST(stopped_while_waiting)
{
    if (!begin())
        return;
    row("10.0.0.3", MAC);
    neigh_add("Ethernet0", "10.0.0.4", NUD_PERMANENT);
    restored();
    neigh_run(NULL);
    neigh_until("neighbors_processed", 1);
    ck_assert_uint_eq(neigh_counter("redis_commands"), 0);
    neigh_stop_app();
    ck_assert_str_eq(state_of("state"), "restored");
    ck_assert_str_eq(neigh_text("EXISTS NEIGH_TABLE_KEY_SET"), "0");
    ck_assert_int_eq(neigh_rows(), 1);
    neigh_end();
}
END_TEST

/* The timers that CONFIG_DB may name: 5 s unless it is a number of 1..9999. */
static const struct {
    const char *text;
    unsigned seconds;
} named_timers[] = { { "15", 15 },  { "1", 1 },  { "0", 5 },     { "-1", 5 },
                     { "soon", 5 }, { "1x", 5 }, { "10000", 5 }, { "", 5 } };

START_TEST(timers)
{
    neigh_clock = true;
    if (!begin())
        return;
    neigh_do("SELECT 4");
    neigh_do("HSET WARM_RESTART|swss neighsyncd_timer %s", named_timers[_i].text);
    neigh_do("SELECT 0");
    restored();
    neigh_run("redis_timeout", "1h", NULL);
    until_state("restored");
    neigh_breathe(named_timers[_i].seconds * 1000 - 100);
    ck_assert_str_eq(state_of("state"), "restored");
    until_state("reconciled");
    neigh_end();
}
END_TEST

#define MANY 10000

/* Lines of MONITOR up to the ECHO that ends it: how many commands about many neighbours there
 * are but the reading of their rows. */
static unsigned written(redisContext *monitor)
{
    unsigned count = 0;
    for (bool over = false; !over;) {
        redisReply *line;
        ck_assert_int_eq(redisGetReply(monitor, (void **)&line), REDIS_OK);
        over = strstr(line->str, "\"ECHO\"");
        count += strstr(line->str, "Ethernet0:10.") && !strstr(line->str, "\"HGETALL\"");
        freeReplyObject(line);
    }
    return count;
}

/* So many of ten thousand are in the kernel, are rows, and have another MAC address since. */
static const struct {
    unsigned kernel, rows, changed, sets, deletes;
} many[] = {
    { MANY, MANY, 0, 0, 0 }, { MANY, MANY, 10, 10, 0 }, { MANY, MANY, MANY, MANY, 0 },
    { MANY, 0, 0, MANY, 0 }, { 0, MANY, 0, 0, MANY },
};

/* No command names one that is as it was. */
START_TEST(many_at_once)
{
    if (!begin())
        return;
    neigh_many(0, many[_i].kernel, mac1);
    neigh_do("EVAL %s 1 %s %u",
             "for i = 0, ARGV[1] - 1 do redis.call('HSET', "
             "'NEIGH_TABLE:Ethernet0:10.1.' .. math.floor(i / 256) .. '.' "
             ".. i % 256, 'neigh', KEYS[1], 'family', 'IPv4') end",
             MAC, many[_i].rows);
    neigh_many(0, many[_i].changed, mac2);
    restored();
    neigh_consumes = false;
    redisContext *monitor = consumer_connect(neigh_socket);
    freeReplyObject(redisCommand(monitor, "MONITOR"));
    neigh_run(NULL);
    neigh_settle();
    neigh_do("ECHO over");
    unsigned commands = written(monitor);
    redisFree(monitor);
    ck_assert_str_eq(state_of("state"), "reconciled");
    ck_assert_uint_eq(neigh_counter("neighbors_added"), many[_i].sets);
    ck_assert_uint_eq(neigh_counter("neighbors_deleted"), many[_i].deletes);
    ck_assert_int_eq(commands > 0, many[_i].sets + many[_i].deletes > 0);
    neigh_consumes = true;
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), many[_i].kernel);
    neigh_end();
}
END_TEST

/* The kernel's events were lost while it waited: it does not reconcile before it knows. */
START_TEST(not_on_an_unfinished_dump)
{
    if (!begin())
        return;
    neigh_many(0, 5000, mac1);
    neigh_do("EVAL %s 1 %s",
             "for i = 0, 4999 do redis.call('HSET', "
             "'NEIGH_TABLE:Ethernet0:10.1.' .. math.floor(i / 256) .. '.' "
             ".. i % 256, 'neigh', KEYS[1], 'family', 'IPv4') end",
             MAC);
    restored();
    neigh_run("socket_buffer_size", "16kb", NULL);
    neigh_until("netlink_connected", 1);
    neigh_many(6000, 1000, mac1);
    usleep(1100000); /* the timer is over, the round is not */
    neigh_settle();
    ck_assert_uint_ge(neigh_counter("netlink_overruns"), 1);
    ck_assert_uint_eq(neigh_counter("neighbors_deleted"), 0);
    ck_assert_uint_eq(neigh_counter("neighbors_added"), 1000);
    ck_assert_uint_eq(neigh_equal(), 6000);
    neigh_end();
}
END_TEST

static Suite *suite_neigh_warm(void)
{
    Suite *suite = suite_create("neigh_warm");
    TCase *tcase = tcase_create("neigh_warm");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, cold);
    tcase_add_test(tcase, enabled_without_count);
    tcase_add_test(tcase, reconcile);
    tcase_add_test(tcase, system_flag);
    tcase_add_test(tcase, flag_of_another_type);
    tcase_add_test(tcase, never_restored);
    tcase_add_test(tcase, stopped_while_waiting);
    tcase_add_loop_test(tcase, timers, 0, 8);
    tcase_add_loop_test(tcase, many_at_once, 0, 5);
    tcase_add_test(tcase, not_on_an_unfinished_dump);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(neigh_warm)
