/* test_pcap_writer: PcapWriter's files byte by byte, and what happens when they cannot be
 * written. */
#include "selftest/selftest.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "apps/apps.h"
#include "selftest/pcap_file.h"
#include "selftest/support.h"

#define SECOND 1000000000ull
#define START  SECOND /* where test_engine's clock stands at first */

static struct engine *engine;
static char path[40];

static void setup(void)
{
    strcpy(path, "/tmp/selftest_writer_XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    engine = test_engine(1);
}

static void teardown(void)
{
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
    unlink(path);
}

static void check_file(const char *where)
{
    static uint8_t bytes[sizeof(pcap_file.bytes)];
    FILE *in = fopen(where, "rb");
    ck_assert_ptr_nonnull(in);
    size_t length = fread(bytes, 1, sizeof(bytes), in);
    fclose(in);
    ck_assert_uint_eq(length, pcap_file.length);
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != pcap_file.bytes[i])
            ck_abort_msg("byte %zu of the file is %02x, not %02x", i, bytes[i],
                         pcap_file.bytes[i]);
}

static long file_size(const char *where)
{
    struct stat st;
    return stat(where, &st) ? -1 : (long)st.st_size;
}

static void write_graph(const char *where, const char *key, const char *value, bool tap)
{
    struct graph *graph = graph_new();
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "writer", "PcapWriter", "file", where, key, value, NULL);
    test_link(graph, "in -> writer");
    if (tap) {
        test_app(graph, "out", "Collect", NULL);
        test_link(graph, "writer -> out");
    }
    test_configure(engine, graph);
}

static struct packet *stamped(uint8_t which, uint32_t length, uint64_t time)
{
    struct packet *p = packet_from_bytes(pcap_frame(which, length), length);
    p->timestamp = time;
    return p;
}

static void stop_all(void)
{
    test_configure(engine, graph_new());
}

START_TEST(test_written_bytes)
{
    bool micro = _i;
    write_graph(path, micro ? "precision" : NULL, "us", false);
    test_inject(engine, "in", stamped(1, 60, 5 * SECOND + 123456789));
    test_inject(engine, "in", stamped(2, 0, 7 * SECOND));
    test_inject(engine, "in", stamped(3, 1500, 0)); /* unknown: the time of the breath */
    test_breathe(engine, 1);
    ck_assert_uint_eq(test_counter(engine, "writer", "packets"), 3);
    ck_assert_uint_eq(test_counter(engine, "writer", "bytes"), 1560);
    stop_all();
    pcap_begin(micro ? 0xa1b2c3d4 : 0xa1b23c4d, 262144, PCAP_ETHERNET, false);
    pcap_put_record(5, micro ? 123456 : 123456789, 1, 60, 60);
    pcap_put_record(7, 0, 2, 0, 0);
    pcap_put_record(1, 0, 3, 1500, 1500);
    check_file(path);
}
END_TEST

START_TEST(test_snaplen)
{
    write_graph(path, "snaplen", "100", false);
    test_inject(engine, "in", stamped(1, 100, SECOND));
    test_inject(engine, "in", stamped(2, 101, SECOND));
    test_breathe(engine, 1);
    ck_assert_uint_eq(test_counter(engine, "writer", "truncated"), 1);
    stop_all();
    pcap_begin(0xa1b23c4d, 100, PCAP_ETHERNET, false);
    pcap_put_record(1, 0, 1, 100, 100);
    pcap_put_record(1, 0, 2, 100, 101);
    check_file(path);
}
END_TEST

static void inject_tagged(uint32_t length, uint16_t tpid, uint16_t tci)
{
    struct packet *p = stamped(9, length, SECOND);
    p->flags = PACKET_VLAN;
    p->vlan_tpid = tpid;
    p->vlan_tci = tci;
    test_inject(engine, "in", p);
}

