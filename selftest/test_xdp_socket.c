/* XdpSocket: frames between real interfaces, in a network namespace of the test's own. */
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "apps/apps.h"
#include "lib/random.h"
#include "selftest/selftest.h"
#include "selftest/xdp_socket_fixture.h"

/* --- both ways ---------------------------------------------------------------------- */

static const struct {
    const char *options, *report;
} kinds[] = { { NULL, "if1 up, 1 queue, native, copy" },
              { "attach=native;bind=copy", "if1 up, 1 queue, native, copy" },
              { "attach=generic;bind=copy", "if1 up, 1 queue, generic, copy" },
              { "need_wakeup=false", "if1 up, 1 queue, native, copy" } };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

#define BATCH 50

static size_t length_of(uint32_t n)
{
    return 14 + n % 1501;
}

START_TEST(frames_cross_unchanged)
{
    const uint32_t frames = 10000;
    if (!rig_network())
        return;
    start(bridge(kinds[_i].options));
    check_report(kinds[_i].report);
    for (uint32_t n = 0; n < frames; n += BATCH) {
        for (uint32_t i = n; i < n + BATCH; i++) {
            wire_send(rig.left, frame_make(i, length_of(i)), length_of(i));
            wire_send(rig.right, frame_make(~i, length_of(i)), length_of(i));
        }
        for (uint32_t i = n; i < n + BATCH; i++) {
            expect_frame(rig.right, frame_make(i, length_of(i)), length_of(i));
            expect_frame(rig.left, frame_make(~i, length_of(i)), length_of(i));
        }
    }
    ck_assert_uint_eq(count("if1", "rx_packets"), frames); /* not a frame of its own */
    ck_assert_uint_eq(count("if2", "rx_packets"), frames);
    ck_assert_uint_eq(count("if1", "rx_bytes"), count("if2", "tx_bytes"));
    stop();
    ck_assert_uint_eq(attached("if1"), 0);
}
END_TEST

START_TEST(zerocopy_not_to_be_had)
{
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    ck_assert_int_lt(engine_configure(rig.engine, listener("bind=zerocopy"), &err), 0);
    ck_assert_str_eq(
        err.text,
        "app \"if1\" (XdpSocket): if1 cannot do zero-copy: bind = \"auto\" copies");
    ck_assert_uint_eq(attached("if1"), 0);
    rig_stop(&rig);
}
END_TEST

/* --- sending ------------------------------------------------------------------------ */

/* More at once than fits the ring, a call's budget, or the link. */
START_TEST(many_at_once)
{
    const uint32_t frames = 10000;
    static const char *const options[] = { "mode=tx", "mode=tx;tx=64",
                                           "mode=tx;need_wakeup=false" };
    if (!rig_network())
        return;
    struct graph *graph = graph_new();
    socket_on(graph, "if1", options[_i]);
    test_app(graph, "in", "Inject", NULL);
    test_link(graph, "in -> if1");
    start(graph);
    ck_assert_uint_eq(attached("if1"), 0); /* sending wants no program */
    const struct link *link = engine_find_link(rig.engine, "in.output -> if1.input");
    for (uint32_t n = 0, seen = 0; seen < frames; seen++) {
        for (; n < frames && n - link->read < 900; n++)
            test_inject_bytes(rig.engine, "in", frame_make(n, 60), 60);
        expect_frame(rig.left, frame_make(seen, 60), 60);
    }
    ck_assert_uint_eq(count("if1", "tx_packets"), frames);
    ck_assert_uint_gt(count("if1", "tx_kicks"), frames / 256);
    RIG_UNTIL(&rig, count("if1", "sending") == 0);
    stop();
}
END_TEST

START_TEST(frames_that_cannot_be_sent)
{
    static uint8_t frame[2048];
    if (!rig_network())
        return;
    start(listener(NULL));
    test_inject_bytes(rig.engine, "in", frame, 13);
    test_inject_bytes(rig.engine, "in", frame_make(1, 14), 14);
    struct packet *p = packet_from_bytes(frame_make(2, 100), 100);
    p->flags |= PACKET_VLAN;
    p->vlan_tpid = 0x8100;
    p->vlan_tci = 7;
    test_inject(rig.engine, "in", p);
    expect_frame(rig.left, frame_make(1, 14), 14);
    ck_assert_uint_eq(next_frame(rig.left), 104);
    ck_assert_mem_eq(got + 12, "\x81\x00\x00\x07\x88\xb5", 6);
    ck_assert_uint_eq(count("if1", "drop_tx_runt"), 1);
    stop();
}
END_TEST

