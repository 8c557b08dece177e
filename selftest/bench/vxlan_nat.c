/* vxlan_nat: what a packet costs in a VxlanNat, in memory on one core.
 *
 *     vxlan_nat [ROUNDS [FILE]]     a table; FILE: the figures as JSON
 *
 * Rounds of every mix in turn, each a second time without the VxlanNat: what it takes to make the
 * packets and to free them. The figures are medians of the rounds, of all and less that. As root also
 * what its XDP program takes (BPF_PROG_TEST_RUN), less what an empty one does.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "apps/apps.h"
#include "apps/vxlan_nat/vxlan_nat.h"
#include "selftest/bench/xdp_programs.h"
#include "selftest/frame_maker.h"

#define FLOWS       10000
#define ROUNDS_MOST 101
#define BREATHS     200 /* a round, of LINK_SIZE packets each */
#define FRAME_BYTES 144

struct frame {
    uint8_t bytes[FRAME_BYTES];
    uint32_t length;
};

static struct frame *frames;

static void fail(const char *what)
{
    fprintf(stderr, "vxlan_nat: %s\n", what);
    exit(1);
}

static void check(bool good, const struct error *err)
{
    if (!good)
        fail(err->text);
}

/* --- what comes in -------------------------------------------------------------------- */

/* 64 bytes of inner frame, where that is room for its headers. */
static uint32_t make(uint8_t *out, uint32_t i, bool v6, bool outer6, uint8_t protocol)
{
    struct tunnel tunnel = { .v6 = outer6, .vni = 42, .host = 1 };
    struct made made = { .v6 = v6,
                         .protocol = protocol,
                         .from = (uint16_t)(10000 + i % 250 * 4),
                         .to = (uint16_t)(2000 + i % 16),
                         .host = (uint8_t)(1 + i / 250),
                         .flags = IS_ACK,
                         .payload = v6                   ? 0
                                    : protocol == IS_TCP ? 10
                                                         : 22 };
    uint8_t inner[FRAME_MOST];
    return frame_wrap(out, &tunnel, inner, frame_make(inner, &made));
}

static uint32_t make_udp(uint8_t *out, uint32_t i)
{
    return make(out, i, false, false, IS_UDP);
}

static uint32_t make_tcp(uint8_t *out, uint32_t i)
{
    return make(out, i, false, false, IS_TCP);
}

static uint32_t make_inner6(uint8_t *out, uint32_t i)
{
    return make(out, i, true, false, IS_UDP);
}

static uint32_t make_outer6(uint8_t *out, uint32_t i)
{
    return make(out, i, false, true, IS_UDP);
}

static uint32_t make_echo(uint8_t *out, uint32_t i)
{
    return make(out, i, false, false, IS_ICMP);
}

/* A source that is in no list, and a port that no rule is for. */
static uint32_t make_refused(uint8_t *out, uint32_t i)
{
    uint32_t length = make_udp(out, i);
    out[i & 1 ? 50 + 26 : 50 + 36] = 77;
    return length;
}

/* The first ones of their packets. */
static uint32_t make_fragment(uint8_t *out, uint32_t i)
{
    uint32_t length = make_udp(out, i);
    out[50 + 20] |= 0x20;
    put16(out + 50 + 18, i);
    return length;
}

/* One of each kind of damage. */
static uint32_t make_damaged(uint8_t *out, uint32_t i)
{
    static const uint8_t places[] = { 12, 14, 22, 23, 30, 38, 42, 56, 62, 64, 66, 73 };
    uint32_t length = make_udp(out, i);
    out[places[i % sizeof(places)]] ^= 0x5a;
    return length;
}

static uint32_t make_any(uint8_t *out, uint32_t i)
{
    static uint32_t (*const makers[])(uint8_t *, uint32_t) = {
        make_udp,  make_tcp,     make_inner6,   make_outer6,
        make_echo, make_refused, make_fragment, make_damaged,
    };
    return makers[i % 8](out, i);
}

static const struct mix {
    const char *name;
    uint32_t (*make)(uint8_t *out, uint32_t i);
} mixes[] = {
    { "UDP", make_udp },
    { "TCP", make_tcp },
    { "IPv6 inside", make_inner6 },
    { "IPv6 outside", make_outer6 },
    { "ICMP echo", make_echo },
    { "refused", make_refused },
    { "fragments", make_fragment },
    { "damaged", make_damaged },
    { "all of these", make_any },
};

