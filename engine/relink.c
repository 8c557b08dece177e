/* relink: the links of a new graph.
 *
 * A link whose two apps stay on their cores goes on, with its packets and counters. Any
 * other is made anew, and gone ones give their packets to an heir: what feeds the same
 * input now, so that order is kept, else what leaves the same output. A link that has
 * moved to other cores is its own heir.
 */
#include "engine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct counter_row link_rows[] = {
    [LINK_RXPACKETS] = { "rxpackets", "packets received from the link" },
    [LINK_TXPACKETS] = { "txpackets", "packets transmitted to the link" },
    [LINK_TXBYTES] = { "txbytes", "bytes of them" },
    [LINK_TXDROP] = { "txdrop", "packets freed because the link was full" },
    { NULL, NULL },
};

/* --- making ------------------------------------------------------------------------- */

/* The engines of a link's two ends in a graph. */
struct ends {
    struct engine *from, *to;
};

static struct ends ends_of(struct engine *first, const struct graph *graph,
                           const struct link_spec *spec)
{
    return (struct ends){
        engine_of_core(first, graph_find_app(graph, spec->from_app)->core),
        engine_of_core(first, graph_find_app(graph, spec->to_app)->core),
    };
}

static struct link *end_new(const struct graph_link *from, uint64_t *counters)
{
    struct link *link = aligned_alloc(CACHE_LINE, sizeof(*link));
    memset(link, 0, offsetof(struct link, ring));
    link->name = from->name;
    link->from = from->spec.from_port;
    link->to = from->spec.to_port;
    link->counters = counters;
    return link;
}

static struct link *link_new(struct engine *first, const struct graph *graph,
                             const struct graph_link *from)
{
    char object[sizeof("links/") + 4 * NAME_SIZE + 8];
    snprintf(object, sizeof(object), "links/%s", from->name);
    uint64_t *counters = counters_add(first->counters, object, link_rows);
    if (!counters)
        return NULL;
    struct link *link = end_new(from, counters);
    struct ends ends = ends_of(first, graph, &from->spec);
    if (ends.from != ends.to) {
        link->across = interlink_new(link, end_new(from, counters));
        link->across->sender = ends.from;
        link->across->receiver = ends.to;
        link->across->to->across = link->across;
    }
    return link;
}

static void link_free(struct engine *first, struct link *link)
{
    counters_remove(first->counters, link->counters);
    if (link->across) {
        free(link->across->to);
        interlink_free(link->across);
    }
    free(link);
}

/* The link of that name that runs now, if both its apps stay where they are. */
static struct link *link_that_stays(struct engine *first, const struct graph *graph,
                                    const struct graph_link *want)
{
    struct link *link = engine_find_link(first, want->name);
    if (!link)
        return NULL;
    struct ends was = ends_of(first, first->graph, &want->spec),
                is = ends_of(first, graph, &want->spec);
    return was.from == is.from && was.to == is.to ? link : NULL;
}

struct link **links_make(struct engine *first, const struct graph *graph,
                         struct error *err)
{
    struct link **links = calloc(graph->nlinks + 1, sizeof(struct link *));
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        links[i] = link_that_stays(first, graph, &graph->links[i]);
        if (!links[i])
            links[i] = link_new(first, graph, &graph->links[i]);
        if (!links[i]) {
            links_discard(first, graph, links);
            error_set(err, ERROR_RUN, ENOSPC, "no room for the counters of %u links",
                      graph->nlinks);
            return NULL;
        }
    }
    return links;
}

void links_discard(struct engine *first, const struct graph *graph, struct link **links)
{
    for (uint32_t i = 0; i < graph->nlinks; i++)
        if (links[i] && links[i] != engine_find_link(first, graph->links[i].name))
            link_free(first, links[i]);
    free(links);
}

/* --- packets of links that are gone ------------------------------------------------- */

static struct link *heir_by_input(const struct graph *graph, struct link **links,
                                  const struct link_spec *gone)
{
    for (uint32_t i = 0; i < graph->nlinks; i++)
        if (!strcmp(graph->links[i].spec.to_app, gone->to_app) &&
            !strcmp(graph->links[i].spec.to_port, gone->to_port))
            return links[i];
    return NULL;
}

static struct link *heir_by_output(const struct graph *graph, struct link **links,
                                   const struct link_spec *gone)
{
    for (uint32_t i = 0; i < graph->nlinks; i++)
        if (!strcmp(graph->links[i].spec.from_app, gone->from_app) &&
            !strcmp(graph->links[i].spec.from_port, gone->from_port))
            return links[i];
    return NULL;
}

/* Moves the packets of a link between cores as far towards its receiver as there is room;
 * returns whether any moved. */
static bool advance(struct link *link)
{
    return link->across &&
           interlink_fetch(link->across) + interlink_flush(link->across) > 0;
}

static void give_up(struct engine *first, struct link *link)
{
    first->counter[ENGINE_DROP_UNLINKED] += link_readable(link);
    while (!link_empty(link))
        packet_free(link_receive(link));
}

/* What has come furthest goes first. */
static void link_retire(struct engine *first, struct link *link, struct link *heir)
{
    struct link *end = link_receiver(link);
    do {
        while (heir && advance(heir))
            ;
        if (heir)
            link_forward(end, heir);
        else
            give_up(first, end);
    } while (advance(link));
    link_free(first, link);
}

