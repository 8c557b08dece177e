/* XdpSocket: which frames it takes: queues, named traffic, a map of somebody else's. */
#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "selftest/selftest.h"
#include "selftest/xdp_socket_fixture.h"

/* --- queues ------------------------------------------------------------------------- */

static bool queue_network(void)
{
    if (!private_network())
        return false;
    shell("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
    shell(
        "ip link add left numtxqueues 4 numrxqueues 4 type veth peer name if1 numrxqueues 4 "
        "numtxqueues 4");
    shell("ip link add right type veth peer name if2");
    shell("for i in left if1 if2 right; do ip link set $i up || exit 1; done");
    shell(
        "ethtool -L if1 rx 4 tx 4 2>/dev/null; ethtool -L left rx 4 tx 4 2>/dev/null; true");
    return true;
}

START_TEST(all_queues)
{
    const uint32_t flows = 200;
    if (!queue_network())
        return;
    start(listener(NULL));
    check_report("if1 up, 4 queues, native, copy");
    for (uint32_t n = 0; n < flows; n++)
        wire_send(rig.left, flow(n * 7919), 60);
    RIG_UNTIL(&rig, collected() == flows);
    stop();
}
END_TEST

START_TEST(one_queue_of_four)
{
    const uint32_t flows = 200;
    if (!queue_network())
        return;
    start(listener("queue=0"));
    ck_assert_ptr_nonnull(strstr(rig.log,
                                 "3 queues of if1 have no socket here (queue = \"0\"): "
                                 "their frames go elsewhere"));
    int kernel = wire_open("if1"); /* what goes elsewhere */
    for (uint32_t n = 0; n < flows; n++)
        wire_send(rig.left, flow(n * 7919), 60);
    size_t passed = 0;
    rig_give_time(&rig);
    while (passed + collected() < flows) {
        rig_step(&rig, "all frames arrive");
        while (wire_receive(kernel, got))
            passed++;
    }
    ck_assert_uint_gt(passed, flows / 4);
    ck_assert_uint_gt(collected(), 0);
    stop();
    close(kernel);
}
END_TEST

/* Two apps on one interface share its program; a queue belongs to one of them. */
START_TEST(queues_in_several_apps)
{
    const uint32_t flows = 200;
    if (!queue_network())
        return;
    struct graph *graph = graph_new();
    ck_assert_int_eq(try_socket(graph, "a", "if1", "queue=0,2-3"), 0);
    ck_assert_int_eq(try_socket(graph, "b", "if1", "queue=1"), 0);
    test_app(graph, "out", "Collect", NULL);
    test_app(graph, "join", "Join", NULL);
    test_link(graph, "a -> join.a");
    test_link(graph, "b -> join.b");
    test_link(graph, "join -> out");
    start(graph);
    for (uint32_t n = 0; n < flows; n++)
        wire_send(rig.left, flow(n * 7919), 60);
    RIG_UNTIL(&rig, collected() == flows);
    ck_assert_uint_gt(count("a", "rx_packets"), 0);
    ck_assert_uint_gt(count("b", "rx_packets"), 0);
    stop();
    ck_assert_uint_eq(attached("if1"), 0);
}
END_TEST

START_TEST(queue_that_is_taken_or_not_there)
{
    if (!queue_network())
        return;
    rig_engine(&rig, NULL);
    ck_assert_int_lt(engine_configure(rig.engine, listener("queue=4"), &err), 0);
    ck_assert_str_eq(err.text,
                     "app \"if1\" (XdpSocket): queue: if1 has 4, numbered from 0 "
                     "(not 4)");
    ck_assert_int_lt(engine_configure(rig.engine, listener("queue=0-1,4"), &err), 0);
    ck_assert_int_ge(fcntl(0, F_GETFD), 0); /* closed only what it had opened */
    struct graph *graph = graph_new();
    ck_assert_int_eq(try_socket(graph, "a", "if1", "queue=0"), 0);
    ck_assert_int_eq(try_socket(graph, "b", "if1", "queue=0-1"), 0);
    ck_assert_int_eq(engine_configure(rig.engine, graph, &err), -EBUSY);
    ck_assert_str_eq(err.text, "app \"b\" (XdpSocket): queue 0 of if1 has another AF_XDP "
                               "socket already");
    ck_assert_uint_eq(attached("if1"), 0);
    rig_stop(&rig);
}
END_TEST

/* --- named traffic ------------------------------------------------------------------ */

START_TEST(named_traffic_only)
{
    if (!rig_network())
        return;
    uint8_t frame[60];
    start(listener("match=udp dst port 4789"));
    int kernel = wire_open("if1");
    for (uint32_t n = 0; n < 100; n++) {
        memcpy(frame, flow(n), 60);
        memcpy(frame + 36, n % 4 ? "\x00\x35" : "\x12\xb5", 2);
        wire_send(rig.left, frame, 60);
    }
    size_t passed = 0;
    rig_give_time(&rig);
    while (passed + collected() < 100) {
        rig_step(&rig, "all frames arrive");
        while (wire_receive(kernel, got)) {
            ck_assert_mem_eq(got + 36, "\x00\x35", 2);
            passed++;
        }
    }
    ck_assert_uint_eq(collected(), 25);
    /* another match, from one frame to the next; the socket stays */
    uint32_t id = attached("if1");
    test_configure(rig.engine, listener("match=udp dst port 53"));
    ck_assert_uint_ne(attached("if1"), id);
    wire_send(rig.left, frame, 60); /* to port 53 */
    RIG_UNTIL(&rig, collected() == 26);
    stop();
    close(kernel);
}
END_TEST

START_TEST(match_that_is_wrong)
{
    struct graph *graph = graph_new();
    ck_assert_int_eq(try_socket(graph, "a", "if1", "match=tcp port x"), -EINVAL);
    ck_assert_str_eq(err.text,
                     "app \"a\" (XdpSocket): match: \"tcp port x\": \"x\" is no port");
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_int_eq(try_socket(graph, "a", "if1", "match=tcp;xskmap=/x"), -EINVAL);
    graph_free(graph);
}
END_TEST

/* An XSKMAP of somebody else's, pinned in a file system of this test's own. */
static char pins[] = "/tmp/selftest_bpf_XXXXXX", pin[64];

static int pinned_map(void)
{
    ck_assert_ptr_nonnull(mkdtemp(pins));
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    ck_assert_int_eq(mount("bpf", pins, "bpf", 0, NULL), 0);
    snprintf(pin, sizeof(pin), "%s/map", pins);
    int map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 4, NULL);
    ck_assert_int_eq(bpf_obj_pin(map, pin), 0);
    return map;
}

