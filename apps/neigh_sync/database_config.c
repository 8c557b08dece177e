/* database_config: where SONiC keeps its databases. */
#include "apps/neigh_sync/database_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/whole_file.h"

#define REDIS_PORT   6379
#define DATABASE_MAX 65535
#define FILE_MOST    (1u << 20) /* bytes */
#define GLOBAL_NAME  "database_global.json"

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

/* --- what a file says ------------------------------------------------------------------------ */

/* Where in which file, for messages. */
struct spot {
    const char *file, *table, *row;
    struct error *err;
};

static int wrong(const struct spot *spot, const char *key, const char *what)
{
    return error_set(spot->err, ERROR_CONFIG, EINVAL, "%s: %s.%s.%s: %s", spot->file,
                     spot->table, spot->row, key, what);
}

/* Leaves what it has when the key is not there. */
static int take_text(const struct spot *spot, const json_t *object, const char *key,
                     char *into, size_t size)
{
    const json_t *text = json_object_get(object, key);
    if (!text)
        return 0;
    if (!json_is_string(text) || json_string_length(text) >= size)
        return wrong(spot, key, "not a text, or too long");
    strcpy(into, json_string_value(text));
    return 0;
}

static int take_number(const struct spot *spot, const json_t *object, const char *key,
                       int least, int most, int *into)
{
    const json_t *number = json_object_get(object, key);
    if (!number)
        return 0;
    if (!json_is_integer(number) || json_integer_value(number) < least ||
        json_integer_value(number) > most)
        return wrong(spot, key, "not a number, or out of range");
    *into = (int)json_integer_value(number);
    return 0;
}

static int take_instance(const struct spot *spot, const json_t *instance,
                         struct redis_place *place)
{
    int port = place->port;
    *place->path = 0; /* an instance says where it is, all of it */
    int error =
        take_text(spot, instance, "unix_socket_path", place->path, sizeof(place->path));
    if (!error)
        error = take_text(spot, instance, "hostname", place->host, sizeof(place->host));
    if (!error)
        error = take_number(spot, instance, "port", 1, 65535, &port);
    place->port = (uint16_t)port;
    return error;
}

static int take_database(struct database_config *config, unsigned number,
                         const json_t *root, const char *file, struct error *err)
{
    struct redis_place *place = &config->places[number];
    const json_t *databases = json_object_get(root, "DATABASES");
    const json_t *database = json_object_get(databases, names[number]);
    const json_t *instances = json_object_get(root, "INSTANCES");
    char name[64] = "redis", separator[2] = { config->separators[number] };
    const struct spot at = { file, "DATABASES", names[number], err };
    const struct spot there = { file, "INSTANCES", name, err };
    int error = take_number(&at, database, "id", 0, DATABASE_MAX, &place->database);
    if (!error)
        error = take_text(&at, database, "separator", separator, sizeof(separator));
    if (!error)
        error = take_text(&at, database, "instance", name, sizeof(name));
    if (error)
        return error;
    if (*separator)
        config->separators[number] = *separator;
    const json_t *instance = json_object_get(instances, name);
    if (json_is_object(instance))
        return take_instance(&there, instance, place);
    return instance || json_object_get(database, "instance")
               ? wrong(&at, "instance", "there is none of that name")
               : 0;
}

static json_t *parse(const char *text, size_t size, const char *name, struct error *err)
{
    json_error_t problem;
    json_t *root = json_loadb(text, size, 0, &problem);
    if (!root)
        error_set(err, ERROR_CONFIG, EINVAL, "%s:%d: %s", name, problem.line,
                  problem.text);
    return root;
}

int database_config_parse(const char *text, size_t size, const char *name,
                          struct database_config *config, struct error *err)
{
    json_t *root = parse(text, size, name, err);
    int error = root ? 0 : -EINVAL;
    set_defaults(config);
    for (unsigned i = 0; !error && i < DATABASES; i++)
        error = take_database(config, i, root, name, err);
    json_decref(root);
    return error;
}

/* --- several ASICs --------------------------------------------------------------------------- */

/* An empty text is none. */
static bool says(const json_t *entry, const char *key, const char *wanted)
{
    const char *text = json_string_value(json_object_get(entry, key));
    return !strcmp(text ? text : "", wanted ? wanted : "");
}

