/* parameters: the rows of what a user can set of a Clumsy. */
#include "apps/clumsy/parameters.h"

static const char *const dist_names[] = {
    "auto",      "uniform", "normal", "pareto", "paretonormal", "exponential", "gamma",
    "lognormal", "weibull", "table",  NULL
};
static const char *const jitter_modes[] = { "process", "reorder", "clamp", "block",
                                            NULL };
static const char *const reorder_modes[] = { "late", "early", "swap", NULL };
static const char *const count_names[] = { "l2", "wire", "l3", NULL };
static const char *const loss_at_names[] = { "entry", "exit", NULL };
static const char *const wrap_names[] = { "wrap", "hold", NULL };
static const char *const where_names[] = { "auto", "any",     "l2", "l3",
                                           "l4",   "payload", NULL };
static const char *const damage_modes[] = { "flip", "zero", "random", "byte", NULL };
static const char *const fix_names[] = { "none", "l3", "all", NULL };
static const char *const drop_names[] = { "tail", "head", "random", NULL };
static const char *const aqm_names[] = {
    "none", "codel", "pie", "fq_codel", "red", NULL
};
static const char *const side_names[] = { "both", "a", "b", NULL };
static const char *const reset_modes[] = { "inject", "flip", NULL };
static const char *const outage_queues[] = { "drop", "hold", NULL };
static const char *const key_names[] = { "index", "flow", "content", NULL };
static const char *const compat_names[] = { "none", "netem", NULL };
static const char *const interp_names[] = { "hold", "linear", NULL };

static const struct param jitter_params[] = {
    PARAM_DURATION(struct jitter_conf, half, "0s", "0s", "60s",
                   "uniform: delays within owd - half and owd + half"),
    PARAM_DURATION(struct jitter_conf, sd, "0s", "0s", "60s",
                   "any other distribution: standard deviation of the delay around owd"),
    PARAM_ENUM(struct jitter_conf, dist, "auto", dist_names,
               "distribution; auto: uniform with half, normal with sd"),
    PARAM_NUMBER(struct jitter_conf, shape, "0", "0", "1000",
                 "pareto: the exponent (3); gamma and weibull: k (2 and 1.5); lognormal: "
                 "sigma (1); 0: the figure in brackets"),
    PARAM_STRING(
        struct jitter_conf, table, "",
        "file with the distribution: netem's .dist, one sample a line, or lines "
        "of quantile and value; without sd values are delays to add, in seconds"),
    PARAM_ENUM(struct jitter_conf, mode, "process", jitter_modes,
               "process: the delay wanders in time and packets stay in order; reorder: "
               "each packet draws its own and may overtake; clamp: its own, but in order "
               "(delays grow with the packet rate); block: a new draw every period, a "
               "straight line between"),
    PARAM_PERCENT(struct jitter_conf, corr, "0%", "0%", "99.99%",
                  "reorder and clamp: correlation of neighbouring packets"),
    PARAM_DURATION(struct jitter_conf, coherence, "50ms", "1us", "1h",
                   "process: time in which the correlation of the delay falls to 1/e "
                   "(longer where the order of packets needs it)"),
    PARAM_DURATION(struct jitter_conf, period, "1s", "1us", "1h",
                   "block: time between two draws"),
    PARAM_DURATION(struct jitter_conf, floor, "0s", "0s", "60s",
                   "no delay is shorter; draws below it are raised and counted"),
    PARAM_END,
};

static const struct param spike_params[] = {
    PARAM_PERCENT(struct spike_conf, p, NULL, "0%", "100%", "share of packets"),
    PARAM_DURATION(struct spike_conf, add, "100ms", "0s", "60s",
                   "what these are delayed more; those behind wait for them"),
    PARAM_END,
};

