/* parameters: what a user can set of a RawSocket, and the words that it counts. */
#include "apps/raw_socket/parameters.h"

#include <errno.h>
#include <string.h>

#include "apps/raw_socket/filter.h"
#include "apps/raw_socket/program.h"

const struct counter_row raw_socket_counters[] = {
    [RX_PACKETS] = { "rx_packets", "packets received" },
    [RX_BYTES] = { "rx_bytes", "bytes of them" },
    [RX_SPLIT] = { "rx_split", "super-frames split into packets" },
    [RX_GSO] = { "rx_gso", "super-frames passed on whole" },
    [RX_CSUM] = { "rx_csum_completed", "packets whose checksum was filled in" },
    [RX_SOFT_STAMPS] = { "rx_soft_stamps",
                         "packets without a hardware timestamp, though asked for" },
    [RX_NO_PACKET] = { "rx_no_packet", "times a frame had to wait for a free packet" },
    [DROP_TRUNCATED] = { "drop_truncated", "frames the kernel had no room for in full" },
    [DROP_OVERSIZE] = { "drop_oversize", "frames longer than a packet" },
    [DROP_MALFORMED] = { "drop_malformed", "frames too short or wrongly described" },
    [DROP_GSO] = { "drop_gso", "super-frames that cannot be split" },
    [DROP_VLAN] = { "drop_vlan", "tagged frames, with vlan = \"drop\"" },
    [DROP_NO_OUTPUT] = { "drop_no_output", "frames received while nothing was linked" },
    [TX_PACKETS] = { "tx_packets", "packets sent" },
    [TX_BYTES] = { "tx_bytes", "bytes of them" },
    [TX_MERGED] = { "tx_merged", "super-frames that runs of them were sent as" },
    [TX_GSO] = { "tx_gso", "super-frames among tx_packets" },
    [TX_CSUM] = { "tx_csum_completed", "packets whose checksum was filled in" },
    [TX_SPLIT] = { "tx_split", "super-frames split before they were sent" },
    [TX_SEGMENTS] = { "tx_segments", "packets that they became" },
    [TX_BLOCKED] = { "tx_blocked", "times the kernel took no more; the packets wait" },
    [DROP_TX_NONE] = { "drop_tx_none", "packets to be sent, with tx = \"none\"" },
    [TX_HELD] = { "tx_held", "packets in the send ring that the kernel has not taken" },
    [KERNEL_PACKETS] = { "kernel_packets", "frames the kernel saw, dropped ones too" },
    [FREEZES] = { "freezes", "times all blocks were full (v3)" },
    [LOSING_BLOCKS] = { "losing_blocks", "blocks before which frames were dropped (v3)" },
    [DROP_RING_FULL] = { "drop_ring_full",
                         "frames the kernel dropped: we were too slow" },
    [DROP_CLOSED] = { "drop_closed",
                      "frames held when the interface went away or the app stopped" },
    [DROP_TX_OVERSIZE] = { "drop_tx_oversize",
                           "packets longer than the interface's MTU" },
    [DROP_TX_RUNT] = { "drop_tx_runt", "packets shorter than an Ethernet header" },
    [DROP_TX_OFFLOAD] = { "drop_tx_offload",
                          "packets wrongly described: checksum or super-frame" },
    [DROP_TX_FAILED] = { "drop_tx_failed", "packets that the qdisc or driver refused" },
    [DROP_LINK_DOWN] = { "drop_link_down",
                         "packets to an interface that was down or gone" },
    [LINK_DOWNS] = { "link_downs", "times the interface went down or away" },
    [REOPENS] = { "reopens", "times it was opened again" },
    [DOWN_MS] = { "down_ms", "milliseconds it was down or gone" },
    { NULL, NULL },
};

/* --- parameters --------------------------------------------------------------------- */

static const char *const fanout_modes[] = { "none",   "hash", "lb",   "cpu",  "rollover",
                                            "random", "qm",   "cbpf", "ebpf", NULL };

