/* VxlanNat: frames out of a VXLAN tunnel, those that are allowed, to other destinations.
 *
 *     input -> [ VxlanNat ] -> output
 *
 * One way: mirrored or tunnelled traffic comes in, what is in the tunnel goes out with another
 * destination. Nothing goes back where it came from, for there is no port to it.
 *
 *     vxlan_outer, _tunnel, _inner --> allowed? --> rule --> rewrite --> fragments --> output
 *          (decap.bpf.h)              (allow)     (rules)   (rewrite)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "apps/vxlan_nat/plan.h"
#include "engine/engine.h"
#include "engine/plain.h"
#include "lib/checksum.h"
#include "lib/random.h"
#include "lib/table.h"

#define FRAGMENTS     8192
#define FRAGMENT_TIME 15000000000ull /* ns; RFC 791 suggests that */
#define IDS           4096

struct vxlan_nat {
    struct plan plan;
    struct plain plain;
    struct table *fragments;
    uint16_t ids[IDS];
};

struct fragment_key {
    uint32_t vni, id, src[4], dst[4];
    uint64_t protocol;
};

struct fragment {
    struct rewrite_target to;
    uint64_t until;
    bool rewritten;
};

enum {
    TOTAL_PACKETS,
    VXLAN_PACKETS,
    INNER_PACKETS,
    NAT_APPLIED,
    DF_CLEARED,
    FORWARDED,
    REDIRECTED,
    ERRORS,
    BYTES_PROCESSED,
    FRAGMENTED,
    DROP_NO_PACKET,
    DROP_OFFLOAD,
    FIRST_REASON,
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
    return !set || prefix_set_match(set, (const uint8_t *)address, NULL, NULL);
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
#define VXLAN_UDP_IS_WRONG(c, f)  udp_is_wrong(c, f)

#include "apps/vxlan_nat/decap.bpf.h"

/* --- may it, and where to? ------------------------------------------------------------------- */

static bool is_martian(const struct vxlan_frame *f)
{
    const uint8_t *src = (const uint8_t *)f->src;
    if (f->family == 4)
        return !src[12] || src[12] == 127 || src[12] >= 224;
    return src[0] == 0xff || !(f->src[0] | f->src[1] | f->src[2]);
}

static bool is_allowed(const struct plan *plan, int match, const struct vxlan_frame *f)
{
    bool src = plan->allowed && match != MATCH_DST && is_among(plan->allowed, f->src);
    bool dst = plan->allowed && match != MATCH_SRC && is_among(plan->allowed, f->dst);
    return match == MATCH_BOTH ? src && dst : src || dst;
}

static enum vxlan_reason admit(const struct plan *plan, int match,
                               const struct vxlan_frame *f)
{
    if (is_martian(f))
        return VX_IN_MARTIAN;
    if (plan->vteps && (is_among(plan->vteps, f->src) || is_among(plan->vteps, f->dst)))
        return VX_IN_LOOP;
    return is_allowed(plan, match, f) ? VX_NONE : VX_NOT_ALLOWED;
}

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

/* Why no rule was found. */
static enum vxlan_reason without_rule(const struct vxlan_nat *nat,
                                      const struct vxlan_nat_conf *conf,
                                      const struct vxlan_frame *f)
{
    bool has_ports = f->protocol == VXLAN_TCP || f->protocol == VXLAN_UDP;
    if (conf->forward_rest)
        return VX_NONE;
    if (!nat->plan.rules.by_port || f->ports)
        return VX_NO_RULE;
    return has_ports ? VX_IN_L4_SHORT : VX_UNSUPPORTED_L4;
}

/* The first fragment has the ports; the others go where it went. Fills `to`, or *rewritten is
 * false: it goes on as it is. */
static enum vxlan_reason find_target(struct app *app, const struct vxlan_frame *f,
                                     uint64_t now, struct rewrite_target *to,
                                     bool *rewritten)
{
    struct vxlan_nat *nat = app->state;
    struct fragment_key key;
    struct fragment *fragment;
    if (f->fragment && nat->plan.rules.by_port) {
        key = fragment_key(f);
        fragment = table_find(nat->fragments, &key);
        if (!f->l4) {
            if (!fragment || now >= fragment->until)
                return VX_FRAG_EARLY;
            *to = fragment->to;
            *rewritten = fragment->rewritten;
            return VX_NONE;
        }
    }
    *rewritten = rules_find(&nat->plan.rules, f, to) >= 0;
    enum vxlan_reason reason = *rewritten ? VX_NONE : without_rule(nat, app->conf, f);
    if (!reason && f->fragment && nat->plan.rules.by_port &&
        (fragment = table_insert(nat->fragments, &key)))
        *fragment = (struct fragment){ *to, now + FRAGMENT_TIME, *rewritten };
    return reason;
}

/* --- on its way out --------------------------------------------------------------------------- */

static void refuse(struct app *app, struct packet *p, enum vxlan_reason reason)
{
    app_count(app, FIRST_REASON + reason - 1, 1);
    app_count(app, ERRORS, reason > VX_NOT_VXLAN);
    packet_free(p);
}

/* An identification that this pair has not had for long. */
static uint16_t next_id(struct vxlan_nat *nat, const struct vxlan_frame *f)
{
    uint64_t hash = (f->src[3] ^ (uint64_t)f->dst[3] << 7) * 0x9e3779b97f4a7c15ull;
    return ++nat->ids[(hash ^ f->protocol) >> 20 & (IDS - 1)];
}

static void send_one(struct app *app, struct link *output, struct packet *p)
{
    app_count(app, BYTES_PROCESSED, p->length);
    link_transmit(output, p);
}

/* The packet in as many frames as it takes; it is freed. What came in a large packet goes out in
 * ordinary ones, whatever mtu allows. False: not all of it went out. */
static bool send_fragments(struct app *app, struct link *output, struct packet *p,
                           uint32_t l3, uint32_t mtu)
{
    const uint8_t *ip = p->data + l3;
    uint32_t total = p->length - l3, at = 0, room = packet_capacity() - l3;
    bool sent = false;
    app_count(app, FRAGMENTED, 1);
    do {
        struct packet *part = packet_allocate();
        uint32_t next = 0;
        if (!part) {
            app_count(app, DROP_NO_PACKET, 1);
            break;
        }
        memcpy(part->data, p->data, l3);
        part->length = l3 + rewrite_fragment(part->data + l3, ip, total, at,
                                             mtu < room ? mtu : room, &next);
        part->timestamp = p->timestamp;
        send_one(app, output, part);
        at = next;
        sent = !at;
    } while (at);
    packet_free(p);
    return sent;
}

/* The inner frame alone, from its Ethernet header to the end of its IP packet. What travels beside
 * it is said of the outer one: its tag, its checksum, its flow. */
static uint32_t uncover(const struct app *app, struct packet *p,
                        const struct vxlan_frame *f)
{
    const struct vxlan_nat *nat = app->state;
    uint32_t l3 = f->l3 - f->inner;
    packet_resize(p, f->end);
    packet_trim_front(p, f->inner);
    p->flags = 0;
    p->hash = 0;
    if (f->tags && nat->plan.policy.inner_vlan == INNER_VLAN_STRIP) {
        memmove(p->data + l3 - 14, p->data, 12);
        packet_trim_front(p, l3 - 14);
        l3 = 14;
    }
    if (nat->plan.has_dmac)
        memcpy(p->data, nat->plan.dmac, 6);
    if (nat->plan.has_smac)
        memcpy(p->data + 6, nat->plan.smac, 6);
    return l3;
}

static void forward(struct app *app, struct packet *p, const struct vxlan_frame *f,
                    const struct rewrite_target *to)
{
    const struct vxlan_nat_conf *conf = app->conf;
    struct link *output = app_output(app, 0);
    struct rewrite rewrite = { .to = to,
                               .clear_df = conf->clear_df,
                               .id = conf->clear_df && f->df ? next_id(app->state, f) : 0,
                               .decrement = conf->decrement_ttl };
    bool fits = !conf->mtu || f->end - f->l3 <= conf->mtu;
    if (f->hops < 1u + conf->decrement_ttl) {
        refuse(app, p, VX_TTL_EXCEEDED);
    } else if (!fits && (f->family == 6 || f->truncated || (f->df && !conf->clear_df))) {
        refuse(app, p, VX_MTU);
    } else if (!output) {
        refuse(app, p, VX_NO_OUTPUT);
    } else {
        app_count(app, DF_CLEARED, rewrite_packet(p->data, f, &rewrite));
        app_count(app, NAT_APPLIED, to != NULL);
        uint32_t l3 = uncover(app, p, f);
        if (fits)
            send_one(app, output, p);
        bool sent = fits || send_fragments(app, output, p, l3, (uint32_t)conf->mtu);
        app_count(app, FORWARDED, sent);
        app_count(app, REDIRECTED, sent);
        app_count(app, ERRORS, !sent);
    }
}

static void take(struct app *app, struct packet *p, uint64_t now)
{
    const struct vxlan_nat_conf *conf = app->conf;
    struct vxlan_nat *nat = app->state;
    struct vxlan_context c = { p->data, p->data + p->length, &nat->plan };
    struct vxlan_frame f;
    struct rewrite_target to = { .port = 0 };
    bool rewritten = false;
    app_count(app, TOTAL_PACKETS, 1);
    if (!vxlan_outer(&c, &f) || !vxlan_tunnel(&c, &f)) {
        refuse(app, p, f.reason);
        return;
    }
    app_count(app, VXLAN_PACKETS, 1);
    if (!vxlan_inner(&c, &f)) {
        refuse(app, p, f.reason);
        return;
    }
    app_count(app, INNER_PACKETS, 1);
    app_count(app, FIRST_REASON + VX_IN_TRUNC - 1, f.truncated);
    enum vxlan_reason reason = admit(&nat->plan, conf->match, &f);
    if (!reason)
        reason = find_target(app, &f, now, &to, &rewritten);
    if (reason)
        refuse(app, p, reason);
    else
        forward(app, p, &f, rewritten ? &to : NULL);
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
    struct packet **run, *p[LINK_BURST];
    uint64_t now = engine_now(app->engine);
    uint32_t n;
    /* not plain_receive_burst: an unfinished checksum cannot be updated */
    while (input && (n = plain_run(&nat->plain, input, &run, LINK_BURST))) {
        packet_pointers(p, run, n);
        plain_advance(&nat->plain, input, n);
        for (uint32_t i = 0; i < n; i++)
            take(app, p[i], now);
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
    nat->fragments = table_new(sizeof(struct fragment_key), sizeof(struct fragment),
                               FRAGMENTS, &seed, TABLE_LRU);
    for (uint32_t i = 0; i < IDS; i++)
        nat->ids[i] = (uint16_t)random_draw(&random, 2 + i);
    if (!nat->fragments)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for fragments");
    int error = plan_make(&nat->plan, app->conf, err);
    if (!error)
        say_odd(app);
    return error;
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
    say_odd(app);
    return 0;
}

static void stop(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    plain_drop(&nat->plain);
    plan_clear(&nat->plan);
    table_free(nat->fragments);
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
};
