/* clumsy_rig: a Clumsy between two ends, on a clock that only the test moves. */
#include "selftest/clumsy_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "apps/apps.h"
#include "lib/statistics.h"

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

static void set_list(struct value *table, const char *key, const char *text)
{
    struct value list = value_table();
    for (const char *at = text; at; at = strchr(at, ',')) {
        at += *at == ',';
        value_table_add(&list, "", value_integer(strtoll(at, NULL, 10)));
    }
    value_table_add(table, key, list);
}

static void set(struct value *table, char *key, const char *text)
{
    char *dot = strchr(key, '.');
    if (!dot && strchr(text, ',')) {
        set_list(table, key, text);
        return;
    }
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
            for (char *blank = equals + 1; (blank = strchr(blank, '~'));)
                *blank = ' ';
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
    test_app(graph, "c", "Collect", NULL);
    ck_assert_msg(!graph_add_app(graph, "wan", apps_find("Clumsy"), &args, NULL, &err),
                  "%s", err.text);
    value_free(&args);
    test_link(graph, "a.output -> wan.input");
    test_link(graph, "wan.output -> b.input");
    test_link(graph, "wan.back -> c.input");
    return graph;
}

struct rig *rig_new(uint64_t seed, const char *settings)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->engine = test_engine(statistics_seed(seed));
    test_configure(rig->engine, rig_graph(settings));
    return rig;
}

void rig_free(struct rig *rig)
{
    rig_check(rig);
    engine_free(rig->engine);
    ck_assert_uint_eq(arena_in_use(), 0);
    for (size_t i = 0; i < rig->count; i++)
        free(rig->got[i].data);
    for (size_t i = 0; i < rig->back_count; i++)
        free(rig->back[i].data);
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

void rig_send_made(struct rig *rig, const struct made *made, uint64_t timestamp)
{
    uint8_t frame[FRAME_MOST];
    struct made numbered = *made;
    numbered.number = rig->sent++;
    struct packet *p = packet_from_bytes(frame, frame_make(frame, &numbered));
    if (!p)
        ck_abort_msg("no packet");
    p->timestamp = timestamp;
    rig->made = true;
    test_inject(rig->engine, "a", p);
}

struct rig *rig_pass(uint64_t seed, const char *settings, uint64_t n, uint64_t spacing)
{
    struct rig *rig = rig_new(seed, settings);
    for (uint64_t i = 0; i < n; i += 500) {
        for (uint64_t k = i; k < i + 500 && k < n; k++)
            rig_send(rig, RIG_FRAME, RIG_START + k * spacing);
        rig_breathe(rig, RIG_START + (i + 499) * spacing);
    }
    rig_run(rig, rig->engine->now + 1000000000);
    ck_assert_uint_eq(rig_counter(rig, "held"), 0);
    rig_check(rig);
    return rig;
}

void rig_send_paced(struct rig *rig, uint64_t n, uint32_t length, uint64_t spacing)
{
    uint64_t sent = 0;
    for (uint64_t now = RIG_START; sent < n; now += 1000000) {
        rig_run(rig, now);
        for (; sent < n && RIG_START + sent * spacing <= now; sent++)
            rig_send(rig, length, RIG_START + sent * spacing);
        rig_breathe(rig, now);
    }
}

static uint64_t number_of(const struct rig *rig, const struct packet *p)
{
    uint64_t number = 0;
    if (rig->made)
        return frame_number(p->data, p->length);
    for (uint32_t i = 0; i < 8 && HEADER + i < p->length; i++)
        number |= (uint64_t)p->data[HEADER + i] << 8 * i;
    return number;
}

static struct arrival note(const struct rig *rig, const struct packet *p, bool keep)
{
    uint8_t frame[LONGEST];
    struct arrival arrival = { .number = number_of(rig, p),
                               .timestamp = p->timestamp,
                               .seen = rig->engine->now,
                               .length = p->length,
                               .flags = p->flags,
                               .vlan_tci = p->vlan_tci };
    if (!rig->made) {
        rig_fill(frame, p->length, arrival.number);
        arrival.intact = !memcmp(frame, p->data, p->length);
    }
    if (keep) {
        arrival.data = malloc(p->length);
        memcpy(arrival.data, p->data, p->length);
    }
    return arrival;
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
        rig->got[rig->count++] = note(rig, p[i], rig->keep);
    test_collect_clear(rig->engine, "b");
    if (!engine_find_app(rig->engine, "c"))
        return;
    p = test_collected(rig->engine, "c", &count);
    for (size_t i = 0; i < count && rig->back_count < 16; i++)
        rig->back[rig->back_count++] = note(rig, p[i], true);
    test_collect_clear(rig->engine, "c");
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
    struct app *wan = engine_find_app(rig->engine, "wan");
    if (!wan)
        return;
    uint64_t gone = 0;
    for (const struct counter_row *row = wan->class->counters; row->name; row++)
        if (!strncmp(row->name, "drop_", 5))
            gone += wan->counters[row - wan->class->counters];
    ck_assert_uint_eq(rig_counter(rig, "packets") + rig_counter(rig, "duplicated"),
                      rig_counter(rig, "delivered") + gone + rig_counter(rig, "held"));
    struct link *link = engine_find_link(rig->engine, "wan.output -> b.input");
    if (link) {
        ck_assert_uint_eq(link->drops, 0);
        ck_assert_uint_eq(link->read, rig->count);
        ck_assert_uint_eq(link->write, rig_counter(rig, "delivered"));
    }
}
