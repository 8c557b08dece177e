/* interlink: packets from one core to another, beside a bare ring between the same cores.
 *
 *     interlink [SECONDS [ROUNDS]]     rates, the engine and bare rings in turn
 *     interlink --check PACKETS        that many packets, every number checked
 *
 * The bare ring is the least that it takes: packet pointers go through a ring of the
 * engine's size, single producer, single consumer, cursors a cache line apart, release and
 * acquire, each side keeping what it last saw of the other's cursor. The sender writes a
 * packet's header and first line, the receiver reads the header; packets are used again in
 * turn, so that nothing has to bring them back. Three forms of it: every packet moves the
 * cursors; 64 at a time do; and every packet does, but nothing is touched but pointers.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "apps/apps.h"
#include "engine/engine.h"
#include "selftest/sequence.h"

#define ROUNDS_MOST 64
#define PACKETS     (4 * LINK_SIZE) /* of the bare ring */
#define STRIDE      2112            /* an odd number of cache lines */

static void fail(const struct error *err)
{
    fprintf(stderr, "interlink: %s\n", err->text);
    exit(1);
}

static double seconds_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- the bare ring ------------------------------------------------------------------ */

struct ring {
    _Atomic uint64_t write __attribute__((aligned(CACHE_LINE)));
    uint64_t read_seen;
    _Atomic uint64_t read __attribute__((aligned(CACHE_LINE)));
    uint64_t write_seen;
    struct packet *slot[LINK_SIZE] __attribute__((aligned(CACHE_LINE)));
};

static struct ring ring;
static struct cores cores;
static struct packet *packets;
static atomic_bool over;

/* How a bare ring is used. */
struct form {
    uint32_t step; /* packets per move of a cursor */
    bool touches;  /* the packets */
};

static const struct form one = { 1, true }, burst = { LINK_BURST, true },
                         pointers = { 1, false };

static void *send_packets(void *user)
{
    const struct form form = *(const struct form *)user;
    uint64_t write = 0;
    cores_pin(&cores, 0);
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        if (LINK_SIZE - (write - ring.read_seen) < form.step) {
            ring.read_seen = atomic_load_explicit(&ring.read, memory_order_acquire);
            continue;
        }
        for (uint64_t i = write; i < write + form.step; i++) {
            struct packet *p = &packets[i % PACKETS];
            if (form.touches) {
                p->length = 60;
                p->timestamp = i;
                memset(p->data, 1, CACHE_LINE);
            }
            ring.slot[i & LINK_MASK] = p;
        }
        write += form.step;
        atomic_store_explicit(&ring.write, write, memory_order_release);
    }
    return NULL;
}

static void *receive_packets(void *user)
{
    const struct form form = *(const struct form *)user;
    uint64_t read = 0, sum = 0;
    cores_pin(&cores, 1);
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        if (ring.write_seen - read < form.step) {
            ring.write_seen = atomic_load_explicit(&ring.write, memory_order_acquire);
            continue;
        }
        for (uint64_t i = read; i < read + form.step; i++) {
            struct packet *p = ring.slot[i & LINK_MASK];
            sum += form.touches ? p->length : (uintptr_t)p;
        }
        read += form.step;
        atomic_store_explicit(&ring.read, read, memory_order_release);
    }
    return sum ? &ring : NULL; /* so that it has to be read */
}

static double bare_rate(struct form form, double seconds)
{
    pthread_t sender, receiver;
    struct timespec time = { (time_t)seconds,
                             (long)((seconds - (double)(time_t)seconds) * 1e9) };
    memset(&ring, 0, sizeof(ring));
    over = false;
    double start = seconds_now();
    pthread_create(&sender, NULL, send_packets, &form);
    pthread_create(&receiver, NULL, receive_packets, &form);
    nanosleep(&time, NULL);
    uint64_t moved = ring.read;
    double elapsed = seconds_now() - start;
    over = true;
    pthread_join(sender, NULL);
    pthread_join(receiver, NULL);
    return (double)moved / elapsed;
}

/* --- engines ------------------------------------------------------------------------ */

static void add(struct graph *graph, const char *name, const char *class, const char *key,
                const char *text)
{
    struct value args = value_table();
    struct error err;
    if (key)
        value_table_add(&args, key, value_string(text));
    if (graph_add_app(graph, name, apps_find(class), &args, NULL, &err))
        fail(&err);
    value_free(&args);
}

static struct graph *make_graph(const char *from, const char *to, const char *count)
{
    struct graph *graph = graph_new();
    struct error err;
    add(graph, "from", from, NULL, NULL);
    add(graph, "to", to, count ? "count" : NULL, count);
    if (graph_add_link(graph, "from -> to", NULL, &err) ||
        graph_set_core(graph, "to", 1, &err))
        fail(&err);
    return graph;
}

