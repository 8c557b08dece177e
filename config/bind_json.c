/* bind_json: json.encode, json.decode, and counters.* for programs that look at other processes. */
#include "config/internal.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/histogram.h"
#include "lib/owner.h"

#define DEPTH_MAX 32

/* --- json
 * -------------------------------------------------------------------------------- */

static json_t *to_json(lua_State *L, int index, int depth);

/* That it is a list, though there is nothing in it. */
static bool says_list(lua_State *L, int index)
{
    bool says = luaL_getmetafield(L, index, "__list") != LUA_TNIL;
    if (says)
        lua_pop(L, 1);
    return says;
}

static json_t *table_to_json(lua_State *L, int index, int depth)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);
    if (n || says_list(L, index)) {
        json_t *array = json_array();
        for (lua_Integer i = 1; i <= n; i++) {
            lua_rawgeti(L, index, i);
            json_array_append_new(array, to_json(L, lua_gettop(L), depth + 1));
            lua_pop(L, 1);
        }
        return array;
    }
    json_t *object = json_object();
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pushvalue(L, -2);
        const char *key = lua_tostring(L, -1);
        if (key)
            json_object_set_new(object, key, to_json(L, lua_absindex(L, -2), depth + 1));
        lua_pop(L, 2);
    }
    return object;
}

static json_t *to_json(lua_State *L, int index, int depth)
{
    json_t *json;
    if (depth > DEPTH_MAX || !lua_checkstack(L, 8))
        return json_null();
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return json_integer(lua_tointeger(L, index));
        return isfinite(lua_tonumber(L, index)) ? json_real(lua_tonumber(L, index))
                                                : json_null();
    case LUA_TSTRING:
        json = json_string(lua_tostring(L, index));
        return json ? json : json_string("(not UTF-8)");
    case LUA_TTABLE:
        return table_to_json(L, index, depth);
    default:
        return json_null();
    }
}

/* Jansson bounds the depth (JSON_PARSER_MAX_DEPTH). */
static void from_json(lua_State *L, const json_t *json)
{
    const char *key;
    json_t *item;
    size_t i;
    luaL_checkstack(L, 4, "JSON is nested too deeply");
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        lua_createtable(L, 0, (int)json_object_size(json));
        json_object_foreach((json_t *)json, key, item)
        {
            from_json(L, item);
            lua_setfield(L, -2, key);
        }
        break;
    case JSON_ARRAY:
        lua_createtable(L, (int)json_array_size(json), 0);
        json_array_foreach(json, i, item)
        {
            from_json(L, item);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(json));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(json));
        break;
    case JSON_NULL:
        lua_pushnil(L);
        break;
    }
}

static int push_json(lua_State *L)
{
    from_json(L, lua_touserdata(L, 1));
    return 1;
}

/* json.decode(text): the value, or nil and what is wrong. */
static int json_decode(lua_State *L)
{
    size_t length;
    json_error_t problem;
    const char *text = luaL_checklstring(L, 1, &length);
    json_t *json =
        json_loadb(text, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &problem);
    if (!json) {
        lua_pushnil(L);
        lua_pushfstring(L, "line %d, column %d: %s", problem.line, problem.column,
                        problem.text);
        return 2;
    }
    lua_pushcfunction(L, push_json);
    lua_pushlightuserdata(L, json);
    int status = lua_pcall(L, 1, 1, 0);
    json_decref(json);
    return status ? lua_error(L) : 1;
}

static int json_encode(lua_State *L)
{
    json_t *json = to_json(L, 1, 0);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY |
                                      JSON_REAL_PRECISION(9));
    json_decref(json);
    lua_pushstring(L, text ? text : "null");
    free(text);
    return 1;
}

void open_json(lua_State *L)
{
    static const luaL_Reg functions[] = { { "encode", json_encode },
                                          { "decode", json_decode },
                                          { NULL, NULL } };
    luaL_newlib(L, functions);
    lua_setglobal(L, "json");
}

void json_log(const char *line)
{
    char when[32];
    struct tm tm;
    time_t now = time(NULL);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    json_t *object =
        json_pack("{ss ss ss*}", "ts", when, "level", "warn", "message", line);
    char *text = object ? json_dumps(object, JSON_PRESERVE_ORDER) : NULL;
    if (text)
        fprintf(stderr, "%s\n", text);
    free(text);
    json_decref(object);
}

/* --- counters
 * ------------------------------------------------------------------------------ */

/* counters.names(): the run directories with counters, sorted by the caller. */
static int counters_names(lua_State *L)
{
    char parent[4096];
    run_directory_parent(parent, sizeof(parent));
    lua_newtable(L);
    DIR *dir = opendir(parent);
    struct dirent *entry;
    for (lua_Integer n = 0; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++n);
    }
    if (dir)
        closedir(dir);
    return 1;
}

