/* database_config: where SONiC keeps its databases.
 *
 *   database_config_read   the file, or what it says by default
 *
 * /var/run/redis/sonic-db/database_config.json: INSTANCES names servers, DATABASES says which
 * of them a database is on, and its number there.
 */
#pragma once
#include "apps/neigh_sync/redis.h"

struct error;

enum database { DATABASE_APPL, DATABASE_CONFIG, DATABASE_STATE, DATABASES };

struct database_config {
    struct redis_place places[DATABASES];
    char separators[DATABASES]; /* between table and key */
};

/* What the file does not say is as in SONiC's own. A file that is not there says nothing;
 * one that is no such file is -EINVAL, ERROR_CONFIG. */
int database_config_read(const char *path, struct database_config *config,
                         struct error *err);

/* All databases on that server: "/path/of/socket", "HOST", "HOST:PORT", "[IPV6]:PORT"; HOST a
 * number, or localhost. -EINVAL, ERROR_CONFIG. */
int database_config_server(const char *text, struct database_config *config,
                           struct error *err);
