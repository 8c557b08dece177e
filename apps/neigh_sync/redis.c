/* redis: one connection to a Redis server that is made anew whenever it breaks. */
#include "apps/neigh_sync/redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/app.h"

#define RETRY_MIN 50000000ull   /* ns to the next try, doubled each time ... */
#define RETRY_MAX 2000000000ull /* ... up to this */
#define READ_SIZE 65536
#define READS     16 /* per redis_serve */

enum state { DOWN, CONNECTING, GREETING, READY };

struct redis {
    struct redis_place place;
    struct redis_handlers handlers;
    struct redis_counts counts;
    struct app *app;
    enum state state;
    int fd;
    short polled;
    uint64_t now, due, retry, timeout, heard;
    redisReader *reader;
    char *out;
    size_t out_size, out_begin, out_end;
    struct redis_request *requests; /* ring: first is the oldest */
    uint32_t window, first, pending;
    char in[READ_SIZE];
};

/* --- the descriptor ------------------------------------------------------------------------ */

static void poll_for(struct redis *redis, short events)
{
    if (redis->app && redis->fd >= 0 && events != redis->polled)
        app_poll(redis->app, redis->fd, events);
    redis->polled = events;
}

static void close_socket(struct redis *redis)
{
    if (redis->fd < 0)
        return;
    if (redis->app)
        app_unpoll(redis->app, redis->fd);
    close(redis->fd);
    redis->fd = -1;
    redis->polled = 0;
}

static bool take_request(struct redis *redis, struct redis_request *request)
{
    if (!redis->pending)
        return false;
    *request = redis->requests[redis->first++ & (redis->window - 1)];
    redis->pending--;
    return true;
}

/* It broke, or could not be made. */
static void fail(struct redis *redis, const char *why)
{
    struct redis_request request;
    bool was_ready = redis->state == READY;
    snprintf(redis->counts.why, sizeof(redis->counts.why), "%s", why);
    redis->counts.failures++;
    close_socket(redis);
    redis->state = DOWN;
    redis->due = redis->now + redis->retry;
    redis->retry = redis->retry < RETRY_MAX / 2 ? 2 * redis->retry : RETRY_MAX;
    redis->out_begin = redis->out_end = 0;
    if (redis->reader)
        redisReaderFree(redis->reader);
    redis->reader = NULL;
    while (take_request(redis, &request))
        request.answer(&request, NULL);
    if (was_ready && redis->handlers.lost)
        redis->handlers.lost(redis->handlers.user);
}

/* --- commands ------------------------------------------------------------------------------ */

/* What has left makes way when it is more than what has not: then nothing is moved twice, and
 * the buffer does not grow with what goes through it. */
static bool reserve(struct redis *redis, size_t size)
{
    size_t waits = redis->out_end - redis->out_begin;
    if (redis->out_begin >= waits) {
        if (waits)
            memmove(redis->out, redis->out + redis->out_begin, waits);
        redis->out_begin = 0;
        redis->out_end = waits;
    }
    if (redis->out_end + size <= redis->out_size)
        return true;
    size_t more = 2 * (redis->out_end + size);
    char *out = realloc(redis->out, more);
    if (!out)
        return false;
    redis->out = out;
    redis->out_size = more;
    return true;
}

static char *put_number(char *at, char mark, size_t number)
{
    char digits[24];
    unsigned n = 0;
    *at++ = mark;
    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n)
        *at++ = digits[--n];
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static bool append(struct redis *redis, const struct redis_request *request, int argc,
                   const char *const *argv, const size_t *lengths)
{
    size_t size = 32;
    for (int i = 0; i < argc; i++)
        size += 32 + (lengths ? lengths[i] : strlen(argv[i]));
    if (redis->pending == redis->window || !reserve(redis, size))
        return false;
    char *at = put_number(redis->out + redis->out_end, '*', (size_t)argc);
    for (int i = 0; i < argc; i++) {
        size_t length = lengths ? lengths[i] : strlen(argv[i]);
        at = put_number(at, '$', length);
        at = mempcpy(mempcpy(at, argv[i], length), "\r\n", 2);
    }
    redis->out_end = (size_t)(at - redis->out);
    if (!redis->pending)
        redis->heard = redis->now; /* the timeout begins */
    struct redis_request *own =
        &redis->requests[(redis->first + redis->pending++) & (redis->window - 1)];
    *own = *request;
    own->sent = redis->now;
    return true;
}

