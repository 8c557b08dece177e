/* sentinel: what FlowSentinel's XDP program takes for a packet, beside an empty one.
 *
 *     sentinel [--json] [ROUNDS]
 *
 * BPF_PROG_TEST_RUN runs each program on one frame many times and says how long that took;
 * rounds go A B C ... A B C ..., medians are shown, and the least: the machine may have other
 * work. The policy is the default but for limits that one source cannot reach, for it is always
 * the same one. The last row gets another source each time, from a program that runs before, at
 * 1.5 million packets a second of a clock that stands still meanwhile.
 */
#include <bpf/bpf.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/flow_sentinel/kernel_path.h"
#include "apps/flow_sentinel/parameters.h"
#include "selftest/frame_maker.h"

#define ROUNDS_MOST 1001
#define RUNS        15000    /* less than a time slice */
#define STEP        10000000 /* ns that so many random ones take */

#define NO_LIMITS                                                                        \
    "src_syn.pps=100000000 src_udp.pps=100000000 src_icmp.pps=100000000 "                \
    "src_pps.pps=100000000 src_flags.pps=100000000 src_bps.rate=1tbit "                  \
    "dst_syn_hard_pps=100000000"

enum before { NOTHING, EMPTY, RANDOM_EMPTY, RANDOM };

static struct row {
    const char *name, *text, *settings;
    struct made frame;
    bool blocked;
    enum before before;
    /* what comes of it */
    struct path *path;
    int program;
    uint8_t bytes[FRAME_MOST];
    uint32_t length;
    double ns[ROUNDS_MOST];
} rows[] = {
    { "empty", "an empty program", .before = EMPTY },
    { "blocked", "blocked source", NO_LIMITS, { .protocol = IS_TCP }, .blocked = true },
    { "blocked6", "... IPv6", NO_LIMITS, { .v6 = true }, .blocked = true },
    { "tcp", "TCP data", NO_LIMITS, { .protocol = IS_TCP, .flags = 24, .payload = 9 } },
    { "syn", "SYN", NO_LIMITS, { .protocol = IS_TCP, .flags = IS_SYN } },
    { "udp", "UDP", NO_LIMITS, { .payload = 18 } },
    { "tcp6",
      "TCP data, IPv6",
      NO_LIMITS,
      { .v6 = true, .protocol = IS_TCP, .flags = 24, .payload = 9 } },
    { "tcp_unsampled",
      "TCP data, sample = 0",
      NO_LIMITS " sample=0",
      { .protocol = IS_TCP, .flags = 24, .payload = 9 } },
    { "suspect",
      "TCP data of a suspect",
      NO_LIMITS " src_pps.pps=1000000 src_pps.burst=100000000",
      { .protocol = IS_TCP, .flags = 24, .payload = 9 } },
    { "random_empty", "random sources, empty", .before = RANDOM_EMPTY },
    { "random",
      "random sources, SYN",
      "dst_syn_hard_pps=0",
      { .protocol = IS_TCP, .flags = IS_SYN },
      .before = RANDOM },
};

#define ROWS (sizeof(rows) / sizeof(*rows))

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "sentinel: %s\n", what);
    exit(1);
}

/* --- programs ------------------------------------------------------------------------------ */

static int load_program(const struct bpf_insn *code, size_t count)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS,
                .expected_attach_type = BPF_XDP);
    int program =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "bench", "Apache-2.0", code, count, &opts);
    require(program >= 0, "cannot load a program");
    return program;
}

static int empty_program(void)
{
    static const struct bpf_insn code[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
        { .code = BPF_JMP | BPF_EXIT },
    };
    return load_program(code, sizeof(code) / sizeof(*code));
}

/* Makes the IPv4 source 11.x.y.z, at random, and goes on with the other program. */
static int random_program(int program)
{
    int map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "bench", 4, 4, 1, NULL);
    const struct bpf_insn code[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
        { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 7, .src_reg = 1, .off = 0 },
        { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 3, .src_reg = 1, .off = 4 },
        { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 4, .src_reg = 7 },
        { .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 4, .imm = 30 },
        { .code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = 4, .src_reg = 3, .off = 9 },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_prandom_u32 },
        { .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 0, .imm = ~0xff },
        { .code = BPF_ALU64 | BPF_OR | BPF_K, .dst_reg = 0, .imm = 11 },
        { .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 7, .src_reg = 0, .off = 26 },
        { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 6 },
        { .code = BPF_LD | BPF_DW | BPF_IMM,
          .dst_reg = 2,
          .src_reg = BPF_PSEUDO_MAP_FD,
          .imm = map },
        { 0 },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 0 },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS },
        { .code = BPF_JMP | BPF_EXIT },
    };
    uint32_t first = 0;
    require(map >= 0, "cannot make a map");
    int before = load_program(code, sizeof(code) / sizeof(*code));
    require(!bpf_map_update_elem(map, &first, &program, BPF_ANY), "no tail call");
    return before;
}

/* --- FlowSentinel --------------------------------------------------------------------------- */

