/* lua_app: app classes written as Lua tables.
 *
 * Each table becomes one class, made when it is first used and pinned by the registry, so
 * that the same table is the same class from one configuration to the next. Its only
 * parameter is the argument, any value.
 *
 * A table belongs to the state of one core. What a graph names is always the first
 * state's class; an app on another core runs with the class that this core's own state
 * makes of the same module.
 */
#include "config/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lua_class {
    struct app_class class;
    struct vm *vm;
    char name[64];
    char *module; /* that returns the table, when it was named; NULL: only a table */
    struct port *ports;
    struct counter_row *counters;
    struct lua_class *next;
};

struct lua_conf {
    struct value arg;
};

struct lua_app {
    struct lua_class *class; /* of the state it runs in; NULL until start has found it */
    int self; /* reference of the object; LUA_NOREF until start has made it */
    uint32_t serial;
};

static const struct param params[] = {
    PARAM_VALUE(struct lua_conf, arg, "", "what new gets"),
    PARAM_END,
};

static struct vm *vm_of_app(const struct app *app)
{
    return ((const struct lua_app *)app->state)->class->vm;
}

/* --- calls from the engine -----------------------------------------------------------
 */

struct call {
    struct app *app;
    const char *method;
    FILE *out;
};

/* Calls self:method() if there is such a method. */
static int call_method(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    const struct lua_app *state = call->app->state;
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->self);
    if (lua_getfield(L, -1, call->method) == LUA_TNIL)
        return 0;
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    if (call->out && lua_isstring(L, -1))
        fputs(lua_tostring(L, -1), call->out);
    return 0;
}

static bool call_app(struct app *app, const char *method, FILE *out)
{
    struct lua_app *state = app->state;
    struct call call = { app, method, out };
    struct vm *vm = vm_of_app(app);
    if (state->self == LUA_NOREF)
        return false;
    vm->app_calls++;
    bool worked = vm_protect(vm, call_method, &call, state->serial);
    vm->app_calls--;
    return worked;
}

/* After a failure the rest of the breath is none of Lua's business; only stop is. */
static void move(struct app *app, const char *method)
{
    if (!vm_of_app(app)->failure)
        call_app(app, method, NULL);
}

static void pull(struct app *app)
{
    move(app, "pull");
}

static void push(struct app *app)
{
    move(app, "push");
}

static void tick(struct app *app)
{
    move(app, "tick");
}

static void report(struct app *app, FILE *out)
{
    call_app(app, "report", out);
}

/* --- life ----------------------------------------------------------------------------
 */

/* Leaves the table of the class on the stack. */
static void push_class_table(lua_State *L, const struct lua_class *class)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_CLASSES);
    lua_rawgetp(L, -1, class);
    lua_remove(L, -2);
}

/* class.new(class, arg), or an empty object. */
static int make_object(lua_State *L)
{
    struct app *app = lua_touserdata(L, 1);
    struct lua_app *state = app->state;
    const struct lua_conf *conf = app->conf;
    push_class_table(L, state->class);
    int class = lua_gettop(L);
    if (lua_getfield(L, class, "new") == LUA_TNIL) {
        lua_newtable(L);
    } else {
        lua_pushvalue(L, class);
        value_push(L, &conf->arg);
        lua_call(L, 2, 1);
        if (!lua_istable(L, -1))
            return luaL_error(L, "new returned %s, not an object", luaL_typename(L, -1));
    }
    if (!lua_getmetatable(L, -1)) {
        lua_createtable(L, 0, 1);
        lua_pushvalue(L, class);
        lua_setfield(L, -2, "__index");
        lua_setmetatable(L, -2);
    } else {
        lua_pop(L, 1);
    }
    lua_pushstring(L, app->name);
    lua_setfield(L, -2, "name");
    lua_newtable(L);
    lua_setfield(L, -2, "input");
    lua_newtable(L);
    lua_setfield(L, -2, "output");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_INSTANCES);
    lua_pushvalue(L, -2);
    lua_pushlightuserdata(L, app);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    state->self = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* Calls f(L) with data in a state while a graph is applied: an error is the graph's. */
static int configure_call(struct vm *vm, uint32_t owner, lua_CFunction f, void *data,
                          struct error *err)
{
    lua_State *L = vm->L;
    uint32_t owner_before = vm->owner;
    bool loading = vm->loading, running = vm->running;
    vm->owner = owner;
    vm->loading = vm->first->loading;
    vm->running = vm->first->running;
    vm->calls++;
    vm->app_calls++;
    lua_pushcfunction(L, f);
    lua_pushlightuserdata(L, data);
    bool worked = vm_pcall(L, 1, 0);
    vm->app_calls--;
    vm->calls--;
    vm->owner = owner_before;
    vm->loading = loading;
    vm->running = running;
    return worked ? 0 : vm_take_error(vm, L, false, err);
}

