/* breaths: takes a number of breaths of a small graph and prints how many packets it
 * made.
 *
 *     breaths GRAPH COUNT            GRAPH: basic1, chain10, clumsy_loss, clumsy_owd,
 * filter
 *
 * For counting instructions per packet: no clock decides what happens, so the same binary
 * executes the same instructions every time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "apps/apps.h"
#include "engine/engine.h"

static void fail(const struct error *err)
{
    fprintf(stderr, "breaths: %s\n", err->text);
    exit(1);
}

static void add(struct graph *graph, const char *name, const char *class, const char *key,
                const char *text)
{
    struct value args = value_table();
    struct error err;
    if (key)
        value_table_add(&args, key, value_string(text));
    if (graph_add_app(graph, name, apps_find(class), &args, NULL, &err))
        fail(&err);
    value_free(&args);
}

static void connect(struct graph *graph, const char *spec)
{
    struct error err;
    if (graph_add_link(graph, spec, NULL, &err))
        fail(&err);
}

static void basic1(struct graph *graph)
{
    add(graph, "tee", "Tee", NULL, NULL);
    connect(graph, "source.tx -> tee.rx");
    connect(graph, "tee.tx1 -> sink.rx1");
    connect(graph, "tee.tx2 -> sink.rx2");
}

static void chain10(struct graph *graph)
{
    char name[16], from[16] = "source", spec[64];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "join%d", i);
        add(graph, name, "Join", NULL, NULL);
        snprintf(spec, sizeof(spec), "%s -> %s", from, name);
        connect(graph, spec);
        memcpy(from, name, sizeof(from));
    }
    snprintf(spec, sizeof(spec), "%s -> sink", from);
    connect(graph, spec);
}

static void through(struct graph *graph, const char *class, const char *key,
                    const char *text)
{
    add(graph, "app", class, key, text);
    connect(graph, "source -> app");
    connect(graph, "app -> sink");
}

static struct graph *make_graph(const char *name)
{
    struct graph *graph = graph_new();
    add(graph, "source", "Source", NULL, NULL);
    add(graph, "sink", "Sink", NULL, NULL);
    if (!strcmp(name, "basic1"))
        basic1(graph);
    else if (!strcmp(name, "chain10"))
        chain10(graph);
    else if (!strcmp(name, "clumsy_loss"))
        through(graph, "Clumsy", "loss", "1%");
    else if (!strcmp(name, "clumsy_owd"))
        through(graph, "Clumsy", "owd", "1ms");
    else if (!strcmp(name, "filter"))
        through(graph, "PacketFilter", "filter", "ip or ether proto 0x88b5");
    else {
        fprintf(stderr, "breaths: no graph \"%s\"\n", name);
        exit(2);
    }
    return graph;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: breaths GRAPH COUNT\n");
        return 2;
    }
    struct engine_options options = { .virtual_time = true, .seed = 1 };
    struct error err;
    struct engine *engine = engine_new(&options, &err);
    if (!engine || engine_configure(engine, make_graph(argv[1]), &err))
        fail(&err);
    for (long i = atol(argv[2]); i > 0; i--) {
        engine_set_time(engine, engine_now(engine) + 10000);
        engine_breathe(engine);
    }
    printf("%lu\n", (unsigned long)engine_find_app(engine, "source")->counters[0]);
    engine_free(engine);
    return 0;
}
