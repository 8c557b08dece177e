/* plan: VxlanNat's parameters, and what they come to. */
#include "apps/vxlan_nat/plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mac.h"

#define TUNNEL_MTU_LEAST (MTU_LEAST + 70) /* with the headers of a tunnel over IPv6 */

static const char *const matches[] = { "src", "dst", "either", "both", NULL };
static const char *const inner_vlans[] = { "drop", "strip", "keep", NULL };
static const char *const modes[] = { "oneway", "route", "nat-out", NULL };
static const char *const fastpaths[] = { "auto", "xdp", "off", NULL };
static const char *const checksums[] = { "auto", "incremental", "recompute", NULL };
static const char *const dfs[] = { "auto", "keep", "clear", NULL };
static const char *const ttls[] = { "auto", "keep", "decrement", NULL };

#define CONF struct vxlan_nat_conf

const struct param vxlan_nat_params[] = {
    PARAM_ENUM(
        CONF, mode, "oneway", modes,
        "oneway: nothing comes back; route: answers go back into the tunnel; nat-out: "
        "... without one"),
    PARAM_STRING(CONF, ports, "4789", "UDP ports of VXLAN, N,N,... up to 8"),
    PARAM_STRING(CONF, vnis, "any", "networks: any, or N,N-M,... up to 16"),
    PARAM_STRING(CONF, vteps, "",
                 "our tunnel addresses, as prefixes; none: whatever comes"),
    PARAM_STRING(CONF, peers, "", "tunnels may come from these prefixes; none: from all"),
    PARAM_VALUE(CONF, allow, "",
                "prefixes whose packets may pass: \"192.0.2.0/24 2001:db8::/32\", or a "
                "list; without any none may"),
    PARAM_STRING(CONF, allow_file, "",
                 "more of them: one a line, or a .json file; read again when it changes"),
    PARAM_INTEGER(CONF, allow_max, "65536", "1", "1048576",
                  "prefixes that may be allowed in all"),
    PARAM_BOOL(CONF, flat_only, "false",
               "of a .json file only flat_ip_list, not what its organizations have"),
    PARAM_BOOL(CONF, mask, "false", "... bits behind a prefix are cleared"),
    PARAM_BOOL(CONF, skip_bad, "false", "... entries that are wrong are left out"),
    PARAM_BOOL(CONF, allow_empty, "false", "allow_file may have no entries"),
    PARAM_BOOL(CONF, keep_sessions, "false",
               "flows go on whose source is not allowed any more"),
    PARAM_ENUM(CONF, match, "src", matches, "what of the inner packet is to be allowed"),
    PARAM_VALUE(CONF, rules, "",
                "{ { vni = 42, proto = \"tcp\", dst = \"198.51.100.0/24\", port = "
                "\"8080\", to = \"172.30.82.95:8081\" }, ... }: the most specific one "
                "decides; only `to` must be there"),
    PARAM_BOOL(CONF, forward_rest, "false",
               "what no rule is for goes on as it is, and is not dropped"),
    PARAM_BOOL(CONF, strict, "false", "reserved bits of VXLAN must be 0"),
    PARAM_BOOL(CONF, udp6_zero, "false", "outer UDP over IPv6 may be without a checksum"),
    PARAM_BOOL(CONF, reassemble, "true",
               "outer packets that come in fragments are put together, and not dropped"),
    PARAM_BOOL(CONF, inner_udp6_zero, "false",
               "inner UDP over IPv6 may be without a checksum"),
    PARAM_BOOL(CONF, verify_csum, "false", "a wrong outer UDP checksum drops"),
    PARAM_ENUM(CONF, inner_vlan, "drop", inner_vlans, "what becomes of inner VLAN tags"),
    PARAM_ENUM(
        CONF, df, "auto", dfs,
        "clear: DF is cleared, with a new identification; auto: in mode oneway, where "
        "an ICMP error would reach nobody"),
    PARAM_ENUM(CONF, ttl, "auto", ttls,
               "decrement: as a router does; auto: but in mode oneway"),
    PARAM_ENUM(
        CONF, checksum, "auto", checksums,
        "of inner TCP and UDP. incremental: what is wrong stays wrong; auto: ... but "
        "what a sender left unfinished is finished; recompute: all are right"),
    PARAM_INTEGER(CONF, mtu, "0", "0", "65535",
                  "longer inner packets are sent in fragments, those of IPv6 dropped; 0: "
                  "none is too long"),
    PARAM_STRING(CONF, smac, "", "source MAC that they get; none: they keep theirs"),
    PARAM_STRING(CONF, dmac, "", "destination MAC"),
    PARAM_INTERFACE(CONF, ingress, "", "where tunnels come in; for the fast path"),
    PARAM_INTERFACE(CONF, egress, "",
                    "where inner packets go out; for the fast path, and for MACs by its "
                    "routes and neighbours where smac and dmac do not say them"),
    PARAM_ENUM(
        CONF, fastpath, "auto", fastpaths,
        "xdp: packets of known flows go on in the kernel; auto: where that is possible"),
    PARAM_INTEGER(CONF, sessions, "262144", "16", "4194304",
                  "flows that are known at a time"),
    PARAM_DURATION(CONF, tcp_established, "7440s", "0.1s", "2592000s",
                   "time without a packet that ends a session (RFC 5382)"),
    PARAM_DURATION(CONF, tcp_transitory, "240s", "0.1s", "86400s",
                   "... that is being opened or closed"),
    PARAM_DURATION(CONF, udp_answered, "300s", "0.1s", "86400s", "... of UDP (RFC 4787)"),
    PARAM_DURATION(CONF, udp_unanswered, "120s", "0.1s", "86400s",
                   "... that nobody answered"),
    PARAM_DURATION(CONF, icmp, "60s", "0.1s", "86400s", "(RFC 5508)"),
    PARAM_DURATION(CONF, other, "60s", "0.1s", "86400s", "other protocols"),
    PARAM_INTEGER(CONF, tunnel_mtu, "0", "0", "65535",
                  "longer packets do not go back; 0: what ingress has"),
    PARAM_STRING(
        CONF, snat, "none",
        "sources that packets get in the modes with answers: none, interface (those of "
        "egress), or addresses with commas"),
    PARAM_BOOL(CONF, clamp_mss, "true",
               "TCP is asked for segments that fit both ways; not in mode oneway"),
    PARAM_BOOL(CONF, claim, "false",
               "the kernel does not answer for `ports`: for frames that it gets as well, "
               "those of a RawSocket"),
    PARAM_BOOL(
        CONF, guard, "false",
        "nor does it refuse what comes by egress to snat's addresses and ports, as "
        "far as they are its own: nftables drop that behind a RawSocket"),
    PARAM_BOOL(CONF, tcp_loose, "true",
               "a session may begin in the middle of a TCP connection"),
    PARAM_END,
};

