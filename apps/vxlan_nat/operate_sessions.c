/* operate_sessions: what people ask a running VxlanNat of its flows and single packets. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apps/vxlan_nat/operations.h"
#include "apps/vxlan_nat/vxlan_nat.h"
#include "lib/arguments.h"
#include "lib/mac.h"

static const char *const reasons[] = {
#define REASON_NAME(NAME, name, stage, doc) [VX_##NAME] = #name,
    VXLAN_REASONS(REASON_NAME)
};

/* --- fields --------------------------------------------------------------------------- */

static void add_address(struct value *to, const char *name, const uint32_t address[4])
{
    char text[PREFIX_TEXT_SIZE];
    struct prefix prefix = prefix_unmapped((const uint8_t *)address, 128);
    answer_string(to, name, prefix_short(&prefix, text));
}

static void add_protocol(struct value *to, uint8_t protocol)
{
    char text[8];
    const char *name = protocol == VXLAN_TCP      ? "tcp"
                       : protocol == VXLAN_UDP    ? "udp"
                       : protocol == VXLAN_ICMP   ? "icmp"
                       : protocol == VXLAN_ICMPV6 ? "icmp6"
                                                  : NULL;
    snprintf(text, sizeof(text), "%u", protocol);
    answer_string(to, "protocol", name ? name : text);
}

static void add_rule(struct value *to, uint16_t rule)
{
    if (rule == VXLAN_OLD_RULE)
        answer_string(to, "rule", "earlier");
    else if (rule != VXLAN_NO_RULE)
        answer_integer(to, "rule", rule + 1u);
}

static void add_tunnel(struct value *to, const struct vxlan_nat *nat,
                       const struct vxlan_flow *flow)
{
    if (flow->tunnel < VXLAN_TUNNELS) {
        add_address(to, "peer", nat->state->tunnels[flow->tunnel].peer);
        add_address(to, "vtep", nat->state->tunnels[flow->tunnel].ours);
    }
}

/* What packets have from now on. */
static void add_rewrite(struct value *to, const struct vxlan_flow *flow)
{
    struct value new = value_table();
    add_address(&new, "source", flow->to.src);
    add_address(&new, "destination", flow->to.dst);
    answer_integer(&new, "sport", ntohs(flow->to.sport));
    answer_integer(&new, "dport", ntohs(flow->to.dport));
    value_table_add(to, "to", new);
}

/* --- sessions ------------------------------------------------------------------------- */

/* Which ones are meant. */
struct choice {
    struct prefix source, destination, address;
    int64_t port, vni, rule; /* -1: any */
    bool by_source, by_destination, by_address, refused, passed;
};

static int prefix_of(const struct value *args, const char *name, struct prefix *prefix,
                     bool *given, struct error *err)
{
    *given = args->kind == VALUE_TABLE && value_get(args, name);
    return *given ? argument_prefix(args, name, prefix, err) : 0;
}

static int read_choice(const struct value *args, struct choice *choice, struct error *err)
{
    *choice = (struct choice){ .port = -1, .vni = -1, .rule = -1 };
    int error =
        prefix_of(args, "source", &choice->source, &choice->by_source, err)
            ?: prefix_of(args, "destination", &choice->destination,
                         &choice->by_destination, err)
            ?: prefix_of(args, "address", &choice->address, &choice->by_address, err)
            ?: argument_integer(args, "port", &choice->port, err)
            ?: argument_integer(args, "vni", &choice->vni, err)
            ?: argument_integer(args, "rule", &choice->rule, err);
    choice->refused = argument_bool(args, "refused");
    choice->passed = argument_bool(args, "passed");
    return error;
}

static bool contains(const struct prefix *prefix, const uint32_t address[4])
{
    struct prefix one = prefix_unmapped((const uint8_t *)address, 128);
    return prefix_contains(prefix, one.family, one.address);
}

