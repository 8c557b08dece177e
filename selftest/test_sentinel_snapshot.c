/* FlowSentinel's snapshot: the file, and what outlives a process by it. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "apps/apps.h"
#include "apps/flow_sentinel/snapshot.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"
#include "selftest/sentinel_app.h"
#include "selftest/sentinel_rig.h"
#include "selftest/support.h"

#define MS  1000000ull
#define SEC 1000000000ull

static char directory[] = "/tmp/vanguard-snapshot-XXXXXX";
static char file[64], bad[80];

static void setup(void)
{
    strcpy(directory + sizeof(directory) - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(file, sizeof(file), "%s/kept", directory);
    snprintf(bad, sizeof(bad), "%s.bad", file);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* --- the file ---------------------------------------------------------------------------- */

static void write_text(const char *text, size_t length)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(write(fd, text, length), (ssize_t)length);
    close(fd);
}

static struct snapshot_row row_of(const char *prefix, enum sentinel_kind kind,
                                  uint64_t remaining, uint64_t ttl, uint8_t limit)
{
    struct snapshot_row row = {
        .kind = (uint8_t)kind, .limit = limit, .remaining = remaining, .ttl = ttl
    };
    ck_assert_int_eq(prefix_parse(&row.prefix, prefix), 0);
    return row;
}

static bool same_row(const struct snapshot_row *a, const struct snapshot_row *b)
{
    return a->prefix.family == b->prefix.family && a->prefix.bits == b->prefix.bits &&
           !memcmp(a->prefix.address, b->prefix.address, sizeof(a->prefix.address)) &&
           a->kind == b->kind && a->limit == b->limit && a->force == b->force &&
           a->remaining == b->remaining && a->ttl == b->ttl;
}

START_TEST(what_is_written_is_read)
{
    struct snapshot_row rows[] = {
        row_of("198.51.100.7", KIND_BLOCKED, 43215 * MS, 60 * SEC, LIMIT_SYN),
        row_of("2001:db8:1:2::/64", KIND_BLOCKED, MS, SNAPSHOT_TTL_MAX, LIMIT_FLAGS),
        row_of("192.0.2.9", KIND_BANNED, 3599 * SEC, 3600 * SEC, 0),
        row_of("203.0.113.0/24", KIND_BANNED, 0, 0, 0),
        row_of("203.0.114.0/24", KIND_BANNED, 0, 0, 0),
        row_of("2001:db8::1", KIND_ALLOWED, 0, 0, 0),
        row_of("0.0.0.0/0", KIND_ALLOWED, 0, 0, 0),
    };
    rows[4].force = true;
    struct snapshot out = { 7, rows }, in;
    struct error err = { 0 };
    struct stat st;
    for (int i = 0; i < 2; i++) /* beside none, and in the place of one */
        ck_assert_msg(!snapshot_write(file, &out, &err), "%s", err.text);
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_msg(!snapshot_read(file, 7, &in, &err), "%s", err.text);
    ck_assert_uint_eq(in.count, 7);
    for (size_t i = 0; i < 7; i++)
        ck_assert_msg(same_row(&in.rows[i], &rows[i]), "row %zu", i);
    snapshot_clear(&in);
}
END_TEST

#define HEAD "# vanguard sentinel snapshot 1\n"
#define LINE "192.0.2.1/32 banned\n"

static const struct {
    const char *text, *said;
} hostile[] = {
    { "", ":1: no snapshot" },
    { "192.0.2.1/32 banned\n# end 1\n", ":1: no snapshot" },
    { HEAD, "cut short" },
    { HEAD LINE, "cut short" },
    { HEAD LINE "# end 2\n", ":3: nothing that" },
    { HEAD LINE "# end 1", ":3: no line" },
    { HEAD LINE "# end 1\n\n", ":3: not the end" },
    { HEAD "192.0.2.1/32\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/33 banned\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 allowed force\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 banned force 1ms\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 own\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 blocked\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 blocked 1ms 1ms\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 blocked 1ms 1ms src_nothing\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 banned 1ms\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 banned 1ms 1ms src_syn\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 banned 0 1ms\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 banned -5s 1ms\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 banned nan 1ms\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 banned 1e300s 1ms\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 banned 31d 31d\n# end 1\n", ":2: nothing that" },
    { HEAD "192.0.2.1/32 blocked 1ms 1ms src_syn more\n# end 1\n", ":2: nothing that" },
    { HEAD LINE LINE LINE LINE "# end 4\n", ":5: more than there is room for" },
    { HEAD "192.0.2.1/32 banned                                                       "
           "                                                                          "
           "                                                      \n# end 1\n",
      ":2: no line" },
};

