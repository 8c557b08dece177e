/* writer: tells Redis what the mirror wants it to have. */
#include "apps/neigh_sync/writer.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "apps/neigh_sync/counts.h"

#define COMMANDS  3 /* that a row may need */
#define PAUSE_MIN 10000000ull
#define PAUSE_MAX 1000000000ull

/* What a request tells, in its number. */
enum { TELLS_ROUTE = MIRROR_SIDES };

void writer_start(struct writer *writer, int database)
{
    writer->neighbours = (struct producer){ "NEIGH_TABLE", database };
    writer->failed = (struct producer){ "NEIGH_FAILED_TABLE", database };
    writer->routes = (struct producer){ "ROUTE_TABLE", database };
    writer->pause = PAUSE_MIN;
}

/* --- answers --------------------------------------------------------------------------------- */

static void refused(struct writer *writer, const redisReply *reply)
{
    if (redis_is_error(reply, "NOSCRIPT")) { /* nothing was done; say it once more */
        writer->scripted = false;
        return;
    }
    if (writer->now < writer->not_before)
        return; /* of the same batch */
    writer->not_before = writer->now + writer->pause;
    writer->pause = writer->pause < PAUSE_MAX / 2 ? 2 * writer->pause : PAUSE_MAX;
}

static void succeeded(struct writer *writer, const struct redis_request *request)
{
    writer->pause = PAUSE_MIN;
    histogram_add(writer->redis_latency, writer->now - request->sent);
    if (request->number == SIDE_NEIGHBOUR && writer->now > request->since)
        histogram_add(writer->event_latency, writer->now - request->since);
}

static void answered(const struct redis_request *request, const redisReply *reply)
{
    struct writer *writer = request->user;
    struct mirror_row *row = request->object;
    bool good = reply && reply->type != REDIS_REPLY_ERROR;
    if (good)
        succeeded(writer, request);
    else if (reply)
        refused(writer, reply);
    if (!good && request->number != TELLS_ROUTE)
        mirror_had(row, (unsigned)request->number, HAVE_UNKNOWN, NULL);
    writer->counters[COUNT_EVENTS_FAILED] += !good;
    row->in_flight--;
    mirror_settle(writer->mirror, row, row->since);
}

static void learnt(const struct redis_request *request, const redisReply *reply)
{
    struct writer *writer = request->user;
    if (redis_is_error(reply, NULL))
        refused(writer, reply);
    if (producer_learn(&writer->scripts, request, reply))
        writer->scripted = true;
    if (request->number)
        writer->loading = false;
}

static void load(struct writer *writer)
{
    const struct redis_request request = { .answer = learnt, .user = writer };
    if (!writer->loading && redis_room(writer->redis) >= 2)
        writer->loading = producer_load(writer->redis, &request);
}

/* --- telling --------------------------------------------------------------------------------- */

static const char *mac_text(char text[18], const uint8_t *mac)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 6; i++) {
        text[3 * i] = digits[mac[i] >> 4];
        text[3 * i + 1] = digits[mac[i] & 15];
        text[3 * i + 2] = i < 5 ? ':' : 0;
    }
    return text;
}

static struct redis_request request_of(struct writer *writer, struct mirror_row *row,
                                       uint64_t number)
{
    row->in_flight++;
    writer->counters[COUNT_REDIS_COMMANDS]++;
    return (struct redis_request){ .answer = answered,
                                   .user = writer,
                                   .object = row,
                                   .number = number,
                                   .since = row->since };
}

/* The address's route in the interface's VRF, from when the neighbour was remote. */
static void delete_route(struct writer *writer, struct mirror_row *row, const char *key)
{
    const char *vrf = writer->vrf ? writer->vrf(writer->user, row->port) : NULL;
    char route[PRODUCER_KEY_SIZE];
    if (!vrf)
        return;
    struct redis_request request = request_of(writer, row, TELLS_ROUTE);
    snprintf(route, sizeof(route), "%s%s", vrf, strchr(key, ':'));
    producer_delete(&writer->routes, &writer->scripts, writer->redis, &request, route);
}

static void tell_neighbour(struct writer *writer, struct mirror_row *row, const char *key)
{
    struct mirror_side *side = &row->side[SIDE_NEIGHBOUR];
    char mac[18];
    if (!side->want) {
        struct redis_request request = request_of(writer, row, SIDE_NEIGHBOUR);
        producer_delete(&writer->neighbours, &writer->scripts, writer->redis, &request,
                        key);
        mirror_had(row, SIDE_NEIGHBOUR, HAVE_NOTHING, NULL);
        writer->counters[COUNT_NEIGHBORS_DELETED]++;
        return;
    }
    delete_route(writer, row, key);
    const char *const fields[] = { "neigh", mac_text(mac, side->mac), "family",
                                   row->family == AF_INET ? "IPv4" : "IPv6", NULL };
    struct redis_request request = request_of(writer, row, SIDE_NEIGHBOUR);
    producer_set(&writer->neighbours, &writer->scripts, writer->redis, &request, key,
                 fields);
    mirror_had(row, SIDE_NEIGHBOUR, HAVE_ROW, side->mac);
    writer->counters[COUNT_NEIGHBORS_ADDED]++;
}

static void tell_failed(struct writer *writer, struct mirror_row *row, const char *key)
{
    static const uint8_t none[6];
    static const char *const fields[] = { "NULL", "NULL", NULL };
    bool want = row->side[SIDE_FAILED].want;
    struct redis_request request = request_of(writer, row, SIDE_FAILED);
    if (want)
        producer_set(&writer->failed, &writer->scripts, writer->redis, &request, key,
                     fields);
    else
        producer_delete(&writer->failed, &writer->scripts, writer->redis, &request, key);
    mirror_had(row, SIDE_FAILED, want ? HAVE_ROW : HAVE_NOTHING, none);
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

bool writer_flush(struct writer *writer, uint64_t now)
{
    uint32_t told = 0;
    struct mirror_row *row;
    writer->now = now;
    if (writer->hold || !redis_ready(writer->redis) || now < writer->not_before)
        return false;
    if (!writer->scripted) {
        load(writer);
        return true;
    }
    while (told < writer->batch && redis_room(writer->redis) >= COMMANDS &&
           (row = mirror_next(writer->mirror))) {
        tell(writer, row);
        told++;
    }
    if (told)
        histogram_add(writer->batch_size, told);
    return told;
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
