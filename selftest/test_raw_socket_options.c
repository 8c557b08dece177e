/* RawSocket: filters, timestamps, busy polling, profiles, privileges; what is possible
 * together, and what a person is told. */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "apps/apps.h"
#include "apps/raw_socket/parameters.h"
#include "lib/hardware_clock.h"
#include "selftest/raw_socket_rig.h"
#include "selftest/selftest.h"

static struct rig rig;
static bool logged(const char *line)
{
    return strstr(rig.log, line);
}

/* --- filters ------------------------------------------------------------------------ */

/* Exactly what matches is seen, and so much of it as is asked for. */
START_TEST(filter_and_snaplen)
{
    static const char *const versions[] = { "v2", "v3", "read" };
    const uint32_t frames = 500;
    size_t count;
    struct graph *graph = graph_new();
    struct value args = value_table();
    if (!rig_network())
        return;
    value_table_add(&args, "ifname", value_string("if1"));
    value_table_add(&args, "version", value_string(versions[_i]));
    value_table_add(&args, "filter", value_string("udp dst port 40000"));
    value_table_add(&args, "snaplen", value_string("96"));
    rig_engine(&rig, NULL);
    ck_assert(!graph_add_app(graph, "if1", apps_find("RawSocket"), &args, NULL, NULL));
    value_free(&args);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "if1 -> out");
    test_configure(rig.engine, graph);
    rig.left = wire_open("left");
    for (uint32_t n = 0; n < frames; n++) {
        wire_send(rig.left, rig_datagram(1400, 5000, 40000, n, false), 1400);
        wire_send(rig.left, rig_datagram(1400, 5000, 40001, n, false), 1400);
    }
    RIG_UNTIL(&rig, rig_collected(&rig) == frames);
    rig_expect_kernel(&rig, "if1", frames);
    struct packet **p = test_collected(rig.engine, "out", &count);
    for (uint32_t n = 0; n < frames; n++) {
        ck_assert_uint_eq(p[n]->length, 96);
        ck_assert_mem_eq(p[n]->data, rig_datagram(1400, 5000, 40000, n, false), 96);
    }
    rig_stop(&rig);
}
END_TEST

static void listen_with_filter(const char *filter)
{
    struct graph *graph = graph_new();
    struct value args = value_table();
    rig_engine(&rig, NULL);
    value_table_add(&args, "ifname", value_string("if1"));
    value_table_add(&args, "filter", value_string(filter));
    ck_assert(!graph_add_app(graph, "if1", apps_find("RawSocket"), &args, NULL, NULL));
    value_free(&args);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "if1 -> out");
    test_configure(rig.engine, graph);
    rig.left = wire_open("left");
}

/* The tag is beside the frame in the kernel: "vlan 100" finds it there. */
START_TEST(filter_for_a_vlan)
{
    static const char *const tags[] = { "\x81\x00\xa0\x64", "\x81\x00\x00\x00",
                                        "\x88\xa8\x00\x07\x81\x00\x00\x64", "" };
    static const size_t sizes[] = { 4, 4, 8, 0 };
    uint8_t frame[100];
    size_t count;
    if (!rig_network())
        return;
    listen_with_filter("vlan 100");
    for (int i = 0; i < 4; i++) {
        memcpy(frame, frame_make(1, 100), 100);
        memmove(frame + 12 + sizes[i], frame + 12, 100 - 12 - sizes[i]);
        memcpy(frame + 12, tags[i], sizes[i]);
        wire_send(rig.left, frame, sizeof(frame));
    }
    memcpy(frame, frame_make(1, 100), 100);
    memmove(frame + 16, frame + 12, 84);
    memcpy(frame + 12, tags[0], 4);
    wire_send(rig.left, frame, sizeof(frame));
    RIG_UNTIL(&rig, rig_collected(&rig) == 2);
    rig_expect_kernel(&rig, "if1", 2);
    ck_assert_mem_eq(test_collected(rig.engine, "out", &count)[1]->data, frame, 100);
    rig_stop(&rig);
}
END_TEST

