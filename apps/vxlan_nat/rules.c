/* rules: where to. */
#include "apps/vxlan_nat/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/param.h"
#include "lib/prefix.h"
#include "lib/table.h"

#define ANY_VNI   0xffffffff
#define ANY_PROTO 0

struct rule {
    uint32_t vni, number; /* as it was written, from 0 */
    uint8_t proto;
    bool by_dst, has_port;
    struct prefix dst;
    struct port_range ports;
    struct target_group to;
    uint32_t run; /* of rules with the same network, protocol and port, from here on */
};

struct rule_conf {
    int64_t vni;
    int proto;
    char *dst, *port, *comment;
    struct value to;
};

static const char *const protocols[] = { "any", "tcp", "udp", NULL };
static const uint8_t protocol_numbers[] = { ANY_PROTO, 6, 17 };

static const struct param rule_params[] = {
    PARAM_INTEGER(struct rule_conf, vni, "-1", "-1", "16777215",
                  "VXLAN network; -1: any"),
    PARAM_ENUM(struct rule_conf, proto, "any", protocols, "of the inner packet"),
    PARAM_STRING(struct rule_conf, dst, "", "its destination, ADDRESS or ADDRESS/BITS"),
    PARAM_STRING(struct rule_conf, port, "", "its destination port, N or N-M"),
    PARAM_VALUE(struct rule_conf, to, NULL,
                "ADDRESS, ADDRESS:PORT or ADDRESS:N-M that it gets, or a list of them"),
    PARAM_STRING(struct rule_conf, comment, "", "for people"),
    PARAM_END,
};

/* --- as they are written ------------------------------------------------------------------- */

static int wrong(struct error *err, const char *what, const char *text)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "%s: \"%.80s\" is none", what, text);
}

static int make(struct rules *rules, struct rule *rule, const struct rule_conf *conf,
                struct error *err)
{
    rule->vni = conf->vni < 0 ? ANY_VNI : (uint32_t)conf->vni;
    rule->proto = protocol_numbers[conf->proto];
    rule->by_dst = conf->dst;
    rule->has_port = conf->port;
    if (conf->dst && prefix_parse(&rule->dst, conf->dst))
        return wrong(err, "dst", conf->dst);
    if (conf->port && !port_range_parse(&rule->ports, conf->port))
        return wrong(err, "port", conf->port);
    int error = targets_read(&rules->targets, &rule->to, &conf->to,
                             rule->has_port ? &rule->ports : NULL, err);
    if (!error && rule->by_dst && rule->dst.family != rule->to.family)
        return error_set(err, ERROR_CONFIG, EINVAL, "dst and to are of two families");
    return error;
}

/* --- in the order in which they are tried ---------------------------------------------------- */

static int kind_of(const struct rule *rule)
{
    return (rule->vni == ANY_VNI) * 2 + (rule->proto == ANY_PROTO);
}

static int rank(const struct rule *rule)
{
    return (!rule->has_port ? 2 : rule->ports.low != rule->ports.high) * 4 +
           kind_of(rule);
}

static int by_weight(const void *a, const void *b)
{
    const struct rule *x = a, *y = b;
    if (rank(x) != rank(y))
        return rank(x) - rank(y);
    /* rules of one key are neighbours */
    if (x->ports.low == x->ports.high && x->has_port) {
        if (x->vni != y->vni)
            return x->vni < y->vni ? -1 : 1;
        if (x->proto != y->proto || x->ports.low != y->ports.low)
            return x->proto != y->proto ? x->proto - y->proto
                                        : x->ports.low - y->ports.low;
    }
    int bits = (y->by_dst ? y->dst.bits + 1 : 0) - (x->by_dst ? x->dst.bits + 1 : 0);
    if (bits)
        return bits;
    int width = (x->ports.high - x->ports.low) - (y->ports.high - y->ports.low);
    return width ? width : (int)x->number - (int)y->number;
}

struct port_key {
    uint32_t vni;
    uint16_t port;
    uint8_t proto, unused;
};

