/* guarded: the protected addresses of a data path, and what is known of each and of their
 * prefixes. */
#include "apps/flow_sentinel/guarded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int guarded_new(struct guarded *guarded, uint32_t room)
{
    struct siphash_key seed = { 0 }; /* addresses that people chose */
    guarded->room = room - 1;        /* SENTINEL_TRANSIT is nobody's */
    guarded->slots = calloc(guarded->room, sizeof(*guarded->slots));
    guarded->prefixes = calloc(guarded->room, sizeof(*guarded->prefixes));
    guarded->by_address = table_new(sizeof(struct path_address), sizeof(uint32_t),
                                    guarded->room, &seed, TABLE_REFUSE);
    guarded->by_prefix = table_new(sizeof(struct path_address), sizeof(uint32_t),
                                   guarded->room, &seed, TABLE_REFUSE);
    return guarded->slots && guarded->prefixes && guarded->by_address &&
                   guarded->by_prefix
               ? 0
               : -ENOMEM;
}

void guarded_free(struct guarded *guarded)
{
    free(guarded->slots);
    free(guarded->prefixes);
    table_free(guarded->by_address);
    table_free(guarded->by_prefix);
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

/* --- prefixes -------------------------------------------------------------------------- */

/* *slot: none before it is free. There is one for each address at worst. */
static struct guarded_prefix *
prefix_of(struct guarded *guarded, const struct path_address *address, uint32_t *slot)
{
    struct path_address key = *address;
    ((uint8_t *)key.word)[GUARDED_BITS / 8] = 0;
    const uint32_t *found = table_find(guarded->by_prefix, &key);
    if (found)
        return &guarded->prefixes[*found];
    while (*slot < guarded->room && guarded->prefixes[*slot].first)
        ++*slot;
    uint32_t *place =
        *slot < guarded->room ? table_insert(guarded->by_prefix, &key) : NULL;
    if (!place)
        return NULL;
    *place = *slot;
    guarded->prefixes[*slot] = (struct guarded_prefix){ .address = key };
    return &guarded->prefixes[*slot];
}

/* Those that nobody has go first: they may leave no room. */
static void drop_prefixes(struct guarded *guarded)
{
    for (uint32_t i = 0; i < guarded->room; i++) {
        struct guarded_prefix *prefix = &guarded->prefixes[i];
        uint32_t kept = 0;
        for (uint32_t at = prefix->first; at; at = guarded->slots[at - 1].next)
            kept += guarded->slots[at - 1].to.index && guarded->slots[at - 1].keep;
        if (prefix->first && !kept)
            table_remove(guarded->by_prefix, &prefix->address);
        prefix->first = kept ? prefix->first : 0;
    }
}

static void link_prefixes(struct guarded *guarded)
{
    uint32_t slot = 0;
    for (uint32_t i = 0; i < guarded->room; i++)
        guarded->prefixes[i].count = 0;
    for (uint32_t i = 0; i < guarded->room; i++) {
        struct guarded_one *one = &guarded->slots[i];
        struct guarded_prefix *prefix =
            one->to.index ? prefix_of(guarded, &one->address, &slot) : NULL;
        if (!prefix)
            continue;
        one->next = prefix->count++ ? prefix->first : 0;
        prefix->first = i + 1;
    }
}

void guarded_regroup(struct guarded *guarded, const struct groups *groups)
{
    guarded->policy = &groups->all;
    for (uint32_t i = 0; i < guarded->room; i++)
        if (guarded->slots[i].to.index)
            guarded->slots[i].policy = groups_find(groups, &guarded->slots[i].address);
}

uint32_t guarded_set(struct guarded *guarded, struct path *path,
                     const struct path_address *addresses, size_t count,
                     const struct groups *groups)
{
    uint32_t left = 0, slot = 0;
    for (uint32_t i = 0; i < guarded->room; i++)
        guarded->slots[i].keep = false;
    for (size_t i = 0; i < count; i++) {
        struct guarded_one *one = find(guarded, &addresses[i]);
        if (one)
            one->keep = true;
    }
    drop_prefixes(guarded);
    drop_others(guarded, path);
    for (size_t i = 0; i < count; i++)
        if (!find(guarded, &addresses[i]))
            left += !add(guarded, path, &addresses[i], &slot);
    link_prefixes(guarded);
    guarded_regroup(guarded, groups);
    return left;
}

/* --- looking --------------------------------------------------------------------------- */

struct telling {
    const struct path_address *address;
    unsigned bits;
    guarded_news *news;
    void *user;
};

static void tell(const struct detect_news *news, void *user)
{
    struct telling *telling = user;
    telling->news(telling->address, telling->bits, news, telling->user);
}

/* The arrival times are the data path's own. */
static void update(struct guarded_one *one, struct path *path)
{
    struct sentinel_destination now;
    if (path_get_destination(path, &one->address, &now)) {
        one->to.packets.arrival = now.packets.arrival;
        one->to.bytes.arrival = now.bytes.arrival;
        one->to.syn.arrival = now.syn.arrival;
        one->to.syn_hard.arrival = now.syn_hard.arrival;
        one->to.udp.arrival = now.udp.arrival;
        one->to.icmp.arrival = now.icmp.arrival;
    }
    path_put_destination(path, &one->address, &one->to);
}

/* What is too much for an address is the same for all of the prefix. */
static void share_out(struct guarded *guarded, const struct guarded_prefix *prefix,
                      const double *packets, const double *bytes)
{
    double sorted[1 << (128 - GUARDED_BITS)];
    struct detect_share share = { 0 };
    if (prefix->detector.limit_packets) {
        memcpy(sorted, packets, prefix->count * sizeof(*sorted));
        share.packets =
            share_level(sorted, prefix->count, guarded->policy->prefix_packets);
    }
    if (prefix->detector.limit_bytes) {
        memcpy(sorted, bytes, prefix->count * sizeof(*sorted));
        share.bytes = share_level(sorted, prefix->count, guarded->policy->prefix_bytes);
    }
    for (uint32_t at = prefix->first; at; at = guarded->slots[at - 1].next)
        guarded->slots[at - 1].share = share;
}

static void look_at_prefix(struct guarded *guarded, struct guarded_prefix *prefix,
                           uint64_t now, guarded_news *news, void *user)
{
    double packets[1 << (128 - GUARDED_BITS)], bytes[1 << (128 - GUARDED_BITS)];
    double all_packets = 0, all_bytes = 0;
    struct telling telling = { &prefix->address, GUARDED_BITS, news, user };
    uint32_t count = 0;
    for (uint32_t at = prefix->first; at; at = guarded->slots[at - 1].next, count++) {
        const struct guarded_one *one = &guarded->slots[at - 1];
        packets[count] = rate_value(&one->detector.packets, now, one->policy->window);
        bytes[count] = rate_value(&one->detector.bytes, now, one->policy->window);
        all_packets += packets[count];
        all_bytes += bytes[count];
    }
    prefix_tick(&prefix->detector, guarded->policy, all_packets, all_bytes, now, tell,
                &telling);
    share_out(guarded, prefix, packets, bytes);
}

void guarded_tick(struct guarded *guarded, struct path *path, uint64_t now,
                  guarded_news *news, void *user)
{
    for (uint32_t i = 0; i < guarded->room; i++) {
        struct guarded_one *one = &guarded->slots[i];
        struct sentinel_destination_counts counts;
        struct telling telling = { &one->address, 128, news, user };
        if (!one->to.index)
            continue;
        path_counts(path, one->to.index, &counts);
        if (detector_tick(&one->detector, one->policy, &counts, now, &one->share,
                          &one->to, tell, &telling))
            update(one, path);
    }
    for (uint32_t i = 0; i < guarded->room; i++)
        if (guarded->prefixes[i].first)
            look_at_prefix(guarded, &guarded->prefixes[i], now, news, user);
}
