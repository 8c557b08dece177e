/* fuzz/vxlan_nat: any bytes as frames for a VxlanNat, and as answers to what it sent.
 *
 * Two bytes choose its parameters. Then frames: a kind, what is right about it, a length, a place, and
 * that many bytes, which are the frame, or replace a part of a right one. Kinds are tunnels, pieces of
 * tunnels, answers to the last frame that went out or back, and ICMP errors about it. All of them go
 * out or are dropped under a reason, no packet is lost, and what goes out is an IP packet within its
 * frame.
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

static void put_app(struct graph *graph, uint8_t choice, uint8_t mode)
{
    static const char *const vlans[] = { "drop", "strip", "keep", "keep" };
    static const char *const modes[] = { "oneway", "route", "route", "nat-out" };
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
    add(&args, "mode", modes[mode & 3]);
    add(&args, "tunnel_mtu", mode & 4 ? "600" : "0");
    add(&args, "reassemble", mode & 8 ? "false" : "true");
    add(&args, "checksum", mode & 16 ? "recompute" : "auto");
    add(&args, "tcp_loose", mode & 32 ? "false" : "true");
    add(&args, "sessions", "16");
    value_table_add(&args, "rules", rules);
    require(!graph_add_app(graph, "nat", apps_find("VxlanNat"), &args, NULL, &err),
            err.text);
    value_free(&args);
}

static struct app *set_up(uint8_t choice, uint8_t mode)
{
    static const char *const links[] = { "in.output -> nat.input",
                                         "nat.output -> out.input",
                                         "there.output -> nat.back",
                                         "nat.back -> back.input" };
    const struct engine_options options = { .virtual_time = true, .packets = 4096 };
    if (!engine)
        engine = engine_new(&options, NULL);
    require(engine && !engine_configure(engine, graph_new(), NULL), "no engine");
    struct graph *graph = graph_new();
    put_app(graph, choice, mode);
    require(!apps_put(graph, NULL, "in", "Join", NULL) &&
                !apps_put(graph, NULL, "there", "Join", NULL) &&
                !apps_put(graph, NULL, "out", "Split", NULL) &&
                !apps_put(graph, NULL, "back", "Split", NULL),
            "no app");
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
        require(!graph_add_link(graph, links[i], NULL, NULL), "no link");
    require(!engine_configure(engine, graph, NULL), "no graph");
    return engine_find_app(engine, "nat");
}

/* --- frames ---------------------------------------------------------------------------- */

static uint8_t frame[FRAME_MOST];

/* What went out last, and what went back; without a tunnel. */
static struct last {
    uint8_t bytes[FRAME_MOST];
    uint32_t length; /* 0: nothing yet */
} lasts[2];

/* VXLAN around so many bytes. */
static uint32_t cover(bool v6, const uint8_t *bytes, uint32_t length)
{
    struct tunnel tunnel = { .v6 = v6, .vni = 7 };
    return length + 128 < FRAME_MOST ? frame_wrap(frame, &tunnel, bytes, length) : 0;
}

/* A right one around a right one. */
static uint32_t make_tunnel(uint8_t what)
{
    static const uint8_t protocols[] = { IS_TCP, IS_UDP, IS_ICMP, IS_UDP };
    uint8_t inner[FRAME_MOST];
    struct made about = { .v6 = what & 4,
                          .protocol = protocols[what & 3],
                          .tags = what >> 3 & 1,
                          .flags = what & 16 ? IS_SYN : IS_ACK,
                          .options = what & 16 ? 4 : 0,
                          .payload = what & 32 ? 700 : 20 };
    return cover(what & 64, inner, frame_make(inner, &about));
}

/* One of the pieces of a tunnel over IPv4, of 400 bytes each. */
static uint32_t make_piece(uint8_t what)
{
    uint32_t length = make_tunnel(what & 0x3f), from = 400u * (what >> 6);
    if (34 + from >= length)
        return length;
    uint32_t size = length - 34 - from < 400 ? length - 34 - from : 400;
    put16(frame + 16, 20 + size);
    put16(frame + 20, (34 + from + size < length ? 0x2000 : 0) | from / 8);
    put16(frame + 24, 0);
    put16(frame + 24, ~naive_sum(frame + 14, 20, 0));
    memmove(frame + 34, frame + 34 + from, size);
    return 34 + size;
}

static uint32_t make_answer(uint8_t what, const struct last *last)
{
    if (last->length < 54)
        return make_tunnel(what);
    memcpy(frame, last->bytes, last->length);
    struct look look = frame_look(frame, last->length);
    if (look.l4 + 20 <= last->length)
        frame_turn_round(frame, last->length);
    return last->length;
}

