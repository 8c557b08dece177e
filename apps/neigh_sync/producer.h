/* producer: the wire protocol by which SONiC's daemons hand rows to orchagent.
 *
 *   producer_new, producer_free
 *   producer_set        a row has these fields
 *   producer_delete     a row is gone
 *   producer_send       tell Redis of those, in one step
 *   producer_load, producer_learn     have Redis know the script
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
 *     T_CHANNEL@0    "G": there is more           when K was not pending before
 *
 * The consumer pops once for each message, PRODUCER_POP keys at least, so as many messages go
 * as pops are needed for the keys that were not pending: one for a single row, as there. State,
 * not history: it sees the latest of each key.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/neigh_sync/redis.h"

#define PRODUCER_KEY_SIZE 64 /* name:address */
#define PRODUCER_POP      128
#define PRODUCER_FIELDS   2

struct producer;

/* fields: names, those of every row; NULL: no more. */
struct producer_table {
    const char *name, *fields[PRODUCER_FIELDS];
};

/* Redis' name for the script. */
struct producer_script {
    char name[48];
};

/* table: stays; database: in the channel's name; separator: between table and key, ":";
 * rows: between two producer_send, at most. NULL: out of memory. */
struct producer *producer_new(const struct producer_table *table, int database,
                              char separator, uint32_t rows);
void producer_free(struct producer *producer); /* or NULL */

bool producer_load(struct redis *redis, const struct redis_request *request);
/* From the answer to that; false when it is none. */
bool producer_learn(struct producer_script *script, const redisReply *reply);

/* values: of the fields; copied. A key is set or deleted once between two producer_send. */
void producer_set(struct producer *producer, const char *key, const char *const *values);
void producer_delete(struct producer *producer, const char *key);

/* False when there was no room for the command; the rows are forgotten in any case. */
bool producer_send(struct producer *producer, const struct producer_script *script,
                   struct redis *redis, const struct redis_request *request);

bool producer_clear(const struct producer *producer, struct redis *redis,
                    const struct redis_request *request);

/* address: of the family AF_INET or AF_INET6. */
void producer_key(char key[PRODUCER_KEY_SIZE], const char *ifname, uint8_t family,
                  const uint8_t *address);
/* False when it is no such key. name: INTERFACE_NAME_SIZE bytes. */
bool producer_key_parse(const char *key, char *name, uint8_t *family,
                        uint8_t address[16]);
