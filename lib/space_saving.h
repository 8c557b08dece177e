/* space_saving: the heaviest keys of a stream, in a fixed room.
 *
 *   space_saving_new      with so many counters
 *   space_saving_update   a key and its weight
 *   space_saving_top      the heaviest keys, with what is sure about them
 *   space_saving_total    the weight of all keys
 *   space_saving_age      halves everything: the past counts for less
 *   space_saving_clear    a new window
 *   space_saving_free
 *
 * Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and top-k elements in
 * data streams", 2005. With K counters every key above 1/K of the total weight is held,
 * and of any key that is held
 *
 *     count - error <= true weight <= count,      error <= total / K
 *
 * True weight is that since the start; with ageing, each weight halved once for every call
 * since, and the bounds hold to within 1 (halves are rounded down).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "lib/siphash.h"

struct space_saving;

struct space_saving_entry {
    const void *key; /* until the next call that changes something */
    uint64_t count, error;
};

/* NULL when memory is out, or counters is 0 or above TABLE_CAPACITY_MAX - 1. All memory is
 * taken here. */
struct space_saving *space_saving_new(size_t key_size, uint32_t counters,
                                      const struct siphash_key *seed);
void space_saving_free(struct space_saving *summary);

/* O(log counters). A weight of 0 changes nothing. */
void space_saving_update(struct space_saving *summary, const void *key, uint64_t weight);

/* Writes at most n entries, heaviest first, equal ones by their keys; returns how many.
 * O(counters log counters). */
uint32_t space_saving_top(struct space_saving *summary,
                          struct space_saving_entry *entries, uint32_t n);

uint64_t space_saving_total(const struct space_saving *summary);
void space_saving_age(struct space_saving *summary);
void space_saving_clear(struct space_saving *summary);
