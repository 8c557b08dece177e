/* Nat: a middlebox that translates addresses and ports (NAPT, RFC 3022), with what makes such
 * boxes trouble: timeouts, filters, ports that run out, rebinds.
 *
 *     inside  -> [     ] -> outside     the source becomes an outside endpoint
 *                [ Nat ]
 *     inside  <- [     ] <- outside     the destination becomes the inside endpoint again
 *
 * An input and an output of one name are one side. TCP, UDP, ICMP echo and ICMP errors about them,
 * in IPv4 and IPv6. Without `address` the source's address stays and only its port, or echo
 * identifier, changes. It is a bump in the wire: no hop is counted, no address is its own but the
 * one that it is given, for which it answers ARP and neighbour solicitations with an inside host's
 * MAC address. What concerns neighbours and groups passes.
 *
 * Terms and rules: RFC 4787 (UDP), 5382 (TCP), 5508 (ICMP). Fragments behind the first have no
 * port: they pass where addresses stay, and are dropped, all of them, where these change.
 *
 * Every frame received is sent or dropped under a reason.
 */
#include <errno.h>
#include <string.h>

#include "apps/nat/contacts.h"
#include "apps/nat/mapping.h"
#include "apps/nat/neighbour.h"
#include "apps/nat/parameters.h"
#include "engine/engine.h"

enum { INSIDE, OUTSIDE };

/* Of a TCP mapping: what has been seen. */
enum { REPLIED = 1, ESTABLISHED = 2, FIN_OUT = 4, FIN_IN = 8, RESET = 16 };

struct nat {
    struct nat_settings settings;
    struct nat_mappings mappings;
    struct nat_contacts contacts;
    uint64_t timeouts[LIVES];
    uint64_t started, seen; /* ns: until then rebinds have been made */
    uint64_t now;           /* of this breath */
    uint8_t mac[6];         /* of the inside host that was heard last */
    bool heard;
};

enum {
    TRANSLATED_OUT,
    TRANSLATED_IN,
    PASSED,
    ANSWERED,
    MAPPINGS,
    CREATED,
    EXPIRED,
    FORGOTTEN,
    REBINDS,
    CONTACTS_LOST,
    DROP_NO_MAPPING,
    DROP_FILTERED,
    DROP_MAX_MAPPINGS,
    DROP_NO_PORT,
    DROP_FRAGMENT,
    DROP_PROTOCOL,
    DROP_BROKEN,
    DROP_NO_OUTPUT,
};

static const struct counter_row counters[] = {
    [TRANSLATED_OUT] = { "translated_out", "packets translated on their way out" },
    [TRANSLATED_IN] = { "translated_in", "packets translated on their way in" },
    [PASSED] = { "passed", "packets that passed as they were" },
    [ANSWERED] = { "answered", "ARP requests and neighbour solicitations answered" },
    [MAPPINGS] = { "mappings", "mappings at present" },
    [CREATED] = { "created", "mappings made" },
    [EXPIRED] = { "expired", "of them, those not used for too long" },
    [FORGOTTEN] = { "forgotten", "of them, those that a rebind forgot" },
    [REBINDS] = { "rebinds", "times that all mappings were forgotten" },
    [CONTACTS_LOST] = { "contacts_lost",
                        "peers that filtering forgot before their time: too many" },
    [DROP_NO_MAPPING] = { "drop_no_mapping", "packets for which there is no mapping" },
    [DROP_FILTERED] = { "drop_filtered", "packets of peers that filtering keeps out" },
    [DROP_MAX_MAPPINGS] = { "drop_max_mappings", "packets that needed one mapping more" },
    [DROP_NO_PORT] = { "drop_no_port", "packets for which no port was free" },
    [DROP_FRAGMENT] = { "drop_fragment", "fragments where addresses change" },
    [DROP_PROTOCOL] = { "drop_protocol",
                        "packets of a protocol without ports where addresses change" },
    [DROP_BROKEN] = { "drop_broken", "packets without a whole transport header" },
    [DROP_NO_OUTPUT] = { "drop_no_output", "packets for which there was no output" },
    { NULL, NULL },
};

static void take_timeouts(struct nat *nat, const struct nat_conf *conf)
{
    nat->timeouts[LIFE_UDP] = conf->udp_timeout;
    nat->timeouts[LIFE_ICMP] = conf->icmp_timeout;
    nat->timeouts[LIFE_TCP] = conf->tcp_timeout;
    nat->timeouts[LIFE_TCP_TRANSITORY] = conf->tcp_transitory_timeout;
}

/* --- time ---------------------------------------------------------------------------- */

static void rebind(struct app *app, uint64_t times)
{
    struct nat *nat = app->state;
    app_count(app, FORGOTTEN, mappings_forget(&nat->mappings));
    app_count(app, REBINDS, times);
}

