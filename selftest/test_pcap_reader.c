/* test_pcap_reader: PcapReader on files made byte by byte. */
#include "selftest/selftest.h"

#include <stdlib.h>
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
    strcpy(path, "/tmp/selftest_reader_XXXXXX");
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

/* A file of n one-second records from 100 s on, frame k of 60 + k bytes. */
static void save_plain(uint32_t n)
{
    pcap_begin(0xa1b2c3d4, 65535, PCAP_ETHERNET, false);
    for (uint32_t i = 0; i < n; i++)
        pcap_put_record(100 + i, 0, (uint8_t)i, 60 + i, 60 + i);
    pcap_save(path);
}

static void read_graph(const char *key, const char *value, const char *key2,
                       const char *value2)
{
    struct graph *graph = graph_new();
    test_app(graph, "reader", "PcapReader", "file", path, key, value, key2, value2, NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "reader -> out");
    test_configure(engine, graph);
}

static void check_collected(size_t n, const uint32_t *lengths, const uint64_t *times)
{
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(p[i]->length, lengths[i]);
        ck_assert_mem_eq(p[i]->data, pcap_frame((uint8_t)(i + 1), lengths[i]),
                         lengths[i]);
        ck_assert_uint_eq(p[i]->timestamp, times[i]);
    }
}

static const uint32_t lengths[] = { 60, 14, 1500 };

static void check_format(const uint64_t *times)
{
    pcap_save(path);
    read_graph("pace", "timestamps", NULL, NULL);
    test_breathe(engine, 1);
    engine_set_time(engine, START + 10 * SECOND);
    test_breathe(engine, 2);
    check_collected(3, lengths, times);
    ck_assert_uint_eq(test_counter(engine, "reader", "packets"), 3);
    ck_assert_uint_eq(test_counter(engine, "reader", "bytes"), 1574);
    ck_assert_uint_eq(test_counter(engine, "reader", "finished"), 1);
    ck_assert_uint_eq(test_counter(engine, "reader", "file_errors"), 0);
}

START_TEST(test_pcap_formats)
{
    uint32_t nano = _i & 1, scale = nano ? 1 : 1000;
    const uint64_t times[] = { START, START + 2 * SECOND + 5 * scale,
                               START + 3 * SECOND - 7 * scale };
    pcap_begin(nano ? 0xa1b23c4d : 0xa1b2c3d4, 65535, PCAP_ETHERNET, _i & 2);
    pcap_put_record(1000, 7, 1, 60, 60);
    pcap_put_record(1002, 12, 2, 14, 14);
    pcap_put_record(1003, 0, 3, 1500, 1500);
    check_format(times);
}
END_TEST

static void put_block(uint32_t type, const void *body, uint32_t length)
{
    pcap_put(type, 4);
    pcap_put(length + 12, 4);
    pcap_put_bytes(body, length);
    pcap_put(length + 12, 4);
}

static void put_interface(uint8_t resolution)
{
    pcap_put(1, 4);
    pcap_put(32, 4);
    pcap_put(PCAP_ETHERNET, 2);
    pcap_put(0, 2);
    pcap_put(0, 4); /* no snaplen */
    pcap_put(9, 2); /* if_tsresol */
    pcap_put(1, 2);
    pcap_put(resolution, 1);
    pcap_put(0, 3);
    pcap_put(0, 4);
    pcap_put(32, 4);
}

static void put_enhanced(uint32_t interface, uint64_t time, uint8_t which,
                         uint32_t length)
{
    uint32_t padded = (length + 3) & ~3u;
    pcap_put(6, 4);
    pcap_put(padded + 32, 4);
    pcap_put(interface, 4);
    pcap_put(time >> 32, 4);
    pcap_put(time & 0xffffffff, 4);
    pcap_put(length, 4);
    pcap_put(length, 4);
    pcap_put_bytes(pcap_frame(which, padded), padded);
    pcap_put(padded + 32, 4);
}

