/* mirror: the rows that Redis should have, and what is known of those that it has. */
#include "apps/neigh_sync/mirror.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/table.h"

/* A row's key in its table. */
struct key {
    uint64_t port; /* its address: ports stay where they are */
    uint64_t family;
    uint8_t address[16];
};

/* ... and of one that went, whose interface may have gone as well. */
struct gone {
    char name[INTERFACE_NAME_SIZE];
    uint64_t family;
    uint8_t address[16];
};

struct mirror *mirror_new(uint32_t rows, uint32_t ports)
{
    struct siphash_key seed;
    struct mirror *mirror = calloc(1, sizeof(*mirror));
    if (!mirror || getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
        free(mirror);
        return NULL;
    }
    mirror->fresh = HAVE_FOREIGN;
    mirror->capacity = rows;
    mirror->port_capacity = ports;
    mirror->rows = table_new(sizeof(struct key), sizeof(struct mirror_row), rows, &seed,
                             TABLE_REFUSE);
    mirror->ports = table_new(INTERFACE_NAME_SIZE, sizeof(struct mirror_port), ports,
                              &seed, TABLE_REFUSE);
    mirror->gone =
        table_new(sizeof(struct gone), sizeof(uint64_t), rows, &seed, TABLE_LRU);
    if (mirror->rows && mirror->ports && mirror->gone)
        return mirror;
    mirror_free(mirror);
    return NULL;
}

void mirror_free(struct mirror *mirror)
{
    if (!mirror)
        return;
    table_free(mirror->rows);
    table_free(mirror->ports);
    table_free(mirror->gone);
    free(mirror);
}

/* --- interfaces -------------------------------------------------------------------------- */

struct mirror_port *mirror_port(struct mirror *mirror, const char *name)
{
    char key[INTERFACE_NAME_SIZE] = { 0 };
    strncpy(key, name, sizeof(key) - 1);
    struct mirror_port *port = table_insert(mirror->ports, key);
    if (port)
        memcpy(port->name, key, sizeof(key));
    else
        mirror->full++;
    return port;
}

void mirror_port_forget(struct mirror *mirror, struct mirror_port *port)
{
    char key[INTERFACE_NAME_SIZE];
    if (port->rows || port->index || port->link_local || port->pins)
        return;
    memcpy(key, port->name, sizeof(key));
    table_remove(mirror->ports, key);
}

/* --- what waits ---------------------------------------------------------------------------- */

bool mirror_differs(const struct mirror_side *side)
{
    if (!side->want)
        return side->have != HAVE_NOTHING;
    return side->have != HAVE_ROW || memcmp(side->mac, side->had, sizeof(side->mac));
}

static bool row_differs(const struct mirror_row *row)
{
    return mirror_differs(&row->side[SIDE_NEIGHBOUR]) ||
           mirror_differs(&row->side[SIDE_FAILED]);
}

static struct gone gone_of(const char *name, uint8_t family, const uint8_t *address)
{
    struct gone gone = { .family = family };
    memcpy(gone.name, name, strnlen(name, sizeof(gone.name) - 1));
    memcpy(gone.address, address, family == AF_INET ? 4 : 16);
    return gone;
}

static void release(struct mirror *mirror, struct mirror_row *row)
{
    struct mirror_port *port = row->port;
    struct mirror_row *next = row->port_next, *before = row->port_before;
    struct key key;
    struct gone gone = gone_of(port->name, row->family, row->address);
    if (row->ours)
        table_insert(mirror->gone, &gone);
    if (next)
        next->port_before = before;
    if (before)
        before->port_next = next;
    else
        port->first = next;
    port->rows--;
    memcpy(&key, table_key(mirror->rows, row), sizeof(key));
    table_remove(mirror->rows, &key);
    mirror_port_forget(mirror, port);
}

static void wait_for_redis(struct mirror *mirror, struct mirror_row *row, uint64_t now)
{
    row->waits = true;
    row->since = now;
    row->waiting_next = NULL;
    if (mirror->first)
        mirror->last->waiting_next = row;
    else
        mirror->first = row;
    mirror->last = row;
    mirror->waiting++;
}

struct mirror_row *mirror_next(struct mirror *mirror)
{
    struct mirror_row *row = mirror->first;
    if (!row)
        return NULL;
    mirror->first = row->waiting_next;
    mirror->waiting--;
    row->waits = false;
    return row;
}

bool mirror_settle(struct mirror *mirror, struct mirror_row *row, uint64_t now)
{
    if (!row->waits && row_differs(row))
        wait_for_redis(mirror, row, now);
    /* While a round lasts, what an event deleted must not come back by the round's row. */
    bool remembered = mirror->in_round && row->event_round == mirror->round;
    bool wanted = row->side[SIDE_NEIGHBOUR].want || row->side[SIDE_FAILED].want;
    if (row->waits || wanted || row->in_flight || remembered)
        return row->waits;
    release(mirror, row);
    return false;
}

/* --- rows ------------------------------------------------------------------------------------ */

static struct key key_of(const struct mirror_port *port, uint8_t family,
                         const uint8_t *address)
{
    struct key key = { .port = (uintptr_t)port, .family = family };
    memcpy(key.address, address, family == AF_INET ? 4 : 16);
    return key;
}

struct mirror_row *mirror_row(struct mirror *mirror, struct mirror_port *port,
                              uint8_t family, const uint8_t *address)
{
    struct key key = key_of(port, family, address);
    return table_find(mirror->rows, &key);
}

