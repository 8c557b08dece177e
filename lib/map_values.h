/* map_values: a BPF array in this process.
 *
 *   map_values_open     its values, one behind the other
 *   map_values_close
 *
 * Of a map with BPF_F_MMAPABLE (Linux 5.5); values begin at multiples of 8 bytes.
 */
#pragma once
#include <stddef.h>

struct bpf_map;

struct map_values {
    void *at; /* NULL: nothing is open */
    size_t size;
};

/* Of a map that was loaded. NULL when the kernel refuses; else what values->at is. */
void *map_values_open(struct map_values *values, const struct bpf_map *map);
void map_values_close(struct map_values *values);