/* Two interfaces of different resolution, and blocks that are of no interest. */
START_TEST(test_pcapng)
{
    const uint64_t times[] = { START, START + SECOND + 1, START + SECOND + 1000 };
    pcap_file.length = 0;
    pcap_file.big_endian = _i;
    pcap_put(0x0a0d0d0a, 4);
    pcap_put(28, 4);
    pcap_put(0x1a2b3c4d, 4);
    pcap_put(1, 2);
    pcap_put(0, 2);
    pcap_put(UINT64_MAX, 8);
    pcap_put(28, 4);
    put_interface(9);
    put_block(0x80000001, "whatever", 8);
    put_enhanced(0, 500 * SECOND, 1, 60);
    put_interface(6);
    put_enhanced(0, 501 * SECOND + 1, 2, 14);
    put_block(5, "statistics of it", 16);
    put_enhanced(1, 501000001, 3, 1500);
    check_format(times);
}
END_TEST

static void check_refused(const char *file_name, const char *text)
{
    struct graph *graph = graph_new();
    struct error err = { 0 };
    char expected[512];
    test_app(graph, "reader", "PcapReader", "file", file_name, NULL);
    ck_assert_int_lt(engine_configure(engine, graph, &err), 0);
    snprintf(expected, sizeof(expected), "app \"reader\" (PcapReader): file: %s", text);
    if (text[strlen(text) - 1] == ' ') /* the rest is libpcap's wording */
        err.text[strlen(expected)] = 0;
    ck_assert_str_eq(err.text, expected);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
}

START_TEST(test_refused)
{
    char text[256];
    check_refused("/nowhere/x.pcap",
                  "cannot open /nowhere/x.pcap: No such file or directory");
    check_refused("/tmp", "/tmp is not a regular file");
    pcap_begin(0xa1b2c3d4, 65535, 113, false);
    pcap_save(path);
    snprintf(text, sizeof(text),
             "%s: link type LINUX_SLL (113) is not supported, only EN10MB (Ethernet) is",
             path);
    check_refused(path, text);
    pcap_begin(0xa1b2c3d4, 65535, 101, false);
    pcap_save(path);
    snprintf(text, sizeof(text),
             "%s: link type RAW (12) is not supported, only EN10MB (Ethernet) is", path);
    check_refused(path, text);
    memset(pcap_file.bytes, 'x', 100);
    pcap_file.length = 100;
    pcap_save(path);
    snprintf(text, sizeof(text), "%s: ", path);
    check_refused(path, text);
    pcap_file.length = 0;
    pcap_save(path);
    check_refused(path, text);
}
END_TEST

START_TEST(test_truncated_tail)
{
    static const uint32_t two[] = { 60, 61 };
    const uint64_t now[] = { START, START };
    pcap_begin(0xa1b2c3d4, 65535, PCAP_ETHERNET, false);
    pcap_put_record(1, 0, 1, 60, 60);
    pcap_put_record(2, 0, 2, 61, 61);
    size_t whole = pcap_file.length;
    pcap_put_record(3, 0, 3, 62, 62);
    pcap_file.length =
        whole + 1 + (size_t)_i * 11; /* within its header, within its frame */
    pcap_save(path);
    read_graph(NULL, NULL, NULL, NULL);
    test_breathe(engine, 3);
    check_collected(2, two, now);
    ck_assert_uint_eq(test_counter(engine, "reader", "file_errors"), 1);
    ck_assert_uint_eq(test_counter(engine, "reader", "passes"), 1);
    ck_assert_uint_eq(test_counter(engine, "reader", "finished"), 1);
}
END_TEST

START_TEST(test_lengths)
{
    pcap_begin(0xa1b2c3d4, 262144, PCAP_ETHERNET, false);
    pcap_put_record(1, 0, 1, packet_capacity(), 9000);
    pcap_put_record(1, 0, 1, packet_capacity() + 1, packet_capacity() + 1);
    pcap_put_record(1, 0, 1, 65535, 65535);
    pcap_put_record(1, 0, 1, 0, 0);
    pcap_put_record(1, 0, 1, 60, 60);
    pcap_save(path);
    read_graph(NULL, NULL, NULL, NULL);
    test_breathe(engine, 1);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(p[0]->length, packet_capacity());
    ck_assert_uint_eq(p[1]->length, 0);
    ck_assert_uint_eq(p[2]->length, 60);
    ck_assert_uint_eq(test_counter(engine, "reader", "truncated"), 1);
    ck_assert_uint_eq(test_counter(engine, "reader", "drop_too_long"), 2);
    ck_assert_uint_eq(test_counter(engine, "reader", "packets"), 3);
}
END_TEST

