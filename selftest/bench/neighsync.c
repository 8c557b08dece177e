/* bench/neighsync: how fast neighbours get from the kernel to whoever consumes NEIGH_TABLE.
 *
 *   build/bench/neighsync [--json]
 *
 * Three processes and a redis-server in a network namespace of its own: this one adds
 * neighbours, a NeighSync runs, a consumer pops as orchagent does. Beside it a loop that does
 * nothing but the same scripted commands, one for each row, pipelined, over the same socket, in the same run:
 * how fast Redis is here while nobody consumes them, and when the consumer does. All of them go before
 * whatever else the machine does. Lone events have a reference too, a command for the same consumer from here:
 * when that misses the goal of the events, theirs says nothing. Needs root. Exit code 1 when a goal is
 * missed, 43 when it cannot run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "apps/neigh_sync/counts.h"
#include "apps/neigh_sync/kernel.h"
#include "engine/engine.h"
#include "lib/netlink.h"
#include "selftest/neigh_consumer.h"

#define BATCH   10000
#define RUNS    5
#define LONE    1000
#define LONE_MS 2 /* goal of its p99 */
#define EVENTS  4000000
#define DEPTH   128 /* commands of the bare loop under way */

extern const struct app_class neigh_sync_class;

static struct shared {
    atomic_uint popped;
    _Atomic uint64_t first, last; /* ns: when it popped */
} * shared;

static char directory[] = "/tmp/vanguard-bench-XXXXXX", path[64];
static pid_t children[4];
static unsigned nchildren;
static struct netlink *netlink;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench/neighsync: %s\n", what);
    exit(43);
}

/* --- the processes ------------------------------------------------------------------------ */

static void end_children(void)
{
    for (unsigned i = 0; i < nchildren; i++)
        kill(children[i], SIGKILL);
    unlink(path);
    rmdir(directory);
}

/* In the child: true. */
static bool child(void)
{
    pid_t pid = fork();
    if (!pid) {
        nchildren = 0;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        return true;
    }
    children[nchildren++] = pid;
    return false;
}

static void run_server(void)
{
    int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save",
           "", "--appendonly", "no", "--notify-keyspace-events", "AKE", "--dir",
           directory, NULL);
    _exit(1);
}

static void run_app(void)
{
    const struct engine_options options = { .seed = 1, .packets = 256 };
    struct error err = { 0 };
    struct engine *engine = engine_new(&options, &err);
    struct graph *graph = graph_new();
    struct value args = value_table();
    value_table_add(&args, "redis", value_string(path));
    value_table_add(&args, "socket_buffer_size", value_string("64mib"));
    if (!engine || graph_add_app(graph, "neigh", &neigh_sync_class, &args, NULL, &err) ||
        engine_configure(engine, graph, &err))
        require(false, err.text);
    engine_run(engine, UINT64_MAX);
}

static void note(void *user, const char *key, const char *neigh, const char *family)
{
    shared->last = now();
    if (!shared->first)
        shared->first = shared->last;
    atomic_fetch_add(&shared->popped, 1);
}

static void run_consumer(void)
{
    struct consumer consumer;
    consumer_open(&consumer, path, "NEIGH_TABLE", 1024);
    consumer.popped = note;
    for (;;)
        consumer_step(&consumer, 1000);
}

static void wait_for_server(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        redisContext *context = redisConnectUnix(path);
        bool good = context && !context->err;
        redisFree(context);
        if (good)
            return;
        usleep(10000);
    }
    require(false, "no redis-server");
}

static void begin(void)
{
    struct error err;
    require(!geteuid() && !unshare(CLONE_NEWNET), "needs root");
    sched_setscheduler(0, SCHED_RR, &(struct sched_param){ 1 });
    require(mkdtemp(directory) != NULL, "no directory");
    snprintf(path, sizeof(path), "%s/redis.sock", directory);
    atexit(end_children);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    netlink = netlink_open(NETLINK_ROUTE, &err);
    require(netlink && !system("ip link add Ethernet0 type veth peer name peer0 && "
                               "ip link set Ethernet0 up && ip link set peer0 up"),
            "no interface");
    if (child())
        run_server();
    wait_for_server();
    if (child())
        run_app();
    if (child())
        run_consumer();
    usleep(500000);
}

/* --- the kernel --------------------------------------------------------------------------- */

static void change(bool add, unsigned number, unsigned mac)
{
    uint32_t address = htonl(0x0a010000 + number);
    uint8_t bytes[6] = { 2, 0, 0, 0, (uint8_t)(mac >> 8), (uint8_t)mac };
    struct ndmsg header = { .ndm_family = AF_INET,
                            .ndm_ifindex = (int)if_nametoindex("Ethernet0"),
                            .ndm_state = add ? NUD_PERMANENT : 0 };
    netlink_request(netlink, add ? RTM_NEWNEIGH : RTM_DELNEIGH,
                    add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &header, sizeof(header));
    netlink_put(netlink, NDA_DST, &address, 4);
    if (add)
        netlink_put(netlink, NDA_LLADDR, bytes, 6);
    require(!netlink_ask(netlink, NULL, NULL, NULL), "the kernel refuses a neighbour");
}

