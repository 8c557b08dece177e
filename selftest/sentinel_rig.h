/* sentinel_rig: FlowSentinel's two data paths side by side, without an interface.
 *
 *   rig_open     both with the same policy: defaults but for some settings
 *   rig_policy   another one
 *   rig_judge    one frame through both, which must agree in everything they find
 *   rig_put, rig_list   what is known of sources, to both
 *   rig_tcp, rig_udp, rig_icmp    frames to judge
 *   rig_close
 *
 * The XDP program is run by BPF_PROG_TEST_RUN on a clock that the test sets. Who may not load
 * one has the other path only, and says so.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/flow_sentinel/kernel_path.h"
#include "apps/flow_sentinel/parameters.h"

#define RIG_START 1000000000000ull /* ns: the clock at first */

struct sentinel_rig {
    struct path *user, *kernel; /* NULL: may not load BPF programs */
    struct sentinel_conf conf;
    struct sentinel_policy policy;
    uint64_t now;
};

/* settings: "src_syn.pps=100 dry_run=true", or NULL. */
void rig_open(struct sentinel_rig *rig, const char *settings);
void rig_policy(struct sentinel_rig *rig, const char *settings);
void rig_close(struct sentinel_rig *rig);

/* Fails the test when the two disagree. */
struct sentinel_frame rig_judge(struct sentinel_rig *rig, const uint8_t *data,
                                uint32_t length);

/* The same entry or list into both. */
void rig_put(struct sentinel_rig *rig, const char *address, enum sentinel_kind kind,
             uint64_t expires);
void rig_list(struct sentinel_rig *rig, const struct path_listed *list, size_t count);
struct path_listed rig_listed(const char *prefix, enum sentinel_kind kind);

struct rig_frame {
    uint32_t length;
    uint8_t data[3072];
};

/* IPv4 or IPv6 by the addresses; payload: bytes of zeros. */
struct rig_frame rig_tcp(const char *src, const char *dst, uint16_t sport, uint16_t dport,
                         uint8_t flags, uint32_t payload);
struct rig_frame rig_udp(const char *src, const char *dst, uint16_t sport, uint16_t dport,
                         uint32_t payload);
struct rig_frame rig_icmp(const char *src, const char *dst, uint8_t type, uint8_t code,
                          uint32_t payload);
