/* parameters: what FlowSentinel can be told, and the policy that follows. */
#include "apps/flow_sentinel/parameters.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "apps/flow_sentinel/detect.h"

/* --- names ------------------------------------------------------------------------------ */

#define REASON_ROW(NAME, name, action, doc)                                              \
    [REASON_##NAME] = { #name, doc, ACTION_##action },

const struct sentinel_reason_row sentinel_reason_rows[REASONS] = { SENTINEL_REASONS(
    REASON_ROW) };

const char *const sentinel_kind_names[KINDS] = {
    [KIND_OWN] = "own",
    [KIND_ALLOWED] = "allowed",
    [KIND_BANNED] = "banned",
    [KIND_BLOCKED] = "blocked",
};

const char *const sentinel_limit_names[LIMITS] = {
    [LIMIT_SYN] = "src_syn",     [LIMIT_UDP] = "src_udp",
    [LIMIT_ICMP] = "src_icmp",   [LIMIT_BPS] = "src_bps",
    [LIMIT_PPS] = "src_pps",     [LIMIT_MALFORMED] = "src_malformed",
    [LIMIT_FLAGS] = "src_flags",
};

const char *const sentinel_class_names[CLASSES] = {
    [CLASS_NON_IP] = "non_ip",
    [CLASS_SYN] = "syn",
    [CLASS_SYN_ACK] = "syn_ack",
    [CLASS_ACK] = "ack",
    [CLASS_RST] = "rst",
    [CLASS_TCP] = "tcp",
    [CLASS_UDP] = "udp",
    [CLASS_ICMP] = "icmp",
    [CLASS_ESSENTIAL] = "essential",
    [CLASS_FRAGMENT] = "fragment",
    [CLASS_OTHER] = "other",
};

/* --- rows --------------------------------------------------------------------------------- */

static const char *const answers[] = { "alert", "limit", "block", NULL };
static const char *const attach_modes[] = { "auto", "native", "generic", NULL };
static const char *const fail_modes[] = { "autonomous", "open", "closed", NULL };
static const char *const syn_actions[] = { "alert", "limit", "cookie", NULL };
static const char *const prefix_actions[] = { "alert", "limit", NULL };
static const char *const malformed_choices[] = { "pass", "count", "drop", NULL };

#define LIMIT_ROWS(NAME, PPS, BURST, SPOOFABLE)                                          \
    static const struct param NAME[] = {                                                 \
        PARAM_INTEGER(struct limit_conf, pps, PPS, "0", "100000000",                     \
                      "packets a second that a source may send; 0: no limit"),           \
        PARAM_INTEGER(struct limit_conf, burst, BURST, "0", "100000000",                 \
                      "packets that may come at once; 0: those of 200 ms"),              \
        PARAM_ENUM(struct limit_conf, spoofable, SPOOFABLE, answers,                     \
                   "what is done about a source that may be forged"),                    \
        PARAM_ENUM(struct limit_conf, verified, "limit", answers,                        \
                   "... about one that has a connection with us"),                       \
        PARAM_BOOL(struct limit_conf, dry_run, "false", "only say what would be done"),  \
        PARAM_END,                                                                       \
    }

LIMIT_ROWS(syn_rows, "5000", "1000", "block");
LIMIT_ROWS(udp_rows, "50000", "0", "limit");
LIMIT_ROWS(icmp_rows, "1000", "50", "limit");
LIMIT_ROWS(pps_rows, "100000", "0", "block");
LIMIT_ROWS(malformed_rows, "200", "0", "block");
LIMIT_ROWS(flags_rows, "20000", "0", "limit");

static const struct param bps_rows[] = {
    PARAM_RATE(struct bit_limit_conf, rate, "500mbit", "0", "1tbit",
               "bits a second that a source may send; 0: no limit"),
    PARAM_SIZE(struct bit_limit_conf, burst, "0", "0", "1gb",
               "bytes that may come at once; 0: those of 200 ms"),
    PARAM_ENUM(struct bit_limit_conf, spoofable, "block", answers,
               "what is done about a source that may be forged"),
    PARAM_ENUM(struct bit_limit_conf, verified, "limit", answers,
               "... about one that has a connection with us"),
    PARAM_BOOL(struct bit_limit_conf, dry_run, "false", "only say what would be done"),
    PARAM_END,
};

#define CONF struct sentinel_conf

const struct param sentinel_params[] = {
    PARAM_STRING(
        CONF, ifname, "",
        "an interface: the work is done by an XDP program in front of it. Without: on "
        "packets that come by the input link"),
    PARAM_ENUM(CONF, attach, "auto", attach_modes, "auto: native, else generic"),
    PARAM_BOOL(CONF, pin, "false",
               "the program outlives this process, and the next one takes it over"),
    PARAM_ENUM(
        CONF, fail_mode, "autonomous", fail_modes,
        "what a pinned program does when nobody looks after it: goes on by itself, lets "
        "everything pass, or only those who are allowed"),
    PARAM_DURATION(CONF, watchdog, "5s", "200ms", "1h", "... after this time"),
    PARAM_BOOL(CONF, dry_run, "false",
               "count and tell what would be dropped; drop nothing"),

    PARAM_TABLE(CONF, src_syn, syn_rows, "SYNs of a source"),
    PARAM_TABLE(CONF, src_udp, udp_rows, "UDP packets of a source"),
    PARAM_TABLE(
        CONF, src_icmp, icmp_rows,
        "ICMP of a source, but for neighbour discovery and what path MTU discovery needs"),
    PARAM_TABLE(CONF, src_bps, bps_rows,
                "bytes of a source, of frames without their checksum"),
    PARAM_TABLE(CONF, src_pps, pps_rows, "packets of a source"),
    PARAM_TABLE(CONF, src_malformed, malformed_rows, "malformed frames of a source"),
    PARAM_TABLE(CONF, src_flags, flags_rows, "RSTs and ACKs without data of a source"),

    PARAM_INTEGER(CONF, dst_syn_pps, "10000", "1", "100000000",
                  "SYNs a second that a protected address takes while it is flooded"),
    PARAM_INTEGER(CONF, dst_syn_hard_pps, "50000", "0", "100000000",
                  "... that it ever takes; 0: no limit"),
    PARAM_INTEGER(CONF, dst_udp_pps, "200000", "1", "100000000",
                  "UDP packets a second that it takes while it is flooded"),
    PARAM_INTEGER(CONF, dst_icmp_pps, "5000", "1", "100000000", "the same of ICMP"),
    PARAM_INTEGER(
        CONF, dst_frag_pps, "5000", "0", "100000000",
        "fragments but the first above which all of them are dropped; 0: never"),
    PARAM_INTEGER(
        CONF, dst_pps, "0", "0", "100000000",
        "packets a second of all kinds, above which it takes so many and those of sources "
        "that have a connection; 0: no limit"),
    PARAM_RATE(CONF, dst_bps, "0", "0", "1tbit", "... or bits a second"),
    PARAM_INTEGER(
        CONF, prefix_pps, "0", "0", "100000000",
        "the same of all protected addresses in an IPv4 /24 or an IPv6 /120; those that "
        "get most get less; 0: no limit"),
    PARAM_RATE(CONF, prefix_bps, "0", "0", "1tbit", "... or bits a second"),
    PARAM_ENUM(CONF, prefix_action, "limit", prefix_actions, "alert: it is told of only"),
    PARAM_INTEGER(
        CONF, ampl_dst_pps, "5000", "1", "100000000",
        "packets a second from the port of a service that amplifies, above which those "
        "from this port are dropped"),
    PARAM_RATE(CONF, ampl_dst_bps, "50mbit", "1kbit", "1tbit", "... or bits a second"),
    PARAM_ENUM(
        CONF, syn_action, "limit", syn_actions,
        "what is done against a flood of SYNs from many sources; cookie: the program "
        "answers them, the kernel takes those who come back (needs "
        "net.ipv4.tcp_syncookies = 2)"),
    PARAM_PERCENT(CONF, dst_completion_min, "30%", "0", "100%",
                  "share of SYNs that become connections when nobody floods"),
    PARAM_DURATION(CONF, window, "1s", "100ms", "60s", "over which rates are taken"),
    PARAM_DURATION(
        CONF, sustain, "300ms", "0", "60s",
        "how long a protected address is above its limit before something is done"),
    PARAM_PERCENT(CONF, dst_exit_ratio, "50%", "1%", "100%",
                  "of the limit, below which a flood is over"),
    PARAM_DURATION(CONF, dst_exit_hold, "10s", "0", "1h", "... for so long"),
    PARAM_NUMBER(CONF, anomaly_factor, "8", "0", "1000000",
                 "times the usual rate of an address that are told of; 0: nothing is"),
    PARAM_INTEGER(CONF, anomaly_floor, "10000", "1", "100000000",
                  "... from so many packets a second on"),
    PARAM_INTEGER(
        CONF, scan_ports, "100", "0", "1000000",
        "destinations and ports for which a source sends SYNs within 10 s, above which it "
        "is told of; 0: never"),
    PARAM_VALUE(
        CONF, protect, "",
        "addresses, or prefixes of up to 1,024 of them, that are protected beside those of "
        "this machine"),

    PARAM_VALUE(
        CONF, groups, "",
        "a list of tables: a prefix, and what is not that of all for protected addresses in "
        "it (dst_*, ampl_*, syn_action, window, sustain, anomaly_*); the longest decides"),

    PARAM_DURATION(CONF, ttl, "60s", "1s", "30d", "how long a source is blocked"),
    PARAM_INTEGER(CONF, ttl_backoff, "2", "1", "10",
                  "... times this when it does it again"),
    PARAM_DURATION(CONF, ttl_max, "1h", "1s", "30d", "... but not longer"),
    PARAM_DURATION(CONF, repeat_window, "10min", "0", "1d",
                   "how long after its end a block is remembered"),
    PARAM_DURATION(
        CONF, hold_down, "10s", "1s", "1h",
        "a block goes on when its source did not stop in so long before its end"),
    PARAM_PERCENT(CONF, hold_rate, "10%", "0", "100%",
                  "what is not stopping: this share of the limit; 0: blocks just end"),
    PARAM_INTEGER(
        CONF, block_networks, "16", "0", "255",
        "sources of one IPv6 /56, and such /56 of one /48, blocked at the same time, above "
        "which all of it is; 0: never"),
    PARAM_INTEGER(CONF, max_blocks, "131072", "1024", "4194304",
                  "sources blocked at a time"),
    PARAM_INTEGER(CONF, max_static, "262144", "1024", "4194304",
                  "addresses that are allowed or banned one by one"),
    PARAM_INTEGER(CONF, max_block_rate, "2000", "1", "1000000", "new blocks a second"),
    PARAM_INTEGER(CONF, suspects, "65536", "1024", "4194304",
                  "sources that are looked at by themselves"),
    PARAM_PERCENT(CONF, promote_share, "12.5%", "1%", "100%",
                  "of a limit, which a source must send for that"),
    PARAM_INTEGER(CONF, destinations, "4096", "16", "65536", "protected addresses"),
    PARAM_INTEGER(CONF, source_prefix6, "64", "48", "128",
                  "bits of an IPv6 address that stand for one source"),

    PARAM_VALUE(CONF, allow, "", "prefixes that are never blocked or limited"),
    PARAM_VALUE(CONF, block, "", "prefixes that are dropped"),
    PARAM_STRING(CONF, allow_file, "", "a file of more of them, one a line"),
    PARAM_STRING(CONF, block_file, "", "the same"),
    PARAM_STRING(
        CONF, capture, "",
        "a pcapng file of what is sampled, each packet with its verdict as a comment"),
    PARAM_SIZE(CONF, capture_size, "64mb", "1mb", "100gb",
               "... of at most so many bytes, the newest"),
    PARAM_STRING(
        CONF, hook, "",
        "a program that is run for blocks and for states of destinations: SENTINEL_* in its "
        "environment, JSON on stdin; 10 s, one at a time, 256 may wait"),
    PARAM_STRING(
        CONF, snapshot, "",
        "a file in which blocks, and what was banned or allowed by hand, outlive this "
        "process and a pinned program; auto: one of this interface's in "
        "/var/lib/vanguard"),
    PARAM_DURATION(CONF, snapshot_period, "10s", "1s", "1d", "... written so often"),
    PARAM_BOOL(CONF, really, "false", "prefixes shorter than /8, of IPv6 /16, are meant"),

    PARAM_ENUM(CONF, malformed, "drop", malformed_choices,
               "what is done about malformed frames"),
    PARAM_STRING(CONF, tolerate, "", "names of kinds of them that pass all the same"),
    PARAM_STRING(CONF, strict, "", "names of notable kinds that are dropped"),
    PARAM_BOOL(CONF, verify_csum, "false", "look at IPv4 header checksums"),
    PARAM_INTEGER(CONF, vlan_max, "3", "0", "3", "VLAN tags"),
    PARAM_INTEGER(CONF, exthdr_max, "8", "0", "8", "IPv6 extension headers"),
    PARAM_INTEGER(CONF, exthdr_bytes, "256", "0", "2048", "bytes of all of them"),
    PARAM_INTEGER(
        CONF, mtu, "0", "0", "65535",
        "longer IP packets count as the packets of this size that they hold; 0: that "
        "of the interface, or none"),

    PARAM_INTEGER(CONF, sample, "10", "0", "16777216",
                  "one frame in so many is looked at for the top talkers, of blocked "
                  "sources one in 16 times as many; 1: all, 0: none"),
    PARAM_INTEGER(CONF, event_rate, "20000", "1", "1000000", "events a second"),
    PARAM_END,
};

/* --- words that name reasons ----------------------------------------------------------------- */

static int reason_number(const char *name, size_t length)
{
    for (int i = 1; i < REASONS; i++)
        if (strlen(sentinel_reason_rows[i].name) == length &&
            !memcmp(sentinel_reason_rows[i].name, name, length))
            return i;
    return -1;
}

/* Only kinds of frames can be told what to do about. */
static bool is_kind(int reason)
{
    return reason > REASON_NONE && reason < REASON_ALLOWED && reason != REASON_NON_IP &&
           reason != REASON_GSO;
}

static int verify_names(const char *parameter, const char *names, struct error *err)
{
    while (names && *(names += strspn(names, " ,"))) {
        size_t length = strcspn(names, " ,");
        if (!is_kind(reason_number(names, length)))
            return error_set(err, ERROR_CONFIG, EINVAL,
                             "%s: \"%.*s\" is no kind of malformed frame", parameter,
                             (int)length, names);
        names += length;
    }
    return 0;
}

static void set_actions(struct sentinel_policy *policy, const char *names,
                        enum sentinel_action action)
{
    while (names && *(names += strspn(names, " ,"))) {
        size_t length = strcspn(names, " ,");
        policy->actions[reason_number(names, length)] = (uint8_t)action;
        names += length;
    }
}

int sentinel_verify(const struct sentinel_conf *conf, struct error *err)
{
    if (conf->ttl > conf->ttl_max)
        return error_set(err, ERROR_CONFIG, EINVAL, "ttl is longer than ttl_max");
    if (conf->syn_action == MITIGATION_COOKIE && !conf->ifname)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "syn_action = \"cookie\" needs an ifname");
    if (conf->pin && !conf->ifname)
        return error_set(err, ERROR_CONFIG, EINVAL, "pin needs an ifname");
    if (conf->snapshot && !strcmp(conf->snapshot, "auto") && !conf->ifname)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "snapshot = \"auto\" needs an ifname");
    int error = verify_names("tolerate", conf->tolerate, err);
    return error ? error : verify_names("strict", conf->strict, err);
}

