/* FlowSentinel's XDP program on an interface: attached, left behind, taken over. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "apps/flow_sentinel/pins.h"
#include "lib/prefix.h"
#include "selftest/private_network.h"
#include "selftest/selftest.h"
#include "selftest/sentinel_corpus.h"

#define PIN "/tmp/vanguard-bpffs/pins/d0"

struct network {
    unsigned index; /* of d0 */
    int socket;     /* sends from g0 */
    struct sentinel_policy policy;
};

/* A bpffs of this test's own, and a wire. False: skipped. */
static bool prepare(struct network *n)
{
    if (!private_network())
        return false;
    ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
    ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    mkdir("/tmp/vanguard-bpffs", 0700);
    ck_assert_int_eq(mount("bpf", "/tmp/vanguard-bpffs", "bpf", 0, NULL), 0);
    shell("ip link add g0 type veth peer name d0 && ip link set g0 addrgenmode none && "
          "ip link set d0 addrgenmode none && ip link set g0 up && ip link set d0 up");
    n->index = if_nametoindex("d0");
    n->socket = socket(AF_PACKET, SOCK_RAW, 0);
    struct sockaddr_ll to = { .sll_family = AF_PACKET,
                              .sll_ifindex = (int)if_nametoindex("g0") };
    ck_assert_int_eq(bind(n->socket, (void *)&to, sizeof(to)), 0);
    struct value nothing = { VALUE_NIL };
    struct sentinel_conf conf;
    struct error err;
    ck_assert_int_eq(param_parse(sentinel_params, &nothing, &conf, sizeof(conf), &err),
                     0);
    sentinel_policy_of(&conf, &n->policy);
    param_free(sentinel_params, &conf);
    return true;
}

static struct path *open_path(struct network *n, const char *pin,
                              enum xdp_attach_mode attach)
{
    struct error err = { 0 };
    struct kernel_path_options options = {
        .ifname = "d0",
        .index = n->index,
        .attach = attach,
        .pin = pin,
        .sizes = { .entries = 4096,
                   .suspects = 1024,
                   .destinations = 64,
                   .samples = 1 << 16 },
        .secret = 42,
    };
    struct path *path = kernel_path_new(&options, &n->policy, &err);
    ck_assert_msg(path != NULL, "%s", err.text);
    return path;
}

static void put(struct path *path, const char *address, enum sentinel_kind kind)
{
    struct prefix prefix;
    struct path_address key;
    struct sentinel_entry entry = { .created = 1, .kind = (uint8_t)kind };
    ck_assert_int_eq(prefix_parse(&prefix, address), 0);
    prefix_mapped(&prefix, (uint8_t *)key.word);
    ck_assert_int_eq(path_put(path, &key, &entry), 0);
}

static void send_frames(const struct network *n, const char *source, int count)
{
    struct rig_frame frame = rig_udp(source, "192.0.2.1", 1, 1, 100);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(send(n->socket, frame.data, frame.length, 0), frame.length);
}

static uint64_t counted(struct path *path, enum sentinel_reason reason,
                        enum sentinel_verdict verdict)
{
    struct sentinel_totals totals;
    path_totals(path, &totals);
    return totals.reasons[reason * VERDICTS + verdict].packets;
}

static bool attached(const struct network *n)
{
    uint32_t mode;
    return xdp_attached(n->index, &mode);
}

START_TEST(frames_are_judged)
{
    struct network n;
    if (!prepare(&n))
        return;
    struct path *path = open_path(&n, NULL, _i ? XDP_ATTACH_GENERIC : XDP_ATTACH_NATIVE);
    ck_assert_str_eq(kernel_path_describe(path), _i ? "generic" : "native");
    put(path, "198.51.100.7", KIND_BANNED);
    send_frames(&n, "198.51.100.7", 30);
    send_frames(&n, "198.51.100.8", 20);
    ck_assert_uint_eq(counted(path, REASON_BANNED, VERDICT_DROP), 30);
    ck_assert_uint_eq(counted(path, REASON_NONE, VERDICT_PASS), 20);
    ck_assert(attached(&n));
    path_free(path);
    ck_assert(!attached(&n));
}
END_TEST

