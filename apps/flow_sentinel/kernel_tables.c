/* kernel_tables: the maps of FlowSentinel's XDP program, as path.h has them. */
#include "apps/flow_sentinel/kernel_tables.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow_sentinel.skel.h"

#define BATCH 4096 /* entries of a map that one call brings */

/* --- in this process ----------------------------------------------------------------------- */

/* Until kernel_tables_unmap. */
static void *map_values(struct kernel_path *k, const struct bpf_map *map)
{
    struct map_values *values = k->mappings;
    while (values->at)
        values++;
    return map_values_open(values, map);
}

static struct shared_table *open_table(struct kernel_path *k, struct shared_head *head,
                                       const struct bpf_map *buckets,
                                       const struct bpf_map *slots, size_t value_size)
{
    void *words = map_values(k, buckets), *values = map_values(k, slots);
    if (!head->seed)
        head->seed = k->options.secret;
    return words && values
               ? shared_table_open(head, words, bpf_map__max_entries(buckets), values,
                                   bpf_map__max_entries(slots), 4, value_size)
               : NULL;
}

int kernel_tables_map(struct kernel_path *k, struct error *err)
{
    struct sentinel_state *state = map_values(k, k->bpf->maps.data_shared);
    if (state) {
        k->path.state = state;
        state->schema = SENTINEL_SCHEMA;
        state->secret = k->options.secret;
        k->entries = open_table(k, &state->entries, k->bpf->maps.entry_buckets,
                                k->bpf->maps.entry_slots, sizeof(struct sentinel_entry));
        k->destinations = open_table(
            k, &state->destinations, k->bpf->maps.destination_buckets,
            k->bpf->maps.destination_slots, sizeof(struct sentinel_destination));
    }
    if (k->entries && k->destinations)
        return 0;
    return error_system(err, ERROR_RUN, "cannot map the tables of the XDP program");
}

void kernel_tables_unmap(struct kernel_path *k)
{
    shared_table_free(k->entries);
    shared_table_free(k->destinations);
    for (int i = 0; i < KERNEL_MAPPINGS; i++)
        map_values_close(&k->mappings[i]);
}

/* --- sources ---------------------------------------------------------------------------------- */

bool kernel_get(struct path *path, const struct path_address *key,
                struct sentinel_entry *entry)
{
    const struct sentinel_entry *found = shared_table_find(kernel(path)->entries, key);
    if (found)
        *entry = *found;
    return found;
}

static void count_block(struct path *path, const struct path_address *key,
                        uint64_t change)
{
    struct sentinel_entry entry;
    if (kernel_get(path, key, &entry) && entry.kind == KIND_BLOCKED)
        __atomic_fetch_add(&path->state->blocks, change, __ATOMIC_RELAXED);
}

int kernel_put(struct path *path, const struct path_address *key,
               const struct sentinel_entry *entry)
{
    count_block(path, key, (uint64_t)-1);
    int error = shared_table_put(kernel(path)->entries, key, entry);
    count_block(path, key, 1);
    return error;
}

bool kernel_remove(struct path *path, const struct path_address *key)
{
    count_block(path, key, (uint64_t)-1);
    return shared_table_remove(kernel(path)->entries, key);
}

void kernel_entries(struct path *path, path_visit *each, void *user)
{
    uint64_t at = 0;
    void *value;
    while ((value = shared_table_next(kernel(path)->entries, &at)))
        each(shared_table_key(kernel(path)->entries, value), value, user);
}

/* In batches, that a change of the map does not disturb. */
static void each_of(const struct bpf_map *map, path_visit *each, void *user)
{
    size_t size = bpf_map__value_size(map);
    struct path_address *keys = malloc(BATCH * sizeof(*keys));
    uint8_t *values = malloc(BATCH * size);
    uint32_t at = 0, next;
    bool first = true;
    int error = keys && values ? 0 : -ENOMEM;
    while (!error) {
        uint32_t count = BATCH;
        error = bpf_map_lookup_batch(bpf_map__fd(map), first ? NULL : &at, &next, keys,
                                     values, &count, NULL);
        if (error && errno != ENOENT)
            break;
        for (uint32_t i = 0; i < count; i++)
            each(&keys[i], values + i * size, user);
        at = next;
        first = false;
    }
    free(keys);
    free(values);
}

