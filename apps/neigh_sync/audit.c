/* audit: rows of ours that Redis has and should not have. */
#include "apps/neigh_sync/audit.h"

#include <stdio.h>
#include <string.h>

#include "apps/neigh_sync/producer.h"

static void take(const struct redis_request *request, const redisReply *reply,
                 size_t skip)
{
    struct writer *writer = request->user;
    char name[INTERFACE_NAME_SIZE];
    uint8_t address[16], family;
    bool list = reply && reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; list && i < reply->elements; i++) {
        const char *key = redis_text(reply->element[i]);
        if (key && strlen(key) > skip &&
            producer_key_parse(key + skip, name, &family, address))
            mirror_found(writer->mirror, (unsigned)request->number, name, family, address,
                         writer->now);
    }
}

static void take_pending(const struct redis_request *request, const redisReply *reply)
{
    take(request, reply, 0);
}

static void take_rows(const struct redis_request *request, const redisReply *reply)
{
    take(request, reply, strlen(writer_tables[request->number].name) + 1);
}

/* What is pending first: it becomes rows, and not the other way round. */
void audit_ask(struct writer *writer)
{
    char name[64];
    for (unsigned side = 0; side < MIRROR_SIDES; side++) {
        struct redis_request request = { .user = writer, .number = side };
        request.answer = take_pending;
        snprintf(name, sizeof(name), "%s_KEY_SET", writer_tables[side].name);
        redis_send(writer->redis, &request, 2, (const char *const[]){ "SMEMBERS", name },
                   NULL);
        request.answer = take_rows;
        snprintf(name, sizeof(name), "%s%c*", writer_tables[side].name,
                 writer->separator);
        redis_send(writer->redis, &request, 2, (const char *const[]){ "KEYS", name },
                   NULL);
    }
}
