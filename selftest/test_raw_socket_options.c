/* RawSocket: filters, groups of sockets, other ways to receive and to send, privileges;
 * what is possible together, and what a person is told. */
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "apps/apps.h"
#include "apps/raw_socket/parameters.h"
#include "apps/raw_socket/program.h"
#include "lib/hardware_clock.h"
#include "lib/interface.h"
#include "selftest/raw_socket_rig.h"
#include "selftest/selftest.h"

static struct rig rig;
static uint8_t got[RIG_FRAME_MAX];

static bool logged(const char *line)
{
    return strstr(rig.log, line);
}

/* A UDP datagram in a frame of a length; ports tell flows apart. */
static const uint8_t *datagram(size_t length, uint16_t from, uint16_t to, uint32_t number,
                               bool back)
{
    static uint8_t frame[RIG_FRAME_MAX];
    static const uint8_t header[] = { 8,  0, 0x45, 0,  0, 0, 0, 0,  0, 0, 64,
                                      17, 0, 0,    10, 0, 0, 1, 10, 0, 0, 2 };
    uint16_t ip_length = (uint16_t)(length - 14), udp_length = (uint16_t)(length - 34);
    memcpy(frame, frame_make(1, length), length);
    memcpy(frame + 12, header, sizeof(header));
    frame[16] = (uint8_t)(ip_length >> 8);
    frame[17] = (uint8_t)ip_length;
    frame[29] = back ? 2 : 1;
    frame[33] = back ? 1 : 2;
    uint16_t ports[2] = { back ? to : from, back ? from : to };
    for (int i = 0; i < 2; i++) {
        frame[34 + 2 * i] = (uint8_t)(ports[i] >> 8);
        frame[35 + 2 * i] = (uint8_t)ports[i];
    }
    frame[38] = (uint8_t)(udp_length >> 8);
    frame[39] = (uint8_t)udp_length;
    frame[40] = frame[41] = 0;
    memcpy(frame + 42, &number, sizeof(number));
    return frame;
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
        wire_send(rig.left, datagram(1400, 5000, 40000, n, false), 1400);
        wire_send(rig.left, datagram(1400, 5000, 40001, n, false), 1400);
    }
    RIG_UNTIL(&rig, rig_collected(&rig) == frames);
    rig_expect_kernel(&rig, "if1", frames);
    struct packet **p = test_collected(rig.engine, "out", &count);
    for (uint32_t n = 0; n < frames; n++) {
        ck_assert_uint_eq(p[n]->length, 96);
        ck_assert_mem_eq(p[n]->data, datagram(1400, 5000, 40000, n, false), 96);
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

/* --- groups ------------------------------------------------------------------------- */

#define WORKERS 4

static void add_worker(struct graph *graph, int worker, const char *key,
                       struct value value)
{
    struct value args = value_table(), fanout = value_table();
    char name[16], spec[64];
    struct error err;
    snprintf(name, sizeof(name), "w%d", worker);
    value_table_add(&args, "ifname", value_string("if1"));
    value_table_add(&fanout, "mode", value_string("hash"));
    value_table_add(&fanout, "id", value_integer(77));
    if (key)
        value_table_add(&fanout, key, value);
    value_table_add(&args, "fanout", fanout);
    ck_assert_msg(!graph_add_app(graph, name, apps_find("RawSocket"), &args, NULL, &err),
                  "%s", err.text);
    value_free(&args);
    snprintf(spec, sizeof(spec), "out%d", worker);
    test_app(graph, spec, "Collect", NULL);
    snprintf(spec, sizeof(spec), "w%d -> out%d", worker, worker);
    test_link(graph, spec);
}

static void configure_workers(unsigned mask)
{
    struct graph *graph = graph_new();
    for (int i = 0; i < WORKERS; i++)
        if (mask & 1u << i)
            add_worker(graph, i, NULL, (struct value){ VALUE_NIL });
    test_configure(rig.engine, graph);
}

static struct packet **collected_by(int worker, size_t *count)
{
    char name[16];
    snprintf(name, sizeof(name), "out%d", worker);
    return test_collected(rig.engine, name, count);
}

static size_t collected_by_all(void)
{
    size_t sum = 0, count;
    char name[16];
    for (int i = 0; i < WORKERS; i++) {
        snprintf(name, sizeof(name), "out%d", i);
        if (engine_find_app(rig.engine, name)) {
            collected_by(i, &count);
            sum += count;
        }
    }
    return sum;
}

/* Both directions of a flow come to one worker, and every worker has some. */
START_TEST(flows_stay_with_their_worker)
{
    enum { FLOWS = 1000, EACH = 10 };
    static int worker_of[FLOWS];
    static bool seen[FLOWS * EACH];
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    configure_workers(0xf);
    rig.left = wire_open("left");
    memset(worker_of, -1, sizeof(worker_of));
    for (uint32_t n = 0; n < FLOWS * EACH; n++) {
        uint16_t flow = (uint16_t)(n % FLOWS);
        wire_send(rig.left, datagram(100, (uint16_t)(1000 + flow), 53, n, n / FLOWS % 2),
                  100);
        if (n % 200 == 0)
            RIG_UNTIL(&rig, collected_by_all() == n + 1);
    }
    RIG_UNTIL(&rig, collected_by_all() == FLOWS * EACH);
    for (int w = 0; w < WORKERS; w++) {
        size_t count;
        struct packet **p = collected_by(w, &count);
        ck_assert_uint_gt(count, 0);
        for (size_t i = 0; i < count; i++) {
            uint32_t n;
            memcpy(&n, p[i]->data + 42, sizeof(n));
            ck_assert(n < FLOWS * EACH && !seen[n]);
            seen[n] = true;
            ck_assert(worker_of[n % FLOWS] == w || worker_of[n % FLOWS] == -1);
            worker_of[n % FLOWS] = w;
        }
    }
    rig_stop(&rig);
}
END_TEST

/* Workers go and come under traffic: no frame is there twice, and all go on. */
START_TEST(workers_go_and_come)
{
    static const unsigned masks[] = { 0xf, 0xb, 0xf, 0x1, 0xf };
    enum { EACH = 1000 };
    uint32_t n = 0;
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    configure_workers(0xf);
    rig.left = wire_open("left");
    for (size_t round = 0; round < sizeof(masks) / sizeof(masks[0]); round++) {
        static bool seen[EACH];
        configure_workers(masks[round]);
        memset(seen, 0, sizeof(seen));
        for (int i = 0; i < WORKERS; i++)
            if (masks[round] & 1u << i) {
                char name[16];
                snprintf(name, sizeof(name), "out%d", i);
                test_collect_clear(rig.engine, name);
            }
        for (n = 0; n < EACH; n++)
            wire_send(rig.left, datagram(100, (uint16_t)(1000 + n), 53, n, false), 100);
        RIG_UNTIL(&rig, collected_by_all() == EACH);
        for (int w = 0; w < WORKERS; w++) {
            size_t count;
            if (!(masks[round] & 1u << w))
                continue;
            struct packet **p = collected_by(w, &count);
            ck_assert_uint_gt(count, 0);
            for (size_t i = 0; i < count; i++) {
                memcpy(&n, p[i]->data + 42, sizeof(n));
                ck_assert(n < EACH && !seen[n]);
                seen[n] = true;
            }
        }
    }
    rig_stop(&rig);
}
END_TEST

static void fanout_fails(struct graph *graph, const char *text)
{
    struct error err;
    ck_assert_int_lt(engine_configure(rig.engine, graph, &err), 0);
    ck_assert_msg(strstr(err.text, text), "%s", err.text);
}

START_TEST(groups_that_do_not_fit)
{
    struct graph *graph = graph_new();
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    add_worker(graph, 0, NULL, (struct value){ VALUE_NIL });
    add_worker(graph, 1, "rollover", value_bool(true));
    fanout_fails(graph, "fanout: group 77 is there already, with another mode or flags");
    rig_stop(&rig);
}
END_TEST

static void one_option(struct graph *graph, const char *name, const char *table,
                       const char *const *pairs)
{
    struct value args = value_table(), inner = value_table();
    struct error err;
    value_table_add(&args, "ifname", value_string("if1"));
    for (; *pairs; pairs += 2)
        value_table_add(&inner, pairs[0], value_string(pairs[1]));
    value_table_add(&args, table, inner);
    ck_assert_msg(!graph_add_app(graph, name, apps_find("RawSocket"), &args, NULL, &err),
                  "%s", err.text);
    value_free(&args);
}

/* The kernel chooses a number; the report says it. */
START_TEST(a_group_of_its_own)
{
    static const char *const options[] = { "mode", "lb", "uniqueid", "true", NULL };
    struct graph *graph = graph_new();
    char *text;
    size_t size;
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    one_option(graph, "a", "fanout", options);
    one_option(graph, "b", "fanout", options);
    test_configure(rig.engine, graph);
    FILE *out = open_memstream(&text, &size);
    for (int i = 0; i < 2; i++) {
        struct app *app = engine_find_app(rig.engine, i ? "b" : "a");
        app->class->report(app, out);
        fputc('\n', out);
    }
    fclose(out);
    int a, b;
    ck_assert_msg(
        sscanf(text, "if1 up, fanout group %d\nif1 up, fanout group %d", &a, &b) == 2 &&
            a != b,
        "%s", text);
    free(text);
    rig_stop(&rig);
}
END_TEST

/* Every mode is one that the kernel takes. */
START_TEST(modes_of_groups)
{
    static const char *const modes[] = { "hash",   "lb", "cpu", "rollover",
                                         "random", "qm", NULL };
    if (!rig_network())
        return;
    for (int i = 0; modes[i]; i++) {
        const char *options[] = { "mode", modes[i], "defrag", "false", NULL };
        struct graph *graph = graph_new();
        rig_engine(&rig, NULL);
        one_option(graph, "if1", "fanout", options);
        test_app(graph, "out", "Collect", NULL);
        test_link(graph, "if1 -> out");
        test_configure(rig.engine, graph);
        rig.left = wire_open("left");
        wire_send(rig.left, frame_make(1, 100), 100);
        RIG_UNTIL(&rig, rig_collected(&rig) == 1);
        rig_stop(&rig);
    }
}
END_TEST

/* A pinned socket filter that returns 1, in a file system of this test's own. */
static void pin_program(void)
{
    static const struct bpf_insn code[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
        { .code = BPF_JMP | BPF_EXIT },
    };
    union bpf_attr load = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
                            .insn_cnt = 2,
                            .insns = (uint64_t)(uintptr_t)code,
                            .license = (uint64_t)(uintptr_t) "" };
    ck_assert(!unshare(CLONE_NEWNS));
    ck_assert(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
    ck_assert(!mount("bpf", "/mnt", "bpf", 0, NULL));
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
    ck_assert_msg(fd >= 0, "%s", strerror(errno));
    union bpf_attr pin = { .pathname = (uint64_t)(uintptr_t) "/mnt/one",
                           .bpf_fd = (uint32_t)fd };
    ck_assert(!syscall(SYS_bpf, BPF_OBJ_PIN, &pin, sizeof(pin)));
}

/* A program says who gets a frame: here always the second. */
START_TEST(programs_of_groups)
{
    static const char *const options[][7] = {
        { "mode", "cbpf", "program", "1,6 0 0 1", NULL },
        { "mode", "ebpf", "program", "/mnt/one", NULL },
    };
    struct graph *graph = graph_new();
    size_t count;
    if (!rig_network())
        return;
    if (_i)
        pin_program();
    rig_engine(&rig, NULL);
    one_option(graph, "a", "fanout", options[_i]);
    one_option(graph, "b", "fanout", options[_i]);
    test_app(graph, "out", "Collect", NULL);
    test_app(graph, "other", "Collect", NULL);
    test_link(graph, "a -> other");
    test_link(graph, "b -> out");
    test_configure(rig.engine, graph);
    rig.left = wire_open("left");
    for (uint32_t n = 0; n < 100; n++)
        wire_send(rig.left, frame_make(n, 100), 100);
    RIG_UNTIL(&rig, rig_collected(&rig) == 100);
    test_collected(rig.engine, "other", &count);
    ck_assert_uint_eq(count, 0);
    rig_stop(&rig);
}
END_TEST

START_TEST(program_that_is_not_there)
{
    static const char *const options[] = { "mode", "ebpf", "program", "/no/such/program",
                                           NULL };
    struct graph *graph = graph_new();
    if (!rig_network())
        return;
    rig_engine(&rig, NULL);
    one_option(graph, "a", "fanout", options);
    fanout_fails(graph, "fanout.program: /no/such/program: No such file");
    rig_stop(&rig);
}
END_TEST

START_TEST(programs_as_text)
{
    static const char *const bad[] = { "",
                                       "1",
                                       "1,6 0 0",
                                       "0,",
                                       "1,6 0 0 1 2",
                                       "2,6 0 0 1",
                                       "1,6 0 256 1",
                                       "1,65536 0 0 1",
                                       "1,6 0 0 4294967296",
                                       "1,-6 0 0 1",
                                       "513,6 0 0 1",
                                       "1,6 0 0 1,6 0 0 1",
                                       "x",
                                       "1,6  0 0 1" };
    struct sock_filter code[PROGRAM_MAX];
    ck_assert_int_eq(program_parse("2,40 0 0 12\n6 1 255 4294967295\n", code), 2);
    ck_assert_uint_eq(code[0].code, 40);
    ck_assert_uint_eq(code[0].k, 12);
    ck_assert_uint_eq(code[1].jt, 1);
    ck_assert_uint_eq(code[1].jf, 255);
    ck_assert_uint_eq(code[1].k, UINT32_MAX);
    ck_assert_int_eq(program_parse("1,6 0 0 1", code), 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(program_parse(bad[i], code) == -EINVAL, "\"%s\"", bad[i]);
}
END_TEST

/* --- sending ------------------------------------------------------------------------ */

/* Little room in the ring, a slow wire: nothing is lost, what has no slot waits. */
START_TEST(send_ring_holds_back)
{
    const uint32_t frames = 1000;
    if (!rig_network())
        return;
    rig_listen(&rig, "tx=ring tx_ring_frames=64");
    shell("tc qdisc add dev if1 root tbf rate 80kbit burst 2000 limit 100000000");
    for (uint32_t n = 0; n < frames; n++)
        test_inject_bytes(rig.engine, "in", frame_make(n, 1000), 1000);
    struct link *link = engine_find_link(rig.engine, "in.output -> if1.input");
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "tx_blocked") > 10 && link->write == frames);
    uint64_t sent = rig_count(&rig, "if1", "tx_packets");
    ck_assert_uint_ge(sent, 64);
    ck_assert_uint_lt(sent, 200);
    ck_assert_uint_eq(sent + rig_count(&rig, "if1", "tx_held") + link_readable(link),
                      frames);
    shell("tc qdisc change dev if1 root tbf rate 10gbit burst 10mb limit 100000000");
    for (uint32_t n = 0; n < frames; n++)
        rig_expect(&rig, rig.left, frame_make(n, 1000), 1000);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_packets"), frames);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_bytes"), 1000 * frames);
    rig_stop(&rig);
}
END_TEST

