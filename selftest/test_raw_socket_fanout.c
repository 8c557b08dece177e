/* RawSocket: groups of sockets that share the frames of an interface. */
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "apps/apps.h"
#include "apps/raw_socket/program.h"
#include "selftest/raw_socket_rig.h"
#include "selftest/selftest.h"

static struct rig rig;

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
        wire_send(rig.left,
                  rig_datagram(100, (uint16_t)(1000 + flow), 53, n, n / FLOWS % 2), 100);
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
            wire_send(rig.left, rig_datagram(100, (uint16_t)(1000 + n), 53, n, false),
                      100);
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

static Suite *suite_raw_socket_fanout(void)
{
    Suite *suite = suite_create("raw_socket_fanout");
    TCase *tests = tcase_create("raw_socket_fanout");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, flows_stay_with_their_worker);
    tcase_add_test(tests, workers_go_and_come);
    tcase_add_test(tests, groups_that_do_not_fit);
    tcase_add_test(tests, a_group_of_its_own);
    tcase_add_test(tests, modes_of_groups);
    tcase_add_loop_test(tests, programs_of_groups, 0, 2);
    tcase_add_test(tests, program_that_is_not_there);
    tcase_add_test(tests, programs_as_text);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(raw_socket_fanout)
