/* tally: a number for each of many keys, in bounded memory. */
#include "lib/tally.h"

#include <stdlib.h>

bool tally_init(struct tally *tally, uint64_t keys)
{
    *tally = (struct tally){ .sets = 1 };
    while (tally->sets * TALLY_WAYS < keys)
        tally->sets *= 2;
    tally->entries = calloc(tally->sets * TALLY_WAYS, sizeof(*tally->entries));
    return tally->entries;
}

void tally_free(struct tally *tally)
{
    free(tally->entries);
    *tally = (struct tally){ 0 };
}

static struct tally_entry *set_of(const struct tally *tally, uint64_t key)
{
    uint64_t spread = key * 0x9e3779b97f4a7c15;
    return &tally->entries[(spread >> 32 & (tally->sets - 1)) * TALLY_WAYS];
}

/* The clock wraps after 2^32 calls: ages are differences. */
static uint32_t tick(struct tally *tally)
{
    if (!++tally->now)
        tally->now = 1;
    return tally->now;
}

uint32_t *tally_find(struct tally *tally, uint64_t key)
{
    struct tally_entry *set = set_of(tally, key);
    for (int i = 0; i < TALLY_WAYS; i++)
        if (set[i].used && set[i].key == key) {
            set[i].used = tick(tally);
            return &set[i].number;
        }
    return NULL;
}

uint32_t *tally_at(struct tally *tally, uint64_t key)
{
    uint32_t *found = tally_find(tally, key);
    if (found)
        return found;
    struct tally_entry *set = set_of(tally, key), *oldest = set;
    for (int i = 0; i < TALLY_WAYS && oldest->used; i++)
        if (!set[i].used || tally->now - set[i].used > tally->now - oldest->used)
            oldest = &set[i];
    *oldest = (struct tally_entry){ .key = key, .used = tick(tally) };
    return &oldest->number;
}
