/* sentinel: what FlowSentinel's XDP program takes for a packet, beside an empty one and others'.
 *
 *     sentinel [ROUNDS [FILE]]     a table, and the figures as JSON in the file
 *
 * BPF_PROG_TEST_RUN runs each program on one frame many times and says how long that took;
 * rounds go A B C ... A B C ..., medians are shown, and the least: the machine may have other
 * work, which only ever adds. Goals are held against the least.
 *
 * The policy is the default but for limits that nobody here can reach. 100,000 sources are blocked,
 * and as many by Debian's xdp-filter, whose table of 10,000 is made larger before it is loaded.
 * What sends an event for each packet is the least that can: 16 bytes in a ring of 16 MiB, which is
 * emptied between two rounds, or by a thread that does nothing else.
 *
 * Rows with many sources get them from a program that runs before, which takes the same time
 * without one behind it. Forged ones meet the default policy, 1.5 million a second.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <glob.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/flow_sentinel/detect.h"
#include "apps/flow_sentinel/kernel_path.h"
#include "apps/flow_sentinel/parameters.h"
#include "selftest/bench/xdp_programs.h"
#include "selftest/frame_maker.h"

#define ROUNDS_MOST 1001
#define RUNS        15000 /* less than a time slice */
#define BLOCKED     100000
#define RING        (16 << 20)

#define NO_LIMITS                                                                        \
    "src_syn.pps=100000000 src_udp.pps=100000000 src_icmp.pps=100000000 "                \
    "src_pps.pps=100000000 src_flags.pps=100000000 src_bps.rate=1tbit "                  \
    "src_syn.burst=100000000 dst_syn_hard_pps=100000000 promote_share=100%"

static const struct sources forged = { 0xffffff00, 11 },   /* 11.x.y.z */
    many = { 0xffff0000, 11 }, one = { 0, 11 | 1u << 24 }; /* 11.0.y.z, 11.0.0.1 */

struct row {
    const char *name, *text, *settings;
    bool (*open)(struct row *row); /* sets program; false: cannot be had, said why */
    struct made frame;
    const struct sources *sources; /* NULL: that of the frame */
    bool blocked;
    uint64_t step; /* ns a round, of a clock that stands still else; 0: the kernel's */
    double goal;   /* ns above an empty program; 0: none */
    uint32_t wake; /* of a ring */
    /* what comes of it */
    struct path *path;
    struct ring_buffer *ring;
    bool skipped;
    int program;
    uint8_t bytes[FRAME_MOST];
    uint32_t length;
    double ns[ROUNDS_MOST];
};

static bool open_empty(struct row *row);
static bool open_sentinel(struct row *row);
static bool open_xdp_filter(struct row *row);
static bool open_ring(struct row *row);

#define IS_DATA .protocol = IS_TCP, .flags = IS_ACK | IS_PSH, .payload = 9

enum { EMPTY, MANY_EMPTY, FIXED = 12, FORGED };

