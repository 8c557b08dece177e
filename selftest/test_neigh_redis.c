/* neigh_redis: a Redis that comes back with what it had once, that reads its file for long, that
 * tells of no changes, that goes while there is nothing to do. */
#include <linux/neighbour.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "apps/neigh_sync/redis.h"
#include "selftest/neigh_rig.h"
#include "selftest/selftest.h"

#define ZERO "00:00:00:00:00:00"

static void back_again(void)
{
    uint64_t before = neigh_counter("redis_reconnects");
    neigh_redis_start();
    neigh_consumes = true;
    neigh_until("redis_reconnects", before + 1);
    neigh_forget();
    neigh_settle();
}

/* It has rows again that were deleted meanwhile, old ones, and ones that nobody has consumed
 * yet. */
START_TEST(older_copy)
{
    if (!neigh_begin())
        return;
    shell("ip link add zzA type veth peer name zzB; ip link set zzA up");
    neigh_do("HSET NEIGH_TABLE:Ethernet0:10.0.0.66 neigh %s family IPv4", MAC);
    neigh_do("HSET NEIGH_TABLE:Ethernet0:notes neigh %s", MAC);
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_add("Ethernet0", "10.0.0.3", NUD_PERMANENT);
    neigh_add("Ethernet0", "10.0.0.4", NUD_PERMANENT);
    neigh_add("zzA", "2001:db8::5", NUD_PERMANENT);
    neigh_settle();
    neigh_consumes = false;
    neigh_add("Ethernet0", "10.0.0.7", NUD_PERMANENT);
    neigh_settle();
    neigh_do("SAVE");
    neigh_consumes = true;
    neigh_settle();
    neigh_delete("Ethernet0", "10.0.0.3");
    neigh_change(true, "Ethernet0", "10.0.0.4", NUD_PERMANENT, 0, mac2, 6);
    neigh_delete("Ethernet0", "10.0.0.7");
    neigh_add("Ethernet0", "10.0.0.8", NUD_PERMANENT);
    shell("ip link del zzA");
    neigh_settle();
    neigh_redis_kill();
    neigh_delete("Ethernet0", "10.0.0.2");
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    back_again();
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.2", "neigh"), MAC);
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.3", "neigh"), "");
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.4", "neigh"), MAC2);
    ck_assert_str_eq(neigh_row("zzA:2001:db8::5", "neigh"), "");
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.7", "neigh"), "");
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.8", "neigh"), MAC);
    /* What is not ours is as it was. */
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.66", "neigh"), MAC);
    ck_assert_str_eq(neigh_row("Ethernet0:notes", "neigh"), MAC);
    ck_assert_uint_eq(neigh_times("Ethernet0:10.0.0.66"), 0);
    ck_assert_int_eq(neigh_rows(), 5);
    neigh_end();
}
END_TEST

/* The table of those that failed, too. */
START_TEST(older_copy_of_failed)
{
    struct consumer failed;
    const char *row = "NEIGH_FAILED_TABLE:Ethernet0:2001:db8::2";
    if (!neigh_start())
        return;
    neigh_run("dual_tor", "on", NULL);
    neigh_settle();
    neigh_add("Ethernet0", "2001:db8::2", NUD_PERMANENT);
    neigh_change(true, "Ethernet0", "2001:db8::2", NUD_FAILED, 0, NULL, 0);
    neigh_settle();
    consumer_open(&failed, neigh_socket, "NEIGH_FAILED_TABLE", 128);
    consumer_step(&failed, 0);
    consumer_close(&failed);
    ck_assert_str_eq(neigh_text("HGET %s NULL", row), "NULL");
    neigh_do("SAVE");
    neigh_add("Ethernet0", "2001:db8::2", NUD_REACHABLE);
    neigh_settle();
    neigh_redis_kill();
    back_again();
    consumer_open(&failed, neigh_socket, "NEIGH_FAILED_TABLE", 128);
    consumer_step(&failed, 0);
    consumer_close(&failed);
    ck_assert_str_eq(neigh_text("EXISTS %s", row), "0");
    ck_assert_str_eq(neigh_row("Ethernet0:2001:db8::2", "neigh"), MAC);
    neigh_end();
}
END_TEST