void kernel_suspects(struct path *path, path_visit *each, void *user)
{
    each_of(kernel(path)->bpf->maps.suspects, each, user);
}

/* --- lists -------------------------------------------------------------------------------------- */

static int list_failed(size_t count, int error, struct error *err)
{
    return error_set(err, ERROR_RUN, -error, "no room for a list of %zu prefixes: %s",
                     count, strerror(-error));
}

/* One trie holds both families: what is said of ::/0 is not said of ::ffff:0:0/96. There, unless
 * the list has something to say, is an entry that expired long ago. */
static int fill_list(int map, const struct path_listed *list, size_t count)
{
    const struct sentinel_prefix ipv4 = { .bits = 96,
                                          .address[2] = __builtin_bswap32(0xffff) };
    const struct sentinel_entry nothing = { .expires = 1 };
    if (bpf_map_update_elem(map, &ipv4, &nothing, BPF_ANY))
        return -errno;
    for (size_t i = 0; i < count; i++)
        if (bpf_map_update_elem(map, &list[i].prefix, &list[i].entry, BPF_ANY))
            return -errno;
    return 0;
}

int kernel_set_list(struct path *path, const struct path_listed *list, size_t count,
                    struct error *err)
{
    uint32_t slot = 0;
    int outer = bpf_map__fd(kernel(path)->bpf->maps.prefixes), error;
    if (!count) {
        error = bpf_map_delete_elem(outer, &slot) && errno != ENOENT ? -errno : 0;
        return error ? list_failed(count, error, err) : 0;
    }
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
    int map =
        bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "prefixes", sizeof(struct sentinel_prefix),
                       sizeof(struct sentinel_entry), 524288, &opts);
    if (map < 0)
        return list_failed(count, -errno, err);
    error = fill_list(map, list, count);
    if (!error && bpf_map_update_elem(outer, &slot, &map, BPF_ANY))
        error = -errno;
    close(map);
    return error ? list_failed(count, error, err) : 0;
}

/* --- destinations ---------------------------------------------------------------------------------- */

int kernel_put_destination(struct path *path, const struct path_address *key,
                           const struct sentinel_destination *to)
{
    if (to->index >= bpf_map__max_entries(kernel(path)->bpf->maps.destination_counts))
        return -ENOSPC;
    return shared_table_put(kernel(path)->destinations, key, to);
}

bool kernel_get_destination(struct path *path, const struct path_address *key,
                            struct sentinel_destination *to)
{
    const struct sentinel_destination *found =
        shared_table_find(kernel(path)->destinations, key);
    if (found)
        *to = *found;
    return found;
}

bool kernel_remove_destination(struct path *path, const struct path_address *key)
{
    return shared_table_remove(kernel(path)->destinations, key);
}

/* The sum over CPUs of a value that is but 64-bit words. */
static void sum_cpus(const struct kernel_path *k, const struct bpf_map *map,
                     uint32_t index, void *sum, size_t size)
{
    uint64_t *words = calloc((size_t)k->cpus, size), *total = sum;
    memset(sum, 0, size);
    if (words && !bpf_map_lookup_elem(bpf_map__fd(map), &index, words))
        for (int cpu = 0; cpu < k->cpus; cpu++)
            for (size_t i = 0; i < size / sizeof(*words); i++)
                total[i] += words[(size_t)cpu * (size / sizeof(*words)) + i];
    free(words);
}

void kernel_counts(struct path *path, uint32_t index,
                   struct sentinel_destination_counts *sum)
{
    sum_cpus(kernel(path), kernel(path)->bpf->maps.destination_counts, index, sum,
             sizeof(*sum));
}

void kernel_totals(struct path *path, struct sentinel_totals *sum)
{
    sum_cpus(kernel(path), kernel(path)->bpf->maps.totals, 0, sum, sizeof(*sum));
}

void kernel_tables_unprotect(const struct kernel_path *k)
{
    uint64_t at = 0;
    void *value;
    while ((value = shared_table_next(k->destinations, &at)))
        shared_table_remove(k->destinations, shared_table_key(k->destinations, value));
}
