/* bind_live: parameters of running apps, read and changed one by one.
 *
 *   engine.get("wan.loss.p")              as text
 *   engine.set("wan.loss.p", "5%")        or { ["wan.loss.p"] = "5%", ["wan.owd"] = "20ms" }
 *
 *   engine.call("guard", "ban", args)     one of the operations of an app's class; its answer
 *
 *   control.ask("flaky", request)         of another process: the answer; nil, why, exit code
 *   control.commands.NAME = function (request)   one more thing that others may ask of this
 *                                         process; the table that it returns is the answer
 *
 * Several changes are one: all of them hold from the same breath on, or none does. Each comes
 * back as { path =, before =, after =, packets = }: how many packets the app had taken by
 * then, which is the number of the first one that meets the change.
 */
#include "config/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/control.h"

#define TEXT_SIZE 1024

/* Raises. The parameter's path begins behind the app's name and a dot. */
static const struct graph_app *find_app(lua_State *L, const struct graph *graph,
                                        const char *path, const char **rest)
{
    char name[NAME_SIZE];
    const struct graph_app *app = NULL;
    const char *dot = strchr(path, '.');
    if (dot && dot - path < NAME_SIZE) {
        snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
        app = graph_find_app(graph, name);
        *rest = dot + 1;
    }
    if (!app)
        vm_fail(L, ERROR_CONFIG,
                "\"%s\": no such app (APP.PARAMETER, such as wan.loss.p)", path);
    return app;
}

static const struct graph *running_graph(lua_State *L)
{
    return vm_need_engine(L)->graph;
}

/* Pushes the parameter as text. */
static void push_parameter(lua_State *L, const struct graph_app *app, const char *path)
{
    char text[TEXT_SIZE];
    struct error err;
    void *conf = app->conf;
    const struct param *row = param_find(app->class->params, path, &conf, &err);
    if (!row) {
        error_prefix(&err, "app \"%s\" (%s): ", app->name, app->class->name);
        vm_raise(L, &err);
    }
    lua_pushstring(L, param_format(row, conf, text, sizeof(text)));
}

static int engine_lua_get(lua_State *L)
{
    const char *rest = NULL, *path = luaL_checkstring(L, 1);
    const struct graph_app *app = find_app(L, running_graph(L), path, &rest);
    push_parameter(L, app, rest);
    return 1;
}

/* Packets that the app took so far: what it counts as that, or what its links say. */
static uint64_t packets_of(const struct app *app)
{
    const struct counter_row *row = app->class->counters;
    for (uint32_t i = 0; row && row[i].name; i++)
        if (!strcmp(row[i].name, "packets"))
            return app->counters[i];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < app->ninputs; i++)
        sum += app->inputs[i] ? app->inputs[i]->read : 0;
    return sum;
}

/* At index: a list of { path, value userdata }; nothing is raised from here on. */
static int change(lua_State *L, int index, struct graph *graph, struct error *err)
{
    int error = 0;
    for (lua_Integer i = 1; !error && lua_rawgeti(L, index, i) == LUA_TTABLE; i++) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        const char *rest = NULL, *path = lua_tostring(L, -2);
        const struct graph_app *app = find_app(L, graph, path, &rest);
        error = graph_set_param(graph, app->name, rest, lua_touserdata(L, -1), err);
        lua_pop(L, 3);
    }
    return error ? error : graph_verify(graph, err);
}