/* Rebinds that were due since the last breath. */
static uint64_t due_rebinds(const struct nat *nat, const struct nat_conf *conf)
{
    uint64_t from = nat->seen - nat->started, to = nat->now - nat->started, due = 0;
    for (uint32_t i = 0; i < nat->settings.nrebinds; i++)
        due += nat->settings.rebinds[i] > from && nat->settings.rebinds[i] <= to;
    if (conf->rebind_period)
        due += to / conf->rebind_period - from / conf->rebind_period;
    return due;
}

static void pass_time(struct app *app)
{
    struct nat *nat = app->state;
    nat->now = engine_now(app->engine);
    app_count(app, EXPIRED, mappings_expire(&nat->mappings, nat->timeouts, nat->now));
    uint64_t due = due_rebinds(nat, app->conf);
    if (due)
        rebind(app, due);
    nat->seen = nat->now;
}

/* --- TCP, as far as timeouts need it (RFC 5382, REQ-5) --------------------------------- */

/* A connection that was answered and went on is established until it is reset, or closed by
 * both. A mapping may serve several: the latest word counts. */
static void follow_tcp(struct nat_mapping *mapping, uint8_t flags, bool outbound)
{
    if (outbound && flags & TCP_SYN)
        mapping->seen &= (uint8_t) ~(FIN_IN | FIN_OUT | RESET);
    if (flags & TCP_FIN)
        mapping->seen |= outbound ? FIN_OUT : FIN_IN;
    if (flags & TCP_RST)
        mapping->seen |= RESET;
    else if (!outbound)
        mapping->seen |= REPLIED;
    else if (!(flags & TCP_SYN) && mapping->seen & REPLIED)
        mapping->seen |= ESTABLISHED;
}

static enum nat_life life_of(const struct nat_mapping *mapping, uint8_t protocol)
{
    uint8_t seen = mapping ? mapping->seen : 0;
    if (protocol == FRAME_UDP)
        return LIFE_UDP;
    if (protocol != FRAME_TCP)
        return LIFE_ICMP;
    bool closed = seen & RESET || (seen & FIN_IN && seen & FIN_OUT);
    return seen & ESTABLISHED && !closed ? LIFE_TCP : LIFE_TCP_TRANSITORY;
}

/* Outbound packets keep a mapping alive; inbound ones where that is asked for (RFC 4787,
 * REQ-6). Another state begins anew. */
static void use(struct app *app, struct nat_mapping *mapping, const struct nat_view *view,
                bool outbound)
{
    struct nat *nat = app->state;
    const struct nat_conf *conf = app->conf;
    if (view->protocol == FRAME_TCP)
        follow_tcp(mapping, view->flags, outbound);
    enum nat_life life = life_of(mapping, view->protocol);
    if (outbound || conf->refresh == REFRESH_BOTH || life != mapping->life)
        mappings_refresh(&nat->mappings, mapping, life, nat->now);
}

/* --- one packet ---------------------------------------------------------------------- */

static void send_packet(struct app *app, struct packet *p, uint32_t slot)
{
    struct link *output = app_output(app, slot);
    if (output)
        link_transmit(output, p);
    else
        app_drop(app, DROP_NO_OUTPUT, p);
}

static bool changes_addresses(const struct nat *nat, uint8_t family)
{
    return family == 4   ? nat->settings.given4
           : family == 6 ? nat->settings.given6
                         : false;
}

/* All but the port of the endpoint that stands for an inside one. */
static struct nat_endpoint outside_of(const struct nat *nat,
                                      const struct nat_endpoint *inside)
{
    struct nat_endpoint outside = *inside;
    if (inside->family == 4 && nat->settings.given4)
        memcpy(outside.address, nat->settings.address4, 4);
    else if (inside->family == 6 && nat->settings.given6)
        memcpy(outside.address, nat->settings.address6, 16);
    return outside;
}

static void translate(struct app *app, struct packet *p, const struct nat_view *view,
                      enum view_side side, const struct nat_endpoint *end)
{
    view_rewrite(view, p->data, side, end);
    p->flags &= (uint16_t)~PACKET_CSUM_VALID;
    p->hash = 0;
}

static struct nat_mapping *map(struct app *app, const struct nat_view *view,
                               const uint8_t *mac, uint32_t *reason)
{
    struct nat *nat = app->state;
    struct nat_endpoint inside = view_endpoint(view, VIEW_SOURCE);
    struct nat_mapping *mapping = mappings_inside(&nat->mappings, &inside);
    if (!mapping) {
        enum nat_refusal refusal;
        mapping = mappings_add(&nat->mappings, &inside, outside_of(nat, &inside),
                               life_of(NULL, inside.protocol), nat->now, &refusal);
        if (!mapping) {
            *reason = refusal == NAT_NO_PORT ? DROP_NO_PORT : DROP_MAX_MAPPINGS;
            return NULL;
        }
        app_count(app, CREATED, 1);
    }
    memcpy(mapping->mac, mac, 6);
    return mapping;
}