/* At most 128 packets a breath, and no more than there is room for: what does not fit is
 * read later. */
START_TEST(test_flat)
{
    save_plain(200);
    struct graph *graph = graph_new();
    test_app(graph, "reader", "PcapReader", "file", path, "loop", "0", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "reader -> out");
    test_configure(engine, graph);
    struct link *link = engine_find_link(engine, "reader.output -> out.input");
    test_breathe(engine, 1);
    ck_assert_uint_eq(link->write, 128);
    while (link_writable(link) > 10)
        link_transmit(link, packet_allocate());
    uint64_t write = link->write;
    struct app *reader = engine_find_app(engine, "reader");
    reader->class->pull(reader);
    ck_assert_uint_eq(link->write, write + 10);
    ck_assert_uint_eq(link->drops, 0);
    reader->class->pull(reader);
    ck_assert_uint_eq(link->write, write + 10);
    test_collect_clear(engine, "out");
    test_breathe(engine, 10); /* the first finds the link full */
    ck_assert_uint_eq(test_counter(engine, "reader", "passes"), 6);
    ck_assert_uint_eq(test_counter(engine, "reader", "packets"), 9 * 128 + 138);
    ck_assert_uint_eq(test_counter(engine, "reader", "finished"), 0);
}
END_TEST

START_TEST(test_loop)
{
    save_plain(7);
    read_graph("loop", "3", NULL, NULL);
    test_breathe(engine, 2);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 21);
    for (uint32_t i = 0; i < 21; i++)
        ck_assert_uint_eq(p[i]->length, 60 + i % 7);
    ck_assert_uint_eq(test_counter(engine, "reader", "passes"), 3);
    ck_assert_uint_eq(test_counter(engine, "reader", "finished"), 1);
}
END_TEST

/* Somebody overwrites the file while it is being played. */
START_TEST(test_loop_of_changed_file)
{
    save_plain(2);
    read_graph("loop", "0", "pace", "timestamps");
    test_breathe(engine, 1);
    pcap_begin(0xa1b2c3d4, 65535, 101, false);
    pcap_save(path);
    engine_set_time(engine, START + 100 * SECOND);
    test_breathe(engine, 1);
    ck_assert_uint_eq(test_counter(engine, "reader", "packets"), 2); /* was read ahead */
    ck_assert_uint_eq(test_counter(engine, "reader", "file_errors"), 1);
    ck_assert_uint_eq(test_counter(engine, "reader", "finished"), 1);
}
END_TEST

/* A file without a packet ends, however often it is to be played. */
START_TEST(test_loop_of_nothing)
{
    pcap_begin(0xa1b2c3d4, 65535, PCAP_ETHERNET, false);
    pcap_save(path);
    read_graph("loop", "0", NULL, NULL);
    test_breathe(engine, 3);
    ck_assert_uint_eq(test_counter(engine, "reader", "finished"), 1);
    ck_assert_uint_eq(test_counter(engine, "reader", "passes"), 1);
}
END_TEST

/* The times at which packets come out when the clock goes on in steps. */
static size_t times_of(uint64_t step, uint64_t until, uint64_t *times, size_t size)
{
    size_t n = 0, count;
    for (uint64_t now = START; now <= until; now += step) {
        engine_set_time(engine, now);
        test_breathe(engine, 1);
        struct packet **p = test_collected(engine, "out", &count);
        for (size_t i = 0; i < count && n < size; i++) {
            ck_assert_uint_le(p[i]->timestamp, now);
            ck_assert_uint_gt(p[i]->timestamp + step, now); /* in the first breath due */
            times[n++] = p[i]->timestamp;
        }
        test_collect_clear(engine, "out");
    }
    return n;
}

