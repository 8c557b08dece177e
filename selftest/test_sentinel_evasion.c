/* FlowSentinel: who is known is recognised whatever the frame looks like, and damaged frames mean
 * the same to both data paths. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selftest/selftest.h"
#include "selftest/sentinel_corpus.h"

#define SEC 1000000000ull

/* Without limits, so that nobody is blocked for what is sent here. */
#define NO_LIMITS                                                                        \
    "src_syn.pps=0 src_udp.pps=0 src_icmp.pps=0 src_pps.pps=0 src_malformed.pps=0 "      \
    "src_flags.pps=0 src_bps.rate=0"

static const uint32_t tag_sets[][4] = {
    { 0 },
    { 0x91000005 },
    { 0x88a8f064, 0x8100000a },
    { 0x8100efff, 0x88a80001, 0x91002000 },
};

/* --- evasion ------------------------------------------------------------------------------- */

static const struct {
    enum sentinel_kind kind;
    bool listed;
    uint8_t verdict, reason;
} known[] = {
    { KIND_BLOCKED, false, VERDICT_DROP, REASON_BLOCKED },
    { KIND_BANNED, false, VERDICT_DROP, REASON_BANNED },
    { KIND_BANNED, true, VERDICT_DROP, REASON_LISTED },
    { KIND_OWN, false, VERDICT_DROP, REASON_MARTIAN },
    { KIND_ALLOWED, false, VERDICT_PASS, REASON_ALLOWED },
    { KIND_ALLOWED, true, VERDICT_PASS, REASON_ALLOWED },
};

static void make_known(struct sentinel_rig *rig, int which)
{
    struct path_listed list[] = {
        rig_listed("198.51.100.0/24", known[which].kind),
        rig_listed("2001:db8:7::/48", known[which].kind),
    };
    if (known[which].listed) {
        rig_list(rig, list, 2);
        return;
    }
    rig_put(rig, "198.51.100.7", known[which].kind, rig->now + 1000 * SEC);
    /* a block is of a network, the others of an address */
    rig_put(rig, known[which].kind == KIND_BLOCKED ? "2001:db8:7::" : "2001:db8:7::7",
            known[which].kind, rig->now + 1000 * SEC);
}

static bool has_the_source(const struct corpus_row *row)
{
    static const uint8_t unreadable[] = { REASON_NON_IP, REASON_IP_VERSION,
                                          REASON_IP4_SHORT, REASON_IP6_SHORT,
                                          REASON_MARTIAN };
    return !memchr(unreadable, row->reason, sizeof(unreadable)) &&
           !strstr(row->text, "src=") && !strstr(row->text, "@3.12=") && !*row->settings;
}

/* Tags, options, extension headers, fragments and whatever is wrong behind the addresses. */
START_TEST(who_is_known_is_recognised)
{
    struct sentinel_rig rig;
    int frames = 0;
    rig_open(&rig, NULL);
    make_known(&rig, _i);
    for (const struct corpus_row *row = corpus; row->kind; row++)
        for (int i = 0; has_the_source(row) && i < 8; i++, frames++) {
            struct made_frame made =
                frames_make(row->text, i & 4 ? 4 : 6, tag_sets[i & 3]);
            struct sentinel_frame frame =
                rig_judge(&rig, made.frame.data, made.frame.length);
            ck_assert_msg(frame.verdict == known[_i].verdict &&
                              frame.reason == known[_i].reason,
                          "%s \"%s\": verdict %u, reason %s", row->kind, row->text,
                          frame.verdict, sentinel_reason_rows[frame.reason].name);
        }
    ck_assert_int_gt(frames, 1000);
    rig_close(&rig);
}
END_TEST

START_TEST(behind_extension_headers)
{
    static const char *const headers[] = { "hop", "opts",    "route",    "frag:0",
                                           "ah",  "opts:20", "mobility", "frag:0+" };
    struct sentinel_rig rig;
    char text[256] = "ip6";
    rig_open(&rig, NULL);
    make_known(&rig, _i);
    for (int n = 0; n <= 8; n++) {
        size_t length = strlen(text);
        strcpy(text + length, " tcp:02");
        for (int tags = 0; tags < 4; tags++) {
            struct made_frame made = frames_make(text, 6, tag_sets[tags]);
            struct sentinel_frame frame =
                rig_judge(&rig, made.frame.data, made.frame.length);
            ck_assert_uint_eq(frame.verdict, known[_i].verdict);
            ck_assert_uint_eq(frame.reason, known[_i].reason);
        }
        if (n < 8)
            sprintf(text + length, " %s", headers[n]);
    }
    rig_close(&rig);
}
END_TEST

/* K34, K44: what no source can be is no other source either. */
START_TEST(a_martian_is_nobody)
{
    static const char *const texts[] = { "ip6 src=::ffff:198.51.100.7 tcp:10",
                                         "ip4 dst=198.51.100.7 tcp:10",
                                         "ip6 dst=2001:db8:7::7 tcp:10" };
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    make_known(&rig, _i);
    for (int i = 0; i < 3; i++) {
        struct made_frame made = frames_make(texts[i], 4, NULL);
        struct sentinel_frame frame = rig_judge(&rig, made.frame.data, made.frame.length);
        ck_assert_uint_eq(frame.verdict, VERDICT_DROP);
        ck_assert_uint_eq(frame.reason, REASON_MARTIAN);
    }
    rig_close(&rig);
}
END_TEST

/* --- who is counted ---------------------------------------------------------------------- */

