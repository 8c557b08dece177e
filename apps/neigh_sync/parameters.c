/* parameters: what a user can set of a NeighSync, and the words that it counts. */
#include "apps/neigh_sync/parameters.h"

#include <string.h>

#include "apps/neigh_sync/counts.h"

static const char *const dual_tors[] = { "auto", "on", "off", NULL };

const struct param neigh_sync_params[] = {
    PARAM_STRING(struct neigh_sync_conf, redis, "",
                 "server of all databases: path of a socket, HOST:PORT, or none; as the "
                 "database configuration says unless given"),
    PARAM_STRING(struct neigh_sync_conf, database_config,
                 "/var/run/redis/sonic-db/database_config.json",
                 "SONiC's database configuration"),
    PARAM_STRING(
        struct neigh_sync_conf, namespace, "",
        "whose databases, of several ASICs: as in database_global.json, which is "
        "beside the database configuration"),
    PARAM_STRING(struct neigh_sync_conf, container, "", "... of which container"),
    PARAM_DURATION(struct neigh_sync_conf, redis_timeout, "30s", "100ms", "1h",
                   "a server that is silent for so long is connected to anew"),
    PARAM_SIZE(struct neigh_sync_conf, socket_buffer_size, "16mib", "4kb", "1gb",
               "for events that wait; an event takes 832 bytes, and half of it is "
               "overhead"),
    PARAM_INTEGER(struct neigh_sync_conf, batch_size, "128", "1", "1000",
                  "rows that leave together at most"),
    PARAM_INTEGER(struct neigh_sync_conf, neighbors, "131072", "1", "16777216",
                  "room for so many"),
    PARAM_INTEGER(struct neigh_sync_conf, interfaces, "16384", "1", "1048576",
                  "room for so many"),
    PARAM_ENUM(struct neigh_sync_conf, dual_tor, "auto", dual_tors,
               "auto: when CONFIG_DB has a PEER_SWITCH row, which outweighs off"),
    PARAM_BOOL(struct neigh_sync_conf, ipv4_enabled, "true", "IPv4 neighbours"),
    PARAM_BOOL(struct neigh_sync_conf, ipv6_enabled, "true", "IPv6 neighbours"),
    PARAM_DURATION(struct neigh_sync_conf, restore_timeout, "180s", "1s", "1h",
                   "warm restart: how long the kernel's neighbours may take to be "
                   "restored"),
    PARAM_END,
};

const struct counter_row neigh_sync_counters[] = {
    [COUNT_NEIGHBORS_PROCESSED] = { "neighbors_processed",
                                    "neighbours told of by the kernel" },
    [COUNT_NEIGHBORS_ADDED] = { "neighbors_added", "rows set" },
    [COUNT_NEIGHBORS_DELETED] = { "neighbors_deleted", "rows deleted" },
    [COUNT_EVENTS_FAILED] = { "events_failed", "commands that Redis refused, or did not "
                                               "answer; they are repeated" },
    [COUNT_FILTERED] = { "filtered", "neighbours that do not belong into the table" },
    [COUNT_DROP_FAMILY] = { "drop_family", "... of a family that is not wanted" },
    [COUNT_DROP_LINK_LOCAL4] = { "drop_link_local4", "... 169.254.0.0/16, dual ToR" },
    [COUNT_DROP_LINK_LOCAL6] = { "drop_link_local6",
                                 "... fe80::/10, where not switched on" },
    [COUNT_DROP_MULTICAST] = { "drop_multicast", "... ff02::/16" },
    [COUNT_DROP_PROBE] = { "drop_probe", "... being probed, EVPN" },
    [COUNT_DROP_NOARP] = { "drop_noarp", "... NOARP, not learned externally" },
    [COUNT_DROP_NO_MAC] = { "drop_no_mac", "... without a MAC address" },
    [COUNT_DROP_BROADCAST] = { "drop_broadcast", "... with the broadcast MAC address" },
    [COUNT_DROP_MAC_SIZE] = { "drop_mac_size", "... with one that is not 6 bytes long" },
    [COUNT_DROP_OTHER] = { "drop_other", "messages of other tables, as a bridge's" },
    [COUNT_DROP_MALFORMED] = { "drop_malformed", "messages without a proper address" },
    [COUNT_DROP_UNKNOWN_INTERFACE] = { "drop_unknown_interface",
                                       "neighbours of no known interface" },
    [COUNT_DROP_FULL] = { "drop_full", "neighbours and interfaces without room" },
    [COUNT_UNCHANGED] = { "unchanged", "neighbours that Redis need not be told of" },
    [COUNT_NETLINK_ERRORS] = { "netlink_errors", "failures of the kernel's socket" },
    [COUNT_NETLINK_OVERRUNS] = { "netlink_overruns", "times events were lost" },
    [COUNT_NETLINK_FOREIGN] = { "netlink_foreign",
                                "datagrams of other processes, ignored" },
    [COUNT_RESYNCS] = { "resyncs", "times everything was asked of the kernel" },
    [COUNT_REDIS_ERRORS] = { "redis_errors",
                             "errors that Redis answered, connections that broke" },
    [COUNT_REDIS_RECONNECTS] = { "redis_reconnects", "connections after the first" },
    [COUNT_REDIS_COMMANDS] = { "redis_commands", "commands about rows" },
    [COUNT_PENDING_NEIGHBORS] = { "pending_neighbors", "rows that wait to be told" },
    [COUNT_QUEUE_DEPTH] = { "queue_depth", "commands without an answer" },
    [COUNT_TABLE_ROWS] = { "table_rows", "rows in memory" },
    [COUNT_MEMORY_BYTES] = { "memory_bytes", "resident memory of the process" },
    [COUNT_REDIS_CONNECTED] = { "redis_connected", "1 or 0" },
    [COUNT_NETLINK_CONNECTED] = { "netlink_connected", "1 or 0" },
    [COUNT_NETLINK_BUFFER] = { "netlink_buffer", "bytes that the kernel granted" },
    [COUNT_HEALTH_STATUS] = { "health_status", "100 healthy, 50 degraded, 0 unhealthy" },
    [COUNT_LAST_EVENT_NS] = { "last_event_ns",
                              "when the kernel last told of a neighbour" },
    { NULL, NULL },
};

const struct counter_row neigh_sync_histograms[] = {
    [EVENT_LATENCY] = { "event_latency_ns", "from reading an event to Redis' answer" },
    [REDIS_LATENCY] = { "redis_latency_ns", "from a command to its answer" },
    [BATCH_SIZE] = { "batch_size", "rows told in one step" },
    { NULL },
};

int neigh_sync_databases(const struct neigh_sync_conf *conf,
                         struct database_config *config, struct error *err)
{
    const struct database_owner owner = { conf->namespace, conf->container };
    int error = database_config_read(conf->database_config ? conf->database_config : "",
                                     &owner, config, err);
    if (error || (conf->redis && !strcmp(conf->redis, NEIGH_SYNC_ALONE)))
        return error;
    if (conf->redis)
        error = database_config_server(conf->redis, config, err);
    return error ? error : database_config_look_up(config, err);
}

int neigh_sync_verify(const void *conf, struct error *err)
{
    struct database_config config;
    return neigh_sync_databases(conf, &config, err);
}
