/* fuzz/redis_reply: any bytes as what a Redis server sends, cut into pieces. The first byte says
 * how many commands are waiting. Every command is answered exactly once, by a reply or by NULL.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "apps/neigh_sync/redis.h"

#define WINDOW 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct redis_place place;
static int listener = -1;
static unsigned asked, answers, messages;

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "redis_reply: %s\n", what);
        abort();
    }
}

static void forget(void)
{
    unlink(place.path);
}

static void listen_once(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (listener >= 0)
        return;
    snprintf(place.path, sizeof(place.path), "/tmp/vanguard-fuzz-redis-%d", getpid());
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", place.path);
    unlink(place.path);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    require(!bind(listener, (struct sockaddr *)&address, sizeof(address)) &&
                !listen(listener, 5),
            "no socket");
    atexit(forget);
}

static void take_answer(const struct redis_request *request, const redisReply *reply)
{
    require(request->number == answers, "another order");
    answers++;
    redis_text(reply);
    redis_is_error(reply, "NOSCRIPT");
}

static void take_message(void *user, const redisReply *reply)
{
    require(reply->elements >= 1, "no message");
    messages++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct redis_handlers handlers = { .message = take_message };
    uint64_t now = 1;
    if (size < 2)
        return 0;
    listen_once();
    struct redis *redis = redis_open(&place, &handlers, WINDOW, 1000000, NULL);
    require(redis != NULL, "memory");
    redis_serve(redis, now);
    int peer = accept(listener, NULL, NULL);
    redis_serve(redis, now++);
    require(write(peer, "+OK\r\n+PONG\r\n", 12) == 12, "write");
    redis_serve(redis, now++);
    require(redis_ready(redis), "not ready");
    asked = data[0] % WINDOW;
    answers = messages = 0;
    for (unsigned i = 0; i < asked; i++) {
        const struct redis_request request = { .answer = take_answer, .number = i };
        require(redis_send(redis, &request, 1, (const char *const[]){ "PING" }, NULL),
                "no room");
    }
    size_t step = 1 + data[1];
    for (size_t at = 2; at < size; at += step) {
        size_t part = size - at < step ? size - at : step;
        if (send(peer, data + at, part, MSG_NOSIGNAL) < 0)
            break;
        redis_serve(redis, now++);
    }
    close(peer);
    redis_serve(redis, now++);
    redis_serve(redis, now + 2000000); /* and what still waits has waited too long */
    require(answers == asked, "an answer is missing, or too many");
    redis_close(redis);
    fcntl(listener, F_SETFL, O_NONBLOCK); /* it may have tried to connect again */
    int again = accept(listener, NULL, NULL);
    if (again >= 0)
        close(again);
    fcntl(listener, F_SETFL, 0);
    return 0;
}
