/* xdp_hook: attached, shared, in front of others, gone; and what its program takes. */
#include "lib/xdp_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "lib/traffic_match.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"
#include "selftest/traffic_frames.h"
#include "xdp_hook.skel.h"

static struct error err;
static unsigned ifindex;

static bool network(void)
{
    if (!private_network())
        return false;
    shell("ip link add left type veth peer name if1");
    shell("ip link set left up && ip link set if1 up");
    ifindex = if_nametoindex("if1");
    return true;
}

/* The id of what is attached, and how (XDP_ATTACHED_*). */
static uint32_t attached(uint8_t *mode)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, query);
    ck_assert_int_eq(bpf_xdp_query((int)ifindex, 0, &query), 0);
    if (mode)
        *mode = query.attach_mode;
    return query.prog_id;
}

static struct xdp_hook *hook_open(const struct xdp_hook_options *options)
{
    return xdp_hook_open("if1", ifindex, 1, options, &err);
}

static struct xdp_hook *hook_must_open(const struct xdp_hook_options *options)
{
    struct xdp_hook *hook = hook_open(options);
    ck_assert_msg(hook != NULL, "%s", err.text);
    return hook;
}

START_TEST(attached_and_gone)
{
    static const struct {
        enum xdp_attach_mode attach;
        uint8_t mode;
        const char *text;
    } rows[] = { { XDP_ATTACH_AUTO, XDP_ATTACHED_DRV, "native" },
                 { XDP_ATTACH_NATIVE, XDP_ATTACHED_DRV, "native" },
                 { XDP_ATTACH_GENERIC, XDP_ATTACHED_SKB, "generic" } };
    uint8_t mode;
    if (!network())
        return;
    struct xdp_hook_options options = { .attach = rows[_i].attach };
    struct xdp_hook *hook = hook_must_open(&options);
    ck_assert_uint_ne(attached(&mode), 0);
    ck_assert_uint_eq(mode, rows[_i].mode);
    ck_assert_str_eq(xdp_hook_describe(hook), rows[_i].text);
    xdp_hook_close(hook);
    ck_assert_uint_eq(attached(NULL), 0);
}
END_TEST

/* A MTU that the driver cannot do in one buffer: generic, and the reason is told. */
START_TEST(native_not_to_be_had)
{
    uint8_t mode;
    if (!network())
        return;
    shell("ip link set left mtu 9000 && ip link set if1 mtu 9000");
    struct xdp_hook_options options = { .attach = XDP_ATTACH_AUTO };
    struct xdp_hook *hook = hook_must_open(&options);
    ck_assert_uint_ne(attached(&mode), 0);
    ck_assert_uint_eq(mode, XDP_ATTACHED_SKB);
    ck_assert_str_eq(xdp_hook_describe(hook),
                     "generic (native: Numerical result out of range)");
    xdp_hook_close(hook);
    options.attach = XDP_ATTACH_NATIVE;
    ck_assert_ptr_null(hook_open(&options));
    ck_assert_str_eq(err.text,
                     "cannot attach to if1 in native mode: Numerical result out of "
                     "range: the driver wants a smaller MTU, fewer offloads, or frags");
    options.frags = true;
    xdp_hook_close(hook_must_open(&options));
}
END_TEST

START_TEST(shared_within_the_process)
{
    if (!network())
        return;
    struct xdp_hook_options options = { .match = "udp dst port 4789" };
    struct xdp_hook *hook = hook_must_open(&options);
    uint32_t id = attached(NULL);
    ck_assert_ptr_eq(hook_must_open(&options), hook);
    options.match = "udp dst port 4790";
    ck_assert_ptr_null(hook_open(&options));
    ck_assert_str_eq(err.text,
                     "if1: match \"udp dst port 4790\" is not that of the other app "
                     "on it (\"udp dst port 4789\")");
    options.match = "udp dst port 4789";
    options.drop = true;
    ck_assert_ptr_null(hook_open(&options));
    xdp_hook_close(hook);
    ck_assert_uint_eq(attached(NULL), id);
    xdp_hook_close(hook);
    ck_assert_uint_eq(attached(NULL), 0);
}
END_TEST

/* Another match is another program in the same place; a wrong one leaves the old. */
START_TEST(other_match)
{
    if (!network())
        return;
    struct xdp_hook_options options = { .match = "tcp" };
    struct xdp_hook *hook = hook_must_open(&options);
    uint32_t first = attached(NULL);
    ck_assert_int_eq(xdp_hook_match(hook, "udp", &err), 0);
    uint32_t second = attached(NULL);
    ck_assert_uint_ne(first, second);
    ck_assert_int_eq(xdp_hook_match(hook, "udp", &err), 0);
    ck_assert_int_eq(xdp_hook_match(hook, "udp port x", &err), -EINVAL);
    ck_assert_uint_eq(attached(NULL), second);
    options.match = "udp";
    ck_assert_ptr_eq(hook_must_open(&options), hook);
    xdp_hook_close(hook);
    xdp_hook_close(hook);
}
END_TEST

/* --- somebody else's program ----------------------------------------------------------- */

/* Returns a verdict, attached the way that outlives a process. */
static uint32_t attach_foreign(int verdict, uint32_t flags)
{
    struct bpf_insn code[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = verdict },
        { .code = BPF_JMP | BPF_EXIT },
    };
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "GPL", code, 2, NULL);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bpf_xdp_attach((int)ifindex, fd, flags, NULL), 0);
    close(fd);
    return attached(NULL);
}

static const uint32_t modes[] = { XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE };

START_TEST(foreign_program_is_left_alone)
{
    char wanted[160];
    if (!network())
        return;
    uint32_t id = attach_foreign(XDP_PASS, modes[_i]);
    struct xdp_hook_options options = { 0 };
    ck_assert_ptr_null(hook_open(&options));
    snprintf(
        wanted, sizeof(wanted),
        "if1 has an XDP program already, id %u \"other\": detach it, or say force = true "
        "to have it run behind ours",
        id);
    ck_assert_str_eq(err.text, wanted);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_uint_eq(attached(NULL), id);
}
END_TEST

/* What the interface's program makes of a frame that is not ours. */
static uint32_t verdict(void)
{
    uint8_t frame[64] = { 0 };
    int fd = bpf_prog_get_fd_by_id(attached(NULL));
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
                .repeat = 1);
    ck_assert_int_eq(bpf_prog_test_run_opts(fd, &opts), 0);
    close(fd);
    return opts.retval;
}

/* It runs behind ours, also after a change of match, and is back when ours is gone. */
START_TEST(foreign_program_behind_ours)
{
    uint8_t mode, before;
    if (!network())
        return;
    uint32_t id = attach_foreign(XDP_DROP, modes[_i]);
    attached(&before);
    struct xdp_hook_options options = { .force = true, .match = "udp port 1" };
    struct xdp_hook *hook = hook_must_open(&options);
    ck_assert_uint_ne(attached(&mode), id);
    ck_assert_uint_eq(mode, before);
    ck_assert_uint_eq(verdict(), XDP_DROP);
    ck_assert_int_eq(xdp_hook_match(hook, "udp port 2", &err), 0);
    ck_assert_uint_eq(verdict(), XDP_DROP);
    xdp_hook_close(hook);
    ck_assert_uint_eq(attached(&mode), id);
    ck_assert_uint_eq(mode, before);
}
END_TEST

/* --- the end of a process --------------------------------------------------------------- */

START_TEST(killed)
{
    int ready[2];
    char byte;
    if (!network())
        return;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (!child) {
        struct xdp_hook_options options = { 0 };
        ssize_t n = write(ready[1], hook_open(&options) ? "y" : "n", 1);
        (void)n;
        pause();
    }
    ck_assert(read(ready[0], &byte, 1) == 1 && byte == 'y');
    ck_assert_uint_ne(attached(NULL), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert_uint_eq(attached(NULL), 0);
}
END_TEST

/* --- an XSKMAP of somebody else --------------------------------------------------------- */

START_TEST(pinned_map)
{
    if (!network())
        return;
    char directory[] = "/tmp/selftest_bpf_XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    ck_assert_int_eq(mount("bpf", directory, "bpf", 0, NULL), 0);
    snprintf(path, sizeof(path), "%s/map", directory);
    struct xdp_hook_options options = { .map = path };
    ck_assert_ptr_null(hook_open(&options));
    int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "array", 4, 4, 1, NULL);
    ck_assert_int_eq(bpf_obj_pin(fd, path), 0);
    ck_assert_ptr_null(hook_open(&options));
    unlink(path);
    fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 1, NULL);
    ck_assert_int_eq(bpf_obj_pin(fd, path), 0);
    struct xdp_hook *hook = hook_must_open(&options);
    ck_assert_uint_eq(attached(NULL), 0); /* the program is theirs */
    xdp_hook_close(hook);
    umount2(directory, MNT_DETACH);
    rmdir(directory);
}
END_TEST

/* --- the same in the kernel ------------------------------------------------------------ */

static int load(struct xdp_hook_bpf *bpf, const char *text)
{
    struct traffic_match match;
    ck_assert_int_eq(traffic_match_parse(&match, text, &err), 0);
    bpf->rodata->match = match;
    bpf->rodata->fallback = XDP_DROP; /* taken, but no socket is there */
    ck_assert_int_eq(xdp_hook_bpf__load(bpf), 0);
    return bpf_program__fd(bpf->progs.vanguard);
}

START_TEST(kernel_takes_the_same)
{
    struct xdp_hook_bpf *bpf;
    uint8_t frame[FRAME];
    if (geteuid() != 0) {
        fprintf(stderr, "SKIPPED: kernel_takes_the_same: not root\n");
        return;
    }
    struct traffic_match match;
    traffic_match_parse(&match, expressions[_i], &err);
    bpf = xdp_hook_bpf__open();
    int fd = load(bpf, expressions[_i]);
    for (int i = 0; i < 500; i++) {
        some_frame(frame);
        if (!below(3))
            insert(frame, 12, "\x81\x00\x00\x07\x88\xa8\x00\x01", 4 + 4 * below(2));
        uint32_t length = below(4) ? FRAME : 14 + below(80);
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = length,
                    .repeat = 1);
        ck_assert_int_eq(bpf_prog_test_run_opts(fd, &opts), 0);
        ck_assert_uint_eq(opts.retval, traffic_match_frame(&match, frame, length)
                                           ? (uint32_t)XDP_DROP
                                           : (uint32_t)XDP_PASS);
    }
    xdp_hook_bpf__destroy(bpf);
}
END_TEST

static Suite *suite_xdp_hook(void)
{
    Suite *suite = suite_create("xdp_hook");
    TCase *tests = tcase_create("xdp_hook");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, attached_and_gone, 0, 3);
    tcase_add_test(tests, native_not_to_be_had);
    tcase_add_test(tests, shared_within_the_process);
    tcase_add_test(tests, other_match);
    tcase_add_loop_test(tests, foreign_program_is_left_alone, 0, 2);
    tcase_add_loop_test(tests, foreign_program_behind_ours, 0, 2);
    tcase_add_test(tests, killed);
    tcase_add_test(tests, pinned_map);
    tcase_add_loop_test(tests, kernel_takes_the_same, 0, EXPRESSIONS);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(xdp_hook)