static void add_entry(const struct counter_entry *entry, const uint64_t *words,
                      void *user)
{
    lua_State *L = user;
    int top = lua_gettop(L); /* words, order, histograms */
    if (entry->kind == COUNTER_WORD) {
        lua_pushinteger(L, (lua_Integer)*words);
        lua_setfield(L, top - 2, entry->name);
        lua_pushstring(L, entry->name);
        lua_rawseti(L, top - 1, (lua_Integer)lua_rawlen(L, top - 1) + 1);
        return;
    }
    static const struct {
        const char *name;
        double q;
    } quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "max", 1 } };
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        uint64_t value =
            histogram_quantile((const struct histogram *)words, quantiles[i].q);
        lua_pushinteger(L, (lua_Integer)value);
        lua_setfield(L, -2, quantiles[i].name);
    }
    lua_pushinteger(L, (lua_Integer)((const struct histogram *)words)->count);
    lua_setfield(L, -2, "count");
    lua_setfield(L, top, entry->name);
}

static void push_reading(lua_State *L, const struct counters *counters)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    for (int tries = 0; tries < 100; tries++) {
        lua_newtable(L);
        lua_newtable(L);
        lua_newtable(L);
        if (counters_read(counters, add_entry, L))
            break;
        lua_pop(L, 3);
    }
    lua_createtable(L, 0, 5);
    lua_insert(L, -4);
    lua_setfield(L, -4, "histograms");
    lua_setfield(L, -3, "order");
    lua_setfield(L, -2, "words");
    lua_pushinteger(L, (lua_Integer)ts.tv_sec * 1000000000 + ts.tv_nsec);
    lua_setfield(L, -2, "clock");
    lua_pushinteger(L, counters_pid(counters));
    lua_setfield(L, -2, "pid");
}

/* counters.read(name) -> { pid, clock, words, order, histograms }, or nil and why not. */
static int counters_lua_read(lua_State *L)
{
    char parent[4096];
    const char *name = luaL_checkstring(L, 1);
    struct error err;
    if (strchr(name, '/'))
        return vm_fail(L, ERROR_USAGE, "no running program \"%s\"", name);
    run_directory_parent(parent, sizeof(parent));
    const char *path = lua_pushfstring(L, "%s/%s/counters", parent, name);
    struct counters *counters = counters_open(path, &err);
    if (!counters) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    luaL_checkstack(L, 16, NULL);
    push_reading(L, counters);
    counters_close(counters);
    return 1;
}

/* counters.own() -> the same for this process. */
static int counters_own(lua_State *L)
{
    struct engine *engine = vm_need_engine(L);
    engine_commit_counters(engine);
    luaL_checkstack(L, 16, NULL);
    push_reading(L, engine->counters);
    return 1;
}

struct search {
    lua_State *L;
    const char *name;
};

static void add_buckets(const struct counter_entry *entry, const uint64_t *words,
                        void *user)
{
    const struct search *search = user;
    const struct histogram *histogram = (const void *)words;
    lua_State *L = search->L;
    if (entry->kind == COUNTER_WORD || strcmp(entry->name, search->name))
        return;
    lua_settop(L, 1);
    lua_newtable(L);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (!histogram->buckets[i])
            continue;
        lua_createtable(L, 2, 0);
        lua_pushinteger(L, (lua_Integer)histogram_limit(i));
        lua_rawseti(L, -2, 1);
        lua_pushinteger(L, (lua_Integer)histogram->buckets[i]);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    lua_pushinteger(L, (lua_Integer)histogram->count);
    lua_setfield(L, -2, "count");
    lua_pushnumber(L, histogram_mean(histogram));
    lua_setfield(L, -2, "mean");
    lua_pushinteger(L, histogram->count ? (lua_Integer)histogram->min : 0);
    lua_setfield(L, -2, "min");
    lua_pushinteger(L, (lua_Integer)histogram->max);
    lua_setfield(L, -2, "max");
}

/* counters.histogram("apps/wan/delay_ns") -> { { limit, count }, ..., count =, mean =, min =,
 * max = } of this process, buckets in ascending order; nil when there is none. */
static int counters_histogram(lua_State *L)
{
    struct engine *engine = vm_need_engine(L);
    struct search search = { L, luaL_checkstring(L, 1) };
    luaL_checkstack(L, 16, NULL);
    for (int tries = 0; tries < 100; tries++) {
        lua_settop(L, 1);
        if (counters_read(engine->counters, add_buckets, &search))
            break;
    }
    if (lua_gettop(L) == 1)
        lua_pushnil(L);
    return 1;
}

void open_counters(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "histogram", counters_histogram },
        { "names", counters_names },
        { "own", counters_own },
        { "read", counters_lua_read },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    lua_setglobal(L, "counters");
}
