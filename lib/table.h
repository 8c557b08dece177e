/* table: from keys to values of fixed sizes, with room for so many and no more.
 *
 *   table_new       all the memory that it will ever have
 *   table_find      the value of a key
 *   table_insert    a key's value, made if it is not there
 *   table_remove    a key and its value
 *   table_next      every value in turn
 *   table_key       the key of a value
 *   table_count     how many there are
 *   table_evicted   how many had to make way
 *   table_clear     none any more
 *   table_free
 *
 * For flows, blocks and sessions, whose keys an attacker picks: the hash is keyed, and no
 * call looks at more than TABLE_PROBES entries. A value stays where it is until its entry
 * goes. Keys and values are aligned to 8 bytes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/siphash.h"

/* With a secret seed no bucket of a full table ever gets so long: the chance is below
 * 1e-28. Only for who knows the seed a table is full sooner. */
#define TABLE_PROBES 32

#define TABLE_CAPACITY_MAX (1u << 30)

/* What a full table does with a new key. */
enum table_policy {
    TABLE_REFUSE, /* it does not take it */
    TABLE_LRU,    /* the entry goes that was found or inserted the longest time ago */
};

struct table;

/* capacity: 1..TABLE_CAPACITY_MAX entries. NULL when it is out of that, or memory is out.
 * The pages are touched now, not under load. */
struct table *table_new(size_t key_size, size_t value_size, uint32_t capacity,
                        const struct siphash_key *seed, enum table_policy policy);
void table_free(struct table *table);

/* NULL when the key is not there. With TABLE_LRU a use of the entry. */
void *table_find(struct table *table, const void *key);

/* The value of the key: as it was when the key was there, zeros when it is new. NULL when
 * there is no room. With TABLE_LRU there is, and a use of the entry. */
void *table_insert(struct table *table, const void *key);

/* False when the key was not there. */
bool table_remove(struct table *table, const void *key);

/* The value behind this one, the first one behind NULL; NULL at the end. Not a use. Entries
 * may be removed meanwhile, that of this value as well; one that is inserted meanwhile may
 * be met or not. The order is no order. */
void *table_next(const struct table *table, const void *value);

const void *table_key(const struct table *table, const void *value);
uint32_t table_count(const struct table *table);

/* Entries that TABLE_LRU took out for others, since table_new. */
uint64_t table_evicted(const struct table *table);

void table_clear(struct table *table);
