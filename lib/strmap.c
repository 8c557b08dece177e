/* strmap: from strings to small numbers. */
#include "lib/strmap.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: the keys are names from a configuration, not an attacker's. */
static uint32_t hash(const char *key)
{
    uint32_t h = 2166136261u;
    for (; *key; key++)
        h = (h ^ (uint8_t)*key) * 16777619u;
    return h;
}

/* The slot that holds key, or the free one where it belongs. */
static struct strmap_slot *lookup(const struct strmap *map, const char *key, uint32_t h)
{
    uint32_t at = h & (map->size - 1);
    while (map->slots[at].key &&
           (map->slots[at].hash != h || strcmp(map->slots[at].key, key)))
        at = (at + 1) & (map->size - 1);
    return &map->slots[at];
}

static void grow(struct strmap *map)
{
    struct strmap old = *map;
    map->size = old.size ? old.size * 2 : 16;
    map->slots = calloc(map->size, sizeof(*map->slots));
    for (uint32_t i = 0; i < old.size; i++)
        if (old.slots[i].key)
            *lookup(map, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

void strmap_put(struct strmap *map, const char *key, uint32_t value)
{
    if (2 * (map->count + 1) > map->size)
        grow(map);
    uint32_t h = hash(key);
    struct strmap_slot *slot = lookup(map, key, h);
    map->count += !slot->key;
    *slot = (struct strmap_slot){ key, h, value };
}

uint32_t strmap_get(const struct strmap *map, const char *key)
{
    if (!map->size)
        return STRMAP_NONE;
    const struct strmap_slot *slot = lookup(map, key, hash(key));
    return slot->key ? slot->value : STRMAP_NONE;
}

void strmap_clear(struct strmap *map)
{
    free(map->slots);
    *map = (struct strmap){ 0 };
}
