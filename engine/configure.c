/* configure: from the running app network to another graph: diff, plan, act.
 *
 *   1  check the graph                            nothing has happened yet
 *   2  decide for each app: keep, change, make
 *   3  make links; make and start apps that are new   on error: stop that again
 *   4  change parameters in place                 on error: change them back
 *   5  commit: links, packets, order; stop what is gone         cannot fail
 *
 * A replaced app's successor starts while the predecessor still runs, so that a failure
 * costs nothing; the price is that a device which lets itself be opened once only must be
 * reconfigured in place.
 */
#include "engine/engine.h"

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

static const struct counter_row time_rows[] = {
    [APP_TIME_NS] = { "time_ns", "time in the app in measured breaths" },
    [APP_TIME_BREATHS] = { "time_calls", "calls measured" },
    { NULL, NULL },
};

enum action { KEEP, CHANGE, MAKE };

/* What becomes of one app of the new graph. */
struct step {
    enum action action;
    struct app *old; /* the app of that name and class that runs now, or NULL */
    struct app *app; /* the app as of the new graph */
    void *old_conf;  /* CHANGE: what it was */
};

static struct app *app_new(struct engine *engine, const struct graph_app *from)
{
    const struct app_class *class = from->class;
    struct app *app = calloc(1, sizeof(*app));
    app->class = class;
    app->name = strdup(from->name);
    app->engine = engine;
    app->conf = calloc(1, class->conf_size + 1);
    param_copy(class->params, from->conf, app->conf, class->conf_size);
    app->state =
        aligned_alloc(CACHE_LINE, (class->state_size / CACHE_LINE + 1) * CACHE_LINE);
    memset(app->state, 0, class->state_size);
    char object[NAME_SIZE + 8];
    snprintf(object, sizeof(object), "apps/%s", app->name);
    app->counters = counters_add(engine->counters, object, class->counters);
    app->time = counters_add(engine->counters, object, time_rows);
    return app;
}

static void app_free(struct app *app)
{
    struct engine *engine = app->engine;
    if (app->class->stop && app->started)
        app->class->stop(app);
    engine_forget_app(engine, app);
    counters_remove(engine->counters, app->counters);
    counters_remove(engine->counters, app->time);
    param_free(app->class->params, app->conf);
    free(app->conf);
    free(app->state);
    free(app->inputs);
    free(app->outputs);
    free((char *)app->name);
    free(app);
}

static struct step *plan(struct engine *engine, const struct graph *graph)
{
    struct step *steps = calloc(graph->napps + 1, sizeof(*steps));
    for (uint32_t i = 0; i < graph->napps; i++) {
        const struct graph_app *want = &graph->apps[i];
        struct app *old = engine_find_app(engine, want->name);
        if (!old || old->class != want->class)
            steps[i].action = MAKE;
        else if (param_equal(want->class->params, old->conf, want->conf))
            steps[i] = (struct step){ KEEP, old, old, NULL };
        else
            steps[i] = (struct step){ want->class->reconfigure ? CHANGE : MAKE, old, NULL,
                                      NULL };
    }
    return steps;
}

static int start(struct app *app, struct error *err)
{
    if (!app->counters || !app->time)
        return error_set(err, ERROR_RUN, ENOSPC, "no room for its counters");
    app->started = true;
    return app->class->start ? app->class->start(app, err) : 0;
}

static int make(struct engine *engine, const struct graph_app *want, struct step *step,
                struct error *err)
{
    step->app = app_new(engine, want);
    int error = start(step->app, err);
    if (error) {
        app_free(step->app);
        step->app = NULL;
        error_prefix(err, "%s%sapp \"%s\" (%s): ", want->place ? want->place : "",
                     want->place ? ": " : "", want->name, want->class->name);
    }
    return error;
}

static int change(struct engine *engine, const struct graph_app *want, struct step *step,
                  struct error *err)
{
    const struct app_class *class = want->class;
    int error = class->reconfigure(step->old, want->conf, err);
    if (error == -EOPNOTSUPP)
        return make(engine, want, step, err);
    if (error) {
        error_prefix(err, "%s%sapp \"%s\" (%s): ", want->place ? want->place : "",
                     want->place ? ": " : "", want->name, class->name);
        return error;
    }
    step->app = step->old;
    step->old_conf = step->old->conf;
    step->app->conf = calloc(1, class->conf_size + 1);
    param_copy(class->params, want->conf, step->app->conf, class->conf_size);
    return 0;
}

