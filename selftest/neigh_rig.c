/* neigh_rig: a NeighSync between a real kernel's neighbour table and a real redis-server. */
#include "selftest/neigh_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/neighbour.h"
#include "lib/netlink.h"
#include "selftest/support.h"

#define PATIENCE 30000 /* ms */
#define POPPED   64

const uint8_t mac1[6] = { 0, 1, 2, 0xaa, 0xbb, 0xcc };
const uint8_t mac2[6] = { 0, 1, 2, 0xaa, 0xbb, 0xdd };

bool neigh_consumes, neigh_clock;
struct consumer neigh_orchagent;
struct engine *neigh_engine;
const char *neigh_socket;

static char directory[64], socket_path[80];
static pid_t server;
static redisContext *redis;
static struct netlink *netlink;
static char logged[65536];

/* The latest of each key, as far as there is room. */
static struct {
    char key[64], what[24];
    unsigned times;
} popped[POPPED];
static size_t popped_count;

/* --- Redis ----------------------------------------------------------------------------- */

static void forget_directory(void)
{
    char saved[80];
    snprintf(saved, sizeof(saved), "%s/dump.rdb", directory);
    unlink(saved);
    unlink(socket_path);
    rmdir(directory);
}

static void exec_server(const char *delay)
{
    int null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, 1);
    dup2(null, 2);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path,
           "--save", "", "--appendonly", "no", "--notify-keyspace-events", "AKE", "--dir",
           directory, "--key-load-delay", delay,
           "--loading-process-events-interval-bytes", "1024", NULL);
    _exit(127);
}

static void connect_to_server(void)
{
    for (unsigned i = 0; i < PATIENCE / 10; i++) {
        redis = redisConnectUnix(socket_path);
        if (redis && !redis->err)
            return;
        redisFree(redis);
        usleep(10000);
    }
    ck_abort_msg("redis-server does not start");
}

void neigh_redis_start_slowly(unsigned microseconds)
{
    char delay[16];
    snprintf(delay, sizeof(delay), "%u", microseconds);
    server = fork();
    ck_assert_int_ge(server, 0);
    if (!server)
        exec_server(delay);
    connect_to_server();
}

void neigh_redis_start(void)
{
    neigh_redis_start_slowly(0);
}

void neigh_redis_kill(void)
{
    if (neigh_orchagent.pops)
        consumer_close(&neigh_orchagent);
    neigh_orchagent.pops = NULL;
    neigh_consumes = false;
    redisFree(redis);
    redis = NULL;
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    unlink(socket_path);
}

void neigh_redis_stop(bool stop)
{
    kill(server, stop ? SIGSTOP : SIGCONT);
}

redisReply *neigh_redis(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(redis, format, args);
    va_end(args);
    ck_assert_msg(reply != NULL, "%s: %s", format, redis->errstr);
    return reply;
}

static void keep(char *text, size_t size, const redisReply *reply)
{
    *text = 0;
    if (reply->type == REDIS_REPLY_INTEGER)
        snprintf(text, size, "%lld", reply->integer);
    else if (reply->str)
        snprintf(text, size, "%s", reply->str);
}

const char *neigh_text(const char *format, ...)
{
    static char texts[4][128];
    static unsigned next;
    char *text = texts[next++ % 4];
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(redis, format, args);
    va_end(args);
    ck_assert_ptr_nonnull(reply);
    keep(text, sizeof(texts[0]), reply);
    freeReplyObject(reply);
    return text;
}

void neigh_do(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(redis, format, args);
    va_end(args);
    ck_assert_msg(reply && reply->type != REDIS_REPLY_ERROR, "%s: %s", format,
                  reply ? reply->str : redis->errstr);
    freeReplyObject(reply);
}

const char *neigh_row(const char *key, const char *field)
{
    return neigh_text("HGET NEIGH_TABLE:%s %s", key, field);
}

long neigh_rows(void)
{
    redisReply *reply = neigh_redis("KEYS NEIGH_TABLE:*");
    long count = (long)reply->elements;
    freeReplyObject(reply);
    return count;
}

/* --- the consumer ---------------------------------------------------------------------- */

static void note(void *user, const char *key, const char *neigh, const char *family)
{
    size_t i = 0;
    while (i < popped_count && strcmp(popped[i].key, key))
        i++;
    if (i == POPPED)
        return;
    popped_count += i == popped_count;
    snprintf(popped[i].key, sizeof(popped[i].key), "%s", key);
    snprintf(popped[i].what, sizeof(popped[i].what), neigh ? "S %s" : "D", neigh);
    popped[i].times++;
}

static void consume(void)
{
    if (!neigh_orchagent.pops) {
        consumer_open(&neigh_orchagent, neigh_socket, "NEIGH_TABLE", 128);
        neigh_orchagent.popped = note;
    }
    while (consumer_step(&neigh_orchagent, 0))
        ;
}