static void check_times(const char *speed, const char *loop, size_t n,
                        const uint64_t *expected)
{
    uint64_t times[20];
    struct graph *graph = graph_new();
    test_app(graph, "reader", "PcapReader", "file", path, "pace", "timestamps", "speed",
             speed, "loop", loop, NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "reader -> out");
    test_configure(engine, graph);
    ck_assert_uint_eq(times_of(7000001, START + 40 * SECOND, times, 20), n);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(times[i] - START, expected[i]);
    ck_assert_uint_eq(test_counter(engine, "reader", "finished"), 1);
}

static void save_uneven(void)
{
    pcap_begin(0xa1b2c3d4, 65535, PCAP_ETHERNET, false);
    pcap_put_record(50, 0, 0, 60, 60);
    pcap_put_record(51, 500000, 1, 60, 60);
    pcap_put_record(51, 200000, 2, 60, 60); /* backwards: keeps its place */
    pcap_put_record(56, 1, 3, 60, 60);
    pcap_save(path);
}

START_TEST(test_schedule)
{
    const uint64_t expected[] = { 0, 1500000000, 1500000000, 6000001000 };
    save_uneven();
    check_times("1", "1", 4, expected);
}
END_TEST

START_TEST(test_schedule_faster)
{
    const uint64_t expected[] = { 0, 375000000, 375000000, 1500000250 };
    save_uneven();
    check_times("4", "1", 4, expected);
}
END_TEST

START_TEST(test_schedule_slower)
{
    const uint64_t expected[] = { 0, 3000000000, 3000000000, 12000002000 };
    save_uneven();
    check_times("0.5", "1", 4, expected);
}
END_TEST

/* The next pass begins after the mean distance: 2 s here. */
START_TEST(test_schedule_loop)
{
    const uint64_t expected[] = { 0,          1500000000, 1500000000, 6000001000,
                                  8000001333, 9500001333, 9500001333, 14000002333 };
    save_uneven();
    check_times("1", "2", 8, expected);
}
END_TEST

START_TEST(test_wakes_for_the_next)
{
    save_plain(3);
    read_graph("pace", "timestamps", NULL, NULL);
    test_breathe(engine, 1);
    ck_assert_uint_eq(timers_next(&engine->timers), START + SECOND);
    engine_set_time(engine, START + SECOND + 300000000); /* late: the next is not */
    test_breathe(engine, 1);
    ck_assert_uint_eq(timers_next(&engine->timers), START + 2 * SECOND);
}
END_TEST

/* A new speed counts from the packet sent last; a new pace takes what is next. */
START_TEST(test_reconfigure)
{
    uint64_t times[20];
    save_plain(11);
    read_graph("pace", "timestamps", NULL, NULL);
    ck_assert_uint_eq(times_of(SECOND / 2, START + 2 * SECOND, times, 20), 3);
    read_graph("pace", "timestamps", "speed", "10");
    engine_set_time(engine, START + 2 * SECOND + 300000000);
    test_breathe(engine, 1);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(p[0]->timestamp, START + 2 * SECOND + 100000000);
    ck_assert_uint_eq(p[2]->timestamp, START + 2 * SECOND + 300000000);
    read_graph("pace", "flat", NULL, NULL);
    test_breathe(engine, 1);
    test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 8);
    ck_assert_uint_eq(test_counter(engine, "reader", "packets"), 11);
    read_graph("loop", "2", NULL, NULL); /* another instance: from the beginning */
    ck_assert_uint_eq(test_counter(engine, "reader", "packets"), 0);
}
END_TEST