static const struct param gemodel_params[] = {
    PARAM_PERCENT(struct gemodel_conf, p, NULL, "0%", "100%",
                  "probability per packet to go from good to bad"),
    PARAM_PERCENT(struct gemodel_conf, r, NULL, "0%", "100%",
                  "probability per packet to go from bad to good"),
    PARAM_PERCENT(struct gemodel_conf, bad, "100%", "0%", "100%",
                  "loss while bad (1-h of netem)"),
    PARAM_PERCENT(struct gemodel_conf, good, "0%", "0%", "100%",
                  "loss while good (1-k of netem)"),
    PARAM_END,
};

static const struct param state_params[] = {
    PARAM_PERCENT(struct state_conf, p13, NULL, "0%", "100%",
                  "probability per packet to go from a gap into a burst"),
    PARAM_PERCENT(struct state_conf, p31, NULL, "0%", "100%",
                  "from a loss in a burst back into a gap"),
    PARAM_PERCENT(struct state_conf, p32, "0%", "0%", "100%",
                  "from a loss in a burst to packets that pass within it"),
    PARAM_PERCENT(struct state_conf, p23, "100%", "0%", "100%",
                  "from those back to loss"),
    PARAM_PERCENT(struct state_conf, p14, "0%", "0%", "100%",
                  "of one lost packet in a gap"),
    PARAM_END,
};

static const struct param onoff_params[] = {
    PARAM_STRING(struct onoff_conf, on, "",
                 "how long it is bad: \"20ms\", \"exp 20ms\" or \"uniform 10ms 30ms\""),
    PARAM_STRING(struct onoff_conf, off, "", "how long it is good between"),
    PARAM_PERCENT(struct onoff_conf, loss_on, "100%", "0%", "100%", "loss while bad"),
    PARAM_PERCENT(struct onoff_conf, loss_off, "0%", "0%", "100%", "loss while good"),
    PARAM_END,
};

static const struct param loss_params[] = {
    PARAM_PERCENT(struct loss_conf, p, "0%", "0%", "100%", "share of packets lost"),
    PARAM_NUMBER(struct loss_conf, burst, "0", "0", "1000000",
                 "mean number of packets lost in a row; 0: losses are independent. With "
                 "density: mean length of a burst"),
    PARAM_PERCENT(struct loss_conf, corr, "0%", "0%", "99.99%",
                  "correlation of neighbouring packets; the share lost stays p"),
    PARAM_PERCENT(struct loss_conf, density, "100%", "0%", "100%",
                  "share lost within a burst (four-state chain when it is below 100%)"),
    PARAM_PERCENT(struct loss_conf, isolated, "0%", "0%", "100%",
                  "four-state chain: share of the packets between bursts lost alone"),
    PARAM_NUMBER(
        struct loss_conf, good_run, "1", "1", "1000000",
        "four-state chain: mean number of packets that pass in a row in a burst"),
    PARAM_TABLE(struct loss_conf, gemodel, gemodel_params,
                "Gilbert-Elliott chain instead of p, parameters as netem orders them"),
    PARAM_TABLE(struct loss_conf, state, state_params,
                "four-state chain instead of p, parameters as netem orders them"),
    PARAM_TABLE(struct loss_conf, onoff, onoff_params,
                "bad and good times instead of p, whatever the packet rate is"),
    PARAM_STRING(struct loss_conf, trace, "",
                 "file instead of p: 0 and 1 (lost), one per packet, or lines of two "
                 "times such as \"1.5s 2s\", between which all are lost"),
    PARAM_ENUM(struct loss_conf, after, "wrap", wrap_names,
               "behind the end of the trace: from its start again, or no more losses"),
    PARAM_ENUM(struct loss_conf, at, "entry", loss_at_names,
               "exit: lost behind the bottleneck, whose time they take"),
    PARAM_END,
};

static const struct param stream_params[] = {
    PARAM_SIZE(struct stream_conf, byte, "0", "0", "4GB",
               "TCP: the segment with this byte of its stream, the first being 1"),
    PARAM_INTEGER(struct stream_conf, retransmits, "0", "0", "1000",
                  "and so many retransmissions of it"),
    PARAM_END,
};

