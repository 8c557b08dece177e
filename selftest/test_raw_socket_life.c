/* RawSocket: interfaces that go down, go away, come back; what a person is told; offloads
 * switched and put back. */
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/interface.h"
#include "lib/journal.h"
#include "selftest/raw_socket_rig.h"
#include "selftest/selftest.h"

static struct rig rig;
static uint8_t got[RIG_FRAME_MAX];

static bool logged(const char *line)
{
    return strstr(rig.log, line);
}

static unsigned index_of(const char *name)
{
    return if_nametoindex(name);
}

/* Sends frames from the left until one comes out on the right. */
static void until_it_forwards(void)
{
    size_t length = 0;
    while (wire_receive(rig.right, got)) /* from before */
        ;
    for (rig_give_time(&rig); length != 77; length = wire_receive(rig.right, got)) {
        send(rig.left, frame_make(1, 77), 77, MSG_DONTWAIT); /* it may still be down */
        rig_step(&rig, "it forwards again");
    }
    ck_assert_mem_eq(got, frame_make(1, 77), 77);
}

/* Nothing is under way any more: the far end keeps quiet while frames sent are counted.
 */
static void drain(int wire, uint64_t frames, const char *app)
{
    RIG_UNTIL(&rig,
              rig_count(&rig, app, "kernel_packets") >= frames &&
                  rig_received(&rig, app) == rig_count(&rig, app, "kernel_packets"));
    while (wire_receive(wire, got))
        ;
}

/* --- down and up -------------------------------------------------------------------- */

START_TEST(down_and_up)
{
    if (!rig_network())
        return;
    rig_start(&rig, _i ? "version=v3" : "direction=both");
    until_it_forwards();
    for (unsigned n = 1; n <= 3; n++) {
        shell("ip link set if2 down");
        RIG_UNTIL(&rig, rig_count(&rig, "if2", "link_downs") == n);
        drain(rig.right, 0, "if1");
        uint64_t dropped = rig_count(&rig, "if2", "drop_link_down");
        wire_send(rig.left, frame_make(1, 100), 100);
        RIG_UNTIL(&rig, rig_count(&rig, "if2", "drop_link_down") >= dropped + 1);
        shell("ip link set if2 up");
        until_it_forwards();
    }
    ck_assert_uint_eq(rig_count(&rig, "if2", "link_downs"), 3);
    ck_assert_uint_eq(rig_count(&rig, "if2", "reopens"), 0);
    ck_assert_uint_eq(rig_count(&rig, "if1", "link_downs"),
                      0); /* its carrier is no matter */
    ck_assert(logged("app if2 (RawSocket): interface if2 went down\n"));
    ck_assert(logged("app if2 (RawSocket): interface if2 is up\n"));
    ck_assert(!logged("if1"));
    drain(rig.right, 1, "if1");
    rig_stop(&rig);
}
END_TEST

START_TEST(receives_again_after_down)
{
    if (!rig_network())
        return;
    rig_start(&rig, _i ? "version=v3" : NULL);
    until_it_forwards();
    shell("ip link set if1 down");
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "link_downs") == 1);
    shell("ip link set if1 up");
    until_it_forwards();
    drain(rig.right, 1, "if1");
    rig_stop(&rig);
}
END_TEST

START_TEST(down_at_the_start)
{
    if (!rig_network())
        return;
    shell("ip link set if1 down");
    rig_start(&rig, NULL);
    ck_assert(logged("app if1 (RawSocket): interface if1 is down\n"));
    test_breathe(rig.engine, 5);
    shell("ip link set if1 up");
    until_it_forwards();
    ck_assert(logged("app if1 (RawSocket): interface if1 is up\n"));
    ck_assert_uint_eq(rig_count(&rig, "if1", "link_downs"), 0);
    drain(rig.right, 1, "if1");
    rig_stop(&rig);
}
END_TEST