START_TEST(receiving_only)
{
    if (!rig_network())
        return;
    start(listener("mode=rx"));
    test_inject_bytes(rig.engine, "in", frame_make(1, 60), 60);
    RIG_UNTIL(&rig, count("if1", "drop_rx_only") == 1);
    wire_send(rig.left, frame_make(2, 60), 60);
    RIG_UNTIL(&rig, collected() == 1);
    stop();
}
END_TEST

START_TEST(down_and_up)
{
    if (!rig_network())
        return;
    start(listener(NULL));
    shell("ip link set if1 down");
    RIG_UNTIL(&rig, count("if1", "link_downs") == 1);
    test_inject_bytes(rig.engine, "in", frame_make(1, 60), 60);
    RIG_UNTIL(&rig, count("if1", "drop_link_down") == 1);
    shell("ip link set if1 up");
    RIG_UNTIL(&rig, strstr(rig.log, "interface if1 is up"));
    test_inject_bytes(rig.engine, "in", frame_make(2, 60), 60);
    expect_frame(rig.left, frame_make(2, 60), 60);
    wire_send(rig.left, frame_make(3, 60), 60);
    RIG_UNTIL(&rig, collected() == 1);
    stop();
}
END_TEST

START_TEST(deleted_and_made_again)
{
    if (!rig_network())
        return;
    start(listener(NULL));
    close(rig.left);
    shell("ip link del if1");
    RIG_UNTIL(&rig, strstr(rig.log, "interface if1 is gone"));
    ck_assert_uint_eq(arena_in_use(), rig.in_use); /* the kernel has given all back */
    shell("ip link add left type veth peer name if1");
    shell("ip link set left up && ip link set if1 up");
    RIG_UNTIL(&rig, count("if1", "reopens") == 1);
    ck_assert_uint_ne(attached("if1"), 0);
    rig.left = wire_open("left");
    RIG_UNTIL(&rig,
              strstr(strstr(rig.log, "is back"), "is up") || count("if1", "filling"));
    wire_send(rig.left, frame_make(3, 60), 60);
    RIG_UNTIL(&rig, collected() == 1);
    stop();
}
END_TEST

/* --- chunks ------------------------------------------------------------------------- */

/* What the kernel has, links hold and apps keep is all that is missing from the arena. */
static void check_chunks(void)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < rig.engine->napps; i++) {
        const struct app *app = rig.engine->apps[i];
        if (!strcmp(app->class->name, "XdpSocket"))
            held += count(app->name, "filling") + count(app->name, "sending");
    }
    for (uint32_t i = 0; i < rig.engine->nlinks; i++)
        held += link_readable(rig.engine->links[i]);
    ck_assert_uint_eq(arena_in_use() - rig.in_use, held);
}

START_TEST(chunks_are_accounted_for)
{
    const uint32_t frames = 200000;
    if (!rig_network())
        return;
    start(bridge("rx=256;tx=128;fill=512"));
    uint32_t sent = 0, received = 0;
    struct random_key key = random_key(3, "chunks", "pauses");
    for (uint32_t round = 0; received < frames; round++) {
        for (uint32_t n = random_draw(&key, round) % 100; n && sent < frames; n--, sent++)
            wire_send(rig.left, frame_make(sent, 60), 60);
        engine_breathe(rig.engine);
        rig_give_time(&rig);
        while (received < sent) {
            rig_step(&rig, "frames arrive");
            while (wire_receive(rig.right, got))
                received++;
            RIG_UNTIL(&rig, count("if1", "filling") <= 512);
        }
        ck_assert_uint_eq(count("if1", "drop_rx_dropped"), 0);
    }
    engine_breathe(rig.engine);
    RIG_UNTIL(&rig, count("if2", "sending") == 0 && count("if1", "filling") == 512);
    check_chunks();
    ck_assert_uint_eq(count("if2", "tx_packets"), frames);
    stop();
}
END_TEST