/* The program goes on when its process is gone, and the next one finds all as it was. */
START_TEST(what_is_pinned_is_taken_over)
{
    struct network n;
    if (!prepare(&n))
        return;
    struct path *path = open_path(&n, PIN, XDP_ATTACH_NATIVE);
    put(path, "198.51.100.7", KIND_BANNED);
    send_frames(&n, "198.51.100.7", 5);
    path_free(path);
    ck_assert(attached(&n));
    send_frames(&n, "198.51.100.7", 10);
    path = open_path(&n, PIN, XDP_ATTACH_NATIVE);
    ck_assert_str_eq(kernel_path_describe(path), "taken over");
    ck_assert_uint_eq(counted(path, REASON_BANNED, VERDICT_DROP), 15);
    send_frames(&n, "198.51.100.7", 1);
    ck_assert_uint_eq(counted(path, REASON_BANNED, VERDICT_DROP), 16);
    path_free(path);
    ck_assert_int_eq(pins_remove(PIN), 0);
    ck_assert(!attached(&n));
    ck_assert_int_eq(pins_remove(PIN), -ENOENT);
}
END_TEST

/* Tables of another kind or size cannot be taken over: all is new, the link stays. */
START_TEST(tables_of_another_size)
{
    struct network n;
    struct error err = { 0 };
    if (!prepare(&n))
        return;
    path_free(open_path(&n, PIN, XDP_ATTACH_NATIVE));
    struct kernel_path_options options = { .ifname = "d0",
                                           .index = n.index,
                                           .pin = PIN,
                                           .sizes = { .entries = 8192,
                                                      .suspects = 1024,
                                                      .destinations = 64,
                                                      .samples = 1 << 16 } };
    struct path *path = kernel_path_new(&options, &n.policy, &err);
    ck_assert_msg(path != NULL, "%s", err.text);
    ck_assert_str_eq(kernel_path_describe(path), "taken over");
    send_frames(&n, "198.51.100.8", 3);
    ck_assert_uint_eq(counted(path, REASON_NONE, VERDICT_PASS), 3);
    path_free(path);
    ck_assert_int_eq(pins_remove(PIN), 0);
}
END_TEST

/* What another version left there may be larger than anything we know. */
START_TEST(state_of_another_version)
{
    struct network n;
    if (!prepare(&n))
        return;
    path_free(open_path(&n, PIN, XDP_ATTACH_NATIVE));
    static uint8_t state[1 << 20];
    memset(state, 0xff, sizeof(state));
    uint32_t zero = 0;
    int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "shared", 4, sizeof(state), 1, NULL);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bpf_map_update_elem(fd, &zero, state, BPF_ANY), 0);
    ck_assert_int_eq(unlink(PIN "/shared"), 0);
    ck_assert_int_eq(bpf_obj_pin(fd, PIN "/shared"), 0);
    close(fd);
    path_free(open_path(&n, PIN, XDP_ATTACH_NATIVE));
    ck_assert_int_eq(pins_remove(PIN), 0);
}
END_TEST

/* The interface was deleted and made again: what was pinned is nobody's link any more. */
START_TEST(an_interface_that_came_back)
{
    struct network n;
    if (!prepare(&n))
        return;
    struct path *path = open_path(&n, PIN, XDP_ATTACH_NATIVE);
    put(path, "198.51.100.7", KIND_BANNED);
    path_free(path);
    shell(
        "ip link del g0 && ip link add g0 type veth peer name d0 && ip link set g0 up && "
        "ip link set d0 up");
    n.index = if_nametoindex("d0");
    ck_assert(!attached(&n));
    path = open_path(&n, PIN, XDP_ATTACH_NATIVE);
    ck_assert_str_eq(kernel_path_describe(path), "native");
    ck_assert(attached(&n));
    struct prefix prefix;
    struct path_address key;
    struct sentinel_entry entry;
    prefix_parse(&prefix, "198.51.100.7");
    prefix_mapped(&prefix, (uint8_t *)key.word);
    ck_assert(path_get(path, &key, &entry)); /* who was banned still is */
    path_free(path);
    ck_assert_int_eq(pins_remove(PIN), 0);
}
END_TEST

START_TEST(somebody_elses_program_stays)
{
    struct network n;
    struct error err = { 0 };
    if (!prepare(&n))
        return;
    struct path *first = open_path(&n, NULL, XDP_ATTACH_NATIVE);
    struct kernel_path_options options = { .ifname = "d0", .index = n.index };
    ck_assert_ptr_null(kernel_path_new(&options, &n.policy, &err));
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "d0 has an XDP program already"));
    options.pin = PIN; /* of which nothing stays */
    ck_assert_ptr_null(kernel_path_new(&options, &n.policy, &err));
    ck_assert_int_ne(access(PIN, F_OK), 0);
    path_free(first);
}
END_TEST