/* As after FLUSHALL: who asks for everything gets what is too much as well. */
START_TEST(resync_looks_too)
{
    struct value answer = { 0 };
    if (!neigh_begin())
        return;
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_settle();
    neigh_delete("Ethernet0", "10.0.0.2");
    neigh_settle();
    neigh_do("HSET NEIGH_TABLE:Ethernet0:10.0.0.2 neigh %s family IPv4", MAC);
    neigh_settle();
    ck_assert_int_eq(neigh_rows(), 1);
    struct app *app = engine_find_app(neigh_engine, "neigh");
    app->class->call(app, 2, NULL, &answer, NULL);
    neigh_settle();
    ck_assert_int_eq(neigh_rows(), 0);
    neigh_end();
}
END_TEST

static void save_many(void)
{
    neigh_do("EVAL %s 0", "for i = 1, 2000 do "
                          "redis.call('HSET', 'PORT|Ethernet' .. i, 'mtu', 9100) end");
    neigh_do("SAVE");
    neigh_redis_kill();
    neigh_redis_start_slowly(1000);
    ck_assert_ptr_nonnull(strstr(neigh_text("PING"), "LOADING"));
}

/* What it answers while it reads is not what it has. */
START_TEST(reads_its_file)
{
    if (!neigh_start())
        return;
    neigh_do("SELECT 4");
    neigh_do("HSET PEER_SWITCH|peer address_ipv4 10.1.0.33");
    neigh_do("SELECT 6");
    neigh_do("HSET WARM_RESTART_ENABLE_TABLE|swss enable true");
    neigh_do("HSET WARM_RESTART_TABLE|neighsyncd restore_count 3");
    neigh_do("HSET NEIGH_RESTORE_TABLE|Flags restored true");
    save_many();
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_run(NULL);
    neigh_until("redis_errors", 1);
    ck_assert_uint_eq(neigh_counter("redis_connected"), 0);
    neigh_until("redis_connected", 1);
    neigh_consumes = true;
    neigh_settle();
    neigh_do("SELECT 6");
    ck_assert_str_eq(neigh_text("HGET WARM_RESTART_TABLE|neighsyncd state"),
                     "reconciled");
    neigh_do("SELECT 0");
    neigh_change(true, "Ethernet0", "10.0.0.2", NUD_FAILED, 0, NULL, 0);
    neigh_expect("Ethernet0:10.0.0.2", "S " ZERO);
    neigh_end();
}
END_TEST

START_TEST(reads_its_file_meanwhile)
{
    if (!neigh_begin())
        return;
    neigh_many(0, 100, mac1);
    neigh_settle();
    save_many();
    neigh_many(50, 100, mac2);
    neigh_until("redis_reconnects", 1);
    neigh_consumes = true;
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 150);
    ck_assert_uint_eq(neigh_counter("events_failed"), 0);
    neigh_end();
}
END_TEST

static void note_answer(const struct redis_request *request, const redisReply *reply)
{
    int *answer = request->user;
    *answer = reply ? reply->type : -1;
}

/* One that says later that it cannot: nobody takes that for what it has. */
START_TEST(cannot_answer)
{
    static const char *const texts[] = { "-LOADING it reads\r\n", "-BUSY a script\r\n",
                                         "-MASTERDOWN a link\r\n", "-BUSYKEY taken\r\n" };
    struct redis_place place = { .database = 4 };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const struct redis_handlers handlers = { 0 };
    int answer = 0, expected = _i < 3 ? -1 : REDIS_REPLY_ERROR;
    const struct redis_request request = { .answer = note_answer, .user = &answer };
    snprintf(place.path, sizeof(place.path), "/tmp/vanguard-cannot-%d", getpid());
    strcpy(address.sun_path, place.path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 5), 0);
    struct redis *redis = redis_open(&place, &handlers, 16, 1000000000, NULL);
    redis_serve(redis, 1);
    int peer = accept(listener, NULL, NULL);
    redis_serve(redis, 2);
    ck_assert_int_eq(send(peer, "+OK\r\n", 5, 0), 5);
    redis_serve(redis, 3);
    ck_assert(!redis_ready(redis)); /* it has not answered the PING */
    ck_assert_int_eq(send(peer, "+PONG\r\n", 7, 0), 7);
    redis_serve(redis, 4);
    ck_assert(redis_ready(redis));
    ck_assert(redis_send(redis, &request, 1, (const char *const[]){ "KEYS" }, NULL));
    redis_serve(redis, 5);
    send(peer, texts[_i], strlen(texts[_i]), 0);
    redis_serve(redis, 6);
    ck_assert_int_eq(answer, expected);
    ck_assert_int_eq(redis_ready(redis), _i == 3);
    redis_close(redis);
    close(peer);
    close(listener);
    unlink(place.path);
}
END_TEST

