/* parameters: what a user can set of a Clumsy. */
#include "apps/clumsy/parameters.h"

#include <errno.h>

#define DEFAULT_QUEUE_NS      100000000
#define DEFAULT_QUEUE_PACKETS 10 /* an initial window of TCP, RFC 6928 */

#define FULL_FRAME  1514 /* what the memory estimate takes a packet to be */
#define FRAME_COSTS 1568 /* in the delay line */

static const char *const dist_names[] = { "auto", "uniform", "normal", NULL };
static const char *const mode_names[] = { "process", "reorder", "clamp", NULL };
static const char *const reorder_names[] = { "late", "early", NULL };
static const char *const count_names[] = { "l2", "wire", NULL };

static const struct param jitter_params[] = {
    PARAM_DURATION(struct jitter_conf, half, "0s", "0s", "60s",
                   "uniform: delays within owd - half and owd + half"),
    PARAM_DURATION(struct jitter_conf, sd, "0s", "0s", "60s",
                   "normal: standard deviation of the delay around owd"),
    PARAM_ENUM(struct jitter_conf, dist, "auto", dist_names,
               "distribution; auto: the one that half or sd belongs to"),
    PARAM_ENUM(struct jitter_conf, mode, "process", mode_names,
               "process: the delay wanders in time and packets stay in order; reorder: "
               "each packet draws its own and may overtake; clamp: its own, but in order "
               "(delays grow with the packet rate)"),
    PARAM_DURATION(struct jitter_conf, coherence, "50ms", "1us", "1h",
                   "process: time in which the correlation of the delay falls to 1/e "
                   "(longer where the order of packets needs it)"),
    PARAM_DURATION(struct jitter_conf, floor, "0s", "0s", "60s",
                   "no delay is shorter; draws below it are raised and counted"),
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

static const struct param loss_params[] = {
    PARAM_PERCENT(struct loss_conf, p, "0%", "0%", "100%", "share of packets lost"),
    PARAM_NUMBER(struct loss_conf, burst, "0", "0", "1000000",
                 "mean number of packets lost in a row; 0: losses are independent"),
    PARAM_TABLE(struct loss_conf, gemodel, gemodel_params,
                "Gilbert-Elliott chain instead of p, parameters as netem orders them"),
    PARAM_END,
};

static const struct param duplicate_params[] = {
    PARAM_PERCENT(struct duplicate_conf, p, NULL, "0%", "100%",
                  "share of packets duplicated"),
    PARAM_INTEGER(struct duplicate_conf, copies, "1", "1", "15", "extra copies of each"),
    PARAM_END,
};

static const struct param corrupt_params[] = {
    PARAM_PERCENT(struct corrupt_conf, p, NULL, "0%", "100%",
                  "share of packets damaged; their checksums are left wrong"),
    PARAM_INTEGER(struct corrupt_conf, bits, "1", "1", "32",
                  "bits flipped in each, anywhere behind the 14 bytes of the Ethernet "
                  "header"),
    PARAM_END,
};

static const struct param reorder_params[] = {
    PARAM_PERCENT(struct reorder_conf, p, NULL, "0%", "100%",
                  "share of packets taken out of order"),
    PARAM_ENUM(struct reorder_conf, mode, "late", reorder_names,
               "late: held back until later packets have left; early (netem): sent "
               "without owd and jitter"),
    PARAM_INTEGER(struct reorder_conf, depth, "3", "0", "100000",
                  "late: how many packets overtake; 0: as many as come within hold"),
    PARAM_DURATION(struct reorder_conf, hold, "100ms", "0s", "60s",
                   "late: held back no longer than this"),
    PARAM_INTEGER(struct reorder_conf, gap, "1", "1", "1000000",
                  "after a packet out of order at least gap - 1 stay in order"),
    PARAM_END,
};

static const struct param rate_params[] = {
    PARAM_RATE(struct rate_conf, rate, NULL, "0bit", "1tbit",
               "bits per second of the bottleneck; 0: none"),
    PARAM_INTEGER(struct rate_conf, overhead, "0", "-256", "4096",
                  "bytes that a packet takes more (or less) than its frame"),
    PARAM_ENUM(struct rate_conf, count, "l2", count_names,
               "l2: the frame; wire: as Ethernet sends it, padded to 60 bytes, with "
               "preamble, CRC and gap (24 bytes)"),
    PARAM_END,
};

static const struct param queue_params[] = {
    PARAM_LIMIT(struct queue_conf, limit, NULL,
                "longest wait, or bytes or packets in the bottleneck, the one being sent "
                "included"),
    PARAM_END,
};

const struct param clumsy_params[] = {
    PARAM_DURATION(struct clumsy_conf, owd, "0s", "0s", "60s",
                   "one-way delay, counted from the arrival of a packet"),
    PARAM_TABLE(struct clumsy_conf, jitter, jitter_params, "variation of the delay"),
    PARAM_TABLE(struct clumsy_conf, loss, loss_params,
                "packets that vanish, alone or in bursts"),
    PARAM_TABLE(struct clumsy_conf, duplicate, duplicate_params,
                "packets that come more than once"),
    PARAM_TABLE(struct clumsy_conf, corrupt, corrupt_params, "packets with flipped bits"),
    PARAM_TABLE(struct clumsy_conf, reorder, reorder_params,
                "packets that are overtaken or overtake"),
    PARAM_TABLE(struct clumsy_conf, rate, rate_params, "the bottleneck"),
    PARAM_TABLE(struct clumsy_conf, queue, queue_params,
                "droptail queue in front of the bottleneck; without it 100 ms, or 10 "
                "packets where that is more"),
    PARAM_INTEGER(struct clumsy_conf, seed, "-1", "-1", "9223372036854775807",
                  "of the random decisions; -1: the engine's"),
    PARAM_SIZE(struct clumsy_conf, memory, "256MB", "4KB", "1024GB",
               "for packets in flight; what does not fit is dropped and counted"),
    PARAM_BOOL(struct clumsy_conf, arp, "false",
               "impair ARP and IPv6 neighbour discovery too"),
    PARAM_END,
};

struct limit clumsy_queue_limit(const struct clumsy_conf *conf)
{
    struct limit limit = conf->queue.limit;
    if (!limit.ns && !limit.bytes && !limit.packets)
        return (struct limit){ .ns = DEFAULT_QUEUE_NS, .packets = DEFAULT_QUEUE_PACKETS };
    return limit;
}

static int impossible(struct error *err, const char *text)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "%s", text);
}