static int call_state(struct app *app, lua_CFunction f, void *data, struct error *err)
{
    const struct lua_app *state = app->state;
    return configure_call(state->class->vm, state->serial, f, data, err);
}

/* --- the class on another core ------------------------------------------------------ */

struct import {
    const char *module;
    const struct app_class *class;
};

static int import_class(lua_State *L)
{
    struct import *import = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushstring(L, import->module);
    lua_call(L, 1, 1);
    if (!lua_istable(L, -1))
        return luaL_error(L, "module %s returned %s, not an app class", import->module,
                          luaL_typename(L, -1));
    import->class = lua_class_of(L, lua_gettop(L), import->module);
    return 0;
}

/* The class as the state of the app's core has it. */
static int find_class(struct app *app, struct error *err)
{
    struct lua_app *state = app->state;
    struct lua_class *class = app->class->user;
    if (!app->engine->core) {
        state->class = class;
        return 0;
    }
    struct import import = { class->module, NULL };
    struct vm *vm = vm_of_core(class->vm, app->engine->core, err);
    int error = vm ? configure_call(vm, OWNER_FILE, import_class, &import, err) : -EIO;
    if (!error)
        state->class = import.class->user;
    return error;
}

int lua_apps_check(const struct graph *graph, struct error *err)
{
    for (uint32_t i = 0; i < graph->napps; i++) {
        const struct graph_app *app = &graph->apps[i];
        if (!app->core || !lua_class_is(app->class) ||
            ((const struct lua_class *)app->class->user)->module)
            continue;
        return error_set(
            err, ERROR_CONFIG, EINVAL,
            "%s%sapp \"%s\" (%s): a table runs on core 0 only; on core %u the "
            "app's class must be the name of a module",
            app->place ? app->place : "", app->place ? ": " : "", app->name,
            app->class->name, app->core);
    }
    return 0;
}

static int start(struct app *app, struct error *err)
{
    struct lua_app *state = app->state;
    state->self = LUA_NOREF;
    int error = find_class(app, err);
    if (error)
        return error;
    state->serial = state->class->vm->serial++;
    return call_state(app, make_object, app, err);
}

static int forget_object(lua_State *L)
{
    struct lua_app *state = lua_touserdata(L, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_INSTANCES);
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->self);
    lua_pushnil(L);
    lua_rawset(L, -3);
    luaL_unref(L, LUA_REGISTRYINDEX, state->self);
    return 0;
}

static void stop(struct app *app)
{
    struct lua_app *state = app->state;
    if (!state->class)
        return;
    struct vm *vm = state->class->vm;
    call_app(app, "stop", NULL);
    if (state->self != LUA_NOREF)
        vm_protect(vm, forget_object, state, OWNER_FILE);
    state->self = LUA_NOREF;
    timers_drop_owned(vm, state->serial);
    packets_free_owned(vm, state->serial);
}

struct change {
    struct app *app;
    const struct lua_conf *conf;
    bool done;
};

static int call_reconfigure(lua_State *L)
{
    struct change *change = lua_touserdata(L, 1);
    const struct lua_app *state = change->app->state;
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->self);
    if (lua_getfield(L, -1, "reconfigure") == LUA_TNIL &&
        lua_getfield(L, -2, "reconfig") == LUA_TNIL)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->self);
    value_push(L, &change->conf->arg);
    lua_call(L, 2, 0);
    change->done = true;
    return 0;
}

static int reconfigure(struct app *app, const void *conf, struct error *err)
{
    struct change change = { app, conf, false };
    int error = call_state(app, call_reconfigure, &change, err);
    return error || change.done ? error : -EOPNOTSUPP;
}

/* --- the class -----------------------------------------------------------------------
 */

static uint32_t list_length(lua_State *L, int index, const char *field, const char *name)
{
    if (lua_getfield(L, index, field) == LUA_TNIL)
        return 0;
    if (!lua_istable(L, -1) || lua_rawlen(L, -1) > 256)
        vm_fail(L, ERROR_CONFIG, "app class %s: %s is not a list of names", name, field);
    return (uint32_t)lua_rawlen(L, -1);
}

/* A copy: the file may change its table after the class was made. */
static char *list_name(lua_State *L, uint32_t i, const char *field, const char *name)
{
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (!text || strlen(text) >= NAME_SIZE)
        vm_fail(L, ERROR_CONFIG, "app class %s: %s is not a list of names", name, field);
    char *copy = strdup(text);
    lua_pop(L, 1);
    return copy;
}