const char *neigh_popped(const char *key)
{
    for (size_t i = 0; i < popped_count; i++)
        if (!strcmp(popped[i].key, key))
            return popped[i].what;
    return "";
}

unsigned neigh_times(const char *key)
{
    for (size_t i = 0; i < popped_count; i++)
        if (!strcmp(popped[i].key, key))
            return popped[i].times;
    return 0;
}

void neigh_forget(void)
{
    memset(popped, 0, sizeof(popped));
    popped_count = 0;
}

/* --- the kernel ------------------------------------------------------------------------ */

int neigh_change(bool add, const char *ifname, const char *ip, uint16_t state,
                 uint8_t flags, const void *mac, size_t size)
{
    uint8_t address[16];
    bool ipv4 = inet_pton(AF_INET, ip, address) == 1;
    ck_assert(ipv4 || inet_pton(AF_INET6, ip, address) == 1);
    struct ndmsg header = { .ndm_family = ipv4 ? AF_INET : AF_INET6,
                            .ndm_ifindex = (int)if_nametoindex(ifname),
                            .ndm_state = state,
                            .ndm_flags = flags };
    netlink_request(netlink, add ? RTM_NEWNEIGH : RTM_DELNEIGH,
                    add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &header, sizeof(header));
    netlink_put(netlink, NDA_DST, address, ipv4 ? 4 : 16);
    if (mac)
        netlink_put(netlink, NDA_LLADDR, mac, size);
    return netlink_ask(netlink, NULL, NULL, NULL);
}

void neigh_add(const char *ifname, const char *ip, uint16_t state)
{
    static const uint8_t mac[] = { 0, 1, 2, 0xaa, 0xbb, 0xcc };
    ck_assert_int_eq(neigh_change(true, ifname, ip, state, 0, mac, 6), 0);
}

void neigh_delete(const char *ifname, const char *ip)
{
    ck_assert_int_eq(neigh_change(false, ifname, ip, 0, 0, NULL, 0), 0);
}

void neigh_many(unsigned first, unsigned count, const uint8_t *mac)
{
    char ip[16];
    for (unsigned i = first; i < first + count; i++) {
        snprintf(ip, sizeof(ip), "10.%u.%u.%u", 1 + (i >> 16), i >> 8 & 255, i & 255);
        neigh_change(mac != NULL, "Ethernet0", ip, NUD_PERMANENT, 0, mac, mac ? 6 : 0);
    }
}

