/* producer: the wire protocol by which SONiC's daemons hand rows to orchagent. */
#include "apps/neigh_sync/producer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/interface.h"

#define TABLE_NAME_SIZE 48
#define VALUE_SIZE      20
#define FIXED           8 /* arguments that are no row's */
#define PER_ROW         7 /* the staged row; key, number of fields, two fields and their values */

/* KEYS: channel, key set, delete set, the staged rows. ARGV: message, keys of a pop; of each row
 * its key, how many words of fields, and these; no words: delete. What cannot be done with one
 * row keeps nothing from the others, nor from being told of. */
static const char tell_script[] =
    "local pending, at, failed = 0, 3, false\n"
    "local function try(...)\n"
    "   local answer = redis.pcall(...)\n"
    "   if type(answer) ~= 'table' or not answer.err then return answer end\n"
    "   failed = failed or answer\n"
    "   return 0\n"
    "end\n"
    "for i = 4, #KEYS do\n"
    "   local key, words = ARGV[at], tonumber(ARGV[at + 1])\n"
    "   pending = pending + try('SADD', KEYS[2], key)\n"
    "   if words > 0 then\n"
    "      try('HSET', KEYS[i], unpack(ARGV, at + 2, at + 1 + words))\n"
    "   else\n"
    "      try('SADD', KEYS[3], key)\n"
    "      try('DEL', KEYS[i])\n"
    "   end\n"
    "   at = at + 2 + words\n"
    "end\n"
    "for _ = 1, pending, tonumber(ARGV[2]) do try('PUBLISH', KEYS[1], ARGV[1]) end\n"
    "return failed";

/* KEYS: key set, delete set. ARGV: pattern of staged rows. */
static const char clear_script[] =
    "redis.call('DEL', KEYS[1], KEYS[2])\n"
    "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end";

struct row {
    char staged[TABLE_NAME_SIZE + PRODUCER_KEY_SIZE];
    const char *key; /* the end of it */
    const char *names[2];
    char values[2][VALUE_SIZE];
};

struct producer {
    char table[TABLE_NAME_SIZE], channel[TABLE_NAME_SIZE + 16],
        keys[TABLE_NAME_SIZE + 16], deletes[TABLE_NAME_SIZE + 16];
    char separator;
    uint32_t count, room;
    struct row *rows;
    const char **argv;
};

struct producer *producer_new(const char *table, int database, char separator,
                              uint32_t rows)
{
    struct producer *producer = calloc(1, sizeof(*producer));
    if (!producer)
        return NULL;
    snprintf(producer->table, TABLE_NAME_SIZE, "%s", table);
    snprintf(producer->channel, sizeof(producer->channel), "%s_CHANNEL@%d",
             producer->table, database);
    snprintf(producer->keys, sizeof(producer->keys), "%s_KEY_SET", producer->table);
    snprintf(producer->deletes, sizeof(producer->deletes), "%s_DEL_SET", producer->table);
    producer->separator = separator;
    producer->room = rows;
    producer->rows = calloc(rows, sizeof(*producer->rows));
    producer->argv = calloc(FIXED + (size_t)rows * PER_ROW, sizeof(*producer->argv));
    if (producer->rows && producer->argv)
        return producer;
    producer_free(producer);
    return NULL;
}

void producer_free(struct producer *producer)
{
    if (!producer)
        return;
    free(producer->rows);
    free(producer->argv);
    free(producer);
}

/* --- scripts --------------------------------------------------------------------------------- */

bool producer_load(struct redis *redis, const struct redis_request *request)
{
    return redis_send(redis, request, 3,
                      (const char *const[]){ "SCRIPT", "LOAD", tell_script }, NULL);
}

bool producer_learn(struct producer_script *script, const redisReply *reply)
{
    const char *name = redis_text(reply);
    snprintf(script->name, sizeof(script->name), "%s", name ? name : "");
    return name;
}

bool producer_clear(const struct producer *producer, struct redis *redis,
                    const struct redis_request *request)
{
    char staged[TABLE_NAME_SIZE + 4];
    snprintf(staged, sizeof(staged), "_%s%c*", producer->table, producer->separator);
    const char *const argv[] = { "EVAL",         clear_script,      "2",
                                 producer->keys, producer->deletes, staged };
    return redis_send(redis, request, sizeof(argv) / sizeof(*argv), argv, NULL);
}

/* --- rows ------------------------------------------------------------------------------------ */

static struct row *add_row(struct producer *producer, const char *key)
{
    struct row *row = &producer->rows[producer->count++];
    int length = snprintf(row->staged, sizeof(row->staged), "_%s%c", producer->table,
                          producer->separator);
    row->key = row->staged + length;
    memccpy(row->staged + length, key, 0, PRODUCER_KEY_SIZE);
    row->names[0] = row->names[1] = NULL;
    return row;
}

void producer_set(struct producer *producer, const char *key, const char *const fields[4])
{
    struct row *row = add_row(producer, key);
    for (unsigned i = 0; i < 2 && fields[2 * i]; i++) {
        row->names[i] = fields[2 * i];
        snprintf(row->values[i], VALUE_SIZE, "%s", fields[2 * i + 1]);
    }
}

void producer_delete(struct producer *producer, const char *key)
{
    add_row(producer, key);
}

uint32_t producer_count(const struct producer *producer)
{
    return producer->count;
}

static const char **put_row(const char **at, const struct row *row)
{
    static const char *const words[] = { "0", "2", "4" };
    unsigned pairs = (row->names[0] != NULL) + (row->names[1] != NULL);
    *at++ = row->key;
    *at++ = words[pairs];
    for (unsigned i = 0; i < pairs; i++) {
        *at++ = row->names[i];
        *at++ = row->values[i];
    }
    return at;
}

bool producer_send(struct producer *producer, const struct producer_script *script,
                   struct redis *redis, const struct redis_request *request)
{
    const char **at = producer->argv;
    char keys[16], pop[16];
    snprintf(keys, sizeof(keys), "%u", 3 + producer->count);
    snprintf(pop, sizeof(pop), "%d", PRODUCER_POP);
    *at++ = "EVALSHA";
    *at++ = script->name;
    *at++ = keys;
    *at++ = producer->channel;
    *at++ = producer->keys;
    *at++ = producer->deletes;
    for (uint32_t i = 0; i < producer->count; i++)
        *at++ = producer->rows[i].staged;
    *at++ = "G";
    *at++ = pop;
    for (uint32_t i = 0; i < producer->count; i++)
        at = put_row(at, &producer->rows[i]);
    producer->count = 0;
    return redis_send(redis, request, (int)(at - producer->argv), producer->argv, NULL);
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