/* While a pass waits for its first packet, a new speed changes nothing that is past. */
START_TEST(test_reconfigure_between_passes)
{
    uint64_t times[20];
    save_plain(3);
    read_graph("pace", "timestamps", "loop", "2");
    ck_assert_uint_eq(times_of(SECOND / 2, START + 2 * SECOND, times, 20), 3);
    struct graph *graph = graph_new();
    test_app(graph, "reader", "PcapReader", "file", path, "pace", "timestamps", "loop",
             "2", "speed", "2", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "reader -> out");
    test_configure(engine, graph);
    engine_set_time(engine, START + 100 * SECOND);
    test_breathe(engine, 1);
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(p[0]->timestamp, START + 3 * SECOND);
    ck_assert_uint_eq(p[1]->timestamp, START + 3 * SECOND + SECOND / 2);
    ck_assert_uint_eq(p[2]->timestamp, START + 4 * SECOND);
}
END_TEST

/* Out of packets, the record waits. */
/* A clock that starts at the first packet: each comes at its own time, however many have the
 * same. */
START_TEST(test_clock)
{
    pcap_begin(0xa1b23c4d, 65535, PCAP_ETHERNET, false);
    for (uint32_t i = 0; i < 1000; i++)
        pcap_put_record(1700000000, i < 600 ? 7 : i, 1, 60, 60);
    pcap_save(path);
    engine_set_time(engine, 1700000000 * SECOND + 7);
    read_graph("pace", "clock", NULL, NULL);
    test_breathe(engine, 1);
    while (engine_next_timer(engine) != TIMER_NEVER) {
        uint64_t due = engine_next_timer(engine);
        ck_assert_uint_lt(due, 1700000000 * SECOND + 1000);
        if (due > engine_now(engine))
            engine_set_time(engine, due);
        test_breathe(engine, 1);
    }
    size_t count;
    struct packet **p = test_collected(engine, "out", &count);
    ck_assert_uint_eq(count, 1000);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(p[i]->timestamp, 1700000000 * SECOND + (i < 600 ? 7 : i));
}
END_TEST

START_TEST(test_no_packets)
{
    static struct packet *all[16384];
    uint32_t n = 0;
    save_plain(5);
    read_graph(NULL, NULL, NULL, NULL);
    while (n < 16384 && (all[n] = packet_allocate()))
        n++;
    test_breathe(engine, 2);
    ck_assert_uint_eq(test_counter(engine, "reader", "packets"), 0);
    ck_assert_uint_le(timers_next(&engine->timers), START + SECOND); /* it tries again */
    packet_free(all[--n]);
    test_breathe(engine, 1);
    ck_assert_uint_eq(test_counter(engine, "reader", "packets"), 1);
    while (n)
        packet_free(all[--n]);
    test_breathe(engine, 1);
    ck_assert_uint_eq(test_counter(engine, "reader", "packets"), 5);
}
END_TEST

START_TEST(test_no_name)
{
    struct graph *graph = graph_new();
    struct value empty = value_string("");
    struct error err;
    ck_assert_int_lt(
        graph_add_app(graph, "x", apps_find("PcapReader"), &empty, NULL, &err), 0);
    ck_assert_str_eq(err.text, "app \"x\" (PcapReader): file: no name given");
    value_free(&empty);
    graph_free(graph);
}
END_TEST

static Suite *suite_pcap_reader(void)
{
    Suite *suite = suite_create("pcap_reader");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, test_pcap_formats, 0, 4);
    tcase_add_loop_test(all, test_pcapng, 0, 2);
    tcase_add_test(all, test_refused);
    tcase_add_loop_test(all, test_truncated_tail, 0, 7);
    tcase_add_test(all, test_lengths);
    tcase_add_test(all, test_flat);
    tcase_add_test(all, test_loop);
    tcase_add_test(all, test_loop_of_nothing);
    tcase_add_test(all, test_loop_of_changed_file);
    tcase_add_test(all, test_schedule);
    tcase_add_test(all, test_schedule_faster);
    tcase_add_test(all, test_schedule_slower);
    tcase_add_test(all, test_schedule_loop);
    tcase_add_test(all, test_wakes_for_the_next);
    tcase_add_test(all, test_reconfigure);
    tcase_add_test(all, test_reconfigure_between_passes);
    tcase_add_test(all, test_clock);
    tcase_add_test(all, test_no_packets);
    tcase_add_test(all, test_no_name);
    suite_add_tcase(suite, all);
    return suite;
}

SUITE(pcap_reader)
