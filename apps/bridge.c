/* Bridge: a learning switch with as many ports as are linked, up to 64.
 *
 *     a -> [        ] -> a
 *     b -> [ Bridge ] -> b      an input and an output of one name are one port
 *     c -> [        ] -> c
 *
 * A frame goes to the port from which its destination was last heard, and to all other
 * ports when nobody was heard, or when it is for a group; never back to where it came from. Addresses
 * are kept in 1,024 rows of four; a fifth takes the place of the one heard longest ago.
 *
 * `partition` cuts directions between ports: "a>b" is that b hears nothing of a, though a
 * may hear b. Addresses are learnt all the same.
 *
 * Every frame received, and every copy, is sent or dropped under a reason.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

#define PORTS    64
#define NAME     64 /* bytes of a port's name that are looked at, with the NUL */
#define ROWS     1024
#define WAYS     4
#define NO_PORT  UINT32_MAX
#define ETHERNET 14

struct bridge_conf {
    char *partition;
    uint64_t ageing; /* ns */
};

struct station {
    uint64_t heard; /* ns; 0: an empty place */
    uint8_t mac[6];
    uint8_t port;
};

struct bridge {
    struct station stations[ROWS][WAYS];
    char names[PORTS][NAME]; /* of ports: they keep their number when others go */
    uint32_t nports;
    uint64_t
        cut[PORTS]; /* by the port it came from: bits of those that must not hear it */
    struct link *inputs[PORTS], *outputs[PORTS]; /* by port */
    struct link *seen[2 * PORTS];  /* the links for which all that was found out, ... */
    uint32_t seen_port[2 * PORTS]; /* ... and their ports: memory is used again */
    uint32_t nseen;
};

enum {
    LEARNT,
    MOVED,
    FLOODED,
    COPIES,
    DROP_SHORT,
    DROP_SAME_PORT,
    DROP_PARTITION,
    DROP_NO_PACKET,
    DROP_NO_OUTPUT,
};

static const struct counter_row counters[] = {
    [LEARNT] = { "learnt", "addresses heard for the first time" },
    [MOVED] = { "moved", "addresses that came to another port" },
    [FLOODED] = { "flooded", "packets sent to all ports" },
    [COPIES] = { "copies", "packets made for that, beside the one received" },
    [DROP_SHORT] = { "drop_short", "packets without a whole Ethernet header" },
    [DROP_SAME_PORT] = { "drop_same_port", "packets for where they came from" },
    [DROP_PARTITION] = { "drop_partition", "packets and copies that partition cuts off" },
    [DROP_NO_PACKET] = { "drop_no_packet", "copies not made because no packet was free" },
    [DROP_NO_OUTPUT] = { "drop_no_output", "packets for which there was no output" },
    { NULL, NULL },
};

/* --- partition ----------------------------------------------------------------------- */

/* The next "a>b" of a text, separated by commas or spaces: moves *text behind it. False
 * at the end; *good tells whether it was one. */
static bool next_cut(const char **text, char from[NAME], char to[NAME], bool *good)
{
    const char *word = *text + strspn(*text, ", \t\n");
    size_t length = strcspn(word, ", \t\n");
    const char *arrow = memchr(word, '>', length);
    *text = word + length;
    if (!length)
        return false;
    size_t first = arrow ? (size_t)(arrow - word) : 0;
    size_t second = arrow ? length - first - 1 : 0;
    *good = first && second && first < NAME && second < NAME &&
            !memchr(arrow + 1, '>', second);
    if (*good) {
        snprintf(from, NAME, "%.*s", (int)first, word);
        snprintf(to, NAME, "%.*s", (int)second, arrow + 1);
    }
    return true;
}

static int verify(const void *parameters, struct error *err)
{
    const struct bridge_conf *conf = parameters;
    const char *text = conf->partition ? conf->partition : "";
    char from[NAME], to[NAME];
    bool good = true;
    while (good && next_cut(&text, from, to, &good))
        ;
    return good ? 0
                : error_set(err, ERROR_CONFIG, EINVAL,
                            "partition: \"%s\" is not a list of directions such as "
                            "\"a>b, b>c\"",
                            conf->partition);
}