/* Undoes steps 3 and 4 as far as they went. */
static void roll_back(struct step *steps, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct step *step = &steps[i];
        if (step->old_conf) {
            const struct app_class *class = step->app->class;
            class->reconfigure(step->app, step->old_conf, NULL);
            param_free(class->params, step->app->conf);
            free(step->app->conf);
            step->app->conf = step->old_conf;
        } else if (step->action != KEEP && step->app) {
            app_free(step->app);
        }
    }
}

static int act(struct engine *engine, const struct graph *graph, struct step *steps,
               struct error *err)
{
    int error = 0;
    for (uint32_t i = 0; i < graph->napps && !error; i++)
        if (steps[i].action == MAKE)
            error = make(engine, &graph->apps[i], &steps[i], err);
    for (uint32_t i = 0; i < graph->napps && !error; i++)
        if (steps[i].action == CHANGE)
            error = change(engine, &graph->apps[i], &steps[i], err);
    if (error)
        roll_back(steps, graph->napps);
    return error;
}

static struct link *link_new(struct engine *engine, const struct graph_link *from)
{
    struct link *link = aligned_alloc(CACHE_LINE, sizeof(*link));
    memset(link, 0, offsetof(struct link, ring));
    link->name = from->name;
    link->from = from->spec.from_port;
    link->to = from->spec.to_port;
    char object[sizeof("links/") + 4 * NAME_SIZE + 8];
    snprintf(object, sizeof(object), "links/%s", from->name);
    link->counters = counters_add(engine->counters, object, link_rows);
    return link;
}

static void link_free(struct engine *engine, struct link *link)
{
    counters_remove(engine->counters, link->counters);
    free(link);
}

static void free_new_links(struct engine *engine, const struct graph *graph,
                           struct link **links)
{
    for (uint32_t i = 0; i < graph->nlinks; i++)
        if (links[i] && links[i] != engine_find_link(engine, graph->links[i].name))
            link_free(engine, links[i]);
    free(links);
}

/* The links of the new graph: those there are already, with their packets, and new ones.
 */
static struct link **make_links(struct engine *engine, const struct graph *graph,
                                struct error *err)
{
    struct link **links = calloc(graph->nlinks + 1, sizeof(struct link *));
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        links[i] = engine_find_link(engine, graph->links[i].name);
        if (links[i])
            continue;
        links[i] = link_new(engine, &graph->links[i]);
        if (!links[i]->counters) {
            free(links[i]);
            links[i] = NULL;
            free_new_links(engine, graph, links);
            error_set(err, ERROR_RUN, ENOSPC, "no room for the counters of %u links",
                      graph->nlinks);
            return NULL;
        }
    }
    return links;
}

/* Whose link takes over the packets of one that is gone: what feeds the same input now,
 * so that order is kept, else what leaves the same output. */
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

static void link_retire(struct engine *engine, struct link *link, struct link *to)
{
    if (to) {
        link_forward(link, to);
    } else {
        engine->counter[ENGINE_DROP_UNLINKED] += link_readable(link);
        while (!link_empty(link))
            packet_free(link_receive(link));
    }
    link_free(engine, link);
}

/* The names a link points to are the graph's, which changes under it. */
static void rename_links(struct link **links, const struct graph *graph)
{
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        links[i]->name = graph->links[i].name;
        links[i]->from = graph->links[i].spec.from_port;
        links[i]->to = graph->links[i].spec.to_port;
    }
}

/* First come the heirs by input: where an app was taken out from between two links, what
 * had passed it is older than what had not. */
static void relink(struct engine *engine, const struct graph *graph, struct link **links)
{
    struct link **gone = calloc(engine->nlinks + 1, sizeof(struct link *));
    for (uint32_t i = 0; i < engine->nlinks; i++) {
        const struct graph_link *had = &engine->graph->links[i];
        if (strmap_get(&graph->link_index, had->name) != STRMAP_NONE)
            continue;
        struct link *to = heir_by_input(graph, links, &had->spec);
        if (to)
            link_retire(engine, engine->links[i], to);
        else
            gone[i] = engine->links[i];
    }
    for (uint32_t i = 0; i < engine->nlinks; i++)
        if (gone[i])
            link_retire(engine, gone[i],
                        heir_by_output(graph, links, &engine->graph->links[i].spec));
    free(gone);
    free(engine->links);
    engine->links = links;
    engine->nlinks = graph->nlinks;
}

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

