/* parameters: what a user can set of a RawSocket, and the words that it counts.
 *
 *   struct raw_socket_conf   one configuration, as the rows fill it
 *   raw_socket_params        the rows
 *   raw_socket_counters      names of enum receive_counter, send_counter, socket_counter
 *   raw_socket_verify        are these parameters possible together?
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/raw_socket/send.h"
#include "lib/busy_poll.h"
#include "lib/error.h"
#include "lib/param.h"

/* Fanout modes but the first are PACKET_FANOUT_* plus one. */
enum fanout_mode { FANOUT_NONE, FANOUT_HASH, FANOUT_CBPF = 7, FANOUT_EBPF };
enum timestamp_source { TIMESTAMP_SOFTWARE, TIMESTAMP_HARDWARE };

struct fanout_conf {
    int mode; /* enum fanout_mode */
    int64_t id;
    bool uniqueid, defrag, rollover, ignore_outgoing;
    char *program;
};

struct raw_socket_conf {
    char *ifname, *filter;
    int profile;
    int version;   /* enum ring_version */
    int direction; /* enum direction */
    int vlan;      /* enum vlan_mode */
    int offload;   /* enum offload_mode */
    int timestamp; /* enum timestamp_source */
    int tx;        /* enum send_method */
    bool promisc, qdisc_bypass, reopen, jumbo;
    uint64_t snaplen;
    int64_t ring, rx_batch, retire_ms, merge, tx_ring_frames, tx_frame_size;
    struct fanout_conf fanout;
    struct busy_poll_conf busy_poll;
};

/* Counters of the app itself, behind those of receiving and sending. */
enum socket_counter {
    KERNEL_PACKETS = SEND_COUNTERS,
    FREEZES,
    LOSING_BLOCKS,
    DROP_RING_FULL,
    DROP_CLOSED,
    LINK_DOWNS,
    REOPENS,
    DOWN_MS,
};

extern const struct param raw_socket_params[];
extern const struct counter_row raw_socket_counters[];

int raw_socket_verify(const void *conf, struct error *err);
