/* FlowSentinel's parser: every kind of malformed and notable frame, on both data paths. */
#include <stdio.h>
#include <string.h>

#include "selftest/selftest.h"
#include "selftest/sentinel_corpus.h"

#define STEP 50000000ull /* ns between frames: no limit is near */

static const struct corpus_row *row;

static struct sentinel_frame judge(struct sentinel_rig *rig,
                                   const struct made_frame *made)
{
    rig->now += STEP;
    return rig_judge(rig, made->frame.data, made->frame.length);
}

static void check(const struct sentinel_frame *f, const struct made_frame *made,
                  int family, int tags)
{
    ck_assert_msg(f->verdict == row->verdict && f->reason == row->reason,
                  "%s \"%s\" (IPv%d, %d tags, %s): verdict %u, reason %s", row->kind,
                  row->text, family, tags, row->settings, f->verdict,
                  sentinel_reason_rows[f->reason].name);
    ck_assert_uint_eq(f->tags, (unsigned)tags);
    ck_assert_uint_eq(f->bytes, made->frame.length);
    ck_assert_uint_eq(f->vlan, tags ? corpus_tags[tags][0] & 0xfff : 0xffff);
    if (row->class == CORPUS_ANY)
        return;
    ck_assert_msg(f->class == row->class && f->sport == row->sport &&
                      f->dport == row->dport && f->payload == row->payload,
                  "%s \"%s\" (IPv%d, %d tags): class %s, ports %u %u, payload %u",
                  row->kind, row->text, family, tags, sentinel_class_names[f->class],
                  f->sport, f->dport, f->payload);
    if (f->sport)
        ck_assert_msg(f->l3 == made->l3 && f->l4 == made->l4,
                      "%s \"%s\": L3 at %u, L4 at %u", row->kind, row->text, f->l3,
                      f->l4);
}

static void run_row(struct sentinel_rig *rig)
{
    for (int family = 4; family <= 6; family += 2)
        for (size_t tags = 0; tags < CORPUS_TAGS; tags++) {
            if (family == 6 && strncmp(row->text, "ip ", 3))
                continue;
            struct made_frame made = frames_make(row->text, family, corpus_tags[tags]);
            struct sentinel_frame frame = judge(rig, &made);
            check(&frame, &made, family, (int)tags);
        }
}

/* All rows but those that say more, with some settings more. */
static void run_rows(struct sentinel_rig *rig, const char *settings)
{
    int rows = 0;
    for (row = corpus; row->kind; row++)
        if (!strcmp(row->settings, settings)) {
            run_row(rig);
            rows++;
        }
    ck_assert_int_gt(rows, 0);
}

static const char *const settings[] = CORPUS_SETTINGS;

START_TEST(every_kind)
{
    struct sentinel_rig rig;
    rig_open(&rig, settings[_i]);
    run_rows(&rig, settings[_i]);
    rig_close(&rig);
}
END_TEST

/* No row is left out. */
START_TEST(every_setting)
{
    for (row = corpus; row->kind; row++) {
        size_t i = 0;
        while (i < CORPUS_NSETTINGS && strcmp(row->settings, settings[i]))
            i++;
        ck_assert_msg(i < CORPUS_NSETTINGS, "%s: %s", row->kind, row->settings);
    }
}
END_TEST

/* --- policies --------------------------------------------------------------------------------- */

/* Is it one of those that hide another, which was found later? */
static bool is_notable(uint8_t reason)
{
    return reason == REASON_FRAG || reason == REASON_IP4_OPT;
}

