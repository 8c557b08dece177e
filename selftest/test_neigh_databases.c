/* neigh_databases: where SONiC says that its databases are, also on switches of several ASICs. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/neigh_sync/parameters.h"
#include "lib/error.h"
#include "selftest/selftest.h"

static int parse(const char *text, struct database_config *config, struct error *err)
{
    return database_config_parse(text, strlen(text), "file", config, err);
}

#define REDIS                                                                            \
    "\"INSTANCES\": { \"redis\": { \"unix_socket_path\": \"/r.sock\" }, "                \
    "\"other\": { \"hostname\": \"10.0.0.9\", \"port\": 6380 } }"

START_TEST(says_nothing)
{
    struct database_config config;
    struct error err;
    ck_assert_int_eq(parse("{}", &config, &err), 0);
    ck_assert_str_eq(config.places[DATABASE_APPL].path, "/var/run/redis/redis.sock");
    ck_assert_int_eq(config.places[DATABASE_CONFIG].database, 4);
    ck_assert_int_eq(config.places[DATABASE_STATE].database, 6);
    ck_assert_int_eq(config.separators[DATABASE_APPL], ':');
    ck_assert_int_eq(config.separators[DATABASE_STATE], '|');
    ck_assert_int_eq(parse("{ " REDIS " }", &config, &err), 0);
    ck_assert_str_eq(config.places[DATABASE_STATE].path, "/r.sock");
}
END_TEST

START_TEST(says_all)
{
    struct database_config config;
    struct error err;
    ck_assert_int_eq(
        parse(
            "{ " REDIS ", \"DATABASES\": {"
            "\"APPL_DB\": { \"id\": 7, \"separator\": \"#\", \"instance\": \"other\" },"
            "\"STATE_DB\": { \"id\": 13, \"separator\": \"/\", \"instance\": \"redis\" }"
            "} }",
            &config, &err),
        0);
    const struct redis_place *place = &config.places[DATABASE_APPL];
    ck_assert_str_eq(place->path, "");
    ck_assert_str_eq(place->host, "10.0.0.9");
    ck_assert_uint_eq(place->port, 6380);
    ck_assert_int_eq(place->database, 7);
    ck_assert_int_eq(config.separators[DATABASE_APPL], '#');
    ck_assert_int_eq(config.places[DATABASE_STATE].database, 13);
    ck_assert_str_eq(config.places[DATABASE_STATE].path, "/r.sock");
}
END_TEST

START_TEST(says_what_cannot_be)
{
    static const char *const texts[][2] = {
        { "", "file" },
        { "{", "file:" },
        { "{ \"DATABASES\": { \"APPL_DB\": { \"id\": \"0\" } } }", "APPL_DB.id" },
        { "{ \"DATABASES\": { \"APPL_DB\": { \"id\": -1 } } }", "APPL_DB.id" },
        { "{ \"DATABASES\": { \"APPL_DB\": { \"id\": 65536 } } }", "APPL_DB.id" },
        { "{ \"DATABASES\": { \"APPL_DB\": { \"separator\": \"::\" } } }", "separator" },
        { "{ \"DATABASES\": { \"APPL_DB\": { \"instance\": \"x\" } } }", "instance" },
        { "{ \"INSTANCES\": { \"redis\": 1 } }", "instance" },
        { "{ \"INSTANCES\": { \"redis\": { \"port\": 0 } } }", "redis.port" },
        { "{ \"INSTANCES\": { \"redis\": { \"port\": 65536 } } }", "redis.port" },
        { "{ \"INSTANCES\": { \"redis\": { \"port\": \"6379\" } } }", "redis.port" },
        { "{ \"INSTANCES\": { \"redis\": { \"hostname\": 1 } } }", "redis.hostname" },
        { "{ \"INSTANCES\": { \"redis\": { \"unix_socket_path\": [] } } }",
          "redis.unix" },
    };
    struct database_config config;
    struct error err = { 0 };
    ck_assert_int_eq(parse(texts[_i][0], &config, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, texts[_i][1]), "%s", err.text);
    ck_assert_int_eq(err.kind, ERROR_CONFIG);
}
END_TEST

/* Longer than there is room for, by one. */
START_TEST(says_too_much)
{
    struct database_config config;
    struct error err;
    char path[sizeof(config.places[0].path) + 1] = { 0 }, text[512];
    for (unsigned more = 0; more < 2; more++) {
        memset(path, '/', sizeof(path) - 2 + more);
        snprintf(text, sizeof(text),
                 "{ \"INSTANCES\": { \"redis\": { \"unix_socket_path\": \"%s\" } } }",
                 path);
        ck_assert_int_eq(parse(text, &config, &err), more ? -EINVAL : 0);
    }
}
END_TEST

