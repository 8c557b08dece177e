/* table: from keys to values of fixed sizes, with room for so many and no more.
 *
 *   heads    [ 0 | 3 | 0 | 1 ]         a bucket's first entry
 *                  |       |
 *   entries  [ 0 | 1 | 2 | 3 | 4 ]     header, key, value; number 0 is the table's own
 *
 * A bucket is a chain of entries through next, no longer than TABLE_PROBES; the free
 * entries are one more. There are at least as many buckets as entries. With TABLE_LRU the
 * entries are also in a ring in order of use, which entry 0 closes: behind it comes the
 * entry used last, before it the one to evict.
 */
#include "lib/table.h"

#include <stdlib.h>

struct entry {
    uint32_t hash : 31;
    uint32_t used : 1;
    uint32_t next; /* of the chain; 0 ends it */
    uint32_t older, newer;
};
_Static_assert(sizeof(struct entry) % 8 == 0, "the key behind it is aligned");

struct table {
    struct siphash_key seed;
    size_t key_size, value_size;
    size_t value_at, stride; /* bytes from entry to value, to the next entry */
    uint32_t capacity, mask, count, free;
    bool lru;
    uint64_t evicted;
    uint32_t *heads;
    uint8_t *entries;
};

static struct entry *entry_at(const struct table *table, uint32_t index)
{
    return (struct entry *)(void *)(table->entries + index * table->stride);
}

static uint32_t index_of(const struct table *table, const struct entry *entry)
{
    return (uint32_t)((size_t)((const uint8_t *)entry - table->entries) / table->stride);
}

static uint8_t *key_of(struct entry *entry)
{
    return (uint8_t *)(entry + 1);
}

static void *value_of(const struct table *table, struct entry *entry)
{
    return (uint8_t *)entry + table->value_at;
}