/* What drops by default is counted under the same reason, or passes without. */
START_TEST(malformed_frames_may_pass)
{
    struct sentinel_rig rig;
    rig_open(&rig, _i ? "malformed=pass" : "malformed=count");
    for (row = corpus; row->kind; row++) {
        if (row->verdict != VERDICT_DROP || *row->settings)
            continue;
        struct made_frame made = frames_make(row->text, 4, NULL);
        struct sentinel_frame frame = judge(&rig, &made);
        ck_assert_msg(
            frame.verdict == VERDICT_PASS && !frame.malformed &&
                ((frame.reason == row->reason) == !_i || is_notable(frame.reason)),
            "%s \"%s\": verdict %u, reason %s", row->kind, row->text, frame.verdict,
            sentinel_reason_rows[frame.reason].name);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(notable_frames_may_drop)
{
    static const uint8_t names[] = {
        REASON_IP4_OPT, REASON_IP4_EVIL,   REASON_FRAG,
        REASON_TCP_OPT, REASON_UDP6_CSUM0, REASON_OTHER_PROTO
    };
    struct sentinel_rig rig;
    rig_open(&rig, "strict=ip4_opt,ip4_evil,frag,tcp_opt,udp6_csum0,other_proto");
    for (row = corpus; row->kind; row++) {
        if (*row->settings)
            continue;
        struct made_frame made = frames_make(row->text, 4, NULL);
        struct sentinel_frame frame = judge(&rig, &made);
        bool strict = memchr(names, row->reason, sizeof(names));
        ck_assert_msg(frame.verdict == (strict ? VERDICT_DROP : row->verdict) &&
                          (frame.reason == row->reason ||
                           (row->verdict == VERDICT_DROP && is_notable(frame.reason))),
                      "%s \"%s\": verdict %u, reason %s", row->kind, row->text,
                      frame.verdict, sentinel_reason_rows[frame.reason].name);
    }
    rig_close(&rig);
}
END_TEST

/* --- layer 2 ------------------------------------------------------------------------------------ */

/* K01, and what is a header and nothing more. */
START_TEST(short_frames)
{
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    struct made_frame made = frames_make("eth:88cc +50", 4, NULL);
    for (made.frame.length = 0; made.frame.length <= 64; made.frame.length++) {
        struct sentinel_frame frame = judge(&rig, &made);
        bool shorter = made.frame.length < 14;
        ck_assert_uint_eq(frame.verdict, shorter ? VERDICT_DROP : VERDICT_PASS);
        ck_assert_uint_eq(frame.reason, shorter ? REASON_L2_SHORT : REASON_NON_IP);
    }
    rig_close(&rig);
}
END_TEST

/* K03: cut off in the first, second, third tag; with nothing behind the last, K07. */
START_TEST(tags_cut_off)
{
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    for (size_t tags = 0; tags < CORPUS_TAGS; tags++) {
        struct made_frame made = frames_make("ip tcp:10", _i, corpus_tags[tags]);
        uint32_t l3 = made.l3, size = _i == 4 ? 20 : 40;
        for (uint32_t length = 14; length < l3 + size; length++) {
            made.frame.length = length;
            struct sentinel_frame frame = judge(&rig, &made);
            ck_assert_uint_eq(frame.verdict, VERDICT_DROP);
            ck_assert_uint_eq(frame.reason, length < l3 ? REASON_VLAN_SHORT
                                            : _i == 4   ? REASON_IP4_SHORT
                                                        : REASON_IP6_SHORT);
        }
    }
    rig_close(&rig);
}
END_TEST

/* K04 and K05: every order of types, and one tag more than is allowed. */
START_TEST(tags_of_any_type)
{
    static const uint32_t types[] = { 0x8100, 0x88a8, 0x9100 }, ids[] = { 0, 1, 4095 };
    struct sentinel_rig rig;
    char text[32];
    rig_open(&rig, NULL);
    for (int i = 0; i < 4 * 27; i++) {
        unsigned ntags = (unsigned)i / 27 + 1;
        uint32_t tags[5] = { 0 };
        for (unsigned tag = 0, n = (unsigned)i % 27; tag < ntags; tag++, n /= 3)
            tags[tag] =
                types[n % 3] << 16 | (n * 7 + tag) % 16 << 12 | ids[(n + tag) % 3];
        struct made_frame made = frames_make("ip tcp:10", _i, tags);
        struct sentinel_frame frame = judge(&rig, &made);
        snprintf(text, sizeof(text), "%08x %08x %08x", tags[0], tags[1], tags[2]);
        ck_assert_msg(frame.reason == (ntags < 4 ? REASON_NONE : REASON_VLAN_DEEP), "%s",
                      text);
        ck_assert_uint_eq(frame.verdict, ntags < 4 ? VERDICT_PASS : VERDICT_DROP);
        ck_assert_uint_eq(frame.vlan, tags[0] & 0xfff);
        ck_assert_uint_eq(frame.tags, ntags);
        ck_assert_uint_eq(frame.l3, ntags < 4 ? 14 + 4 * ntags : 0);
    }
    rig_close(&rig);
}
END_TEST

START_TEST(fewer_tags)
{
    struct sentinel_rig rig;
    char text[32];
    snprintf(text, sizeof(text), "vlan_max=%d", _i);
    rig_open(&rig, text);
    for (size_t tags = 0; tags < CORPUS_TAGS; tags++) {
        struct made_frame made = frames_make("ip4 tcp:10", 4, corpus_tags[tags]);
        struct sentinel_frame frame = judge(&rig, &made);
        ck_assert_uint_eq(frame.reason,
                          tags <= (size_t)_i ? REASON_NONE : REASON_VLAN_DEEP);
        ck_assert_uint_eq(frame.verdict,
                          tags <= (size_t)_i ? VERDICT_PASS : VERDICT_DROP);
    }
    rig_close(&rig);
}
END_TEST

/* K06: a tag that the hardware took out counts as the outermost. */
START_TEST(a_tag_beside_the_frame)
{
    struct sentinel_rig rig;
    struct sentinel_frame frame;
    rig_open(&rig, "vlan_max=2");
    for (size_t tags = 0; tags < 3; tags++) {
        struct made_frame made = frames_make("ip4 tcp:10", 4, corpus_tags[tags]);
        path_judge(rig.user, &frame, made.frame.data, made.frame.length, 77, rig.now);
        ck_assert_uint_eq(frame.vlan, 77);
        ck_assert_uint_eq(frame.tags, tags + 1);
        ck_assert_uint_eq(frame.reason, tags < 2 ? REASON_NONE : REASON_VLAN_DEEP);
    }
    rig_close(&rig);
}
END_TEST

/* --- lengths -------------------------------------------------------------------------------------- */

/* A right packet, cut off at every byte: never read as more than it is. */
START_TEST(cut_off_anywhere)
{
    static const char *const texts[] = {
        "ip4 opt=07070400000000000101010100000000 tcp:02:020405b4 +9",
        "ip tcp:10 +9",
        "ip udp +9",
        "ip icmp:8 +9",
        "ip ah tcp:10 +9",
        "ip6 hop:2 opts route:3 ah mobility opts tcp:10 +9"
    };
    struct sentinel_rig rig;
    rig_open(&rig, NULL);
    for (int family = 4; family <= 6; family += 2) {
        struct made_frame made = frames_make(texts[_i], family, NULL);
        uint32_t whole = made.frame.length;
        for (uint32_t length = 14; length < whole; length++) {
            made.frame.length = length;
            ck_assert_uint_eq(judge(&rig, &made).verdict, VERDICT_DROP);
        }
        made.frame.length = whole;
        ck_assert_uint_eq(judge(&rig, &made).verdict, VERDICT_PASS);
        ck_assert_uint_eq(judge(&rig, &made).sport != 0, _i != 3);
    }
    rig_close(&rig);
}
END_TEST

/* K47. */
START_TEST(super_frames)
{
    static const struct {
        const char *text;
        uint32_t packets[2]; /* in IPv4, in IPv6 */
    } cases[] = {
        { "ip tcp:10 +1440", { 1, 1 } }, { "ip tcp:10 +1441", { 1, 2 } },
        { "ip tcp:10 +1460", { 1, 2 } }, { "ip tcp:10 +1461", { 2, 2 } },
        { "ip tcp:10 +2880", { 2, 2 } }, { "ip tcp:10 +2881", { 2, 3 } },
        { "ip udp +2900", { 2, 2 } },    { "ip tcp:10:01010101 +2900", { 2, 3 } },
    };
    struct sentinel_rig rig;
    rig_open(&rig, "mtu=1500");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (int v6 = 0; v6 < 2; v6++) {
            struct made_frame made = frames_make(cases[i].text, v6 ? 6 : 4, NULL);
            struct sentinel_frame frame = judge(&rig, &made);
            ck_assert_uint_eq(frame.packets, cases[i].packets[v6]);
            ck_assert_uint_eq(frame.reason, frame.packets > 1 ? REASON_GSO : REASON_NONE);
            ck_assert_uint_eq(frame.verdict, VERDICT_PASS);
        }
    rig_close(&rig);
}
END_TEST

static Suite *suite_sentinel_corpus(void)
{
    Suite *suite = suite_create("sentinel_corpus");
    TCase *tcase = tcase_create("sentinel_corpus");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, every_kind, 0, (int)CORPUS_NSETTINGS);
    tcase_add_test(tcase, every_setting);
    tcase_add_loop_test(tcase, malformed_frames_may_pass, 0, 2);
    tcase_add_test(tcase, notable_frames_may_drop);
    tcase_add_test(tcase, short_frames);
    tcase_add_loop_test(tcase, tags_cut_off, 4, 6);
    tcase_add_loop_test(tcase, tags_of_any_type, 4, 6);
    tcase_add_loop_test(tcase, fewer_tags, 0, 4);
    tcase_add_test(tcase, a_tag_beside_the_frame);
    tcase_add_loop_test(tcase, cut_off_anywhere, 0, 6);
    tcase_add_test(tcase, super_frames);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_corpus)