START_TEST(includes)
{
    static const char text[] =
        "{ \"INCLUDES\": [ { \"include\": \"database_config.json\" },"
        " { \"namespace\": \"asic0\", \"include\": \"../../redis0/d.json\" },"
        " { \"container_name\": \"dpu0\", \"include\": \"/dpu0.json\" },"
        " { \"namespace\": \"asic1\", \"container_name\": \"dpu1\", \"include\": \"x\" },"
        " { \"namespace\": \"asic3\" } ] }";
    static const struct {
        struct database_owner owner;
        const char *path;
    } rows[] = {
        { { NULL, NULL }, "/run/sonic-db/database_config.json" },
        { { "asic0", NULL }, "/run/sonic-db/../../redis0/d.json" },
        { { NULL, "dpu0" }, "/dpu0.json" },
        { { "asic1", "dpu1" }, "/run/sonic-db/x" },
        { { "asic0", "dpu0" }, NULL },
        { { "asic1", NULL }, NULL },
        { { "asic2", NULL }, NULL },
        { { "asic3", NULL }, NULL },
    };
    struct error err;
    char path[PATH_MAX];
    int error = database_config_include(text, strlen(text), "/run/sonic-db/global.json",
                                        &rows[_i].owner, path, &err);
    ck_assert_int_eq(error, rows[_i].path ? 0 : -EINVAL);
    if (rows[_i].path)
        ck_assert_str_eq(path, rows[_i].path);
}
END_TEST

/* --- files ----------------------------------------------------------------------------------- */

static char directory[64];

