/* fuzz/vxlan_nat: any bytes as frames for a VxlanNat.
 *
 * The first byte chooses its parameters. Then frames: what is wrong with a right one, a length, that
 * many bytes, which are the frame, or replace a part of a right one. All of them go out or are
 * dropped under a reason, no packet is lost, and what goes out is an IP packet within its frame.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/apps.h"
#include "engine/engine.h"
#include "selftest/frame_maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct engine *engine;

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "vxlan_nat: %s\n", what);
        abort();
    }
}

static struct value rule(const char *port, const char *to)
{
    struct value table = value_table();
    if (port)
        value_table_add(&table, "port", value_string(port));
    value_table_add(&table, "to", value_string(to));
    return table;
}

static void add(struct value *args, const char *name, const char *text)
{
    value_table_add(args, name, value_string(text));
}

static void put_app(struct graph *graph, uint8_t choice)
{
    static const char *const vlans[] = { "drop", "strip", "keep", "keep" };
    struct value args = value_table(), rules = value_table();
    struct error err;
    value_table_add(&rules, NULL, rule("2000", "192.0.2.1:80"));
    value_table_add(&rules, NULL, rule("3000-4000", "192.0.2.2:5000-6000"));
    if (choice & 1)
        value_table_add(&rules, NULL, rule(NULL, "192.0.2.3"));
    value_table_add(&rules, NULL, rule("1-65535", "2001:db8::7"));
    add(&args, "allow", "0.0.0.0/0 ::/0");
    add(&args, "inner_vlan", vlans[choice >> 1 & 3]);
    add(&args, "mtu", choice & 8 ? "68" : choice & 16 ? "576" : "0");
    add(&args, "df", choice & 32 ? "clear" : "keep");
    add(&args, "verify_csum", choice & 64 ? "true" : "false");
    add(&args, "udp6_zero", "true");
    add(&args, "ttl", choice & 128 ? "decrement" : "keep");
    value_table_add(&args, "rules", rules);
    require(!graph_add_app(graph, "nat", apps_find("VxlanNat"), &args, NULL, &err),
            err.text);
    value_free(&args);
}

static struct app *set_up(uint8_t choice)
{
    const struct engine_options options = { .virtual_time = true, .packets = 4096 };
    if (!engine)
        engine = engine_new(&options, NULL);
    require(engine && !engine_configure(engine, graph_new(), NULL), "no engine");
    struct graph *graph = graph_new();
    put_app(graph, choice);
    require(!apps_put(graph, NULL, "in", "Join", NULL) &&
                !apps_put(graph, NULL, "out", "Split", NULL),
            "no app");
    require(!graph_add_link(graph, "in.output -> nat.input", NULL, NULL) &&
                !graph_add_link(graph, "nat.output -> out.input", NULL, NULL),
            "no link");
    require(!engine_configure(engine, graph, NULL), "no graph");
    return engine_find_app(engine, "nat");
}

/* A right one around a right one. */
static uint32_t make_frame(uint8_t *out, uint8_t what)
{
    static const uint8_t protocols[] = { IS_TCP, IS_UDP, IS_ICMP, IS_UDP };
    uint8_t inner[FRAME_MOST];
    struct made about = { .v6 = what & 4,
                          .protocol = protocols[what & 3],
                          .tags = what >> 3 & 1,
                          .options = what & 16 ? 4 : 0,
                          .payload = what & 32 ? 700 : 20 };
    struct made made = { .v6 = what & 64, .to = 4789 };
    uint32_t length = frame_make(inner, &about);
    made.payload = 8 + length;
    uint32_t whole = frame_make(out, &made), at = whole - made.payload;
    memset(out + at, 0, 8);
    out[at] = 8;
    memcpy(out + at + 8, inner, length);
    return whole;
}

static void check_out(struct app *app)
{
    struct link *link = app_output(app, 0);
    while (!link_empty(link)) {
        struct packet *p = link_receive(link);
        require(p->length >= 34, "a frame without a packet");
        packet_free(p);
    }
}

static uint64_t counter(const struct app *app, const char *name)
{
    const struct counter_row *row = app->class->counters;
    uint32_t i = 0;
    while (strcmp(row[i].name, name))
        i++;
    return app->counters[i];
}

static void check_books(const struct app *app, uint64_t sent)
{
    uint64_t ends = counter(app, "forwarded");
    for (uint32_t i = 0; app->class->counters[i].name; i++)
        if (!strncmp(app->class->counters[i].name, "pass_", 5))
            ends += app->counters[i];
    require(counter(app, "total_packets") == sent, "frames that were not seen");
    require(ends + counter(app, "errors") == sent, "frames that are nowhere");
    require(arena_in_use() == 0, "packets are lost");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t frame[FRAME_MOST];
    uint64_t sent = 0;
    if (!size)
        return 0;
    struct app *app = set_up(data[0]);
    struct link *input = app_input(app, 0);
    for (size_t at = 1; at + 3 < size && sent < 200; sent++) {
        uint8_t what = data[at];
        uint32_t length = data[at + 1], where = data[at + 2] & 127, whole = length;
        at += 3;
        if (length > size - at)
            whole = length = (uint32_t)(size - at);
        if (data[at - 1] & 128) {
            whole = make_frame(frame, what);
            memcpy(frame + where, data + at, where + length <= whole ? length : 0);
            whole = what & 128 && length < whole ? whole - length : whole;
        } else
            memcpy(frame, data + at, length);
        at += length;
        struct packet *p = packet_from_bytes(frame, whole);
        require(p, "no packet");
        link_transmit(input, p);
        app->class->push(app);
        check_out(app);
    }
    check_books(app, sent);
    return 0;
}