static struct row rows[] = {
    [EMPTY] = { "empty", "an empty program", .open = open_empty },
    [MANY_EMPTY] = { "many_empty", "..., many sources", .open = open_empty,
                     .sources = &forged },
    { "blocked",
      "blocked source",
      NO_LIMITS,
      open_sentinel,
      { IS_DATA },
      .blocked = true,
      .goal = 25 },
    { "blocked_xdp_filter",
      "... by xdp-filter",
      NULL,
      open_xdp_filter,
      { IS_DATA },
      .blocked = true },
    { "many_blocked",
      "65,536 blocked sources",
      NO_LIMITS,
      open_sentinel,
      { IS_DATA },
      &many,
      .blocked = true },
    { "many_blocked_xdp_filter",
      "... by xdp-filter",
      NULL,
      open_xdp_filter,
      { IS_DATA },
      &many,
      .blocked = true },
    { "blocked6",
      "blocked source, IPv6",
      NO_LIMITS,
      open_sentinel,
      { .v6 = true },
      .blocked = true },
    { "tcp", "TCP data", NO_LIMITS, open_sentinel, { IS_DATA }, .goal = 150 },
    { "udp", "UDP", NO_LIMITS, open_sentinel, { .payload = 18 }, .goal = 150 },
    { "tcp6", "TCP data, IPv6", NO_LIMITS, open_sentinel, { .v6 = true, IS_DATA } },
    { "tcp_unsampled",
      "TCP data, sample = 0",
      NO_LIMITS " sample=0",
      open_sentinel,
      { IS_DATA } },
    { "suspect",
      "TCP data of a suspect",
      NO_LIMITS " promote_share=1%",
      open_sentinel,
      { IS_DATA } },
    [FIXED] = { "syn",
                "SYNs of one source",
                NO_LIMITS,
                open_sentinel,
                { .protocol = IS_TCP, .flags = IS_SYN },
                &one,
                .step = 100000000,
                .goal = 150 },
    [FORGED] = { "forged",
                 "SYNs of forged sources",
                 "dst_syn_hard_pps=0",
                 open_sentinel,
                 { .protocol = IS_TCP, .flags = IS_SYN },
                 &forged,
                 .step = 10000000 },
    { "event",
      "an event a packet, no more",
      NULL,
      open_ring,
      { IS_DATA },
      .wake = BPF_RB_NO_WAKEUP },
    { "event_spinning", "..., to a thread that spins", NULL, open_ring, { IS_DATA } },
};

#define ROWS         (sizeof(rows) / sizeof(*rows))
#define FORGED_RATIO 1.6

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "sentinel: %s\n", what);
    exit(1);
}

/* The first is that of the frame, others are 11.0.0.0 and so on. */
static uint32_t blocked_source(const struct row *row, uint32_t i)
{
    uint32_t source = htonl((11u << 24) + i - 1);
    if (!i)
        memcpy(&source, row->bytes + 26, 4);
    return source;
}

static bool open_empty(struct row *row)
{
    row->program = xdp_empty();
    return true;
}

/* --- an event for each packet --------------------------------------------------------------- */

static int ignore_event(void *user, void *event, size_t size)
{
    return 0;
}

static bool open_ring(struct row *row)
{
    int map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "bench", 0, 0, RING, NULL);
    row->program = xdp_event(map, row->wake);
    row->ring = ring_buffer__new(map, ignore_event, NULL, NULL);
    require(row->ring != NULL, "cannot make a ring");
    return true;
}

static struct consumer {
    sem_t begin, end;
    struct ring_buffer *ring;
    atomic_bool stop;
} consumer;

static void *consume(void *user)
{
    for (;;) {
        sem_wait(&consumer.begin);
        while (!atomic_load_explicit(&consumer.stop, memory_order_relaxed))
            ring_buffer__consume(consumer.ring);
        sem_post(&consumer.end);
    }
    return NULL;
}

/* The two of us on the first and the last CPU of those that there are. */
static void start_consumer(void)
{
    pthread_t thread;
    cpu_set_t all, mine, its;
    int first = 0, last = CPU_SETSIZE - 1;
    sched_getaffinity(0, sizeof(all), &all);
    while (!CPU_ISSET(first, &all))
        first++;
    while (!CPU_ISSET(last, &all))
        last--;
    CPU_ZERO(&mine);
    CPU_SET(first, &mine);
    CPU_ZERO(&its);
    CPU_SET(last, &its);
    sem_init(&consumer.begin, 0, 0);
    sem_init(&consumer.end, 0, 0);
    require(!pthread_create(&thread, NULL, consume, NULL), "cannot start a thread");
    pthread_setaffinity_np(thread, sizeof(its), &its);
    pthread_setaffinity_np(pthread_self(), sizeof(mine), &mine);
}

static void spin(struct ring_buffer *ring)
{
    consumer.ring = ring;
    atomic_store(&consumer.stop, false);
    sem_post(&consumer.begin);
    usleep(1000); /* until it does */
}

