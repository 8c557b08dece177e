/* database_config: where SONiC keeps its databases.
 *
 *   database_config_read      the file, or what it says by default
 *   database_config_server    all databases on one server
 *   database_config_look_up   the numbers of hosts that have names
 *   database_config_parse     what a file says
 *   database_config_include   the file of one of several ASICs
 *
 * /var/run/redis/sonic-db/database_config.json: INSTANCES names servers, DATABASES says which
 * of them a database is on, and its number there. Where a switch has several ASICs, each has
 * databases of its own, and database_global.json beside that file says where their files are:
 *
 *     { "INCLUDES": [ { "include": "database_config.json" },
 *                     { "namespace": "asic0", "include": "../../redis0/sonic-db/..." },
 *                     { "container_name": "dpu0", "include": ... } ] }
 *
 * A path in there is from the folder of that file.
 */
#pragma once
#include <limits.h>

#include "apps/neigh_sync/redis.h"

struct error;

enum database { DATABASE_APPL, DATABASE_CONFIG, DATABASE_STATE, DATABASES };

struct database_config {
    struct redis_place places[DATABASES];
    char separators[DATABASES]; /* between table and key */
};

/* The entry whose namespace and container are these; NULL: it names none. */
struct database_owner {
    const char *namespace, *container;
};

/* What the file does not say is as in SONiC's own. A file that is not there says nothing, but
 * for an owner, who must be named; one that is no such file is -EINVAL, ERROR_CONFIG. */
int database_config_read(const char *path, const struct database_owner *owner,
                         struct database_config *config, struct error *err);

/* All databases on that server: "/path/of/socket", "HOST", "HOST:PORT", "[IPV6]:PORT".
 * -EINVAL, ERROR_CONFIG. */
int database_config_server(const char *text, struct database_config *config,
                           struct error *err);

/* Of those that are not reached by a socket. May take as long as DNS does. -EINVAL, ERROR_CONFIG,
 * when nobody knows a name. */
int database_config_look_up(struct database_config *config, struct error *err);

/* The text of a file. name: for messages. -EINVAL, ERROR_CONFIG. */
int database_config_parse(const char *text, size_t size, const char *name,
                          struct database_config *config, struct error *err);
int database_config_include(const char *text, size_t size, const char *name,
                            const struct database_owner *owner, char path[PATH_MAX],
                            struct error *err);
