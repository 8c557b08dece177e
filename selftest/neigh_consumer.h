/* neigh_consumer: pops NEIGH_TABLE as orchagent does, independently of what writes it.
 *
 *   consumer_open    as a ConsumerStateTable starts: what is pending counts
 *   consumer_step    take what was published, pop as often
 *   consumer_close
 *
 * One pop for each message, of so many keys at most. SPOP takes them in random order; a key in
 * the delete set loses its row first; no staged fields means that it was deleted.
 */
#pragma once
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct consumer {
    redisContext *pops, *hears;
    const char *table;
    char script[48]; /* Redis' name for it */
    unsigned batch;
    unsigned long pending, published;
    unsigned long sets, deletes;
    /* Of every key that was popped: how, and how often. */
    void (*popped)(void *user, const char *key, const char *neigh, const char *family);
    void *user;
};

static inline void consumer_require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "consumer: %s\n", what);
    abort();
}

static const char consumer_script[] =
    "local popped, keys = {}, redis.call('SPOP', KEYS[1], ARGV[1])\n"
    "for _, key in ipairs(keys) do\n"
    "   local row = KEYS[2] .. key\n"
    "   local staged = ARGV[2] .. row\n"
    "   if redis.call('SREM', KEYS[3], key) == 1 then redis.call('DEL', row) end\n"
    "   local fields = redis.call('HGETALL', staged)\n"
    "   for i = 1, #fields, 2 do redis.call('HSET', row, fields[i], fields[i + 1]) end\n"
    "   redis.call('DEL', staged)\n"
    "   popped[#popped + 1] = { key, fields }\n"
    "end\n"
    "return popped";

static inline redisReply *consumer_ask(redisContext *context, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(context, format, args);
    va_end(args);
    consumer_require(reply, context->errstr);
    return reply;
}

static inline redisContext *consumer_connect(const char *path)
{
    redisContext *context = redisConnectUnix(path);
    consumer_require(context && !context->err, "no Redis");
    return context;
}

static inline void consumer_learn(struct consumer *consumer)
{
    redisReply *reply = consumer_ask(consumer->pops, "SCRIPT LOAD %s", consumer_script);
    snprintf(consumer->script, sizeof(consumer->script), "%s", reply->str);
    freeReplyObject(reply);
}

static inline void consumer_open(struct consumer *consumer, const char *path,
                                 const char *table, unsigned batch)
{
    *consumer = (struct consumer){ .pops = consumer_connect(path),
                                   .hears = consumer_connect(path),
                                   .table = table,
                                   .batch = batch };
    redisReply *reply = NULL;
    bool counted = false;
    consumer_learn(consumer);
    freeReplyObject(consumer_ask(consumer->hears, "SUBSCRIBE %s_CHANNEL@0", table));
    while (!counted) { /* until nothing came in between */
        freeReplyObject(consumer_ask(consumer->pops, "WATCH %s_KEY_SET", table));
        freeReplyObject(consumer_ask(consumer->pops, "MULTI"));
        freeReplyObject(consumer_ask(consumer->pops, "SCARD %s_KEY_SET", table));
        reply = consumer_ask(consumer->pops, "EXEC");
        counted = reply->elements == 1;
        consumer->pending = counted ? (unsigned long)reply->element[0]->integer : 0;
        freeReplyObject(reply);
    }
}

static inline void consumer_close(struct consumer *consumer)
{
    redisFree(consumer->pops);
    redisFree(consumer->hears);
}

static inline const char *consumer_field(const redisReply *fields, const char *name)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (!strcmp(fields->element[i]->str, name))
            return fields->element[i + 1]->str;
    return NULL;
}

/* Returns how many keys it got. */
static inline size_t consumer_pop(struct consumer *consumer)
{
    redisReply *reply = consumer_ask(
        consumer->pops, "EVALSHA %s 3 %s_KEY_SET %s: %s_DEL_SET %u _", consumer->script,
        consumer->table, consumer->table, consumer->table, consumer->batch);
    if (reply->type == REDIS_REPLY_ERROR && !strncmp(reply->str, "NOSCRIPT", 8)) {
        freeReplyObject(reply);
        consumer_learn(consumer);
        return consumer_pop(consumer);
    }
    consumer_require(reply->type == REDIS_REPLY_ARRAY, reply->str);
    size_t count = reply->elements;
    for (size_t i = 0; i < count; i++) {
        const char *key = reply->element[i]->element[0]->str;
        const redisReply *fields = reply->element[i]->element[1];
        bool set = fields->elements;
        consumer->sets += set;
        consumer->deletes += !set;
        if (consumer->popped)
            consumer->popped(consumer->user, key,
                             set ? consumer_field(fields, "neigh") : NULL,
                             set ? consumer_field(fields, "family") : NULL);
    }
    freeReplyObject(reply);
    return count;
}

/* Waits so many milliseconds for a message. Returns how many keys it got. */
static inline size_t consumer_step(struct consumer *consumer, int timeout)
{
    struct pollfd fd = { .fd = consumer->hears->fd, .events = POLLIN };
    void *reply = NULL;
    size_t count = 0;
    if (!consumer->pending && poll(&fd, 1, timeout) > 0)
        consumer_require(redisBufferRead(consumer->hears) == REDIS_OK, "gone");
    while (redisGetReplyFromReader(consumer->hears, &reply) == REDIS_OK && reply) {
        consumer->pending++;
        consumer->published++;
        freeReplyObject(reply);
    }
    for (; consumer->pending; consumer->pending--)
        count += consumer_pop(consumer);
    return count;
}