/* First come the heirs by input: where an app was taken out from between two links, what
 * had passed it is older than what had not. */
static void replace_links(struct engine *first, const struct graph *graph,
                          struct link **links)
{
    struct link **gone = calloc(first->nlinks + 1, sizeof(struct link *));
    for (uint32_t i = 0; i < first->nlinks; i++) {
        const struct graph_link *had = &first->graph->links[i];
        uint32_t at = strmap_get(&graph->link_index, had->name);
        if (at != STRMAP_NONE && links[at] == first->links[i])
            continue;
        struct link *heir = heir_by_input(graph, links, &had->spec);
        if (heir)
            link_retire(first, first->links[i], heir);
        else
            gone[i] = first->links[i];
    }
    for (uint32_t i = 0; i < first->nlinks; i++)
        if (gone[i])
            link_retire(first, gone[i],
                        heir_by_output(graph, links, &first->graph->links[i].spec));
    free(gone);
    free(first->links);
    first->links = links;
    first->nlinks = graph->nlinks;
}

/* --- the ports of apps -------------------------------------------------------------- */

static int by_input_port(const void *a, const void *b)
{
    return strcmp((*(struct link *const *)a)->to, (*(struct link *const *)b)->to);
}

static int by_output_port(const void *a, const void *b)
{
    return strcmp((*(struct link *const *)a)->from, (*(struct link *const *)b)->from);
}

static uint32_t declared_ports(const struct app_class *class,
                               enum port_direction direction)
{
    uint32_t n = 0;
    for (const struct port *port = class->ports; port && port->name; port++)
        n += port->direction == direction;
    return n;
}

static void clear_slots(struct app *app)
{
    const struct app_class *class = app->class;
    free(app->inputs);
    free(app->outputs);
    app->ninputs = port_any(class, PORT_INPUT) ? 0 : declared_ports(class, PORT_INPUT);
    app->noutputs = port_any(class, PORT_OUTPUT) ? 0 : declared_ports(class, PORT_OUTPUT);
    app->inputs = calloc(app->ninputs + 1, sizeof(struct link *));
    app->outputs = calloc(app->noutputs + 1, sizeof(struct link *));
}

/* Puts a link into its slot of an app's array, or at the end where any port is taken. */
static void attach(const struct app_class *class, enum port_direction direction,
                   struct link *link, struct link ***slots, uint32_t *count)
{
    if (port_any(class, direction)) {
        *slots = realloc(*slots, (*count + 2) * sizeof(struct link *));
        (*slots)[(*count)++] = link;
    } else {
        const char *port = direction == PORT_INPUT ? link->to : link->from;
        (*slots)[port_slot(class, direction, port)] = link;
    }
}

static void resolve_ports(struct engine *first, const struct graph *graph)
{
    for (uint32_t i = 0; i < first->napps; i++)
        clear_slots(first->apps[i]);
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        const struct link_spec *spec = &graph->links[i].spec;
        struct app *from = first->apps[strmap_get(&graph->app_index, spec->from_app)];
        struct app *to = first->apps[strmap_get(&graph->app_index, spec->to_app)];
        attach(from->class, PORT_OUTPUT, first->links[i], &from->outputs,
               &from->noutputs);
        attach(to->class, PORT_INPUT, link_receiver(first->links[i]), &to->inputs,
               &to->ninputs);
    }
    for (uint32_t i = 0; i < first->napps; i++) {
        struct app *app = first->apps[i];
        if (port_any(app->class, PORT_INPUT))
            qsort(app->inputs, app->ninputs, sizeof(*app->inputs), by_input_port);
        if (port_any(app->class, PORT_OUTPUT))
            qsort(app->outputs, app->noutputs, sizeof(*app->outputs), by_output_port);
    }
}

/* --- the links of each core --------------------------------------------------------- */

static void forget_links(struct engine *engine, uint32_t room)
{
    engine->own = realloc(engine->own, (room + 1) * sizeof(*engine->own));
    engine->outgoing = realloc(engine->outgoing, (room + 1) * sizeof(*engine->outgoing));
    engine->incoming = realloc(engine->incoming, (room + 1) * sizeof(*engine->incoming));
    engine->nown = engine->noutgoing = engine->nincoming = 0;
}

static void share_links(struct engine *first, const struct graph *graph)
{
    for (uint32_t core = 0; core <= first->nothers; core++)
        forget_links(engine_of_core(first, core), graph->nlinks);
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        struct link *link = first->links[i];
        struct ends ends = ends_of(first, graph, &graph->links[i].spec);
        if (link->across) {
            ends.from->outgoing[ends.from->noutgoing++] = link->across;
            ends.to->incoming[ends.to->nincoming++] = link->across;
        } else {
            ends.from->own[ends.from->nown++] = link;
        }
    }
}

void links_commit(struct engine *first, const struct graph *graph, struct link **links)
{
    replace_links(first, graph, links);
    resolve_ports(first, graph);
    share_links(first, graph);
}

/* The names a link points to are the graph's, which changes under it. */
void links_rename(struct link **links, const struct graph *graph)
{
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        struct link *link = links[i], *to = link_receiver(link);
        link->name = to->name = graph->links[i].name;
        link->from = to->from = graph->links[i].spec.from_port;
        link->to = to->to = graph->links[i].spec.to_port;
    }
}
