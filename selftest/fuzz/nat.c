/* fuzz/nat: any bytes as frames from either side of a Nat.
 *
 * The first byte chooses its parameters. Then frames: side and time, what it is, a length, that many
 * bytes, which are the frame, or what is wrong with a right one. All of them are sent or dropped under a reason, and no packet is lost.
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
        fprintf(stderr, "nat: %s\n", what);
        abort();
    }
}

static void put_nat(struct graph *graph, uint8_t choice)
{
    static const char *const filterings[] = { "endpoint-independent", "address-dependent",
                                              "address-and-port-dependent",
                                              "address-dependent" };
    const char *address = choice & 1 ? "10.0.0.9" : "";
    require(!apps_put(graph, NULL, "nat", "Nat", "address", address, "address6",
                      choice & 1 ? "2001:db8::9" : "", "filtering",
                      filterings[choice >> 1 & 3], "ports",
                      choice & 8 ? "2000-2003" : "1024-65535", "max_mappings",
                      choice & 16 ? "3" : "100", "rebind_period",
                      choice & 32 ? "3s" : "0s", NULL),
            "no Nat");
}

/* A new Nat for every input. */
static struct app *set_up(uint8_t choice)
{
    const struct engine_options options = { .virtual_time = true, .packets = 4096 };
    if (!engine)
        engine = engine_new(&options, NULL);
    require(engine && !engine_configure(engine, graph_new(), NULL), "no engine");
    struct graph *graph = graph_new();
    put_nat(graph, choice);
    for (int side = 0; side < 2; side++) {
        static const char *const names[] = { "inside", "outside" };
        char app[16], link[64];
        snprintf(app, sizeof(app), "from_%s", names[side]);
        require(!apps_put(graph, NULL, app, "Join", NULL), "no Join");
        snprintf(link, sizeof(link), "%s.output -> nat.%s", app, names[side]);
        require(!graph_add_link(graph, link, NULL, NULL), "no link");
        snprintf(app, sizeof(app), "to_%s", names[side]);
        require(!apps_put(graph, NULL, app, "Sink", NULL), "no Sink");
        snprintf(link, sizeof(link), "nat.%s -> %s.input", names[side], app);
        require(!graph_add_link(graph, link, NULL, NULL), "no link");
    }
    require(!engine_configure(engine, graph, NULL), "no graph");
    return engine_find_app(engine, "nat");
}

/* what: 1 an unfinished checksum at 2, 4; 8 a right frame of a protocol, IPv6 with 64, 128 an error
 * about one. */
static struct packet *make_packet(const uint8_t *bytes, uint32_t length, uint8_t what)
{
    static const uint8_t protocols[] = { IS_TCP, IS_UDP, IS_ICMP, IS_ICMP };
    uint8_t frame[FRAME_MOST] = { 0 }, quoted[FRAME_MOST];
    struct made made = { .v6 = what & 64,
                         .protocol = protocols[what >> 4 & 3],
                         .payload = 9 };
    uint32_t made_length = what & 8 ? frame_make(frame, &made) : 0;
    if (what & 8 && what & 128) {
        struct made about = { .v6 = made.v6,
                              .protocol = IS_ICMP,
                              .type = made.v6 ? 1 : 3 };
        memcpy(quoted, frame, made_length);
        about.payload = made_length - 14;
        made_length = frame_make(frame, &about);
        memcpy(frame + made_length - about.payload, quoted + 14, about.payload);
    }
    for (uint32_t i = 0; i < length; i++)
        frame[i] ^= bytes[i];
    struct packet *p =
        packet_from_bytes(frame, length > made_length ? length : made_length);
    if (p && what & 1) {
        p->flags |= PACKET_CSUM_PARTIAL;
        p->csum_start = what & 2 ? 34 : 54;
        p->csum_offset = what & 4 ? 16 : 6;
    }
    return p;
}

static uint64_t dropped(const struct app *nat)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; nat->class->counters[i].name; i++)
        if (!strncmp(nat->class->counters[i].name, "drop_", 5))
            sum += nat->counters[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t sent = 0;
    if (size < 1 || size > 8192)
        return 0;
    struct app *nat = set_up(data[0]);
    uint64_t before = dropped(nat);
    for (size_t at = 1; at + 4 <= size;) {
        uint32_t length = data[at + 2] | (data[at + 3] & 3u) << 8;
        length = length < size - at - 4 ? length : (uint32_t)(size - at - 4);
        struct packet *p = make_packet(data + at + 4, length, data[at + 1]);
        engine_set_time(engine, engine_now(engine) + (data[at] >> 1) * 100000000ull);
        if (p)
            link_transmit(nat->inputs[data[at] & 1], p);
        sent += p != NULL;
        engine_breathe(engine);
        at += 4 + length;
    }
    uint64_t forwarded = nat->outputs[0]->write + nat->outputs[1]->write;
    require(sent == forwarded + dropped(nat) - before, "a packet is not counted");
    require(arena_in_use() == 0, "a packet is lost");
    return 0;
}