/* An interface that is down does not keep the engine awake. */
START_TEST(sleeps_while_down)
{
    if (!rig_network())
        return;
    rig_start(&rig, NULL);
    shell("ip link set if1 down && ip link set if2 down");
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "link_downs") == 1 &&
                        rig_count(&rig, "if2", "link_downs") == 1);
    RIG_UNTIL(&rig, poll(rig.engine->polls, rig.engine->npolls, 20) == 0);
    rig_stop(&rig);
}
END_TEST

/* Nor does one that is gone. */
START_TEST(sleeps_while_gone)
{
    if (!rig_network())
        return;
    rig_start(&rig, NULL);
    shell("ip link del if1 && ip link del if2");
    RIG_UNTIL(&rig, logged("interface if1 is gone") && logged("interface if2 is gone"));
    RIG_UNTIL(&rig, poll(rig.engine->polls, rig.engine->npolls, 20) == 0);
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "down_ms") > 0);
    rig_stop(&rig);
}
END_TEST

/* --- gone and back ------------------------------------------------------------------ */

static void make_again(const char *name, const char *peer, int *wire)
{
    shell("ip link add %s type veth peer name %s", peer, name);
    shell("ip link set %s up && ip link set %s up", name, peer);
    close(*wire);
    *wire = wire_open(peer);
}

START_TEST(deleted_and_made_again)
{
    if (!rig_network())
        return;
    rig_start(&rig, _i ? "version=v3" : "direction=both");
    until_it_forwards();
    for (unsigned n = 1; n <= 3; n++) {
        for (unsigned i = 0; i < 300; i++)
            wire_send(rig.left, frame_make(i, 100), 100);
        unsigned index = index_of("if1");
        shell("ip link del if1");
        RIG_UNTIL(&rig, rig_count(&rig, "if1", "link_downs") == n);
        make_again("if1", "left", &rig.left);
        ck_assert_uint_ne(index_of("if1"), index);
        RIG_UNTIL(&rig, rig_count(&rig, "if1", "reopens") == n);
        until_it_forwards();
    }
    ck_assert(logged("app if1 (RawSocket): interface if1 is gone\n"));
    ck_assert(logged("app if1 (RawSocket): interface if1 is back"));
    drain(rig.right, 1, "if1");
    ck_assert_uint_eq(rig_count(&rig, "if1", "reopens"), 3);
    rig_stop(&rig);
}
END_TEST

/* Packets for an interface that is not there are dropped, and counted. */
START_TEST(sends_into_nothing)
{
    if (!rig_network())
        return;
    rig_start(&rig, NULL);
    until_it_forwards();
    shell("ip link del if2");
    RIG_UNTIL(&rig, logged("interface if2 is gone"));
    drain(rig.right, 1, "if1");
    uint64_t dropped = rig_count(&rig, "if2", "drop_link_down");
    for (unsigned i = 0; i < 10; i++)
        wire_send(rig.left, frame_make(i, 100), 100);
    RIG_UNTIL(&rig, rig_count(&rig, "if2", "drop_link_down") >= dropped + 10);
    make_again("if2", "right", &rig.right);
    until_it_forwards();
    drain(rig.right, 1, "if1");
    rig_stop(&rig);
}
END_TEST

/* Frames that had come in, but had not been taken, when the interface went away. */
START_TEST(frames_in_the_ring_of_the_dead)
{
    const uint32_t frames = 500;
    if (!rig_network())
        return;
    rig_start(&rig, _i ? "version=v3 rx_batch=1" : "rx_batch=1");
    for (uint32_t i = 0; i < frames; i++)
        wire_send(rig.left, frame_make(i, 100), 100);
    shell("ip link del if1");
    RIG_UNTIL(&rig, logged("interface if1 is gone"));
    ck_assert_uint_eq(rig_count(&rig, "if1", "kernel_packets"), frames);
    ck_assert_uint_eq(rig_received(&rig, "if1"), frames);
    ck_assert_uint_gt(rig_count(&rig, "if1", "drop_closed"), 0);
    make_again("if1", "left", &rig.left);
    until_it_forwards();
    drain(rig.right, frames + 1, "if1");
    rig_stop(&rig);
}
END_TEST