static bool asked_for_keys(void)
{
    redisReply *reply = neigh_redis("INFO commandstats");
    bool asked = strstr(reply->str, "cmdstat_keys:");
    freeReplyObject(reply);
    return asked;
}

/* CONFIG_DB is read now and then, until it tells of changes. */
START_TEST(no_notifications)
{
    neigh_clock = true;
    if (!neigh_start())
        return;
    neigh_do("CONFIG SET notify-keyspace-events %s", _i ? "K$" : "");
    neigh_run("redis_timeout", "1h", NULL);
    neigh_settle();
    uint64_t rounds = neigh_counter("resyncs");
    neigh_do("SELECT 4");
    neigh_do("HSET PEER_SWITCH|peer address_ipv4 10.1.0.33");
    neigh_do("SELECT 0");
    neigh_breathe(6000);
    neigh_until("resyncs", rounds + 1);
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_change(true, "Ethernet0", "10.0.0.2", NUD_FAILED, 0, NULL, 0);
    neigh_expect("Ethernet0:10.0.0.2", "S " ZERO);
    neigh_breathe(20000);
    ck_assert_uint_eq(neigh_logged("tells of no changes"), 1);
    neigh_do("CONFIG SET notify-keyspace-events AKE");
    neigh_breathe(6000);
    neigh_settle();
    neigh_do("CONFIG RESETSTAT");
    neigh_breathe(20000);
    ck_assert(!asked_for_keys());
    rounds = neigh_counter("resyncs");
    neigh_do("SELECT 4");
    neigh_do("DEL PEER_SWITCH|peer");
    neigh_until("resyncs", rounds + 1);
    neigh_end();
}
END_TEST

/* Nobody waits for it: it is noticed all the same, and the time is slept away. */
START_TEST(gone_while_idle)
{
    if (!neigh_begin())
        return;
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_settle();
    neigh_redis_kill();
    uint64_t slept = neigh_engine->counter[ENGINE_SLEPT_NS];
    engine_run(neigh_engine, engine_clock(neigh_engine) + 2000000000);
    ck_assert_uint_gt(neigh_engine->counter[ENGINE_SLEPT_NS] - slept, 1000000000);
    ck_assert_uint_eq(neigh_counter("redis_connected"), 0);
    ck_assert_uint_eq(neigh_counter("health_status"), 0);
    ck_assert_uint_eq(neigh_logged("Redis is gone"), 1);
    back_again();
    neigh_breathe(1100);
    ck_assert_uint_eq(neigh_counter("health_status"), 100);
    ck_assert_uint_eq(neigh_equal(), 1);
    neigh_end();
}
END_TEST

/* A thousand that come and go fifty times while Redis stands still: it is told once, but for
 * what was under way. */
START_TEST(flapping_meanwhile)
{
    if (!neigh_begin())
        return;
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT); /* it knows the script */
    neigh_settle();
    neigh_redis_stop(true);
    for (unsigned i = 0; i < 50; i++) {
        neigh_many(0, 1000, i % 2 ? NULL : mac1);
        neigh_breathe(5);
    }
    neigh_many(0, 500, mac2);
    for (uint64_t before = 0; neigh_counter("neighbors_processed") != before;) {
        before = neigh_counter("neighbors_processed");
        neigh_breathe(100); /* until the kernel has told everything */
    }
    ck_assert_uint_gt(neigh_counter("neighbors_processed"), 50000);
    ck_assert_uint_gt(neigh_counter("redis_commands"), 1);
    ck_assert_uint_le(neigh_counter("redis_commands"), 24 * 128 + 1);
    neigh_redis_stop(false);
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 501);
    ck_assert_uint_le(neigh_counter("redis_commands"), 24 * 128 + 2000);
    neigh_end();
}
END_TEST

static Suite *suite_neigh_redis(void)
{
    Suite *suite = suite_create("neigh_redis");
    TCase *tcase = tcase_create("neigh_redis");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, older_copy);
    tcase_add_test(tcase, older_copy_of_failed);
    tcase_add_test(tcase, resync_looks_too);
    tcase_add_test(tcase, reads_its_file);
    tcase_add_test(tcase, reads_its_file_meanwhile);
    tcase_add_loop_test(tcase, cannot_answer, 0, 4);
    tcase_add_loop_test(tcase, no_notifications, 0, 2);
    tcase_add_test(tcase, gone_while_idle);
    tcase_add_test(tcase, flapping_meanwhile);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(neigh_redis)