static void stop_spinning(void)
{
    atomic_store(&consumer.stop, true);
    sem_wait(&consumer.end);
}

/* --- xdp-filter ----------------------------------------------------------------------------- */

/* Where Debian has it: the one that lets pass whom its tables do not know. */
static struct bpf_object *open_xdp_filter_object(void)
{
    glob_t found;
    struct bpf_object *object = NULL;
    if (!glob("/usr/lib*/bpf/xdpfilt_alw_ip.o", 0, NULL, &found) ||
        !glob("/usr/lib/*/bpf/xdpfilt_alw_ip.o", 0, NULL, &found))
        object = bpf_object__open_file(found.gl_pathv[0], NULL);
    globfree(&found);
    return object;
}

static bool open_xdp_filter(struct row *row)
{
    struct bpf_object *object = open_xdp_filter_object();
    uint64_t flags = 3; /* as source, as destination */
    if (!object) {
        fprintf(stderr,
                "sentinel: SKIPPED: %s: xdpfilt_alw_ip.o of the package xdp-tools "
                "is not installed\n",
                row->name);
        return false;
    }
    struct bpf_map *map;
    bpf_object__for_each_map (map, object)
        bpf_map__set_pin_path(map, NULL);
    map = bpf_object__find_map_by_name(object, "filter_ipv4");
    int cpus = libbpf_num_possible_cpus();
    struct bpf_program *program = bpf_object__next_program(object, NULL);
    uint64_t *values = calloc((size_t)cpus, sizeof(*values));
    /* as ours, and whoever tail-calls it */
    bpf_program__set_flags(program, BPF_F_XDP_HAS_FRAGS);
    require(map && values && !bpf_map__set_max_entries(map, BLOCKED) &&
                !bpf_object__load(object),
            "cannot load xdp-filter");
    for (int i = 0; i < cpus; i++)
        values[i] = flags;
    for (uint32_t i = 0; i < BLOCKED; i++) {
        uint32_t source = blocked_source(row, i);
        require(!bpf_map__update_elem(map, &source, 4, values,
                                      (size_t)cpus * sizeof(*values), BPF_ANY),
                "xdp-filter has no room");
    }
    free(values);
    row->program = bpf_program__fd(program);
    return true;
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

static void block(struct row *row)
{
    struct sentinel_entry entry = { .kind = KIND_BLOCKED, .expires = UINT64_MAX };
    struct path_address key = address_of(row, true);
    for (uint32_t i = 0; i < BLOCKED; i++) {
        uint32_t source = blocked_source(row, i);
        if (row->frame.v6)
            key.word[1] = htonl(i);
        else
            key.word[3] = source;
        require(!path_put(row->path, &key, &entry), "cannot block");
    }
}

static bool open_sentinel(struct row *row)
{
    struct value nothing = { VALUE_NIL };
    struct sentinel_conf conf;
    struct sentinel_policy policy;
    struct error err;
    struct kernel_path_options options = { .ifname = "lo",
                                           .index = 1,
                                           .attach = XDP_ATTACH_GENERIC,
                                           .secret = 42,
                                           .test = row->step };
    struct sentinel_destination protected = { .index = 1 };
    struct sentinel_destination_counts counts = { 0 };
    struct detect_policy detect;
    struct detect_share share = { 0 };
    struct detector detector = { 0 };
    param_parse(sentinel_params, &nothing, &conf, sizeof(conf), &err);
    set(&conf, row->settings);
    sentinel_policy_of(&conf, &policy);
    sentinel_detect_policy_of(&conf, &detect);
    detector_tick(&detector, &detect, &counts, 1, &share, &protected, NULL, NULL);
    /* an interface has room for one, which need not stay there */
    require(!unshare(CLONE_NEWNET), "needs root");
    row->path = kernel_path_new(&options, &policy, &err);
    require(row->path != NULL, err.text);
    row->path->state->heartbeat = 1;
    if (row->blocked)
        block(row);
    struct path_address to = address_of(row, false);
    require(!path_put_destination(row->path, &to, &protected), "cannot protect");
    row->program = kernel_path_program(row->path);
    return true;
}

static void open_row(struct row *row)
{
    row->length = frame_make(row->bytes, &row->frame);
    row->skipped = !row->open(row);
    if (!row->skipped && row->sources)
        row->program = xdp_before(row->program, row->sources);
    require(row->program >= 0 || row->skipped, row->text);
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
    require((opts.retval == XDP_DROP) == row->blocked, row->text);
    return opts.duration;
}

static double measure(struct row *row)
{
    bool spinning = row->ring && !row->wake;
    if (row->skipped)
        return 0;
    if (row->step)
        row->path->state->clock += row->step;
    if (spinning)
        spin(row->ring);
    double ns = run(row, RUNS);
    if (spinning)
        stop_spinning();
    if (row->path)
        path_samples(row->path, forget, NULL);
    if (row->ring)
        ring_buffer__consume(row->ring);
    return ns;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the program itself takes: at = 0 the least, rounds / 2 the median. */
static double net(const struct row *row, int at)
{
    return row->ns[at] - rows[row->sources ? MANY_EMPTY : EMPTY].ns[at];
}

static double ratio(int at)
{
    return net(&rows[FORGED], at) / net(&rows[FIXED], at);
}

static void print_goal(const char *form, double figure, double goal)
{
    printf(form, goal);
    printf(" %s\n", figure <= goal ? "met" : "MISSED");
}

static void print_table(int rounds)
{
    printf("\nFlowSentinel's XDP program, ns a packet, %d rounds\n", rounds);
    printf("%-28s %8s %8s %8s %8s %8s\n", "", "median", "net", "least", "net", "goal");
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        if (row->skipped) {
            printf("%-28s %8s\n", row->text, "-");
            continue;
        }
        printf("%-28s %8.0f %8.0f %8.0f %8.0f", row->text, row->ns[rounds / 2],
               net(row, rounds / 2), row->ns[0], net(row, 0));
        if (row->goal)
            print_goal(" %8.0f", net(row, 0), row->goal);
        else
            printf("\n");
    }
    printf("%-28s %8s %8.2f %8s %8.2f", "forged to one source", "", ratio(rounds / 2), "",
           ratio(0));
    print_goal(" %8.1f", ratio(0), FORGED_RATIO);
}

static void write_json(FILE *file, int rounds)
{
    fprintf(file, "{");
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        if (row->skipped)
            continue;
        fprintf(file, "\"%s\": {\"median\": %.0f, \"least\": %.0f, \"net\": %.0f",
                row->name, row->ns[rounds / 2], row->ns[0], net(row, 0));
        if (row->goal)
            fprintf(file, ", \"goal\": %.0f", row->goal);
        fprintf(file, "}, ");
    }
    fprintf(file, "\"forged_to_one\": {\"net\": %.2f, \"goal\": %.1f}}\n", ratio(0),
            FORGED_RATIO);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 41;
    FILE *file = argc > 2 ? fopen(argv[2], "w") : NULL;
    require(rounds > 0 && rounds <= ROUNDS_MOST, "so many rounds cannot be");
    require(argc < 3 || file, "cannot write the file");
    libbpf_set_print(NULL);
    start_consumer();
    for (size_t i = 0; i < ROWS; i++)
        open_row(&rows[i]);
    for (int round = -1; round < rounds; round++) /* the first one warms up */
        for (size_t i = 0; i < ROWS; i++)
            rows[i].ns[round < 0 ? 0 : round] = measure(&rows[i]);
    for (size_t i = 0; i < ROWS; i++)
        qsort(rows[i].ns, (size_t)rounds, sizeof(*rows[i].ns), compare);
    print_table(rounds);
    if (file) {
        write_json(file, rounds);
        fclose(file);
    }
    return 0;
}
