/* VxlanNat: frames out of a VXLAN tunnel, those that are allowed, to other destinations.
 *
 *     input -> [ VxlanNat ] -> output
 *
 * One way: mirrored or tunnelled traffic comes in, what is in the tunnel goes out with another
 * destination. Nothing goes back where it came from, for there is no port to it.
 *
 *     vxlan_outer, _tunnel, _inner --> its flow --------------------> rewrite --> output
 *          (decap.bpf.h)                  |  ^                      (forward.c)
 *                                         v  |
 *                                 admission: allowed? a rule?
 *
 * What is decided for the first packet of a flow holds for the others (sessions.h); a plan that
 * changes is looked at again for all flows at once.
 */
#include "apps/vxlan_nat/vxlan_nat.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "apps/vxlan_nat/admission.h"
#include "lib/checksum.h"
#include "lib/random.h"
#include "lib/table.h"

#define FRAGMENTS     8192
#define FRAGMENT_TIME 15000000000ull /* ns; RFC 791 suggests that */
#define BATCH         16 /* packets that are looked at before the first one goes on */

/* A packet of a tunnel, and what is known of it. */
struct seen {
    struct packet *p;
    struct vxlan_frame f;
    struct vxlan_key key;
    uint64_t hash;
};

struct fragment_key {
    uint32_t vni, id, src[4], dst[4];
    uint64_t protocol;
};

struct fragment {
    struct vxlan_flow flow;
    uint64_t until;
};

#define PREFIX_PASS   "pass_"
#define PREFIX_OUTER  "drop_"
#define PREFIX_TUNNEL "drop_"
#define PREFIX_NAT    "drop_"
#define PREFIX_NOTE   ""
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
    [FAST_PACKETS] = { "fast_packets",
                       "... by the fast path, without leaving the kernel" },
    [SESSIONS] = { "sessions", "flows that are known, now" },
    [SESSIONS_DISPLACED] = { "sessions_displaced", "... that made way for others" },
    [DROP_NO_PACKET] = { "drop_no_packet",
                         "... cut short, for no packet was free for a fragment" },
    [DROP_OFFLOAD] = { "drop_offload",
                       "frames whose checksum or segments are wrongly described" },
    VXLAN_REASONS(REASON_COUNTER){ NULL, NULL },
};

/* --- what decap.bpf.h asks for ------------------------------------------------------------ */

struct vxlan_context {
    const uint8_t *data, *end;
    const struct plan *plan;
};

static bool is_among(const struct prefix_set *set, const uint32_t address[4])
{
    return !set || plan_is_among(set, address);
}

static bool udp_is_wrong(const struct vxlan_context *c, const struct vxlan_frame *f)
{
    bool ipv4 = f->outer_family == 4;
    uint8_t addresses[32];
    const uint8_t *udp = c->data + f->udp;
    uint32_t length = f->outer_end - f->udp;
    size_t size = ipv4 ? 4 : 16;
    memcpy(addresses, (const uint8_t *)f->outer_src + 16 - size, size);
    memcpy(addresses + size, (const uint8_t *)f->outer_dst + 16 - size, size);
    uint64_t sum = ipv4 ? checksum_pseudo4(addresses, IPPROTO_UDP, length)
                        : checksum_pseudo6(addresses, IPPROTO_UDP, length);
    return checksum_fold(checksum_sum(udp, length, sum)) != 0;
}

#define VXLAN_DATA(c)             ((c)->data)
#define VXLAN_END(c)              ((c)->end)
#define VXLAN_POLICY(c)           (&(c)->plan->policy)
#define VXLAN_IS_VTEP(c, address) is_among((c)->plan->vteps, address)
#define VXLAN_IS_PEER(c, address) is_among((c)->plan->peers, address)
#define VXLAN_IS_NETWORK(c, vni)  admission_is_network(&(c)->plan->policy, vni)
#define VXLAN_UDP_IS_WRONG(c, f)  udp_is_wrong(c, f)

#define VXLAN_HEADERS 8

#include "apps/vxlan_nat/decap.bpf.h"

/* --- which flow? ---------------------------------------------------------------------------- */

/* RFC 791, 3.2; RFC 8200, 4.5: of IPv6 the protocol is no part of it, which only the first one may
 * know. */
