/* probe: apps that tell what is done to them. */
#include "selftest/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/apps.h"
#include "selftest/support.h"

enum { PUSHES };

static const struct counter_row probe_counters[] = { { "pushes", "" }, { NULL, "" } };

static char story[32768];

static void tell(const char *what, const struct app *app, int64_t level, bool failed)
{
    size_t used = strlen(story), room = sizeof(story) - used;
    int more = *what == '-' ? snprintf(story + used, room, "-%s ", app->name)
                            : snprintf(story + used, room, "%s%s%d%s ", what, app->name,
                                       (int)level, failed ? "!" : "");
    ck_assert_uint_lt((size_t)more, room);
}

static int unlucky(int64_t level, struct error *err)
{
    return level == UNLUCKY ? error_set(err, ERROR_RUN, EIO, "level 13 is unlucky") : 0;
}

static int probe_start(struct app *app, struct error *err)
{
    const struct probe_conf *conf = app->conf;
    int error = unlucky(conf->level, err);
    tell("+", app, conf->level, error);
    return error;
}

static void probe_stop(struct app *app)
{
    tell("-", app, 0, false);
}

static int probe_reconfigure(struct app *app, const void *new, struct error *err)
{
    const struct probe_conf *conf = new;
    int error = conf->level == UNSUPPORTED ? -EOPNOTSUPP : unlucky(conf->level, err);
    tell("~", app, conf->level, error);
    return error;
}

/* Everything to the first output; without one it stays where it is. */
static void probe_push(struct app *app)
{
    struct probe *probe = app->state;
    probe->pushes++;
    app_count(app, PUSHES, 1);
    for (uint32_t i = 0; app->noutputs && i < app->ninputs; i++)
        link_forward(app->inputs[i], app->outputs[0]);
}

static const struct port any_ports[] = { { "*", PORT_INPUT, "" },
                                         { "*", PORT_OUTPUT, "" },
                                         { NULL } };

static const struct param probe_params[] = {
    PARAM_INTEGER(struct probe_conf, level, "0", "0", "100", "a number"),
    PARAM_END,
};

#define PROBE(NAME, RECONFIGURE)                                                         \
    {                                                                                    \
        .name = NAME, .doc = "", .ports = any_ports, .params = probe_params,             \
        .conf_size = sizeof(struct probe_conf), .counters = probe_counters,              \
        .state_size = sizeof(struct probe), .start = probe_start, .stop = probe_stop,    \
        .push = probe_push, .reconfigure = RECONFIGURE                                   \
    }

const struct app_class probe_class = PROBE("Probe", probe_reconfigure);
static const struct app_class plain_class = PROBE("Plain", NULL);

/* --- fixture ------------------------------------------------------------------------ */

struct engine *probe_engine;
uint32_t probe_in_use;

void probe_setup(void)
{
    if (!apps_find("Probe")) {
        apps_add(&probe_class, NULL);
        apps_add(&plain_class, NULL);
    }
    probe_engine = test_engine(1);
    probe_in_use = arena_in_use();
    story[0] = 0;
}

void probe_teardown(void)
{
    engine_free(probe_engine);
    ck_assert_uint_eq(arena_in_use(), probe_in_use);
}

const char *probe_happened(void)
{
    static char last[sizeof(story)];
    strcpy(last, story);
    story[0] = 0;
    return last;
}

struct graph *probe_graph(const char *text)
{
    struct graph *graph = graph_new();
    char *words = strdup(text), *rest = words, *word;
    while ((word = strsep(&rest, " "))) {
        char *arrow = strchr(word, '>'), *level = strpbrk(word, ":=");
        if (arrow) {
            char spec[200];
            snprintf(spec, sizeof(spec), "%.*s -> %s", (int)(arrow - word), word,
                     arrow + 1);
            test_link(graph, spec);
        } else if (level) {
            const char *class = *level == ':' ? "Probe" : "Plain";
            *level = 0;
            test_app(graph, word, class, "level", level + 1, NULL);
        } else if (*word) {
            test_app(graph, word + 1, *word == '(' ? "Inject" : "Collect", NULL);
        }
    }
    free(words);
    return graph;
}

void probe_configure(const char *text)
{
    test_configure(probe_engine, probe_graph(text));
}

struct app *probe_app(const char *name)
{
    struct app *app = engine_find_app(probe_engine, name);
    ck_assert_msg(app != NULL, "no app %s", name);
    return app;
}

struct link *probe_link(const char *name)
{
    struct link *link = engine_find_link(probe_engine, name);
    ck_assert_msg(link != NULL, "no link %s", name);
    ck_assert_str_eq(link->name, name);
    return link;
}

void probe_put(const char *name, uint64_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct packet *p = packet_from_bytes("frame", 5);
        ck_assert_ptr_nonnull(p);
        p->timestamp = first + i;
        link_transmit(probe_link(name), p);
    }
}

void probe_holds(const char *name, uint64_t first, uint32_t n)
{
    struct link *link = probe_link(name);
    ck_assert_uint_eq(link_readable(link), n);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_uint_eq((*link_slot(link, link->read + i))->timestamp, first + i);
}