/* A path in a file is from the file's folder. */
static bool join(const char *file, const char *path, char joined[PATH_MAX])
{
    const char *slash = strrchr(file, '/');
    int folder = slash && *path != '/' ? (int)(slash + 1 - file) : 0;
    int length = snprintf(joined, PATH_MAX, "%.*s%s", folder, file, path);
    return length > 0 && length < PATH_MAX;
}

int database_config_include(const char *text, size_t size, const char *name,
                            const struct database_owner *owner, char path[PATH_MAX],
                            struct error *err)
{
    json_t *root = parse(text, size, name, err), *entry;
    const char *include = NULL;
    size_t i;
    if (!root)
        return -EINVAL;
    json_array_foreach(json_object_get(root, "INCLUDES"), i, entry)
    {
        if (!include && says(entry, "namespace", owner->namespace) &&
            says(entry, "container_name", owner->container))
            include = json_string_value(json_object_get(entry, "include"));
    }
    bool found = include && *include && join(name, include, path);
    json_decref(root);
    return found
               ? 0
               : error_set(err, ERROR_CONFIG, EINVAL,
                           "%s: INCLUDES nothing for namespace \"%s\", container \"%s\"",
                           name, owner->namespace ? owner->namespace : "",
                           owner->container ? owner->container : "");
}

/* --- names ----------------------------------------------------------------------------------- */

static bool is_address(const char *host)
{
    uint8_t address[16];
    return inet_pton(AF_INET, host, address) == 1 ||
           inet_pton(AF_INET6, host, address) == 1;
}

/* The place's host becomes a number, if it is by host that it is reached. */
static int look_up(struct redis_place *place, const char *of, struct error *err)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (!strcmp(place->host, "localhost")) /* of ::1 SONiC's Redis hears nothing */
        strcpy(place->host, "127.0.0.1");
    if (*place->path || is_address(place->host))
        return 0;
    int problem = getaddrinfo(place->host, NULL, &hints, &found);
    if (!problem)
        problem = getnameinfo(found->ai_addr, found->ai_addrlen, place->host,
                              sizeof(place->host), NULL, 0, NI_NUMERICHOST);
    if (found)
        freeaddrinfo(found);
    return problem ? error_set(err, ERROR_CONFIG, EINVAL, "%s: host \"%s\": %s", of,
                               place->host, gai_strerror(problem))
                   : 0;
}

int database_config_look_up(struct database_config *config, struct error *err)
{
    int error = 0;
    for (unsigned i = 0; !error && i < DATABASES; i++)
        error = look_up(&config->places[i], names[i], err);
    return error;
}

/* --- files ----------------------------------------------------------------------------------- */

static int read_file(const char *path, char **text, size_t *size, struct error *err)
{
    int error = whole_file_read(path, FILE_MOST, text, size);
    errno = -error;
    return error ? error_system(err, ERROR_CONFIG, "%s", path) : 0;
}

static int find_owned(const char *path, const struct database_owner *owner,
                      char owned[PATH_MAX], struct error *err)
{
    char global[PATH_MAX], *text;
    size_t size;
    if (!join(path, GLOBAL_NAME, global))
        return error_set(err, ERROR_CONFIG, EINVAL, "%s: the path is too long", path);
    int error = read_file(global, &text, &size, err);
    if (error)
        return error;
    error = database_config_include(text, size, global, owner, owned, err);
    free(text);
    return error;
}

int database_config_read(const char *path, const struct database_owner *owner,
                         struct database_config *config, struct error *err)
{
    bool owned = owner->namespace || owner->container;
    char found[PATH_MAX], *text;
    size_t size;
    int error = owned ? find_owned(path, owner, found, err) : 0;
    if (error)
        return error;
    path = owned ? found : path;
    set_defaults(config);
    error = read_file(path, &text, &size, err);
    if (error == -ENOENT && !owned)
        return 0;
    if (error)
        return error;
    error = database_config_parse(text, size, path, config, err);
    free(text);
    return error;
}

/* --- one server for all ---------------------------------------------------------------------- */

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
    if (end == begin || (size_t)(end - begin) >= sizeof(host) || port < 1 ||
        port > 65535 || (rest && *rest))
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = 0;
    strcpy(place->host, host);
    place->port = (uint16_t)port;
    *place->path = 0;
    return true;
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
                "redis: \"%s\" is neither the path of a socket nor HOST:PORT", text);
    }
    return 0;
}
