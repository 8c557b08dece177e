/* clumsy_rig: a Clumsy between two ends, on a clock that only the test moves. */
#include "selftest/clumsy_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "apps/apps.h"

#define HEADER  14
#define LONGEST 2048

static struct value *field(struct value *table, const char *key)
{
    for (size_t i = 0; i < table->table->count; i++)
        if (!strcmp(table->table->fields[i].key, key))
            return &table->table->fields[i].value;
    value_table_add(table, key, value_table());
    return &table->table->fields[table->table->count - 1].value;
}

static void set(struct value *table, char *key, const char *text)
{
    char *dot = strchr(key, '.');
    if (!dot) {
        value_table_add(table, key, value_string(text));
        return;
    }
    *dot = 0;
    set(field(table, key), dot + 1, text);
}

struct value rig_settings(const char *settings)
{
    struct value args = value_table();
    char text[512], *rest = text, *word;
    snprintf(text, sizeof(text), "%s", settings);
    while ((word = strsep(&rest, " ")))
        if (*word) {
            char *equals = strchr(word, '=');
            ck_assert_ptr_nonnull(equals);
            *equals = 0;
            set(&args, word, equals + 1);
        }
    return args;
}

struct graph *rig_graph(const char *settings)
{
    struct graph *graph = graph_new();
    struct value args = rig_settings(settings);
    struct error err;
    test_app(graph, "a", "Inject", NULL);
    test_app(graph, "b", "Collect", NULL);
    ck_assert_msg(!graph_add_app(graph, "wan", apps_find("Clumsy"), &args, NULL, &err),
                  "%s", err.text);
    value_free(&args);
    test_link(graph, "a.output -> wan.input");
    test_link(graph, "wan.output -> b.input");
    return graph;
}

struct rig *rig_new(uint64_t seed, const char *settings)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->engine = test_engine(seed);
    test_configure(rig->engine, rig_graph(settings));
    return rig;
}

void rig_free(struct rig *rig)
{
    rig_check(rig);
    engine_free(rig->engine);
    ck_assert_uint_eq(arena_in_use(), 0);
    free(rig->got);
    free(rig);
}

void rig_set(struct rig *rig, const char *settings)
{
    test_configure(rig->engine, rig_graph(settings));
}

void rig_fill(uint8_t *frame, uint32_t length, uint64_t number)
{
    static const uint8_t ends[HEADER] = {
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5
    }; /* experimental */
    memcpy(frame, ends, HEADER);
    for (uint32_t i = HEADER; i < length; i++)
        frame[i] = (uint8_t)(i < HEADER + 8 ? number >> 8 * (i - HEADER) : number + i);
}

void rig_send(struct rig *rig, uint32_t length, uint64_t timestamp)
{
    uint8_t frame[LONGEST];
    rig_fill(frame, length, rig->sent++);
    struct packet *p = packet_from_bytes(frame, length);
    if (!p)
        ck_abort_msg("no packet");
    p->timestamp = timestamp;
    test_inject(rig->engine, "a", p);
}

void rig_send_many(struct rig *rig, uint64_t n)
{
    while (n--)
        rig_send(rig, RIG_FRAME, 0);
}

static struct arrival note(const struct packet *p, uint64_t now)
{
    uint8_t frame[LONGEST];
    uint64_t number = 0;
    for (uint32_t i = 0; i < 8 && HEADER + i < p->length; i++)
        number |= (uint64_t)p->data[HEADER + i] << 8 * i;
    rig_fill(frame, p->length, number);
    return (struct arrival){ .number = number,
                             .timestamp = p->timestamp,
                             .seen = now,
                             .length = p->length,
                             .intact = !memcmp(frame, p->data, p->length) };
}

void rig_receive(struct rig *rig)
{
    size_t count;
    struct packet **p = test_collected(rig->engine, "b", &count);
    if (rig->count + count > rig->size) {
        rig->size = 2 * (rig->count + count);
        rig->got = realloc(rig->got, rig->size * sizeof(*rig->got));
    }
    for (size_t i = 0; i < count; i++)
        rig->got[rig->count++] = note(p[i], rig->engine->now);
    test_collect_clear(rig->engine, "b");
}

void rig_breathe(struct rig *rig, uint64_t time)
{
    engine_set_time(rig->engine, time);
    engine_breathe(rig->engine);
    rig_receive(rig);
}

void rig_run(struct rig *rig, uint64_t until)
{
    rig_breathe(rig, rig->engine->now);
    while (rig->engine->now < until) {
        uint64_t next = timers_next(&rig->engine->timers), now = rig->engine->now;
        next = next > now ? next : now + 1;
        rig_breathe(rig, next < until ? next : until);
    }
}

uint64_t rig_counter(struct rig *rig, const char *name)
{
    return test_counter(rig->engine, "wan", name);
}

void rig_check(struct rig *rig)
{
    static const char *const drops[] = {
        "drop_gso",    "drop_loss",      "drop_queue",
        "drop_memory", "drop_no_output", "drop_stopped"
    };
    struct app *wan = engine_find_app(rig->engine, "wan");
    if (!wan)
        return;
    uint64_t gone = 0;
    for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++)
        gone += rig_counter(rig, drops[i]);
    for (const struct counter_row *row = wan->class->counters; row->name; row++)
        if (!strncmp(row->name, "drop_", 5))
            gone -= wan->counters[row - wan->class->counters];
    ck_assert_uint_eq(gone, 0); /* the list above is complete */
    for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++)
        gone += rig_counter(rig, drops[i]);
    ck_assert_uint_eq(rig_counter(rig, "packets") + rig_counter(rig, "duplicated"),
                      rig_counter(rig, "delivered") + gone + rig_counter(rig, "held"));
    struct link *link = engine_find_link(rig->engine, "wan.output -> b.input");
    if (link) {
        ck_assert_uint_eq(link->drops, 0);
        ck_assert_uint_eq(link->read, rig->count);
        ck_assert_uint_eq(link->write, rig_counter(rig, "delivered"));
    }
}
