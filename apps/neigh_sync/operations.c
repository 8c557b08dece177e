/* operations: what people ask a running NeighSync for. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "apps/neigh_sync/counts.h"
#include "apps/neigh_sync/neigh_sync.h"
#include "lib/mac.h"

enum { STATUS, ROWS, RESYNC };

const struct operation_row neigh_sync_operations[] = {
    [STATUS] = { "status", "what it is doing, and how well" },
    [ROWS] = { "rows", "what is, or should be, in NEIGH_TABLE" },
    [RESYNC] = { "resync", "tell Redis everything anew, as after FLUSHALL" },
    { NULL, NULL },
};

static void add_number(struct value *table, const char *name, uint64_t number)
{
    value_table_add(table, name, value_integer((int64_t)number));
}

static const char *health_text(uint64_t health)
{
    return health == HEALTH_HEALTHY    ? "healthy"
           : health == HEALTH_DEGRADED ? "degraded"
                                       : "unhealthy";
}

static struct value status_of(struct app *app)
{
    struct neigh_sync *sync = app->state;
    struct value table = value_table();
    bool told = sync->redis && !sync->writer.hold && writer_idle(&sync->writer);
    value_table_add(&table, "state",
                    value_string(sync->redis ? warm_text(&sync->warm) : "alone"));
    value_table_add(&table, "failed", value_bool(sync->warm.step == WARM_FAILED));
    value_table_add(&table, "complete", value_bool(sync->kernel.complete));
    value_table_add(&table, "told", value_bool(told));
    value_table_add(&table, "redis", value_bool(sync->redis && redis_ready(sync->redis)));
    value_table_add(&table, "dual_tor", value_bool(sync->kernel.mode.dual_tor));
    value_table_add(&table, "evpn", value_bool(sync->kernel.mode.evpn));
    value_table_add(&table, "status",
                    value_string(health_text(app->counters[COUNT_HEALTH_STATUS])));
    value_table_add(&table, "health_score",
                    value_number((double)app->counters[COUNT_HEALTH_STATUS] / 100));
    add_number(&table, "pending", sync->mirror->waiting);
    add_number(&table, "processed", app->counters[COUNT_NEIGHBORS_PROCESSED]);
    add_number(&table, "added", app->counters[COUNT_NEIGHBORS_ADDED]);
    add_number(&table, "deleted", app->counters[COUNT_NEIGHBORS_DELETED]);
    add_number(&table, "overruns", app->counters[COUNT_NETLINK_OVERRUNS]);
    if (sync->redis && !redis_ready(sync->redis))
        value_table_add(&table, "problem", value_string(redis_counts(sync->redis)->why));
    return table;
}

static void add_row(struct value *list, const struct mirror_row *row)
{
    char key[PRODUCER_KEY_SIZE], mac[MAC_TEXT_SIZE];
    struct value entry = value_table();
    producer_key(key, row->port->name, row->family, row->address);
    value_table_add(&entry, "key", value_string(key));
    value_table_add(&entry, "neigh",
                    value_string(mac_format(row->side[SIDE_NEIGHBOUR].mac, mac)));
    value_table_add(&entry, "family",
                    value_string(row->family == AF_INET ? "IPv4" : "IPv6"));
    value_table_add(list, NULL, entry);
}

static struct value rows_of(const struct neigh_sync *sync)
{
    struct value list = value_table();
    struct mirror_row *row = NULL;
    while ((row = mirror_next_row(sync->mirror, row)))
        if (row->side[SIDE_NEIGHBOUR].want)
            add_row(&list, row);
    return list;
}

int neigh_sync_call(struct app *app, uint32_t operation, const struct value *args,
                    struct value *answer, struct error *err)
{
    if (operation == STATUS)
        *answer = status_of(app);
    else if (operation == ROWS)
        *answer = rows_of(app->state);
    else
        neigh_sync_resync(app->state);
    return 0;
}
