/* neigh_faults: bursts, lost events, and a Redis that goes, stalls, forgets or refuses. In the
 * end NEIGH_TABLE is what the kernel has. */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/netlink_watch.h"
#include "selftest/neigh_rig.h"
#include "selftest/selftest.h"

static bool begin(const char *buffer)
{
    if (!neigh_start())
        return false;
    neigh_run("socket_buffer_size", buffer, NULL);
    neigh_settle();
    return true;
}

/* Nobody reads the kernel's events meanwhile. */
START_TEST(burst)
{
    if (!begin("64mib"))
        return;
    neigh_many(0, 32000, mac1);
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 32000);
    ck_assert_uint_eq(neigh_counter("netlink_overruns"), 0);
    neigh_many(0, 10000, NULL);
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 22000);
    uint64_t rows = neigh_counter("table_rows");
    neigh_many(10000, 22000, NULL);
    neigh_settle();
    neigh_breathe(1100);
    ck_assert_uint_eq(neigh_equal(), 0);
    ck_assert_uint_gt(rows, neigh_counter("table_rows"));
    ck_assert_uint_eq(neigh_counter("table_rows"), 0);
    neigh_end();
}
END_TEST

START_TEST(burst_of_ipv6)
{
    char ip[32];
    if (!begin("64mib"))
        return;
    for (unsigned add = 2; add-- > 0;) {
        for (unsigned i = 0; i < 10000; i++) {
            snprintf(ip, sizeof(ip), "2001:db8::%x:%x", 1 + i / 5000, i % 5000);
            neigh_change(add, "Ethernet0", ip, NUD_PERMANENT, 0, mac1, 6);
        }
        neigh_settle();
        ck_assert_uint_eq(neigh_equal(), add ? 10000 : 0);
    }
    ck_assert_uint_eq(neigh_counter("netlink_overruns"), 0);
    neigh_end();
}
END_TEST

START_TEST(overrun)
{
    if (!begin("32kb"))
        return;
    uint64_t rounds = neigh_counter("resyncs");
    neigh_many(0, 8000, mac1);
    neigh_settle();
    ck_assert_uint_eq(neigh_counter("netlink_overruns"), 1);
    ck_assert_uint_eq(neigh_counter("resyncs"), rounds + 1);
    ck_assert_uint_eq(neigh_equal(), 8000);
    uint64_t before = neigh_counter("netlink_overruns");
    neigh_many(0, 4000, NULL); /* deletions are lost as well */
    neigh_many(4000, 1000, mac2);
    neigh_settle();
    ck_assert_uint_gt(neigh_counter("netlink_overruns"), before);
    ck_assert_uint_eq(neigh_equal(), 4000);
    neigh_end();
}
END_TEST

/* Events are lost while everything is asked for, too. */
START_TEST(overrun_in_round)
{
    if (!begin("32kb"))
        return;
    neigh_many(0, 8000, mac1);
    for (unsigned i = 0; i < 20; i++) {
        neigh_breathe(1);
        neigh_many(i * 100, 400, i % 2 ? mac2 : NULL);
        neigh_many(6000 + i * 100, 400, i % 2 ? NULL : mac1);
    }
    neigh_settle();
    ck_assert_uint_ge(neigh_counter("netlink_overruns"), 2);
    neigh_equal();
    neigh_end();
}
END_TEST

START_TEST(flapping)
{
    if (!begin("16mib"))
        return;
    for (unsigned i = 0; i < 50; i++) {
        neigh_many(0, 1000, i % 2 ? NULL : mac1);
        if (i % 10 == 9)
            neigh_breathe(5);
    }
    neigh_many(0, 500, mac2);
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 500);
    ck_assert_uint_lt(neigh_counter("redis_commands"), 50000);
    neigh_end();
}
END_TEST

/* One pop for each message: all keys must go by messages alone, those of one large step too. */
START_TEST(consumer_of_128)
{
    struct consumer consumer;
    if (!neigh_start())
        return;
    neigh_consumes = false;
    consumer_open(&consumer, neigh_socket, "NEIGH_TABLE", 128);
    neigh_run("batch_size", _i ? "1000" : "128", NULL);
    neigh_many(0, 500, mac1);
    neigh_settle();
    while (consumer_step(&consumer, 100))
        ;
    ck_assert_str_eq(neigh_text("SCARD NEIGH_TABLE_KEY_SET"), "0");
    ck_assert_uint_eq(consumer.sets, 500);
    consumer_close(&consumer);
    neigh_end();
}
END_TEST