static void put_tagged(uint32_t length, uint32_t tag)
{
    pcap_put_record(1, 0, 9, length + 4, length + 4);
    uint8_t bytes[] = { (uint8_t)(tag >> 24), (uint8_t)(tag >> 16), (uint8_t)(tag >> 8),
                        (uint8_t)tag };
    memcpy(pcap_file.bytes + pcap_file.length - length - 4 + 12, bytes, 4);
}

START_TEST(test_vlan_restored)
{
    write_graph(path, NULL, NULL, true);
    inject_tagged(60, 0x8100, 0xe005);
    inject_tagged(12, 0x88a8, 5);
    inject_tagged(60, 0, 0); /* a priority tag, of which the type is not known */
    inject_tagged(11, 0x8100, 1);
    test_breathe(engine, 1);
    stop_all();
    pcap_begin(0xa1b23c4d, 262144, PCAP_ETHERNET, false);
    put_tagged(60, 0x8100e005);
    put_tagged(12, 0x88a80005);
    put_tagged(60, 0x81000000);
    pcap_put_record(1, 0, 9, 11, 11); /* no room for a tag between two addresses */
    check_file(path);
}
END_TEST

START_TEST(test_tap)
{
    write_graph(path, NULL, NULL, true);
    for (int i = 0; i < 200; i++)
        test_inject(engine, "in", stamped((uint8_t)i, 60, 0));
    inject_tagged(60, 0x8100, 7);
    test_breathe(engine, 1);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 201);
    for (int i = 0; i < 200; i++) {
        ck_assert_mem_eq(p[i]->data, pcap_frame((uint8_t)i, 60), 60);
        ck_assert_uint_eq(p[i]->timestamp, 0);
    }
    ck_assert_uint_eq(p[200]->length, 60);
    ck_assert_uint_eq(p[200]->flags & PACKET_VLAN, PACKET_VLAN);
}
END_TEST

/* What waits in the buffer is in the file a second later. */
START_TEST(test_flush)
{
    write_graph(path, NULL, NULL, false);
    test_breathe(engine, 1);
    ck_assert_int_eq(file_size(path), 24);
    test_inject(engine, "in", stamped(1, 60, SECOND));
    test_breathe(engine, 1);
    ck_assert_int_eq(file_size(path), 24);
    engine_set_time(engine, START + SECOND - 1);
    test_breathe(engine, 1);
    ck_assert_int_eq(file_size(path), 24);
    engine_set_time(engine, START + SECOND + ENGINE_TICK);
    test_breathe(engine, 1);
    ck_assert_int_eq(file_size(path), 24 + 76);
}
END_TEST

/* More than the buffer holds: goes out in whole records. */
START_TEST(test_buffer_overflow)
{
    write_graph(path, NULL, NULL, false);
    pcap_begin(0xa1b23c4d, 262144, PCAP_ETHERNET, false);
    for (uint8_t i = 0; i < 180; i++) {
        test_inject(engine, "in", stamped(i, 1500, SECOND));
        pcap_put_record(1, 0, i, 1500, 1500);
    }
    test_breathe(engine, 1);
    ck_assert_int_eq((file_size(path) - 24) % 1516, 0);
    ck_assert_int_gt(file_size(path), 200000);
    stop_all();
    check_file(path);
}
END_TEST

static void check_report(const char *expected)
{
    char text[256] = "";
    struct app *app = engine_find_app(engine, "writer");
    FILE *out = fmemopen(text, sizeof(text), "w");
    app->class->report(app, out);
    fclose(out);
    ck_assert_str_eq(text, expected);
}

START_TEST(test_disk_full)
{
    write_graph("/dev/full", NULL, NULL, true);
    test_inject(engine, "in", stamped(1, 60, SECOND));
    test_breathe(engine, 1);
    test_inject(engine, "in", stamped(2, 60, SECOND));
    test_breathe(engine, 1);
    /* The file header fails in the first breath, before there are packets. */
    ck_assert_uint_eq(test_counter(engine, "writer", "packets"), 0);
    ck_assert_uint_eq(test_counter(engine, "writer", "drop_write_error"), 2);
    size_t count;
    test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 2);
    check_report("(writing /dev/full ended: No space left on device)");
}
END_TEST

