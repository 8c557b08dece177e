/* support: what tests that drive real graphs share. */
#include "selftest/support.h"

#include <stdarg.h>
#include <stdlib.h>

#include "apps/apps.h"

struct queue {
    struct packet **packets;
    size_t count, size, next;
};

static void queue_add(struct queue *queue, struct packet *p)
{
    if (queue->count == queue->size) {
        queue->size = queue->size ? 2 * queue->size : 64;
        queue->packets = realloc(queue->packets, queue->size * sizeof(*queue->packets));
    }
    queue->packets[queue->count++] = p;
}

static void queue_stop(struct app *app)
{
    struct queue *queue = app->state;
    for (size_t i = queue->next; i < queue->count; i++)
        packet_free(queue->packets[i]);
    free(queue->packets);
}

static void inject_pull(struct app *app)
{
    struct queue *queue = app->state;
    struct link *output = app_output(app, 0);
    while (output && queue->next < queue->count && !link_full(output))
        link_transmit(output, queue->packets[queue->next++]);
    if (queue->next == queue->count)
        queue->next = queue->count = 0;
}

static void collect_push(struct app *app)
{
    struct link *input = app_input(app, 0);
    while (input && !link_empty(input))
        queue_add(app->state, link_receive(input));
}

static const struct port inject_ports[] = { { "output", PORT_OUTPUT, "" }, { NULL } };
static const struct port collect_ports[] = { { "input", PORT_INPUT, "" }, { NULL } };

const struct app_class inject_class = {
    .name = "Inject",
    .doc = "packets from a test",
    .ports = inject_ports,
    .state_size = sizeof(struct queue),
    .stop = queue_stop,
    .pull = inject_pull,
};

const struct app_class collect_class = {
    .name = "Collect",
    .doc = "packets for a test",
    .ports = collect_ports,
    .state_size = sizeof(struct queue),
    .stop = queue_stop,
    .push = collect_push,
};

struct engine *test_engine(uint64_t seed)
{
    struct engine_options options = { .virtual_time = true, .seed = seed };
    struct error err;
    struct engine *engine = engine_new(&options, &err);
    ck_assert_msg(engine != NULL, "%s", err.text);
    engine_set_time(engine, 1000000000);
    return engine;
}

void test_configure(struct engine *engine, struct graph *graph)
{
    struct error err;
    ck_assert_msg(!engine_configure(engine, graph, &err), "%s", err.text);
}

void test_app(struct graph *graph, const char *name, const char *class, ...)
{
    struct value args = value_table();
    const char *key, *text;
    va_list list;
    va_start(list, class);
    while ((key = va_arg(list, const char *)) && (text = va_arg(list, const char *)))
        value_table_add(&args, key, value_string(text));
    va_end(list);
    const struct app_class *found = !strcmp(class, "Inject")    ? &inject_class
                                    : !strcmp(class, "Collect") ? &collect_class
                                                                : apps_find(class);
    ck_assert_msg(found != NULL, "no class %s", class);
    struct error err;
    ck_assert_msg(!graph_add_app(graph, name, found, &args, NULL, &err), "%s", err.text);
    value_free(&args);
}

void test_link(struct graph *graph, const char *spec)
{
    struct error err;
    ck_assert_msg(!graph_add_link(graph, spec, NULL, &err), "%s", err.text);
}

void test_breathe(struct engine *engine, unsigned n)
{
    while (n--)
        engine_breathe(engine);
}

static struct queue *queue_of(struct engine *engine, const char *app)
{
    struct app *found = engine_find_app(engine, app);
    if (!found) /* not an assertion for every packet: libcheck logs each one */
        ck_abort_msg("no app %s", app);
    return found->state;
}

void test_inject(struct engine *engine, const char *app, struct packet *p)
{
    queue_add(queue_of(engine, app), p);
}

void test_inject_bytes(struct engine *engine, const char *app, const void *bytes,
                       uint32_t length)
{
    struct packet *p = packet_from_bytes(bytes, length);
    ck_assert_ptr_nonnull(p);
    test_inject(engine, app, p);
}

struct packet **test_collected(struct engine *engine, const char *app, size_t *count)
{
    struct queue *queue = queue_of(engine, app);
    *count = queue->count;
    return queue->packets;
}

void test_collect_clear(struct engine *engine, const char *app)
{
    struct queue *queue = queue_of(engine, app);
    for (size_t i = 0; i < queue->count; i++)
        packet_free(queue->packets[i]);
    queue->count = 0;
}

uint64_t test_counter(struct engine *engine, const char *app, const char *counter)
{
    struct app *found = engine_find_app(engine, app);
    ck_assert_msg(found != NULL, "no app %s", app);
    for (uint32_t i = 0; found->class->counters && found->class->counters[i].name; i++)
        if (!strcmp(found->class->counters[i].name, counter))
            return found->counters[i];
    ck_abort_msg("%s has no counter %s", found->class->name, counter);
    return 0;
}

struct value test_table(const char *text)
{
    struct value table = value_table();
    char copy[256], *save = NULL;
    ck_assert_uint_lt(strlen(text), sizeof(copy));
    strcpy(copy, text);
    for (char *word = strtok_r(copy, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        char *value = strchr(word, '=');
        ck_assert_msg(value != NULL, "%s: name=text", word);
        *value++ = 0;
        value_table_add(&table, word, value_string(value));
    }
    return table;
}

void test_print_counters(const struct engine *engine)
{
    for (uint32_t i = 0; i < engine->napps; i++) {
        const struct app *app = engine->apps[i];
        const struct counter_row *row = app->class->counters;
        for (uint32_t n = 0; row && row[n].name; n++)
            if (app->counters[n])
                printf("%s %s %lu\n", app->name, row[n].name,
                       (unsigned long)app->counters[n]);
    }
    fflush(stdout);
}