static uint32_t add_ports(lua_State *L, int index, struct lua_class *class,
                          const char *field, enum port_direction direction, uint32_t at)
{
    uint32_t n = list_length(L, index, field, class->name);
    class->ports = realloc(class->ports, (at + n + 2) * sizeof(*class->ports));
    class->ports[at] = (struct port){ NULL };
    if (lua_isnil(L, -1))
        class->ports[at++] = (struct port){ strdup("*"), direction, "" };
    for (uint32_t i = 0; i < n; i++) {
        class->ports[at] = (struct port){ NULL };
        class->ports[at].name = list_name(L, i, field, class->name);
        class->ports[at].direction = direction;
        class->ports[at++].doc = "";
    }
    class->ports[at] = (struct port){ NULL };
    lua_pop(L, 1);
    return at;
}

static void add_counters(lua_State *L, int index, struct lua_class *class)
{
    uint32_t n = list_length(L, index, "counters", class->name);
    class->counters = calloc(n + 1, sizeof(*class->counters));
    for (uint32_t i = 0; i < n; i++)
        class->counters[i].name = list_name(L, i, "counters", class->name);
    lua_pop(L, 1);
}

static bool has(lua_State *L, int index, const char *method)
{
    bool found = lua_getfield(L, index, method) == LUA_TFUNCTION;
    lua_pop(L, 1);
    return found;
}

static void fill_class(lua_State *L, int index, struct lua_class *class, const char *name)
{
    lua_getfield(L, index, "name");
    const char *own = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "Lua app";
    snprintf(class->name, sizeof(class->name), "%s", name ? name : own);
    lua_pop(L, 1);
    add_counters(L, index, class);
    add_ports(L, index, class, "outputs", PORT_OUTPUT,
              add_ports(L, index, class, "inputs", PORT_INPUT, 0));
    class->class = (struct app_class){
        .name = class->name,
        .doc = "an app written in Lua",
        .ports = class->ports,
        .params = params,
        .conf_size = sizeof(struct lua_conf),
        .counters = class->counters,
        .state_size = sizeof(struct lua_app),
        .start = start,
        .stop = stop,
        .pull = has(L, index, "pull") ? pull : NULL,
        .push = has(L, index, "push") ? push : NULL,
        .tick = has(L, index, "tick") ? tick : NULL,
        .report = has(L, index, "report") ? report : NULL,
        .reconfigure = reconfigure,
        .user = class,
    };
}

const struct app_class *lua_class_of(lua_State *L, int index, const char *name)
{
    index = lua_absindex(L, index);
    struct vm *vm = vm_of(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_CLASSES);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    struct lua_class *class = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!class) {
        class = calloc(1, sizeof(*class));
        class->vm = vm;
        class->next = vm->classes;
        vm->classes = class;
        lua_pushvalue(L, index);
        lua_rawsetp(L, -2, class);
        fill_class(L, index, class, name);
        lua_pushvalue(L, index);
        lua_pushlightuserdata(L, class);
        lua_rawset(L, -3);
    }
    lua_pop(L, 1);
    if (name && !class->module)
        class->module = strdup(name);
    return &class->class;
}

bool lua_class_is(const struct app_class *class)
{
    return class->start == start;
}

void lua_classes_free(struct vm *vm)
{
    while (vm->classes) {
        struct lua_class *class = vm->classes;
        vm->classes = class->next;
        for (const struct port *port = class->ports; port && port->name; port++)
            free((char *)port->name);
        for (const struct counter_row *row = class->counters; row && row->name; row++)
            free((char *)row->name);
        free(class->module);
        free(class->ports);
        free(class->counters);
        free(class);
    }
}

/* --- self.input, self.output ----------------------------------------------------------
 */

static void fill_links(lua_State *L, const char *field, struct link **links, uint32_t n,
                       bool input)
{
    lua_newtable(L);
    for (uint32_t i = 0, position = 0; i < n; i++) {
        if (!links[i])
            continue;
        push_link(L, links[i]);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, (lua_Integer)++position);
        lua_setfield(L, -2, input ? links[i]->to : links[i]->from);
    }
    lua_setfield(L, -2, field);
}

void lua_apps_refresh(lua_State *L)
{
    const struct vm *vm = vm_of(L);
    for (uint32_t i = 0; i < vm->engine->napps; i++) {
        const struct app *app = vm->engine->apps[i];
        if (!lua_class_is(app->class))
            continue;
        lua_State *its = vm_of_app(app) == vm ? L : vm_of_app(app)->L;
        push_lua_app(its, app);
        fill_links(its, "input", app->inputs, app->ninputs, true);
        fill_links(its, "output", app->outputs, app->noutputs, false);
        lua_pop(its, 1);
    }
}

void push_lua_app(lua_State *L, const struct app *app)
{
    if (lua_class_is(app->class) && vm_of_app(app) == vm_of(L))
        lua_rawgeti(L, LUA_REGISTRYINDEX, ((const struct lua_app *)app->state)->self);
    else
        lua_pushnil(L);
}