/* One frame that is too long, and one too short, among fifty: the others arrive. */
START_TEST(bad_frames_among_good_ones)
{
    static const char *const options[] = { "tx=ring", "tx=sendmmsg",
                                           "tx=sendmmsg merge=1",
                                           "tx=ring tx_frame_size=512" };
    bool small = _i == 3;
    if (!rig_network())
        return;
    rig_listen(&rig, options[_i]);
    for (uint32_t n = 0; n < 50; n++) {
        uint32_t length = n == 11 ? 1519 : n == 20 ? 13 : small ? 472 : 200;
        test_inject_bytes(rig.engine, "in", frame_make(n, length), length);
    }
    for (uint32_t n = 0; n < 50; n++)
        if (n != 11 && n != 20)
            rig_expect(&rig, rig.left, frame_make(n, small ? 472 : 200),
                       small ? 472 : 200);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_tx_oversize"), 1);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_tx_runt"), 1);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_packets"), 48);
    test_inject_bytes(rig.engine, "in", frame_make(99, 100), 100);
    rig_expect(&rig, rig.left, frame_make(99, 100), 100);
    rig_stop(&rig);
}
END_TEST

/* What the kernel has not sent when the interface goes down is dropped, not sent later. */
START_TEST(send_ring_goes_down)
{
    if (!rig_network())
        return;
    rig_listen(&rig, "tx=ring tx_ring_frames=64");
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t n = 0; n < 100; n++) {
            test_inject_bytes(rig.engine, "in", frame_make(n, 100), 100);
            if (n % 10 == 0)
                engine_breathe(rig.engine);
        }
        RIG_UNTIL(&rig, rig_count(&rig, "if1", "tx_packets") == 100 * (round + 1));
        uint64_t dropped = rig_count(&rig, "if1", "drop_link_down");
        shell("ip link set if1 down");
        for (uint32_t n = 0; n < 30; n++)
            test_inject_bytes(rig.engine, "in", frame_make(n, 200), 200);
        RIG_UNTIL(&rig, rig_count(&rig, "if1", "drop_link_down") == dropped + 30);
        shell("ip link set if1 up");
        RIG_UNTIL(&rig, logged("interface if1 is up"));
    }
    size_t length;
    while ((length = wire_receive(rig.left, got)))
        ck_assert_uint_eq(length, 100);
    test_inject_bytes(rig.engine, "in", frame_make(9, 300), 300);
    rig_expect(&rig, rig.left, frame_make(9, 300), 300);
    rig_stop(&rig);
}
END_TEST