static bool is_meant(const struct choice *c, const struct vxlan_key *key,
                     const struct vxlan_flow *flow)
{
    if (c->by_source && !contains(&c->source, key->src))
        return false;
    if (c->by_destination && !contains(&c->destination, key->dst) &&
        !contains(&c->destination, flow->to.dst))
        return false;
    if (c->by_address && !contains(&c->address, key->src) &&
        !contains(&c->address, key->dst) && !contains(&c->address, flow->to.dst))
        return false;
    if (c->port >= 0 && c->port != key->identity >> 16 &&
        c->port != (key->identity & 0xffff) && c->port != ntohs(flow->to.dport))
        return false;
    return (c->vni < 0 || c->vni == (key->network & 0xffffff)) &&
           (c->rule < 0 || (flow->rule < RULES_MAX && c->rule == flow->rule + 1)) &&
           (!c->refused || flow->reason) && (!c->passed || !flow->reason);
}

static struct value session_row(struct vxlan_nat *nat, const struct vxlan_key *key,
                                const struct vxlan_flow *flow)
{
    struct value row = value_table();
    answer_integer(&row, "vni", key->network & 0xffffff);
    add_protocol(&row, (uint8_t)(key->network >> 24));
    add_address(&row, "source", key->src);
    add_address(&row, "destination", key->dst);
    answer_integer(&row, "sport", key->identity >> 16);
    answer_integer(&row, "dport", key->identity & 0xffff);
    if (flow->reason)
        answer_string(&row, "refused", reasons[flow->reason % VX_REASONS]);
    else
        add_rewrite(&row, flow);
    add_rule(&row, flow->rule);
    add_tunnel(&row, nat, flow);
    const char *owner = allowlist_name(&nat->plan.allow,
                                       plan_organization(&nat->plan, key->src, key->dst));
    if (owner)
        answer_string(&row, "organization", owner);
    answer_integer(&row, "packets", flow->packets);
    answer_integer(&row, "bytes", flow->bytes);
    value_table_add(&row, "answered", value_bool(flow->flags & FLOW_ANSWERED));
    value_table_add(&row, "remaining",
                    value_number(sessions_left(&nat->sessions, key, flow) / 10.0));
    return row;
}

OPERATION(sessions_list)
{
    struct vxlan_nat *nat = app->state;
    struct choice choice;
    struct value rows = value_table();
    const struct vxlan_key *key;
    const struct vxlan_flow *flow;
    int64_t limit = OPERATION_ROWS;
    uint64_t at = 0, count = 0;
    int error =
        read_choice(args, &choice, err) ?: argument_integer(args, "limit", &limit, err);
    while (!error && (flow = sessions_next(&nat->sessions, &at, &key)))
        if (is_meant(&choice, key, flow) && sessions_left(&nat->sessions, key, flow) &&
            count++ < (uint64_t)limit && rows.table->count < OPERATION_ROWS)
            value_table_add(&rows, NULL, session_row(nat, key, flow));
    *answer = value_table();
    answer_integer(answer, "count", count);
    value_table_add(answer, "rows", rows);
    return error;
}

OPERATION(sessions_flush)
{
    struct vxlan_nat *nat = app->state;
    struct choice choice;
    const struct vxlan_key *key;
    const struct vxlan_flow *flow;
    uint64_t at = 0;
    int64_t gone = 0;
    int error = read_choice(args, &choice, err);
    while (!error && (flow = sessions_next(&nat->sessions, &at, &key)))
        if (is_meant(&choice, key, flow)) {
            sessions_remove(&nat->sessions, key);
            gone++;
        }
    *answer = value_integer(gone);
    return error;
}

/* --- trace ----------------------------------------------------------------------------- */

OPERATION(trace_start)
{
    int64_t packets = 1;
    int error = argument_integer(args, "n", &packets, err);
    if (error)
        return error;
    if (packets < 1 || packets > TRACE_MOST)
        return error_set(err, ERROR_CONFIG, EINVAL, "n: 1 to %d packets", TRACE_MOST);
    return live_trace(app, (uint32_t)packets, err);
}

static void add_step(struct value *steps, const char *step, const char *verdict)
{
    struct value row = value_table();
    answer_string(&row, "step", step);
    answer_string(&row, "verdict", verdict);
    value_table_add(steps, NULL, row);
}

