/* graph: an app network as a passive value. */
#include "engine/graph.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nearest.h"

struct graph *graph_new(void)
{
    return calloc(1, sizeof(struct graph));
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    for (uint32_t i = 0; i < graph->napps; i++) {
        struct graph_app *app = &graph->apps[i];
        param_free(app->class->params, app->conf);
        free(app->conf);
        free(app->name);
        free(app->place);
    }
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        free(graph->links[i].name);
        free(graph->links[i].place);
    }
    free(graph->apps);
    free(graph->links);
    strmap_clear(&graph->app_index);
    strmap_clear(&graph->link_index);
    free(graph);
}

/* Arrays grow at the powers of two. */
static void *make_room(void *array, uint32_t count, size_t size)
{
    return count & (count - 1) ? array : realloc(array, (count ? 2 * count : 1) * size);
}

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static bool name_valid(const char *name)
{
    size_t length = 0;
    while (name_char(name[length]))
        length++;
    return length && length < NAME_SIZE && !name[length];
}

int graph_add_app(struct graph *graph, const char *name, const struct app_class *class,
                  const struct value *args, const char *place, struct error *err)
{
    if (!name_valid(name))
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "app name \"%.80s\": letters, digits, _ and - only, at most %d",
                         name, NAME_SIZE - 1);
    const struct graph_app *other = graph_find_app(graph, name);
    if (other)
        return error_set(err, ERROR_CONFIG, EEXIST, "app \"%s\" is there already%s%s",
                         name, other->place ? ", at " : "",
                         other->place ? other->place : "");
    void *conf = calloc(1, class->conf_size + 1);
    int error = param_parse(class->params, args, conf, class->conf_size, err);
    if (!error && class->verify && (error = class->verify(conf, err)))
        param_free(class->params, conf);
    if (error) {
        error_prefix(err, "app \"%s\" (%s): ", name, class->name);
        free(conf);
        return error;
    }
    graph->apps = make_room(graph->apps, graph->napps, sizeof(*graph->apps));
    struct graph_app *app = &graph->apps[graph->napps];
    *app =
        (struct graph_app){ strdup(name), class, conf, place ? strdup(place) : NULL, 0 };
    strmap_put(&graph->app_index, app->name, graph->napps++);
    return 0;
}

struct graph *graph_copy(const struct graph *graph)
{
    struct graph *copy = graph_new();
    for (uint32_t i = 0; i < graph->napps; i++) {
        const struct graph_app *from = &graph->apps[i];
        copy->apps = make_room(copy->apps, i, sizeof(*copy->apps));
        struct graph_app *app = &copy->apps[i];
        *app = (struct graph_app){ strdup(from->name), from->class,
                                   calloc(1, from->class->conf_size + 1),
                                   from->place ? strdup(from->place) : NULL, from->core };
        param_copy(from->class->params, from->conf, app->conf, from->class->conf_size);
        strmap_put(&copy->app_index, app->name, copy->napps++);
    }
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        const struct graph_link *from = &graph->links[i];
        copy->links = make_room(copy->links, i, sizeof(*copy->links));
        struct graph_link *link = &copy->links[i];
        *link = (struct graph_link){ strdup(from->name), from->spec,
                                     from->place ? strdup(from->place) : NULL };
        strmap_put(&copy->link_index, link->name, copy->nlinks++);
    }
    return copy;
}

/* Reads "app.port" or "app" at *text and moves *text behind it. */
static bool read_end(const char **text, char *app, char *port, const char *port_default)
{
    size_t length = 0;
    while (**text == ' ')
        ++*text;
    while (name_char(**text) && !(**text == '-' && (*text)[1] == '>') &&
           length < NAME_SIZE - 1)
        app[length++] = *(*text)++;
    app[length] = 0;
    if (!length)
        return false;
    snprintf(port, NAME_SIZE, "%s", port_default);
    if (**text == '.') {
        ++*text;
        for (length = 0; length < NAME_SIZE - 1 && name_char(**text) &&
                         !(**text == '-' && (*text)[1] == '>');)
            port[length++] = *(*text)++;
        port[length] = 0;
        if (!length)
            return false;
    }
    while (**text == ' ')
        ++*text;
    return true;
}

int link_spec_parse(struct link_spec *spec, const char *text, struct error *err)
{
    const char *at = text;
    if (read_end(&at, spec->from_app, spec->from_port, "output") && at[0] == '-' &&
        at[1] == '>') {
        at += 2;
        if (read_end(&at, spec->to_app, spec->to_port, "input") && !*at)
            return 0;
    }
    return error_set(err, ERROR_CONFIG, EINVAL,
                     "link \"%.200s\": not of the form \"app.port -> app.port\"", text);
}

