/* writer: tells Redis what the mirror wants it to have.
 *
 *   writer_start     on a connection that is about to be opened: the handlers it needs
 *   writer_ready     Redis can be told: after the connection came about
 *   writer_lost      the connection broke
 *   writer_flush     tell it what waits, as far as there is room
 *   writer_idle      is everything told and answered?
 *   writer_due       when writer_flush must be called even if nothing came
 *
 * One command is one row's latest state. As many as wait leave together, up to the batch, so a
 * batch is one command when there is little to do and grows with what waits. What is refused
 * or not answered is told again, after a pause that gets longer.
 */
#pragma once
#include "apps/neigh_sync/mirror.h"
#include "apps/neigh_sync/producer.h"
#include "lib/histogram.h"

struct writer {
    struct mirror *mirror;
    struct redis *redis;
    uint64_t *counters; /* of counts.h */
    struct histogram *event_latency, *redis_latency, *batch_size;
    /* The name of the VRF whose host route makes way for a neighbour on the port, or NULL. */
    const char *(*vrf)(void *user, const struct mirror_port *port);
    void *user;
    uint32_t batch;
    struct producer neighbours, failed, routes;
    struct producer_scripts scripts;
    bool scripted; /* Redis knows the scripts */
    bool loading;
    bool hold; /* nothing is told */
    uint64_t pause, not_before;
    uint64_t now;
};

void writer_start(struct writer *writer, int database);
void writer_ready(struct writer *writer, uint64_t now);
void writer_lost(struct writer *writer);
bool writer_flush(struct writer *writer, uint64_t now); /* true: it told something */
bool writer_idle(const struct writer *writer);
uint64_t writer_due(const struct writer *writer);