/* Asks for the row without waiting for the answer. */
static int ask_for_row(const struct nlmsghdr *message, void *user)
{
    struct neighbour n;
    char ip[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
    unsigned *count = user;
    if (!message || neighbour_parse(message, &n) || n.state != NUD_PERMANENT)
        return 0;
    inet_ntop(n.family, n.address, ip, sizeof(ip));
    if_indextoname(n.index, name);
    redisAppendCommand(redis, "EVAL %s 1 NEIGH_TABLE:%s:%s %02x:%02x:%02x:%02x:%02x:%02x",
                       "return redis.call('HGET', KEYS[1], 'neigh') == ARGV[1]", name, ip,
                       n.mac[0], n.mac[1], n.mac[2], n.mac[3], n.mac[4], n.mac[5]);
    ++*count;
    return 0;
}

unsigned neigh_equal(void)
{
    struct ndmsg header = { 0 };
    unsigned count = 0, wrong = 0;
    netlink_request(netlink, RTM_GETNEIGH, NLM_F_DUMP, &header, sizeof(header));
    ck_assert_int_eq(netlink_ask(netlink, ask_for_row, &count, NULL), 0);
    for (unsigned i = 0; i < count; i++) {
        void *reply;
        ck_assert_int_eq(redisGetReply(redis, &reply), REDIS_OK);
        wrong += ((redisReply *)reply)->type != REDIS_REPLY_INTEGER;
        freeReplyObject(reply);
    }
    ck_assert_msg(!wrong, "%u of %u rows are wrong or missing", wrong, count);
    ck_assert_int_eq(neigh_rows(), count);
    return count;
}

/* --- the app --------------------------------------------------------------------------- */

uint64_t neigh_counter(const char *counter)
{
    return test_counter(neigh_engine, "neigh", counter);
}

static uint64_t milliseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void breathe_by_clock(unsigned milliseconds)
{
    unsigned step = 1 + milliseconds / 2000;
    for (unsigned passed = 0; passed < milliseconds; passed += step) {
        engine_set_time(neigh_engine, engine_clock(neigh_engine) + step * 1000000ull);
        engine_breathe(neigh_engine);
        usleep(20); /* Redis works meanwhile */
    }
}

void neigh_breathe(unsigned milliseconds)
{
    if (neigh_clock) {
        breathe_by_clock(milliseconds);
        return;
    }
    uint64_t end = milliseconds_now() + milliseconds;
    do
        engine_run(neigh_engine, engine_clock(neigh_engine) + 1000000);
    while (milliseconds_now() < end);
}

static bool is_settled(void)
{
    struct value answer = { 0 };
    struct app *app = engine_find_app(neigh_engine, "neigh");
    app->class->call(app, 0, NULL, &answer, NULL);
    const struct value *complete = value_get(&answer, "complete"),
                       *told = value_get(&answer, "told"),
                       *state = value_get(&answer, "state");
    bool over = !strcmp(state->string, "cold") || !strcmp(state->string, "reconciled");
    bool settled = complete->boolean && told->boolean && over;
    value_free(&answer);
    return settled;
}

/* The kernel has queued what was asked of it before; 20 ms of silence are for its timers. */
void neigh_settle(void)
{
    uint64_t end = milliseconds_now() + PATIENCE;
    unsigned quiet = 0;
    while (quiet < 4) {
        uint64_t before = neigh_counter("neighbors_processed");
        neigh_breathe(5);
        if (neigh_consumes)
            consume();
        quiet = is_settled() && neigh_counter("neighbors_processed") == before ? quiet + 1
                                                                               : 0;
        ck_assert_msg(milliseconds_now() < end, "it does not settle");
    }
}

void neigh_until(const char *counter, uint64_t least)
{
    uint64_t end = milliseconds_now() + PATIENCE;
    while (neigh_counter(counter) < least) {
        neigh_breathe(1);
        ck_assert_msg(milliseconds_now() < end, "%s stays at %llu", counter,
                      (unsigned long long)neigh_counter(counter));
    }
}

static void print_log(const char *line, void *user)
{
    size_t length = strlen(logged);
    fprintf(stderr, "%s\n", line);
    snprintf(logged + length, sizeof(logged) - length, "%s\n", line);
}

unsigned neigh_logged(const char *text)
{
    unsigned count = 0;
    for (const char *at = logged; (at = strstr(at, text)); at++)
        count++;
    return count;
}

void neigh_run(const char *name, ...)
{
    const struct engine_options options = { .log = print_log,
                                            .seed = 1,
                                            .virtual_time = neigh_clock };
    struct error err;
    struct graph *graph = graph_new();
    struct value args = value_table();
    va_list list;
    va_start(list, name);
    value_table_add(&args, "redis", value_string(neigh_socket));
    value_table_add(&args, "neighbors", value_integer(65536));
    for (; name; name = va_arg(list, const char *))
        value_table_add(&args, name, value_string(va_arg(list, const char *)));
    va_end(list);
    extern const struct app_class neigh_sync_class;
    neigh_engine = engine_new(&options, &err);
    ck_assert_msg(neigh_engine != NULL, "%s", err.text);
    if (neigh_clock)
        engine_set_time(neigh_engine, 1000000000);
    ck_assert_msg(!graph_add_app(graph, "neigh", &neigh_sync_class, &args, NULL, &err),
                  "%s", err.text);
    ck_assert_msg(!engine_configure(neigh_engine, graph, &err), "%s", err.text);
    value_free(&args);
}

void neigh_stop_app(void)
{
    engine_free(neigh_engine);
    neigh_engine = NULL;
}

bool neigh_start(void)
{
    struct error err;
    if (!private_network())
        return false;
    if (system("redis-server --version >/dev/null 2>&1")) {
        fprintf(stderr, "SKIPPED: no redis-server\n");
        return false;
    }
    strcpy(directory, "/tmp/vanguard-neigh-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(socket_path, sizeof(socket_path), "%s/redis.sock", directory);
    neigh_socket = socket_path;
    atexit(forget_directory);
    shell("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 "
          "net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.addr_gen_mode=1");
    shell("ip link add Ethernet0 type veth peer name peer0");
    shell("ip link set Ethernet0 up; ip link set peer0 up");
    neigh_redis_start();
    netlink = netlink_open(NETLINK_ROUTE, &err);
    ck_assert_msg(netlink != NULL, "%s", err.text);
    neigh_consumes = true;
    return true;
}

void neigh_end(void)
{
    if (neigh_engine)
        neigh_stop_app();
    if (neigh_orchagent.pops)
        consumer_close(&neigh_orchagent);
    neigh_orchagent.pops = NULL;
    netlink_close(netlink);
    redisFree(redis);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

bool neigh_begin(void)
{
    if (!neigh_start())
        return false;
    neigh_run(NULL);
    neigh_settle();
    neigh_forget();
    return true;
}

void neigh_expect(const char *key, const char *what)
{
    bool there = *what == 'S';
    neigh_settle();
    ck_assert_msg(!strcmp(neigh_popped(key), what), "%s: '%s', not '%s'", key,
                  neigh_popped(key), what);
    ck_assert_str_eq(neigh_row(key, "neigh"), there ? what + 2 : "");
    if (there)
        ck_assert_str_eq(neigh_text("HLEN NEIGH_TABLE:%s", key), "2");
    neigh_forget();
}
