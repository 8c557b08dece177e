/* detect: is a protected address flooded, and what follows? Numbers in, decisions out.
 *
 *   rate_add, rate_value    events a second, over a sliding window
 *   detector_tick           what was counted so far, at a time; changes what is done about it
 *   prefix_tick             the same of a prefix of protected addresses
 *   share_level             what each of its addresses may get of what all of them may
 *   scan_estimate           how many destinations and ports the SYNs of a source were for
 *   detection_name
 *
 * SYN floods (state by destination):
 *
 *   NORMAL --> SUSPECT --> MITIGATE --> COOLDOWN --> NORMAL
 *      ^          |            ^------------'
 *      '----------'
 *
 * SUSPECT while more SYNs than dst_syn_pps come and too few handshakes are completed, or more
 * than dst_syn_hard_pps; MITIGATE when that lasts for `sustain`; COOLDOWN when the rate falls
 * below dst_exit_ratio of the threshold, NORMAL when it stays there for dst_exit_hold. Others
 * are above their threshold for `sustain`, and over when they were below its exit ratio for
 * dst_exit_hold.
 *
 * A prefix is what carpet bombing floods: no single address gets much. What it may get is divided
 * so that the same is too much for all of its addresses, and who gets less loses nothing (max-min
 * fairness). One limiter for all of them would let a flood of one address starve the others, and
 * equal parts would cut a busy server down to those of its idle neighbours.
 *
 * Time is an argument; nothing here knows where the counts come from. RFC 4987 for SYN floods.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/flow_sentinel/sentinel.bpf.h"

enum detection {
    DETECT_DST_SYN =
        LIMITS_ROOM, /* behind the limits by source: one name for each number */
    DETECT_DST_UDP,
    DETECT_DST_ICMP,
    DETECT_FRAGMENTS,
    DETECT_ANOMALY,
    DETECT_SCAN, /* of a source */
    DETECT_DST_PPS,
    DETECT_DST_BPS,
    DETECT_PREFIX_PPS,
    DETECT_PREFIX_BPS,
    DETECT_ROTATION,      /* of sources */
    DETECT_AMPLIFICATION, /* + signature */
    DETECTIONS = DETECT_AMPLIFICATION + SENTINEL_SIGNATURES,
};

/* Of a detection or a limit; "amplification_53" for a signature. */
const char *detection_name(unsigned detection);

enum detect_state { STATE_NORMAL, STATE_SUSPECT, STATE_MITIGATE, STATE_COOLDOWN };
extern const char *const detect_state_names[];

struct detect_policy {
    uint64_t window, sustain, exit_hold, ttl; /* ns */
    double exit_ratio, completion_min;
    double syn, syn_hard, udp, icmp, fragments; /* a second; all but syn, 0: no limit */
    double packets, bytes;                      /* a second; 0: no limit */
    double prefix_packets, prefix_bytes;        /* ... of a prefix */
    bool prefix_limit;                          /* or is it only told of? */
    double signature_packets, signature_bytes;  /* a second */
    double anomaly_factor, anomaly_floor;       /* times the baseline, packets a second */
    uint64_t anomaly_sustain, baseline;         /* ns: time constant of the baseline */
    enum sentinel_mitigation mitigation;        /* of SYN floods */
    bool dry_run;
};

/* Two buckets: what came in this window, and in the one before. */
struct rate {
    uint64_t began, current, previous, total;
};

/* total: counted since ever, at `now`. The first call counts nothing. */
void rate_add(struct rate *rate, uint64_t total, uint64_t now, uint64_t window);

/* A second. */
double rate_value(const struct rate *rate, uint64_t now, uint64_t window);

struct alarm {
    enum detect_state state;
    uint64_t since; /* ns: of the state; of NORMAL and COOLDOWN, when it was above last */
};

struct detector {
    bool started;
    struct rate syn, first_ack, packets, bytes, udp, icmp, fragments;
    struct rate signatures[SENTINEL_SIGNATURES], signature_bytes[SENTINEL_SIGNATURES];
    struct alarm syn_alarm, udp_alarm, icmp_alarm, fragment_alarm, anomaly_alarm;
    struct alarm packet_alarm, byte_alarm;
    struct alarm signature_alarms[SENTINEL_SIGNATURES];
    double baseline; /* packets a second */
    uint64_t baseline_time, baseline_since;
};

/* HyperLogLog (Flajolet et al. 2007) of SENTINEL_REGISTERS registers: off by 13 % (1 sd); small
 * numbers are counted by the registers that are empty. */
double scan_estimate(const uint8_t registers[SENTINEL_REGISTERS]);

struct detect_news {
    unsigned detection; /* enum detection */
    enum detect_state state;
    double rate, threshold; /* of *_BPS bits a second */
};

/* What an address may get of what its prefix may, a second; 0: no limit. */
struct detect_share {
    double packets, bytes;
};

/* Changes in `to` what is to be done (all but index and arrival times) and calls back for each
 * change of a state. Returns whether `to` changed. With dry_run nothing is to be done; what is
 * always in force is from the first tick on. */
bool detector_tick(struct detector *d, const struct detect_policy *policy,
                   const struct sentinel_destination_counts *counts, uint64_t now,
                   const struct detect_share *share, struct sentinel_destination *to,
                   void (*news)(const struct detect_news *news, void *user), void *user);

struct prefix_detector {
    struct alarm packet_alarm, byte_alarm;
    bool limit_packets, limit_bytes; /* what is to be done */
};

/* packets, bytes: a second, of all its addresses. */
void prefix_tick(struct prefix_detector *d, const struct detect_policy *policy,
                 double packets, double bytes, uint64_t now,
                 void (*news)(const struct detect_news *news, void *user), void *user);

/* The level at which rates that are cut down to it add up to `total`, which they exceed. Reorders
 * the rates. */
double share_level(double *rates, size_t count, double total);