#define MIXES (sizeof(mixes) / sizeof(mixes[0]))

/* --- the graph ------------------------------------------------------------------------- */

static void add_rule(struct value *rules, const char *port, const char *to)
{
    struct value rule = value_table();
    value_table_add(&rule, "port", value_string(port));
    value_table_add(&rule, "to", value_string(to));
    value_table_add(rules, NULL, rule);
}

static struct value arguments(bool fast)
{
    struct value args = value_table(), rules = value_table(), allow = value_table();
    char text[64];
    for (uint32_t i = 0; i < 16; i++) {
        snprintf(text, sizeof(text), "%u", 2000 + i);
        add_rule(&rules, text, "172.30.82.95:8081");
        add_rule(&rules, text, "[2001:db8:30::95]:8081");
    }
    for (uint32_t i = 0; i < 324; i++) {
        snprintf(text, sizeof(text), "198.51.%u.%u", i / 200, i % 200);
        value_table_add(&allow, NULL, value_string(text));
    }
    value_table_add(&allow, NULL, value_string("10.0.0.0/8"));
    value_table_add(&allow, NULL, value_string("2001:db8::/32"));
    value_table_add(&args, "rules", rules);
    value_table_add(&args, "allow", allow);
    if (fast) {
        value_table_add(&args, "ingress", value_string("a0"));
        value_table_add(&args, "egress", value_string("b0"));
        value_table_add(&args, "smac", value_string("02:00:00:00:00:01"));
        value_table_add(&args, "dmac", value_string("02:00:00:00:00:02"));
    }
    return args;
}

enum { BARE, IN_MEMORY, WITH_XDP };

static struct engine *build(int with)
{
    const struct engine_options options = { .virtual_time = true, .packets = 8192 };
    struct error err;
    struct engine *engine = engine_new(&options, &err);
    struct graph *graph = graph_new();
    struct value args = arguments(with == WITH_XDP);
    check(engine, &err);
    check(!apps_put(graph, NULL, "in", "Join", NULL) &&
              !apps_put(graph, NULL, "out", "Sink", NULL),
          &err);
    if (with)
        check(!graph_add_app(graph, "nat", apps_find("VxlanNat"), &args, NULL, &err) &&
                  !graph_add_link(graph, "in.output -> nat.input", NULL, &err) &&
                  !graph_add_link(graph, "nat.output -> out.input", NULL, &err),
              &err);
    else
        check(!graph_add_link(graph, "in.output -> out.input", NULL, &err), &err);
    check(!engine_configure(engine, graph, &err), &err);
    value_free(&args);
    return engine;
}

/* --- how long ------------------------------------------------------------------------- */

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ns a packet */
static double round_of(struct engine *engine)
{
    struct app *nat = engine_find_app(engine, "nat");
    struct link *input = app_input(nat ? nat : engine_find_app(engine, "out"), 0);
    uint32_t at = 0;
    uint64_t began = now();
    for (int breath = 0; breath < BREATHS; breath++) {
        for (uint32_t i = 0; i < LINK_SIZE; i++) {
            struct packet *p = packet_allocate();
            memcpy(p->data, frames[at].bytes, FRAME_BYTES);
            p->length = frames[at].length;
            link_transmit(input, p);
            at = at + 1 == FLOWS ? 0 : at + 1;
        }
        engine_breathe(engine);
    }
    return (double)(now() - began) / BREATHS / LINK_SIZE;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof(*values), by_value);
    return values[n / 2];
}

static void put_frame(struct frame *frame, const struct mix *mix, uint32_t i)
{
    uint8_t bytes[FRAME_MOST];
    frame->length = mix->make(bytes, i);
    if (frame->length > FRAME_BYTES)
        fail("a frame is too long");
    memcpy(frame->bytes, bytes, FRAME_BYTES);
}

