/* nat_rig: a Nat between two ends, on a clock that only the test moves. */
#include "selftest/nat_rig.h"

#include "apps/apps.h"

struct engine *nat_engine;
static uint64_t injected;
static const char *const reasons[] = { "drop_no_mapping",   "drop_filtered",
                                       "drop_max_mappings", "drop_no_port",
                                       "drop_fragment",     "drop_protocol",
                                       "drop_broken",       "drop_no_output" };

uint64_t nat_counter(const char *name)
{
    return test_counter(nat_engine, "nat", name);
}

void nat_configure(const char *const *settings)
{
    struct graph *graph = graph_new();
    struct error err;
    struct value args = value_table();
    for (; settings[0]; settings += 2)
        value_table_add(&args, settings[0], value_string(settings[1]));
    ck_assert_msg(!graph_add_app(graph, "nat", apps_find("Nat"), &args, NULL, &err), "%s",
                  err.text);
    value_free(&args);
    test_app(graph, "from_inside", "Inject", NULL);
    test_app(graph, "from_outside", "Inject", NULL);
    test_app(graph, "to_inside", "Collect", NULL);
    test_app(graph, "to_outside", "Collect", NULL);
    test_link(graph, "from_inside.output -> nat.inside");
    test_link(graph, "from_outside.output -> nat.outside");
    test_link(graph, "nat.inside -> to_inside.input");
    test_link(graph, "nat.outside -> to_outside.input");
    test_configure(nat_engine, graph);
}

void nat_setup(void)
{
    nat_engine = test_engine(1);
    injected = 0;
    NAT_CONFIGURE(NULL);
}

void nat_teardown(void)
{
    size_t in, out;
    uint64_t drops = 0;
    test_collected(nat_engine, "to_inside", &in);
    test_collected(nat_engine, "to_outside", &out);
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        drops += nat_counter(reasons[i]);
    ck_assert_uint_eq(injected, in + out + drops);
    ck_assert_uint_eq(in + out, nat_counter("translated_out") +
                                    nat_counter("translated_in") + nat_counter("passed") +
                                    nat_counter("answered"));
    ck_assert_uint_eq(nat_counter("created"), nat_counter("mappings") +
                                                  nat_counter("expired") +
                                                  nat_counter("forgotten"));
    engine_free(nat_engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

/* What comes out at the other side; NULL when nothing does. */
struct packet *nat_pass_packet(bool out, struct packet *p)
{
    const char *to = out ? "to_outside" : "to_inside";
    size_t before, after;
    test_collected(nat_engine, to, &before);
    test_inject(nat_engine, out ? "from_inside" : "from_outside", p);
    injected++;
    test_breathe(nat_engine, 2);
    struct packet **packets = test_collected(nat_engine, to, &after);
    return after > before ? packets[after - 1] : NULL;
}

struct packet *nat_pass(bool out, const uint8_t *frame, uint32_t length)
{
    return nat_pass_packet(out, packet_from_bytes(frame, length));
}

struct packet *nat_out(const struct made *made)
{
    uint8_t frame[FRAME_MOST];
    return nat_pass(true, frame, frame_make(frame, made));
}

struct packet *nat_answer(const struct packet *p)
{
    uint8_t frame[FRAME_MOST];
    memcpy(frame, p->data, p->length);
    frame_turn_round(frame, p->length);
    return nat_pass(false, frame, p->length);
}

uint32_t nat_port(const struct packet *p, bool source)
{
    struct look look = frame_look(p->data, p->length);
    bool echo = look.protocol != IS_TCP && look.protocol != IS_UDP;
    return get16(p->data + look.l4 + (echo ? 4 : source ? 0 : 2));
}

void nat_sleep(uint64_t ns)
{
    engine_set_time(nat_engine, engine_now(nat_engine) + ns);
}