static bool means(const char *pattern, const char *name)
{
    return !strcmp(pattern, "*") || !strcmp(pattern, name);
}

static void cut_ports(struct bridge *bridge, const char *text)
{
    char from[NAME], to[NAME];
    bool good;
    memset(bridge->cut, 0, sizeof(bridge->cut));
    while (text && next_cut(&text, from, to, &good))
        for (uint32_t i = 0; i < bridge->nports; i++)
            for (uint32_t j = 0; j < bridge->nports && good; j++)
                if (means(from, bridge->names[i]) && means(to, bridge->names[j]))
                    bridge->cut[i] |= 1ull << j;
}

/* --- ports --------------------------------------------------------------------------- */

static uint32_t port_of(struct bridge *bridge, const char *name)
{
    for (uint32_t i = 0; i < bridge->nports; i++)
        if (!strncmp(bridge->names[i], name, NAME - 1))
            return i;
    if (bridge->nports == PORTS)
        return NO_PORT;
    snprintf(bridge->names[bridge->nports], NAME, "%s", name);
    return bridge->nports++;
}

static bool is_seen(const struct bridge *bridge, uint32_t n, const struct link *link,
                    const char *name)
{
    uint32_t port = bridge->seen_port[n];
    return bridge->seen[n] == link &&
           (port == NO_PORT || !strncmp(bridge->names[port], name, NAME - 1));
}

static bool same_links(const struct bridge *bridge, const struct app *app)
{
    uint32_t n = 0;
    if (bridge->nseen != app->ninputs + app->noutputs)
        return false;
    for (uint32_t i = 0; i < app->ninputs; i++)
        if (!is_seen(bridge, n++, app->inputs[i], app->inputs[i]->to))
            return false;
    for (uint32_t i = 0; i < app->noutputs; i++)
        if (!is_seen(bridge, n++, app->outputs[i], app->outputs[i]->from))
            return false;
    return true;
}

static void see(struct bridge *bridge, struct link **by_port, struct link *link,
                const char *name)
{
    uint32_t port = port_of(bridge, name);
    if (port != NO_PORT)
        by_port[port] = link;
    bridge->seen_port[bridge->nseen] = port;
    bridge->seen[bridge->nseen++] = link;
}

static void find_ports(struct app *app)
{
    struct bridge *bridge = app->state;
    const struct bridge_conf *conf = app->conf;
    memset(bridge->inputs, 0, sizeof(bridge->inputs));
    memset(bridge->outputs, 0, sizeof(bridge->outputs));
    bridge->nseen = 0;
    for (uint32_t i = 0; i < app->ninputs && i < PORTS; i++)
        see(bridge, bridge->inputs, app->inputs[i], app->inputs[i]->to);
    for (uint32_t i = 0; i < app->noutputs && i < PORTS; i++)
        see(bridge, bridge->outputs, app->outputs[i], app->outputs[i]->from);
    cut_ports(bridge, conf->partition);
}

/* --- who is where -------------------------------------------------------------------- */

static struct station *row_of(struct bridge *bridge, const uint8_t *mac)
{
    uint64_t bits = 0;
    memcpy(&bits, mac, 6);
    return bridge->stations[bits * 0x9e3779b97f4a7c15ull >> 54];
}

_Static_assert(ROWS == 1 << 10, "the hash has 10 bits");

static struct station *find(struct bridge *bridge, const uint8_t *mac)
{
    struct station *row = row_of(bridge, mac);
    for (uint32_t i = 0; i < WAYS; i++)
        if (row[i].heard && !memcmp(row[i].mac, mac, 6))
            return &row[i];
    return NULL;
}

