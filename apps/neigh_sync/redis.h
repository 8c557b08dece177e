/* redis: one connection to a Redis server that is made anew whenever it breaks.
 *
 *   redis_open     begin; the connection comes about in redis_serve
 *   redis_send     one command into the buffer
 *   redis_room     how many more fit
 *   redis_serve    write, read, hand out answers; connect when that is due
 *   redis_due      when redis_serve must be called even if nothing came
 *   redis_close
 *
 * Nothing blocks. Commands are pipelined: what was sent since the last redis_serve leaves in
 * one write. Every command that redis_send took is answered exactly once, in order: by a reply,
 * or by NULL when the connection broke, so that nobody knows whether Redis did it. Memory is
 * bounded by the window, and replies by what Redis sends; a server that answers what is no
 * reply, or nothing for the time of the timeout, loses the connection. So does one that says
 * that it cannot answer yet (-LOADING, -BUSY): a command is answered by what it did, or by NULL.
 *
 * hiredis reads replies; the socket is ours, because a breath must not wait for it.
 */
#pragma once
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app;
struct redis;

struct redis_request {
    void (*answer)(const struct redis_request *request, const redisReply *reply);
    void *user, *object;
    uint64_t number;
    uint64_t since; /* ns, whatever the sender likes */
    uint64_t sent;  /* ns, filled in */
};

struct redis_place {
    char path[108]; /* of a Unix socket; empty: host and port */
    char host[256]; /* when it is connected to, a number: 127.0.0.1, ::1 */
    uint16_t port;
    int database;
};

struct redis_handlers {
    void (*ready)(void *user); /* connected, the database is selected */
    void (*lost)(void *user);  /* it was ready, and all requests are answered by NULL */
    /* A message of a channel that was subscribed to; NULL: there are none. */
    void (*message)(void *user, const redisReply *reply);
    void *user;
};

struct redis_counts {
    uint64_t connects; /* successful ones */
    uint64_t failures; /* connections that broke or did not come about */
    uint64_t errors;   /* error replies */
    char why[128];     /* the last failure */
};

/* app: is polled for; NULL: the caller polls. window: commands without an answer, a power of
 * two. NULL when memory is out. */
struct redis *redis_open(const struct redis_place *place,
                         const struct redis_handlers *handlers, uint32_t window,
                         uint64_t timeout, struct app *app);
void redis_close(struct redis *redis); /* or NULL; answers nothing any more */

/* False when it is not ready or the window is full. lengths may be NULL: strings. */
bool redis_send(struct redis *redis, const struct redis_request *request, int argc,
                const char *const *argv, const size_t *lengths);

uint32_t redis_room(const struct redis *redis); /* 0 while it is not ready */
uint32_t redis_pending(const struct redis *redis);
bool redis_ready(const struct redis *redis);

void redis_serve(struct redis *redis, uint64_t now);
uint64_t redis_due(const struct redis *redis);
const struct redis_counts *redis_counts(const struct redis *redis);

/* Is it an error that begins with this word, or any with NULL? */
bool redis_is_error(const redisReply *reply, const char *word);
/* The text of a string reply, or NULL. */
const char *redis_text(const redisReply *reply);