/* A limit met in mid-capture: the file ends with a whole record. */
START_TEST(test_file_limit)
{
    struct rlimit old, limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit){ 10000, old.rlim_max };
    write_graph(path, NULL, NULL, false);
    test_breathe(engine, 1);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 1; i <= 3; i++) {
        engine_set_time(engine, START + (uint64_t)i * 2 * SECOND);
        test_inject(engine, "in", stamped((uint8_t)i, 1500, SECOND));
        if (i == 2)
            for (int j = 0; j < 8; j++)
                test_inject(engine, "in", stamped(9, 1500, SECOND));
        test_breathe(engine, 2);
    }
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_uint_eq(test_counter(engine, "writer", "packets"), 10);
    ck_assert_uint_eq(test_counter(engine, "writer", "lost_write_error"), 9);
    ck_assert_uint_eq(test_counter(engine, "writer", "drop_write_error"), 1);
    char text[256];
    snprintf(text, sizeof(text), "(writing %s ended: File too large)", path);
    check_report(text);
    stop_all();
    pcap_begin(0xa1b23c4d, 262144, PCAP_ETHERNET, false);
    pcap_put_record(1, 0, 1, 1500, 1500);
    check_file(path);
}
END_TEST

/* The same when what is left in the buffer does not fit. */
START_TEST(test_file_limit_at_stop)
{
    struct rlimit old, limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit){ 100, old.rlim_max };
    write_graph(path, NULL, NULL, false);
    test_inject(engine, "in", stamped(1, 1500, SECOND));
    test_breathe(engine, 1);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    stop_all();
    setrlimit(RLIMIT_FSIZE, &old);
    pcap_begin(0xa1b23c4d, 262144, PCAP_ETHERNET, false);
    check_file(path);
}
END_TEST

/* Other parameters for the same file: it begins anew, without remains of what the
 * instance before still had in its buffer. */
START_TEST(test_restart)
{
    write_graph(path, NULL, NULL, false);
    for (int i = 0; i < 100; i++)
        test_inject(engine, "in", stamped(1, 1000, SECOND));
    test_breathe(engine, 1);
    write_graph(path, "precision", "us", false);
    test_inject(engine, "in", stamped(2, 60, SECOND));
    test_breathe(engine, 1);
    stop_all();
    pcap_begin(0xa1b2c3d4, 262144, PCAP_ETHERNET, false);
    pcap_put_record(1, 0, 2, 60, 60);
    check_file(path);
}
END_TEST

/* A graph that cannot start leaves the capture that runs alone. */
START_TEST(test_failed_restart)
{
    write_graph(path, NULL, NULL, false);
    test_inject(engine, "in", stamped(1, 60, SECOND));
    test_breathe(engine, 1);
    struct graph *graph = graph_new();
    struct error err;
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "writer", "PcapWriter", "file", path, "snaplen", "20", NULL);
    test_app(graph, "zz", "PcapReader", "file", "/nowhere", NULL);
    test_link(graph, "in -> writer");
    ck_assert_int_lt(engine_configure(engine, graph, &err), 0);
    test_inject(engine, "in", stamped(2, 60, SECOND));
    test_breathe(engine, 1);
    stop_all();
    pcap_begin(0xa1b23c4d, 262144, PCAP_ETHERNET, false);
    pcap_put_record(1, 0, 1, 60, 60);
    pcap_put_record(1, 0, 2, 60, 60);
    check_file(path);
}
END_TEST

static void check_not_writable(const char *where, const char *reason)
{
    struct graph *graph = graph_new();
    struct error err = { 0 };
    char text[256];
    test_app(graph, "writer", "PcapWriter", "file", where, NULL);
    ck_assert_int_lt(engine_configure(engine, graph, &err), 0);
    snprintf(text, sizeof(text), "app \"writer\" (PcapWriter): file: %s", reason);
    ck_assert_str_eq(err.text, text);
    ck_assert_int_eq(err.kind, ERROR_FILE);
}