START_TEST(renamed)
{
    if (!rig_network())
        return;
    rig_start(&rig, NULL);
    shell("ip link set if1 down && ip link set if1 name other && ip link set other up");
    RIG_UNTIL(&rig, logged("interface if1 is up"));
    until_it_forwards(); /* it is the same interface all the same */
    ck_assert_uint_eq(rig_count(&rig, "if1", "reopens"), 0);
    drain(rig.right, 1, "if1");
    rig_stop(&rig);
}
END_TEST

START_TEST(not_to_be_opened_again)
{
    if (!rig_network())
        return;
    rig_start(&rig, "reopen=false");
    shell("ip link del if1");
    RIG_UNTIL(&rig, logged("interface if1 is gone"));
    make_again("if1", "left", &rig.left);
    uint64_t breaths = rig.engine->breaths;
    RIG_UNTIL(&rig, rig.engine->breaths > breaths + 100);
    ck_assert_uint_eq(rig_count(&rig, "if1", "reopens"), 0);
    ck_assert(!logged("is back"));
    rig_stop(&rig);
}
END_TEST

/* So much happens to interfaces that the kernel drops messages: what the watch then says
 * comes in another order, the new interface before the old one's end. */
START_TEST(deletion_among_too_many_events)
{
    int smallest = 1;
    if (!rig_network())
        return;
    rig_start(&rig, NULL);
    until_it_forwards();
    for (uint32_t i = 1; i < rig.engine->npolls; i++)
        setsockopt(rig.engine->polls[i].fd, SOL_SOCKET, SO_RCVBUF, &smallest,
                   sizeof(smallest));
    shell(
        "for mtu in $(seq 1300 1330); do echo link set lo mtu $mtu; done | ip -batch -");
    shell("ip link del if1");
    make_again("if1", "left", &rig.left);
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "reopens") == 1);
    until_it_forwards();
    rig_stop(&rig);
}
END_TEST

/* --- errors ------------------------------------------------------------------------- */

static void fails_to_start(const char *ifname, int error, enum error_kind kind,
                           const char *text)
{
    struct graph *graph = graph_new();
    struct error err;
    rig_engine(&rig, NULL);
    rig_socket(graph, "wan", ifname, NULL);
    ck_assert_int_eq(engine_configure(rig.engine, graph, &err), error);
    ck_assert_str_eq(err.text, text);
    ck_assert_int_eq(err.kind, kind);
    ck_assert_uint_eq(rig.engine->npolls, 1);
    rig_stop(&rig);
}

/* The list of names is the kernel's; test_interface.c looks at it. */
START_TEST(missing_interface)
{
    char wanted[600];
    struct error err;
    struct interface none;
    if (!rig_network())
        return;
    ck_assert_int_eq(interface_query("if3", &none, &err), -ENODEV);
    snprintf(wanted, sizeof(wanted), "app \"wan\" (RawSocket): %s", err.text);
    ck_assert_ptr_nonnull(strstr(wanted,
                                 "(RawSocket): no interface \"if3\", did you mean "
                                 "\"if"));
    fails_to_start("if3", -ENODEV, ERROR_CONFIG, wanted);
}
END_TEST

static void give_up_net_raw(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];
    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_NET_RAW);
    ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

START_TEST(missing_privilege)
{
    if (!rig_network())
        return;
    give_up_net_raw();
    fails_to_start("if1", -EPERM, ERROR_PRIVILEGE,
                   "app \"wan\" (RawSocket): a packet socket needs CAP_NET_RAW: run as "
                   "root, or setcap cap_net_raw+ep on the program");
}
END_TEST

/* --- offloads ----------------------------------------------------------------------- */

static char directory[64];
static struct journal *journal;

static unsigned offloads_of(const char *name)
{
    unsigned mask = 0;
    ck_assert_int_eq(interface_offloads(name, &mask, NULL), 0);
    return mask;
}