/* About that frame, as its receiver would. */
static uint32_t make_error(uint8_t what, const struct last *last)
{
    uint8_t inner[FRAME_MOST] = { 0 };
    bool ipv6 = last->length > 13 && last->bytes[13] == 0xdd;
    uint32_t header = 14 + (ipv6 ? 40 : 20), quoted = last->length - 14;
    if (last->length < header + 8)
        return make_tunnel(what);
    quoted = quoted > 28u + what ? 28u + what : quoted;
    struct made about = {
        .v6 = ipv6, .protocol = IS_ICMP, .type = ipv6 ? 1 : 3, .payload = quoted
    };
    uint32_t length = frame_make(inner, &about);
    memcpy(inner + header - (ipv6 ? 16 : 4), last->bytes + (ipv6 ? 22 : 26),
           ipv6 ? 16 : 4);
    memcpy(inner + header + 8, last->bytes + 14, quoted);
    struct look look = frame_look(inner, length);
    put16(inner + header + 2, 0);
    put16(inner + header + 2, ~transport_sum(inner, &look));
    if (!ipv6) {
        put16(inner + 24, 0);
        put16(inner + 24, ~naive_sum(inner + 14, 20, 0));
    }
    memcpy(frame, inner, length);
    return length;
}

/* --- books ------------------------------------------------------------------------------ */

static void remember(struct last *last, const struct packet *p)
{
    uint32_t udp = p->data[12] == 0x86 ? 54 : 34;
    bool tunnel =
        last == &lasts[1] && p->length > udp + 16 && get16(p->data + udp + 2) == 4789;
    uint32_t from = tunnel ? udp + 16 : 0;
    if (p->length > FRAME_MOST)
        return;
    last->length = p->length - from;
    memcpy(last->bytes, p->data + from, last->length);
}

static void check_out(struct app *app)
{
    for (int side = 0; side < 2; side++) {
        struct link *link = app_output(app, (uint32_t)side);
        while (!link_empty(link)) {
            struct packet *p = link_receive(link);
            require(p->length >= 34, "a frame without a packet");
            remember(&lasts[side], p);
            packet_free(p);
        }
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

static uint64_t all_of(const struct app *app, const char *prefix)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; app->class->counters[i].name; i++)
        if (!strncmp(app->class->counters[i].name, prefix, strlen(prefix)))
            sum += app->counters[i];
    return sum;
}

static void check_books(const struct app *app, const uint64_t sent[2])
{
    uint64_t ends = all_of(app, "pass_") + counter(app, "errors") + counter(app, "held") +
                    counter(app, "forwarded") + counter(app, "outer_merged") +
                    counter(app, "back_forwarded");
    require(counter(app, "total_packets") == sent[0], "frames that were not seen");
    require(counter(app, "back_packets") == sent[1], "answers that were not seen");
    require(ends == sent[0] + sent[1], "frames that are nowhere");
    require(all_of(app, "drop_") == counter(app, "errors"), "drops without a reason");
}

/* Nothing waits any more. */
static void let_time_pass(struct app *app)
{
    engine_set_time(engine, engine_now(engine) + 31000000000);
    app->class->tick(app);
    check_out(app);
    require(!counter(app, "held"), "packets wait for ever");
    require(arena_in_use() == 0, "packets are lost");
}

/* --- one input ---------------------------------------------------------------------------- */

/* The next frame out of the input, by its head of 4 bytes: its length. */
static uint32_t next_frame(const uint8_t *data, size_t left, size_t *used)
{
    uint8_t kind = data[0], what = data[1];
    uint32_t length = data[2], where = data[3] & 127, whole;
    bool by_tunnel = kind & 8;
    length = length < left - 4 ? length : (uint32_t)(left - 4);
    *used = 4 + length;
    if (!(data[3] & 128)) {
        memcpy(frame, data + 4, length);
        return length;
    }
    whole = (kind >> 1 & 3) == 0   ? make_tunnel(what)
            : (kind >> 1 & 3) == 1 ? make_piece(what)
            : (kind >> 1 & 3) == 2 ? make_answer(what, &lasts[by_tunnel])
                                   : make_error(what, &lasts[by_tunnel]);
    if (by_tunnel && (kind >> 1 & 3) > 1) {
        uint8_t inner[FRAME_MOST];
        memcpy(inner, frame, whole);
        whole = cover(kind & 16, inner, whole);
    }
    memcpy(frame + where, data + 4, where + length <= whole ? length : 0);
    return kind & 128 && length < whole ? whole - length : whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t sent[2] = { 0, 0 };
    size_t used;
    if (size < 2)
        return 0;
    struct app *app = set_up(data[0], data[1]);
    lasts[0].length = lasts[1].length = 0;
    for (size_t at = 2; at + 4 < size && sent[0] + sent[1] < 200; at += used) {
        bool back = data[at] & 1;
        uint32_t length = next_frame(data + at, size - at, &used);
        struct packet *p = packet_from_bytes(frame, length);
        require(p, "no packet");
        link_transmit(app_input(app, back), p);
        sent[back]++;
        app->class->push(app);
        check_out(app);
        check_books(app, sent);
    }
    let_time_pass(app);
    check_books(app, sent);
    return 0;
}
