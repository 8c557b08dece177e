/* bind_config: config.new, config.app, config.link, config.chain, config.core, config.graph,
 * config.replace. */
#include "config/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apps/apps.h"
#include "engine/cores.h"
#include "lib/nearest.h"

struct config {
    struct graph *graph;
};

struct graph *check_config(lua_State *L, int index)
{
    struct config *config = luaL_checkudata(L, index, TYPE_CONFIG);
    if (!config->graph)
        vm_fail(L, ERROR_CONFIG, "this config was used up");
    return config->graph;
}

static int config_new(lua_State *L)
{
    struct config *config = lua_newuserdatauv(L, sizeof(*config), 0);
    config->graph = graph_new();
    luaL_setmetatable(L, TYPE_CONFIG);
    return 1;
}

static int config_gc(lua_State *L)
{
    struct config *config = luaL_checkudata(L, 1, TYPE_CONFIG);
    graph_free(config->graph);
    config->graph = NULL;
    return 0;
}

const char *push_hint(lua_State *L, const char *word, const char *const *candidates)
{
    const char *near = nearest(word, candidates);
    return near ? lua_pushfstring(L, " (did you mean \"%s\"?)", near)
                : lua_pushliteral(L, "");
}

const struct app_class *check_class(lua_State *L, int index)
{
    return *(const struct app_class **)luaL_checkudata(L, index, TYPE_CLASS);
}

void push_class(lua_State *L, const struct app_class *class)
{
    const struct app_class **box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = class;
    luaL_setmetatable(L, TYPE_CLASS);
}

static int class_tostring(lua_State *L)
{
    lua_pushstring(L, check_class(L, 1)->name);
    return 1;
}

static int class_eq(lua_State *L)
{
    lua_pushboolean(L, check_class(L, 1) == check_class(L, 2));
    return 1;
}

static int no_class(lua_State *L, const char *name)
{
    const char *names[256];
    size_t n = 0;
    for (const struct app_class *const *class = apps_all(); *class && n < 255; class ++)
        names[n++] = (*class)->name;
    names[n] = NULL;
    return vm_fail(L, ERROR_CONFIG, "no app class \"%s\"%s", name,
                   push_hint(L, name, names));
}

/* A built-in class by its name, or the table that a module of that name returns. */
static const struct app_class *class_by_name(lua_State *L, const char *name)
{
    const struct app_class *class = apps_find(name);
    if (class)
        return class;
    if (!strchr(name, '.') && !strchr(name, '_'))
        no_class(L, name);
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    if (!vm_pcall(L, 1, 1) || !lua_istable(L, -1))
        no_class(L, name);
    return lua_class_of(L, lua_gettop(L), name);
}

static const struct app_class *to_class(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        return class_by_name(L, lua_tostring(L, index));
    case LUA_TTABLE:
        return lua_class_of(L, index, NULL);
    case LUA_TUSERDATA:
        return check_class(L, index);
    default:
        vm_fail(L, ERROR_CONFIG, "app class expected, got %s", luaL_typename(L, index));
        return NULL;
    }
}

/* Arguments of an app written in Lua, checked against the class's config table. */
static void check_lua_arguments(lua_State *L, int class, int arguments)
{
    lua_getfield(L, LUA_REGISTRYINDEX, KEY_PRELUDE);
    lua_getfield(L, -1, "check_arguments");
    lua_remove(L, -2);
    lua_pushvalue(L, class);
    lua_pushvalue(L, arguments);
    lua_call(L, 2, 1);
    lua_replace(L, arguments);
}

static int config_app(lua_State *L)
{
    struct graph *graph = check_config(L, 1);
    const char *name = luaL_checkstring(L, 2);
    lua_settop(L, 4);
    const struct app_class *class = to_class(L, 3);
    lua_settop(L, 4);
    struct error err;
    char place[256];
    vm_where(L, place, sizeof(place));
    struct value *args;
    if (lua_class_is(class)) {
        if (lua_type(L, 3) == LUA_TTABLE)
            check_lua_arguments(L, 3, 4);
        args = value_check(L, 4);
        struct value wrapped = value_table();
        value_table_add(&wrapped, "arg", *args);
        *args = wrapped;
    } else {
        args = value_check(L, 4);
    }
    if (graph_add_app(graph, name, class, args, *place ? place : NULL, &err))
        return vm_raise_here(L, &err);
    return 0;
}

static void add_link(lua_State *L, struct graph *graph, const char *spec)
{
    struct error err;
    char place[256];
    vm_where(L, place, sizeof(place));
    if (graph_add_link(graph, spec, *place ? place : NULL, &err))
        vm_raise_here(L, &err);
}

static int config_link(lua_State *L)
{
    add_link(L, check_config(L, 1), luaL_checkstring(L, 2));
    return 0;
}

static int config_chain(lua_State *L)
{
    struct graph *graph = check_config(L, 1);
    int n = lua_gettop(L);
    if (n < 3)
        return vm_fail(L, ERROR_CONFIG, "a chain wants at least two apps");
    for (int i = 2; i < n; i++)
        add_link(L, graph,
                 lua_pushfstring(L, "%s -> %s", luaL_checkstring(L, i),
                                 luaL_checkstring(L, i + 1)));
    return 0;
}