static const struct param fanout_params[] = {
    PARAM_ENUM(
        struct fanout_conf, mode, "none", fanout_modes,
        "how frames are spread over the sockets of a group, packet(7): by flow, in "
        "turn, by CPU, to the next when one is full, at random, by receive queue, or "
        "as a program says"),
    PARAM_INTEGER(struct fanout_conf, id, "0", "0", "65535",
                  "number of the group, in this network namespace"),
    PARAM_BOOL(struct fanout_conf, uniqueid, "false",
               "the kernel chooses a number that nobody has; the report says which"),
    PARAM_BOOL(
        struct fanout_conf, defrag, "true",
        "IPv4 fragments are put together first, so that they stay with their flow; "
        "a forwarder does not want that"),
    PARAM_BOOL(struct fanout_conf, rollover, "false",
               "what the chosen socket has no room for goes to another"),
    PARAM_BOOL(struct fanout_conf, ignore_outgoing, "true",
               "with direction = \"in\", frames that this host sends are not spread"),
    PARAM_STRING(
        struct fanout_conf, program, "",
        "cbpf: instructions as tcpdump -ddd prints them, with commas; ebpf: path of "
        "a pinned socket filter; the result modulo the sockets chooses one"),
    PARAM_END,
};

static const struct param_initial by_default[] = { { NULL } };
static const struct param_initial throughput[] = {
    { "version", "v3" }, { "ring", "32768" }, { "rx_batch", "256" }, { NULL }
};
static const struct param_initial latency[] = {
    { "ring", "1024" }, { "rx_batch", "32" }, { "busy_poll", "50" }, { NULL }
};
static const struct param_initial memory[] = { { "ring", "256" },
                                               { "rx_batch", "32" },
                                               { NULL } };
static const struct param_initial jumbo[] = { { "jumbo", "true" },
                                              { "ring", "1024" },
                                              { NULL } };
static const struct param_initial *const profile_defaults[] = { by_default, throughput,
                                                                latency, memory, jumbo };
static const char *const profiles[] = { "default", "throughput", "latency",
                                        "memory",  "jumbo",      NULL };

static const char *const versions[] = { "v2", "v3", "read", NULL };
static const char *const timestamps[] = { "software", "hardware", NULL };
static const char *const methods[] = { "sendmmsg", "ring", "none", NULL };
static const char *const directions[] = { "in", "both", "out", NULL };
static const char *const vlans[] = { "restore", "metadata", "drop", NULL };
static const char *const offloads[] = { "split", "off", "csum", "gso", NULL };