/* --- the policy -------------------------------------------------------------------------------- */

#define SECOND_NS 1000000000ull
#define TICK_NS   10000000ull /* at most, of the kernel's coarse clock */

static struct sentinel_limit limit_of(uint64_t rate, uint64_t burst)
{
    struct sentinel_limit limit = { 0 };
    if (!rate)
        return limit;
    limit.period = (SECOND_NS << 10) / rate;
    limit.burst =
        burst ? (uint64_t)((double)burst * SECOND_NS / (double)rate) : SECOND_NS / 5;
    if (limit.burst < TICK_NS) /* what comes between two ticks comes at once */
        limit.burst = TICK_NS;
    return limit;
}

/* scale: of a limit that is used up in a second. Rounded up: who weighs nothing is never looked
 * at. */
static uint32_t weight_of(uint64_t rate, uint64_t scale)
{
    uint64_t weight = rate ? (scale + rate - 1) / rate : 0;
    return weight < UINT32_MAX ? (uint32_t)weight : UINT32_MAX;
}

static void set_limit(struct sentinel_policy *policy, enum sentinel_limit_kind kind,
                      const struct limit_conf *conf, double hold)
{
    policy->limits[kind] = limit_of((uint64_t)conf->pps, (uint64_t)conf->burst);
    policy->limits[kind].spoofable = (uint8_t)conf->spoofable;
    policy->limits[kind].verified = (uint8_t)conf->verified;
    policy->limits[kind].dry_run = conf->dry_run;
    policy->weight[kind] = weight_of((uint64_t)conf->pps, 1 << 20);
    policy->hold[kind] = (uint64_t)(hold * (double)conf->pps);
}