static void note_contact(struct app *app, const struct nat_mapping *mapping,
                         const struct nat_view *view)
{
    struct nat *nat = app->state;
    const struct nat_conf *conf = app->conf;
    struct nat_endpoint remote = view_endpoint(view, VIEW_DESTINATION);
    if (conf->filtering != BY_NOTHING)
        app_count(app, CONTACTS_LOST,
                  contacts_note(&nat->contacts, mapping->serial, &remote,
                                conf->filtering == BY_ADDRESS_AND_PORT, nat->now,
                                nat->timeouts[mapping->life]));
}

/* An echo's remote end has no port of its own. */
static bool is_filtered(struct app *app, const struct nat_mapping *mapping,
                        const struct nat_view *view)
{
    struct nat *nat = app->state;
    const struct nat_conf *conf = app->conf;
    struct nat_endpoint remote = view_endpoint(view, VIEW_SOURCE);
    if (conf->filtering == BY_NOTHING)
        return false;
    if (mapping->life == LIFE_ICMP)
        remote.port = mapping->inside.port;
    return !contacts_allow(&nat->contacts, mapping->serial, &remote,
                           conf->filtering == BY_ADDRESS_AND_PORT, nat->now,
                           nat->timeouts[mapping->life]);
}

static bool is_echo(const struct nat_view *view)
{
    return view->protocol == FRAME_ICMP || view->protocol == FRAME_ICMPV6;
}

/* These return the reason why a packet is dropped, or the counter of what was done: all reasons
 * come behind DROP_NO_MAPPING. */
static uint32_t flow_out(struct app *app, struct packet *p, const struct nat_view *view)
{
    uint32_t reason = DROP_NO_MAPPING;
    if (is_echo(view) && !view->request) /* an answer to what never came in */
        return reason;
    struct nat_mapping *mapping = map(app, view, p->data + 6, &reason);
    if (!mapping)
        return reason;
    use(app, mapping, view, true);
    note_contact(app, mapping, view);
    translate(app, p, view, VIEW_SOURCE, &mapping->outside);
    return TRANSLATED_OUT;
}

static void readdress(struct app *app, struct packet *p, const struct nat_view *view,
                      const struct nat_mapping *mapping)
{
    if (changes_addresses(app->state, view->family))
        memcpy(p->data, mapping->mac, 6);
}

static uint32_t flow_in(struct app *app, struct packet *p, const struct nat_view *view)
{
    struct nat *nat = app->state;
    struct nat_endpoint outside = view_endpoint(view, VIEW_DESTINATION);
    struct nat_mapping *mapping = mappings_outside(&nat->mappings, &outside);
    if (!mapping || (is_echo(view) && view->request))
        return DROP_NO_MAPPING;
    if (is_filtered(app, mapping, view))
        return DROP_FILTERED;
    use(app, mapping, view, false);
    translate(app, p, view, VIEW_DESTINATION, &mapping->inside);
    readdress(app, p, view, mapping);
    return TRANSLATED_IN;
}

/* An error neither makes a mapping nor keeps one alive (RFC 5508, 4.2). */
static uint32_t error_out(struct app *app, struct packet *p, const struct nat_view *view)
{
    struct nat *nat = app->state;
    struct nat_endpoint inside = view_endpoint(view, VIEW_DESTINATION);
    struct nat_mapping *mapping = mappings_inside(&nat->mappings, &inside);
    if (!mapping)
        return DROP_NO_MAPPING;
    translate(app, p, view, VIEW_DESTINATION, &mapping->outside);
    return TRANSLATED_OUT;
}

static uint32_t error_in(struct app *app, struct packet *p, const struct nat_view *view)
{
    struct nat *nat = app->state;
    struct nat_endpoint outside = view_endpoint(view, VIEW_SOURCE);
    struct nat_mapping *mapping = mappings_outside(&nat->mappings, &outside);
    if (!mapping)
        return DROP_NO_MAPPING;
    translate(app, p, view, VIEW_SOURCE, &mapping->inside);
    readdress(app, p, view, mapping);
    return TRANSLATED_IN;
}

/* Is it a question for our address? Then p is the answer. */
static bool answer(struct nat *nat, struct packet *p, const struct frame *frame)
{
    const struct nat_settings *settings = &nat->settings;
    return nat->heard && ((settings->given4 &&
                           neighbour_answer4(p, frame, settings->address4, nat->mac)) ||
                          (settings->given6 &&
                           neighbour_answer6(p, frame, settings->address6, nat->mac)));
}

