/* mapping: which outside endpoint stands for which inside one (RFC 4787, 4). */
#include "apps/nat/mapping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"

#define PROBES 256 /* ports tried at most; 95 % in use leave 2 misses in a million */

enum { INSIDE, OUTSIDE };

int mappings_make(struct nat_mappings *m, uint32_t max, uint16_t low, uint16_t high,
                  uint64_t seed, const char *name)
{
    struct random_key key = random_key(seed, name, "nat table");
    uint32_t buckets = 1;
    while (buckets < max)
        buckets *= 2;
    m->list = calloc(max + 1u, sizeof(*m->list));
    m->buckets[INSIDE] = calloc(buckets, sizeof(uint32_t));
    m->buckets[OUTSIDE] = calloc(buckets, sizeof(uint32_t));
    m->max = max;
    m->mask = buckets - 1;
    m->fresh = 1;
    m->low = low;
    m->high = high;
    m->key = random_draw(&key, 0);
    m->random = random_key(seed, name, "nat port");
    return m->list && m->buckets[INSIDE] && m->buckets[OUTSIDE] ? 0 : -ENOMEM;
}

void mappings_free(struct nat_mappings *m)
{
    free(m->list);
    free(m->buckets[INSIDE]);
    free(m->buckets[OUTSIDE]);
    *m = (struct nat_mappings){ 0 };
}

/* --- two hash tables ----------------------------------------------------------------- */

static struct nat_endpoint *end_of(struct nat_mapping *mapping, int table)
{
    return table == INSIDE ? &mapping->inside : &mapping->outside;
}

static uint32_t *bucket_of(struct nat_mappings *m, int table,
                           const struct nat_endpoint *end)
{
    uint64_t hash =
        hash_bytes(m->key + (uint64_t)table, (const uint8_t *)end, sizeof(*end));
    return &m->buckets[table][hash >> 32 & m->mask];
}

static void chain(struct nat_mappings *m, int table, uint32_t place)
{
    uint32_t *bucket = bucket_of(m, table, end_of(&m->list[place], table));
    m->list[place].next[table] = *bucket;
    *bucket = place;
}

static void unchain(struct nat_mappings *m, int table, uint32_t place)
{
    uint32_t *at = bucket_of(m, table, end_of(&m->list[place], table));
    while (*at != place)
        at = &m->list[*at].next[table];
    *at = m->list[place].next[table];
}

/* Forgotten ones too; 0: none. */
static uint32_t find(struct nat_mappings *m, int table, const struct nat_endpoint *end)
{
    uint32_t place = *bucket_of(m, table, end);
    while (place && memcmp(end_of(&m->list[place], table), end, sizeof(*end)))
        place = m->list[place].next[table];
    return place;
}

static bool is_forgotten(const struct nat_mappings *m, uint32_t place)
{
    return m->list[place].generation != m->generation;
}

static struct nat_mapping *look_up(struct nat_mappings *m, int table,
                                   const struct nat_endpoint *end)
{
    uint32_t place = find(m, table, end);
    return place && !is_forgotten(m, place) ? &m->list[place] : NULL;
}

struct nat_mapping *mappings_inside(struct nat_mappings *m,
                                    const struct nat_endpoint *inside)
{
    return look_up(m, INSIDE, inside);
}

struct nat_mapping *mappings_outside(struct nat_mappings *m,
                                     const struct nat_endpoint *outside)
{
    return look_up(m, OUTSIDE, outside);
}

/* --- by age -------------------------------------------------------------------------- */

static void age_remove(struct nat_mappings *m, struct nat_mapping *mapping)
{
    struct nat_age *age = &m->ages[mapping->life];
    *(mapping->older ? &m->list[mapping->older].newer : &age->oldest) = mapping->newer;
    *(mapping->newer ? &m->list[mapping->newer].older : &age->newest) = mapping->older;
}

