/* fragments: where the fragments of a packet go: where its first one went. */
#include "apps/vxlan_nat/fragments.h"

#include <stdlib.h>
#include <string.h>

#include "lib/table.h"

#define NO_TUNNEL 0xffffffff

struct fragment_key {
    uint32_t vni, id, src[4], dst[4];
    uint64_t protocol;
};

struct fragment {
    struct vxlan_flow flow;
    uint64_t until;
};

struct early {
    struct vxlan_seen seen;
    struct fragment_key key;
    uint64_t until;
};

struct fragments {
    struct table *known;
    uint32_t held;
    struct early early[FRAGMENTS_HELD]; /* in the order in which they came */
};

struct fragments *fragments_new(const struct siphash_key *seed)
{
    struct fragments *fragments = calloc(1, sizeof(*fragments));
    if (fragments)
        fragments->known = table_new(sizeof(struct fragment_key), sizeof(struct fragment),
                                     FRAGMENTS, seed, TABLE_LRU);
    if (fragments && fragments->known)
        return fragments;
    free(fragments);
    return NULL;
}

void fragments_free(struct fragments *fragments)
{
    if (!fragments)
        return;
    for (uint32_t i = 0; i < fragments->held; i++)
        packet_free(fragments->early[i].seen.p);
    table_free(fragments->known);
    free(fragments);
}

/* RFC 791, 3.2; RFC 8200, 4.5: of IPv6 the protocol is no part of it, which only the first one may
 * know. */
static struct fragment_key key_of(const struct vxlan_seen *seen)
{
    const struct vxlan_frame *f = &seen->f;
    struct fragment_key key = { .vni = seen->back ? NO_TUNNEL : f->vni,
                                .id = f->id,
                                .protocol = f->family == 4 ? f->protocol : 0 };
    memcpy(key.src, f->src, sizeof(key.src));
    memcpy(key.dst, f->dst, sizeof(key.dst));
    return key;
}

struct vxlan_flow *fragments_find(struct fragments *fragments,
                                  const struct vxlan_seen *seen, uint64_t now)
{
    struct fragment_key key = key_of(seen);
    struct fragment *fragment = table_find(fragments->known, &key);
    return fragment && now < fragment->until ? &fragment->flow : NULL;
}

void fragments_put(struct fragments *fragments, const struct vxlan_seen *seen,
                   const struct vxlan_flow *flow, uint64_t now)
{
    struct fragment_key key = key_of(seen);
    struct fragment *fragment = table_insert(fragments->known, &key);
    if (fragment)
        *fragment = (struct fragment){ *flow, now + FRAGMENTS_TIME };
}

/* --- those that are early ---------------------------------------------------------------- */

static void remove_early(struct fragments *fragments, uint32_t i, struct vxlan_seen *held)
{
    *held = fragments->early[i].seen;
    fragments->held--;
    memmove(&fragments->early[i], &fragments->early[i + 1],
            (fragments->held - i) * sizeof(fragments->early[0]));
}

bool fragments_hold(struct fragments *fragments, const struct vxlan_seen *seen,
                    uint64_t now)
{
    struct fragment_key key = key_of(seen);
    uint32_t same = 0;
    for (uint32_t i = 0; i < fragments->held; i++)
        same += !memcmp(&fragments->early[i].key, &key, sizeof(key));
    if (fragments->held == FRAGMENTS_HELD || same == FRAGMENTS_HELD_EACH)
        return false;
    fragments->early[fragments->held++] =
        (struct early){ *seen, key, now + FRAGMENTS_PATIENCE };
    return true;
}

bool fragments_release(struct fragments *fragments, const struct vxlan_seen *first,
                       struct vxlan_seen *held)
{
    if (!fragments->held)
        return false;
    struct fragment_key key = key_of(first);
    for (uint32_t i = 0; i < fragments->held; i++)
        if (!memcmp(&fragments->early[i].key, &key, sizeof(key))) {
            remove_early(fragments, i, held);
            return true;
        }
    return false;
}

bool fragments_expire(struct fragments *fragments, uint64_t now, struct vxlan_seen *held)
{
    if (!fragments->held || now < fragments->early[0].until)
        return false;
    remove_early(fragments, 0, held);
    return true;
}

void fragments_each(struct fragments *fragments, uint64_t now,
                    void (*each)(const struct vxlan_flow *flow, void *user), void *user)
{
    struct fragment *fragment = NULL;
    while ((fragment = table_next(fragments->known, fragment)))
        if (now < fragment->until)
            each(&fragment->flow, user);
}

uint32_t fragments_held(const struct fragments *fragments)
{
    return fragments->held;
}