START_TEST(hostile_files_are_refused)
{
    struct snapshot in;
    struct error err = { 0 };
    write_text(HEAD LINE LINE LINE "# end 3\n", strlen(HEAD LINE LINE LINE "# end 3\n"));
    ck_assert_int_eq(snapshot_read(file, 3, &in, &err), 0); /* the control */
    snapshot_clear(&in);
    write_text(hostile[_i].text, strlen(hostile[_i].text));
    ck_assert_int_lt(snapshot_read(file, 3, &in, &err), 0);
    ck_assert_msg(strstr(err.text, hostile[_i].said) && !strchr(err.text, '\n'), "%s",
                  err.text);
    ck_assert_uint_eq(in.count, 0);
}
END_TEST

START_TEST(a_nul_is_no_text)
{
    static const char text[] = HEAD "192.0.2.1/32 banned\0\n# end 1\n";
    struct snapshot in;
    struct error err = { 0 };
    write_text(text, sizeof(text) - 1);
    ck_assert_int_lt(snapshot_read(file, 3, &in, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, ":2: no line"));
}
END_TEST

/* A file that somebody else may write, or none at all. */
START_TEST(only_files_of_ours_are_read)
{
    static const char *const commands[] = {
        "chmod 0620 %s",
        "rm %1$s; mkfifo -m 600 %1$s",
        "mv %1$s %1$s2; ln -s %1$s2 %1$s",
        "rm %1$s; mkdir %1$s",
    };
    char command[256];
    struct snapshot in;
    struct error err = { 0 };
    write_text(HEAD "# end 0\n", strlen(HEAD "# end 0\n"));
    ck_assert_int_eq(snapshot_read(file, 3, &in, &err), 0); /* the control */
    snprintf(command, sizeof(command), commands[_i], file);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_lt(snapshot_read(file, 3, &in, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, file));
}
END_TEST

/* --- what outlives a process ------------------------------------------------------------------ */

static struct graph *kernel_graph(void)
{
    struct graph *graph = graph_new();
    test_app(graph, "guard", "FlowSentinel", "ifname", "d0", "max_static", "16384",
             "max_blocks", "1024", "snapshot", file, NULL);
    return graph;
}

static struct engine *begin(const char *name, const char *value)
{
    struct engine *engine = test_engine(1);
    if (name && !strcmp(name, "ifname")) {
        test_configure(engine, kernel_graph());
        return engine;
    }
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "guard", "FlowSentinel", "src_syn", "500", "max_static", "16384",
             "max_blocks", "1024", "snapshot", file, name, value, NULL);
    test_link(graph, "in -> guard");
    test_configure(engine, graph);
    return engine;
}

#define BANS 10000

static uint64_t boot_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * SEC + (uint64_t)now.tv_nsec;
}

/* Returns how many of the bans are there; what is left of each is off by so much at most. */
static int bans(struct engine *engine, double seconds, double early, double late)
{
    struct value list = guard_ask(engine, "list", "limit", "20000", NULL);
    int count = 0;
    for (size_t i = 0; i < list.table->count; i++) {
        const struct value *row = &list.table->fields[i].value;
        int a, b;
        if (sscanf(value_get(row, "address")->string, "198.18.%d.%d", &a, &b) != 2)
            continue;
        double left = 100 + 256 * a + b - seconds;
        ck_assert_double_ge(guard_number(row, "remaining"), left - early);
        ck_assert_double_le(guard_number(row, "remaining"), left + late);
        count++;
    }
    value_free(&list);
    return count;
}

static void ban_many(struct engine *engine)
{
    char address[32], ttl[32];
    for (int i = 0; i < BANS; i++) {
        snprintf(ttl, sizeof(ttl), "%ds", 100 + i);
        snprintf(address, sizeof(address), "198.18.%d.%d", i >> 8, i & 255);
        guard_tell(engine, "ban", "address", address, "ttl", ttl, NULL);
    }
}

/* T22: each ban has a ttl of its own, and is for 1 s + the snapshot's age off at most. */
START_TEST(bans_outlive_a_process)
{
    struct engine *engine = begin(NULL, NULL);
    ban_many(engine);
    guard_wait(engine, 7 * SEC);
    engine_free(engine);
    if (_i) /* the control: nothing to start from */
        unlink(file);
    engine = begin(NULL, NULL);
    ck_assert_int_eq(bans(engine, 7, 0.001, 1), _i ? 0 : BANS);
    engine_free(engine);
}
END_TEST

/* The same with the tables of an XDP program. */
START_TEST(bans_outlive_a_program)
{
    if (!private_network())
        return;
    shell("ip link add g0 type veth peer name d0 && ip link set d0 up");
    struct engine *engine = begin("ifname", "d0");
    uint64_t began = boot_time();
    ban_many(engine);
    uint64_t stopped = boot_time();
    engine_free(engine);
    if (_i)
        unlink(file);
    engine = begin("ifname", "d0");
    double late = (double)(boot_time() - began) / SEC;
    ck_assert_int_eq(bans(engine, (double)(stopped - began) / SEC, late, late + 1),
                     _i ? 0 : BANS);
    engine_free(engine);
}
END_TEST