static uint32_t decide(struct app *app, struct packet *p, struct nat_view *view, int from)
{
    struct nat *nat = app->state;
    bool changes = changes_addresses(nat, view->frame.family);
    if (changes && view->frame.fragment && view->kind != VIEW_LOCAL)
        return DROP_FRAGMENT;
    switch (view->kind) {
    case VIEW_NO_IP:
    case VIEW_LOCAL:
        return from == OUTSIDE && answer(nat, p, &view->frame) ? ANSWERED : PASSED;
    case VIEW_FLOW:
        return from == INSIDE ? flow_out(app, p, view) : flow_in(app, p, view);
    case VIEW_ERROR:
        return from == INSIDE ? error_out(app, p, view) : error_in(app, p, view);
    case VIEW_FRAGMENT:
    case VIEW_OTHER:
        return changes ? DROP_PROTOCOL : PASSED;
    case VIEW_BROKEN:
        break;
    }
    return DROP_BROKEN;
}

static void handle(struct app *app, struct packet *p, int from)
{
    struct nat *nat = app->state;
    struct nat_view view;
    view_parse(&view, p);
    if (from == INSIDE && p->length >= FRAME_ETHERNET && !(p->data[6] & 1)) {
        memcpy(nat->mac, p->data + 6, 6);
        nat->heard = true;
    }
    uint32_t outcome = decide(app, p, &view, from);
    if (outcome >= DROP_NO_MAPPING) {
        app_drop(app, outcome, p);
        return;
    }
    app_count(app, outcome, 1);
    bool out = from == INSIDE || outcome == ANSWERED;
    send_packet(app, p, out ? OUTSIDE : INSIDE);
}

static void push(struct app *app)
{
    struct nat *nat = app->state;
    pass_time(app);
    for (int side = INSIDE; side <= OUTSIDE; side++) {
        struct link *input = app_input(app, (uint32_t)side);
        while (input && !link_empty(input))
            handle(app, link_receive(input), side);
    }
    app->counters[MAPPINGS] = nat->mappings.count;
}

/* --- life ---------------------------------------------------------------------------- */

static int start(struct app *app, struct error *err)
{
    struct nat *nat = app->state;
    const struct nat_conf *conf = app->conf;
    uint64_t seed = conf->seed < 0 ? app->engine->options.seed : (uint64_t)conf->seed;
    int error = nat_settings_read(conf, &nat->settings, err);
    if (error)
        return error;
    nat->started = nat->seen = engine_now(app->engine);
    take_timeouts(nat, conf);
    error = mappings_make(&nat->mappings, (uint32_t)conf->max_mappings, nat->settings.low,
                          nat->settings.high, seed, app->name);
    if (!error)
        error =
            contacts_make(&nat->contacts, (uint32_t)conf->max_mappings, seed, app->name);
    return error ? error_set(err, ERROR_RUN, ENOMEM, "out of memory") : 0;
}

static void stop(struct app *app)
{
    struct nat *nat = app->state;
    mappings_free(&nat->mappings);
    contacts_free(&nat->contacts);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

/* What the tables are made for makes a new instance, which has no mappings: a rebind as well. */
static int reconfigure(struct app *app, const void *to, struct error *err)
{
    struct nat *nat = app->state;
    const struct nat_conf *conf = to, *before = app->conf;
    if (!same_text(conf->address, before->address) ||
        !same_text(conf->address6, before->address6) ||
        !same_text(conf->ports, before->ports) || conf->seed != before->seed ||
        conf->max_mappings != before->max_mappings)
        return -EOPNOTSUPP;
    struct nat_settings settings;
    int error = nat_settings_read(conf, &settings, err);
    if (error)
        return error;
    pass_time(app); /* by what was so far */
    nat->settings = settings;
    take_timeouts(nat, conf);
    if (conf->generation != before->generation)
        rebind(app, 1);
    return 0;
}

static const struct port ports[] = {
    { "inside", PORT_INPUT, "from the hosts behind it" },
    { "outside", PORT_INPUT, "from everybody else" },
    { "inside", PORT_OUTPUT, "to the hosts behind it" },
    { "outside", PORT_OUTPUT, "to everybody else" },
    { NULL },
};

const struct app_class nat_class = {
    .name = "Nat",
    .doc = "a network address translator with timeouts, filters and rebinds",
    .ports = ports,
    .params = nat_params,
    .conf_size = sizeof(struct nat_conf),
    .counters = counters,
    .state_size = sizeof(struct nat),
    .start = start,
    .stop = stop,
    .push = push,
    .reconfigure = reconfigure,
    .verify = nat_verify,
};