static const struct param drop_params[] = {
    PARAM_INTEGER(struct drop_conf, every, "0", "0", "1000000000", "every n-th packet"),
    PARAM_INTEGER(struct drop_conf, first, "0", "0", "1000000000", "the first n packets"),
    PARAM_VALUE(struct drop_conf, list, "", "packets by number, from 1: { 1, 3, 17 }"),
    PARAM_VALUE(struct drop_conf, range, "", "packets from and to: { 5, 9 }"),
    PARAM_BOOL(
        struct drop_conf, syn, "false",
        "of the TCP packets that open a connection. These and the next ones choose "
        "of which packets; with no number given, all of them"),
    PARAM_BOOL(struct drop_conf, synack, "false", "of their answers"),
    PARAM_BOOL(struct drop_conf, fin, "false", "of those that close one"),
    PARAM_BOOL(struct drop_conf, dns_response, "false", "of answers from UDP port 53"),
    PARAM_BOOL(struct drop_conf, quic_initial, "false", "of QUIC's Initial packets"),
    PARAM_STRING(struct drop_conf, filter, "", "of those that a pcap-filter(7) selects"),
    PARAM_TABLE(struct drop_conf, tcp, stream_params,
                "a segment of each TCP connection, known by its place in the stream"),
    PARAM_END,
};

static const struct param duplicate_params[] = {
    PARAM_PERCENT(struct duplicate_conf, p, NULL, "0%", "100%",
                  "share of packets duplicated"),
    PARAM_INTEGER(struct duplicate_conf, copies, "1", "1", "15", "extra copies of each"),
    PARAM_PERCENT(struct duplicate_conf, corr, "0%", "0%", "99.99%",
                  "correlation of neighbouring packets; the share stays p"),
    PARAM_DURATION(struct duplicate_conf, delay, "0s", "0s", "60s",
                   "copies come so much later than they would"),
    PARAM_BOOL(struct duplicate_conf, dup_dup, "false",
               "copies may be duplicated as well (15 extra at most)"),
    PARAM_END,
};

static const struct param corrupt_params[] = {
    PARAM_PERCENT(struct corrupt_conf, p, "0%", "0%", "100%", "share of packets damaged"),
    PARAM_INTEGER(struct corrupt_conf, bits, "1", "1", "32", "bits damaged in each"),
    PARAM_PERCENT(struct corrupt_conf, ber, "0%", "0%", "100%",
                  "instead of p: probability of each bit (32 of a packet at most)"),
    PARAM_PERCENT(struct corrupt_conf, corr, "0%", "0%", "99.99%",
                  "correlation of neighbouring packets; the share stays p"),
    PARAM_ENUM(struct corrupt_conf, where, "auto", where_names,
               "which bytes: any behind the Ethernet header, headers of a layer, or the "
               "payload of TCP or UDP; auto: the payload, or what comes closest"),
    PARAM_ENUM(struct corrupt_conf, mode, "flip", damage_modes,
               "flip bits, or set the byte of each to zero or to a random value; byte: "
               "flip all its bits"),
    PARAM_ENUM(struct corrupt_conf, fix, "none", fix_names,
               "checksums made right again, so that the damage gets further: none, the "
               "IP header's, or all, up to the application"),
    PARAM_END,
};

static const struct param truncate_params[] = {
    PARAM_SIZE(struct truncate_conf, to, NULL, "14", "65535",
               "bytes of the frame that are left"),
    PARAM_PERCENT(struct truncate_conf, p, "100%", "0%", "100%",
                  "share of the packets that are longer"),
    PARAM_ENUM(struct truncate_conf, fix, "none", fix_names,
               "none: headers still say the old length; l3: that of IP is made right; "
               "all: that of UDP and the checksums too"),
    PARAM_END,
};

