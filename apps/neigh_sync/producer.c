/* producer: the wire protocol by which SONiC's daemons hand rows to orchagent. */
#include "apps/neigh_sync/producer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/interface.h"

#define FIELDS_MAX 4
#define NAME_SIZE  (PRODUCER_KEY_SIZE + 64)

/* KEYS: channel, key set, the staged row once for each field. ARGV: message, key, fields. */
static const char set_script[] =
    "local pending = redis.call('SADD', KEYS[2], ARGV[2])\n"
    "for i = 3, #KEYS do redis.call('HSET', KEYS[i], ARGV[2 * i - 3], ARGV[2 * i - 2]) "
    "end\n"
    "if pending > 0 then redis.call('PUBLISH', KEYS[1], ARGV[1]) end";

/* KEYS: channel, key set, the staged row, delete set. ARGV: message, key. */
static const char delete_script[] =
    "local pending = redis.call('SADD', KEYS[2], ARGV[2])\n"
    "redis.call('SADD', KEYS[4], ARGV[2])\n"
    "redis.call('DEL', KEYS[3])\n"
    "if pending > 0 then redis.call('PUBLISH', KEYS[1], ARGV[1]) end";

/* KEYS: key set, delete set. ARGV: pattern of staged rows. */
static const char clear_script[] =
    "redis.call('DEL', KEYS[1], KEYS[2])\n"
    "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end";

/* --- scripts --------------------------------------------------------------------------------- */

bool producer_load(struct redis *redis, const struct redis_request *request)
{
    const char *const scripts[] = { set_script, delete_script };
    struct redis_request one = *request;
    for (one.number = 0; one.number < 2; one.number++)
        if (!redis_send(redis, &one, 3,
                        (const char *const[]){ "SCRIPT", "LOAD", scripts[one.number] },
                        NULL))
            return false;
    return true;
}

bool producer_learn(struct producer_scripts *scripts, const struct redis_request *request,
                    const redisReply *reply)
{
    char *into = request->number ? scripts->del : scripts->set;
    const char *name = redis_text(reply);
    snprintf(into, sizeof(scripts->set), "%s", name ? name : "");
    return request->number && *scripts->set && *scripts->del;
}

/* --- commands -------------------------------------------------------------------------------- */

struct names {
    char channel[NAME_SIZE], keys[NAME_SIZE], deletes[NAME_SIZE], staged[2 * NAME_SIZE];
};

static void name(struct names *names, const struct producer *producer, const char *key)
{
    snprintf(names->channel, NAME_SIZE, "%s_CHANNEL@%d", producer->name,
             producer->database);
    snprintf(names->keys, NAME_SIZE, "%s_KEY_SET", producer->name);
    snprintf(names->deletes, NAME_SIZE, "%s_DEL_SET", producer->name);
    snprintf(names->staged, sizeof(names->staged), "_%s:%s", producer->name, key);
}

bool producer_set(const struct producer *producer, const struct producer_scripts *scripts,
                  struct redis *redis, const struct redis_request *request,
                  const char *key, const char *const *fields)
{
    const char *argv[7 + 3 * FIELDS_MAX] = { "EVALSHA", scripts->set };
    struct names names;
    char count[4];
    int pairs = 0, n = 3;
    while (pairs < FIELDS_MAX && fields[2 * pairs])
        pairs++;
    name(&names, producer, key);
    snprintf(count, sizeof(count), "%d", 2 + pairs);
    argv[2] = count;
    argv[n++] = names.channel;
    argv[n++] = names.keys;
    for (int i = 0; i < pairs; i++)
        argv[n++] = names.staged;
    argv[n++] = "G";
    argv[n++] = key;
    for (int i = 0; i < 2 * pairs; i++)
        argv[n++] = fields[i];
    return redis_send(redis, request, n, argv, NULL);
}

bool producer_delete(const struct producer *producer,
                     const struct producer_scripts *scripts, struct redis *redis,
                     const struct redis_request *request, const char *key)
{
    struct names names;
    name(&names, producer, key);
    const char *const argv[] = { "EVALSHA",  scripts->del, "4",           names.channel,
                                 names.keys, names.staged, names.deletes, "G",
                                 key,        "''",         "''" };
    return redis_send(redis, request, sizeof(argv) / sizeof(*argv), argv, NULL);
}

bool producer_clear(const struct producer *producer, struct redis *redis,
                    const struct redis_request *request)
{
    struct names names;
    name(&names, producer, "*");
    const char *const argv[] = { "EVAL",     clear_script,  "2",
                                 names.keys, names.deletes, names.staged };
    return redis_send(redis, request, sizeof(argv) / sizeof(*argv), argv, NULL);
}

/* --- keys ------------------------------------------------------------------------------------ */

void producer_key(char key[PRODUCER_KEY_SIZE], const char *ifname, uint8_t family,
                  const uint8_t *address)
{
    size_t length = strnlen(ifname, INTERFACE_NAME_SIZE - 1);
    memcpy(key, ifname, length);
    key[length++] = ':';
    if (family == AF_INET) { /* as inet_ntop writes it, in a tenth of the time */
        char *at = key + length;
        for (unsigned i = 0; i < 4; i++) {
            unsigned byte = address[i];
            if (byte >= 100)
                *at++ = (char)('0' + byte / 100);
            if (byte >= 10)
                *at++ = (char)('0' + byte / 10 % 10);
            *at++ = (char)('0' + byte % 10);
            *at++ = i < 3 ? '.' : 0;
        }
    } else {
        inet_ntop(AF_INET6, address, key + length, PRODUCER_KEY_SIZE - (socklen_t)length);
    }
}

bool producer_key_parse(const char *key, char *ifname, uint8_t *family,
                        uint8_t address[16])
{
    const char *colon = strchr(key, ':');
    if (!colon || colon == key || colon - key >= INTERFACE_NAME_SIZE)
        return false;
    memset(ifname, 0, INTERFACE_NAME_SIZE);
    memcpy(ifname, key, (size_t)(colon - key));
    memset(address, 0, 16);
    *family = inet_pton(AF_INET, colon + 1, address) == 1    ? AF_INET
              : inet_pton(AF_INET6, colon + 1, address) == 1 ? AF_INET6
                                                             : 0;
    return *family;
}
