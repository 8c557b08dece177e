/* producer: the wire protocol by which SONiC's daemons hand rows to orchagent. */
#include "apps/neigh_sync/producer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/interface.h"

#define NAME_SIZE  64
#define VALUE_SIZE 20
#define FIXED      12                        /* arguments that are no row's */
#define PER_ROW    (1 + 2 * PRODUCER_FIELDS) /* key, names and values */

/* KEYS: channel, key set, delete set. ARGV: message, keys of a pop, what is in front of the name of a
 * staged row, how many rows are set, how many are deleted, how many words a row that is set has;
 * the keys of those, of these, and the words. What cannot be done with one row keeps nothing from the others,
 * nor from being told of. */
static const char tell_script[] =
    "local staged, sets, deletes, words = ARGV[3], ARGV[4], ARGV[5], ARGV[6]\n"
    "local failed = false\n"
    "local function answered(answer)\n"
    "   if type(answer) ~= 'table' then return answer end\n"
    "   failed = failed or answer\n"
    "   return 0\n"
    "end\n"
    "local last = 6 + sets + deletes\n"
    "local pending = answered(redis.pcall('SADD', KEYS[2], unpack(ARGV, 7, last)))\n"
    "local at = last + 1\n"
    "for i = 7, 6 + sets do\n"
    "   answered(redis.pcall('HSET', staged .. ARGV[i], unpack(ARGV, at, at + words - 1)))\n"
    "   at = at + words\n"
    "end\n"
    "if last > 6 + sets then\n"
    "   answered(redis.pcall('SADD', KEYS[3], unpack(ARGV, 7 + sets, last)))\n"
    "end\n"
    "for i = 7 + sets, last do answered(redis.pcall('DEL', staged .. ARGV[i])) end\n"
    "for _ = 1, pending, ARGV[2] do answered(redis.pcall('PUBLISH', KEYS[1], ARGV[1])) end\n"
    "return failed";

/* KEYS: key set, delete set. ARGV: pattern of staged rows. */
static const char clear_script[] =
    "redis.call('DEL', KEYS[1], KEYS[2])\n"
    "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end";

struct row {
    char key[PRODUCER_KEY_SIZE];
    bool set;
    char values[PRODUCER_FIELDS][VALUE_SIZE];
};

struct producer {
    const struct producer_table *table;
    char channel[NAME_SIZE], keys[NAME_SIZE], deletes[NAME_SIZE], staged[NAME_SIZE];
    unsigned fields;
    uint32_t count, sets;
    struct row *rows;
    const char **argv;
};

struct producer *producer_new(const struct producer_table *table, int database,
                              char separator, uint32_t rows)
{
    struct producer *producer = calloc(1, sizeof(*producer));
    if (!producer)
        return NULL;
    producer->table = table;
    snprintf(producer->channel, NAME_SIZE, "%s_CHANNEL@%d", table->name, database);
    snprintf(producer->keys, NAME_SIZE, "%s_KEY_SET", table->name);
    snprintf(producer->deletes, NAME_SIZE, "%s_DEL_SET", table->name);
    snprintf(producer->staged, NAME_SIZE, "_%s%c", table->name, separator);
    while (producer->fields < PRODUCER_FIELDS && table->fields[producer->fields])
        producer->fields++;
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
    char staged[NAME_SIZE + 1];
    snprintf(staged, sizeof(staged), "%s*", producer->staged);
    const char *const argv[] = { "EVAL",         clear_script,      "2",
                                 producer->keys, producer->deletes, staged };
    return redis_send(redis, request, sizeof(argv) / sizeof(*argv), argv, NULL);
}

/* --- rows ------------------------------------------------------------------------------------ */

static struct row *add_row(struct producer *producer, const char *key, bool set)
{
    struct row *row = &producer->rows[producer->count++];
    memccpy(row->key, key, 0, sizeof(row->key));
    row->set = set;
    producer->sets += set;
    return row;
}

void producer_set(struct producer *producer, const char *key, const char *const *values)
{
    struct row *row = add_row(producer, key, true);
    for (unsigned i = 0; i < producer->fields; i++)
        snprintf(row->values[i], VALUE_SIZE, "%s", values[i]);
}

void producer_delete(struct producer *producer, const char *key)
{
    add_row(producer, key, false);
}

static const char **put_keys(const char **at, const struct producer *producer, bool set)
{
    for (uint32_t i = 0; i < producer->count; i++)
        if (producer->rows[i].set == set)
            *at++ = producer->rows[i].key;
    return at;
}

static const char **put_words(const char **at, const struct producer *producer)
{
    for (uint32_t i = 0; i < producer->count; i++)
        for (unsigned n = 0; producer->rows[i].set && n < producer->fields; n++) {
            *at++ = producer->table->fields[n];
            *at++ = producer->rows[i].values[n];
        }
    return at;
}

bool producer_send(struct producer *producer, const struct producer_script *script,
                   struct redis *redis, const struct redis_request *request)
{
    const char **at = producer->argv;
    char pop[16], sets[16], deletes[16], words[16];
    snprintf(pop, sizeof(pop), "%d", PRODUCER_POP);
    snprintf(sets, sizeof(sets), "%u", producer->sets);
    snprintf(deletes, sizeof(deletes), "%u", producer->count - producer->sets);
    snprintf(words, sizeof(words), "%u", 2 * producer->fields);
    const char *const fixed[FIXED] = {
        "EVALSHA",         script->name, "3", producer->channel, producer->keys,
        producer->deletes, "G",          pop, producer->staged,  sets,
        deletes,           words
    };
    memcpy(at, fixed, sizeof(fixed));
    at = put_keys(at + FIXED, producer, true);
    at = put_keys(at, producer, false);
    at = put_words(at, producer);
    producer->count = producer->sets = 0;
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
