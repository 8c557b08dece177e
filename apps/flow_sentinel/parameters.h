/* parameters: what FlowSentinel can be told, and the policy that follows.
 *
 *   sentinel_params     rows of struct sentinel_conf (lib/param.h)
 *   sentinel_verify     do they go together?
 *   sentinel_policy_of, sentinel_detect_policy_of   the data path's policy, and the detectors'
 *   sentinel_reason_rows, sentinel_limit_names, ...   names of the tables in sentinel.bpf.h
 *
 * A limit is of packets a second that one source may send; its burst is packets (of src_bps:
 * bytes) above that rate which are let through at once, never less than come in 10 ms.
 */
#pragma once
#include <stdint.h>

#include "apps/flow_sentinel/sentinel.bpf.h"
#include "lib/error.h"
#include "lib/param.h"

struct limit_conf {
    int64_t pps;             /* 0: no limit */
    int64_t burst;           /* 0: what comes in 200 ms */
    int spoofable, verified; /* enum sentinel_answer */
    bool dry_run;
};

struct bit_limit_conf {
    uint64_t rate;  /* bit/s; 0: no limit */
    uint64_t burst; /* bytes; 0: what comes in 200 ms */
    int spoofable, verified;
    bool dry_run;
};

struct sentinel_conf {
    char *ifname;
    int attach, fail_mode;
    bool pin, dry_run;
    struct limit_conf src_syn, src_udp, src_icmp, src_pps, src_malformed, src_flags;
    struct bit_limit_conf src_bps;
    int64_t dst_syn_pps, dst_syn_hard_pps, dst_udp_pps, dst_icmp_pps;
    int64_t dst_frag_pps, ampl_dst_pps, dst_pps, prefix_pps;
    uint64_t ampl_dst_bps, dst_bps, prefix_bps; /* bit/s */
    int prefix_action;                          /* alert, limit */
    int syn_action; /* enum sentinel_mitigation, by the same numbers */
    double dst_completion_min, dst_exit_ratio;
    uint64_t window, sustain, dst_exit_hold;
    double anomaly_factor;
    int64_t anomaly_floor, scan_ports;
    double promote_share;
    uint64_t ttl, ttl_max, repeat_window, hold_down;
    double hold_rate;
    int64_t ttl_backoff;
    int64_t block_networks, max_blocks, max_static, max_block_rate, suspects,
        destinations;
    int64_t source_prefix6, vlan_max, exthdr_max, exthdr_bytes;
    int malformed;           /* enum sentinel_action, of what would be dropped */
    char *tolerate, *strict; /* names of reasons */
    bool verify_csum;
    int64_t mtu;
    uint64_t watchdog;
    int64_t sample, event_rate;
    struct value allow, block, protect; /* a prefix or a list of them */
    struct value groups;                /* tables: groups.h */
    char *allow_file, *block_file, *hook, *capture, *snapshot;
    uint64_t capture_size; /* bytes */
    uint64_t snapshot_period;
    bool really;
};

struct detect_policy;

extern const struct param sentinel_params[];

/* ERROR_CONFIG. */
int sentinel_verify(const struct sentinel_conf *conf, struct error *err);

/* conf must have passed sentinel_verify. */
void sentinel_policy_of(const struct sentinel_conf *conf, struct sentinel_policy *policy);
void sentinel_detect_policy_of(const struct sentinel_conf *conf,
                               struct detect_policy *policy);

struct sentinel_reason_row {
    const char *name, *doc;
    enum sentinel_action action; /* unless the policy says otherwise */
};

extern const struct sentinel_reason_row sentinel_reason_rows[REASONS];
enum { KINDS = KIND_BLOCKED + 1 };
extern const char *const sentinel_kind_names[KINDS];
extern const char *const sentinel_limit_names[LIMITS];
extern const char *const sentinel_class_names[CLASSES];
