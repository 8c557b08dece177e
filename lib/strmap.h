/* strmap: from strings to small numbers (indexes into somebody's array).
 *
 *   strmap_put, strmap_get, strmap_clear
 *
 * Open addressing, at most half full. The strings are the caller's and must outlive the
 * map. An empty map is all zeros.
 */
#pragma once
#include <stdint.h>

#define STRMAP_NONE UINT32_MAX

struct strmap {
    uint32_t count, size;
    struct strmap_slot {
        const char *key;
        uint32_t hash, value;
    } * slots;
};

/* Sets key to value, replacing an earlier one. */
void strmap_put(struct strmap *map, const char *key, uint32_t value);

/* The value of key, or STRMAP_NONE. */
uint32_t strmap_get(const struct strmap *map, const char *key);

void strmap_clear(struct strmap *map);