/* Traffic while the socket is opened: nothing slips in before the filter is there. */
START_TEST(filter_is_there_from_the_first_frame)
{
    if (!rig_network())
        return;
    pid_t child = fork();
    if (!child) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int wire = wire_open("left");;)
            send(wire, frame_make(1, 100), 100, 0);
    }
    for (int i = 0; i < 20; i++) {
        listen_with_filter("udp port 40000");
        engine_breathe(rig.engine);
        ck_assert_uint_eq(rig_collected(&rig), 0);
        ck_assert_uint_eq(rig_count(&rig, "if1", "kernel_packets"), 0);
        rig_stop(&rig);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
END_TEST

/* --- other wishes ------------------------------------------------------------------- */

START_TEST(hardware_timestamps_that_cannot_be)
{
    static const char text[] = "if1 has no clock that stamps packets: ethtool -T if1";
    struct graph *graph = graph_new();
    struct hardware_stamps stamps = { 0, 1 };
    struct error err;
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    rig_socket(graph, "if1", "if1", "timestamp=hardware");
    ck_assert_int_lt(engine_configure(rig.engine, graph, &err), 0);
    ck_assert_msg(strstr(err.text, text), "%s", err.text);
    ck_assert_int_eq(hardware_clock_open("if1", &err), -EOPNOTSUPP);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_int_eq(hardware_clock_open("none", &err), -EOPNOTSUPP);
    ck_assert_int_lt(hardware_stamps("if1", &stamps, &err), 0);
    ck_assert_int_lt(hardware_set_stamps("if1", &stamps, &err), 0);
    ck_assert_uint_eq(hardware_clock_now(-1), 0);
    rig_stop(&rig);
}
END_TEST

static void drop_capability(int capability)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];
    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << capability);
    ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

START_TEST(busy_polling)
{
    if (!rig_network())
        return;
    if (_i)
        drop_capability(CAP_NET_ADMIN);
    rig_listen(&rig, "busy_poll=50");
    wire_send(rig.left, frame_make(1, 100), 100);
    RIG_UNTIL(&rig, rig_collected(&rig) == 1);
    ck_assert_int_eq(logged("app if1 (RawSocket): busy_poll.prefer needs CAP_NET_ADMIN: "
                            "it is not set\n"),
                     _i);
    rig_stop(&rig);
}
END_TEST

/* A profile brings other defaults; what is given stays. */
START_TEST(profiles)
{
    static const char *const names[] = { "default", "throughput", "latency", "memory",
                                         "jumbo" };
    if (!rig_network())
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char options[64];
        snprintf(options, sizeof(options), "ring=128 profile=%s", names[i]);
        rig_listen(&rig, options);
        const struct raw_socket_conf *conf = engine_find_app(rig.engine, "if1")->conf;
        ck_assert_int_eq(conf->ring, 128);
        ck_assert_int_eq(conf->version, i == 1 ? RING_V3 : RING_V2);
        ck_assert_int_eq(conf->busy_poll.usecs, i == 2 ? 50 : 0);
        ck_assert(conf->busy_poll.prefer);
        ck_assert_int_eq(conf->jumbo, i == 4);
        wire_send(rig.left, frame_make(1, 100), 100);
        RIG_UNTIL(&rig, rig_collected(&rig) == 1);
        rig_stop(&rig);
    }
}
END_TEST

static const struct {
    const char *options, *text;
} impossible[] = {
    { "tx=ring direction=both", "tx: a send ring needs direction = \"in\"" },
    { "tx=ring offload=gso",
      "tx: a send ring has no room for what offload leaves to do" },
    { "tx_frame_size=1000", "tx_frame_size: not a multiple of 16" },
    { "snaplen=96 offload=csum",
      "snaplen: what is cut cannot be finished, as offload wants" },
    { "filter=nonsense", "filter: \"nonsense\": " },
    { "fanout=cbpf", "fanout.program is required with cbpf and ebpf" },
};