START_TEST(test_not_writable)
{
    char reason[128];
    check_not_writable("/nowhere/x.pcap",
                       "cannot create /nowhere/x.pcap: No such file or directory");
    check_not_writable("/tmp", "/tmp is not a regular file");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    snprintf(reason, sizeof(reason), "%s is not a regular file", path);
    check_not_writable(path, reason);
}
END_TEST

static uint64_t wall_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

/* On a real clock the file has wall clock times. */
START_TEST(test_wall_clock)
{
    struct engine_options options = { .seed = 1 };
    struct engine *real = engine_new(&options, NULL), *virtual = engine;
    ck_assert_ptr_nonnull(real);
    engine = real;
    write_graph(path, NULL, NULL, false);
    uint64_t before = wall_clock();
    test_inject(engine, "in", stamped(1, 60, 0));
    test_breathe(engine, 1);
    uint64_t after = wall_clock();
    stop_all();
    engine = virtual;
    engine_free(real);
    FILE *in = fopen(path, "rb");
    uint32_t words[8];
    ck_assert_uint_eq(fread(words, 4, 8, in), 8);
    fclose(in);
    uint64_t time = words[6] * SECOND + words[7];
    /* The offset was taken a moment before: allow for the clock being set meanwhile. */
    ck_assert_uint_ge(time + SECOND, before);
    ck_assert_uint_le(time, after + SECOND);
}
END_TEST

START_TEST(test_no_name)
{
    struct graph *graph = graph_new();
    struct value empty = value_string("");
    struct error err;
    ck_assert_int_lt(
        graph_add_app(graph, "x", apps_find("PcapWriter"), &empty, NULL, &err), 0);
    ck_assert_str_eq(err.text, "app \"x\" (PcapWriter): file: no name given");
    value_free(&empty);
    graph_free(graph);
}
END_TEST

/* Played and written, a file with the engine's times comes out as it was. */
START_TEST(test_round_trip)
{
    pcap_begin(0xa1b23c4d, 262144, PCAP_ETHERNET, false);
    for (uint32_t i = 0; i < 150; i++)
        pcap_put_record(1 + i / 10, i % 10 * 99999999, (uint8_t)i, 14 + 9 * i,
                        14 + 9 * i);
    char other_path[] = "/tmp/selftest_writer_XXXXXX";
    int fd = mkstemp(other_path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    pcap_save(path);
    struct graph *graph = graph_new();
    test_app(graph, "reader", "PcapReader", "file", path, "pace", "timestamps", NULL);
    test_app(graph, "writer", "PcapWriter", "file", other_path, NULL);
    test_link(graph, "reader -> writer");
    test_configure(engine, graph);
    for (uint64_t now = START; now <= START + 20 * SECOND; now += SECOND / 3) {
        engine_set_time(engine, now);
        test_breathe(engine, 1);
    }
    ck_assert_uint_eq(test_counter(engine, "reader", "finished"), 1);
    stop_all();
    check_file(other_path);
    unlink(other_path);
}
END_TEST

static Suite *suite_pcap_writer(void)
{
    Suite *suite = suite_create("pcap_writer");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, test_written_bytes, 0, 2);
    tcase_add_test(all, test_snaplen);
    tcase_add_test(all, test_vlan_restored);
    tcase_add_test(all, test_tap);
    tcase_add_test(all, test_flush);
    tcase_add_test(all, test_buffer_overflow);
    tcase_add_test(all, test_disk_full);
    tcase_add_test(all, test_file_limit);
    tcase_add_test(all, test_file_limit_at_stop);
    tcase_add_test(all, test_restart);
    tcase_add_test(all, test_failed_restart);
    tcase_add_test(all, test_not_writable);
    tcase_add_test(all, test_no_name);
    tcase_add_test(all, test_wall_clock);
    tcase_add_test(all, test_round_trip);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(pcap_writer)