static int verify_jitter(const struct jitter_conf *jitter, struct error *err)
{
    if (jitter->half && jitter->sd)
        return impossible(err, "jitter: half (uniform) and sd (normal) exclude each "
                               "other");
    if (jitter->dist == JITTER_UNIFORM && jitter->sd)
        return impossible(err, "jitter.sd: a uniform distribution takes half");
    if (jitter->dist == JITTER_NORMAL && jitter->half)
        return impossible(err, "jitter.half: a normal distribution takes sd");
    if (jitter->floor && !jitter->half && !jitter->sd)
        return impossible(err, "jitter.floor: there is neither half nor sd");
    return 0;
}

static int verify_loss(const struct loss_conf *loss, struct error *err)
{
    const struct gemodel_conf *ge = &loss->gemodel;
    bool chain = ge->p > 0 || ge->r > 0;
    if (chain && (loss->p > 0 || loss->burst > 0))
        return impossible(err, "loss: gemodel excludes p and burst");
    if (loss->burst > 0 && loss->burst < 1)
        return impossible(err, "loss.burst: a run is at least 1 packet");
    if (loss->burst > 0 && loss->p < 1 && loss->p / (1 - loss->p) > loss->burst)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "loss.burst: %.9g%% lost means runs of %.9g packets or more",
                         100 * loss->p, loss->p / (1 - loss->p));
    return 0;
}

/* Bytes of delay line that the bottleneck can fill with frames of full size. */
static double memory_needed(const struct clumsy_conf *conf)
{
    struct limit limit = clumsy_queue_limit(conf);
    double rate = (double)conf->rate.rate / 8e9; /* bytes per ns */
    double delay = (double)(conf->owd + conf->jitter.half + 4 * conf->jitter.sd);
    double queue = (double)limit.ns * rate;
    if (queue < (double)limit.bytes)
        queue = (double)limit.bytes;
    if (queue < (double)limit.packets * FULL_FRAME)
        queue = (double)limit.packets * FULL_FRAME;
    return (delay * rate + queue) / FULL_FRAME * FRAME_COSTS;
}

static int verify_memory(const struct clumsy_conf *conf, struct error *err)
{
    double needed = memory_needed(conf);
    if (!conf->rate.rate || needed <= (double)conf->memory)
        return 0;
    char have[32];
    return error_set(err, ERROR_CONFIG, EINVAL,
                     "memory: %s is not enough for rate, owd and queue: set %.0fMB",
                     units_format_size(have, sizeof(have), conf->memory),
                     needed / 0x1p20 + 1);
}

int clumsy_verify(const void *parameters, struct error *err)
{
    const struct clumsy_conf *conf = parameters;
    const struct limit *limit = &conf->queue.limit;
    int error = verify_jitter(&conf->jitter, err);
    if (!error)
        error = verify_loss(&conf->loss, err);
    if (error)
        return error;
    if (!conf->rate.rate && (limit->ns || limit->bytes || limit->packets))
        return impossible(err, "queue: only a bottleneck has one: set rate");
    if (conf->reorder.p > 0 && conf->reorder.mode == REORDER_EARLY && !conf->owd &&
        !conf->jitter.half && !conf->jitter.sd)
        return impossible(err, "reorder.mode: early skips the delay, and there is none: "
                               "set owd");
    if (conf->reorder.p > 0 && conf->reorder.mode == REORDER_LATE && !conf->reorder.hold)
        return impossible(err, "reorder.hold: 0 holds nothing back");
    return verify_memory(conf, err);
}