/* A flood of these gets nobody blocked: X4, K14. */
START_TEST(nobody_to_block)
{
    static const char *const texts[] = {
        "ip4 src=0.0.0.0 dst=255.255.255.255 udp +240 @4.0=00440043",
        "ip6 src=:: dst=ff02::2 icmp:133",
        "ip4 src=127.0.0.1 tcp:02",
        "ip4 tcp:02 @3.10=0001",
        "ip6 src=::ffff:198.51.100.7 tcp:02",
    };
    struct sentinel_rig rig;
    rig_open(&rig, "src_pps.pps=100 src_pps.burst=10 src_malformed.pps=100 "
                   "src_malformed.burst=10 verify_csum=true");
    struct made_frame made = frames_make(texts[_i], 4, NULL);
    for (int i = 0; i < 2000; i++, rig.now += SEC / 1000)
        rig_judge(&rig, made.frame.data, made.frame.length);
    ck_assert_uint_eq(rig.user->state->blocks, 0);
    /* but of these it does */
    made = frames_make("ip tcp:00", _i & 1 ? 4 : 6, NULL);
    for (int i = 0; i < 2000; i++, rig.now += SEC / 1000)
        rig_judge(&rig, made.frame.data, made.frame.length);
    ck_assert_uint_eq(rig.user->state->blocks, 1);
    rig_close(&rig);
}
END_TEST

/* --- several buffers ------------------------------------------------------------------------ */

static void keep(const struct sentinel_sample *sample, void *user)
{
    *(struct sentinel_frame *)user = sample->frame;
}

/* The first `linear` bytes lie in the first buffer. */
static int judge_split(struct sentinel_rig *rig, const struct made_frame *made,
                       uint32_t linear, struct sentinel_frame *frame)
{
    struct xdp_md context = { .data_end = linear };
    LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = 1, .data_in = made->frame.data,
                .data_size_in = made->frame.length, .ctx_in = &context,
                .ctx_size_in = sizeof(context));
    rig->kernel->state->clock = rig->now;
    if (bpf_prog_test_run_opts(kernel_path_program(rig->kernel), &opts))
        return -errno;
    ck_assert_int_eq(path_samples(rig->kernel, keep, frame), 1);
    return (int)opts.retval;
}

/* K48, K49: what lies in the first buffer is read, lengths are those of all; when the headers are
 * cut off by less than 64 bytes nobody is to blame. */
START_TEST(frames_in_pieces)
{
    static const char *const texts[] = {
        "ip tcp:10 +900", "ip udp +900", "ip6 hop opts tcp:10 +900",
        "ip4 opt=01010101010101010101010101010101 tcp:10 +900"
    };
    struct sentinel_rig rig;
    struct sentinel_frame frame;
    rig_open(&rig, NULL);
    struct made_frame made = frames_make(texts[_i], _i ? 4 : 6, NULL);
    uint32_t headers = made.l4 + (_i == 1 ? 8 : 20);
    for (uint32_t linear = 14; rig.kernel && linear < 300; linear++, rig.now += SEC) {
        int verdict = judge_split(&rig, &made, linear, &frame);
        bool cut = linear < headers;
        ck_assert_int_eq(verdict, cut && linear >= 64 ? 1 : 2);
        ck_assert_uint_eq(frame.bytes, made.frame.length);
        if (frame.reason != REASON_IP4_OPT) /* which was seen before the cut */
            ck_assert_uint_eq(frame.reason == REASON_L2_SPLIT, cut && linear < 64);
        if (!cut)
            ck_assert_uint_eq(frame.payload, 900);
    }
    rig_close(&rig);
}
END_TEST

/* --- agreement --------------------------------------------------------------------------------- */

/* Both paths find the same in frames that are damaged at random. SENTINEL_FRAMES=n: that many. */
START_TEST(damaged_frames)
{
    static struct made_frame frames[2048];
    const char *wanted = getenv("SENTINEL_FRAMES");
    uint64_t count = wanted ? strtoull(wanted, NULL, 10) : 20000, random = 1;
    uint64_t reasons[REASONS] = { 0 }, seen = 0;
    size_t made = 0;
    struct sentinel_rig rig;
    rig_open(&rig,
             _i ? "malformed=count verify_csum=true exthdr_bytes=2048 mtu=600 " NO_LIMITS
                : "mtu=600 " NO_LIMITS);
    for (const struct corpus_row *row = corpus; row->kind; row++)
        for (int i = 0; i < 4 && made < 2048; i++)
            frames[made++] = frames_make(row->text, i & 1 ? 6 : 4, tag_sets[i]);
    for (uint64_t i = 0; i < count; i++, rig.now += SEC / 1000) {
        struct rig_frame frame = frames[frames_random(&random) % made].frame;
        frames_mutate(&frame, &frames[frames_random(&random) % made].frame, &random);
        reasons[rig_judge(&rig, frame.data, frame.length).reason]++;
    }
    for (int i = 0; i < REASONS; i++)
        seen += reasons[i] > 0;
    /* L2_SHORT and L2_SPLIT cannot be, nobody is known, nothing is limited */
    ck_assert_uint_ge(seen, count < 20000 ? 1 : REASON_GSO - 3);
    rig_close(&rig);
}
END_TEST

static Suite *suite_sentinel_evasion(void)
{
    int nknown = (int)(sizeof(known) / sizeof(*known));
    Suite *suite = suite_create("sentinel_evasion");
    TCase *tcase = tcase_create("sentinel_evasion");
    tcase_set_timeout(tcase, 1800);
    tcase_add_loop_test(tcase, who_is_known_is_recognised, 0, nknown);
    tcase_add_loop_test(tcase, behind_extension_headers, 0, nknown);
    tcase_add_loop_test(tcase, a_martian_is_nobody, 0, nknown);
    tcase_add_loop_test(tcase, nobody_to_block, 0, 5);
    tcase_add_loop_test(tcase, frames_in_pieces, 0, 4);
    tcase_add_loop_test(tcase, damaged_frames, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_evasion)
