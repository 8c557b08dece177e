/* Classify: sends packets different ways by what they are.
 *
 *                              +-> voice     the first rule that a packet fits decides
 *     input -> [ Classify ] ---+-> bulk
 *                              +-> rest      what fits none goes to `default`
 *
 *     config.app(c, "classify", Classify, {
 *        rules = {
 *           { to = "voice", dscp = 46 },
 *           { to = "voice", proto = "udp", dport = "16384-32767", dst = "2001:db8::/32" },
 *           { to = "bulk", filter = "tcp and not port 22" },
 *        },
 *        default = "rest",
 *     })
 *
 * What a rule says must all be so; what it does not say is anything. Several rules may name one
 * output. VLANs are recognized in the frame and beside it (RawSocket takes tags out); a
 * pcap-filter(7) sees the frame alone. Each flow may so have a network of its own, behind which
 * Clumsies can share a bottleneck (rate.shared).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/engine.h"
#include "lib/capture_filter.h"
#include "lib/frame.h"
#include "lib/mac.h"
#include "lib/prefix.h"

#define RULES_MAX 256
#define ANY       -1

struct classify_conf {
    struct value rules;
    char *initial; /* "default" is a word of C */
};

/* One rule as it is written. */
struct rule_conf {
    char *to, *proto, *src, *dst, *sport, *dport, *smac, *dmac, *filter;
    int64_t dscp, vlan;
    int family;
};

struct ports {
    uint16_t low, high; /* 0, 65535: any */
};

struct mac {
    bool given;
    uint8_t address[6];
};

struct rule {
    char to[NAME_SIZE];
    int proto, dscp, vlan, family; /* or ANY */
    bool by_src, by_dst, filtered;
    struct prefix src, dst;
    struct ports sport, dport;
    struct mac smac, dmac;
    struct capture_filter filter;
    struct link *output; /* in this breath */
};

struct rules {
    struct rule *list;
    size_t count;
};

struct classify {
    struct rules rules;
};

enum { PACKETS, MATCHED, UNMATCHED, DROP_UNMATCHED, DROP_NO_OUTPUT };

static const struct counter_row counters[] = {
    [PACKETS] = { "packets", "packets that came in" },
    [MATCHED] = { "matched", "of them, those that fit a rule" },
    [UNMATCHED] = { "unmatched", "those that fit none" },
    [DROP_UNMATCHED] = { "drop_unmatched", "of them, dropped: default names no output" },
    [DROP_NO_OUTPUT] = { "drop_no_output", "for an output that is not linked" },
    { NULL, NULL },
};

static const char *const families[] = { "any", "4", "6", NULL };

static const struct param rule_params[] = {
    PARAM_STRING(struct rule_conf, to, NULL, "the output"),
    PARAM_STRING(struct rule_conf, proto, "", "tcp, udp, icmp, icmp6, sctp or a number"),
    PARAM_STRING(struct rule_conf, src, "",
                 "source, ADDRESS or ADDRESS/BITS, of IPv4 or IPv6"),
    PARAM_STRING(struct rule_conf, dst, "", "destination, the same"),
    PARAM_STRING(struct rule_conf, sport, "",
                 "source port of TCP, UDP or SCTP: N or N-M"),
    PARAM_STRING(struct rule_conf, dport, "", "destination port, the same"),
    PARAM_INTEGER(struct rule_conf, dscp, "-1", "-1", "63",
                  "differentiated services; -1: any"),
    PARAM_INTEGER(struct rule_conf, vlan, "-1", "-1", "4095",
                  "outermost VLAN; 0: none; -1: any or none"),
    PARAM_STRING(struct rule_conf, smac, "", "source MAC address"),
    PARAM_STRING(struct rule_conf, dmac, "", "destination MAC address"),
    PARAM_ENUM(struct rule_conf, family, "any", families, "of IP"),
    PARAM_STRING(struct rule_conf, filter, "", "a pcap-filter(7)"),
    PARAM_END,
};

/* --- rules as they are written -------------------------------------------------------------- */

static int wrong(struct error *err, const char *what, const char *text)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "%s: \"%.80s\" is none", what, text);
}

static bool parse_number(const char *text, unsigned long most, unsigned long *number)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    *number = strtoul(text, &end, 10);
    return !*end && *number <= most;
}

static int parse_proto(const char *text, int *proto, struct error *err)
{
    static const struct {
        const char *name;
        int number;
    } names[] = { { "tcp", FRAME_TCP },
                  { "udp", FRAME_UDP },
                  { "icmp", FRAME_ICMP },
                  { "icmp6", FRAME_ICMPV6 },
                  { "sctp", 132 } };
    unsigned long number;
    *proto = ANY;
    if (!text)
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(names[i].name, text))
            *proto = names[i].number;
    if (*proto == ANY && parse_number(text, 255, &number))
        *proto = (int)number;
    return *proto == ANY ? wrong(err, "proto", text) : 0;
}