static void set_bit_limit(struct sentinel_policy *policy,
                          const struct bit_limit_conf *conf, double hold)
{
    uint64_t rate = (conf->rate + 7) / 8;
    policy->limits[LIMIT_BPS] = limit_of(rate, conf->burst);
    policy->limits[LIMIT_BPS].spoofable = (uint8_t)conf->spoofable;
    policy->limits[LIMIT_BPS].verified = (uint8_t)conf->verified;
    policy->limits[LIMIT_BPS].dry_run = conf->dry_run;
    policy->weight[LIMIT_BPS] = weight_of(rate, 1ull << 40);
    policy->hold[LIMIT_BPS] = (uint64_t)(hold * (double)rate);
}

/* A source that is looked at first has sent promote_share of a second's limit; whether at once or
 * just below the rate nobody knows. So it has half its burst left, and what may come in a tick. */
static void set_sent(struct sentinel_limit *limit, double promote_share)
{
    uint64_t most = limit->burst / 2 > TICK_NS ? limit->burst / 2 - TICK_NS : 0;
    limit->sent = (uint64_t)(promote_share * SECOND_NS);
    if (limit->sent > most)
        limit->sent = most;
}

static void set_limits(struct sentinel_policy *policy, const struct sentinel_conf *conf)
{
    double hold = conf->hold_rate * (double)conf->hold_down / SECOND_NS;
    set_limit(policy, LIMIT_SYN, &conf->src_syn, hold);
    set_limit(policy, LIMIT_UDP, &conf->src_udp, hold);
    set_limit(policy, LIMIT_ICMP, &conf->src_icmp, hold);
    set_limit(policy, LIMIT_PPS, &conf->src_pps, hold);
    set_limit(policy, LIMIT_MALFORMED, &conf->src_malformed, hold);
    set_limit(policy, LIMIT_FLAGS, &conf->src_flags, hold);
    set_bit_limit(policy, &conf->src_bps, hold);
    for (int i = 0; i < LIMITS; i++)
        set_sent(&policy->limits[i], conf->promote_share);
    policy->insertions =
        limit_of((uint64_t)conf->max_block_rate, 2 * (uint64_t)conf->max_block_rate);
    policy->events = limit_of((uint64_t)conf->event_rate, 2 * (uint64_t)conf->event_rate);
}