static int wrong(struct error *err, const char *name, const char *text)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "%s: \"%.80s\" is wrong", name, text);
}

/* "N,N-M,...": calls back for each range within most; false at the first that is none. */
static bool each_range(const char *text, unsigned long most,
                       bool (*take)(unsigned long first, unsigned long last, void *user),
                       void *user)
{
    for (char *end; *text; text = *end ? end + 1 : end) {
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (end == text || *text < '0' || *text > '9')
            return false;
        if (*end == '-') {
            const char *from = end + 1;
            last = strtoul(from, &end, 10);
            if (end == from || *from < '0' || *from > '9')
                return false;
        }
        if ((*end && (*end != ',' || !end[1])) || last < first || last > most ||
            !take(first, last, user))
            return false;
    }
    return true;
}

static bool add_port(unsigned long first, unsigned long last, void *user)
{
    struct vxlan_policy *policy = user;
    for (; first <= last; first++) {
        if (!first || policy->nports == VXLAN_PORTS)
            return false;
        policy->ports[policy->nports++] = (uint16_t)first;
    }
    return true;
}

static bool add_vni(unsigned long first, unsigned long last, void *user)
{
    struct vxlan_policy *policy = user;
    if (policy->nvnis == VXLAN_RANGES)
        return false;
    policy->vnis[policy->nvnis].first = (uint32_t)first;
    policy->vnis[policy->nvnis++].last = (uint32_t)last;
    return true;
}

static int make_policy(struct vxlan_policy *policy, const struct vxlan_nat_conf *conf,
                       struct error *err)
{
    *policy = (struct vxlan_policy){ .strict = conf->strict,
                                     .udp6_zero = conf->udp6_zero,
                                     .inner_udp6_zero = conf->inner_udp6_zero,
                                     .verify_csum = conf->verify_csum,
                                     .inner_vlan = (uint8_t)conf->inner_vlan };
    if (!each_range(conf->ports, 65535, add_port, policy) || !policy->nports)
        return wrong(err, "ports", conf->ports);
    if (strcmp(conf->vnis, "any") != 0 &&
        (!each_range(conf->vnis, 0xffffff, add_vni, policy) || !policy->nvnis))
        return wrong(err, "vnis", conf->vnis);
    return 0;
}

static int insert(struct prefix_set **set, const struct prefix *prefix, struct error *err)
{
    if (!*set)
        *set = prefix_set_new();
    return *set && !prefix_set_insert(*set, prefix, 0)
               ? 0
               : error_set(err, ERROR_RUN, ENOMEM, "no room for more prefixes");
}

/* Of words between commas or spaces; NULL: none. */
static int read_prefixes(const char *name, const char *text,
                         int (*take)(void *to, const struct prefix *prefix,
                                     struct error *err),
                         void *to, struct error *err)
{
    char word[64];
    int error = 0;
    while (text && !error && *(text += strspn(text, ", "))) {
        struct prefix prefix;
        size_t length = strcspn(text, ", ");
        snprintf(word, sizeof(word), "%.*s", (int)length, text);
        if (length >= sizeof(word) || prefix_parse(&prefix, word))
            return wrong(err, name, text);
        error = take(to, &prefix, err);
        text += length;
    }
    return error;
}