/* Popping all the time while rows come: none is ever seen deleted. */
START_TEST(no_false_deletes)
{
    if (!begin("64mib"))
        return;
    unsigned long deletes = neigh_orchagent.deletes;
    for (unsigned i = 0; i < 50; i++) {
        neigh_many(i * 200, 200, mac1);
        neigh_breathe(1);
        while (consumer_step(&neigh_orchagent, 0))
            ;
    }
    neigh_settle();
    ck_assert_uint_eq(neigh_orchagent.deletes, deletes);
    ck_assert_uint_eq(neigh_equal(), 10000);
    neigh_end();
}
END_TEST

START_TEST(config_is_large)
{
    if (!neigh_start())
        return;
    neigh_do("SELECT 4");
    neigh_do("EVAL %s 0", "for i = 1, 10000 do "
                          "redis.call('HSET', 'PORT|Ethernet' .. i, 'mtu', 9100) end");
    neigh_do("SELECT 0");
    neigh_run(NULL);
    neigh_settle();
    neigh_do("CONFIG RESETSTAT");
    neigh_many(0, 2000, mac1);
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 2000);
    redisReply *reply = neigh_redis("INFO commandstats");
    const char *keys = strstr(reply->str, "cmdstat_keys:calls=");
    ck_assert_msg(!keys || atoi(keys + 19) <= 1, "%.60s", keys); /* neigh_equal's own */
    freeReplyObject(reply);
    neigh_end();
}
END_TEST

static uint64_t milliseconds_of_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* Twice, with events meanwhile; it comes back with nothing in it. */
START_TEST(redis_killed)
{
    if (!begin("32kb"))
        return;
    neigh_many(0, 3000, mac1);
    neigh_settle();
    for (unsigned i = 0; i < 2; i++) {
        neigh_many(1000, 1000, NULL);
        neigh_redis_kill();
        neigh_breathe(20);
        neigh_many(5000 + 1000 * i, 1000, mac2); /* more than the buffer holds */
        neigh_many(0, 500, i ? mac1 : NULL);
        neigh_breathe(20);
        uint64_t before = milliseconds_of_cpu();
        neigh_breathe(2200);
        ck_assert_uint_lt(milliseconds_of_cpu() - before, 1500); /* it does not spin */
        ck_assert_uint_eq(neigh_counter("health_status"), 0);
        ck_assert_uint_eq(neigh_counter("redis_connected"), 0);
        neigh_redis_start();
        neigh_consumes = true;
        neigh_until("redis_connected", 1);
        neigh_settle();
        neigh_equal();
        neigh_breathe(1100);
        ck_assert_uint_eq(neigh_counter("health_status"), 100);
        ck_assert_uint_eq(neigh_counter("table_rows"), (uint64_t)neigh_rows());
    }
    ck_assert_uint_ge(neigh_counter("redis_reconnects"), 2);
    neigh_end();
}
END_TEST

START_TEST(redis_absent)
{
    if (!neigh_start())
        return;
    neigh_redis_kill();
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_run(NULL);
    neigh_until("redis_errors", 3); /* it tries again and again ... */
    uint64_t slept = neigh_engine->counter[ENGINE_SLEPT_NS];
    engine_run(neigh_engine, engine_clock(neigh_engine) + 1000000000);
    ck_assert_uint_gt(neigh_engine->counter[ENGINE_SLEPT_NS] - slept, 500000000);
    neigh_redis_start();
    neigh_consumes = true;
    neigh_settle();
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.2", "neigh"), MAC);
    neigh_end();
}
END_TEST

START_TEST(scripts_and_rows_forgotten)
{
    struct value answer = { 0 };
    if (!begin("16mib"))
        return;
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_settle();
    neigh_do("SCRIPT FLUSH");
    neigh_add("Ethernet0", "10.0.0.3", NUD_PERMANENT);
    neigh_settle();
    ck_assert_str_eq(neigh_row("Ethernet0:10.0.0.3", "neigh"), MAC);
    ck_assert_uint_ge(neigh_counter("events_failed"), 1);
    neigh_do("FLUSHALL");
    neigh_settle();
    ck_assert_int_eq(neigh_rows(), 0);
    struct app *app = engine_find_app(neigh_engine, "neigh");
    app->class->call(app, 2, NULL, &answer, NULL); /* resync */
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 2);
    neigh_end();
}
END_TEST