static size_t aligned(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* --- the order of use ---------------------------------------------------------------- */

static void unlink_use(struct table *table, struct entry *entry)
{
    entry_at(table, entry->older)->newer = entry->newer;
    entry_at(table, entry->newer)->older = entry->older;
}

static void link_newest(struct table *table, struct entry *entry, uint32_t index)
{
    struct entry *ends = entry_at(table, 0);
    entry->older = ends->older;
    entry->newer = 0;
    entry_at(table, ends->older)->newer = index;
    ends->older = index;
}

static void use(struct table *table, struct entry *entry, uint32_t index)
{
    if (!table->lru || !entry->newer)
        return;
    unlink_use(table, entry);
    link_newest(table, entry, index);
}

/* --- chains -------------------------------------------------------------------------- */

/* Addresses are the most frequent keys: for a size known to the compiler, hash and
 * comparison take half the time. */
#define ADDRESS_SIZE 16

static uint32_t hash_of(const struct table *table, const void *key)
{
    bool address = table->key_size == ADDRESS_SIZE;
    uint64_t hash = address ? siphash_13(&table->seed, key, ADDRESS_SIZE)
                            : siphash_13(&table->seed, key, table->key_size);
    return hash & 0x7fffffff;
}

static bool same_key(const struct table *table, struct entry *entry, const void *key)
{
    return table->key_size == ADDRESS_SIZE ? !memcmp(key_of(entry), key, ADDRESS_SIZE)
                                           : !memcmp(key_of(entry), key, table->key_size);
}

/* The link that leads to the key's entry, or the end of its chain; how many entries were
 * passed. */
static uint32_t *find_link(const struct table *table, const void *key, uint32_t hash,
                           unsigned *passed)
{
    uint32_t *link = &table->heads[hash & table->mask];
    for (*passed = 0; *link; ++*passed) {
        struct entry *entry = entry_at(table, *link);
        if (entry->hash == hash && same_key(table, entry, key))
            break;
        link = &entry->next;
    }
    return link;
}

static void release(struct table *table, uint32_t *link)
{
    uint32_t index = *link;
    struct entry *entry = entry_at(table, index);
    *link = entry->next;
    if (table->lru)
        unlink_use(table, entry);
    entry->used = false;
    entry->next = table->free;
    table->free = index;
    table->count--;
}

/* --- the table ----------------------------------------------------------------------- */

static uint32_t buckets_for(uint32_t capacity)
{
    uint32_t buckets = 1;
    while (buckets < capacity)
        buckets *= 2;
    return buckets;
}

void table_clear(struct table *table)
{
    struct entry *ends = entry_at(table, 0);
    memset(table->heads, 0, ((size_t)table->mask + 1) * sizeof(*table->heads));
    ends->older = ends->newer = 0;
    for (uint32_t i = 1; i <= table->capacity; i++) {
        struct entry *entry = entry_at(table, i);
        entry->used = false;
        entry->next = i < table->capacity ? i + 1 : 0;
    }
    table->free = 1;
    table->count = 0;
}

struct table *table_new(size_t key_size, size_t value_size, uint32_t capacity,
                        const struct siphash_key *seed, enum table_policy policy)
{
    struct table *table = calloc(1, sizeof(*table));
    if (!table || !capacity || capacity > TABLE_CAPACITY_MAX) {
        free(table);
        return NULL;
    }
    *table = (struct table){ .seed = *seed,
                             .key_size = key_size,
                             .value_size = value_size,
                             .capacity = capacity,
                             .mask = buckets_for(capacity) - 1,
                             .lru = policy == TABLE_LRU };
    table->value_at = sizeof(struct entry) + aligned(key_size);
    table->stride = table->value_at + aligned(value_size);
    table->heads = calloc((size_t)table->mask + 1, sizeof(*table->heads));
    table->entries = calloc((size_t)capacity + 1, table->stride);
    if (!table->heads || !table->entries) {
        table_free(table);
        return NULL;
    }
    table_clear(table);
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    free(table->heads);
    free(table->entries);
    free(table);
}

void *table_find(struct table *table, const void *key)
{
    unsigned passed;
    uint32_t index = *find_link(table, key, hash_of(table, key), &passed);
    if (!index)
        return NULL;
    struct entry *entry = entry_at(table, index);
    use(table, entry, index);
    return value_of(table, entry);
}

static void evict(struct table *table, uint32_t index)
{
    uint32_t *link = &table->heads[entry_at(table, index)->hash & table->mask];
    while (*link != index)
        link = &entry_at(table, *link)->next;
    release(table, link);
    table->evicted++;
}

/* Room for one more of that bucket. A bucket has its newest entries first, so one that is
 * too long gives its last. */
static bool make_room(struct table *table, uint32_t hash, unsigned chain)
{
    uint32_t victim = entry_at(table, 0)->newer;
    if (chain < TABLE_PROBES && table->free)
        return true;
    if (!table->lru)
        return false;
    if (chain >= TABLE_PROBES) {
        victim = table->heads[hash & table->mask];
        while (entry_at(table, victim)->next)
            victim = entry_at(table, victim)->next;
    }
    evict(table, victim);
    return true;
}

void *table_insert(struct table *table, const void *key)
{
    unsigned chain;
    uint32_t hash = hash_of(table, key);
    uint32_t index = *find_link(table, key, hash, &chain);
    if (index) {
        use(table, entry_at(table, index), index);
        return value_of(table, entry_at(table, index));
    }
    if (!make_room(table, hash, chain))
        return NULL;
    uint32_t *head = &table->heads[hash & table->mask];
    index = table->free;
    struct entry *entry = entry_at(table, index);
    table->free = entry->next;
    *entry = (struct entry){ .hash = hash, .next = *head, .used = true };
    *head = index;
    if (table->lru)
        link_newest(table, entry, index);
    table->count++;
    memcpy(key_of(entry), key, table->key_size);
    return memset(value_of(table, entry), 0, table->value_size);
}

bool table_remove(struct table *table, const void *key)
{
    unsigned passed;
    uint32_t *link = find_link(table, key, hash_of(table, key), &passed);
    if (!*link)
        return false;
    release(table, link);
    return true;
}

static struct entry *entry_of(const struct table *table, const void *value)
{
    return (struct entry *)(void *)((uintptr_t)value - table->value_at);
}

void *table_next(const struct table *table, const void *value)
{
    uint32_t index = value ? index_of(table, entry_of(table, value)) : 0;
    while (index++ < table->capacity)
        if (entry_at(table, index)->used)
            return value_of(table, entry_at(table, index));
    return NULL;
}

const void *table_key(const struct table *table, const void *value)
{
    return key_of(entry_of(table, value));
}

uint32_t table_count(const struct table *table)
{
    return table->count;
}

uint64_t table_evicted(const struct table *table)
{
    return table->evicted;
}