static void refused(struct value args, const char *text)
{
    struct graph *graph = graph_new();
    struct error err;
    value_table_add(&args, "ifname", value_string("if1"));
    ck_assert_int_lt(
        graph_add_app(graph, "if1", apps_find("RawSocket"), &args, NULL, &err), 0);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_msg(strstr(err.text, text), "%s", err.text);
    value_free(&args);
    graph_free(graph);
}

/* Adds "a=b c=d" to a table. */
static void add_words(struct value *table, const char *options)
{
    char *words = strdup(options), *rest = words, *word;
    while ((word = strsep(&rest, " "))) {
        char *name = strsep(&word, "=");
        value_table_add(table, name, value_string(word));
    }
    free(words);
}

START_TEST(parameters_that_do_not_go_together)
{
    struct value args = value_table();
    add_words(&args, impossible[_i].options);
    refused(args, impossible[_i].text);
}
END_TEST

static const struct {
    const char *options, *text;
} impossible_groups[] = {
    { "mode=rollover rollover=true", "fanout.rollover: that is the mode already" },
    { "mode=hash program=1,6", "fanout.program: only with mode" },
    { "mode=lb uniqueid=true id=3", "fanout: either id or uniqueid" },
    { "mode=cbpf program=1,nonsense", "fanout.program: not what tcpdump -ddd prints" },
};

START_TEST(groups_that_cannot_be)
{
    struct value args = value_table(), fanout = value_table();
    add_words(&fanout, impossible_groups[_i].options);
    value_table_add(&args, "fanout", fanout);
    refused(args, impossible_groups[_i].text);
}
END_TEST

/* --- privileges --------------------------------------------------------------------- */

static int promiscuity(void)
{
    char text[64] = "";
    FILE *out =
        popen("ip -d link show if1 | sed -n 's/.*promiscuity \\([0-9]*\\).*/\\1/p'", "r");
    ck_assert(out && fgets(text, sizeof(text), out));
    pclose(out);
    return atoi(text);
}

/* CAP_NET_RAW alone, and no locked memory: enough to be promiscuous with a ring of 64 MiB.
 * Whatever ends the process ends that. */
START_TEST(one_capability_is_enough)
{
    int pipes[2], status;
    char byte;
    if (!rig_network())
        return;
    ck_assert(!pipe(pipes) && promiscuity() == 0);
    pid_t child = fork();
    if (!child) {
        for (int capability = 0; capability < 32; capability++)
            if (capability != CAP_NET_RAW)
                drop_capability(capability);
        setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 0, 0 });
        rig_listen(&rig, "promisc=true ring=40000");
        for (uint32_t n = 0; n < 1000; n++) {
            wire_send(rig.left, frame_make(n, 100), 100);
            RIG_UNTIL(&rig, rig_collected(&rig) == n + 1);
        }
        rig_expect_kernel(&rig, "if1", 1000);
        if (write(pipes[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(pipes[1]);
    ck_assert_msg(read(pipes[0], &byte, 1) == 1, "it does not work");
    ck_assert_int_eq(promiscuity(), 1);
    kill(child, SIGKILL);
    ck_assert(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    ck_assert_int_eq(promiscuity(), 0);
}
END_TEST

static Suite *suite_raw_socket_options(void)
{
    Suite *suite = suite_create("raw_socket_options");
    TCase *tests = tcase_create("raw_socket_options");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, filter_and_snaplen, 0, 3);
    tcase_add_test(tests, filter_for_a_vlan);
    tcase_add_test(tests, filter_is_there_from_the_first_frame);
    tcase_add_test(tests, hardware_timestamps_that_cannot_be);
    tcase_add_loop_test(tests, busy_polling, 0, 2);
    tcase_add_test(tests, profiles);
    tcase_add_loop_test(tests, parameters_that_do_not_go_together, 0,
                        sizeof(impossible) / sizeof(impossible[0]));
    tcase_add_loop_test(tests, groups_that_cannot_be, 0, 4);
    tcase_add_test(tests, one_capability_is_enough);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(raw_socket_options)