static void set(struct sentinel_conf *conf, const char *settings)
{
    char copy[512], *save = NULL;
    snprintf(copy, sizeof(copy), "%s", settings);
    for (char *word = strtok_r(copy, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        struct error err;
        void *at = conf;
        char *value = strchr(word, '=');
        *value++ = 0;
        const struct param *param = param_find(sentinel_params, word, &at, &err);
        require(param && !param_parse_text(param, value, at, &err), word);
    }
}

static struct path_address address_of(const struct row *row, bool source)
{
    struct path_address address = { { 0 } };
    const uint8_t *ip = row->bytes + 14;
    if (row->frame.v6) {
        memcpy(&address, ip + (source ? 8 : 24), source ? 8 : 16);
        return address;
    }
    memset((uint8_t *)&address + 10, 0xff, 2);
    memcpy((uint8_t *)&address + 12, ip + (source ? 12 : 16), 4);
    return address;
}

static void open_path(struct row *row)
{
    struct value nothing = { VALUE_NIL };
    struct sentinel_conf conf;
    struct sentinel_policy policy;
    struct error err;
    struct kernel_path_options options = { .ifname = "lo",
                                           .index = 1,
                                           .attach = XDP_ATTACH_GENERIC,
                                           .secret = 42,
                                           .test = row->before == RANDOM };
    param_parse(sentinel_params, &nothing, &conf, sizeof(conf), &err);
    set(&conf, row->settings);
    sentinel_policy_of(&conf, &policy);
    /* an interface has room for one, which need not stay there */
    require(!unshare(CLONE_NEWNET), "needs root");
    row->path = kernel_path_new(&options, &policy, &err);
    require(row->path != NULL, err.text);
    row->path->state->heartbeat = 1;
    struct path_address source = address_of(row, true), to = address_of(row, false);
    struct sentinel_entry block = { .kind = KIND_BLOCKED, .expires = UINT64_MAX };
    struct sentinel_destination protected = { .index = 1 };
    require(!row->blocked || !path_put(row->path, &source, &block), "cannot block");
    require(!path_put_destination(row->path, &to, &protected), "cannot protect");
}

static void open_row(struct row *row)
{
    row->length = frame_make(row->bytes, &row->frame);
    if (row->settings)
        open_path(row);
    row->program = row->path ? kernel_path_program(row->path) : empty_program();
    if (row->before >= RANDOM_EMPTY)
        row->program = random_program(row->program);
}

/* --- measuring ------------------------------------------------------------------------------ */

static void forget(const struct sentinel_sample *sample, void *user)
{
}

static double run(const struct row *row, int runs)
{
    uint8_t out[FRAME_MOST];
    LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = runs, .data_in = row->bytes,
                .data_size_in = row->length, .data_out = out,
                .data_size_out = sizeof(out));
    require(!bpf_prog_test_run_opts(row->program, &opts), "cannot run");
    require((opts.retval == XDP_DROP) == row->blocked, row->name);
    return opts.duration;
}

static double measure(struct row *row)
{
    if (row->before == RANDOM)
        row->path->state->clock += STEP;
    double ns = run(row, RUNS);
    if (row->path)
        path_samples(row->path, forget, NULL);
    return ns;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_table(int rounds)
{
    const double *of_empty = rows[0].ns, *from;
    printf("\nFlowSentinel's XDP program, ns a packet, %d rounds\n", rounds);
    printf("%-26s %8s %8s %8s %8s\n", "", "median", "net", "least", "net");
    for (size_t i = 0; i < ROWS; i++) {
        const double *ns = rows[i].ns;
        from = rows[i].before == RANDOM ? rows[i - 1].ns : of_empty;
        printf("%-26s %8.0f %8.0f %8.0f %8.0f\n", rows[i].text, ns[rounds / 2],
               ns[rounds / 2] - from[rounds / 2], ns[0], ns[0] - from[0]);
    }
}

static void print_json(int rounds)
{
    for (size_t i = 0; i < ROWS; i++)
        printf("%s\"%s\": {\"median\": %.0f, \"least\": %.0f}", i ? ", " : "{",
               rows[i].name, rows[i].ns[rounds / 2], rows[i].ns[0]);
    printf("}\n");
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && !strcmp(argv[1], "--json");
    int rounds = argc > 1 + json ? atoi(argv[1 + json]) : 101;
    require(rounds > 0 && rounds <= ROUNDS_MOST, "so many rounds cannot be");
    for (size_t i = 0; i < ROWS; i++)
        open_row(&rows[i]);
    for (int round = -1; round < rounds; round++) /* the first one warms up */
        for (size_t i = 0; i < ROWS; i++)
            rows[i].ns[round < 0 ? 0 : round] = measure(&rows[i]);
    for (size_t i = 0; i < ROWS; i++)
        qsort(rows[i].ns, (size_t)rounds, sizeof(*rows[i].ns), compare);
    if (json)
        print_json(rounds);
    else
        print_table(rounds);
    return 0;
}
