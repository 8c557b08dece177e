/* writer: tells Redis what the mirror wants it to have. */
#include "apps/neigh_sync/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "apps/neigh_sync/counts.h"
#include "lib/mac.h"

#define FLIGHTS   24 /* under way at most */
#define PAUSE_MIN 10000000ull
#define PAUSE_MAX 1000000000ull

struct flight {
    struct flight *next; /* that is free */
    uint32_t count;
    struct passenger {
        struct mirror_row *row;
        uint64_t since; /* ns: when what it tells of was heard */
        bool set;
    } * rows;
};

const struct producer_table writer_tables[WRITER_TABLES] = {
    [SIDE_NEIGHBOUR] = { "NEIGH_TABLE", { "neigh", "family" } },
    [SIDE_FAILED] = { "NEIGH_FAILED_TABLE", { "NULL" } },
    [TELLS_ROUTE] = { "ROUTE_TABLE" },
};

/* --- flights --------------------------------------------------------------------------------- */

int writer_open(struct writer *writer, int database)
{
    bool good = true;
    writer->pause = PAUSE_MIN;
    writer->limit = writer->batch;
    for (unsigned i = 0; i < WRITER_TABLES; i++) {
        writer->producers[i] =
            producer_new(&writer_tables[i], database, writer->separator, writer->batch);
        good &= writer->producers[i] != NULL;
    }
    writer->flights = calloc(FLIGHTS, sizeof(*writer->flights));
    for (unsigned i = 0; writer->flights && i < FLIGHTS; i++) {
        struct flight *flight = &writer->flights[i];
        flight->rows = calloc(writer->batch, sizeof(*flight->rows));
        good &= flight->rows != NULL;
        flight->next = writer->free;
        writer->free = flight;
    }
    return good && writer->flights ? 0 : -ENOMEM;
}

void writer_close(struct writer *writer)
{
    for (unsigned i = 0; i < WRITER_TABLES; i++)
        producer_free(writer->producers[i]);
    for (unsigned i = 0; writer->flights && i < FLIGHTS; i++)
        free(writer->flights[i].rows);
    free(writer->flights);
    writer->flights = NULL;
}

static bool flights_are_free(const struct writer *writer)
{
    const struct flight *flight = writer->free;
    for (unsigned i = 1; flight && i < WRITER_TABLES; i++)
        flight = flight->next;
    return flight;
}

static void board(struct writer *writer, struct mirror_row *row, unsigned table)
{
    struct flight *flight = writer->boarding[table];
    if (!flight) {
        flight = writer->free;
        writer->free = flight->next;
        writer->boarding[table] = flight;
        flight->count = 0;
    }
    flight->rows[flight->count++] =
        (struct passenger){ row, row->since, row->side[SIDE_NEIGHBOUR].want };
    row->in_flight++;
}

/* --- answers --------------------------------------------------------------------------------- */

/* One row may be the reason: fewer together find it, and the others are told without it. */
static void tell_fewer(struct writer *writer, uint32_t count)
{
    if (count / 2 < writer->limit)
        writer->limit = count > 1 ? count / 2 : 1;
}

static void refused(struct writer *writer, const redisReply *reply, uint32_t count)
{
    if (redis_is_error(reply, "NOSCRIPT")) { /* nothing was done; say it once more */
        writer->scripted = false;
        return;
    }
    tell_fewer(writer, count);
    if (writer->now < writer->not_before)
        return; /* it was told before the last refusal */
    writer->not_before = writer->now + writer->pause;
    writer->pause = writer->pause < PAUSE_MAX / 2 ? 2 * writer->pause : PAUSE_MAX;
}

/* table: its number. */
static void land(struct writer *writer, struct flight *flight, unsigned table, bool good)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        struct mirror_row *row = flight->rows[i].row;
        if (good && table == SIDE_NEIGHBOUR)
            writer->counters[flight->rows[i].set ? COUNT_NEIGHBORS_ADDED
                                                 : COUNT_NEIGHBORS_DELETED]++;
        if (good && table == SIDE_NEIGHBOUR && writer->now > flight->rows[i].since)
            histogram_add(writer->histograms[EVENT_LATENCY],
                          writer->now - flight->rows[i].since);
        if (!good && table < MIRROR_SIDES)
            mirror_had(row, table, HAVE_UNKNOWN, NULL);
        row->in_flight--;
        mirror_settle(writer->mirror, row, row->since);
    }
    writer->counters[COUNT_EVENTS_FAILED] += good ? 0 : flight->count;
    writer->done += good ? flight->count : 0;
    flight->next = writer->free;
    writer->free = flight;
}

static void answered(const struct redis_request *request, const redisReply *reply)
{
    struct writer *writer = request->user;
    struct flight *flight = request->object;
    bool good = reply && reply->type != REDIS_REPLY_ERROR;
    if (good) {
        writer->pause = PAUSE_MIN;
        writer->limit =
            writer->limit < writer->batch / 2 ? 2 * writer->limit : writer->batch;
        histogram_add(writer->histograms[REDIS_LATENCY], writer->now - request->sent);
    } else if (reply) {
        refused(writer, reply, flight->count);
    }
    land(writer, flight, (unsigned)request->number, good);
}

