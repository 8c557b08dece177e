/* parameters: what a user can set of a NeighSync. */
#pragma once
#include "apps/neigh_sync/database_config.h"
#include "lib/param.h"

#define NEIGH_SYNC_ALONE "none" /* in place of a Redis */

enum dual_tor { DUAL_TOR_AUTO, DUAL_TOR_ON, DUAL_TOR_OFF };

struct neigh_sync_conf {
    char *redis, *database_config, *namespace, *container;
    uint64_t redis_timeout;
    uint64_t socket_buffer_size;
    int64_t batch_size, neighbors, interfaces;
    int dual_tor;
    bool ipv4_enabled, ipv6_enabled;
    uint64_t restore_timeout;
};

extern const struct param neigh_sync_params[];

/* Where they say that the databases are. The error is ERROR_CONFIG. */
int neigh_sync_databases(const struct neigh_sync_conf *conf,
                         struct database_config *config, struct error *err);

/* Can these be had together? The error is ERROR_CONFIG. */
int neigh_sync_verify(const void *conf, struct error *err);
