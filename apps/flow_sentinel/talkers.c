/* talkers: who sends most, to whom, to which ports, in which flows. */
#include "apps/flow_sentinel/talkers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/space_saving.h"

struct talkers {
    struct space_saving *top[TALKER_DIMENSIONS][TALKER_MEASURES];
};

struct talkers *talkers_new(const struct siphash_key *seed)
{
    struct talkers *talkers = calloc(1, sizeof(*talkers));
    if (!talkers)
        return NULL;
    for (int d = 0; d < TALKER_DIMENSIONS; d++)
        for (int m = 0; m < TALKER_MEASURES; m++) {
            talkers->top[d][m] =
                space_saving_new(sizeof(struct talker_key), TALKERS, seed);
            if (!talkers->top[d][m]) {
                talkers_free(talkers);
                return NULL;
            }
        }
    return talkers;
}

void talkers_free(struct talkers *talkers)
{
    if (!talkers)
        return;
    for (int d = 0; d < TALKER_DIMENSIONS; d++)
        for (int m = 0; m < TALKER_MEASURES; m++)
            space_saving_free(talkers->top[d][m]);
    free(talkers);
}

static struct talker_key key_of(const struct sentinel_frame *frame,
                                enum talker_dimension dimension)
{
    struct talker_key key = { .dropped = frame->verdict == VERDICT_DROP };
    if (dimension == TALKER_SOURCE || dimension == TALKER_FLOW)
        memcpy(key.src, frame->src, sizeof(key.src));
    if (dimension == TALKER_DESTINATION || dimension == TALKER_FLOW)
        memcpy(key.dst, frame->dst, sizeof(key.dst));
    if (dimension == TALKER_PORT || dimension == TALKER_FLOW) {
        key.protocol = frame->protocol;
        key.dport = frame->dport;
    }
    if (dimension == TALKER_FLOW)
        key.sport = frame->sport;
    return key;
}

void talkers_add(struct talkers *talkers, const struct sentinel_frame *frame,
                 uint32_t rate)
{
    if (!frame->family)
        return;
    for (int d = 0; d < TALKER_DIMENSIONS; d++) {
        struct talker_key key = key_of(frame, (enum talker_dimension)d);
        space_saving_update(talkers->top[d][TALKER_BYTES], &key,
                            (uint64_t)frame->bytes * rate);
        space_saving_update(talkers->top[d][TALKER_PACKETS], &key,
                            (uint64_t)frame->packets * rate);
    }
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct talker_key));
}

static int by_count(const void *a, const void *b)
{
    const struct talker *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return by_key(a, b);
}

/* What passed and what was dropped of the same key becomes one row. Returns how many are left. */
static uint32_t merge(struct talker *rows, uint32_t count)
{
    uint32_t kept = 0;
    qsort(rows, count, sizeof(*rows), by_key);
    for (uint32_t i = 0; i < count; i++) {
        if (kept && !by_key(&rows[kept - 1], &rows[i])) {
            rows[kept - 1].count += rows[i].count;
            rows[kept - 1].error += rows[i].error;
        } else
            rows[kept++] = rows[i];
    }
    return kept;
}

uint32_t talkers_top(struct talkers *talkers, enum talker_dimension dimension,
                     enum talker_measure measure, enum talker_part part,
                     struct talker *rows, uint32_t n)
{
    struct space_saving_entry entries[TALKERS];
    struct talker found[TALKERS];
    uint32_t count = 0,
             all = space_saving_top(talkers->top[dimension][measure], entries, TALKERS);
    for (uint32_t i = 0; i < all; i++) {
        const struct talker_key *key = entries[i].key;
        if (part != TALKER_ALL && key->dropped != (part == TALKER_DROPPED))
            continue;
        found[count] = (struct talker){ *key, entries[i].count, entries[i].error };
        found[count++].key.dropped = 0;
    }
    count = merge(found, count);
    qsort(found, count, sizeof(*found), by_count);
    n = n < count ? n : count;
    memcpy(rows, found, n * sizeof(*rows));
    return n;
}