/* Too little to receive into: what is lost is counted, and it recovers. */
START_TEST(fill_ring_runs_dry)
{
    if (!rig_network())
        return;
    start(listener("fill=64"));
    for (uint32_t n = 0; n < 1000; n++)
        wire_send(rig.left, frame_make(n, 60), 60);
    RIG_UNTIL(&rig, count("if1", "rx_packets") + count("if1", "drop_rx_dropped") +
                            count("if1", "drop_rx_ring_full") ==
                        1000);
    ck_assert_uint_eq(count("if1", "rx_packets"), 64);
    ck_assert_uint_eq(count("if1", "rx_fill_ring_empty_descs"), 936);
    for (uint32_t n = 0; n < 1000; n++) {
        wire_send(rig.left, frame_make(n, 60), 60);
        RIG_UNTIL(&rig, collected() == 64 + n + 1);
    }
    stop();
}
END_TEST

/* No packet is free: frames wait in the kernel or are dropped there, nothing aborts. */
START_TEST(no_free_packet)
{
    struct packet *p[512], *first = NULL;
    uint32_t n;
    if (!rig_network())
        return;
    start(listener("fill=64"));
    while ((n = packet_take_burst(p, 512)))
        while (n--) {
            *(struct packet **)p[n]->chunk = first;
            first = p[n];
        }
    for (uint32_t i = 0; i < 200; i++)
        wire_send(rig.left, frame_make(i, 60), 60);
    RIG_UNTIL(&rig, count("if1", "drop_rx_dropped") == 136);
    ck_assert_uint_gt(count("if1", "rx_no_packet"), 0);
    ck_assert_uint_eq(collected(), 64);
    while (first) {
        struct packet *next = *(struct packet **)first->chunk;
        packet_reset(first);
        packet_free(first);
        first = next;
    }
    engine_breathe(rig.engine);
    wire_send(rig.left, frame_make(1, 60), 60);
    RIG_UNTIL(&rig, collected() == 65);
    stop();
}
END_TEST

/* --- long frames -------------------------------------------------------------------- */

static const size_t long_lengths[] = { 60, 1514, 1792, 1793, 2048, 4000, 5377, 9014 };
#define LONG_LENGTHS (sizeof(long_lengths) / sizeof(long_lengths[0]))

static bool jumbo_network(void)
{
    if (!rig_network())
        return false;
    shell("for i in left if1 if2 right; do ip link set $i mtu 9000 || exit 1; done");
    return true;
}

START_TEST(jumbo_frames)
{
    static const char *const options[] = { "frags=true;attach=native",
                                           "frags=true;attach=generic" };
    if (!jumbo_network())
        return;
    start(bridge(options[_i]));
    for (uint32_t n = 0; n < 400; n++) {
        size_t length = n < LONG_LENGTHS ? long_lengths[n] : 60 + n * 22;
        wire_send(rig.left, frame_make(n, length), length);
        wire_send(rig.right, frame_make(~n, length), length);
        expect_frame(rig.right, frame_make(n, length), length);
        expect_frame(rig.left, frame_make(~n, length), length);
    }
    stop();
}
END_TEST

/* Without frags they are the kernel's to drop, and that is said beforehand. */
START_TEST(jumbo_frames_not_asked_for)
{
    if (!jumbo_network())
        return;
    start(listener(NULL));
    ck_assert_ptr_nonnull(strstr(rig.log,
                                 "frames of if1 may have 9018 bytes, but 1792 fit a "
                                 "packet: longer ones are dropped by the kernel"));
    wire_send(rig.left, frame_make(1, 1792), 1792);
    wire_send(rig.left, frame_make(2, 1793), 1793);
    wire_send(rig.left, frame_make(3, 9000), 9000);
    RIG_UNTIL(&rig, collected() + count("if1", "drop_rx_dropped") == 3);
    ck_assert_uint_eq(collected(), 1);
    stop();
}
END_TEST

/* --- checksums ---------------------------------------------------------------------- */