static void set_kinds(struct sentinel_policy *policy, const struct sentinel_conf *conf)
{
    for (int i = 0; i < REASONS; i++) {
        enum sentinel_action action = sentinel_reason_rows[i].action;
        if (action == ACTION_DROP && is_kind(i))
            action = (enum sentinel_action)conf->malformed;
        policy->actions[i] = (uint8_t)action;
    }
    set_actions(policy, conf->tolerate, ACTION_COUNT);
    set_actions(policy, conf->strict, ACTION_DROP);
}

static void set_source_mask(struct sentinel_policy *policy, int bits)
{
    uint8_t mask[16] = { 0 };
    for (int i = 0; i < bits; i++)
        mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
    memcpy(policy->source_mask, mask, sizeof(mask));
}

void sentinel_policy_of(const struct sentinel_conf *conf, struct sentinel_policy *policy)
{
    *policy = (struct sentinel_policy){
        .ttl = conf->ttl,
        .ttl_max = conf->ttl_max,
        .ttl_backoff = (uint32_t)conf->ttl_backoff,
        .repeat_window = conf->repeat_window,
        .hold_down = conf->hold_down,
        .max_blocks = (uint32_t)conf->max_blocks,
        .watchdog = conf->watchdog,
        .promote = (uint32_t)(conf->promote_share * (1 << 20)),
        .sample = (uint32_t)conf->sample,
        .mtu = (uint32_t)conf->mtu,
        .vlan_max = (uint8_t)conf->vlan_max,
        .exthdr_max = (uint8_t)conf->exthdr_max,
        .exthdr_bytes = (uint16_t)conf->exthdr_bytes,
        .fail_mode = (uint8_t)conf->fail_mode,
        .dry_run = conf->dry_run,
        .verify_csum = conf->verify_csum,
    };
    set_limits(policy, conf);
    set_kinds(policy, conf);
    set_source_mask(policy, (int)conf->source_prefix6);
}