static const struct param rst_params[] = {
    PARAM_PERCENT(struct rst_conf, p, "0%", "0%", "100%",
                  "probability per TCP packet with data that its connection is reset"),
    PARAM_SIZE(struct rst_conf, at, "0", "0", "4GB",
               "reset when this byte of the stream passes, the first being 1"),
    PARAM_STRING(struct rst_conf, match, "", "only what a pcap-filter(7) selects"),
    PARAM_ENUM(struct rst_conf, side, "both", side_names,
               "who is told: the sender (a), the receiver (b)"),
    PARAM_ENUM(struct rst_conf, mode, "inject", reset_modes,
               "inject: packets of our own in place of the one that passes, right for "
               "RFC 5961; flip: the flag set in the one that passes"),
    PARAM_END,
};

static const struct param mtu_params[] = {
    PARAM_SIZE(struct mtu_conf, max, NULL, "68", "65535",
               "longer IP packets are dropped"),
    PARAM_BOOL(struct mtu_conf, icmp, "false",
               "and answered as a router does (RFC 1191, RFC 8201), so that path MTU "
               "discovery works; a black hole otherwise. The answer leaves at \"back\""),
    PARAM_END,
};

static const struct param reorder_params[] = {
    PARAM_PERCENT(struct reorder_conf, p, NULL, "0%", "100%",
                  "share of packets taken out of order"),
    PARAM_ENUM(struct reorder_conf, mode, "late", reorder_modes,
               "late: held back until later packets have left; early (netem): sent "
               "without owd and jitter; swap: behind the next one of its flow"),
    PARAM_INTEGER(struct reorder_conf, depth, "3", "0", "100000",
                  "late: how many packets overtake; 0: as many as come within hold"),
    PARAM_DURATION(struct reorder_conf, hold, "100ms", "0s", "60s",
                   "late, swap: held back no longer than this"),
    PARAM_INTEGER(struct reorder_conf, gap, "1", "1", "1000000",
                  "after a packet out of order at least gap - 1 stay in order"),
    PARAM_PERCENT(struct reorder_conf, corr, "0%", "0%", "99.99%",
                  "correlation of neighbouring packets; the share stays p"),
    PARAM_END,
};

static const struct param rate_params[] = {
    PARAM_RATE(struct rate_conf, rate, "0bit", "0bit", "1tbit",
               "bits per second of the bottleneck; 0: none"),
    PARAM_INTEGER(struct rate_conf, overhead, "0", "-256", "4096",
                  "bytes that a packet takes more (or less) than its frame"),
    PARAM_INTEGER(struct rate_conf, cell, "0", "0", "65535",
                  "bytes of a cell of the link layer (48 for ATM), which is sent whole"),
    PARAM_INTEGER(struct rate_conf, cell_overhead, "0", "0", "4096",
                  "bytes that each cell takes more (5 for ATM)"),
    PARAM_SIZE(struct rate_conf, burst, "0", "0", "1GB",
               "token bucket: so much may pass at once after a pause; 0: a plain link"),
    PARAM_ENUM(struct rate_conf, count, "l2", count_names,
               "l2: the frame; wire: as Ethernet sends it, padded to 60 bytes, with "
               "preamble, CRC and gap (24 bytes); l3: without its Ethernet header"),
    PARAM_STRING(
        struct rate_conf, shared, "",
        "name of a bottleneck: all Clumsies of an engine that give the same name "
        "have rate and queue in common, those of the last one configured"),
    PARAM_END,
};