static char *in_directory(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_directory(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void make_directory(void)
{
    strcpy(directory, "/tmp/vanguard-databases-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
    static const char *const files[] = { "database_config.json", "database_global.json",
                                         "asic0.json" };
    for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++)
        unlink(in_directory(files[i]));
    rmdir(directory);
}

static int find(const struct neigh_sync_conf *conf, struct database_config *config,
                struct error *err)
{
    struct neigh_sync_conf with = *conf;
    with.database_config = in_directory("database_config.json");
    return neigh_sync_databases(&with, config, err);
}

START_TEST(no_file)
{
    struct database_config config;
    struct error err = { 0 };
    ck_assert_int_eq(find(&(struct neigh_sync_conf){ 0 }, &config, &err), 0);
    ck_assert_str_eq(config.places[DATABASE_APPL].path, "/var/run/redis/redis.sock");
    ck_assert_int_eq(find(&(struct neigh_sync_conf){ .namespace = (char[]){ "asic0" } },
                          &config, &err),
                     -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "database_global.json"));
    ck_assert_int_eq(mkdir(in_directory("database_config.json"), 0700), 0);
    ck_assert_int_eq(find(&(struct neigh_sync_conf){ 0 }, &config, &err), -EISDIR);
    rmdir(in_directory("database_config.json"));
}
END_TEST

/* A name is as good as an address. */
START_TEST(names)
{
    struct database_config config;
    struct error err;
    uint8_t address[16];
    write_file("database_config.json",
               "{ \"INSTANCES\": { \"redis\": { \"hostname\": \"localhost\" } } }");
    ck_assert_int_eq(find(&(struct neigh_sync_conf){ 0 }, &config, &err), 0);
    ck_assert_str_eq(config.places[DATABASE_APPL].host, "127.0.0.1");
    write_file("database_config.json",
               "{ \"INSTANCES\": { \"redis\": { \"hostname\": \"no.such.invalid\" } } }");
    ck_assert_int_eq(find(&(struct neigh_sync_conf){ 0 }, &config, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "no.such.invalid"));
    /* A server that is named in its place outweighs it. */
    struct neigh_sync_conf conf = { .redis = (char[]){ "/elsewhere" } };
    ck_assert_int_eq(find(&conf, &config, &err), 0);
    ck_assert_int_eq(database_config_server("ip6-localhost:6380", &config, &err), 0);
    if (!database_config_look_up(&config, &err)) { /* not everywhere */
        ck_assert_int_eq(inet_pton(AF_INET6, config.places[0].host, address), 1);
        ck_assert_uint_eq(config.places[0].port, 6380);
    }
}
END_TEST

START_TEST(several_asics)
{
    struct database_config config;
    struct error err;
    struct neigh_sync_conf conf = { .namespace = (char[]){ "asic0" } };
    write_file("database_config.json", "{ " REDIS " }");
    write_file("database_global.json",
               "{ \"INCLUDES\": [ { \"include\": \"database_config.json\" }, "
               "{ \"namespace\": \"asic0\", \"include\": \"asic0.json\" } ] }");
    ck_assert_int_eq(find(&conf, &config, &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "asic0.json"));
    write_file("asic0.json",
               "{ \"INSTANCES\": { \"redis\": { \"unix_socket_path\": \"/a0\" } } }");
    ck_assert_int_eq(find(&conf, &config, &err), 0);
    ck_assert_str_eq(config.places[DATABASE_CONFIG].path, "/a0");
    conf.namespace = NULL;
    ck_assert_int_eq(find(&conf, &config, &err), 0);
    ck_assert_str_eq(config.places[DATABASE_CONFIG].path, "/r.sock");
    conf.redis = (char[]){ "/elsewhere" }; /* outweighs the file, but for the numbers */
    ck_assert_int_eq(find(&conf, &config, &err), 0);
    ck_assert_str_eq(config.places[DATABASE_STATE].path, "/elsewhere");
    ck_assert_int_eq(config.places[DATABASE_STATE].database, 6);
}
END_TEST

START_TEST(servers)
{
    static const struct {
        const char *text, *host; /* NULL: it is none */
        unsigned port;
    } rows[] = {
        { "10.0.0.1", "10.0.0.1", 6379 },
        { "10.0.0.1:1", "10.0.0.1", 1 },
        { "[::1]:65535", "::1", 65535 },
        { "::1", "::1", 6379 },
        { "[::1]", "::1", 6379 },
        { "localhost:7", "127.0.0.1", 7 },
        { "10.0.0.1:0", NULL, 0 },
        { "10.0.0.1:65536", NULL, 0 },
        { "10.0.0.1:x", NULL, 0 },
        { ":6379", NULL, 0 },
        { "[]:1", NULL, 0 },
        { "", NULL, 0 },
    };
    struct database_config config;
    struct error err;
    ck_assert_int_eq(parse("{}", &config, &err), 0);
    int error = database_config_server(rows[_i].text, &config, &err);
    if (!error)
        error = database_config_look_up(&config, &err);
    ck_assert_int_eq(error, rows[_i].host ? 0 : -EINVAL);
    for (unsigned i = 0; rows[_i].host && i < DATABASES; i++) {
        ck_assert_str_eq(config.places[i].path, "");
        ck_assert_str_eq(config.places[i].host, rows[_i].host);
        ck_assert_uint_eq(config.places[i].port, rows[_i].port);
    }
}
END_TEST

static Suite *suite_neigh_databases(void)
{
    Suite *suite = suite_create("neigh_databases");
    TCase *text = tcase_create("text"), *files = tcase_create("files");
    tcase_add_test(text, says_nothing);
    tcase_add_test(text, says_all);
    tcase_add_loop_test(text, says_what_cannot_be, 0, 13);
    tcase_add_test(text, says_too_much);
    tcase_add_loop_test(text, includes, 0, 8);
    tcase_add_loop_test(text, servers, 0, 12);
    suite_add_tcase(suite, text);
    tcase_set_timeout(files, 60); /* names that nobody knows */
    tcase_add_checked_fixture(files, make_directory, remove_directory);
    tcase_add_test(files, no_file);
    tcase_add_test(files, names);
    tcase_add_test(files, several_asics);
    suite_add_tcase(suite, files);
    return suite;
}
SUITE(neigh_databases)
