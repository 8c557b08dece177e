/* shared_table: this process's side of a hash table that BPF programs use at the same time. */
#include "lib/shared_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

uint32_t shared_buckets(uint32_t slots)
{
    uint32_t buckets = 1;
    while (buckets * 3 < slots)
        buckets *= 2;
    return buckets;
}

struct shared_table *shared_table_open(struct shared_head *head, void *buckets,
                                       uint32_t nbuckets, void *slots, uint32_t nslots,
                                       uint32_t key_words, size_t value_size)
{
    struct shared_table *table = calloc(1, sizeof(*table));
    if (table)
        table->view =
            (struct shared_view){ .buckets = buckets,
                                  .slots = slots,
                                  .head = head,
                                  .mask = nbuckets - 1,
                                  .capacity = nslots,
                                  .stride = (uint32_t)(key_words * 4 + value_size),
                                  .words = key_words };
    return table;
}

/* Zeros; of huge pages where there are such, for looking up goes anywhere in it. */
static void *memory_new(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

struct shared_table *shared_table_new(uint32_t key_words, size_t value_size,
                                      uint32_t slots, uint64_t seed)
{
    uint32_t nbuckets = shared_buckets(slots);
    size_t words = nbuckets * SHARED_BUCKET_SIZE;
    size_t size = words + slots * (key_words * 4 + value_size);
    uint8_t *memory = memory_new(size);
    struct shared_table *table =
        memory ? shared_table_open(NULL, memory, nbuckets, memory + words, slots,
                                   key_words, value_size)
               : NULL;
    if (!table) {
        if (memory)
            munmap(memory, size);
        return NULL;
    }
    table->memory = memory;
    table->size = size;
    table->own.seed = seed;
    table->view.head = &table->own;
    return table;
}

void shared_table_free(struct shared_table *table)
{
    if (!table)
        return;
    if (table->memory)
        munmap(table->memory, table->size);
    free(table);
}

void *shared_table_find(const struct shared_table *table, const void *key)
{
    return shared_find(table->view, key);
}

/* The buckets that share a bit: are all empty? */
static bool are_empty(struct shared_view view, uint32_t number)
{
    uint32_t bits = SHARED_FILTER * 64;
    for (uint64_t at = number % bits; at <= view.mask; at += bits) {
        const volatile uint32_t *bucket = SHARED_BUCKET(view, at);
        for (int i = 0; i < SHARED_WORDS; i++)
            if (bucket[i])
                return false;
    }
    return true;
}

/* Whoever fills a bucket meanwhile marks it behind that, or is seen here. */
static void unmark_empty(struct shared_view view, uint32_t number)
{
    if (!are_empty(view, number))
        return;
    __sync_fetch_and_and(shared_bits(view, number), ~(1ull << (number % 64)));
    if (!are_empty(view, number))
        shared_mark(view, number);
}

/* Puts `with` in place of all words that lead to the key. Returns how many there were; but for
 * the first, which becomes `with`, they are cleared. */
static int replace(struct shared_table *table, const void *key, uint32_t with)
{
    struct shared_view view = table->view;
    uint64_t hash = shared_hash(key, view.words, view.head->seed);
    uint32_t *bucket = SHARED_BUCKET(view, (uint32_t)hash & view.mask);
    int found = 0;
    for (int i = 0; i < SHARED_WORDS; i++) {
        uint32_t word = *(volatile uint32_t *)&bucket[i];
        const uint32_t *slot = shared_slot_of(view, word);
        if (word == with || (word ^ shared_tag(hash)) >> 24 || !slot ||
            !shared_same(slot, key, view.words))
            continue;
        if (__sync_bool_compare_and_swap(&bucket[i], word, found ? 0 : with)) {
            shared_give(view, (word & 0xffffff) - 1);
            found++;
        }
    }
    unmark_empty(view, (uint32_t)hash & view.mask);
    return found;
}

int shared_table_put(struct shared_table *table, const void *key, const void *value)
{
    struct shared_view view = table->view;
    uint32_t key_size = view.words * 4, size = view.stride - key_size;
    void *old = shared_find(view, key);
    if (!old)
        return shared_insert(view, key, value, size) ? -ENOSPC : 0;
    int64_t number = shared_take(view);
    if (number < 0) {
        memcpy(old, value, size);
        return 0;
    }
    uint32_t *slot = SHARED_SLOT(view, (uint32_t)number);
    memcpy(slot, key, key_size);
    memcpy(slot + view.words, value, size);
    __sync_synchronize();
    uint64_t hash = shared_hash(key, view.words, view.head->seed);
    uint32_t word = shared_tag(hash) | ((uint32_t)number + 1);
    if (replace(table, key, word))
        return 0;
    shared_give(view, (uint32_t)number); /* somebody took it out meanwhile */
    return shared_insert(view, key, value, size) ? -ENOSPC : 0;
}

bool shared_table_remove(struct shared_table *table, const void *key)
{
    return replace(table, key, 0) > 0;
}

void *shared_table_near(const struct shared_table *table, const void *key,
                        uint32_t number)
{
    struct shared_view view = table->view;
    uint64_t hash = shared_hash(key, view.words, view.head->seed);
    uint32_t where = ((uint32_t)hash + number / SHARED_WORDS) & view.mask;
    const volatile uint32_t *bucket = SHARED_BUCKET(view, where);
    uint32_t word = bucket[number % SHARED_WORDS];
    uint32_t *slot = word ? shared_slot_of(view, word) : NULL;
    return slot ? slot + view.words : NULL;
}

void *shared_table_next(const struct shared_table *table, uint64_t *at)
{
    uint64_t words = ((uint64_t)table->view.mask + 1) * SHARED_WORDS;
    const uint32_t *word = table->view.buckets;
    while (*at < words) {
        if (*at % SHARED_WORDS == 0 &&
            !shared_may_have(table->view, (uint32_t)(*at / SHARED_WORDS))) {
            *at += SHARED_WORDS; /* whose memory need not be touched */
            continue;
        }
        uint32_t found = *(const volatile uint32_t *)&word[(*at)++];
        uint32_t *slot = found ? shared_slot_of(table->view, found) : NULL;
        if (slot)
            return slot + table->view.words;
    }
    return NULL;
}