static int take_prefix(void *to, const struct prefix *prefix, struct error *err)
{
    return insert(to, prefix, err);
}

struct allowing {
    struct allowlist *list;
    size_t max;
};

static int take_allowed(void *to, const struct prefix *prefix, struct error *err)
{
    const struct allowing *allowing = to;
    return allowlist_add(allowing->list, prefix, 0, allowing->max, err);
}

static int read_allow(struct allowlist *list, const struct vxlan_nat_conf *conf,
                      struct error *err)
{
    struct allowing allowing = { list, (size_t)conf->allow_max };
    const struct value *value = &conf->allow;
    char text[64];
    size_t count = value->kind == VALUE_TABLE ? value->table->count : 1;
    int error = 0;
    if (value->kind == VALUE_NIL)
        return 0;
    for (size_t i = 0; i < count && !error; i++) {
        const struct value *one =
            value->kind == VALUE_TABLE ? &value->table->fields[i].value : value;
        error = one->kind == VALUE_STRING
                    ? read_prefixes("allow", one->string, take_allowed, &allowing, err)
                    : wrong(err, "allow", value_format(text, sizeof(text), one));
    }
    return error;
}

struct allowlist_options plan_allow_options(const struct vxlan_nat_conf *conf)
{
    return (struct allowlist_options){ .max = (size_t)conf->allow_max,
                                       .flat_only = conf->flat_only,
                                       .mask = conf->mask,
                                       .skip_bad = conf->skip_bad,
                                       .allow_empty = conf->allow_empty };
}

int plan_allow(struct allowlist *list, const struct vxlan_nat_conf *conf,
               struct error *err)
{
    const struct allowlist_options options = plan_allow_options(conf);
    *list = (struct allowlist){ 0 };
    int error =
        conf->allow_file ? allowlist_read(list, conf->allow_file, &options, err) : 0;
    if (!error)
        error = read_allow(list, conf, err);
    if (error)
        allowlist_clear(list);
    return error;
}

uint32_t plan_organization(const struct plan *plan, const uint32_t src[4],
                           const uint32_t dst[4])
{
    const struct prefix_set *set = plan->allow.set;
    uint32_t organization = 0;
    if (!set)
        return 0;
    if (plan->match != MATCH_DST)
        prefix_set_match(set, (const uint8_t *)src, NULL, &organization);
    if (!organization && plan->match != MATCH_SRC)
        prefix_set_match(set, (const uint8_t *)dst, NULL, &organization);
    return organization;
}

static int read_mac(const char *name, const char *text, uint8_t mac[6], bool *given,
                    struct error *err)
{
    *given = text;
    /* nobody sends from a group (name: smac or dmac) */
    if (text && (!mac_parse(mac, text) || mac[0] & (name[0] == 's')))
        return wrong(err, name, text);
    return 0;
}

void plan_clear(struct plan *plan)
{
    allowlist_clear(&plan->allow);
    prefix_set_free(plan->vteps);
    prefix_set_free(plan->peers);
    rules_clear(&plan->rules);
    *plan = (struct plan){ 0 };
}

int plan_make(struct plan *plan, const struct vxlan_nat_conf *conf, struct error *err)
{
    bool oneway = conf->mode == MODE_ONEWAY;
    *plan = (struct plan){ .match = conf->match,
                           .checksum = conf->checksum,
                           .forward_rest = conf->forward_rest,
                           .clear_df = conf->df ? conf->df == CHANGE_YES : oneway,
                           .decrement = conf->ttl ? conf->ttl == CHANGE_YES : !oneway,
                           .clamp_mss = conf->clamp_mss && !oneway };
    int error = make_policy(&plan->policy, conf, err);
    if (!error && conf->mtu && conf->mtu < MTU_LEAST)
        error = error_set(err, ERROR_CONFIG, EINVAL, "mtu: 0, or %d and more", MTU_LEAST);
    if (!error && conf->tunnel_mtu && conf->tunnel_mtu < TUNNEL_MTU_LEAST)
        error = error_set(err, ERROR_CONFIG, EINVAL, "tunnel_mtu: 0, or %d and more",
                          TUNNEL_MTU_LEAST);
    if (!error)
        error = plan_allow(&plan->allow, conf, err);
    if (!error)
        error = read_prefixes("vteps", conf->vteps, take_prefix, &plan->vteps, err);
    if (!error)
        error = read_prefixes("peers", conf->peers, take_prefix, &plan->peers, err);
    if (!error)
        error = read_mac("smac", conf->smac, plan->smac, &plan->has_smac, err);
    if (!error)
        error = read_mac("dmac", conf->dmac, plan->dmac, &plan->has_dmac, err);
    if (!error)
        error = snat_read(&plan->snat, oneway ? NULL : conf->snat, conf->egress, err);
    if (!error)
        error = rules_read(&plan->rules, &conf->rules, err);
    if (error)
        plan_clear(plan);
    return error;
}
