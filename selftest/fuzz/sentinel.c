/* fuzz/sentinel: any bytes as frames to FlowSentinel's rules, on the data path in this process.
 *
 * The first byte chooses the policy, and what is known of sources. Then frames: time, a tag beside
 * the frame, a length, and that many bytes; or, with little in front of them, IP headers that are
 * right so far. Every frame has a verdict and a reason, and is counted once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/flow_sentinel/parameters.h"
#include "apps/flow_sentinel/path.h"
#include "lib/prefix.h"
#include "selftest/frame_maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define POLICIES 4
#define MOST     1600

static struct path *path;
static struct sentinel_policy policies[POLICIES];
static uint64_t now = 1000000000000;

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "sentinel: %s\n", what);
        abort();
    }
}

static void make_policy(struct sentinel_policy *policy, int choice)
{
    struct value nothing = { VALUE_NIL };
    struct sentinel_conf conf;
    require(!param_parse(sentinel_params, &nothing, &conf, sizeof(conf), NULL), "conf");
    conf.malformed = choice & 1 ? ACTION_COUNT : ACTION_DROP;
    conf.verify_csum = choice & 1;
    conf.mtu = choice & 1 ? 600 : 0;
    conf.exthdr_bytes = choice & 1 ? 2048 : 256;
    if (choice & 2) {
        conf.src_syn.pps = conf.src_udp.pps = conf.src_pps.pps = 20;
        conf.src_malformed.pps = conf.src_flags.pps = conf.src_icmp.pps = 10;
        conf.ttl = 1000000000;
    }
    sentinel_policy_of(&conf, policy);
    param_free(sentinel_params, &conf);
}

static void put(const char *text, enum sentinel_kind kind)
{
    struct sentinel_entry entry = { .kind = (uint8_t)kind };
    struct path_address key;
    struct prefix prefix;
    require(!prefix_parse(&prefix, text), "prefix");
    prefix_mapped(&prefix, (uint8_t *)key.word);
    require(!path_put(path, &key, &entry), "no room");
}

/* frame_maker's hosts: 10.0.0.x and 2001:db8::x to x = 77. */
static void set_up(void)
{
    static const struct path_sizes sizes = { 4096, 256, 16, 0 };
    struct path_listed listed = { .entry.kind = KIND_BANNED };
    static const struct sentinel_limiter limiter = { .until = UINT64_MAX,
                                                     .period = 1 << 30,
                                                     .burst = 1 << 20 };
    struct sentinel_destination to = { .index = 1,
                                       .mitigation = MITIGATION_LIMIT,
                                       .watch_until = UINT64_MAX,
                                       .packets = limiter,
                                       .bytes = limiter,
                                       .syn = limiter,
                                       .syn_hard = limiter,
                                       .udp = limiter,
                                       .icmp = limiter,
                                       .fragments_until = UINT64_MAX };
    struct prefix prefix;
    struct path_address key;
    if (path)
        return;
    path = path_new_user(&sizes, 42);
    require(path != NULL, "no path");
    for (int i = 0; i < POLICIES; i++)
        make_policy(&policies[i], i);
    put("10.0.0.2", KIND_ALLOWED);
    put("10.0.0.3", KIND_BANNED);
    put("2001:db8::2", KIND_ALLOWED);
    require(!prefix_parse(&prefix, "10.0.0.4/30"), "prefix");
    listed.prefix.bits = prefix_mapped(&prefix, (uint8_t *)listed.prefix.address);
    require(!path_set_list(path, &listed, 1, NULL), "list");
    require(!prefix_parse(&prefix, "10.0.0.77"), "prefix");
    prefix_mapped(&prefix, (uint8_t *)key.word);
    require(!path_put_destination(path, &key, &to), "destination");
}

/* A right frame to begin with, unless `what` has all of the low bits; the bytes are what is wrong
 * with it. Its place is its size: nothing may be read behind it. */
static uint8_t *make_frame(const uint8_t *bytes, uint32_t *length, uint8_t what)
{
    static const uint8_t protocols[] = { IS_TCP, IS_UDP, IS_ICMP };
    uint8_t made[FRAME_MOST] = { 0 };
    struct made how = { .v6 = what & 4,
                        .protocol = protocols[what % 4 % 3],
                        .flags = IS_SYN,
                        .tags = what >> 3 & 3,
                        .host = what >> 5,
                        .payload = 9 };
    uint32_t size = what % 4 == 3 ? 0 : frame_make(made, &how);
    for (uint32_t i = 0; i < *length; i++)
        made[i] ^= bytes[i];
    *length = size > *length ? size : *length;
    uint8_t *frame = malloc(*length ? *length : 1);
    require(frame != NULL, "no memory");
    memcpy(frame, made, *length);
    return frame;
}

static void check(const struct sentinel_frame *f, uint32_t length, bool dry_run)
{
    require(f->reason < REASONS && f->verdict < VERDICTS && f->class < CLASSES, "range");
    require(f->bytes == length && f->packets > 0, "size");
    require(f->payload <= length && f->l3 <= length, "a payload beyond the frame");
    require(f->family == 0 || f->family == 4 || f->family == 6, "family");
    require(f->verdict != VERDICT_DROP || !dry_run, "a drop in a dry run");
    require(f->verdict != VERDICT_DROP || f->reason != REASON_NONE,
            "a drop of no reason");
    require(!f->malformed || f->verdict != VERDICT_PASS, "malformed, and passes");
}

static void forget(const struct sentinel_event *event, void *user)
{
    require(event->detection < LIMITS && event->kind <= EVENT_FULL,
            "an event of no kind");
}

static struct sentinel_count total(bool classes)
{
    struct sentinel_totals totals;
    struct sentinel_count sum = { 0 };
    path_totals(path, &totals);
    for (int i = 0; i < (classes ? 16 : 64 * VERDICTS); i++) {
        const struct sentinel_count *add =
            classes ? &totals.classes[i] : &totals.reasons[i];
        sum.packets += add->packets;
        sum.bytes += add->bytes;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sentinel_frame frame;
    uint64_t packets = 0, bytes = 0;
    if (size < 1 || size > 16384)
        return 0;
    set_up();
    path_set_policy(path, &policies[data[0] % POLICIES], NULL);
    struct sentinel_count before = total(false), classes = total(true);
    for (size_t at = 1; at + 4 <= size;) {
        uint32_t length = data[at + 2] | (data[at + 3] & 7u) << 8;
        length = length < size - at - 4 ? length : (uint32_t)(size - at - 4);
        uint32_t taken = length < MOST ? length : MOST;
        uint16_t vlan = data[at + 3] & 8 ? data[at + 3] : 0xffff;
        uint8_t *made = make_frame(data + at + 4, &taken, data[at + 1]);
        now += (uint64_t)data[at] * data[at] * 10000;
        path_judge(path, &frame, made, taken, vlan, now);
        free(made);
        check(&frame, taken, policies[data[0] % POLICIES].dry_run);
        packets += frame.packets;
        bytes += frame.bytes;
        at += 4 + length;
    }
    struct sentinel_count after = total(false);
    require(after.packets - before.packets == packets, "a packet is not counted");
    require(after.bytes - before.bytes == bytes, "bytes are not counted");
    after = total(true);
    require(after.packets - classes.packets == packets, "a packet of no class");
    require(path->state->blocks <= 4096, "too many blocks");
    path_events(path, forget, NULL);
    return 0;
}