static void learnt(const struct redis_request *request, const redisReply *reply)
{
    struct writer *writer = request->user;
    writer->loading = false;
    writer->scripted = producer_learn(&writer->script, reply);
    if (reply && !writer->scripted)
        refused(writer, reply, writer->limit);
}

/* --- telling --------------------------------------------------------------------------------- */

/* The address's route in the interface's VRF, from when the neighbour was remote. */
static void delete_route(struct writer *writer, struct mirror_row *row, const char *key)
{
    const char *vrf = writer->vrf ? writer->vrf(writer->user, row->port) : NULL;
    char route[PRODUCER_KEY_SIZE];
    if (!vrf)
        return;
    snprintf(route, sizeof(route), "%s%s", vrf, strchr(key, ':'));
    producer_delete(writer->producers[TELLS_ROUTE], route);
    board(writer, row, TELLS_ROUTE);
}

static void tell_neighbour(struct writer *writer, struct mirror_row *row, const char *key)
{
    struct producer *producer = writer->producers[SIDE_NEIGHBOUR];
    const struct mirror_side *side = &row->side[SIDE_NEIGHBOUR];
    bool want = side->want;
    char mac[MAC_TEXT_SIZE];
    if (want) {
        const char *const values[] = { mac_format(side->mac, mac),
                                       row->family == AF_INET ? "IPv4" : "IPv6" };
        delete_route(writer, row, key);
        producer_set(producer, key, values);
    } else {
        producer_delete(producer, key);
    }
    mirror_had(row, SIDE_NEIGHBOUR, want ? HAVE_ROW : HAVE_NOTHING, side->mac);
    board(writer, row, SIDE_NEIGHBOUR);
}

static void tell_failed(struct writer *writer, struct mirror_row *row, const char *key)
{
    struct producer *producer = writer->producers[SIDE_FAILED];
    const struct mirror_side *side = &row->side[SIDE_FAILED];
    if (side->want)
        producer_set(producer, key, (const char *const[]){ "NULL" });
    else
        producer_delete(producer, key);
    mirror_had(row, SIDE_FAILED, side->want ? HAVE_ROW : HAVE_NOTHING, side->mac);
    board(writer, row, SIDE_FAILED);
}

static void tell(struct writer *writer, struct mirror_row *row)
{
    char key[PRODUCER_KEY_SIZE];
    producer_key(key, row->port->name, row->family, row->address);
    if (mirror_differs(&row->side[SIDE_FAILED]))
        tell_failed(writer, row, key);
    if (mirror_differs(&row->side[SIDE_NEIGHBOUR]))
        tell_neighbour(writer, row, key);
    mirror_settle(writer->mirror, row, row->since);
}

/* Routes go before the neighbours that they make way for. */
static void take_off(struct writer *writer)
{
    for (unsigned table = WRITER_TABLES; table-- > 0;) {
        struct flight *flight = writer->boarding[table];
        const struct redis_request request = {
            .answer = answered, .user = writer, .object = flight, .number = table
        };
        if (!flight)
            continue;
        writer->boarding[table] = NULL;
        writer->counters[COUNT_REDIS_COMMANDS] += flight->count;
        if (!producer_send(writer->producers[table], &writer->script, writer->redis,
                           &request))
            land(writer, flight, table, false);
    }
}

static bool load(struct writer *writer)
{
    const struct redis_request request = { .answer = learnt, .user = writer };
    bool begins = !writer->loading && producer_load(writer->redis, &request);
    writer->loading |= begins;
    return begins;
}

bool writer_flush(struct writer *writer, uint64_t now)
{
    uint32_t told = 0;
    struct mirror_row *row;
    writer->now = now;
    if (writer->hold || !redis_ready(writer->redis) || now < writer->not_before ||
        !writer->mirror->first)
        return false;
    if (!writer->scripted)
        return load(writer);
    if (!flights_are_free(writer) || redis_room(writer->redis) < WRITER_TABLES)
        return false;
    while (told < writer->limit && (row = mirror_next(writer->mirror))) {
        tell(writer, row);
        told++;
    }
    take_off(writer);
    histogram_add(writer->histograms[BATCH_SIZE], told);
    return true;
}

/* --- the connection -------------------------------------------------------------------------- */

void writer_ready(struct writer *writer, uint64_t now)
{
    writer->scripted = writer->loading = false;
    writer->not_before = 0;
    mirror_distrust(writer->mirror, now);
}

void writer_lost(struct writer *writer)
{
    writer->scripted = writer->loading = false;
}

bool writer_idle(const struct writer *writer)
{
    return !writer->mirror->waiting && !redis_pending(writer->redis);
}

uint64_t writer_due(const struct writer *writer)
{
    bool waits = !writer->hold && redis_ready(writer->redis) && writer->mirror->waiting;
    return waits && writer->not_before > writer->now ? writer->not_before : UINT64_MAX;
}