static void learn(struct app *app, const uint8_t *mac, uint32_t port)
{
    struct bridge *bridge = app->state;
    struct station *station = find(bridge, mac);
    if (mac[0] & 1) /* no station is a group */
        return;
    if (!station) {
        station = row_of(bridge, mac);
        for (struct station *other = station, *end = station + WAYS; other < end; other++)
            if (other->heard < station->heard)
                station = other;
        memcpy(station->mac, mac, 6);
        station->port = (uint8_t)port;
        app_count(app, LEARNT, 1);
    } else if (station->port != port) {
        station->port = (uint8_t)port;
        app_count(app, MOVED, 1);
    }
    station->heard = engine_now(app->engine) | 1;
}

static uint32_t look_up(struct app *app, const uint8_t *mac)
{
    const struct bridge_conf *conf = app->conf;
    const struct station *station = find(app->state, mac);
    return station && engine_now(app->engine) - station->heard + 1 <= conf->ageing + 1
               ? station->port
               : NO_PORT;
}

/* --- frames -------------------------------------------------------------------------- */

/* One packet is one drop or one transmission for each port that should have it. */
static void flood(struct app *app, struct packet *p, uint32_t from)
{
    struct bridge *bridge = app->state;
    struct link *last = NULL;
    uint32_t targets = 0;
    for (uint32_t i = 0; i < bridge->nports; i++) {
        if (i == from || !bridge->outputs[i])
            continue;
        targets++;
        if (bridge->cut[from] >> i & 1) {
            app_count(app, DROP_PARTITION, 1);
            continue;
        }
        if (last) {
            struct packet *copy = packet_clone(p);
            if (copy)
                link_transmit(last, copy);
            else
                app_count(app, DROP_NO_PACKET, 1);
        }
        last = bridge->outputs[i];
    }
    app_count(app, targets ? FLOODED : DROP_NO_OUTPUT, 1);
    app_count(app, COPIES, targets ? targets - 1 : 0);
    if (last)
        link_transmit(last, p);
    else
        packet_free(p);
}

static void forward(struct app *app, struct packet *p, uint32_t from)
{
    struct bridge *bridge = app->state;
    if (p->length < ETHERNET) {
        app_drop(app, DROP_SHORT, p);
        return;
    }
    learn(app, p->data + 6, from);
    uint32_t to = p->data[0] & 1 ? NO_PORT : look_up(app, p->data);
    if (to == NO_PORT || !bridge->outputs[to])
        flood(app, p, from);
    else if (to == from)
        app_drop(app, DROP_SAME_PORT, p);
    else if (bridge->cut[from] >> to & 1)
        app_drop(app, DROP_PARTITION, p);
    else
        link_transmit(bridge->outputs[to], p);
}

static void push(struct app *app)
{
    struct bridge *bridge = app->state;
    if (!same_links(bridge, app))
        find_ports(app);
    for (uint32_t i = 0; i < bridge->nports; i++)
        while (bridge->inputs[i] && !link_empty(bridge->inputs[i]))
            forward(app, link_receive(bridge->inputs[i]), i);
}

static int reconfigure(struct app *app, const void *to, struct error *err)
{
    const struct bridge_conf *conf = to;
    cut_ports(app->state, conf->partition);
    return 0;
}

static const struct port ports[] = {
    { "*", PORT_INPUT, "what comes from a port" },
    { "*", PORT_OUTPUT, "what goes to the port of that name" },
    { NULL },
};

static const struct param params[] = {
    PARAM_STRING(struct bridge_conf, partition, "",
                 "directions that are cut, as \"a>b, b>a\"; * is any port"),
    PARAM_DURATION(struct bridge_conf, ageing, "300s", "1ms", "1000000s",
                   "after that long in silence a station may be anywhere"),
    PARAM_END,
};

const struct app_class bridge_class = {
    .name = "Bridge",
    .doc = "a learning switch between its ports",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct bridge_conf),
    .counters = counters,
    .state_size = sizeof(struct bridge),
    .push = push,
    .reconfigure = reconfigure,
    .verify = verify,
};