bool redis_send(struct redis *redis, const struct redis_request *request, int argc,
                const char *const *argv, const size_t *lengths)
{
    return redis->state == READY && append(redis, request, argc, argv, lengths);
}

/* False when the connection broke. */
static bool write_out(struct redis *redis)
{
    while (redis->out_begin < redis->out_end) {
        ssize_t sent = send(redis->fd, redis->out + redis->out_begin,
                            redis->out_end - redis->out_begin, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0 && errno != EINTR) {
            fail(redis, strerror(errno));
            return false;
        }
        redis->out_begin += sent > 0 ? (size_t)sent : 0;
    }
    poll_for(redis, redis->out_begin < redis->out_end ? POLLIN | POLLOUT : POLLIN);
    return true;
}

/* --- the connection comes about ------------------------------------------------------------ */

/* Two answers; the second one comes when it can do more than choose a database. */
static void take_greeting(const struct redis_request *request, const redisReply *reply)
{
    struct redis *redis = request->user;
    if (!reply)
        return;
    if (reply->type == REDIS_REPLY_ERROR)
        fail(redis, reply->str);
    if (reply->type == REDIS_REPLY_ERROR || redis->pending)
        return;
    redis->state = READY;
    redis->retry = RETRY_MIN;
    redis->counts.connects++;
    if (redis->handlers.ready)
        redis->handlers.ready(redis->handlers.user);
}

static void greet(struct redis *redis)
{
    const struct redis_request request = { .answer = take_greeting, .user = redis };
    char number[16];
    snprintf(number, sizeof(number), "%d", redis->place.database);
    redis->reader = redisReaderCreate();
    redis->state = GREETING;
    if (!redis->reader ||
        !append(redis, &request, 2, (const char *const[]){ "SELECT", number }, NULL) ||
        !append(redis, &request, 1, (const char *const[]){ "PING" }, NULL))
        fail(redis, "out of memory");
}

static socklen_t address_of(const struct redis_place *place, struct sockaddr_storage *to)
{
    struct sockaddr_un *local = (struct sockaddr_un *)to;
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)to;
    memset(to, 0, sizeof(*to));
    if (*place->path) {
        local->sun_family = AF_UNIX;
        snprintf(local->sun_path, sizeof(local->sun_path), "%s", place->path);
        return sizeof(*local);
    }
    if (inet_pton(AF_INET6, place->host, &ipv6->sin6_addr) == 1) {
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons(place->port);
        return sizeof(*ipv6);
    }
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = htons(place->port);
    inet_pton(AF_INET, place->host, &ipv4->sin_addr);
    return sizeof(*ipv4);
}

