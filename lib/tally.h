/* tally: a number for each of many keys, in bounded memory.
 *
 *   tally_init, tally_free
 *   tally_find           the number of a key, NULL when it is not known
 *   tally_at             the same, made as 0 when it is not
 *
 * 64-bit keys are hashes already: two that are the same are the same thing. Eight keys share
 * a set; where a set is full the one unused for longest is forgotten. What is remembered
 * depends on the sequence of calls alone.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define TALLY_WAYS 8

struct tally_entry {
    uint64_t key;
    uint32_t number;
    uint32_t used; /* when, in calls; 0: never */
};

struct tally {
    struct tally_entry *entries;
    uint64_t sets; /* a power of two */
    uint32_t now;
};

/* At least so many keys (16 bytes each). False when memory is out. */
bool tally_init(struct tally *tally, uint64_t keys);
void tally_free(struct tally *tally);

uint32_t *tally_find(struct tally *tally, uint64_t key);
uint32_t *tally_at(struct tally *tally, uint64_t key);
