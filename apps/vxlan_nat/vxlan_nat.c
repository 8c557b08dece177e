/* VxlanNat: frames out of a VXLAN tunnel, those that are allowed, to other destinations.
 *
 *     input -> [          ] -> output
 *              [ VxlanNat ]
 *      back <- [          ] <- back
 *
 * In mode oneway nothing goes back where it came from. In the others what answers does: into the
 * tunnel that the question came by (route), or without one (nat-out).
 *
 *     look --> its flow ---------------------> rewrite --> forward --> output
 *                |  ^
 *                v  |
 *           admission: allowed? a rule?
 *
 * What is decided for the first packet of a flow holds for the others (sessions.h); a plan that
 * changes is looked at again for all flows at once. Packets of known flows need not come here at
 * all: fast_path.h.
 */
#include "apps/vxlan_nat/vxlan_nat.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/random.h"
#include "lib/reassembly.h"

#define SOON   10000000ull /* ns */
#define ENOUGH 8           /* checksums that were looked at, to say something of them */

#define PREFIX_PASS   "pass_"
#define PREFIX_OUTER  "drop_"
#define PREFIX_TUNNEL "drop_"
#define PREFIX_NAT    "drop_"
#define PREFIX_NOTE   ""
#define PREFIX_IGNORE "pass_"
#define PREFIX_BACK   "drop_"
#define REASON_COUNTER(NAME, name, stage, doc)                                           \
    [FIRST_REASON + VX_##NAME - 1] = { PREFIX_##stage #name, doc },

static const struct counter_row counters[] = {
    [TOTAL_PACKETS] = { "total_packets", "frames that came in" },
    [VXLAN_PACKETS] = { "vxlan_packets", "... of our tunnels" },
    [INNER_PACKETS] = { "inner_packets", "... with an IP packet in them" },
    [NAT_APPLIED] = { "nat_applied", "... that got another address or port" },
    [DF_CLEARED] = { "df_cleared", "... whose DF was set, and is not any more" },
    [FORWARDED] = { "forwarded", "inner packets that go out" },
    [REDIRECTED] = { "redirected", "... and did" },
    [ERRORS] = { "errors", "frames dropped, for any reason" },
    [BYTES_PROCESSED] = { "bytes_processed", "of the inner frames that went out" },
    [FRAGMENTED] = { "fragmented", "inner packets sent in several fragments" },
    [HELD] = { "held", "packets that wait, for fragments or a MAC, now" },
    [OUTER_MERGED] = { "outer_merged",
                       "outer fragments that became part of another one's packet" },
    [FAST_PACKETS] = { "fast_packets",
                       "... by the fast path, without leaving the kernel" },
    [BACK_PACKETS] = { "back_packets", "frames that came in by back" },
    [BACK_FORWARDED] = { "back_forwarded", "... that answered something, and went back" },
    [BACK_BYTES] = { "back_bytes", "of their inner frames" },
    [ICMP_SENT] = { "icmp_sent", "ICMP errors of our own, either way" },
    [CSUM_FINISHED] = { "csum_finished", "inner checksums that were computed" },
    [CHECKED_CSUM] = { "csum_checked", "inner packets whose checksum was looked at" },
    [CHECKED_CSUM_BAD] = { "csum_bad", "... and was wrong as it came" },
    [SESSIONS] = { "sessions", "flows that are known, now" },
    [SESSIONS_DISPLACED] = { "sessions_displaced", "... that made way for others" },
    [ALLOWED] = { "allowed", "entries of the allowlist, now" },
    [PROBLEM] = { "problem", "1 while list or rules are not those of their files" },
    [DROP_NO_PACKET] = { "drop_no_packet",
                         "... cut short, for no packet was free for a fragment" },
    [DROP_NO_PACKET_OUTER] = { "drop_no_packet_outer",
                               "outer packets in fragments for which no packet was free" },
    [DROP_OFFLOAD] = { "drop_offload",
                       "frames whose checksum or segments are wrongly described" },
    VXLAN_REASONS(REASON_COUNTER){ NULL, NULL },
};

static const struct counter_row histograms[] = {
    [TOOK] = { "took_ns",
               "from when a frame of a tunnel came to when it was done with: of "
               "those that came together the first, which waited longest" },
    { NULL },
};

/* --- packets -------------------------------------------------------------------------- */

/* What could not be made plain came in as well. */
static void count_bad(struct app *app, struct plain *plain, enum vxlan_counter total)
{
    app_count(app, total, plain->bad);
    app_count(app, DROP_OFFLOAD, plain->bad);
    app_count(app, ERRORS, plain->bad);
    plain->bad = 0;
}

/* Not plain_receive_burst: an unfinished checksum cannot be updated. */
static void take_link(struct app *app, struct link *input, struct plain *plain,
                      void (*take)(struct app *app, struct packet *const *p, uint32_t n))
{
    struct packet **run, *p[VXLAN_BATCH];
    uint32_t n;
    while (input && (n = plain_run(plain, input, &run, VXLAN_BATCH))) {
        packet_pointers(p, run, n);
        plain_advance(plain, input, n);
        take(app, p, n);
    }
}

/* The app is called then even if nothing comes: what waits has its time, and the XDP program has its
 * clock from us. */
static void wake_in_time(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    uint64_t now = engine_now(app->engine), due = vxlan_hops_due(nat);
    uint64_t next = now + (fragments_held(nat->fragments) ? SOON : TENTH);
    bool waits = nat->fast || app->counters[HELD] || fragments_held(nat->fragments);
    due = waits && next < due ? next : due;
    if (due != UINT64_MAX)
        app_wake_at(app, due);
}

/* At every moment what came in is somewhere. */
static void count_held(struct app *app)
{
    const struct vxlan_nat *nat = app->state;
    app->counters[HELD] = fragments_held(nat->fragments) + vxlan_hops_held(nat) +
                          reassembly_counters(nat->reassembly)->held;
}

static void push(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    nat->state->now = (uint32_t)(engine_now(app->engine) / TENTH);
    take_link(app, app_input(app, 0), &nat->plain, vxlan_take_tunnelled);
    count_bad(app, &nat->plain, TOTAL_PACKETS);
    take_link(app, app_input(app, 1), &nat->plain_back, vxlan_take_back);
    count_bad(app, &nat->plain_back, BACK_PACKETS);
    count_held(app);
    wake_in_time(app);
}

/* --- life ---------------------------------------------------------------------------------------- */

static int verify(const void *conf, struct error *err)
{
    struct plan plan;
    int error = plan_make(&plan, conf, err);
    if (!error)
        plan_clear(&plan);
    return error;
}

static int start(struct app *app, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    struct random_key random = random_key(app->engine->options.seed, app->name, "nat");
    nat->secret =
        (struct siphash_key){ random_draw(&random, 0), random_draw(&random, 1) };
    int error = live_start(app, err);
    if (!error)
        error = vxlan_tables_open(app, err);
    if (error)
        return error;
    nat->fragments = fragments_new(&nat->secret);
    if (!nat->fragments)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for fragments");
    error = vxlan_reassemble_start(app, &nat->secret, err);
    if (error)
        return error;
    for (uint32_t i = 0; i < VXLAN_IDS; i++)
        nat->state->ids[i] = (uint16_t)random_draw(&random, 2 + i);
    error = vxlan_hops_open(app, err);
    if (error)
        return error;
    vxlan_tables_follow(app, app->conf);
    return 0;
}

/* Or are the tables, the neighbours and the program made for something else? */
static bool is_made_for(const struct vxlan_nat_conf *before,
                        const struct vxlan_nat_conf *conf)
{
    bool same_macs = param_same_text(before->smac, conf->smac) &&
                     param_same_text(before->dmac, conf->dmac);
    return before->mode == conf->mode && before->sessions == conf->sessions &&
           before->fastpath == conf->fastpath &&
           param_same_text(before->ingress, conf->ingress) &&
           param_same_text(before->egress, conf->egress) && (same_macs || !conf->egress);
}

/* A fragment follows the first one of its packet by the rules of that time. */
static int reconfigure(struct app *app, const void *conf, struct error *err)
{
    if (!is_made_for(app->conf, conf))
        return -EOPNOTSUPP;
    return live_configure(app, conf, err);
}

static void stop(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    plain_drop(&nat->plain);
    live_stop(app);
    plan_clear(&nat->plan);
    plain_drop(&nat->plain_back);
    fragments_free(nat->fragments);
    reassembly_free(nat->reassembly);
    vxlan_hops_close(app);
    vxlan_tables_close(nat);
}

/* Once; again when it was better in between. Updating does not make them right. */
static void warn_of_checksums(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    uint64_t all = app->counters[CHECKED_CSUM] - nat->checked_before;
    uint64_t bad = app->counters[CHECKED_CSUM_BAD] - nat->bad_before;
    if (all < ENOUGH)
        return;
    bool many = bad * 10 > all;
    if (many && !nat->warned && nat->plan.checksum == CHECKSUM_KEPT)
        app_log(
            app,
            "%" PRIu64
            " %% of the inner checksums are wrong as they come: does a sender on "
            "a virtual link leave them to its interface? (checksum = \"auto\" finishes "
            "them)",
            bad * 100 / all);
    nat->warned = many;
    nat->checked_before += all;
    nat->bad_before += bad;
}

static void tick(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    uint64_t now = engine_now(app->engine);
    nat->state->now = (uint32_t)(now / TENTH);
    vxlan_hops_tick(app);
    vxlan_tables_sweep(nat, engine_now(app->engine));
    vxlan_drop_early(app);
    if (nat->fast)
        vxlan_tables_follow_fast(app);
    warn_of_checksums(app);
    vxlan_reassemble_tick(app);
    count_held(app);
    app->counters[SESSIONS] = nat->sessions.count;
    app->counters[SESSIONS_DISPLACED] = nat->sessions.displaced;
    app->counters[ALLOWED] = allowlist_count(&nat->plan.allow);
    app->counters[PROBLEM] = *nat->live.problem || *nat->live.complaint;
    wake_in_time(app);
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "frames of any kind, of which some are tunnels'" },
    { "back", PORT_INPUT,
      "frames from where output leads to, of which some are answers" },
    { "output", PORT_OUTPUT, "inner frames, with other destinations" },
    { "back", PORT_OUTPUT,
      "answers, in their tunnels (mode route) or without (nat-out)" },
    { NULL },
};

const struct app_class vxlan_nat_class = {
    .name = "VxlanNat",
    .doc =
        "inner packets of VXLAN tunnels, those that are allowed, to other destinations",
    .ports = ports,
    .params = vxlan_nat_params,
    .conf_size = sizeof(struct vxlan_nat_conf),
    .state_size = sizeof(struct vxlan_nat),
    .counters = counters,
    .histograms = histograms,
    .verify = verify,
    .start = start,
    .stop = stop,
    .reconfigure = reconfigure,
    .push = push,
    .tick = tick,
    .operations = vxlan_operations,
    .call = vxlan_call,
};