static void flood(struct engine *engine, const char *source, int syns)
{
    struct rig_frame syn = rig_tcp(
        source, strchr(source, ':') ? "2001:db8::1" : "192.0.2.1", 1024, 80, 2, 0);
    for (int i = 0; i < syns; i++) {
        test_inject_bytes(engine, "in", syn.data, syn.length);
        guard_wait(engine, MS / 2);
    }
}

/* Blocks of detections, what was said of prefixes, and what was allowed. */
START_TEST(all_kinds_outlive_a_process)
{
    struct engine *engine = begin("ttl", "100s");
    flood(engine, "198.51.100.7", 2000);
    flood(engine, "2001:db8:1:2::3", 2000);
    guard_tell(engine, "ban", "address", "203.0.113.0/24", NULL);
    guard_tell(engine, "ban", "address", "192.0.2.9", NULL);
    guard_tell(engine, "ban", "address", "192.0.2.10", "ttl", "1s", NULL);
    guard_tell(engine, "allow", "address", "203.0.113.128/25", NULL);
    guard_tell(engine, "allow", "address", "192.0.2.11", NULL);
    guard_wait(engine, 2 * SEC);
    engine_free(engine);
    engine = begin(NULL, NULL);
    struct value list = guard_ask(engine, "list", "limit", "20000", NULL);
    ck_assert_uint_eq(list.table->count, 6); /* one ban is over */
    const struct value *row = guard_row(&list, "address", "198.51.100.7");
    ck_assert_ptr_nonnull(row);
    ck_assert_str_eq(value_get(row, "kind")->string, "blocked");
    ck_assert_str_eq(value_get(row, "detection")->string, "src_syn");
    ck_assert_double_ge(guard_number(row, "remaining"), 96);
    ck_assert_double_le(guard_number(row, "remaining"), 98);
    ck_assert_ptr_nonnull(guard_row(&list, "address", "2001:db8:1:2::/64"));
    ck_assert_str_eq(
        value_get(guard_row(&list, "address", "203.0.113.0/24"), "kind")->string,
        "banned");
    ck_assert_str_eq(
        value_get(guard_row(&list, "address", "203.0.113.128/25"), "kind")->string,
        "allowed");
    ck_assert_double_eq(
        guard_number(guard_row(&list, "address", "192.0.2.9"), "remaining"), 0);
    ck_assert_str_eq(value_get(guard_row(&list, "address", "192.0.2.11"), "kind")->string,
                     "allowed");
    value_free(&list);
    struct value status = guard_ask(engine, "status", NULL);
    ck_assert_double_eq(guard_number(&status, "blocks"), 2);
    ck_assert_double_eq(guard_number(value_get(&status, "snapshot"), "restored"), 6);
    value_free(&status);
    flood(engine, "198.51.100.7", 10);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_blocked"), 10);
    engine_free(engine);
}
END_TEST

/* Who is allowed now is not blocked, and a source of another size is none. */
START_TEST(the_parameters_come_first)
{
    struct engine *engine = begin("ttl", "100s");
    flood(engine, "198.51.100.7", 2000);
    flood(engine, "2001:db8:1:2::3", 2000);
    engine_free(engine);
    engine = begin(_i ? "source_prefix6" : "allow", _i ? "56" : "198.51.100.0/24");
    struct value list = guard_ask(engine, "list", "limit", "20000", NULL);
    ck_assert_int_eq(!guard_row(&list, "address", "198.51.100.7"), !_i);
    ck_assert_int_eq(!guard_row(&list, "address", "2001:db8:1:2::/64"), _i);
    value_free(&list);
    engine_free(engine);
}
END_TEST

/* By force, and a source of IPv6 that is longer than most. */
START_TEST(a_forced_ban_outlives_a_process)
{
    for (int i = 0; i < 2; i++) {
        struct engine *engine = begin("allow", "198.51.0.0/16");
        if (!i)
            guard_tell(engine, "ban", "address", "198.51.100.0/24", "force", "true",
                       NULL);
        flood(engine, "198.51.100.7", 10);
        ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 10);
        engine_free(engine);
    }
    unlink(file); /* the control */
    struct engine *engine = begin("allow", "198.51.0.0/16");
    flood(engine, "198.51.100.7", 10);
    ck_assert_uint_eq(test_counter(engine, "guard", "drop_listed"), 0);
    engine_free(engine);
}
END_TEST