static int index_ports(struct rules *rules)
{
    struct siphash_key seed = { 0x766e69, 0x706f7274 }; /* keys are the operator's */
    while (rules->exact < rules->count && rules->list[rules->exact].has_port &&
           rules->list[rules->exact].ports.low == rules->list[rules->exact].ports.high)
        rules->exact++;
    rules->by_port = rules->count && rules->list[0].has_port;
    rules->ports = table_new(sizeof(struct port_key), sizeof(uint64_t),
                             rules->exact ? rules->exact : 1, &seed, TABLE_REFUSE);
    if (!rules->ports)
        return -ENOMEM;
    for (uint32_t i = rules->exact; i-- > 0;) {
        struct rule *rule = &rules->list[i];
        struct port_key key = { rule->vni, rule->ports.low, rule->proto, 0 };
        uint64_t *first = table_insert(rules->ports, &key);
        if (!first)
            return -ENOMEM;
        rules->kinds |= (uint8_t)(1 << kind_of(rule));
        rule->run = *first ? rules->list[*first - 1].run + 1 : 1;
        *first = i + 1;
    }
    return 0;
}

static int read_rule(struct rules *rules, const struct value *value, struct error *err)
{
    struct rule_conf conf;
    struct rule *rule = &rules->list[rules->count];
    int error = param_parse(rule_params, value, &conf, sizeof(conf), err);
    if (error)
        return error;
    error = make(rules, rule, &conf, err);
    param_free(rule_params, &conf);
    rules->count++;
    return error;
}

int rules_read(struct rules *rules, const struct value *value, struct error *err)
{
    size_t count = value->kind == VALUE_TABLE ? value->table->count : 0;
    int error = 0;
    *rules = (struct rules){ 0 };
    if ((value->kind != VALUE_TABLE && value->kind != VALUE_NIL) || count > RULES_MAX)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "rules: a list of up to %d, such as { { port = \"80\", to = "
                         "\"192.0.2.1:8080\" } }",
                         RULES_MAX);
    rules->list = calloc(count + 1, sizeof(*rules->list));
    for (size_t i = 0; rules->list && i < count && !error; i++) {
        if (value->table->fields[i].value.kind == VALUE_NIL)
            continue;
        rules->list[rules->count].number = (uint32_t)i;
        error = read_rule(rules, &value->table->fields[i].value, err);
        if (error)
            error_prefix(err, "rules[%zu]: ", i + 1);
    }
    if (!error && rules->list) {
        qsort(rules->list, rules->count, sizeof(*rules->list), by_weight);
        if (!index_ports(rules))
            return 0;
    }
    if (!error)
        error = error_set(err, ERROR_RUN, ENOMEM, "no memory for the rules");
    rules_clear(rules);
    return error;
}

void rules_clear(struct rules *rules)
{
    free(rules->list);
    targets_clear(&rules->targets);
    table_free(rules->ports);
    *rules = (struct rules){ 0 };
}

/* --- finding -------------------------------------------------------------------------------- */

static bool matches(const struct rule *rule, const struct vxlan_frame *f)
{
    int family = f->family == 4 ? AF_INET : AF_INET6;
    const uint8_t *dst = (const uint8_t *)f->dst + (f->family == 4 ? 12 : 0);
    return rule->to.family == family && (rule->vni == ANY_VNI || rule->vni == f->vni) &&
           (rule->proto == ANY_PROTO || rule->proto == f->protocol) &&
           (!rule->has_port ||
            (f->ports && f->dport >= rule->ports.low && f->dport <= rule->ports.high)) &&
           (!rule->by_dst || prefix_contains(&rule->dst, family, dst));
}

static const struct rule *find_exact(const struct rules *rules,
                                     const struct vxlan_frame *f)
{
    for (int i = 0; i < 4; i++) {
        if (!(rules->kinds >> i & 1))
            continue;
        struct port_key key = { i & 2 ? ANY_VNI : f->vni, f->dport,
                                i & 1 ? ANY_PROTO : f->protocol, 0 };
        const uint64_t *first = table_find(rules->ports, &key);
        const struct rule *rule = first ? &rules->list[*first - 1] : NULL;
        for (uint32_t n = rule ? rule->run : 0; n; n--, rule++)
            if (matches(rule, f))
                return rule;
    }
    return NULL;
}

int rules_find(const struct rules *rules, const struct vxlan_frame *f,
               struct rewrite_target *to)
{
    const struct rule *rule = f->ports && rules->exact ? find_exact(rules, f) : NULL;
    for (uint32_t i = rules->exact; !rule && i < rules->count; i++)
        if (matches(&rules->list[i], f))
            rule = &rules->list[i];
    if (!rule)
        return -1;
    targets_choose(&rules->targets, &rule->to, f->src,
                   (uint16_t)(f->dport - rule->ports.low), to);
    return (int)rule->number;
}