static void until_popped(unsigned count)
{
    uint64_t end = now() + 60000000000ull;
    while (atomic_load(&shared->popped) < count) {
        require(now() < end, "neighbours are missing");
        usleep(100);
    }
}

/* --- what is measured --------------------------------------------------------------------- */

static uint64_t cpu_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    require(!clock_getcpuclockid(pid, &clock) && !clock_gettime(clock, &t), "no clock");
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), ascending);
    return values[count / 2];
}

/* The app stands still while the kernel gets them, then has them all at once. */
static void batch(unsigned run, double *rate, double *cpu)
{
    unsigned before = atomic_load(&shared->popped);
    kill(children[1], SIGSTOP);
    for (unsigned i = 0; i < BATCH; i++)
        change(true, i, run);
    uint64_t used = cpu_of(children[1]), start = now();
    kill(children[1], SIGCONT);
    until_popped(before + BATCH);
    *rate = BATCH * 1e9 / (double)(shared->last - start);
    *cpu = (double)(cpu_of(children[1]) - used) / 1e3 / BATCH;
}

static const char bare_script[] =
    "local pending = redis.call('SADD', KEYS[2], ARGV[2])\n"
    "for i = 3, #KEYS do redis.call('HSET', KEYS[i], ARGV[2 * i - 3], ARGV[2 * i - 2]) "
    "end\n"
    "if pending > 0 then redis.call('PUBLISH', KEYS[1], ARGV[1]) end";

static char bare_name[48]; /* Redis' of the script */

static redisContext *begin_bare(void)
{
    redisContext *context = redisConnectUnix(path);
    redisReply *loaded = redisCommand(context, "SCRIPT LOAD %s", bare_script);
    snprintf(bare_name, sizeof(bare_name), "%s", loaded->str);
    freeReplyObject(loaded);
    return context;
}

static void tell_bare(redisContext *context, const char *table, unsigned number)
{
    char key[32];
    snprintf(key, sizeof(key), "bare:10.1.%u.%u", number >> 8, number & 255);
    redisAppendCommand(context,
                       "EVALSHA %s 4 %s_CHANNEL@0 %s_KEY_SET _%s:%s _%s:%s G %s neigh "
                       "02:00:00:00:00:01 family IPv4",
                       bare_name, table, table, table, key, table, key, key);
}

static void end_bare(redisContext *context)
{
    freeReplyObject(redisCommand(context, "EVAL %s 0",
                                 "for _, k in ipairs(redis.call('KEYS', '*bare*')) do "
                                 "redis.call('DEL', k) end "
                                 "redis.call('DEL', 'BENCH_KEY_SET')"));
    redisFree(context);
}

static void answered(redisContext *context)
{
    void *reply;
    require(redisGetReply(context, &reply) == REDIS_OK, "the bare loop");
    freeReplyObject(reply);
}

/* Rows a second: until Redis has answered, or when consumed, until all are popped. */
static double bare(bool consumed)
{
    const char *table = consumed ? "NEIGH_TABLE" : "BENCH";
    redisContext *context = begin_bare();
    unsigned before = atomic_load(&shared->popped);
    uint64_t start = now();
    for (unsigned i = 0; i < BATCH + DEPTH; i++) {
        if (i < BATCH)
            tell_bare(context, table, i);
        if (i >= DEPTH)
            answered(context);
    }
    uint64_t end = now();
    if (consumed) {
        until_popped(before + BATCH);
        end = shared->last;
    }
    end_bare(context);
    return BATCH * 1e9 / (double)(end - start);
}

/* ms: so late is one in a hundred. */
static double p99(double times[LONE])
{
    qsort(times, LONE, sizeof(*times), ascending);
    return times[LONE * 99 / 100];
}

/* ms from then to the pop of what is told. */
static double popped_after(uint64_t start, unsigned before)
{
    while (atomic_load(&shared->popped) == before)
        usleep(100);
    return (double)(shared->last - start) / 1e6;
}

/* From asking the kernel to the consumer's pop, and from asking Redis. */
static double lone(double *reference)
{
    static double times[LONE], references[LONE];
    redisContext *context = begin_bare();
    for (unsigned i = 0; i < LONE; i++) {
        usleep(2000);
        unsigned before = atomic_load(&shared->popped);
        uint64_t start = now();
        tell_bare(context, "NEIGH_TABLE", i);
        answered(context);
        references[i] = popped_after(start, before);
        usleep(2000);
        before = atomic_load(&shared->popped);
        start = now();
        change(true, 20000 + i, 1);
        times[i] = popped_after(start, before);
    }
    end_bare(context);
    *reference = p99(references);
    return p99(times);
}

static void ask(redisContext *context, const char *command)
{
    redisReply *reply = redisCommand(context, command);
    require(reply && reply->type != REDIS_REPLY_ERROR, command);
    freeReplyObject(reply);
}