static int parse_ports(const char *text, const char *what, struct ports *ports,
                       struct error *err)
{
    char first[8];
    unsigned long low, high;
    *ports = (struct ports){ 0, UINT16_MAX };
    if (!text)
        return 0;
    size_t length = strcspn(text, "-");
    snprintf(first, sizeof(first), "%.*s", (int)length, text);
    if (length >= sizeof(first) || !parse_number(first, UINT16_MAX, &low))
        return wrong(err, what, text);
    high = low;
    if (text[length] && !parse_number(text + length + 1, UINT16_MAX, &high))
        return wrong(err, what, text);
    if (high < low)
        return wrong(err, what, text);
    *ports = (struct ports){ (uint16_t)low, (uint16_t)high };
    return 0;
}

static int parse_mac(const char *text, const char *what, struct mac *mac,
                     struct error *err)
{
    mac->given = text;
    return !text || mac_parse(mac->address, text) ? 0 : wrong(err, what, text);
}

static int parse_prefix(const char *text, const char *what, struct prefix *prefix,
                        bool *given, struct error *err)
{
    *given = text;
    return text && prefix_parse(prefix, text) ? wrong(err, what, text) : 0;
}

static int compile_filter(const char *text, struct rule *rule, struct error *err)
{
    if (!text)
        return 0;
    int error = capture_filter_compile(&rule->filter, text, err);
    if (error)
        error_prefix(err, "filter: ");
    rule->filtered = !error;
    return error;
}

static int make_rule(const struct rule_conf *conf, struct rule *rule, struct error *err)
{
    rule->dscp = (int)conf->dscp;
    rule->vlan = (int)conf->vlan;
    rule->family = conf->family == 1 ? 4 : conf->family == 2 ? 6 : ANY;
    snprintf(rule->to, sizeof(rule->to), "%s", conf->to ? conf->to : "");
    int error = parse_proto(conf->proto, &rule->proto, err);
    if (!error)
        error = parse_prefix(conf->src, "src", &rule->src, &rule->by_src, err);
    if (!error)
        error = parse_prefix(conf->dst, "dst", &rule->dst, &rule->by_dst, err);
    if (!error)
        error = parse_ports(conf->sport, "sport", &rule->sport, err);
    if (!error)
        error = parse_ports(conf->dport, "dport", &rule->dport, err);
    if (!error)
        error = parse_mac(conf->smac, "smac", &rule->smac, err);
    if (!error)
        error = parse_mac(conf->dmac, "dmac", &rule->dmac, err);
    return error ? error : compile_filter(conf->filter, rule, err);
}

static void free_rules(struct rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        if (rules->list[i].filtered)
            capture_filter_free(&rules->list[i].filter);
    free(rules->list);
    *rules = (struct rules){ NULL, 0 };
}

static int read_rule(const struct value *value, struct rule *rule, struct error *err)
{
    struct rule_conf conf;
    int error = param_parse(rule_params, value, &conf, sizeof(conf), err);
    if (error)
        return error;
    error = make_rule(&conf, rule, err);
    param_free(rule_params, &conf);
    return error;
}

static int read_rules(const struct classify_conf *conf, struct rules *rules,
                      struct error *err)
{
    const struct value *value = &conf->rules;
    size_t count = value->kind == VALUE_TABLE ? value->table->count : 0;
    *rules = (struct rules){ NULL, 0 };
    if ((value->kind != VALUE_TABLE && value->kind != VALUE_NIL) || count > RULES_MAX)
        return error_set(
            err, ERROR_CONFIG, EINVAL,
            "rules: a list of up to %d, such as { { to = \"voice\", dscp = 46 } }",
            RULES_MAX);
    rules->list = calloc(count + 1, sizeof(*rules->list));
    if (!rules->list)
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        rules->count++;
        int error = read_rule(&value->table->fields[i].value, &rules->list[i], err);
        if (error) {
            error_prefix(err, "rules[%zu]%s", i + 1, error == -ENOENT ? ": " : ".");
            free_rules(rules);
            return error;
        }
    }
    return 0;
}

/* --- packets -------------------------------------------------------------------------------- */

static bool in_ports(struct ports ports, const struct frame *frame, bool destination)
{
    if (ports.low == 0 && ports.high == UINT16_MAX)
        return true;
    bool sctp = frame->protocol == 132 && frame->l4 && frame->l4 + 4 <= frame->end;
    if (!frame->payload && !sctp)
        return false;
    uint16_t port =
        destination ? frame_destination_port(frame) : frame_source_port(frame);
    return port >= ports.low && port <= ports.high;
}

static bool in_prefix(const struct prefix *prefix, const struct frame *frame,
                      bool destination)
{
    if (!frame->family)
        return false;
    const uint8_t *address = frame->data + frame_addresses(frame) +
                             (destination ? frame_address_size(frame) : 0);
    return prefix_contains(prefix, frame->family == 4 ? AF_INET : AF_INET6, address);
}

static int dscp_of(const struct frame *frame)
{
    const uint8_t *ip = frame->data + frame->l3;
    return frame->family == 4 ? ip[1] >> 2 : (ip[0] & 15) << 2 | ip[1] >> 6;
}