const struct param raw_socket_params[] = {
    PARAM_INTERFACE(struct raw_socket_conf, ifname, NULL, "network interface"),
    PARAM_PROFILE(
        struct raw_socket_conf, profile, "default", profiles, profile_defaults,
        "other defaults; throughput: version v3, ring 32768, rx_batch 256; latency: ring "
        "1024, rx_batch 32, busy_poll 50; memory: ring 256, rx_batch 32; jumbo: jumbo "
        "true, ring 1024"),
    PARAM_ENUM(struct raw_socket_conf, version, "v2", versions,
               "TPACKET version: v2 hands over every frame at once, v3 blocks of them; "
               "read: no ring, for kernels or devices that have trouble with one"),
    PARAM_STRING(
        struct raw_socket_conf, filter, "",
        "pcap-filter expression, run in the kernel: what does not match is never "
        "seen here"),
    PARAM_ENUM(struct raw_socket_conf, direction, "in", directions,
               "frames that come in, that others on this host send out, or both"),
    PARAM_ENUM(struct raw_socket_conf, vlan, "restore", vlans,
               "a VLAN tag goes back into the frame, beside it, or the frame is dropped"),
    PARAM_ENUM(
        struct raw_socket_conf, offload, "split", offloads,
        "split: super-frames are split and checksums completed here; off: moreover the "
        "interface's tx, tso, gso and gro are off while we run; csum: checksums stay "
        "unfinished until somebody sends them; gso: so do super-frames, up to 64 KiB"),
    PARAM_BOOL(struct raw_socket_conf, jumbo, "false",
               "frames longer than a packet (2 KiB) come in large ones of up to 64 KiB"),
    PARAM_ENUM(struct raw_socket_conf, timestamp, "software", timestamps,
               "hardware: the time of a packet is from the device's clock"),
    PARAM_ENUM(struct raw_socket_conf, tx, "sendmmsg", methods,
               "how packets are sent; ring: through a send ring; none: they are dropped"),
    PARAM_BOOL(struct raw_socket_conf, promisc, "false",
               "receive frames for other stations too"),
    PARAM_BOOL(struct raw_socket_conf, qdisc_bypass, "false",
               "send past the queueing discipline"),
    PARAM_BOOL(struct raw_socket_conf, reopen, "true",
               "go on when an interface of that name comes back"),
    PARAM_SIZE(struct raw_socket_conf, snaplen, "0", "0", "262144",
               "bytes of a frame that are kept; 0 is all"),
    PARAM_INTEGER(struct raw_socket_conf, ring, "4096", "64", "1048576",
                  "frames that the receive ring holds"),
    PARAM_INTEGER(struct raw_socket_conf, rx_batch, "64", "1", "512",
                  "frames taken per breath"),
    PARAM_INTEGER(
        struct raw_socket_conf, merge, "8", "1", "64",
        "TCP segments that still follow each other are sent as one super-frame of up to "
        "so many; 1: none are"),
    PARAM_INTEGER(struct raw_socket_conf, retire_ms, "10", "1", "1000",
                  "v3: milliseconds after which a block is handed over though not full"),
    PARAM_INTEGER(struct raw_socket_conf, tx_ring_frames, "512", "16", "65536",
                  "frames that the send ring holds"),
    PARAM_INTEGER(
        struct raw_socket_conf, tx_frame_size, "2048", "256", "65536",
        "bytes of each of them, 32 of which are the kernel's; a multiple of 16"),
    PARAM_TABLE(struct raw_socket_conf, fanout, fanout_params,
                "frames are shared out among the sockets of a group"),
    PARAM_TABLE(
        struct raw_socket_conf, busy_poll, busy_poll_params,
        "look at the device's queue when reading, rather than wait for interrupts"),
    PARAM_END,
};

static int wrong(struct error *err, const char *text)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "%s", text);
}

static int verify_fanout(const struct fanout_conf *fanout, struct error *err)
{
    bool programmed = fanout->mode >= FANOUT_CBPF;
    struct sock_filter code[PROGRAM_MAX];
    if (fanout->uniqueid && fanout->id)
        return wrong(err, "fanout: either id or uniqueid");
    if (programmed && !fanout->program)
        return wrong(err, "fanout.program is required with cbpf and ebpf");
    if (!programmed && fanout->program)
        return wrong(err, "fanout.program: only with mode = \"cbpf\" or \"ebpf\"");
    if (fanout->rollover && !strcmp(fanout_modes[fanout->mode], "rollover"))
        return wrong(err, "fanout.rollover: that is the mode already");
    if (fanout->mode == FANOUT_CBPF && program_parse(fanout->program, code) < 0)
        return wrong(err, "fanout.program: not what tcpdump -ddd prints");
    return 0;
}

int raw_socket_verify(const void *conf, struct error *err)
{
    const struct raw_socket_conf *raw = conf;
    bool offload = raw->offload >= MODE_CSUM;
    if (raw->tx == SEND_RING && raw->direction != DIRECTION_IN)
        return wrong(err, "tx: a send ring needs direction = \"in\"");
    if (raw->tx == SEND_RING && offload)
        return wrong(err, "tx: a send ring has no room for what offload leaves to do");
    if (raw->tx_frame_size % 16)
        return wrong(err, "tx_frame_size: not a multiple of 16");
    if (raw->snaplen && offload)
        return wrong(err, "snaplen: what is cut cannot be finished, as offload wants");
    int error = verify_fanout(&raw->fanout, err);
    return error || !raw->filter ? error : filter_check(raw->filter, err);
}
