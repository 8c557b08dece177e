/* map_values: a BPF array in this process. */
#include "lib/map_values.h"

#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

void *map_values_open(struct map_values *values, const struct bpf_map *map)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t value = (bpf_map__value_size(map) + 7) & ~(size_t)7;
    size_t size = (value * bpf_map__max_entries(map) + page - 1) & ~(page - 1);
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    *values = (struct map_values){ 0 };
    if (at == MAP_FAILED)
        return NULL;
    *values = (struct map_values){ at, size };
    return at;
}

void map_values_close(struct map_values *values)
{
    if (values->at)
        munmap(values->at, values->size);
    *values = (struct map_values){ 0 };
}