void sentinel_detect_policy_of(const struct sentinel_conf *conf,
                               struct detect_policy *policy)
{
    *policy = (struct detect_policy){
        .window = conf->window,
        .sustain = conf->sustain,
        .exit_hold = conf->dst_exit_hold,
        .ttl = conf->ttl,
        .exit_ratio = conf->dst_exit_ratio,
        .completion_min = conf->dst_completion_min,
        .syn = (double)conf->dst_syn_pps,
        .syn_hard = (double)conf->dst_syn_hard_pps,
        .udp = (double)conf->dst_udp_pps,
        .icmp = (double)conf->dst_icmp_pps,
        .fragments = (double)conf->dst_frag_pps,
        .packets = (double)conf->dst_pps,
        .bytes = (double)conf->dst_bps / 8,
        .prefix_packets = (double)conf->prefix_pps,
        .prefix_bytes = (double)conf->prefix_bps / 8,
        .prefix_limit = conf->prefix_action,
        .signature_packets = (double)conf->ampl_dst_pps,
        .signature_bytes = (double)conf->ampl_dst_bps / 8,
        .anomaly_factor = conf->anomaly_factor,
        .anomaly_floor = (double)conf->anomaly_floor,
        .anomaly_sustain = 3 * SECOND_NS,
        .baseline = 300 * SECOND_NS,
        .mitigation = (enum sentinel_mitigation)conf->syn_action,
        .dry_run = conf->dry_run,
    };
}