static const struct param queue_params[] = {
    PARAM_LIMIT(
        struct queue_conf, limit, "0p",
        "longest wait, or bytes or packets in the bottleneck, the one being sent "
        "included (with an AQM, or drop: without it); when not given 100 ms, or 10 "
        "packets where that is more, with an AQM 1000 packets"),
    PARAM_ENUM(struct queue_conf, drop, "tail", drop_names,
               "which packet goes when it is full: the new one, the oldest, any"),
    PARAM_ENUM(struct queue_conf, aqm, "none", aqm_names,
               "active queue management: CoDel (RFC 8289), PIE (RFC 8033), FQ-CoDel (RFC "
               "8290), RED"),
    PARAM_BOOL(struct queue_conf, ecn, "false",
               "mark packets that can carry it (RFC 3168) instead of dropping them"),
    PARAM_DURATION(struct queue_conf, target, "0s", "0s", "60s",
                   "CoDel: acceptable standing delay, 5 ms; PIE: the delay aimed at, 15 "
                   "ms"),
    PARAM_DURATION(
        struct queue_conf, interval, "0s", "0s", "60s",
        "CoDel: width of its window, 100 ms; PIE: time between two updates, 15 "
        "ms"),
    PARAM_SIZE(struct queue_conf, min, "0", "0", "1GB",
               "RED: average queue from which on it drops; 0: a twelfth of the limit"),
    PARAM_SIZE(
        struct queue_conf, max, "0", "0", "1GB",
        "RED: average queue from which on it drops all; 0: a quarter of the limit"),
    PARAM_PERCENT(struct queue_conf, probability, "2%", "0%", "100%", "RED: at max"),
    PARAM_INTEGER(struct queue_conf, flows, "1024", "1", "65536", "FQ-CoDel: queues"),
    PARAM_INTEGER(struct queue_conf, quantum, "1514", "64", "1000000",
                  "FQ-CoDel: bytes of a queue's turn"),
    PARAM_END,
};

static const struct param slot_params[] = {
    PARAM_DURATION(struct slot_conf, min, "0s", "0s", "60s",
                   "shortest time from one slot to the next"),
    PARAM_DURATION(struct slot_conf, max, "0s", "0s", "60s", "longest; not given: min"),
    PARAM_ENUM(struct slot_conf, dist, "auto", dist_names,
               "distribution of that time around delay instead of min and max"),
    PARAM_DURATION(struct slot_conf, delay, "0s", "0s", "60s", "its mean"),
    PARAM_DURATION(struct slot_conf, sd, "0s", "0s", "60s", "its standard deviation"),
    PARAM_INTEGER(struct slot_conf, packets, "0", "0", "1000000000",
                  "most that leave in a slot; 0: any number"),
    PARAM_SIZE(struct slot_conf, bytes, "0", "0", "1GB", "the same in bytes"),
    PARAM_END,
};

static const struct param trace_params[] = {
    PARAM_STRING(struct trace_conf, file, "",
                 "a Mahimahi trace (lines of milliseconds, each an opportunity to send), "
                 "or CSV with a header: time, rate, owd, jitter, loss, limit"),
    PARAM_VALUE(struct trace_conf, rows, "",
                "the same in place: { { time = \"0s\", rate = \"5mbit\" }, ... }"),
    PARAM_INTEGER(struct trace_conf, bytes, "1504", "64", "65535",
                  "Mahimahi: bytes of an opportunity (its code takes 1504)"),
    PARAM_ENUM(struct trace_conf, after, "wrap", wrap_names,
               "behind the last row: from the start again, or as it says"),
    PARAM_ENUM(struct trace_conf, interp, "hold", interp_names,
               "between two rows: the values of the first, or a straight line"),
    PARAM_END,
};

static const struct param down_params[] = {
    PARAM_BOOL(struct down_conf, now, "false",
               "the path is down, whatever the schedule says"),
    PARAM_DURATION(struct down_conf, at, "0s", "0s", "10000h",
                   "down once, from that time on"),
    PARAM_DURATION(struct down_conf, duration, "0s", "0s", "10000h",
                   "for so long; 0: for ever"),
    PARAM_SYNONYM("for", "duration"),
    PARAM_DURATION(struct down_conf, period, "0s", "0s", "10000h",
                   "down at the end of each period, for off or 1 - duty of it"),
    PARAM_PERCENT(struct down_conf, duty, "100%", "0%", "100%",
                  "share of the period in which it is up"),
    PARAM_STRING(struct down_conf, on, "",
                 "how long it is up: \"10s\", \"exp 10s\" or \"uniform 5s 15s\""),
    PARAM_STRING(struct down_conf, off, "", "how long it is down"),
    PARAM_ENUM(struct down_conf, queue, "drop", outage_queues,
               "what comes meanwhile is lost, or waits in front of the bottleneck"),
    PARAM_END,
};