static void start_without_offloads(void)
{
    struct error err;
    struct graph *graph = graph_new();
    strcpy(directory, "/tmp/test_raw_socket.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    journal = journal_open(directory, &err);
    ck_assert_msg(journal != NULL, "%s", err.text);
    rig_engine(&rig, journal);
    rig_socket(graph, "if1", "if1", "offload=off");
    test_configure(rig.engine, graph);
    rig.left = wire_open("left");
}

static bool in_journal(const char *name, unsigned index, unsigned mask)
{
    char path[128], line[128], text[4096];
    snprintf(path, sizeof(path), "%s/undo", directory);
    snprintf(line, sizeof(line), "\noffloads %s %u %u\n", name, index, mask);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return strstr(text, line);
}

static void remove_directory(void)
{
    ck_assert_int_eq(journal_close(journal, NULL), 0);
    ck_assert_int_eq(rmdir(directory), 0);
}

START_TEST(offloads_off_and_back)
{
    if (!rig_network())
        return;
    unsigned before = offloads_of("if1"), other = offloads_of("if2");
    ck_assert_uint_ne(before, 0);
    start_without_offloads();
    ck_assert_uint_eq(offloads_of("if1"), 0);
    ck_assert_uint_eq(offloads_of("if2"), other);
    ck_assert(in_journal("if1", index_of("if1"), before));
    rig_stop(&rig);
    ck_assert_uint_eq(offloads_of("if1"), before);
    remove_directory();
}
END_TEST

START_TEST(offloads_of_an_interface_made_again)
{
    if (!rig_network())
        return;
    start_without_offloads();
    shell("ip link del if1");
    RIG_UNTIL(&rig, logged("interface if1 is gone"));
    shell("ip link add left type veth peer name if1"); /* down, with other offloads */
    shell("ethtool -K if1 gro on tso off >/dev/null");
    unsigned before = offloads_of("if1");
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "reopens") == 1);
    ck_assert(logged("app if1 (RawSocket): interface if1 is back, down\n"));
    ck_assert_uint_eq(offloads_of("if1"), 0);
    ck_assert(in_journal("if1", index_of("if1"), before));
    rig_stop(&rig);
    ck_assert_uint_eq(offloads_of("if1"), before);
    remove_directory();
}
END_TEST

/* A journal that is not undone by the app is undone from the file. */
START_TEST(offloads_after_a_crash)
{
    int status;
    if (!rig_network())
        return;
    unsigned before = offloads_of("if1");
    strcpy(directory, "/tmp/test_raw_socket.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    pid_t child = fork();
    if (!child) {
        struct graph *graph = graph_new();
        rig_engine(&rig, journal_open(directory, NULL));
        rig_socket(graph, "if1", "if1", "offload=off");
        _exit(engine_configure(rig.engine, graph, NULL) || offloads_of("if1"));
    }
    ck_assert(waitpid(child, &status, 0) == child && status == 0);
    ck_assert_uint_eq(offloads_of("if1"), 0);
    ck_assert_int_eq(journal_recover(directory, NULL), 1);
    ck_assert_uint_eq(offloads_of("if1"), before);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

static Suite *suite_raw_socket_life(void)
{
    Suite *suite = suite_create("raw_socket_life");
    TCase *tests = tcase_create("raw_socket_life");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, down_and_up, 0, 2);
    tcase_add_loop_test(tests, receives_again_after_down, 0, 2);
    tcase_add_test(tests, down_at_the_start);
    tcase_add_test(tests, sleeps_while_down);
    tcase_add_test(tests, sleeps_while_gone);
    tcase_add_loop_test(tests, deleted_and_made_again, 0, 2);
    tcase_add_test(tests, sends_into_nothing);
    tcase_add_loop_test(tests, frames_in_the_ring_of_the_dead, 0, 2);
    tcase_add_test(tests, renamed);
    tcase_add_test(tests, not_to_be_opened_again);
    tcase_add_test(tests, deletion_among_too_many_events);
    tcase_add_test(tests, missing_interface);
    tcase_add_test(tests, missing_privilege);
    tcase_add_test(tests, offloads_off_and_back);
    tcase_add_test(tests, offloads_of_an_interface_made_again);
    tcase_add_test(tests, offloads_after_a_crash);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(raw_socket_life)