int graph_add_link(struct graph *graph, const char *text, const char *place,
                   struct error *err)
{
    struct link_spec spec;
    int error = link_spec_parse(&spec, text, err);
    if (error)
        return error;
    char name[4 * NAME_SIZE + 8];
    snprintf(name, sizeof(name), "%s.%s -> %s.%s", spec.from_app, spec.from_port,
             spec.to_app, spec.to_port);
    if (strmap_get(&graph->link_index, name) != STRMAP_NONE)
        return error_set(err, ERROR_CONFIG, EEXIST, "link \"%s\" is there already", name);
    graph->links = make_room(graph->links, graph->nlinks, sizeof(*graph->links));
    struct graph_link *link = &graph->links[graph->nlinks];
    *link = (struct graph_link){ strdup(name), spec, place ? strdup(place) : NULL };
    strmap_put(&graph->link_index, link->name, graph->nlinks++);
    return 0;
}

/* Another app at one end of a link; false when the link is to go. */
static bool rename_end(char *end, const char *name, const char *other)
{
    if (strcmp(end, name))
        return true;
    if (other)
        snprintf(end, NAME_SIZE, "%s", other);
    return other != NULL;
}

static void replace_links(struct graph *graph, const char *name, const char *source,
                          const char *sink)
{
    struct graph_link *links = graph->links;
    uint32_t count = graph->nlinks;
    graph->links = NULL;
    graph->nlinks = 0;
    strmap_clear(&graph->link_index);
    for (uint32_t i = 0; i < count; i++) {
        struct link_spec spec = links[i].spec;
        char text[4 * NAME_SIZE + 8];
        bool stays = rename_end(spec.from_app, name, source) &&
                     rename_end(spec.to_app, name, sink);
        snprintf(text, sizeof(text), "%s.%s -> %s.%s", spec.from_app, spec.from_port,
                 spec.to_app, spec.to_port);
        if (stays)
            graph_add_link(graph, text, links[i].place, NULL);
        free(links[i].name);
        free(links[i].place);
    }
    free(links);
}

int graph_replace_app(struct graph *graph, const char *name, const char *source,
                      const char *sink)
{
    uint32_t at = strmap_get(&graph->app_index, name);
    if (at == STRMAP_NONE)
        return -ENOENT;
    replace_links(graph, name, source, sink);
    struct graph_app *app = &graph->apps[at];
    param_free(app->class->params, app->conf);
    free(app->conf);
    free(app->place);
    strmap_clear(&graph->app_index);
    free(app->name);
    /* The array keeps its size: it grows at powers of two, which a count may now meet again. */
    memmove(app, app + 1, (--graph->napps - at) * sizeof(*app));
    for (uint32_t i = 0; i < graph->napps; i++)
        strmap_put(&graph->app_index, graph->apps[i].name, i);
    return 0;
}

const struct graph_app *graph_find_app(const struct graph *graph, const char *name)
{
    uint32_t at = strmap_get(&graph->app_index, name);
    return at == STRMAP_NONE ? NULL : &graph->apps[at];
}

/* ` (did you mean "x"?)` for an app that is not there, or "". */
static const char *hint_app(const struct graph *graph, const char *name, char *text,
                            size_t size)
{
    const char **names = calloc(graph->napps + 1, sizeof(*names));
    for (uint32_t i = 0; i < graph->napps; i++)
        names[i] = graph->apps[i].name;
    const char *near = nearest(name, names);
    free(names);
    *text = 0;
    if (near)
        snprintf(text, size, " (did you mean \"%s\"?)", near);
    return text;
}

int graph_set_core(struct graph *graph, const char *name, uint32_t core,
                   struct error *err)
{
    uint32_t at = strmap_get(&graph->app_index, name);
    if (at != STRMAP_NONE) {
        graph->apps[at].core = core;
        return 0;
    }
    char hint[NAME_SIZE + 32];
    return error_set(err, ERROR_CONFIG, ENOENT, "core %u: no app \"%.80s\"%s", core, name,
                     hint_app(graph, name, hint, sizeof(hint)));
}

uint32_t graph_cores(const struct graph *graph)
{
    uint32_t cores = 1;
    for (uint32_t i = 0; i < graph->napps; i++)
        if (graph->apps[i].core >= cores)
            cores = graph->apps[i].core + 1;
    return cores;
}