static void resolve_ports(struct engine *engine, const struct graph *graph)
{
    for (uint32_t i = 0; i < engine->napps; i++)
        clear_slots(engine->apps[i]);
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        const struct link_spec *spec = &graph->links[i].spec;
        struct app *from = engine->apps[strmap_get(&graph->app_index, spec->from_app)];
        struct app *to = engine->apps[strmap_get(&graph->app_index, spec->to_app)];
        attach(from->class, PORT_OUTPUT, engine->links[i], &from->outputs,
               &from->noutputs);
        attach(to->class, PORT_INPUT, engine->links[i], &to->inputs, &to->ninputs);
    }
    for (uint32_t i = 0; i < engine->napps; i++) {
        struct app *app = engine->apps[i];
        if (port_any(app->class, PORT_INPUT))
            qsort(app->inputs, app->ninputs, sizeof(*app->inputs), by_input_port);
        if (port_any(app->class, PORT_OUTPUT))
            qsort(app->outputs, app->noutputs, sizeof(*app->outputs), by_output_port);
    }
}

/* Stops what is not part of the new graph, in the reverse order of its making. */
static void stop_old(struct engine *engine, struct app **apps, uint32_t n,
                     const struct graph *graph)
{
    for (uint32_t i = n; i-- > 0;) {
        uint32_t at = strmap_get(&graph->app_index, apps[i]->name);
        if (at == STRMAP_NONE || engine->apps[at] != apps[i])
            app_free(apps[i]);
    }
}

static void commit(struct engine *engine, struct graph *graph, struct step *steps,
                   struct link **links)
{
    struct app **old_apps = engine->apps;
    uint32_t old_count = engine->napps;
    engine->apps = calloc(graph->napps + 1, sizeof(struct app *));
    engine->napps = graph->napps;
    for (uint32_t i = 0; i < graph->napps; i++)
        engine->apps[i] = steps[i].app;
    relink(engine, graph, links);
    resolve_ports(engine, graph);
    stop_old(engine, old_apps, old_count, graph);
    free(old_apps);
    graph_free(engine->graph);
    engine->graph = graph;
    rename_links(links, graph);
    engine_order(engine);
}

static bool same_shape(const struct engine *engine, const struct graph *graph,
                       const struct step *steps)
{
    if (graph->napps != engine->napps || graph->nlinks != engine->nlinks)
        return false;
    for (uint32_t i = 0; i < graph->napps; i++)
        if (steps[i].app != engine->apps[i])
            return false;
    for (uint32_t i = 0; i < graph->nlinks; i++)
        if (strcmp(graph->links[i].name, engine->graph->links[i].name))
            return false;
    return true;
}

/* Nothing but parameters differs: links and order stay as they are. */
static void adopt(struct engine *engine, struct graph *graph, struct link **links)
{
    rename_links(links, graph);
    free(links);
    graph_free(engine->graph);
    engine->graph = graph;
}

static void forget_old_conf(struct step *steps, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (steps[i].old_conf) {
            param_free(steps[i].app->class->params, steps[i].old_conf);
            free(steps[i].old_conf);
        }
}

static int apply(struct engine *engine, struct graph *graph, struct error *err)
{
    struct link **links = make_links(engine, graph, err);
    if (!links)
        return -ENOSPC;
    struct step *steps = plan(engine, graph);
    int error = act(engine, graph, steps, err);
    if (error) {
        free_new_links(engine, graph, links);
    } else {
        forget_old_conf(steps, graph->napps);
        if (same_shape(engine, graph, steps))
            adopt(engine, graph, links);
        else
            commit(engine, graph, steps, links);
    }
    free(steps);
    return error;
}

int engine_configure(struct engine *engine, struct graph *graph, struct error *err)
{
    int error = graph_check(graph, err);
    if (!error) {
        if (!engine->options.virtual_time)
            engine->now = engine_clock(engine);
        counters_change_begin(engine->counters);
        error = apply(engine, graph, err);
        engine->counter[ENGINE_CONFIGS] += !error;
        counters_change_end(engine->counters);
    }
    if (error)
        graph_free(graph);
    return error;
}