/* Rows that are not wanted and were never ours: to delete them is courtesy. */
static void drop_courtesies(struct mirror *mirror)
{
    uint32_t looked = mirror->waiting, before = table_count(mirror->rows);
    for (uint32_t n = looked; n; n--) {
        struct mirror_row *row = mirror_next(mirror);
        struct mirror_side *side = row->side;
        if (!side->want && side->have == HAVE_FOREIGN && !row->in_flight)
            side->have = HAVE_NOTHING;
        mirror_settle(mirror, row, row->since);
    }
    mirror->owed = looked - (before - table_count(mirror->rows));
}

struct mirror_row *mirror_make(struct mirror *mirror, struct mirror_port *port,
                               uint8_t family, const uint8_t *address)
{
    struct key key = key_of(port, family, address);
    uint32_t before = table_count(mirror->rows);
    struct mirror_row *row = table_insert(mirror->rows, &key);
    bool pays = mirror->owed && (!row || before != table_count(mirror->rows));
    mirror->owed -= pays;
    if (!row && !pays) {
        port->pins++; /* its last row may go */
        drop_courtesies(mirror);
        port->pins--;
        before = table_count(mirror->rows);
        row = table_insert(mirror->rows, &key);
    }
    if (!row) {
        mirror->full++;
        return NULL;
    }
    if (before == table_count(mirror->rows))
        return row;
    row->port = port;
    row->family = family;
    memcpy(row->address, key.address, sizeof(row->address));
    row->side[SIDE_NEIGHBOUR].have = mirror->fresh;
    row->port_next = port->first;
    if (port->first)
        port->first->port_before = row;
    port->first = row;
    port->rows++;
    return row;
}

void mirror_want(struct mirror_row *row, unsigned side, const uint8_t *mac)
{
    row->side[side].want = mac;
    if (mac)
        memcpy(row->side[side].mac, mac, sizeof(row->side[side].mac));
}

void mirror_had(struct mirror_row *row, unsigned side, enum have have, const uint8_t *mac)
{
    row->side[side].have = (uint8_t)have;
    row->ours |= have == HAVE_ROW;
    if (have == HAVE_ROW)
        memcpy(row->side[side].had, mac, sizeof(row->side[side].had));
}

static void unwant(struct mirror *mirror, struct mirror_row *row, uint64_t now)
{
    row->side[SIDE_NEIGHBOUR].want = row->side[SIDE_FAILED].want = false;
    mirror_settle(mirror, row, now);
}

void mirror_clear_port(struct mirror *mirror, struct mirror_port *port, uint64_t now)
{
    uint32_t rows = port->rows; /* the last one may take the port along */
    struct mirror_row *next, *row = port->first;
    for (; rows--; row = next) {
        next = row->port_next;
        row->event_round = mirror->round;
        unwant(mirror, row, now);
    }
}

struct mirror_row *mirror_next_row(const struct mirror *mirror,
                                   const struct mirror_row *row)
{
    return table_next(mirror->rows, row);
}

uint32_t mirror_count(const struct mirror *mirror)
{
    return table_count(mirror->rows);
}

bool mirror_has_room(const struct mirror *mirror)
{
    return mirror_count(mirror) < mirror->capacity - mirror->capacity / 8 &&
           table_count(mirror->ports) < mirror->port_capacity;
}

/* --- rounds ---------------------------------------------------------------------------------- */

void mirror_begin(struct mirror *mirror)
{
    mirror->round++;
    mirror->in_round = true;
}

void mirror_complete(struct mirror *mirror, uint64_t now)
{
    struct mirror_row *row = NULL;
    mirror->in_round = false;
    while ((row = table_next(mirror->rows, row))) {
        if (row->round != mirror->round)
            unwant(mirror, row, now);
        else
            mirror_settle(mirror, row, now);
    }
}

void mirror_distrust(struct mirror *mirror, uint64_t now)
{
    struct mirror_row *row = NULL;
    while ((row = table_next(mirror->rows, row))) {
        for (unsigned i = 0; i < MIRROR_SIDES; i++)
            if (row->side[i].have == HAVE_ROW)
                row->side[i].have = HAVE_UNKNOWN;
        mirror_settle(mirror, row, now);
    }
}

/* The row that Redis has, if it is there, or was, and ours. */
static struct mirror_row *row_of_ours(struct mirror *mirror, const char *name,
                                      uint8_t family, const uint8_t *address)
{
    struct gone gone = gone_of(name, family, address);
    bool went = table_find(mirror->gone, &gone);
    struct mirror_port *port = table_find(mirror->ports, gone.name);
    struct mirror_row *row = port ? mirror_row(mirror, port, family, address) : NULL;
    if (row || !went)
        return row && (row->ours || went) ? row : NULL;
    port = mirror_port(mirror, name);
    row = port ? mirror_make(mirror, port, family, address) : NULL;
    if (row)
        mirror_had(row, SIDE_NEIGHBOUR, HAVE_NOTHING, NULL);
    else if (port)
        mirror_port_forget(mirror, port);
    return row;
}

void mirror_found(struct mirror *mirror, unsigned side, const char *name, uint8_t family,
                  const uint8_t *address, uint64_t now)
{
    struct mirror_row *row = row_of_ours(mirror, name, family, address);
    if (!row)
        return;
    if (!row->side[side].want && row->side[side].have == HAVE_NOTHING)
        row->side[side].have = HAVE_UNKNOWN;
    mirror_settle(mirror, row, now);
}