START_TEST(redis_stalls)
{
    if (!begin("16mib"))
        return;
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_settle();
    neigh_do("CLIENT PAUSE 3000");
    neigh_many(0, 2000, mac1);
    neigh_breathe(500);
    ck_assert_uint_gt(neigh_counter("redis_commands"), 1);
    neigh_consumes = false; /* it would be paused as well */
    neigh_settle();
    neigh_consumes = true;
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 2001);
    ck_assert_uint_eq(neigh_counter("redis_reconnects"), 0);
    neigh_end();
}
END_TEST

START_TEST(redis_is_silent)
{
    if (!neigh_start())
        return;
    neigh_run("redis_timeout", "300ms", NULL);
    neigh_settle();
    neigh_redis_stop(true);
    neigh_many(0, 100, mac1);
    neigh_breathe(1500);
    neigh_redis_stop(false);
    neigh_settle();
    ck_assert_uint_ge(neigh_counter("redis_errors"), 1);
    ck_assert_uint_eq(neigh_equal(), 100);
    neigh_end();
}
END_TEST

/* Refused for a while; the second command is what ends it. */
START_TEST(redis_refuses)
{
    static const char *const ways[][2] = {
        { "SET NEIGH_TABLE_KEY_SET text", "DEL NEIGH_TABLE_KEY_SET" },
        { "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0" },
        { "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE" },
    };
    if (!begin("16mib"))
        return;
    neigh_consumes = false;
    neigh_do(ways[_i][0], NULL);
    neigh_many(0, 100, mac1);
    neigh_until("events_failed", 100);
    uint64_t commands = neigh_counter("redis_commands");
    neigh_breathe(500);
    ck_assert_uint_lt(neigh_counter("redis_commands") - commands, 2000);
    neigh_do(ways[_i][1], NULL);
    neigh_settle();
    neigh_consumes = true;
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 100);
    neigh_end();
}
END_TEST

/* One row that Redis does not take, whose staging key is no hash, keeps nothing from the others. */
START_TEST(redis_refuses_a_row)
{
    neigh_clock = true;
    if (!neigh_begin())
        return;
    neigh_do("SET _NEIGH_TABLE:Ethernet0:10.1.0.50 text");
    neigh_many(0, 100, mac1);
    neigh_until("neighbors_added", 99);
    neigh_breathe(5000);
    ck_assert_uint_eq(neigh_counter("neighbors_added"), 99);
    uint64_t failed = neigh_counter("events_failed");
    neigh_breathe(10000);
    ck_assert_uint_le(neigh_counter("events_failed") - failed, 12);
    neigh_do("DEL _NEIGH_TABLE:Ethernet0:10.1.0.50");
    neigh_settle();
    ck_assert_uint_eq(neigh_counter("neighbors_added"), 100);
    ck_assert_uint_eq(neigh_equal(), 100);
    neigh_end();
}
END_TEST

/* However little is refused: what waits does not get on. */
START_TEST(redis_refuses_one)
{
    neigh_clock = true;
    if (!neigh_begin())
        return;
    neigh_do("REPLICAOF 127.0.0.1 1");
    neigh_add("Ethernet0", "10.0.0.2", NUD_PERMANENT);
    neigh_breathe(20000);
    ck_assert_uint_eq(neigh_counter("health_status"), 0);
    ck_assert_uint_eq(neigh_counter("neighbors_added"), 0);
    neigh_do("REPLICAOF NO ONE");
    neigh_settle();
    neigh_breathe(1100);
    ck_assert_uint_eq(neigh_counter("health_status"), 100);
    ck_assert_uint_eq(neigh_counter("neighbors_added"), 1);
    neigh_end();
}
END_TEST

