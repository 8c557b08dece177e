/* shared_table: this process's side of a hash table that BPF programs use at the same time.
 *
 *   shared_table_new      one in memory of this process only
 *   shared_table_open     one in mapped BPF arrays
 *   shared_buckets        how many buckets a number of slots needs
 *   shared_table_find     the value of a key
 *   shared_table_put      a key and its value, in place of what was there
 *   shared_table_remove   a key and its value
 *   shared_table_next     every value in turn
 *   shared_table_near     values that compete with a key for room
 *   shared_table_key      the key of a value
 *   shared_table_free
 *   shared_prefetch, shared_prefetch_slot    what will be asked for
 *
 * What it is, and what holds while others write: lib/shared_table.bpf.h. Keys are an even number of
 * 32-bit words, values a multiple of 8 bytes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARED_BUCKET(view, number) ((__u32 *)(view).buckets + (size_t)(number)*16)
#define SHARED_SLOT(view, number)                                                        \
    ((number) < (view).capacity                                                          \
         ? (__u32 *)((uint8_t *)(view).slots + (size_t)(number) * (view).stride)         \
         : NULL)
#include "lib/shared_table.bpf.h"

/* A slot is a key and a value. All arrays are zeros at first. */
#define SHARED_BUCKET_SIZE (SHARED_WORDS * sizeof(uint32_t))

struct shared_table {
    struct shared_view view;
    struct shared_head own;
    void *memory; /* of shared_table_new, and its size */
    size_t size;
};

/* A power of two; slots: 1..SHARED_CAPACITY. */
uint32_t shared_buckets(uint32_t slots);

/* NULL when memory is out. */
struct shared_table *shared_table_new(uint32_t key_words, size_t value_size,
                                      uint32_t slots, uint64_t seed);

/* Nothing of it is this table's: the memory stays the caller's. */
struct shared_table *shared_table_open(struct shared_head *head, void *buckets,
                                       uint32_t nbuckets, void *slots, uint32_t nslots,
                                       uint32_t key_words, size_t value_size);
void shared_table_free(struct shared_table *table);

/* NULL when it is not there. */
void *shared_table_find(const struct shared_table *table, const void *key);

/* For who looks up many keys at once, of a size that the compiler knows: all hashes first, then all
 * slots, then shared_find_hashed, and memory comes meanwhile. */
static inline uint64_t shared_prefetch(struct shared_view view, const uint32_t *key)
{
    uint64_t hash = shared_hash(key, view.words, view.head->seed);
    __builtin_prefetch(SHARED_BUCKET(view, (uint32_t)hash & view.mask));
    return hash;
}

static inline void shared_prefetch_slot(struct shared_view view, uint64_t hash)
{
    const uint32_t *bucket = SHARED_BUCKET(view, (uint32_t)hash & view.mask);
    uint32_t tag = shared_tag(hash);
    for (int i = 0; i < SHARED_WORDS; i++) {
        if ((bucket[i] ^ tag) >> 24)
            continue;
        const uint32_t *slot = shared_slot_of(view, bucket[i]);
        for (uint32_t at = 0; slot && at < view.stride / 4; at += 16)
            __builtin_prefetch(slot + at);
        return;
    }
}

/* Whoever reads at the same time finds the old value or the new one; but where no slot is free,
 * maybe some of each. -ENOSPC: no room. */
int shared_table_put(struct shared_table *table, const void *key, const void *value);

/* False when it was not there. */
bool shared_table_remove(struct shared_table *table, const void *key);

/* The value at or behind *at, which is 0 at first, and *at behind it; NULL at the end. Entries may
 * be put and removed meanwhile; those may be met or not. */
void *shared_table_next(const struct shared_table *table, uint64_t *at);

/* A value in the bucket of the key, or NULL; number: 0..SHARED_WORDS - 1, and above in the buckets
 * behind it. */
void *shared_table_near(const struct shared_table *table, const void *key,
                        uint32_t number);

static inline const void *shared_table_key(const struct shared_table *table,
                                           const void *value)
{
    return (const uint32_t *)value - table->view.words;
}