bool port_any(const struct app_class *class, enum port_direction direction)
{
    for (const struct port *port = class->ports; port && port->name; port++)
        if (port->direction == direction && !strcmp(port->name, "*"))
            return true;
    return false;
}

int port_slot(const struct app_class *class, enum port_direction direction,
              const char *name)
{
    int slot = 0;
    for (const struct port *port = class->ports; port && port->name; port++) {
        if (port->direction != direction)
            continue;
        if (!strcmp(port->name, name) || !strcmp(port->name, "*"))
            return slot;
        slot++;
    }
    return -1;
}

static int no_app(const struct graph *graph, const struct graph_link *link,
                  const char *name, struct error *err)
{
    char hint[NAME_SIZE + 32];
    return error_set(err, ERROR_CONFIG, ENOENT, "link \"%s\": no app \"%s\"%s",
                     link->name, name, hint_app(graph, name, hint, sizeof(hint)));
}

static int no_port(const struct graph_link *link, const struct graph_app *app,
                   enum port_direction direction, const char *name, struct error *err)
{
    const char *kind = direction == PORT_INPUT ? "input" : "output";
    char list[200] = "";
    for (const struct port *port = app->class->ports; port && port->name; port++)
        if (port->direction == direction)
            snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
                     *list ? ", " : "", port->name);
    if (!*list)
        return error_set(err, ERROR_CONFIG, ENOENT, "link \"%s\": %s has no %s ports",
                         link->name, app->class->name, kind);
    return error_set(err, ERROR_CONFIG, ENOENT,
                     "link \"%s\": %s has no %s port \"%s\" (its %ss: %s)", link->name,
                     app->class->name, kind, name, kind, list);
}

/* One end of a link: its app and port exist, and nobody took the port before. */
static int check_end(const struct graph *graph, const struct graph_link *link,
                     enum port_direction direction, struct strmap *taken,
                     struct error *err)
{
    bool input = direction == PORT_INPUT;
    const char *app_name = input ? link->spec.to_app : link->spec.from_app;
    const char *port = input ? link->spec.to_port : link->spec.from_port;
    const struct graph_app *app = graph_find_app(graph, app_name);
    if (!app)
        return no_app(graph, link, app_name, err);
    if (port_slot(app->class, direction, port) < 0)
        return no_port(link, app, direction, port, err);
    /* The end's text inside the canonical name is unique for the port. */
    const char *end = input ? strstr(link->name, "-> ") : link->name;
    size_t length = input ? strlen(end) : (size_t)(strstr(end, " ->") - end);
    char *key = strndup(end, length);
    uint32_t other = strmap_get(taken, key);
    if (other == STRMAP_NONE) {
        strmap_put(taken, key, (uint32_t)(link - graph->links));
        return 0;
    }
    free(key);
    return error_set(err, ERROR_CONFIG, EEXIST,
                     "link \"%s\": %s.%s has a link already (\"%s\")", link->name,
                     app_name, port, graph->links[other].name);
}

int graph_set_param(struct graph *graph, const char *name, const char *path,
                    const struct value *value, struct error *err)
{
    const struct graph_app *app = graph_find_app(graph, name);
    if (!app)
        return error_set(err, ERROR_CONFIG, ENOENT, "there is no app \"%s\"", name);
    int error = param_set(app->class->params, path, value, app->conf, err);
    if (error)
        error_prefix(err, "app \"%s\" (%s): ", app->name, app->class->name);
    return error;
}

int graph_verify(const struct graph *graph, struct error *err)
{
    for (uint32_t i = 0; i < graph->napps; i++) {
        const struct graph_app *app = &graph->apps[i];
        int error = app->class->verify ? app->class->verify(app->conf, err) : 0;
        if (error) {
            error_prefix(err, "app \"%s\" (%s): ", app->name, app->class->name);
            return error;
        }
    }
    return 0;
}

int graph_check(const struct graph *graph, struct error *err)
{
    struct strmap taken = { 0 };
    int error = 0;
    for (uint32_t i = 0; i < graph->nlinks && !error; i++) {
        const struct graph_link *link = &graph->links[i];
        error = check_end(graph, link, PORT_OUTPUT, &taken, err);
        if (!error)
            error = check_end(graph, link, PORT_INPUT, &taken, err);
        if (error && link->place)
            error_prefix(err, "%s: ", link->place);
    }
    for (uint32_t i = 0; i < taken.size; i++)
        free((char *)taken.slots[i].key);
    strmap_clear(&taken);
    return error;
}
