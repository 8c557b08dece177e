/* xdp_socket_fixture: what the suites of XdpSocket share, on top of raw_socket_rig's wires.
 *
 *   try_socket, socket_on    an XdpSocket in a graph
 *   bridge, listener         if1 <-> if2;  in -> if1 -> out
 *   start, stop              an engine with a graph; every packet must be accounted for
 *   count, collected         counters, packets at "out"
 *   next_frame, expect_frame what comes out at a far end
 *   attached                 the XDP program of an interface
 *   check_report             what the app says of itself
 *   flow                     a datagram
 */
#pragma once

#include <bpf/libbpf.h>
#include <net/if.h>

#include "lib/error.h"
#include "selftest/raw_socket_rig.h"

static struct rig rig;
static uint8_t got[RIG_FRAME_MAX];
static struct error err;

/* options: "queue=0;match=udp dst port 53" or NULL */
static inline int try_socket(struct graph *graph, const char *name, const char *ifname,
                             const char *options)
{
    return rig_try(graph, "XdpSocket", name, ifname, options, ";", &err);
}

static inline void socket_on(struct graph *graph, const char *ifname, const char *options)
{
    ck_assert_msg(!try_socket(graph, ifname, ifname, options), "%s", err.text);
}

/* if1 <-> if2 */
static inline struct graph *bridge(const char *options)
{
    struct graph *graph = graph_new();
    socket_on(graph, "if1", options);
    socket_on(graph, "if2", options);
    test_link(graph, "if1 -> if2");
    test_link(graph, "if2 -> if1");
    return graph;
}

/* in -> if1 -> out */
static inline struct graph *listener(const char *options)
{
    struct graph *graph = graph_new();
    socket_on(graph, "if1", options);
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "if1 -> out");
    test_link(graph, "in -> if1");
    return graph;
}

static inline void start(struct graph *graph)
{
    rig_engine(&rig, NULL);
    test_configure(rig.engine, graph);
    rig.left = wire_open("left");
    rig.right = wire_open("right");
}

static inline uint64_t count(const char *app, const char *counter)
{
    return rig_count(&rig, app, counter);
}

static inline void check_sent(const struct app *app)
{
    uint64_t ends = count(app->name, "tx_packets") +
                    count(app->name, "drop_tx_oversize") +
                    count(app->name, "drop_tx_runt") +
                    count(app->name, "drop_link_down") + count(app->name, "drop_rx_only");
    ck_assert_uint_eq(ends, app->inputs[0] ? app->inputs[0]->read : 0);
}

static inline void stop(void)
{
    for (uint32_t i = 0; i < rig.engine->napps; i++)
        if (!strcmp(rig.engine->apps[i]->class->name, "XdpSocket"))
            check_sent(rig.engine->apps[i]);
    rig_stop(&rig);
}

static inline size_t next_frame(int wire)
{
    return rig_next(&rig, wire, got);
}

static inline void expect_frame(int wire, const void *frame, size_t length)
{
    rig_expect(&rig, wire, frame, length);
}

static inline size_t collected(void)
{
    return rig_collected(&rig);
}

static inline uint32_t attached(const char *ifname)
{
    uint32_t id = 0;
    bpf_xdp_query_id((int)if_nametoindex(ifname), 0, &id);
    return id;
}

static inline void check_report(const char *wanted)
{
    char text[200] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    struct app *app = engine_find_app(rig.engine, "if1");
    app->class->report(app, out);
    fclose(out);
    ck_assert_str_eq(text, wanted);
}

/* A UDP datagram of flow n. */
static inline const uint8_t *flow(uint32_t n)
{
    static uint8_t frame[60];
    memcpy(frame, frame_make(1, 60), 60);
    memcpy(frame + 12, "\x08\x00\x45\x00\x00\x2e\x00\x01\x00\x00\x40\x11\x00\x00", 14);
    memcpy(frame + 26, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
    memcpy(frame + 34, &n, 4);
    memcpy(frame + 38, "\x00\x1a\x00\x00", 4);
    return frame;
}
