/* guarded: the protected addresses of a data path, and what is known of each. */
#include "apps/flow_sentinel/guarded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int guarded_new(struct guarded *guarded, uint32_t room)
{
    struct siphash_key seed = { 0 }; /* addresses that people chose */
    guarded->room = room - 1;        /* SENTINEL_TRANSIT is nobody's */
    guarded->slots = calloc(guarded->room, sizeof(*guarded->slots));
    guarded->by_address = table_new(sizeof(struct path_address), sizeof(uint32_t),
                                    guarded->room, &seed, TABLE_REFUSE);
    return guarded->slots && guarded->by_address ? 0 : -ENOMEM;
}

void guarded_free(struct guarded *guarded)
{
    free(guarded->slots);
    table_free(guarded->by_address);
    *guarded = (struct guarded){ 0 };
}

static struct guarded_one *find(struct guarded *guarded,
                                const struct path_address *address)
{
    const uint32_t *slot = table_find(guarded->by_address, address);
    return slot ? &guarded->slots[*slot] : NULL;
}

/* *slot: none before it is free. */
static bool add(struct guarded *guarded, struct path *path,
                const struct path_address *address, uint32_t *slot)
{
    while (*slot < guarded->room && guarded->slots[*slot].to.index)
        ++*slot;
    if (*slot == guarded->room)
        return false;
    struct guarded_one *one = &guarded->slots[*slot];
    uint32_t *place = table_insert(guarded->by_address, address);
    *one =
        (struct guarded_one){ .address = *address, .to.index = *slot + 1, .keep = true };
    if (place && !path_put_destination(path, address, &one->to)) {
        *place = *slot;
        return true;
    }
    table_remove(guarded->by_address, address);
    one->to.index = 0;
    return false;
}

static void drop_others(struct guarded *guarded, struct path *path)
{
    for (uint32_t i = 0; i < guarded->room; i++) {
        struct guarded_one *one = &guarded->slots[i];
        if (!one->to.index || one->keep)
            continue;
        path_remove_destination(path, &one->address);
        table_remove(guarded->by_address, &one->address);
        one->to.index = 0;
    }
}

uint32_t guarded_set(struct guarded *guarded, struct path *path,
                     const struct path_address *addresses, size_t count)
{
    uint32_t left = 0, slot = 0;
    for (uint32_t i = 0; i < guarded->room; i++)
        guarded->slots[i].keep = false;
    for (size_t i = 0; i < count; i++) {
        struct guarded_one *one = find(guarded, &addresses[i]);
        if (one)
            one->keep = true;
    }
    drop_others(guarded, path);
    for (size_t i = 0; i < count; i++)
        if (!find(guarded, &addresses[i]))
            left += !add(guarded, path, &addresses[i], &slot);
    return left;
}

struct telling {
    const struct guarded_one *one;
    void (*news)(const struct guarded_one *one, const struct detect_news *news,
                 void *user);
    void *user;
};

static void tell(const struct detect_news *news, void *user)
{
    struct telling *telling = user;
    telling->news(telling->one, news, telling->user);
}

/* The arrival times are the data path's own. */
static void update(struct guarded_one *one, struct path *path)
{
    struct sentinel_destination now;
    if (path_get_destination(path, &one->address, &now)) {
        one->to.syn_hard = now.syn_hard;
        one->to.syn = now.syn;
        one->to.udp = now.udp;
        one->to.icmp = now.icmp;
    }
    path_put_destination(path, &one->address, &one->to);
}

void guarded_tick(struct guarded *guarded, struct path *path,
                  const struct detect_policy *policy, uint64_t now,
                  void (*news)(const struct guarded_one *one,
                               const struct detect_news *news, void *user),
                  void *user)
{
    for (uint32_t i = 0; i < guarded->room; i++) {
        struct guarded_one *one = &guarded->slots[i];
        struct sentinel_destination_counts counts;
        struct telling telling = { one, news, user };
        if (!one->to.index)
            continue;
        path_counts(path, one->to.index, &counts);
        if (detector_tick(&one->detector, policy, &counts, now, &one->to, tell, &telling))
            update(one, path);
    }
}