/* Steps up to the one that refused it. */
static struct value steps_of(const struct vxlan_trace_record *record)
{
    static const char *const names[] = { "outer", "tunnel", "inner", "decision" };
    struct value steps = value_table();
    const struct vxlan_frame *f = &record->f;
    enum vxlan_stage stage = record->reason ? vxlan_stage_of(record->reason) : STAGE_NOTE;
    const char *reason = record->reason ? reasons[record->reason % VX_REASONS] : NULL;
    /* that it is of another tunnel is known when the outer headers are */
    unsigned last = stage == STAGE_PASS || (stage == STAGE_OUTER && !f->udp) ? 0
                    : stage == STAGE_OUTER                                   ? 1
                    : stage == STAGE_TUNNEL                                  ? 2
                                                                             : 3;
    for (unsigned i = 0; i < last; i++)
        add_step(&steps, names[i], "ok");
    if (last < 3) {
        add_step(&steps, names[last], reason);
        return steps;
    }
    if (record->decided) {
        add_step(&steps, "flow", record->first ? "new" : "known");
        add_step(&steps, "admission",
                 record->flow.reason ? reasons[record->flow.reason % VX_REASONS] : "ok");
    }
    if (record->decided && !record->flow.reason)
        add_step(&steps, "forward", reason ? reason : "ok");
    else if (!record->decided) /* an ICMP error of another flow, or an early fragment */
        add_step(&steps, "flow", reason ? reason : "none of its own");
    return steps;
}

static void add_inner(struct value *row, const struct vxlan_frame *f)
{
    answer_integer(row, "vni", f->vni);
    add_protocol(row, f->protocol);
    add_address(row, "source", f->src);
    add_address(row, "destination", f->dst);
    answer_integer(row, "sport", f->sport);
    answer_integer(row, "dport", f->dport);
    answer_integer(row, "inner_length", f->total);
    answer_integer(row, "ttl", f->hops);
    value_table_add(row, "df", value_bool(f->df));
    value_table_add(row, "fragment", value_bool(f->fragment));
    value_table_add(row, "truncated", value_bool(f->truncated));
}

static void add_mac(struct value *row, const char *name, const union vxlan_hop *hop)
{
    char text[MAC_TEXT_SIZE];
    answer_string(row, name,
                  hop->state == MAC_KNOWN  ? mac_format(hop->mac, text)
                  : hop->state == MAC_KEPT ? "kept"
                                           : "unknown");
}

static struct value trace_row(const struct vxlan_nat *nat,
                              const struct vxlan_trace_record *record)
{
    struct value row = value_table();
    const struct vxlan_frame *f = &record->f;
    value_table_add(&row, "time", value_number((double)record->time / 1e9));
    answer_integer(&row, "length", record->length);
    if (f->outer_family) {
        add_address(&row, "outer_source", f->outer_src);
        add_address(&row, "outer_destination", f->outer_dst);
    }
    if (f->family)
        add_inner(&row, f);
    value_table_add(&row, "steps", steps_of(record));
    if (record->decided) {
        add_rule(&row, record->flow.rule);
        if (!record->reason) {
            add_rewrite(&row, &record->flow);
            add_mac(&row, "dmac", &nat->state->hops[record->flow.hop % VXLAN_HOPS]);
            add_mac(&row, "smac", &nat->state->source);
        }
    }
    answer_string(&row, "verdict",
                  record->reason ? reasons[record->reason % VX_REASONS] : "forwarded");
    return row;
}

OPERATION(trace_read)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_trace *trace = nat->live.trace;
    struct value rows = value_table();
    *answer = value_table();
    if (trace) {
        trace->asked = engine_now(app->engine);
        for (; trace->told < trace->count; trace->told++)
            value_table_add(&rows, NULL, trace_row(nat, &trace->records[trace->told]));
    }
    value_table_add(answer, "rows", rows);
    value_table_add(answer, "done", value_bool(!trace || vxlan_trace_is_done(trace)));
    if (trace && vxlan_trace_is_done(trace))
        live_end_trace(app);
    return 0;
}
