/* prefix_set: networks of IPv4 and IPv6 with a number each; the longest match wins.
 *
 *        ::ffff:0.0.0.0/96            a root, here that of IPv4
 *               |
 *           10.0.0.0/8                in the set
 *            /      \
 *     10.1.0.0/16   10.128.0.0/9      not in the set, but here two ways part
 *                     /      \
 *           10.160.0.0/16   10.200.1.0/24
 *
 * A binary trie with the paths compressed (Morrison: "PATRICIA", 1968). A node's prefix
 * contains those of its children, which differ in the bit behind it. A node that is not in
 * the set has two children, but for the roots, so there are fewer than two nodes a prefix.
 * Nodes are numbers in one array, which may move; 0, a root, stands for no child.
 */
#include "lib/prefix_set.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ROOT_IPV6, ROOT_IPV4, ROOTS };

#define MAPPED      0xffff00000000 /* the low half of ::ffff:0.0.0.0 */
#define MAPPED_BITS 96

/* An address as two numbers, zeros behind its bits. */
struct key {
    uint64_t high, low;
};

struct node {
    struct key key;
    uint32_t child[2]; /* of a free one: the next free one */
    uint32_t value;
    uint8_t bits;
    bool member;
};

struct prefix_set {
    struct node *nodes;
    uint32_t capacity, used; /* nodes that there is room for, that were ever used */
    uint32_t free;           /* a list; 0 ends it */
    uint32_t count[ROOTS];
};

/* --- keys ---------------------------------------------------------------------------- */

static struct key make_key(const uint8_t address[16])
{
    uint64_t halves[2];
    memcpy(halves, address, sizeof(halves));
    return (struct key){ be64toh(halves[0]), be64toh(halves[1]) };
}

static unsigned key_of_prefix(const struct prefix *prefix, struct key *key)
{
    uint8_t address[16];
    unsigned bits = prefix_mapped(prefix, address);
    *key = make_key(address);
    return bits;
}

static struct prefix prefix_of_node(const struct node *node)
{
    uint64_t halves[2] = { htobe64(node->key.high), htobe64(node->key.low) };
    uint8_t address[16];
    memcpy(address, halves, sizeof(address));
    return prefix_unmapped(address, node->bits);
}

static unsigned key_bit(struct key key, unsigned bit)
{
    return (bit < 64 ? key.high >> (63 - bit) : key.low >> (127 - bit)) & 1;
}

/* How many bits from the first on are the same in both. */
static unsigned common_bits(struct key a, struct key b)
{
    uint64_t high = a.high ^ b.high, low = a.low ^ b.low;
    if (high)
        return (unsigned)__builtin_clzll(high);
    return low ? 64 + (unsigned)__builtin_clzll(low) : 128;
}

/* The upper bits of a word, 0..64 of them. */
static uint64_t upper(unsigned bits)
{
    return bits ? ~(uint64_t)0 << (64 - bits) : 0;
}

static struct key key_cut(struct key key, unsigned bits)
{
    return bits < 64 ? (struct key){ key.high & upper(bits), 0 }
                     : (struct key){ key.high, key.low & upper(bits - 64) };
}

/* A shorter prefix than those of IPv4 has a zero there. */
static uint32_t root_of(struct key key)
{
    bool mapped = !key.high && key.low >> 32 == MAPPED >> 32;
    return mapped ? ROOT_IPV4 : ROOT_IPV6;
}

/* --- nodes --------------------------------------------------------------------------- */

/* Two nodes more, as many as an insertion takes. */
static bool reserve(struct prefix_set *set)
{
    if (set->used + 2 <= set->capacity)
        return true;
    uint32_t capacity = set->capacity ? 2 * set->capacity : 64;
    struct node *more = reallocarray(set->nodes, capacity, sizeof(*more));
    if (!more)
        return false;
    set->nodes = more;
    set->capacity = capacity;
    return true;
}

static uint32_t node_new(struct prefix_set *set, struct key key, unsigned bits)
{
    uint32_t index = set->free;
    if (index)
        set->free = set->nodes[index].child[0];
    else
        index = set->used++;
    set->nodes[index] = (struct node){ .key = key_cut(key, bits), .bits = (uint8_t)bits };
    return index;
}

static void node_free(struct prefix_set *set, uint32_t index)
{
    set->nodes[index] = (struct node){ .child = { set->free } };
    set->free = index;
}

/* --- the set ------------------------------------------------------------------------- */

struct prefix_set *prefix_set_new(void)
{
    struct prefix_set *set = calloc(1, sizeof(*set));
    if (!set || !reserve(set)) {
        free(set);
        return NULL;
    }
    node_new(set, (struct key){ 0 }, 0);
    node_new(set, (struct key){ .low = MAPPED }, MAPPED_BITS);
    return set;
}

void prefix_set_free(struct prefix_set *set)
{
    if (!set)
        return;
    free(set->nodes);
    free(set);
}

static void make_member(struct prefix_set *set, uint32_t index, uint32_t value)
{
    struct node *node = &set->nodes[index];
    set->count[root_of(node->key)] += !node->member;
    node->member = true;
    node->value = value;
}