/* A server that is gone without a word is noticed though nothing is asked of it. */
static void keep_alive(int fd)
{
    const struct {
        int level, name, value;
    } options[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 },   { IPPROTO_TCP, TCP_KEEPIDLE, 10 }, /* s */
        { IPPROTO_TCP, TCP_KEEPINTVL, 5 }, { IPPROTO_TCP, TCP_KEEPCNT, 3 },
        { IPPROTO_TCP, TCP_NODELAY, 1 },
    };
    for (unsigned i = 0; i < sizeof(options) / sizeof(*options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static void begin(struct redis *redis)
{
    struct sockaddr_storage to;
    socklen_t size = address_of(&redis->place, &to);
    redis->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    redis->heard = redis->now;
    if (redis->fd >= 0 && to.ss_family != AF_UNIX)
        keep_alive(redis->fd);
    if (redis->fd < 0 ||
        (connect(redis->fd, (struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS)) {
        fail(redis, strerror(errno));
        return;
    }
    redis->state = CONNECTING;
    poll_for(redis, POLLIN | POLLOUT);
}

static void finish_connect(struct redis *redis)
{
    struct pollfd poll_fd = { .fd = redis->fd, .events = POLLOUT };
    int error = 0;
    socklen_t size = sizeof(error);
    if (poll(&poll_fd, 1, 0) <= 0)
        return;
    getsockopt(redis->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        fail(redis, strerror(error));
    else
        greet(redis);
}

/* --- answers --------------------------------------------------------------------------------- */

bool redis_is_error(const redisReply *reply, const char *word)
{
    return reply && reply->type == REDIS_REPLY_ERROR &&
           (!word || !strncmp(reply->str, word, strlen(word)));
}

const char *redis_text(const redisReply *reply)
{
    bool text =
        reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
    return text ? reply->str : NULL;
}

/* What a channel sends, and not the answer to a command. */
static bool is_message(const redisReply *reply)
{
    const char *kind = reply->type == REDIS_REPLY_ARRAY && reply->elements
                           ? redis_text(reply->element[0])
                           : NULL;
    return kind && (!strcmp(kind, "message") || !strcmp(kind, "pmessage"));
}

/* It will answer, but not now: a server that reads its file, or runs somebody's script. */
static bool is_absent(const redisReply *reply)
{
    return redis_is_error(reply, "LOADING ") || redis_is_error(reply, "BUSY ") ||
           redis_is_error(reply, "MASTERDOWN ");
}

static void take_reply(struct redis *redis, const redisReply *reply)
{
    struct redis_request request;
    if (is_absent(reply)) {
        redis->counts.errors++;
        fail(redis, reply->str);
        return;
    }
    if (redis->handlers.message && is_message(reply)) {
        redis->handlers.message(redis->handlers.user, reply);
    } else if (take_request(redis, &request)) {
        redis->counts.errors += reply->type == REDIS_REPLY_ERROR;
        request.answer(&request, reply);
    } else {
        fail(redis, "an answer to nothing");
    }
}

/* An answer may break the connection, or open another: then the reader is another too. */
static void take_replies(struct redis *redis)
{
    redisReader *reader = redis->reader;
    void *reply = NULL;
    while (redis->reader == reader) {
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            fail(redis, "an answer that is none");
            return;
        }
        if (!reply)
            return;
        take_reply(redis, reply);
        freeReplyObject(reply);
    }
}

static void read_in(struct redis *redis)
{
    for (int i = 0; i < READS && redis->state >= GREETING; i++) {
        ssize_t got = recv(redis->fd, redis->in, READ_SIZE, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            fail(redis, got ? strerror(errno) : "the server closed it");
            return;
        }
        redis->heard = redis->now;
        if (redisReaderFeed(redis->reader, redis->in, (size_t)got) != REDIS_OK)
            fail(redis, "out of memory");
        else
            take_replies(redis);
        if (got < READ_SIZE)
            return;
    }
}

/* --- public ---------------------------------------------------------------------------------- */

void redis_serve(struct redis *redis, uint64_t now)
{
    redis->now = now;
    if (redis->state == DOWN && now >= redis->due)
        begin(redis);
    if (redis->state == CONNECTING)
        finish_connect(redis);
    if (redis->state >= GREETING)
        read_in(redis);
    if (redis->state >= GREETING)
        write_out(redis);
    if (redis->state != DOWN && (redis->pending || redis->state < READY) &&
        now - redis->heard > redis->timeout)
        fail(redis, "no answer");
}

uint64_t redis_due(const struct redis *redis)
{
    if (redis->state == DOWN)
        return redis->due;
    return redis->pending || redis->state < READY ? redis->heard + redis->timeout + 1
                                                  : UINT64_MAX;
}

uint32_t redis_room(const struct redis *redis)
{
    return redis->state == READY ? redis->window - redis->pending : 0;
}

uint32_t redis_pending(const struct redis *redis)
{
    return redis->pending;
}

bool redis_ready(const struct redis *redis)
{
    return redis->state == READY;
}

const struct redis_counts *redis_counts(const struct redis *redis)
{
    return &redis->counts;
}

struct redis *redis_open(const struct redis_place *place,
                         const struct redis_handlers *handlers, uint32_t window,
                         uint64_t timeout, struct app *app)
{
    struct redis *redis = calloc(1, sizeof(*redis));
    if (!redis)
        return NULL;
    *redis = (struct redis){ .place = *place,
                             .handlers = *handlers,
                             .app = app,
                             .fd = -1,
                             .retry = RETRY_MIN,
                             .timeout = timeout,
                             .window = window };
    redis->requests = calloc(window, sizeof(*redis->requests));
    if (redis->requests)
        return redis;
    redis_close(redis);
    return NULL;
}

void redis_close(struct redis *redis)
{
    if (!redis)
        return;
    close_socket(redis);
    if (redis->reader)
        redisReaderFree(redis->reader);
    free(redis->requests);
    free(redis->out);
    free(redis);
}
