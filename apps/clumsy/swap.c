/* swap: packets that wait for the next one of their flow, to change places with it. */
#include "apps/clumsy/swap.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 64

bool swap_init(struct swap *swap)
{
    memset(swap, 0, sizeof(*swap));
    return tally_init(&swap->flows, SWAP_FLOWS);
}

void swap_free(struct swap *swap)
{
    tally_free(&swap->flows);
    free(swap->entries);
    memset(swap, 0, sizeof(*swap));
}

static struct swap_entry *entry_at(const struct swap *swap, uint64_t cursor)
{
    return &swap->entries[cursor & (swap->size - 1)];
}

static bool grow(struct swap *swap)
{
    uint64_t size = swap->size ? 2 * swap->size : FIRST_SIZE;
    struct swap_entry *entries = malloc(size * sizeof(*entries));
    if (!entries)
        return false;
    for (uint64_t i = swap->head; i != swap->tail; i++)
        entries[i & (size - 1)] = *entry_at(swap, i);
    free(swap->entries);
    swap->entries = entries;
    swap->size = size;
    return true;
}

/* So that somebody waits at the head, or nobody at all. */
static void skip(struct swap *swap)
{
    while (swap_waiting(swap) && entry_at(swap, swap->head)->handle == SWAP_NONE)
        swap->head++;
}

bool swap_hold(struct swap *swap, uint64_t flow, uint64_t index, uint64_t until,
               uint32_t handle)
{
    if (swap->tail - swap->head == swap->size && !grow(swap))
        return false;
    if (swap_waiting(swap) && until < entry_at(swap, swap->tail - 1)->until)
        until = entry_at(swap, swap->tail - 1)->until;
    *tally_at(&swap->flows, flow) = (uint32_t)swap->tail;
    *entry_at(swap, swap->tail++) = (struct swap_entry){ flow, index, until, handle };
    return true;
}

/* The cursor of a flow may be that of one that left long ago. */
static struct swap_entry *find(struct swap *swap, uint64_t flow)
{
    const uint32_t *cursor = swap_waiting(swap) ? tally_find(&swap->flows, flow) : NULL;
    uint32_t place = cursor ? *cursor - (uint32_t)swap->head : 0;
    if (!cursor || place >= swap->tail - swap->head)
        return NULL;
    struct swap_entry *entry = entry_at(swap, swap->head + place);
    return entry->flow == flow && entry->handle != SWAP_NONE ? entry : NULL;
}

bool swap_has(struct swap *swap, uint64_t flow)
{
    return find(swap, flow);
}

uint32_t swap_take(struct swap *swap, uint64_t flow, uint64_t index)
{
    struct swap_entry *entry = find(swap, flow);
    if (!entry || entry->index == index)
        return SWAP_NONE;
    uint32_t handle = entry->handle;
    entry->handle = SWAP_NONE;
    skip(swap);
    return handle;
}

uint32_t swap_expired(struct swap *swap, uint64_t now, uint64_t *until)
{
    if (swap_next(swap) > now || !swap_waiting(swap))
        return SWAP_NONE;
    struct swap_entry *entry = entry_at(swap, swap->head);
    uint32_t handle = entry->handle;
    *until = entry->until;
    entry->handle = SWAP_NONE;
    skip(swap);
    return handle;
}
