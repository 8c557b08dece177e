/* space_saving: the heaviest keys of a stream, in a fixed room.
 *
 * The counters are the values of a table. A heap of pointers to them has the lightest on
 * top: a new key takes its place and inherits its count, as it may have been there before.
 */
#include "lib/space_saving.h"

#include <stdlib.h>

#include "lib/table.h"

struct counter {
    uint64_t count, error;
    uint32_t place; /* in the heap */
};

struct space_saving {
    size_t key_size;
    uint32_t counters, held;
    uint64_t total;
    struct table *table;
    struct counter **heap;   /* held of them; no parent is heavier than its children */
    struct counter **sorted; /* room for space_saving_top */
};

/* --- the heap ------------------------------------------------------------------------ */

static void put(struct space_saving *summary, uint32_t place, struct counter *counter)
{
    summary->heap[place] = counter;
    counter->place = place;
}

static void sink(struct space_saving *summary, struct counter *counter)
{
    uint32_t place = counter->place;
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child + 1 < summary->held &&
            summary->heap[child + 1]->count < summary->heap[child]->count)
            child++;
        if (child >= summary->held || counter->count <= summary->heap[child]->count)
            break;
        put(summary, place, summary->heap[child]);
        place = child;
    }
    put(summary, place, counter);
}

static void rise(struct space_saving *summary, struct counter *counter)
{
    uint32_t place = counter->place;
    for (; place; place = (place - 1) / 2) {
        struct counter *parent = summary->heap[(place - 1) / 2];
        if (parent->count <= counter->count)
            break;
        put(summary, place, parent);
    }
    put(summary, place, counter);
}

static void remove_lightest(struct space_saving *summary)
{
    struct counter *lightest = summary->heap[0], *last = summary->heap[--summary->held];
    if (last != lightest) {
        last->place = 0;
        sink(summary, last);
    }
    table_remove(summary->table, table_key(summary->table, lightest));
}

/* --- the summary --------------------------------------------------------------------- */

struct space_saving *space_saving_new(size_t key_size, uint32_t counters,
                                      const struct siphash_key *seed)
{
    struct space_saving *summary = calloc(1, sizeof(*summary));
    if (!summary || !counters || counters >= TABLE_CAPACITY_MAX) {
        free(summary);
        return NULL;
    }
    summary->key_size = key_size;
    summary->counters = counters;
    /* One more: a new key comes before the lightest goes. */
    summary->table =
        table_new(key_size, sizeof(struct counter), counters + 1, seed, TABLE_REFUSE);
    summary->heap = calloc(counters, sizeof(*summary->heap));
    summary->sorted = calloc(counters, sizeof(*summary->sorted));
    if (!summary->table || !summary->heap || !summary->sorted) {
        space_saving_free(summary);
        return NULL;
    }
    return summary;
}

void space_saving_free(struct space_saving *summary)
{
    if (!summary)
        return;
    table_free(summary->table);
    free(summary->heap);
    free(summary->sorted);
    free(summary);
}

static void add_counter(struct space_saving *summary, const void *key, uint64_t weight)
{
    struct counter *counter = table_insert(summary->table, key);
    if (!counter)
        return; /* only against who knows the seed: see TABLE_PROBES */
    if (summary->held == summary->counters) {
        counter->error = summary->heap[0]->count;
        remove_lightest(summary);
    }
    counter->count = counter->error + weight;
    counter->place = summary->held++;
    rise(summary, counter);
}

void space_saving_update(struct space_saving *summary, const void *key, uint64_t weight)
{
    if (!weight)
        return;
    summary->total += weight;
    struct counter *counter = table_find(summary->table, key);
    if (!counter) {
        add_counter(summary, key, weight);
        return;
    }
    counter->count += weight;
    sink(summary, counter);
}

static int heavier_first(const void *a, const void *b, void *arg)
{
    const struct space_saving *summary = arg;
    const struct counter *const *left = a, *const *right = b;
    if ((*left)->count != (*right)->count)
        return (*left)->count < (*right)->count ? 1 : -1;
    return memcmp(table_key(summary->table, *left), table_key(summary->table, *right),
                  summary->key_size);
}

uint32_t space_saving_top(struct space_saving *summary,
                          struct space_saving_entry *entries, uint32_t n)
{
    memcpy(summary->sorted, summary->heap, summary->held * sizeof(*summary->heap));
    qsort_r(summary->sorted, summary->held, sizeof(*summary->sorted), heavier_first,
            summary);
    if (n > summary->held)
        n = summary->held;
    for (uint32_t i = 0; i < n; i++)
        entries[i] =
            (struct space_saving_entry){ table_key(summary->table, summary->sorted[i]),
                                         summary->sorted[i]->count,
                                         summary->sorted[i]->error };
    return n;
}

uint64_t space_saving_total(const struct space_saving *summary)
{
    return summary->total;
}

/* Halving keeps the order of the heap. What counts for nothing makes room. */
void space_saving_age(struct space_saving *summary)
{
    summary->total /= 2;
    for (uint32_t i = 0; i < summary->held; i++) {
        summary->heap[i]->count /= 2;
        summary->heap[i]->error /= 2;
    }
    while (summary->held && !summary->heap[0]->count)
        remove_lightest(summary);
}

void space_saving_clear(struct space_saving *summary)
{
    table_clear(summary->table);
    summary->held = 0;
    summary->total = 0;
}
