/* database_config: where SONiC keeps its databases. */
#include "apps/neigh_sync/database_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"

#define REDIS_PORT 6379

static const char *const names[] = { "APPL_DB", "CONFIG_DB", "STATE_DB" };

static void set_defaults(struct database_config *config)
{
    static const int numbers[] = { 0, 4, 6 };
    memset(config, 0, sizeof(*config));
    for (unsigned i = 0; i < DATABASES; i++) {
        struct redis_place *place = &config->places[i];
        strcpy(place->path, "/var/run/redis/redis.sock");
        strcpy(place->host, "127.0.0.1");
        place->port = REDIS_PORT;
        place->database = numbers[i];
        config->separators[i] = i == DATABASE_APPL ? ':' : '|';
    }
}

static void take_text(char *into, size_t size, const json_t *text)
{
    if (json_is_string(text) && json_string_length(text) < size)
        strcpy(into, json_string_value(text));
}

static bool is_address(const char *host)
{
    uint8_t address[16];
    return inet_pton(AF_INET, host, address) == 1 ||
           inet_pton(AF_INET6, host, address) == 1;
}

static void take_instance(struct redis_place *place, const json_t *instance)
{
    const json_t *port = json_object_get(instance, "port");
    *place->path = 0; /* an instance says where it is, all of it */
    take_text(place->path, sizeof(place->path),
              json_object_get(instance, "unix_socket_path"));
    take_text(place->host, sizeof(place->host), json_object_get(instance, "hostname"));
    if (!strcmp(place->host, "localhost"))
        strcpy(place->host, "127.0.0.1");
    if (json_is_integer(port) && json_integer_value(port) > 0 &&
        json_integer_value(port) < 65536)
        place->port = (uint16_t)json_integer_value(port);
}

static void take_database(struct database_config *config, unsigned number,
                          const json_t *root)
{
    struct redis_place *place = &config->places[number];
    const json_t *databases = json_object_get(root, "DATABASES");
    const json_t *database = json_object_get(databases, names[number]);
    const json_t *id = json_object_get(database, "id");
    const char *name = json_string_value(json_object_get(database, "instance"));
    const char *separator = json_string_value(json_object_get(database, "separator"));
    const json_t *instance =
        json_object_get(json_object_get(root, "INSTANCES"), name ? name : "redis");
    if (json_is_integer(id) && json_integer_value(id) >= 0 &&
        json_integer_value(id) < 65536)
        place->database = (int)json_integer_value(id);
    if (separator && *separator)
        config->separators[number] = *separator;
    if (instance)
        take_instance(place, instance);
}

int database_config_read(const char *path, struct database_config *config,
                         struct error *err)
{
    json_error_t problem;
    FILE *file = fopen(path, "re");
    set_defaults(config);
    if (!file)
        return errno == ENOENT ? 0 : error_system(err, ERROR_CONFIG, "%s", path);
    json_t *root = json_loadf(file, 0, &problem);
    fclose(file);
    if (!root)
        return error_set(err, ERROR_CONFIG, EINVAL, "%s:%d: %s", path, problem.line,
                         problem.text);
    for (unsigned i = 0; i < DATABASES; i++)
        take_database(config, i, root);
    json_decref(root);
    for (unsigned i = 0; i < DATABASES; i++)
        if (!*config->places[i].path && !is_address(config->places[i].host))
            return error_set(err, ERROR_CONFIG, EINVAL,
                             "%s: %s: hostname \"%s\" is not an address", path, names[i],
                             config->places[i].host);
    return 0;
}

/* HOST, HOST:PORT, [HOST]:PORT, or an IPv6 address alone. */
static bool parse_server(const char *text, struct redis_place *place)
{
    char host[sizeof(place->host)];
    const char *bracket = *text == '[' ? strchr(text, ']') : NULL;
    const char *colon = bracket ? strchr(bracket, ':') : strchr(text, ':');
    if (colon && !bracket && strchr(colon + 1, ':'))
        colon = NULL;
    const char *begin = text + (bracket != NULL);
    const char *end = bracket ? bracket : colon ? colon : text + strlen(text);
    char *rest = NULL;
    long port = colon ? strtol(colon + 1, &rest, 10) : REDIS_PORT;
    if ((size_t)(end - begin) >= sizeof(host) || port < 1 || port > 65535 ||
        (rest && *rest))
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = 0;
    strcpy(place->host, strcmp(host, "localhost") ? host : "127.0.0.1");
    place->port = (uint16_t)port;
    *place->path = 0;
    return is_address(place->host);
}

int database_config_server(const char *text, struct database_config *config,
                           struct error *err)
{
    for (unsigned i = 0; i < DATABASES; i++) {
        struct redis_place *place = &config->places[i];
        bool path = *text == '/' && strlen(text) < sizeof(place->path);
        if (path)
            strcpy(place->path, text);
        else if (!parse_server(text, place))
            return error_set(
                err, ERROR_CONFIG, EINVAL,
                "redis: \"%s\" is neither the path of a socket nor ADDRESS:PORT", text);
    }
    return 0;
}