static void measure(const struct mix *mix, struct engine *nat, struct engine *bare,
                    int rounds, FILE *json)
{
    double all[ROUNDS_MOST], net[ROUNDS_MOST];
    for (uint32_t i = 0; i < FLOWS; i++)
        put_frame(&frames[i], mix, i);
    round_of(nat); /* the flows become known */
    for (int i = 0; i < rounds; i++) {
        all[i] = round_of(nat);
        net[i] = all[i] - round_of(bare);
    }
    double whole = median(all, rounds), own = median(net, rounds);
    printf("%-14s %10.1f %10.1f %12.2f\n", mix->name, whole, own, 1000 / own);
    if (json)
        fprintf(json, "%s{\"mix\": \"%s\", \"ns\": %.1f, \"net_ns\": %.1f}",
                mix == mixes ? "[" : ", ", mix->name, whole, own);
}

/* --- in the kernel ---------------------------------------------------------------------- */

#define KERNEL_RUNS 200000

static double run_of(int program, const struct frame *frame)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = KERNEL_RUNS, .data_in = frame->bytes,
                .data_size_in = frame->length);
    if (bpf_prog_test_run_opts(program, &opts))
        fail("cannot run the program");
    return opts.duration;
}

static bool interfaces(void)
{
    return !unshare(CLONE_NEWNET) &&
           !system(
               "ip link add a0 type veth peer name a1 && ip link add b0 type veth peer "
               "name b1 && ip link set a0 up && ip link set b0 up");
}

/* Net ns a frame, of so many flows. */
static double measure_flows(int program, uint32_t flows, int rounds)
{
    static uint8_t bytes[ANEW_MOST][ANEW_BYTES];
    double net[ROUNDS_MOST];
    for (uint32_t i = 0; i < flows; i++)
        memcpy(bytes[i], frames[i].bytes, ANEW_BYTES);
    const struct anew anew = { bytes, flows, frames[0].length };
    int ours = xdp_anew(program, &anew), empty = xdp_anew(xdp_empty(), &anew);
    if (ours < 0 || empty < 0)
        fail("cannot load a program");
    for (int i = 0; i < rounds; i++)
        net[i] = run_of(ours, &frames[0]) - run_of(empty, &frames[0]);
    close(ours);
    close(empty);
    return median(net, rounds);
}

static void measure_kernel(const struct mix *mix, struct engine *engine, int rounds,
                           FILE *json)
{
    struct vxlan_nat *nat = engine_find_app(engine, "nat")->state;
    int program = fast_path_program(nat->fast);
    for (uint32_t i = 0; i < FLOWS; i++)
        put_frame(&frames[i], mix, i);
    round_of(engine); /* the flows become known */
    double one = measure_flows(program, 1, rounds);
    double many = measure_flows(program, ANEW_MOST, rounds);
    printf("%-14s %10.1f %10.1f\n", mix->name, one, many);
    if (json)
        fprintf(json, ", {\"mix\": \"%s, XDP\", \"one_flow_ns\": %.1f, \"net_ns\": %.1f}",
                mix->name, one, many);
}

static void kernel(int rounds, FILE *json)
{
    if (geteuid() || !interfaces()) {
        fprintf(stderr, "vxlan_nat: the XDP program needs root\n");
        return;
    }
    struct engine *engine = build(WITH_XDP);
    printf("\n%-14s %10s %10s\n", "XDP, net ns", "one flow", "8192");
    measure_kernel(&mixes[0], engine, rounds, json);
    measure_kernel(&mixes[1], engine, rounds, json);
    measure_kernel(&mixes[2], engine, rounds, json);
    measure_kernel(&mixes[5], engine, rounds, json);
    engine_free(engine);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 21;
    FILE *json = argc > 2 ? fopen(argv[2], "w") : NULL;
    frames = calloc(FLOWS, sizeof(*frames));
    if (rounds < 1 || rounds > ROUNDS_MOST || !frames || (argc > 2 && !json))
        fail("vxlan_nat [ROUNDS [FILE]], 1 to 101 rounds");
    struct engine *nat = build(IN_MEMORY), *bare = build(BARE);
    printf("%-14s %10s %10s %12s\n", "packets of", "ns", "net ns", "net Mpps");
    for (size_t i = 0; i < MIXES; i++)
        measure(&mixes[i], nat, bare, rounds, json);
    engine_free(nat);
    engine_free(bare);
    kernel(rounds, json);
    free(frames);
    if (json) {
        fprintf(json, "]\n");
        fclose(json);
    }
    return 0;
}