/* A datagram whose checksum was left to the interface, as a veth hands it over. */
START_TEST(open_checksums)
{
    static const char *const options[] = { NULL, "checksum=trust" };
    uint8_t frame[60];
    if (!rig_network())
        return;
    start(listener(options[_i]));
    memcpy(frame, flow(0x350035), 60);
    memcpy(frame + 38, "\x00\x1a\x14\x39",
           4); /* 0a01 + 0a00... the pseudo header's sum */
    uint32_t sum = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 17 + 26;
    frame[40] = (uint8_t)(sum >> 8);
    frame[41] = (uint8_t)sum;
    wire_send(rig.left, frame, 60);
    RIG_UNTIL(&rig, collected() == 1);
    size_t n;
    const uint8_t *data = test_collected(rig.engine, "out", &n)[0]->data;
    for (sum = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 17 + 26, n = 34; n < 60; n += 2)
        sum += (uint32_t)(data[n] << 8 | data[n + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    ck_assert_int_eq(sum == 0xffff, _i == 0);
    ck_assert_uint_eq(count("if1", "rx_csum_completed"), _i == 0);
    stop();
}
END_TEST

/* --- crashes ------------------------------------------------------------------------ */

/* Killed under traffic, twenty times: nothing stays, and the next start succeeds. */
START_TEST(killed_and_started_again)
{
    if (!rig_network())
        return;
    int left = wire_open("left"), ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        if (!child) {
            char byte = 'y';
            start(bridge(NULL));
            while (!count("if2", "tx_packets"))
                engine_breathe(rig.engine);
            ssize_t n = write(ready[1], &byte, 1);
            (void)n;
            for (;;)
                engine_breathe(rig.engine);
        }
        struct pollfd wait = { ready[0], POLLIN, 0 };
        int tries = 0;
        while (!poll(&wait, 1, 1) && tries++ < 20000)
            wire_send(left, frame_make(1, 60), 60);
        char byte;
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        ck_assert_uint_eq(attached("if1"), 0);
        ck_assert_uint_eq(attached("if2"), 0);
    }
}
END_TEST

/* --- busy polling ------------------------------------------------------------------- */

START_TEST(busy_poll)
{
    static const char *const options[] = { "need_wakeup=true", "need_wakeup=false" };
    char text[64];
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    struct graph *graph = graph_new();
    struct value args = value_table(), table = value_table();
    value_table_add(&table, "usecs", value_string("20"));
    value_table_add(&table, "budget", value_string("32"));
    value_table_add(&args, "ifname", value_string("if1"));
    snprintf(text, sizeof(text), "%s", strchr(options[_i], '=') + 1);
    value_table_add(&args, "need_wakeup", value_string(text));
    value_table_add(&args, "busy_poll", table);
    ck_assert_int_eq(
        graph_add_app(graph, "if1", apps_find("XdpSocket"), &args, NULL, &err), 0);
    value_free(&args);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "if1 -> out");
    test_configure(rig.engine, graph);
    rig.left = wire_open("left");
    int value = 0;
    socklen_t size = sizeof(value);
    int fd = rig.engine->polls[1].fd;
    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &value, &size), 0);
    ck_assert_int_eq(value, 20);
    for (uint32_t n = 0; n < 5000; n += 50) {
        for (uint32_t i = 0; i < 50; i++)
            wire_send(rig.left, frame_make(n + i, 60), 60);
        RIG_UNTIL(&rig, count("if1", "rx_packets") == n + 50);
        test_collect_clear(rig.engine, "out");
    }
    stop();
}
END_TEST

static Suite *suite_xdp_socket(void)
{
    Suite *suite = suite_create("xdp_socket");
    TCase *tests = tcase_create("xdp_socket");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, frames_cross_unchanged, 0, KINDS);
    tcase_add_test(tests, zerocopy_not_to_be_had);
    tcase_add_loop_test(tests, many_at_once, 0, 3);
    tcase_add_test(tests, frames_that_cannot_be_sent);
    tcase_add_test(tests, receiving_only);
    tcase_add_test(tests, down_and_up);
    tcase_add_test(tests, deleted_and_made_again);
    tcase_add_test(tests, chunks_are_accounted_for);
    tcase_add_test(tests, fill_ring_runs_dry);
    tcase_add_test(tests, no_free_packet);
    tcase_add_loop_test(tests, jumbo_frames, 0, 2);
    tcase_add_test(tests, jumbo_frames_not_asked_for);
    tcase_add_loop_test(tests, open_checksums, 0, 2);
    tcase_add_test(tests, killed_and_started_again);
    tcase_add_loop_test(tests, busy_poll, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(xdp_socket)