/* The last node on the way to a prefix that contains it, or is it. */
static uint32_t closest(const struct prefix_set *set, struct key key, unsigned bits)
{
    uint32_t at = root_of(key);
    for (;;) {
        const struct node *node = &set->nodes[at];
        if (node->bits >= bits)
            return at;
        uint32_t child = node->child[key_bit(key, node->bits)];
        if (!child || set->nodes[child].bits > bits ||
            common_bits(set->nodes[child].key, key) < set->nodes[child].bits)
            return at;
        at = child;
    }
}

/* A node for a prefix below its closest one, which has no child on that way or one that
 * has to go below the new one or beside it. */
static uint32_t add_below(struct prefix_set *set, uint32_t parent, struct key key,
                          unsigned bits)
{
    unsigned side = key_bit(key, set->nodes[parent].bits);
    uint32_t child = set->nodes[parent].child[side];
    uint32_t added = node_new(set, key, bits), top = added;
    if (child) {
        struct key other = set->nodes[child].key;
        unsigned common = common_bits(other, key);
        if (common < bits) {
            top = node_new(set, key, common);
            set->nodes[top].child[key_bit(key, common)] = added;
        }
        set->nodes[top].child[key_bit(other, set->nodes[top].bits)] = child;
    }
    set->nodes[parent].child[side] = top;
    return added;
}

int prefix_set_insert(struct prefix_set *set, const struct prefix *prefix, uint32_t value)
{
    struct key key;
    unsigned bits = key_of_prefix(prefix, &key);
    uint32_t at = closest(set, key, bits);
    bool exact = set->nodes[at].bits == bits;
    bool member = exact && set->nodes[at].member;
    if (!member && set->count[root_of(key)] == PREFIX_SET_MAX)
        return -ENOSPC;
    if (!exact) {
        if (!reserve(set))
            return -ENOMEM;
        at = add_below(set, at, key, bits);
    }
    make_member(set, at, value);
    return 0;
}

/* Takes out a node that nothing needs: with no children, or one that takes its place. */
static bool splice(struct prefix_set *set, uint32_t parent, uint32_t index)
{
    struct node *node = &set->nodes[index];
    if (index < ROOTS || node->member || (node->child[0] && node->child[1]))
        return false;
    uint32_t *from = set->nodes[parent].child;
    from[from[1] == index] = node->child[0] | node->child[1];
    node_free(set, index);
    return true;
}

bool prefix_set_remove(struct prefix_set *set, const struct prefix *prefix)
{
    struct key key;
    unsigned bits = key_of_prefix(prefix, &key);
    uint32_t at = root_of(key), parent = at, above = at;
    if (!prefix_set_find(set, prefix, NULL))
        return false;
    set->count[at]--;
    while (set->nodes[at].bits < bits) {
        above = parent;
        parent = at;
        at = set->nodes[at].child[key_bit(key, set->nodes[at].bits)];
    }
    set->nodes[at].member = false;
    if (splice(set, parent, at))
        splice(set, above, parent);
    return true;
}

bool prefix_set_find(const struct prefix_set *set, const struct prefix *prefix,
                     uint32_t *value)
{
    struct key key;
    unsigned bits = key_of_prefix(prefix, &key);
    const struct node *node = &set->nodes[closest(set, key, bits)];
    if (node->bits != bits || !node->member)
        return false;
    if (value)
        *value = node->value;
    return true;
}

bool prefix_set_match(const struct prefix_set *set, const uint8_t address[16],
                      struct prefix *matched, uint32_t *value)
{
    struct key key = make_key(address);
    const struct node *best = NULL, *node = &set->nodes[root_of(key)];
    uint32_t child;
    do {
        if (common_bits(node->key, key) < node->bits)
            break;
        if (node->member)
            best = node;
        child = node->bits < 128 ? node->child[key_bit(key, node->bits)] : 0;
        node = &set->nodes[child];
    } while (child);
    if (best && matched)
        *matched = prefix_of_node(best);
    if (best && value)
        *value = best->value;
    return best;
}

bool prefix_set_match_family(const struct prefix_set *set, int family,
                             const void *address, struct prefix *matched, uint32_t *value)
{
    struct prefix host = { .family = family };
    uint8_t mapped[16];
    memcpy(host.address, address, prefix_size(&host));
    host.bits = (uint8_t)(8 * prefix_size(&host));
    prefix_mapped(&host, mapped);
    return prefix_set_match(set, mapped, matched, value);
}

bool prefix_set_next(const struct prefix_set *set, uint32_t *cursor,
                     struct prefix *prefix, uint32_t *value)
{
    while (*cursor < set->used) {
        const struct node *node = &set->nodes[(*cursor)++];
        if (!node->member)
            continue;
        *prefix = prefix_of_node(node);
        if (value)
            *value = node->value;
        return true;
    }
    return false;
}

uint32_t prefix_set_count(const struct prefix_set *set, int family)
{
    return set->count[family == AF_INET ? ROOT_IPV4 : ROOT_IPV6];
}