/* ms from the first to the last row that a warm restart writes, all of the batch having
 * changed while it was away. */
static double warm(void)
{
    redisContext *context = redisConnectUnix(path);
    kill(children[1], SIGKILL);
    for (unsigned i = 0; i < BATCH; i++)
        change(true, i, 999);
    ask(context, "SELECT 4");
    ask(context, "HSET WARM_RESTART|swss neighsyncd_timer 1");
    ask(context, "SELECT 6");
    ask(context, "HSET WARM_RESTART_ENABLE_TABLE|swss enable true");
    ask(context, "HSET WARM_RESTART_TABLE|neighsyncd restore_count 1");
    ask(context, "HSET NEIGH_RESTORE_TABLE|Flags restored true");
    unsigned before = atomic_load(&shared->popped);
    shared->first = 0;
    if (child())
        run_app();
    children[1] = children[--nchildren];
    until_popped(before + BATCH);
    usleep(200000);
    require(atomic_load(&shared->popped) == before + BATCH, "more rows than changed");
    redisFree(context);
    return (double)(shared->last - shared->first) / 1e6;
}

/* Messages in memory through parsing, rules and mirror: events a second. */
static double parse(void)
{
    struct {
        struct nlmsghdr header;
        struct ndmsg neighbour;
        struct nlattr dst;
        uint8_t address[4];
        struct nlattr lladdr;
        uint8_t mac[8];
        struct nlattr probes;
        uint32_t count;
        struct nlattr cache;
        struct nda_cacheinfo info;
    } message = { { sizeof(message), RTM_NEWNEIGH, 0, 0, 0 },
                  { .ndm_family = AF_INET, .ndm_ifindex = 2, .ndm_state = NUD_REACHABLE },
                  { 8, NDA_DST },
                  { 10, 1 },
                  { 10, NDA_LLADDR },
                  { 2, 0, 0, 0, 0, 1 },
                  { 8, NDA_PROBES },
                  0,
                  { 4 + sizeof(struct nda_cacheinfo), NDA_CACHEINFO } };
    static uint64_t counters[COUNTS];
    const struct neighbour_link link = { .index = 2, .name = "Ethernet0" };
    struct kernel kernel = { .mirror = mirror_new(131072, 64),
                             .mode = { .ipv4 = true, .ipv6 = true },
                             .counters = counters };
    struct error err;
    require(!kernel_open(&kernel, 64, 0, &err), "no netlink");
    kernel_take_link(&kernel, &link, false);
    uint64_t start = now();
    for (unsigned i = 0; i < EVENTS; i++) {
        message.address[2] = (uint8_t)(i >> 8);
        message.address[3] = (uint8_t)i;
        kernel_take_neighbour(&kernel, &message.header, false);
    }
    double rate = EVENTS * 1e9 / (double)(now() - start);
    require(counters[COUNT_NEIGHBORS_PROCESSED] == EVENTS, "events are missing");
    kernel_close(&kernel);
    mirror_free(kernel.mirror);
    return rate;
}

/* --- the table ---------------------------------------------------------------------------- */

static int figure(bool json, const char *name, double value, double goal, bool least)
{
    bool good = least ? value >= goal : value < goal;
    if (json)
        printf("%s\"%s\": %.6g", strcmp(name, "bare") ? ", " : "", name, value);
    else
        printf("%-22s %12.6g   %s %.6g%s\n", name, value, least ? ">=" : "<", goal,
               good ? "" : "   MISSED");
    return !good;
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && !strcmp(argv[1], "--json");
    double rates[RUNS], cpu[RUNS], bares[RUNS], consumed[RUNS];
    int missed = 0;
    begin();
    for (unsigned i = 0; i < RUNS; i++) {
        bares[i] = bare(false);
        consumed[i] = bare(true);
        batch(i, &rates[i], &cpu[i]);
    }
    double reference = median(bares, RUNS), rate = median(rates, RUNS);
    double goal = 0.8 * reference < 52000 ? 0.8 * reference : 52000;
    printf("%s", json ? "{" : "NeighSync, 10,000 neighbours at once\n");
    figure(json, "bare", reference, 0, true);
    figure(json, "bare_consumed", median(consumed, RUNS), 0, true);
    missed += figure(json, "neighbours_per_second", rate, goal, true);
    missed += figure(json, "cpu_us_per_event", median(cpu, RUNS), 16.0 / 3, false);
    double bare_event, event = lone(&bare_event);
    bool inconclusive = figure(json, "bare_lone_p99_ms", bare_event, LONE_MS, false);
    missed += figure(json, "lone_event_p99_ms", event, LONE_MS, false) && !inconclusive;
    missed += figure(json, "warm_reconcile_ms", warm(), 200, false);
    missed += figure(json, "events_parsed_per_second", parse(), 2e6, true);
    printf("%s", json ? "}\n" : "");
    return missed > 0;
}