/* Of the tag beside the frame, or the first within; 0: untagged. */
static int vlan_of(const struct packet *p)
{
    if (p->flags & PACKET_VLAN)
        return p->vlan_tci & 0xfff;
    if (p->length < FRAME_ETHERNET + 4)
        return 0;
    uint16_t type = frame_u16(p->data + 12);
    return type == 0x8100 || type == 0x88a8 ? frame_u16(p->data + 14) & 0xfff : 0;
}

static bool is_mac(const struct mac *mac, const struct packet *p, uint32_t at)
{
    return !mac->given ||
           (p->length >= FRAME_ETHERNET && !memcmp(p->data + at, mac->address, 6));
}

static bool fits(const struct rule *rule, const struct packet *p,
                 const struct frame *frame)
{
    return (rule->family == ANY || frame->family == rule->family) &&
           (rule->proto == ANY || (frame->family && frame->protocol == rule->proto)) &&
           (rule->dscp == ANY || (frame->family && dscp_of(frame) == rule->dscp)) &&
           (rule->vlan == ANY || vlan_of(p) == rule->vlan) &&
           in_ports(rule->sport, frame, false) && in_ports(rule->dport, frame, true) &&
           (!rule->by_src || in_prefix(&rule->src, frame, false)) &&
           (!rule->by_dst || in_prefix(&rule->dst, frame, true)) &&
           is_mac(&rule->smac, p, 6) && is_mac(&rule->dmac, p, 0) &&
           (!rule->filtered || capture_filter_matches(&rule->filter, p->data, p->length));
}

static struct link *output_of(const struct app *app, const char *name)
{
    for (uint32_t i = 0; name && i < app->noutputs; i++)
        if (!strcmp(app->outputs[i]->from, name))
            return app->outputs[i];
    return NULL;
}

static void send_packet(struct app *app, struct link *output, struct packet *p,
                        uint32_t drop)
{
    if (output)
        link_transmit(output, p);
    else
        app_drop(app, drop, p);
}

static void handle(struct app *app, struct packet *p, struct link *rest)
{
    struct classify *classify = app->state;
    const struct classify_conf *conf = app->conf;
    struct frame frame;
    frame_parse(&frame, p->data, p->length);
    for (size_t i = 0; i < classify->rules.count; i++) {
        const struct rule *rule = &classify->rules.list[i];
        if (fits(rule, p, &frame)) {
            app_count(app, MATCHED, 1);
            send_packet(app, rule->output, p, DROP_NO_OUTPUT);
            return;
        }
    }
    app_count(app, UNMATCHED, 1);
    send_packet(app, rest, p, conf->initial ? DROP_NO_OUTPUT : DROP_UNMATCHED);
}

static void push(struct app *app)
{
    struct classify *classify = app->state;
    const struct classify_conf *conf = app->conf;
    struct link *input = app_input(app, 0);
    struct packet *p[LINK_BURST];
    uint32_t n;
    if (!input || !link_readable(input))
        return;
    for (size_t i = 0; i < classify->rules.count; i++)
        classify->rules.list[i].output = output_of(app, classify->rules.list[i].to);
    struct link *rest = output_of(app, conf->initial);
    while ((n = link_receive_burst(input, p, LINK_BURST))) {
        app_count(app, PACKETS, n);
        for (uint32_t i = 0; i < n; i++)
            handle(app, p[i], rest);
    }
}

/* --- configuration -------------------------------------------------------------------------- */

static int verify(const void *conf, struct error *err)
{
    struct rules rules;
    int error = read_rules(conf, &rules, err);
    if (!error)
        free_rules(&rules);
    return error;
}

static int start(struct app *app, struct error *err)
{
    struct classify *classify = app->state;
    return read_rules(app->conf, &classify->rules, err);
}

static void stop(struct app *app)
{
    struct classify *classify = app->state;
    free_rules(&classify->rules);
}

static int reconfigure(struct app *app, const void *conf, struct error *err)
{
    struct classify *classify = app->state;
    struct rules next;
    int error = read_rules(conf, &next, err);
    if (!error) {
        free_rules(&classify->rules);
        classify->rules = next;
    }
    return error;
}

static const struct param params[] = {
    PARAM_VALUE(
        struct classify_conf, rules, "",
        "a list of { to = OUTPUT, proto =, src =, dst =, sport =, dport =, dscp =, "
        "vlan =, smac =, dmac =, family =, filter = }; the first that fits decides"),
    { .name = "default",
      .type = PARAM_TYPE_STRING,
      .offset = offsetof(struct classify_conf, initial),
      .initial = "",
      .doc = "output for what fits none; without it that is dropped" },
    PARAM_END,
};

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets" },
    { "*", PORT_OUTPUT, "the outputs that rules and default name" },
    { NULL },
};

const struct app_class classify_class = {
    .name = "Classify",
    .doc =
        "sends packets different ways by addresses, ports, protocol, DSCP, VLAN, MAC or a "
        "filter",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct classify_conf),
    .counters = counters,
    .state_size = sizeof(struct classify),
    .start = start,
    .stop = stop,
    .push = push,
    .reconfigure = reconfigure,
    .verify = verify,
};