/* New policies while frames come: each frame is judged by one of them, none passes. */
START_TEST(policies_change_under_load)
{
    struct network n;
    struct error err;
    if (!prepare(&n))
        return;
    struct path *path = open_path(&n, NULL, XDP_ATTACH_NATIVE);
    put(path, "198.51.100.7", KIND_BANNED);
    for (int i = 0; i < 20; i++) {

        n.policy.sample = (uint32_t)i % 3;
        send_frames(&n, "198.51.100.7", 10);
        ck_assert_int_eq(path_set_policy(path, &n.policy, &err), 0);
        send_frames(&n, "198.51.100.7", 10);
    }
    ck_assert_uint_eq(counted(path, REASON_BANNED, VERDICT_DROP), 400);
    path_free(path);
}
END_TEST

/* --- the corpus ------------------------------------------------------------------------ */

#define NO_LIMITS                                                                        \
    "src_syn.pps=0 src_udp.pps=0 src_icmp.pps=0 src_pps.pps=0 src_bps.rate=0 "           \
    "src_malformed.pps=0 src_flags.pps=0 dst_syn_hard_pps=0 "

static void keep_sample(const struct sentinel_sample *sample, void *user)
{
    *(struct sentinel_frame *)user = sample->frame;
}

/* What the program on the wire says of a frame, but for the time. */
static struct sentinel_frame on_the_wire(const struct network *n, struct path *path,
                                         const struct rig_frame *frame)
{
    struct sentinel_frame seen = { 0 };
    ck_assert_int_eq(send(n->socket, frame->data, frame->length, 0), frame->length);
    for (int i = 0; i < 5000 && !path_samples(path, keep_sample, &seen); i++)
        poll(NULL, 0, 1);
    seen.now = 0;
    return seen;
}

/* Frames of one row, with tags, on the wire and by both paths without it. Returns how many. */
static int send_row(const struct network *n, struct path *path, struct sentinel_rig *rig,
                    const struct corpus_row *row)
{
    int sent = 0;
    for (int family = 4; family <= 6; family += 2)
        for (int tags = 0; tags < CORPUS_TAGS; tags++) {
            struct made_frame made = frames_make(row->text, family, corpus_tags[tags]);
            if ((family == 6 && strncmp(row->text, "ip ", 3)) || made.frame.length < 14)
                continue; /* nobody can send less */
            struct sentinel_frame seen = on_the_wire(n, path, &made.frame);
            struct sentinel_frame judged =
                rig_judge(rig, made.frame.data, made.frame.length);
            judged.now = 0;
            ck_assert_msg(!memcmp(&seen, &judged, sizeof(seen)),
                          "%s \"%s\" (IPv%d, %d tags): verdict %u, not %u; %s, not %s",
                          row->kind, row->text, family, tags, seen.verdict,
                          judged.verdict, sentinel_reason_rows[seen.reason].name,
                          sentinel_reason_rows[judged.reason].name);
            sent++;
        }
    return sent;
}

/* Every kind of frame by a real driver, native and generic, and by the paths that need none. */
START_TEST(the_corpus_on_a_wire)
{
    static const char *const settings[] = CORPUS_SETTINGS;
    struct network n;
    struct error err;
    int sent = 0;
    if (!prepare(&n))
        return;
    shell("ip link set g0 mtu 3400 && ip link set d0 mtu 3400");
    struct path *path = open_path(&n, NULL, _i ? XDP_ATTACH_GENERIC : XDP_ATTACH_NATIVE);
    for (size_t i = 0; i < CORPUS_NSETTINGS; i++) {
        char all[512];
        struct sentinel_rig rig;
        snprintf(all, sizeof(all), NO_LIMITS "%s", settings[i]);
        rig_open(&rig, all);
        ck_assert_msg(!path_set_policy(path, &rig.policy, &err), "%s", err.text);
        for (const struct corpus_row *row = corpus; row->kind; row++)
            if (!strcmp(row->settings, settings[i]))
                sent += send_row(&n, path, &rig, row);
        rig_close(&rig);
    }
    ck_assert_int_gt(sent, 500);
    path_free(path);
}
END_TEST

static Suite *suite_sentinel_path(void)
{
    Suite *suite = suite_create("sentinel_path");
    TCase *tcase = tcase_create("sentinel_path");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, frames_are_judged, 0, 2);
    tcase_add_test(tcase, what_is_pinned_is_taken_over);
    tcase_add_test(tcase, tables_of_another_size);
    tcase_add_test(tcase, state_of_another_version);
    tcase_add_test(tcase, an_interface_that_came_back);
    tcase_add_test(tcase, somebody_elses_program_stays);
    tcase_add_test(tcase, policies_change_under_load);
    tcase_add_loop_test(tcase, the_corpus_on_a_wire, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_path)