static void age_add(struct nat_mappings *m, struct nat_mapping *mapping,
                    enum nat_life life, uint64_t now)
{
    struct nat_age *age = &m->ages[life];
    uint32_t place = (uint32_t)(mapping - m->list);
    mapping->life = (uint8_t)life;
    mapping->used = now;
    mapping->older = age->newest;
    mapping->newer = 0;
    *(age->newest ? &m->list[age->newest].newer : &age->oldest) = place;
    age->newest = place;
}

void mappings_refresh(struct nat_mappings *m, struct nat_mapping *mapping,
                      enum nat_life life, uint64_t now)
{
    age_remove(m, mapping);
    age_add(m, mapping, life, now);
}

static void discard(struct nat_mappings *m, uint32_t place)
{
    struct nat_mapping *mapping = &m->list[place];
    m->count -= !is_forgotten(m, place);
    age_remove(m, mapping);
    unchain(m, INSIDE, place);
    unchain(m, OUTSIDE, place);
    mapping->next[INSIDE] = m->unused;
    m->unused = place;
}

uint64_t mappings_expire(struct nat_mappings *m, const uint64_t timeouts[LIVES],
                         uint64_t now)
{
    uint64_t before = m->count;
    for (int life = 0; life < LIVES; life++)
        for (uint32_t place; (place = m->ages[life].oldest) &&
                             now - m->list[place].used >= timeouts[life];)
            discard(m, place);
    return before - m->count;
}

uint64_t mappings_forget(struct nat_mappings *m)
{
    uint64_t count = m->count;
    m->generation++;
    m->count = 0;
    return count;
}

/* --- new ones ------------------------------------------------------------------------ */

/* A place; 0: all are taken. What is forgotten is older than what is not. */
static uint32_t take_place(struct nat_mappings *m)
{
    for (int life = 0; life < LIVES && !m->unused && m->fresh > m->max; life++)
        if (m->ages[life].oldest && is_forgotten(m, m->ages[life].oldest))
            discard(m, m->ages[life].oldest);
    if (!m->unused)
        return m->fresh <= m->max ? m->fresh++ : 0;
    uint32_t place = m->unused;
    m->unused = m->list[place].next[INSIDE];
    return place;
}

/* Completes outside with a port that nobody has; a forgotten one of another host's when there
 * is no such, own's when there is none of these either. */
static bool take_port(struct nat_mappings *m, struct nat_endpoint *outside, uint32_t own)
{
    uint32_t range = m->high - m->low + 1u, tries = range < PROBES ? range : PROBES;
    uint64_t draw = random_draw(&m->random, m->draws++);
    uint32_t second = 0;
    for (uint32_t i = 0; i < tries; i++) {
        if (i && range > PROBES)
            draw = random_draw(&m->random, m->draws++);
        uint32_t offset = (uint32_t)(((unsigned __int128)draw * range >> 64) +
                                     (range > PROBES ? 0 : i)) %
                          range;
        frame_put16((uint8_t *)&outside->port, m->low + offset);
        uint32_t holder = find(m, OUTSIDE, outside);
        if (!holder)
            return true;
        if (is_forgotten(m, holder) && (!second || second == own))
            second = holder;
    }
    if (!second)
        return false;
    outside->port = m->list[second].outside.port;
    if (second != own)
        discard(m, second);
    return true;
}

struct nat_mapping *mappings_add(struct nat_mappings *m,
                                 const struct nat_endpoint *inside,
                                 struct nat_endpoint outside, enum nat_life life,
                                 uint64_t now, enum nat_refusal *refusal)
{
    uint32_t own = find(m, INSIDE, inside); /* forgotten */
    *refusal = NAT_NO_PORT;
    if (!take_port(m, &outside, own))
        return NULL;
    if (own)
        discard(m, own);
    uint32_t place = take_place(m);
    *refusal = NAT_NO_ROOM;
    if (!place)
        return NULL;
    struct nat_mapping *mapping = &m->list[place];
    *mapping = (struct nat_mapping){ .inside = *inside,
                                     .outside = outside,
                                     .serial = ++m->serial,
                                     .generation = m->generation };
    chain(m, INSIDE, place);
    chain(m, OUTSIDE, place);
    age_add(m, mapping, life, now);
    m->count++;
    return mapping;
}
