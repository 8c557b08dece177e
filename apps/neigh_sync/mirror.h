/* mirror: the rows that Redis should have, and what is known of those that it has.
 *
 *   mirror_new, mirror_free
 *   mirror_port          the interface of a name: rows are by name, as in Redis
 *   mirror_port_forget   one that is of no use any more
 *   mirror_row           the row of an address on an interface
 *   mirror_make          ... which is made when there is none
 *   mirror_want          what the kernel says: such a MAC address, or none
 *   mirror_had           what Redis turned out to have
 *   mirror_settle        ... compared: the row waits for Redis, or is over
 *   mirror_clear_port    an interface has no neighbours any more
 *   mirror_begin, mirror_complete     a round of everything the kernel has
 *   mirror_next          the row that waits longest for Redis to be told
 *   mirror_distrust      Redis may be another, or have forgotten
 *   mirror_found         ... or have a row that it should not have any more
 *   mirror_next_row      every row in turn
 *
 *      kernel --> want                      have --> Redis
 *                   \__ differ: it waits __/
 *
 * Whoever changes either side compares, so what waits is a set of rows, not a list of events: a
 * hundred changes of one neighbour are one command, and while Redis is away nothing grows but by
 * neighbours. A row goes when both sides are nothing. Memory is bounded by the capacity. When
 * it is reached, neighbours are left out (mirror->full tells how often), and a later round finds
 * them.
 *
 * The last rows of ours that went are remembered, as many as there is room for: when Redis turns
 * out to have one of those after all, it is to go once more. A row that was never ours stays.
 *
 * Rows that the kernel did not tell of in a complete round are not wanted any more. One that an
 * event told of in the round is newer than what the round's rows say of it (by_event).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/interface.h"

struct mirror_row;
struct table;

/* What Redis has of a row, as far as it is known. */
enum have {
    HAVE_NOTHING,
    HAVE_ROW,
    HAVE_FOREIGN, /* it may have one, which is not ours */
    HAVE_UNKNOWN, /* we wrote, and nobody said that it arrived */
};

struct mirror_port {
    char name[INTERFACE_NAME_SIZE];
    uint32_t index;  /* 0: there is no such interface now */
    uint32_t master; /* index of the interface that it is part of */
    bool link_local; /* CONFIG_DB wants IPv6 link-local neighbours */
    uint32_t rows;
    uint32_t pins; /* why it stays: questions to CONFIG_DB, and who uses it just now */
    struct mirror_row *first;
};

/* One of the two tables' view of a row. */
struct mirror_side {
    bool want;
    uint8_t have; /* enum have */
    uint8_t mac[6], had[6];
};

enum { SIDE_NEIGHBOUR, SIDE_FAILED, MIRROR_SIDES };

struct mirror_row {
    struct mirror_port *port;
    struct mirror_row *port_next, *port_before, *waiting_next;
    struct mirror_side side[MIRROR_SIDES];
    uint64_t since; /* ns: what waits came then */
    uint32_t round, event_round;
    uint32_t in_flight; /* commands that Redis has not answered */
    uint8_t family;     /* AF_INET, AF_INET6 */
    bool waits;
    bool ours;   /* Redis has or had it from us */
    bool remote; /* EVPN told of it */
    uint8_t address[16];
};

struct mirror {
    struct table *rows, *ports;
    struct table *gone;              /* rows of ours that went */
    struct mirror_row *first, *last; /* waiting */
    uint32_t waiting;
    uint32_t owed; /* new rows until room is looked for again: as many as were in vain */
    uint32_t round;
    bool in_round;
    uint8_t fresh; /* enum have of a new row */
    uint64_t full; /* times a row or port had no room; the reader clears it */
    uint32_t capacity, port_capacity;
};

/* NULL: out of memory. */
struct mirror *mirror_new(uint32_t rows, uint32_t ports);
void mirror_free(struct mirror *mirror); /* or NULL */

/* Found, or made; NULL when there is no room. */
struct mirror_port *mirror_port(struct mirror *mirror, const char *name);

/* Frees it when it has no rows, no interface, no setting, no question. */
void mirror_port_forget(struct mirror *mirror, struct mirror_port *port);

/* NULL when there is none; when there is no room. address: 4 or 16 bytes. */
struct mirror_row *mirror_row(struct mirror *mirror, struct mirror_port *port,
                              uint8_t family, const uint8_t *address);
struct mirror_row *mirror_make(struct mirror *mirror, struct mirror_port *port,
                               uint8_t family, const uint8_t *address);

/* mac NULL: it wants none, or nothing of the second table, which has no MAC addresses. To be
 * settled. */
void mirror_want(struct mirror_row *row, unsigned side, const uint8_t *mac);
/* mac: of HAVE_ROW. To be settled. */
void mirror_had(struct mirror_row *row, unsigned side, enum have have,
                const uint8_t *mac);

/* Puts the row among those that wait when its sides differ, since now, and frees it when they
 * are both nothing: the caller forgets it. True when it waits. */
bool mirror_settle(struct mirror *mirror, struct mirror_row *row, uint64_t now);

void mirror_clear_port(struct mirror *mirror, struct mirror_port *port, uint64_t now);

void mirror_begin(struct mirror *mirror);
void mirror_complete(struct mirror *mirror, uint64_t now);

/* Takes it out of those that wait; NULL when none does. It is to be settled. */
struct mirror_row *mirror_next(struct mirror *mirror);

void mirror_distrust(struct mirror *mirror, uint64_t now);

/* Redis has this row of that side's table. */
void mirror_found(struct mirror *mirror, unsigned side, const char *name, uint8_t family,
                  const uint8_t *address, uint64_t now);

uint32_t mirror_count(const struct mirror *mirror); /* rows */
/* For an eighth of all rows, at least, and for a port. */
bool mirror_has_room(const struct mirror *mirror);

/* Does Redis have to be told? */
bool mirror_differs(const struct mirror_side *side);

/* The row behind this one; NULL at the end. Rows may be settled meanwhile. */
struct mirror_row *mirror_next_row(const struct mirror *mirror,
                                   const struct mirror_row *row);