static void set_core(lua_State *L, struct graph *graph, const char *app, uint32_t core)
{
    struct error err;
    if (graph_set_core(graph, app, core, &err))
        vm_raise_here(L, &err);
}

/* config.core(c, n, app) or config.core(c, n, { app, app ... }). */
static int config_core(lua_State *L)
{
    struct graph *graph = check_config(L, 1);
    lua_Integer core = luaL_checkinteger(L, 2);
    if (core < 0 || core >= CORES_MAX)
        return vm_fail(L, ERROR_CONFIG, "core %lld is not within 0..%d", (long long)core,
                       CORES_MAX - 1);
    if (!lua_istable(L, 3)) {
        set_core(L, graph, luaL_checkstring(L, 3), (uint32_t)core);
        return 0;
    }
    for (lua_Integer i = 1; lua_geti(L, 3, i) != LUA_TNIL; i++) {
        if (lua_type(L, -1) != LUA_TSTRING)
            return vm_fail(L, ERROR_CONFIG,
                           "core %lld: the name of an app expected, got %s",
                           (long long)core, luaL_typename(L, -1));
        set_core(L, graph, lua_tostring(L, -1), (uint32_t)core);
        lua_pop(L, 1);
    }
    return 0;
}

static void push_parameters(lua_State *L, const struct param *rows, const void *conf);

/* Pushes { name, value, initial, rows }. */
static void push_parameter(lua_State *L, const struct param *row, const void *conf)
{
    char text[512];
    lua_createtable(L, 0, 4);
    lua_pushstring(L, row->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, param_format(row, conf, text, sizeof(text)));
    lua_setfield(L, -2, "value");
    if (row->type == PARAM_TYPE_TABLE) {
        push_parameters(L, row->rows, (const char *)conf + row->offset);
        lua_setfield(L, -2, "rows");
    }
    lua_pushboolean(L, param_is_initial(row, conf));
    lua_setfield(L, -2, "initial");
}

static void push_parameters(lua_State *L, const struct param *rows, const void *conf)
{
    lua_newtable(L);
    for (lua_Integer n = 0; rows && rows->name; rows++) {
        if (!param_is_member(rows))
            continue;
        push_parameter(L, rows, conf);
        lua_rawseti(L, -2, ++n);
    }
}

void push_graph(lua_State *L, const struct graph *graph)
{
    lua_createtable(L, 0, 2);
    lua_createtable(L, (int)graph->napps, 0);
    for (uint32_t i = 0; i < graph->napps; i++) {
        const struct graph_app *app = &graph->apps[i];
        lua_createtable(L, 0, 4);
        lua_pushstring(L, app->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, app->class->name);
        lua_setfield(L, -2, "class");
        lua_pushinteger(L, app->core);
        lua_setfield(L, -2, "core");
        lua_pushboolean(L, app->class->pull && app->class->push);
        lua_setfield(L, -2, "device");
        push_parameters(L, app->class->params, app->conf);
        lua_setfield(L, -2, "parameters");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "apps");
    lua_createtable(L, (int)graph->nlinks, 0);
    for (uint32_t i = 0; i < graph->nlinks; i++) {
        const struct link_spec *spec = &graph->links[i].spec;
        lua_createtable(L, 0, 4);
        lua_pushstring(L, spec->from_app);
        lua_setfield(L, -2, "from");
        lua_pushstring(L, spec->from_port);
        lua_setfield(L, -2, "from_port");
        lua_pushstring(L, spec->to_app);
        lua_setfield(L, -2, "to");
        lua_pushstring(L, spec->to_port);
        lua_setfield(L, -2, "to_port");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "links");
}

static int config_graph(lua_State *L)
{
    push_graph(L, check_config(L, 1));
    return 1;
}

/* config.replace(c, name, source, sink): other apps (or nil) in the place of one. */
static int config_replace(lua_State *L)
{
    struct graph *graph = check_config(L, 1);
    const char *name = luaL_checkstring(L, 2);
    if (graph_replace_app(graph, name, luaL_optstring(L, 3, NULL),
                          luaL_optstring(L, 4, NULL)))
        return vm_fail(L, ERROR_CONFIG, "no app \"%s\"", name);
    return 0;
}

void open_config(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "app", config_app },         { "chain", config_chain },
        { "core", config_core },       { "graph", config_graph },
        { "link", config_link },       { "new", config_new },
        { "replace", config_replace }, { NULL, NULL },
    };
    static const luaL_Reg class_methods[] = { { "__tostring", class_tostring },
                                              { "__eq", class_eq },
                                              { NULL, NULL } };
    luaL_newlib(L, functions);
    luaL_newmetatable(L, TYPE_CONFIG);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, config_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_setglobal(L, "config");
    luaL_newmetatable(L, TYPE_CLASS);
    luaL_setfuncs(L, class_methods, 0);
    lua_pop(L, 1);
    for (const struct app_class *const *class = apps_all(); *class; class ++) {
        push_class(L, *class);
        lua_setglobal(L, (*class)->name);
    }
}