/* Raises what is wrong with paths while no graph is there yet that could be lost. */
static void add_change(lua_State *L, int list, const char *path, int value)
{
    const char *rest = NULL;
    const struct graph_app *app = find_app(L, running_graph(L), path, &rest);
    lua_createtable(L, 2, 3);
    lua_pushstring(L, path);
    lua_rawseti(L, -2, 1);
    value_check(L, value);
    lua_rawseti(L, -2, 2);
    push_parameter(L, app, rest);
    lua_setfield(L, -2, "before");
    lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

/* Pushes what has changed. */
static void push_changes(lua_State *L, int list)
{
    const struct engine *engine = vm_need_engine(L);
    lua_newtable(L);
    for (lua_Integer i = 1; lua_rawgeti(L, list, i) == LUA_TTABLE; i++) {
        const char *rest = NULL;
        lua_createtable(L, 0, 4);
        lua_rawgeti(L, -2, 1);
        const char *path = lua_tostring(L, -1);
        const struct graph_app *app = find_app(L, engine->graph, path, &rest);
        const struct app *running = engine_find_app(engine, app->name);
        lua_setfield(L, -2, "path");
        lua_getfield(L, -2, "before");
        lua_setfield(L, -2, "before");
        push_parameter(L, app, rest);
        lua_setfield(L, -2, "after");
        lua_pushinteger(L, running ? (lua_Integer)packets_of(running) : 0);
        lua_setfield(L, -2, "packets");
        lua_rawseti(L, -3, i);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static int engine_lua_set(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct error err;
    vm_need_engine(L);
    if (vm->app_calls)
        return vm_fail(L, ERROR_RUN,
                       "engine.set inside a method of an app: use timer.after(0, f)");
    lua_settop(L, 2);
    lua_newtable(L);
    if (lua_type(L, 1) != LUA_TTABLE) {
        add_change(L, 3, luaL_checkstring(L, 1), 2);
    } else {
        for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING)
                return vm_fail(L, ERROR_CONFIG,
                               "engine.set: { [\"app.parameter\"] = value }");
            add_change(L, 3, lua_tostring(L, -2), lua_gettop(L));
        }
    }
    struct graph *graph = graph_copy(vm->engine->graph);
    if (change(L, 3, graph, &err)) {
        graph_free(graph);
        return vm_raise(L, &err);
    }
    int error = vm_apply(L, graph, &err);
    if (error)
        return vm_raise(L, &err);
    push_changes(L, 3);
    return 1;
}

/* Raises when there is no such operation. */
static uint32_t find_operation(lua_State *L, const struct app *app, const char *name)
{
    const struct operation_row *row = app->class->operations;
    for (uint32_t i = 0; row && row[i].name; i++)
        if (!strcmp(row[i].name, name))
            return i;
    return (uint32_t)vm_fail(L, ERROR_CONFIG, "app \"%s\" (%s): no operation \"%s\"",
                             app->name, app->class->name, name);
}

static int engine_lua_call(lua_State *L)
{
    struct error err;
    const char *name = luaL_checkstring(L, 1), *operation = luaL_checkstring(L, 2);
    const struct engine *engine = vm_need_engine(L);
    struct app *app = engine_find_app(engine, name);
    if (!app)
        return vm_fail(L, ERROR_CONFIG, "\"%s\": no such app", name);
    uint32_t number = find_operation(L, app, operation);
    if (app->engine != engine)
        return vm_fail(L, ERROR_CONFIG,
                       "app \"%s\" is on another core: only those of the "
                       "first can be called",
                       name);
    lua_settop(L, 3);
    struct value *args = value_check(L, 3);
    lua_pushnil(L);
    struct value *answer = value_check(L, -1);
    if (app->class->call(app, number, args, answer, &err)) {
        error_prefix(&err, "app \"%s\" (%s): ", app->name, app->class->name);
        return vm_raise(L, &err);
    }
    value_push(L, answer);
    return 1;
}

static int control_lua_ask(lua_State *L)
{
    char parent[PATH_MAX];
    struct error err;
    const char *name = luaL_checkstring(L, 1), *request = luaL_checkstring(L, 2);
    if (strchr(name, '/') || *name == '.')
        return vm_fail(L, ERROR_USAGE, "\"%s\" is no name of a program that runs", name);
    run_directory_parent(parent, sizeof(parent));
    char *answer = control_ask(lua_pushfstring(L, "%s/%s", parent, name), request, &err);
    if (answer) {
        lua_pushstring(L, answer);
        free(answer);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, err.text);
    lua_pushinteger(L, err.kind);
    return 3;
}

void open_live(lua_State *L)
{
    static const luaL_Reg functions[] = { { "get", engine_lua_get },
                                          { "set", engine_lua_set },
                                          { "call", engine_lua_call },
                                          { NULL, NULL } };
    lua_getglobal(L, "engine");
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
    static const luaL_Reg control[] = { { "ask", control_lua_ask }, { NULL, NULL } };
    luaL_newlib(L, control);
    lua_newtable(L);
    lua_setfield(L, -2, "commands");
    lua_setglobal(L, "control");
}
