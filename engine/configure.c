/* configure: from the running app network to another graph: diff, plan, act.
 *
 *   1  check the graph, make threads for cores    nothing has happened yet
 *   2  decide for each app: keep, change, make
 *   3  make links; make and start apps that are new   on error: stop that again
 *   4  change parameters in place                 on error: change them back
 *   5  commit: links, packets, order; stop what is gone         cannot fail
 *
 * All of it happens on the first engine's thread, while the other cores are parked between
 * two breaths: an app that goes on does not notice. An app whose core changes is replaced.
 *
 * A replaced app's successor starts while the predecessor still runs, so that a failure
 * costs nothing; the price is that a device which lets itself be opened once only must be
 * reconfigured in place.
 */
#include "engine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* False when there is no room for all of them. */
static bool add_counters(struct app *app)
{
    const struct counter_row *row = app->class->histograms;
    struct counters *counters = app->engine->counters;
    char object[NAME_SIZE + 8], name[2 * NAME_SIZE];
    snprintf(object, sizeof(object), "apps/%s", app->name);
    app->counters = counters_add(counters, object, app->class->counters);
    app->time = counters_add(counters, object, time_rows);
    bool all = app->counters && app->time;
    for (uint32_t i = 0; row && i < APP_HISTOGRAMS && row[i].name; i++) {
        snprintf(name, sizeof(name), "%s/%s", object, row[i].name);
        app->histograms[i] = counters_add_histogram(counters, name);
        all &= app->histograms[i] != NULL;
    }
    return all;
}

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
    for (uint32_t i = 0; i < APP_HISTOGRAMS; i++)
        counters_remove(engine->counters, app->histograms[i]);
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
        if (!old || old->class != want->class || old->engine->core != want->core)
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
    if (!add_counters(app))
        return error_set(err, ERROR_RUN, ENOSPC, "no room for its counters");
    app->started = true;
    return app->class->start ? app->class->start(app, err) : 0;
}

static int make(struct engine *engine, const struct graph_app *want, struct step *step,
                struct error *err)
{
    step->app = app_new(engine_of_core(engine, want->core), want);
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
    links_commit(engine, graph, links);
    stop_old(engine, old_apps, old_count, graph);
    free(old_apps);
    graph_free(engine->graph);
    engine->graph = graph;
    links_rename(links, graph);
    engine_order(engine);
}

static bool same_shape(const struct engine *engine, const struct graph *graph,
                       const struct step *steps, struct link *const *links)
{
    if (graph->napps != engine->napps || graph->nlinks != engine->nlinks)
        return false;
    for (uint32_t i = 0; i < graph->napps; i++)
        if (steps[i].app != engine->apps[i])
            return false;
    for (uint32_t i = 0; i < graph->nlinks; i++)
        if (links[i] != engine->links[i])
            return false;
    return true;
}

/* Nothing but parameters differs: links and order stay as they are. */
static void adopt(struct engine *engine, struct graph *graph, struct link **links)
{
    links_rename(links, graph);
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
    struct link **links = links_make(engine, graph, err);
    if (!links)
        return -ENOSPC;
    struct step *steps = plan(engine, graph);
    int error = act(engine, graph, steps, err);
    if (error) {
        links_discard(engine, graph, links);
    } else {
        forget_old_conf(steps, graph->napps);
        if (same_shape(engine, graph, steps, links))
            adopt(engine, graph, links);
        else
            commit(engine, graph, steps, links);
    }
    free(steps);
    return error;
}

/* Engines for all cores that the graph names. They stay, also when nobody names them any
 * more: one without apps sleeps. */
static int need_cores(struct engine *engine, const struct graph *graph, struct error *err)
{
    uint32_t n = graph_cores(graph);
    int error = cores_check(&engine->cores, graph, err);
    while (!error && engine->nothers + 1 < n) {
        engine->others = realloc(engine->others, n * sizeof(*engine->others));
        struct engine *other = engine_new_core(engine, engine->nothers + 1, err);
        if (other)
            engine->others[engine->nothers++] = other;
        else
            error = -EAGAIN;
    }
    return error;
}

static void set_clocks(struct engine *engine)
{
    engine->now = engine_clock(engine);
    for (uint32_t i = 0; i < engine->nothers; i++)
        engine->others[i]->now = engine->now;
}

static int apply_between_breaths(struct engine *engine, struct graph *graph,
                                 struct error *err)
{
    bool paused = engine_pause(engine);
    counters_change_begin(engine->counters);
    int error = need_cores(engine, graph, err);
    if (!error) {
        set_clocks(engine);
        error = apply(engine, graph, err);
    }
    engine->counter[ENGINE_CONFIGS] += !error;
    counters_change_end(engine->counters);
    engine_resume(engine, paused);
    host_changed(engine);
    return error;
}

int engine_configure(struct engine *engine, struct graph *graph, struct error *err)
{
    int error = graph_check(graph, err);
    if (!error)
        error = apply_between_breaths(engine, graph, err);
    if (error)
        graph_free(graph);
    return error;
}