static uint64_t seen(const struct engine *engine)
{
    return engine_find_app(engine, "to")->counters[0];
}

static struct engine *engine;

static void apply(struct graph *graph)
{
    struct error err;
    if (engine_configure(engine, graph, &err))
        fail(&err);
}

static double engine_rate(const char *from, const char *to, double seconds)
{
    apply(graph_new());
    apply(make_graph(from, to, NULL));
    engine_run(engine, engine_clock(engine) + 10 * ENGINE_TICK);
    uint64_t before = seen(engine);
    double start = seconds_now();
    engine_run(engine, engine_clock(engine) + (uint64_t)(seconds * 1e9));
    return (double)(seen(engine) - before) / (seconds_now() - start);
}

/* --- what is asked ------------------------------------------------------------------ */

static int by_size(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) -
           (*(const double *)a < *(const double *)b);
}

static double median(double *of, int n)
{
    qsort(of, (size_t)n, sizeof(*of), by_size);
    return of[n / 2];
}

static void print(const char *what, double rate, double ours)
{
    printf("interlink: %-48s %7.1f Mpps", what, rate / 1e6);
    if (ours > 0)
        printf("; ratio %.2f", ours / rate);
    putchar('\n');
}

static void compare(double seconds, int rounds)
{
    double ours[ROUNDS_MOST], by_one[ROUNDS_MOST], by_burst[ROUNDS_MOST],
        bare[ROUNDS_MOST];
    for (int i = 0; i < rounds; i++) {
        by_one[i] = bare_rate(one, seconds);
        ours[i] = engine_rate("Source", "Sink", seconds);
        by_burst[i] = bare_rate(burst, seconds);
        bare[i] = bare_rate(pointers, seconds);
    }
    double rate = median(ours, rounds);
    print("Source -> Sink on two cores, 60 bytes", rate, 0);
    print("a bare ring in the same run", median(by_one, rounds), rate);
    print("... that moves its cursors once per 64 packets", median(by_burst, rounds),
          rate);
    print("... for pointers alone", median(bare, rounds), rate);
}

static int check_sequence(const char *count)
{
    uint64_t wanted = strtoull(count, NULL, 10), got;
    apply(make_graph("Count", "Check", count));
    double start = seconds_now();
    do {
        engine_run(engine, engine_clock(engine) + 1000 * ENGINE_TICK);
        got = seen(engine);
        fprintf(stderr, "\rinterlink: %3.0f %%", 100 * (double)got / (double)wanted);
    } while (got < wanted);
    fputc('\n', stderr);
    struct link *link = engine->links[0];
    uint64_t made = engine_find_app(engine, "from")->counters[SEQUENCE_PACKETS];
    uint64_t wrong = engine_find_app(engine, "to")->counters[SEQUENCE_WRONG];
    printf("interlink: %" PRIu64 " packets in %.1f s: %" PRIu64
           " out of sequence, %" PRIu64 " dropped, %" PRIu64 " missing\n",
           got, seconds_now() - start, wrong, link->drops,
           made - got - link->drops - link_held(link));
    return wrong || link->drops || made != got + link_held(link);
}

int main(int argc, char **argv)
{
    struct error err;
    bool checks = argc == 3 && !strcmp(argv[1], "--check");
    double seconds = argc > 1 && !checks ? atof(argv[1]) : 0.5;
    int rounds = argc > 2 && !checks ? atoi(argv[2]) : 5;
    if (argc > 3 || seconds <= 0 || rounds < 1 || rounds > ROUNDS_MOST) {
        fprintf(stderr,
                "usage: interlink [SECONDS [ROUNDS]] | interlink --check PACKETS\n");
        return 2;
    }
    apps_add(&count_class, NULL);
    apps_add(&check_class, NULL);
    struct engine_options options = { .pace = PACE_BUSY, .seed = 1 };
    engine = engine_new(&options, &err);
    if (!engine || cores_find(&cores, NULL, &err))
        fail(&err);
    if (cores.count < 2) {
        printf("interlink: this machine has one core\n");
        return 0;
    }
    uint8_t *data = aligned_alloc(CACHE_LINE, PACKETS * STRIDE);
    packets = aligned_alloc(CACHE_LINE, PACKETS * sizeof(*packets));
    memset(packets, 0, PACKETS * sizeof(*packets));
    for (size_t i = 0; i < PACKETS; i++)
        packets[i].data = data + i * STRIDE;
    int failed = 0;
    if (checks)
        failed = check_sequence(argv[2]);
    else
        compare(seconds, rounds);
    engine_free(engine);
    free(packets);
    free(data);
    return failed;
}