static struct fragment_key fragment_key(const struct vxlan_frame *f)
{
    struct fragment_key key = { .vni = f->vni,
                                .id = f->id,
                                .protocol = f->family == 4 ? f->protocol : 0 };
    memcpy(key.src, f->src, sizeof(key.src));
    memcpy(key.dst, f->dst, sizeof(key.dst));
    return key;
}

/* Decides about a packet. The flow as it is known from now on, or `own`: it cannot, or is not to, be
 * known. */
static struct vxlan_flow *decide_flow(struct app *app, const struct seen *seen,
                                      bool known, struct vxlan_flow *own)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    uint32_t tunnel = vxlan_tunnel_number(nat, seen->p->data, &seen->f);
    struct vxlan_flow *flow = NULL;
    int error;
    *own = (struct vxlan_flow){ .used = nat->state->now,
                                .vni = seen->f.vni,
                                .mtu = (uint16_t)conf->mtu,
                                .tunnel = (uint16_t)tunnel };
    admission_decide(&nat->plan, &seen->f, own);
    if (known && tunnel < VXLAN_TUNNELS)
        flow = sessions_add(&nat->sessions, &seen->key, own, NULL, NULL, &error);
    return flow ? flow : own;
}

/* NULL where it is to be decided. */
static struct vxlan_flow *known_flow(struct vxlan_nat *nat, const struct seen *seen)
{
    struct vxlan_flow *flow =
        sessions_find_hashed(&nat->sessions, &seen->key, seen->hash);
    return flow && vxlan_is_from(&seen->f, &nat->state->tunnels[flow->tunnel]) ? flow
                                                                               : NULL;
}

/* The first fragment has the ports; the others go where it went. NULL: it did not come. */
static struct vxlan_flow *fragment_flow(struct app *app, const struct seen *seen,
                                        struct vxlan_flow *own)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_frame *f = &seen->f;
    struct fragment_key key = fragment_key(f);
    struct fragment *fragment;
    uint64_t now = engine_now(app->engine);
    if (!nat->plan.rules.by_port)
        return decide_flow(app, seen, false, own);
    if (!f->l4) {
        fragment = table_find(nat->fragments, &key);
        return fragment && now < fragment->until ? &fragment->flow : NULL;
    }
    struct vxlan_flow *flow = f->ports ? known_flow(nat, seen) : NULL;
    if (!flow)
        flow = decide_flow(app, seen, f->ports, own);
    if (!flow->reason && (fragment = table_insert(nat->fragments, &key)))
        *fragment = (struct fragment){ *flow, now + FRAGMENT_TIME };
    return flow;
}

static struct vxlan_flow *find_flow(struct app *app, const struct seen *seen,
                                    struct vxlan_flow *own)
{
    if (seen->f.fragment)
        return fragment_flow(app, seen, own);
    if (!vxlan_has_key(&seen->f))
        return decide_flow(app, seen, false, own);
    struct vxlan_flow *flow = known_flow(app->state, seen);
    return flow ? flow : decide_flow(app, seen, true, own);
}

/* --- the way of a packet --------------------------------------------------------------------- */

void vxlan_refuse_packet(struct app *app, struct packet *p, enum vxlan_reason reason)
{
    app_count(app, FIRST_REASON + reason - 1, 1);
    app_count(app, ERRORS, reason > VX_NOT_VXLAN);
    packet_free(p);
}

/* What is known of the inner packet; false: it went no further. */
static bool look(struct app *app, struct packet *p, struct vxlan_frame *f)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_context c = { p->data, p->data + p->length, &nat->plan };
    if (vxlan_outer(&c, f) && vxlan_tunnel(&c, f)) {
        app_count(app, VXLAN_PACKETS, 1);
        if (vxlan_inner(&c, f)) {
            app_count(app, INNER_PACKETS, 1);
            app_count(app, FIRST_REASON + VX_IN_TRUNC - 1, f->truncated);
            return true;
        }
    }
    vxlan_refuse_packet(app, p, f->reason);
    return false;
}

static void take(struct app *app, const struct seen *seen)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_flow own, *flow = find_flow(app, seen, &own);
    if (!flow) {
        vxlan_refuse_packet(app, seen->p, VX_FRAG_EARLY);
        return;
    }
    if (nat->fast) { /* which counts there as well */
        __atomic_fetch_add(&flow->packets, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&flow->bytes, seen->f.end - seen->f.inner, __ATOMIC_RELAXED);
    } else {
        flow->packets++;
        flow->bytes += seen->f.end - seen->f.inner;
    }
    flow->used = nat->state->now;
    if (flow->reason)
        vxlan_refuse_packet(app, seen->p, flow->reason);
    else
        vxlan_forward(app, seen->p, &seen->f, flow);
}