/* A process may send netlink messages to others; it is not the kernel. */
START_TEST(foreign_sender)
{
    char table[4096];
    uint32_t port = 0;
    if (!begin("16mib"))
        return;
    FILE *file = fopen("/proc/net/netlink", "r");
    while (fgets(table, sizeof(table), file)) {
        unsigned protocol, pid, groups;
        if (sscanf(table, "%*s %u %u %x", &protocol, &pid, &groups) == 3 && !protocol &&
            groups & RTMGRP_NEIGH)
            port = pid;
    }
    fclose(file);
    ck_assert_uint_ne(port, 0);
    struct {
        struct nlmsghdr header;
        struct ndmsg neighbour;
        struct nlattr dst;
        uint8_t address[4];
        struct nlattr lladdr;
        uint8_t mac[8];
    } message = { { sizeof(message) - 2, RTM_NEWNEIGH, 0, 0, 0 },
                  { .ndm_family = AF_INET, .ndm_ifindex = 2, .ndm_state = NUD_PERMANENT },
                  { 8, NDA_DST },
                  { 10, 66, 66, 66 },
                  { 10, NDA_LLADDR },
                  { 2, 0, 0, 0, 0, 1 } };
    struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = port };
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    ck_assert_int_eq(
        sendto(fd, &message, sizeof(message), 0, (struct sockaddr *)&to, sizeof(to)),
        sizeof(message));
    close(fd);
    neigh_until("netlink_foreign", 1);
    neigh_settle();
    ck_assert_int_eq(neigh_rows(), 0);
    neigh_end();
}
END_TEST

/* More neighbours than there is room for: those that fit; when others go, they come. */
START_TEST(table_full)
{
    if (!neigh_start())
        return;
    neigh_run("neighbors", "1000", NULL);
    neigh_many(0, 1500, mac1);
    neigh_settle();
    ck_assert_int_eq(neigh_rows(), 1000);
    ck_assert_uint_ge(neigh_counter("drop_full"), 500);
    neigh_many(0, 1200, NULL);
    neigh_settle();
    neigh_breathe(1100);
    neigh_settle();
    ck_assert_uint_eq(neigh_equal(), 300);
    neigh_end();
}
END_TEST

/* Those that are left out are not asked for again until there is room. */
START_TEST(interfaces_full)
{
    if (!neigh_start())
        return;
    for (unsigned i = 0; i < 6; i++)
        shell("ip link add Bridge%u type bridge && ip link set Bridge%u up", i, i);
    neigh_clock = true;
    neigh_run("interfaces", "5", NULL);
    neigh_add("Bridge5", "10.0.5.1", NUD_REACHABLE);
    neigh_settle();
    neigh_breathe(1100);
    uint64_t rounds = neigh_counter("resyncs");
    ck_assert_uint_ge(neigh_counter("drop_full"), 1);
    neigh_breathe(10000);
    neigh_settle();
    ck_assert_uint_eq(neigh_counter("resyncs"), rounds);
    ck_assert_str_eq(neigh_row("Bridge5:10.0.5.1", "neigh"), "");
    for (unsigned i = 0; i < 5; i++)
        shell("ip link del Bridge%u", i);
    neigh_breathe(1100);
    neigh_settle();
    ck_assert_str_eq(neigh_row("Bridge5:10.0.5.1", "neigh"), MAC);
    neigh_end();
}
END_TEST

static Suite *suite_neigh_faults(void)
{
    Suite *suite = suite_create("neigh_faults");
    TCase *tcase = tcase_create("neigh_faults");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, burst);
    tcase_add_test(tcase, burst_of_ipv6);
    tcase_add_test(tcase, overrun);
    tcase_add_test(tcase, overrun_in_round);
    tcase_add_test(tcase, flapping);
    tcase_add_loop_test(tcase, consumer_of_128, 0, 2);
    tcase_add_test(tcase, no_false_deletes);
    tcase_add_test(tcase, config_is_large);
    tcase_add_test(tcase, redis_killed);
    tcase_add_test(tcase, redis_absent);
    tcase_add_test(tcase, scripts_and_rows_forgotten);
    tcase_add_test(tcase, redis_stalls);
    tcase_add_test(tcase, redis_is_silent);
    tcase_add_loop_test(tcase, redis_refuses, 0, 3);
    tcase_add_test(tcase, redis_refuses_a_row);
    tcase_add_test(tcase, redis_refuses_one);
    tcase_add_test(tcase, foreign_sender);
    tcase_add_test(tcase, table_full);
    tcase_add_test(tcase, interfaces_full);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(neigh_faults)
