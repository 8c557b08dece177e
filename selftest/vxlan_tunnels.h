/* vxlan_tunnels: a VxlanNat between an Inject and a Collect, and what is put into it.
 *
 *   BUILD            a graph, of settings and rules
 *   put_in           a frame in a tunnel, into the graph
 *   came             what came out
 *   expect           what must have
 *   setup, teardown  fixtures; nothing is lost without a reason
 */
#pragma once
#include "apps/apps.h"
#include "apps/vxlan_nat/vxlan.bpf.h"
#include "selftest/frame_maker.h"
#include "selftest/selftest.h"
#include "selftest/support.h"

static struct engine *engine;
static uint64_t sent, answers;

static inline void setup(void)
{
    engine = test_engine(1);
    sent = answers = 0;
}

/* --- graphs -------------------------------------------------------------------------- */

/* rules: a list of them, which is taken over; settings as for test_table. */
static inline int build_of(struct value rules, const char *settings, struct error *err)
{
    struct graph *graph = graph_new();
    struct value args = test_table(settings);
    value_table_add(&args, "rules", rules);
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "out", "Collect", NULL);
    int error = graph_add_app(graph, "nat", apps_find("VxlanNat"), &args, NULL, err);
    value_free(&args);
    if (error) {
        graph_free(graph);
        return error;
    }
    test_link(graph, "in.output -> nat.input");
    test_link(graph, "nat.output -> out.input");
    if (strstr(settings, "mode=")) { /* with answers */
        test_app(graph, "answers", "Inject", NULL);
        test_app(graph, "returned", "Collect", NULL);
        test_link(graph, "answers.output -> nat.back");
        test_link(graph, "nat.back -> returned.input");
    }
    test_configure(engine, graph);
    return 0;
}

/* rules: each as for test_table, ended by NULL. */
static inline int build(const char *const *rules, const char *settings, struct error *err)
{
    struct value list = value_table();
    for (; *rules; rules++)
        value_table_add(&list, NULL, test_table(*rules));
    return build_of(list, settings, err);
}

#define BUILD(SETTINGS, ...)                                                             \
    do {                                                                                 \
        struct error err_;                                                               \
        ck_assert_msg(                                                                   \
            !build((const char *const[]){ __VA_ARGS__, NULL }, SETTINGS, &err_), "%s",   \
            err_.text);                                                                  \
    } while (0)

static inline uint64_t count(const char *counter)
{
    return test_counter(engine, "nat", counter);
}

/* --- tunnels ------------------------------------------------------------------------- */

static const struct tunnel usual = { .vni = 42 };
static uint8_t outer[FRAME_MOST + 256];

static inline void put_in(const struct tunnel *tunnel, const uint8_t *inner,
                          uint32_t length)
{
    test_inject_bytes(engine, "in", outer, frame_wrap(outer, tunnel, inner, length));
    sent++;
    test_breathe(engine, 2);
}

static inline void answer(const uint8_t *frame, uint32_t length)
{
    test_inject_bytes(engine, "answers", frame, length);
    answers++;
    test_breathe(engine, 2);
}

static inline struct packet **collected(const char *where, size_t n)
{
    size_t found;
    struct packet **packets = test_collected(engine, where, &found);
    ck_assert_uint_eq(found, n);
    return packets;
}

/* Frames that came out, of which there must be so many. */
static inline struct packet **came(size_t n)
{
    return collected("out", n);
}

static inline struct packet **returned(size_t n)
{
    return collected("returned", n);
}

/* How many frames ended for reasons of a stage. */
static inline uint64_t ended(enum vxlan_stage stage)
{
    static const struct {
        const char *name;
        enum vxlan_stage stage;
    } reasons[] = {
#define PREFIX_OF_PASS   "pass_"
#define PREFIX_OF_OUTER  "drop_"
#define PREFIX_OF_TUNNEL "drop_"
#define PREFIX_OF_NAT    "drop_"
#define PREFIX_OF_IGNORE "pass_"
#define PREFIX_OF_BACK   "drop_"
#define PREFIX_OF_NOTE   ""
#define REASON_ROW(NAME, name, in_stage, doc)                                            \
    { PREFIX_OF_##in_stage #name, STAGE_##in_stage },
        VXLAN_REASONS(REASON_ROW)
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
        if (reasons[i].stage == stage)
            sum += count(reasons[i].name);
    return sum;
}

/* Nothing is lost without a reason. */
static inline void check_books(void)
{
    uint64_t outside =
        ended(STAGE_OUTER) + count("drop_offload") + count("drop_no_packet_outer");
    uint64_t inside = ended(STAGE_TUNNEL);
    uint64_t later = ended(STAGE_NAT) + count("drop_no_packet");
    ck_assert_uint_eq(count("total_packets"), sent);
    ck_assert_uint_eq(sent, ended(STAGE_PASS) + outside + count("outer_merged") +
                                count("vxlan_packets"));
    ck_assert_uint_eq(count("vxlan_packets"), inside + count("inner_packets"));
    ck_assert_uint_eq(count("inner_packets"), later + count("forwarded"));
    ck_assert_uint_eq(count("forwarded"), count("redirected"));
    uint64_t back = ended(STAGE_BACK);
    ck_assert_uint_eq(count("back_packets"), answers);
    ck_assert_uint_eq(answers, ended(STAGE_IGNORE) + back + count("back_forwarded"));
    ck_assert_uint_eq(count("errors"), outside + inside + later + back);
}

static inline void teardown(void)
{
    engine_set_time(engine,
                    engine_now(engine) + 31000000000); /* nothing waits any more */
    test_breathe(engine, 2);
    check_books();
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

/* --- what comes out ------------------------------------------------------------------ */

static uint8_t inner[FRAME_MOST], wanted[FRAME_MOST];

/* The frame that must come of it, made by itself. */
static inline uint32_t expect(const struct made *made, const char *address, uint16_t port)
{
    struct made other = *made;
    unsigned a, b, c, d;
    other.to = port;
    uint32_t length = frame_make(wanted, &other);
    struct look look = frame_look(wanted, length);
    uint8_t *ip = wanted + look.l3;
    ck_assert_int_eq(sscanf(address, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
    put32(ip + 16, a << 24 | b << 16 | c << 8 | d);
    put16(ip + 10, 0);
    put16(ip + 10, ~naive_sum(ip, look.l4 - look.l3, 0));
    uint8_t *sum = wanted + look.l4 + (look.protocol == IS_TCP ? 16 : 6);
    put16(sum, 0);
    put16(sum, ~transport_sum(wanted, &look));
    return length;
}

/* Bytes of hexadecimal digits. */
static inline void patch(uint8_t *at, const char *hex)
{
    for (; *hex; hex += 2) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex, "%2x", &byte), 1);
        *at++ = (uint8_t)byte;
    }
}

static inline uint32_t fragment(uint8_t *out, uint32_t id, uint32_t offset, uint32_t size,
                                bool more)
{
    struct made made = { .to = 80, .payload = size - (offset ? 0 : 8) };
    uint32_t length = frame_make(out, &made);
    if (offset) { /* no header, payload only */
        memmove(out + 34, out + 42, size);
        length -= 8;
    }
    put16(out + 16, length - 14);
    put16(out + 18, id);
    put16(out + 20, (more ? 0x2000 : 0) | offset / 8);
    put16(out + 24, 0);
    put16(out + 24, ~naive_sum(out + 14, 20, 0));
    return length;
}
