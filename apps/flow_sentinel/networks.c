/* networks: IPv6 networks of many sources that are blocked as a whole. */
#include "apps/flow_sentinel/networks.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct tally {
    uint32_t count; /* of blocks in it */
    uint8_t limit;  /* of the last one of them */
    bool blocked;
};

/* --- keys ------------------------------------------------------------------------------ */

struct path_address networks_key(const uint32_t address[4], unsigned bits)
{
    struct path_address key;
    sentinel_network_key(address, bits, key.word);
    return key;
}

/* Which of the sizes the key is of; -1: it is that of a source. */
static int size_of(const uint32_t key[4])
{
    for (int i = 0; i < SENTINEL_NETWORKS; i++)
        if (key[0] == SENTINEL_NETWORK_MARK(SENTINEL_NETWORK_BITS(i)) && !key[3])
            return i;
    return -1;
}

struct prefix networks_prefix(const uint32_t key[4], unsigned source_bits)
{
    int size = size_of(key);
    uint32_t address[4] = { key[1], key[2] };
    if (size >= 0)
        return prefix_unmapped((const uint8_t *)address, SENTINEL_NETWORK_BITS(size));
    struct prefix prefix = prefix_unmapped((const uint8_t *)key, 128);
    return prefix.family == AF_INET ? prefix
                                    : prefix_unmapped((const uint8_t *)key, source_bits);
}

/* --- counting -------------------------------------------------------------------------- */

void networks_begin(struct networks *networks, uint32_t most, unsigned source_bits,
                    uint64_t now)
{
    networks->most = most;
    networks->source_bits = source_bits;
    networks->now = now;
    networks->present = 0;
    if (networks->tally && table_count(networks->tally))
        table_clear(networks->tally);
}

static struct tally *tally_of(struct networks *networks, const struct path_address *key)
{
    struct siphash_key seed = { 0 }; /* of keys that a limit was passed for */
    if (!networks->tally)
        networks->tally = table_new(sizeof(*key), sizeof(struct tally), NETWORKS_ROOM,
                                    &seed, TABLE_REFUSE);
    return networks->tally ? table_insert(networks->tally, key) : NULL;
}

/* The next larger one that a network of so many bits is part of. */
static void count_in(struct networks *networks, const uint32_t address[4], unsigned bits,
                     uint8_t limit)
{
    for (int i = 0; i < SENTINEL_NETWORKS; i++) {
        if (SENTINEL_NETWORK_BITS(i) >= bits)
            continue;
        struct path_address key = networks_key(address, SENTINEL_NETWORK_BITS(i));
        struct tally *tally = tally_of(networks, &key);
        if (tally) {
            tally->count++;
            tally->limit = limit;
        }
        return;
    }
}

void networks_count(struct networks *networks, const struct path_address *key,
                    const struct sentinel_entry *entry)
{
    if (entry->kind != KIND_BLOCKED)
        return;
    int size = size_of(key->word);
    if (size >= 0)
        networks->present |= 1ull << size;
    struct prefix prefix = networks_prefix(key->word, networks->source_bits);
    if (!networks->most || networks->now >= entry->expires || prefix.family == AF_INET)
        return;
    uint32_t address[4];
    memcpy(address, prefix.address, sizeof(address));
    count_in(networks, address, prefix.bits, entry->limit);
    struct tally *own = size >= 0 ? tally_of(networks, key) : NULL;
    if (own)
        own->blocked = true;
}

/* --- blocking -------------------------------------------------------------------------- */

static bool block(const struct networks *networks, struct path *path,
                  const struct sentinel_policy *policy, const struct path_address *key,
                  uint8_t limit, struct sentinel_entry *entry)
{
    struct sentinel_entry old;
    uint64_t ttl = policy->ttl;
    if (path_get(path, key, &old) && networks->now - old.expires < policy->repeat_window)
        ttl = old.ttl * policy->ttl_backoff;
    ttl = ttl < policy->ttl_max ? ttl : policy->ttl_max;
    *entry = (struct sentinel_entry){ .expires = networks->now + ttl,
                                      .ttl = ttl,
                                      .created = networks->now,
                                      .bucket = networks->now,
                                      .kind = KIND_BLOCKED,
                                      .limit = limit };
    return path->state->blocks < policy->max_blocks && !path_put(path, key, entry);
}

void networks_end(struct networks *networks, struct path *path,
                  const struct sentinel_policy *policy,
                  void (*told)(const struct path_address *key,
                               const struct sentinel_entry *entry, void *user),
                  void *user)
{
    struct sentinel_entry entry;
    struct tally *tally = NULL;
    while (networks->tally && (tally = table_next(networks->tally, tally))) {
        const struct path_address *key = table_key(networks->tally, tally);
        if (tally->count <= networks->most || tally->blocked || policy->dry_run)
            continue;
        if (block(networks, path, policy, key, tally->limit, &entry)) {
            networks->present |= 1ull << size_of(key->word);
            told(key, &entry, user);
        } else
            path->state->insert_failed++;
    }
    __atomic_store_n(&path->state->networks, networks->present, __ATOMIC_RELAXED);
}

int networks_put(struct path *path, const struct prefix *prefix,
                 const struct sentinel_entry *entry)
{
    uint32_t address[4];
    memcpy(address, prefix->address, sizeof(address));
    for (int i = 0; i < SENTINEL_NETWORKS && prefix->family == AF_INET6; i++) {
        if (prefix->bits != SENTINEL_NETWORK_BITS(i))
            continue;
        struct path_address key = networks_key(address, SENTINEL_NETWORK_BITS(i));
        int error = path_put(path, &key, entry);
        if (!error)
            __atomic_fetch_or(&path->state->networks, 1ull << i, __ATOMIC_RELAXED);
        return error;
    }
    return -EINVAL;
}

bool networks_get(struct path *path, const struct prefix *prefix,
                  struct path_address *key, struct sentinel_entry *entry)
{
    uint32_t address[4];
    memcpy(address, prefix->address, sizeof(address));
    for (int i = 0; i < SENTINEL_NETWORKS && prefix->family == AF_INET6; i++) {
        *key = networks_key(address, SENTINEL_NETWORK_BITS(i));
        if (prefix->bits >= SENTINEL_NETWORK_BITS(i) && path_get(path, key, entry))
            return true;
    }
    return false;
}

struct sweep {
    struct path *path;
    struct prefix prefix;
};

static void sweep_one(const struct path_address *key, const void *value, void *user)
{
    const struct sentinel_entry *entry = value;
    struct sweep *sweep = user;
    struct prefix one = networks_prefix(key->word, 128);
    if (entry->kind == KIND_BLOCKED && one.bits >= sweep->prefix.bits &&
        prefix_contains(&sweep->prefix, one.family, one.address))
        path_remove(sweep->path, key);
}

/* With what is blocked in them, or they were again at once. */
bool networks_remove(struct path *path, const struct prefix *prefix)
{
    struct path_address key;
    struct sentinel_entry entry;
    bool found = false;
    while (networks_get(path, prefix, &key, &entry) && entry.kind == KIND_BLOCKED) {
        struct sweep sweep = { path, networks_prefix(key.word, 128) };
        path_remove(path, &key);
        path_entries(path, sweep_one, &sweep);
        found = true;
    }
    return found;
}

void networks_free(struct networks *networks)
{
    table_free(networks->tally);
    networks->tally = NULL;
}
