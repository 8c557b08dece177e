/* fuzz/database_config: any bytes as SONiC's database_config.json, as database_global.json, and
 * as the server of all databases.
 * What comes of it is within its bounds, and nothing is left out that a connection needs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/neigh_sync/database_config.h"
#include "lib/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "database_config: %s\n", what);
        abort();
    }
}

static void check(const struct database_config *config)
{
    for (unsigned i = 0; i < DATABASES; i++) {
        const struct redis_place *place = &config->places[i];
        require(memchr(place->path, 0, sizeof(place->path)), "a path without an end");
        require(memchr(place->host, 0, sizeof(place->host)), "a host without an end");
        require(place->port, "no port");
        require(place->database >= 0 && place->database < 65536, "a database's number");
        require(config->separators[i], "no separator");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct database_owner owners[] = { { NULL, NULL },
                                                    { "asic0", NULL },
                                                    { "asic0", "dpu0" } };
    const char *text = (const char *)data;
    struct database_config config;
    struct error err = { 0 };
    char path[PATH_MAX];
    memset(&config, 0xff, sizeof(config));
    if (!database_config_parse(text, size, "/run/database_config.json", &config, &err))
        check(&config);
    else
        require(*err.text, "an error without a text");
    char server[300] = { 0 };
    memcpy(server, data, size < sizeof(server) ? size : sizeof(server) - 1);
    if (!database_config_parse("{}", 2, "", &config, &err) &&
        !database_config_server(server, &config, &err))
        check(&config);
    for (unsigned i = 0; i < sizeof(owners) / sizeof(*owners); i++) {
        memset(path, 0xff, sizeof(path));
        if (database_config_include(text, size, "/run/database_global.json", &owners[i],
                                    path, &err))
            continue;
        require(memchr(path, 0, sizeof(path)), "an included path without an end");
        require(*path == '/', "an included path of another folder");
    }
    return 0;
}
