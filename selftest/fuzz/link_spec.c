/* fuzz/link_spec: any text as a link.
 *
 * What the parser takes has to be made of names, and comes back the same when it is
 * written in the canonical form and parsed again. Whatever it is, a graph with it is
 * refused or can be checked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/apps.h"
#include "engine/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "link_spec: %s\n", what);
        abort();
    }
}

static void require_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t length = strnlen(name, NAME_SIZE);
    require(length > 0 && length < NAME_SIZE, "length of a name");
    require(strspn(name, allowed) == length, "characters of a name");
}

static void check_spec(const struct link_spec *spec)
{
    require_name(spec->from_app);
    require_name(spec->from_port);
    require_name(spec->to_app);
    require_name(spec->to_port);
    char text[4 * NAME_SIZE + 8];
    struct link_spec again = { 0 };
    snprintf(text, sizeof(text), "%s.%s -> %s.%s", spec->from_app, spec->from_port,
             spec->to_app, spec->to_port);
    require(!link_spec_parse(&again, text, NULL), "not parsed again");
    require(!strcmp(again.from_app, spec->from_app) &&
                !strcmp(again.from_port, spec->from_port) &&
                !strcmp(again.to_app, spec->to_app) &&
                !strcmp(again.to_port, spec->to_port),
            "parsed otherwise");
}

/* The apps of the link, as far as their names can be had, then others. */
static void check_graph(const char *text, const struct link_spec *spec)
{
    struct graph *graph = graph_new();
    struct value nothing = { VALUE_NIL };
    struct error err = { 0 };
    if (spec) {
        graph_add_app(graph, spec->from_app, apps_find("Tee"), &nothing, NULL, &err);
        graph_add_app(graph, spec->to_app, apps_find("Join"), &nothing, NULL, &err);
    }
    graph_add_app(graph, "source", apps_find("Source"), &nothing, NULL, &err);
    graph_add_app(graph, "sink", apps_find("Sink"), &nothing, NULL, &err);
    require(!graph_add_link(graph, "source -> sink.x", NULL, &err), "link");
    int error = graph_add_link(graph, text, "place:1", &err);
    require(spec || error, "taken by the graph, not by the parser");
    if (error)
        require(err.kind == ERROR_CONFIG && strlen(err.text) > 0, "no message");
    else
        require(graph_add_link(graph, text, NULL, &err) == -EEXIST, "taken twice");
    graph_check(graph, &err);
    graph_free(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct link_spec spec = { 0 };
    struct error err;
    char *text = malloc(size + 1);
    require(text != NULL, "out of memory");
    memcpy(text, data, size);
    text[size] = 0;
    bool valid = !link_spec_parse(&spec, text, &err);
    if (valid)
        check_spec(&spec);
    check_graph(text, valid ? &spec : NULL);
    free(text);
    return 0;
}
