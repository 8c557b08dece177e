/* writer: tells Redis what the mirror wants it to have.
 *
 *   writer_open      the caller has filled in the first part
 *   writer_ready     Redis can be told: after the connection came about
 *   writer_lost      the connection broke
 *   writer_flush     tell it what waits, as far as there is room
 *   writer_idle      is everything told and answered?
 *   writer_due       when writer_flush must be called even if nothing came
 *   writer_close
 *
 * As many rows as wait leave together, up to the batch, in one step of Redis: a batch is one row
 * when there is little to do, and grows with what waits. What is refused or not answered is
 * told again, after a pause that gets longer, and in smaller batches, so that one row which
 * Redis does not take keeps nothing from the others. A batch under way is a flight: its rows are not
 * freed meanwhile.
 */
#pragma once
#include "apps/neigh_sync/mirror.h"
#include "apps/neigh_sync/producer.h"
#include "lib/histogram.h"

/* The tables that are written: the two sides of a row, and routes that make way for it. */
enum { TELLS_ROUTE = MIRROR_SIDES, WRITER_TABLES };

extern const struct producer_table writer_tables[WRITER_TABLES];

struct flight;

struct writer {
    /* of the caller */
    struct mirror *mirror;
    struct redis *redis;
    uint64_t *counters;            /* of counts.h */
    struct histogram **histograms; /* of counts.h */
    /* The name of the VRF whose host route makes way for a neighbour on the port, or NULL. */
    const char *(*vrf)(void *user, const struct mirror_port *port);
    void *user;
    uint32_t batch; /* rows */
    char separator; /* between table and key */
    bool hold;      /* nothing is told */

    struct producer *producers[WRITER_TABLES];
    struct flight *flights, *free, *boarding[WRITER_TABLES];
    struct producer_script script;
    bool scripted; /* Redis knows it */
    bool loading;
    uint64_t done;  /* commands about rows that Redis took */
    uint32_t limit; /* rows of the next batch */
    uint64_t pause, not_before;
    uint64_t now; /* kept by the caller while answers come */
};

int writer_open(struct writer *writer, int database); /* -ENOMEM */
void writer_close(struct writer *writer);
void writer_ready(struct writer *writer, uint64_t now);
void writer_lost(struct writer *writer);
bool writer_flush(struct writer *writer, uint64_t now); /* true: it told something */
bool writer_idle(const struct writer *writer);
uint64_t writer_due(const struct writer *writer);
