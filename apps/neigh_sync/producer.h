/* producer: the wire protocol by which SONiC's daemons hand rows to orchagent.
 *
 *   producer_scripts    have Redis learn the two scripts
 *   producer_set        a row has these fields
 *   producer_delete     a row is gone
 *   producer_clear      forget what nobody has consumed
 *   producer_key        name of a row: "Ethernet0:10.0.0.1"
 *   producer_key_parse  the reverse
 *
 * What swss-common calls a ProducerStateTable. A row T:K belongs to the consumer; what is to
 * become of it is staged in four places, by one script, so that nobody sees half of it:
 *
 *     T_KEY_SET      K is pending                 set and delete
 *     T_DEL_SET      T:K is to go first           delete (a later set leaves it there)
 *     _T:K           its new fields               set; none after a delete
 *     T_CHANNEL@0    "G": there is one more       when K was not pending before
 *
 * The consumer pops once for every message, so each newly pending key has one. State, not
 * history: it sees the latest of each key.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/neigh_sync/redis.h"

#define PRODUCER_KEY_SIZE 64 /* name:address */

struct producer {
    const char *name; /* NEIGH_TABLE */
    int database;     /* in the channel's name */
};

/* Names that the server gave to the scripts. */
struct producer_scripts {
    char set[48], del[48];
};

/* One request for each script: number 0 and 1; keep their answers by producer_learn. */
bool producer_load(struct redis *redis, const struct redis_request *request);
/* True when that was the last one needed. */
bool producer_learn(struct producer_scripts *scripts, const struct redis_request *request,
                    const redisReply *reply);

/* fields: name, value, name, value ..., NULL; four pairs at most. False when there is no room
 * for a command. */
bool producer_set(const struct producer *producer, const struct producer_scripts *scripts,
                  struct redis *redis, const struct redis_request *request,
                  const char *key, const char *const *fields);
bool producer_delete(const struct producer *producer,
                     const struct producer_scripts *scripts, struct redis *redis,
                     const struct redis_request *request, const char *key);
bool producer_clear(const struct producer *producer, struct redis *redis,
                    const struct redis_request *request);

/* address: of the family AF_INET or AF_INET6. */
void producer_key(char key[PRODUCER_KEY_SIZE], const char *ifname, uint8_t family,
                  const uint8_t *address);
/* False when it is no such key. name: INTERFACE_NAME_SIZE bytes. */
bool producer_key_parse(const char *key, char *name, uint8_t *family,
                        uint8_t address[16]);