static const struct param capture_params[] = {
    PARAM_STRING(struct capture_conf, before, "",
                 "pcapng file of what comes, with what became of it as a comment"),
    PARAM_STRING(struct capture_conf, after, "",
                 "pcapng file of what leaves, with its number and delay as a comment"),
    PARAM_SIZE(
        struct capture_conf, ring, "0", "0", "1024GB",
        "keep the newest bytes of each: in the file, and in one named .old for what "
        "was before; 0: keep all"),
    PARAM_END,
};

const struct param clumsy_params[] = {
    PARAM_DURATION(struct clumsy_conf, owd, "0s", "0s", "60s",
                   "one-way delay, counted from the arrival of a packet"),
    PARAM_SYNONYM("delay", "owd"),
    PARAM_REFUSED("latency",
                  "some mean one way by it, some a round trip: owd is the "
                  "one-way delay, half of what a ping shows when both directions "
                  "have it"),
    PARAM_TABLE(struct clumsy_conf, jitter, jitter_params, "variation of the delay"),
    PARAM_TABLE(struct clumsy_conf, spike, spike_params, "packets that come very late"),
    PARAM_TABLE(struct clumsy_conf, loss, loss_params,
                "packets that vanish, alone or in bursts"),
    PARAM_TABLE(struct clumsy_conf, drop, drop_params,
                "packets that vanish by number or by what they are"),
    PARAM_TABLE(struct clumsy_conf, duplicate, duplicate_params,
                "packets that come more than once"),
    PARAM_TABLE(struct clumsy_conf, corrupt, corrupt_params, "packets that are damaged"),
    PARAM_TABLE(struct clumsy_conf, truncate, truncate_params,
                "packets that are cut off"),
    PARAM_TABLE(struct clumsy_conf, rst, rst_params, "TCP connections that are reset"),
    PARAM_TABLE(struct clumsy_conf, mtu, mtu_params, "a smaller MTU on the way"),
    PARAM_TABLE(struct clumsy_conf, reorder, reorder_params,
                "packets that are overtaken or overtake"),
    PARAM_TABLE(struct clumsy_conf, rate, rate_params, "the bottleneck"),
    PARAM_TABLE(struct clumsy_conf, queue, queue_params, "the queue in front of it"),
    PARAM_TABLE(struct clumsy_conf, slot, slot_params,
                "packets leave in slots, as from a radio that shares its medium"),
    PARAM_TABLE(
        struct clumsy_conf, trace, trace_params,
        "a recorded or described link: what it says replaces rate, owd and the like"),
    PARAM_TABLE(struct clumsy_conf, down, down_params, "times without a path"),
    PARAM_STRING(struct clumsy_conf, match, "",
                 "impair only what a pcap-filter(7) selects; the rest meets down and a "
                 "shared bottleneck alone"),
    PARAM_INTEGER(struct clumsy_conf, seed, "-1", "-1", "9223372036854775807",
                  "of the random decisions; -1: the engine's"),
    PARAM_ENUM(struct clumsy_conf, key, "index", key_names,
               "what a decision depends on besides the seed: the packet's number, its "
               "number within its flow, or its content and how often that came"),
    PARAM_ENUM(struct clumsy_conf, compat, "none", compat_names,
               "netem: its correlation and its tables, with what is wrong with them"),
    PARAM_SIZE(struct clumsy_conf, memory, "256MB", "4KB", "1024GB",
               "for packets in flight; what does not fit is dropped and counted"),
    PARAM_STRING(struct clumsy_conf, decisions, "",
                 "file for a line about each packet: number, time, what became of it"),
    PARAM_TABLE(struct clumsy_conf, capture, capture_params,
                "the packets before and after, in files of the same clock"),
    PARAM_BOOL(struct clumsy_conf, arp, "false",
               "impair ARP and IPv6 neighbour discovery too"),
    PARAM_END,
};