/* Memory comes while other packets are looked at. */
static void take_batch(struct app *app, struct packet *const *p, uint32_t n)
{
    struct vxlan_nat *nat = app->state;
    struct seen seen[BATCH];
    uint32_t good = 0;
    app_count(app, TOTAL_PACKETS, n);
    for (uint32_t i = 0; i < n; i++) {
        struct seen *this = &seen[good];
        if (!look(app, p[i], &this->f))
            continue;
        this->p = p[i];
        vxlan_key_of(&this->f, &this->key);
        this->hash = sessions_hash(&nat->sessions, &this->key);
        good++;
    }
    for (uint32_t i = 0; i < good; i++)
        sessions_expect(&nat->sessions, seen[i].hash);
    for (uint32_t i = 0; i < good; i++)
        take(app, &seen[i]);
}

/* What could not be made plain came in as well. */
static void count_bad(struct app *app, struct plain *plain)
{
    app_count(app, TOTAL_PACKETS, plain->bad);
    app_count(app, DROP_OFFLOAD, plain->bad);
    app_count(app, ERRORS, plain->bad);
    plain->bad = 0;
}

static void push(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    struct link *input = app_input(app, 0);
    struct packet **run, *p[BATCH];
    uint32_t n;
    nat->state->now = (uint32_t)(engine_now(app->engine) / TENTH);
    /* not plain_receive_burst: an unfinished checksum cannot be updated */
    while (input && (n = plain_run(&nat->plain, input, &run, BATCH))) {
        packet_pointers(p, run, n);
        plain_advance(&nat->plain, input, n);
        take_batch(app, p, n);
    }
    count_bad(app, &nat->plain);
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

/* What is odd about a file is no reason not to use it. */
static void say_odd(struct app *app)
{
    const struct vxlan_nat *nat = app->state;
    const struct allowlist *file = &nat->plan.file;
    if (file->total >= 0 && (unsigned long long)file->total != file->prefixes)
        app_log(app, "allow_file says that it has %lld entries, and has %zu", file->total,
                file->prefixes);
}

static int start(struct app *app, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    struct random_key random = random_key(app->engine->options.seed, app->name, "nat");
    struct siphash_key seed = { random_draw(&random, 0), random_draw(&random, 1) };
    int error = plan_make(&nat->plan, app->conf, err);
    if (!error)
        error = vxlan_tables_open(app, err);
    if (error)
        return error;
    nat->fragments = table_new(sizeof(struct fragment_key), sizeof(struct fragment),
                               FRAGMENTS, &seed, TABLE_LRU);
    if (!nat->fragments)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for fragments");
    for (uint32_t i = 0; i < VXLAN_IDS; i++)
        nat->state->ids[i] = (uint16_t)random_draw(&random, 2 + i);
    vxlan_tables_follow(app);
    say_odd(app);
    return 0;
}

/* A fragment follows the first one of its packet by the rules of that time. */
static int reconfigure(struct app *app, const void *conf, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    struct plan plan;
    int error = plan_make(&plan, conf, err);
    if (error)
        return error;
    plan_clear(&nat->plan);
    nat->plan = plan;
    vxlan_tables_follow(app);
    say_odd(app);
    return 0;
}

static void stop(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    plain_drop(&nat->plain);
    plan_clear(&nat->plan);
    table_free(nat->fragments);
    vxlan_tables_close(nat);
}

static void tick(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    uint64_t now = engine_now(app->engine);
    nat->state->now = (uint32_t)(now / TENTH);
    vxlan_tables_sweep(nat);
    if (nat->fast && now >= nat->looked + TENTH) {
        nat->looked = now;
        vxlan_tables_follow_fast(app);
        app_wake_at(
            app, now + TENTH); /* for the clock of the XDP program, if for nothing else */
    }
    app->counters[SESSIONS] = nat->sessions.count;
    app->counters[SESSIONS_DISPLACED] = nat->sessions.displaced;
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "frames of any kind" },
    { "output", PORT_OUTPUT, "inner frames, with other destinations" },
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
    .verify = verify,
    .start = start,
    .stop = stop,
    .reconfigure = reconfigure,
    .push = push,
    .tick = tick,
};