START_TEST(a_long_source_outlives_a_process)
{
    for (int i = 0; i < 2; i++) {
        struct engine *engine = begin("source_prefix6", "96");
        if (!i)
            flood(engine, "2001:db8:1:2:3:4:5:6", 2000);
        struct value list = guard_ask(engine, "list", NULL);
        ck_assert_uint_eq(list.table->count, 1);
        ck_assert_str_eq(value_get(&list.table->fields[0].value, "address")->string,
                         "2001:db8:1:2:3:4::/96");
        value_free(&list);
        engine_free(engine);
    }
}
END_TEST

/* What people said is written at the next tick, the rest in its own time. */
START_TEST(it_is_written_in_time)
{
    struct engine *engine = begin("snapshot_period", "10s");
    struct snapshot in;
    struct error err;
    guard_wait(engine, 100 * MS);
    ck_assert_int_eq(snapshot_read(file, 10, &in, &err), 0);
    ck_assert_uint_eq(in.count, 0);
    guard_tell(engine, "ban", "address", "192.0.2.9", "ttl", "1h", NULL);
    guard_wait(engine, 100 * MS);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(snapshot_read(file, 10, &in, &err), 0);
        ck_assert_uint_eq(in.count, 1);
        ck_assert_uint_ge(in.rows[0].remaining, 3599 * SEC - (uint64_t)i * 11 * SEC);
        ck_assert_uint_le(in.rows[0].remaining, 3600 * SEC - (uint64_t)i * 10 * SEC);
        snapshot_clear(&in);
        for (int tick = 0; tick < (i ? 0 : 101); tick++)
            guard_wait(engine, 100 * MS);
    }
    guard_tell(engine, "unban", "address", "192.0.2.9", NULL);
    guard_wait(engine, 100 * MS);
    ck_assert_int_eq(snapshot_read(file, 10, &in, &err), 0);
    ck_assert_uint_eq(in.count, 0);
    engine_free(engine);
}
END_TEST

/* It starts all the same, says so, and does not take the place of what it could not read. */
START_TEST(a_bad_file_is_put_aside)
{
    const char *text = HEAD LINE "192.0.2.2/32 baned\n# end 2\n";
    char back[128] = "";
    write_text(text, strlen(text));
    struct engine *engine = begin(NULL, NULL);
    struct value list = guard_ask(engine, "list", "limit", "20000", NULL),
                 status = guard_ask(engine, "status", NULL);
    ck_assert_uint_eq(list.table->count, 0);
    const char *refused = value_get(value_get(&status, "snapshot"), "refused")->string;
    ck_assert_msg(strstr(refused, "kept:3: ") && strstr(refused, bad), "%s", refused);
    value_free(&list);
    value_free(&status);
    engine_free(engine);
    FILE *aside = fopen(bad, "r");
    ck_assert_ptr_nonnull(aside);
    ck_assert_uint_eq(fread(back, 1, sizeof(back) - 1, aside), strlen(text));
    fclose(aside);
    ck_assert_str_eq(back, text);
}
END_TEST

/* A disk that takes no more is told of, and of it alone. */
START_TEST(a_place_that_is_not_there)
{
    snprintf(file, sizeof(file), "%s/no/such", directory);
    struct engine *engine = begin(NULL, NULL);
    guard_tell(engine, "ban", "address", "192.0.2.9", NULL);
    guard_wait(engine, 100 * MS);
    struct value status = guard_ask(engine, "status", NULL);
    ck_assert_ptr_nonnull(strstr(
        value_get(value_get(&status, "snapshot"), "problem")->string, "No such file"));
    value_free(&status);
    engine_free(engine);
}
END_TEST

static Suite *suite_sentinel_snapshot(void)
{
    Suite *suite = suite_create("sentinel_snapshot");
    TCase *tcase = tcase_create("sentinel_snapshot");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_written_is_read);
    tcase_add_loop_test(tcase, hostile_files_are_refused, 0,
                        sizeof(hostile) / sizeof(hostile[0]));
    tcase_add_test(tcase, a_nul_is_no_text);
    tcase_add_loop_test(tcase, only_files_of_ours_are_read, 0, 4);
    tcase_add_loop_test(tcase, bans_outlive_a_process, 0, 2);
    tcase_add_loop_test(tcase, bans_outlive_a_program, 0, 2);
    tcase_add_test(tcase, all_kinds_outlive_a_process);
    tcase_add_loop_test(tcase, the_parameters_come_first, 0, 2);
    tcase_add_test(tcase, a_forced_ban_outlives_a_process);
    tcase_add_test(tcase, a_long_source_outlives_a_process);
    tcase_add_test(tcase, it_is_written_in_time);
    tcase_add_test(tcase, a_bad_file_is_put_aside);
    tcase_add_test(tcase, a_place_that_is_not_there);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_snapshot)
