/* route_set: the routes of one interface.
 *
 *     10.0.0.0/8 --> row (metric 0) --> row (metric 100) --> row (metric 100, another gateway)
 *
 * A prefix of the prefix set has the number of its first row, which is the one that counts; the
 * others follow in the order in which they would take its place. Rows are numbers in one array,
 * which may move; 0 is none.
 */
#include "lib/route_set.h"

#include <stdlib.h>
#include <string.h>

#include "lib/prefix_set.h"

#define ROWS_FIRST 16

struct row {
    uint32_t next; /* of a free one: the next free one */
    uint32_t metric;
    uint32_t round;
    uint8_t gateway[16];
};

struct route_set {
    struct prefix_set *prefixes;
    struct row *rows;
    uint32_t most, room, used, free; /* room counts the row 0, used does, most does not */
    uint32_t round;
    uint64_t refused;
};

/* --- rows ------------------------------------------------------------------------------ */

static uint32_t take_row(struct route_set *set)
{
    uint32_t row = set->free;
    if (row) {
        set->free = set->rows[row].next;
        return row;
    }
    if (set->used > set->most)
        return 0;
    if (set->used == set->room) {
        struct row *larger =
            reallocarray(set->rows, 2 * (size_t)set->room, sizeof(*larger));
        if (!larger)
            return 0;
        set->rows = larger;
        set->room *= 2;
    }
    return set->used++;
}

static void give_row(struct route_set *set, uint32_t row)
{
    set->rows[row].next = set->free;
    set->free = row;
}

static bool has_gateway(const struct row *row, const uint8_t *gateway)
{
    return !gateway || !memcmp(row->gateway, gateway, sizeof(row->gateway));
}

/* --- what goes --------------------------------------------------------------------------- */

struct doomed {
    bool old; /* what was not added in this round, or else by the rest */
    uint32_t metric;
    const uint8_t *gateway; /* or NULL */
};

static bool is_doomed(const struct route_set *set, const struct row *row,
                      const struct doomed *doomed)
{
    if (doomed->old)
        return row->round != set->round;
    return row->metric == doomed->metric && has_gateway(row, doomed->gateway);
}

static bool remove_rows(struct route_set *set, const struct prefix *prefix,
                        uint32_t first, const struct doomed *doomed)
{
    uint32_t head = first, row;
    bool changed = false;
    for (uint32_t *link = &head; (row = *link);) {
        if (is_doomed(set, &set->rows[row], doomed)) {
            *link = set->rows[row].next;
            give_row(set, row);
            changed = true;
        } else {
            link = &set->rows[row].next;
        }
    }
    if (!head)
        prefix_set_remove(set->prefixes, prefix);
    else if (head != first)
        prefix_set_insert(set->prefixes, prefix,
                          head); /* it is there: no memory is needed */
    return changed;
}

bool route_set_remove(struct route_set *set, const struct prefix *prefix, uint32_t metric,
                      const uint8_t *gateway)
{
    const struct doomed doomed = { .metric = metric, .gateway = gateway };
    uint32_t first;
    return prefix_set_find(set->prefixes, prefix, &first) &&
           remove_rows(set, prefix, first, &doomed);
}

bool route_set_end(struct route_set *set)
{
    const struct doomed doomed = { .old = true };
    struct prefix prefix;
    uint32_t cursor = 0, first;
    bool changed = false;
    while (prefix_set_next(set->prefixes, &cursor, &prefix, &first))
        changed |= remove_rows(set, &prefix, first, &doomed);
    return changed;
}

void route_set_begin(struct route_set *set)
{
    set->round++;
}

bool route_set_clear(struct route_set *set)
{
    route_set_begin(set);
    return route_set_end(set);
}

/* --- what comes -------------------------------------------------------------------------- */

static uint32_t find_row(const struct route_set *set, uint32_t head, uint32_t metric,
                         const uint8_t *gateway)
{
    uint32_t row = head;
    while (row &&
           !(set->rows[row].metric == metric && has_gateway(&set->rows[row], gateway)))
        row = set->rows[row].next;
    return row;
}

/* Into the list that begins with head; returns with what it begins then. */
static uint32_t put_row(struct route_set *set, uint32_t head, uint32_t row, bool last)
{
    uint32_t metric = set->rows[row].metric, *link = &head;
    while (*link && (set->rows[*link].metric < metric ||
                     (last && set->rows[*link].metric == metric)))
        link = &set->rows[*link].next;
    set->rows[row].next = *link;
    *link = row;
    return head;
}

bool route_set_add(struct route_set *set, const struct prefix *prefix, uint32_t metric,
                   const uint8_t gateway[16], bool last)
{
    uint32_t head = 0, first;
    prefix_set_find(set->prefixes, prefix, &head);
    uint32_t row = find_row(set, head, metric, gateway);
    if (row) {
        set->rows[row].round = set->round;
        return false;
    }
    if (!(row = take_row(set))) {
        set->refused++;
        return false;
    }
    set->rows[row] = (struct row){ .metric = metric, .round = set->round };
    memcpy(set->rows[row].gateway, gateway, sizeof(set->rows[row].gateway));
    first = put_row(set, head, row, last);
    if (first != head && prefix_set_insert(set->prefixes, prefix, first)) {
        give_row(set, row); /* it is the first: head is as it was */
        set->refused++;
        return false;
    }
    return true;
}

/* --- the rest ---------------------------------------------------------------------------- */

const uint8_t *route_set_match(const struct route_set *set, const uint8_t address[16])
{
    uint32_t row;
    return prefix_set_match(set->prefixes, address, NULL, &row) ? set->rows[row].gateway
                                                                : NULL;
}

uint64_t route_set_refused(const struct route_set *set)
{
    return set->refused;
}

struct route_set *route_set_new(uint32_t most)
{
    struct route_set *set = calloc(1, sizeof(*set));
    if (!set)
        return NULL;
    *set = (struct route_set){ .most = most, .room = ROWS_FIRST, .used = 1 };
    set->rows = calloc(set->room, sizeof(*set->rows));
    set->prefixes = prefix_set_new();
    if (set->rows && set->prefixes)
        return set;
    route_set_free(set);
    return NULL;
}

void route_set_free(struct route_set *set)
{
    if (!set)
        return;
    prefix_set_free(set->prefixes);
    free(set->rows);
    free(set);
}