START_TEST(send_ring_with_tags)
{
    if (!rig_network())
        return;
    rig_listen(&rig, "tx=ring");
    for (uint32_t n = 0; n < 2000; n++) { /* many times round */
        uint32_t length = 16 + n % 1499;  /* a kernel drops shorter ones with a tag */
        struct packet *p = packet_from_bytes(frame_make(n, length), length);
        p->flags = n % 2 ? PACKET_VLAN : 0;
        p->vlan_tpid = 0x8100;
        p->vlan_tci = 5;
        test_inject(rig.engine, "in", p);
        size_t have = rig_next(&rig, rig.left, got);
        ck_assert_uint_eq(have, length + (n % 2 ? 4 : 0));
        ck_assert_mem_eq(got, frame_make(n, length), 12);
        ck_assert_mem_eq(got + have - (length - 12), frame_make(n, length) + 12,
                         length - 12);
    }
    rig_stop(&rig);
}
END_TEST

START_TEST(nothing_is_sent)
{
    if (!rig_network())
        return;
    rig_listen(&rig, "tx=none");
    for (uint32_t n = 0; n < 10; n++)
        test_inject_bytes(rig.engine, "in", frame_make(n, 100), 100);
    wire_send(rig.left, frame_make(1, 100), 100);
    RIG_UNTIL(&rig,
              rig_collected(&rig) == 1 && rig_count(&rig, "if1", "drop_tx_none") == 10);
    ck_assert_uint_eq(wire_receive(rig.left, got), 0);
    rig_stop(&rig);
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
    fanout_fails(graph, text);
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
    tcase_add_test(tests, flows_stay_with_their_worker);
    tcase_add_test(tests, workers_go_and_come);
    tcase_add_test(tests, groups_that_do_not_fit);
    tcase_add_test(tests, a_group_of_its_own);
    tcase_add_test(tests, modes_of_groups);
    tcase_add_loop_test(tests, programs_of_groups, 0, 2);
    tcase_add_test(tests, program_that_is_not_there);
    tcase_add_test(tests, programs_as_text);
    tcase_add_test(tests, send_ring_holds_back);
    tcase_add_loop_test(tests, bad_frames_among_good_ones, 0, 4);
    tcase_add_test(tests, send_ring_goes_down);
    tcase_add_test(tests, send_ring_with_tags);
    tcase_add_test(tests, nothing_is_sent);
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
