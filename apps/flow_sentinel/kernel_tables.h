/* kernel_tables: the maps of FlowSentinel's XDP program, as path.h has them.
 *
 *   kernel_tables_map, kernel_tables_unmap   into this process, and out of it
 *   kernel_tables_unprotect     nobody is protected any more
 *   kernel_get ... kernel_totals             the operations of struct path_ops
 *
 * What the program looks up by itself is mapped (lib/shared_table.h); what only the kernel has
 * functions for is reached by those. struct kernel_path is kernel_path.c's and this file's.
 */
#pragma once
#include "lib/map_values.h"
#include <bpf/libbpf.h>

#include "apps/flow_sentinel/kernel_path.h"
#include "lib/shared_table.h"

struct flow_sentinel_bpf;
struct ring_buffer;

#define KERNEL_MAPPINGS 5

struct kernel_path {
    struct path path;
    struct kernel_path_options options;
    struct flow_sentinel_bpf *bpf; /* what runs now */
    struct sentinel_policy policy;
    int link; /* -1: not attached */
    int cpus;
    struct map_values mappings[KERNEL_MAPPINGS];
    struct shared_table *entries, *destinations;
    struct ring_buffer *events, *samples;
    const volatile unsigned long *event_positions, *sample_positions;
    int measuring; /* -1: not */
    uint32_t measured;
    uint64_t runs, run_time; /* at the beginning of it */
    void (*each_event)(const struct sentinel_event *event, void *user);
    void (*each_sample)(const struct sentinel_sample *sample, void *user);
    void *user;
    char description[XDP_ATTACH_DESCRIPTION];
    char *ifname, *pin;
};

static inline struct kernel_path *kernel(const struct path *path)
{
    return (struct kernel_path *)path;
}

int kernel_tables_map(struct kernel_path *k, struct error *err);
void kernel_tables_unmap(struct kernel_path *k);
void kernel_tables_unprotect(const struct kernel_path *k);

bool kernel_get(struct path *path, const struct path_address *key,
                struct sentinel_entry *entry);
int kernel_put(struct path *path, const struct path_address *key,
               const struct sentinel_entry *entry);
bool kernel_remove(struct path *path, const struct path_address *key);
void kernel_entries(struct path *path, path_visit *each, void *user);
void kernel_suspects(struct path *path, path_visit *each, void *user);
int kernel_set_list(struct path *path, const struct path_listed *list, size_t count,
                    struct error *err);
int kernel_put_destination(struct path *path, const struct path_address *key,
                           const struct sentinel_destination *to);
bool kernel_get_destination(struct path *path, const struct path_address *key,
                            struct sentinel_destination *to);
bool kernel_remove_destination(struct path *path, const struct path_address *key);
void kernel_counts(struct path *path, uint32_t index,
                   struct sentinel_destination_counts *sum);
void kernel_totals(struct path *path, struct sentinel_totals *sum);