static void unpin(int map)
{
    close(map);
    umount2(pins, MNT_DETACH);
    rmdir(pins);
}

/* What was in the map's place is somebody else's, and stays. */
START_TEST(place_in_a_map_is_taken)
{
    if (!rig_network())
        return;
    char options[100];
    int map = pinned_map(), socket_fd = socket(AF_XDP, SOCK_RAW, 0);
    uint32_t first = 0;
    snprintf(options, sizeof(options), "xskmap=%s", pin);
    start(listener(options));
    struct graph *graph = listener(options);
    socket_on(graph, "if2", options);
    ck_assert_int_eq(engine_configure(rig.engine, graph, &err), -EEXIST);
    ck_assert_int_eq(bpf_map_update_elem(map, &first, &socket_fd, BPF_NOEXIST), -EEXIST);
    close(socket_fd);
    stop();
    unpin(map);
}
END_TEST

/* The map is gone when the parameters change: nor can it be as it was. */
START_TEST(neither_new_nor_old)
{
    if (!rig_network())
        return;
    char options[100], others[100];
    int map = pinned_map();
    snprintf(options, sizeof(options), "xskmap=%s", pin);
    snprintf(others, sizeof(others), "xskmap=%s;fill=64", pin);
    start(listener(options));
    unlink(pin);
    ck_assert_int_lt(engine_configure(rig.engine, listener(others), &err), 0);
    ck_assert_ptr_nonnull(strstr(rig.log, "interface if1 could not be opened again: "));
    test_inject_bytes(rig.engine, "in", frame_make(1, 60), 60);
    RIG_UNTIL(&rig, count("if1", "drop_link_down") == 1);
    ck_assert_uint_eq(count("if1", "link_downs"), 1);
    ck_assert_int_eq(bpf_obj_pin(map, pin), 0);
    RIG_UNTIL(&rig, count("if1", "reopens") == 1);
    test_inject_bytes(rig.engine, "in", frame_make(2, 60), 60);
    expect_frame(rig.left, frame_make(2, 60), 60);
    stop();
    unpin(map);
}
END_TEST

/* Other parameters: in place, and back when that fails. */
START_TEST(reconfigured)
{
    if (!rig_network())
        return;
    start(listener("fill=64"));
    test_configure(rig.engine, listener("fill=128"));
    RIG_UNTIL(&rig, count("if1", "filling") == 128);
    ck_assert_int_lt(engine_configure(rig.engine, listener("bind=zerocopy"), &err), 0);
    wire_send(rig.left, frame_make(1, 60), 60);
    RIG_UNTIL(&rig, collected() == 1);
    test_inject_bytes(rig.engine, "in", frame_make(2, 60), 60);
    expect_frame(rig.left, frame_make(2, 60), 60);
    stop();
}
END_TEST

static Suite *suite_xdp_socket_queues(void)
{
    Suite *suite = suite_create("xdp_socket_queues");
    TCase *tests = tcase_create("xdp_socket_queues");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, all_queues);
    tcase_add_test(tests, one_queue_of_four);
    tcase_add_test(tests, queues_in_several_apps);
    tcase_add_test(tests, queue_that_is_taken_or_not_there);
    tcase_add_test(tests, named_traffic_only);
    tcase_add_test(tests, match_that_is_wrong);
    tcase_add_test(tests, place_in_a_map_is_taken);
    tcase_add_test(tests, neither_new_nor_old);
    tcase_add_test(tests, reconfigured);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(xdp_socket_queues)
