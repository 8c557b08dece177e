/* bind_timer: timer.after, timer.every, units.*, app.load, app.count. */
#include "config/internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/apps.h"
#include "lib/units.h"

/* --- timers ----------------------------------------------------------------------------
 */

struct lua_timer {
    struct timer timer;
    struct vm *vm;
    int function, self; /* references while pending */
    uint64_t period;    /* 0: once */
    uint32_t generation, owner;
    struct lua_timer *next, **link; /* among the pending ones */
};

static void unlink_timer(struct lua_timer *t)
{
    if (t->link) {
        *t->link = t->next;
        if (t->next)
            t->next->link = t->link;
    }
    t->link = NULL;
}

static void cancel(struct lua_timer *t)
{
    lua_State *L = t->vm->main;
    if (t->function == LUA_NOREF)
        return;
    if (t->vm->engine)
        engine_timer_cancel(t->vm->engine, &t->timer);
    unlink_timer(t);
    luaL_unref(L, LUA_REGISTRYINDEX, t->function);
    int self = t->self;
    t->function = t->self = LUA_NOREF;
    luaL_unref(L, LUA_REGISTRYINDEX, self);
}

static int call_function(lua_State *L)
{
    struct lua_timer *t = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->self); /* stays while it is called */
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->function);
    if (!t->period)
        cancel(t);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
    return 0;
}

static void fire(struct timer *timer, uint64_t now)
{
    struct lua_timer *t = timer->user;
    if (t->period) /* from the time it was due: no drift, but no crowd after a pause
                      either */
        engine_timer_set(t->vm->engine, timer,
                         timer->time + t->period > now ? timer->time + t->period
                                                       : now + t->period);
    vm_protect(t->vm, call_function, t, t->owner);
}

static int new_timer(lua_State *L, bool repeat)
{
    struct vm *vm = vm_of(L);
    uint64_t ns = check_duration(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (repeat && !ns)
        return vm_fail(L, ERROR_CONFIG, "a timer that repeats every 0s");
    struct engine *engine = vm_need_engine(L);
    struct lua_timer *t = lua_newuserdatauv(L, sizeof(*t), 0);
    *t = (struct lua_timer){ .vm = vm,
                             .period = repeat ? ns : 0,
                             .generation = vm->timer_generation,
                             .owner = vm->owner };
    luaL_setmetatable(L, TYPE_TIMER);
    lua_pushvalue(L, -1);
    t->self = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, 2);
    t->function = luaL_ref(L, LUA_REGISTRYINDEX);
    t->timer.fire = fire;
    t->timer.user = t;
    t->next = vm->timers;
    t->link = &vm->timers;
    if (t->next)
        t->next->link = &t->next;
    vm->timers = t;
    engine_timer_set(engine, &t->timer, vm_now(vm) + ns);
    return 1;
}

static int timer_after(lua_State *L)
{
    return new_timer(L, false);
}

static int timer_every(lua_State *L)
{
    return new_timer(L, true);
}

static int timer_lua_cancel(lua_State *L)
{
    cancel(luaL_checkudata(L, 1, TYPE_TIMER));
    return 0;
}

void timers_keep_only(struct vm *vm, uint32_t generation)
{
    for (struct lua_timer *t = vm->timers, *next; t; t = next) {
        next = t->next;
        if (t->generation != generation && t->owner == OWNER_FILE)
            cancel(t);
    }
}

void timers_drop(struct vm *vm, uint32_t generation)
{
    for (struct lua_timer *t = vm->timers, *next; t; t = next) {
        next = t->next;
        if (t->generation == generation && t->owner == OWNER_FILE)
            cancel(t);
    }
}

void timers_drop_owned(struct vm *vm, uint32_t owner)
{
    for (struct lua_timer *t = vm->timers, *next; t; t = next) {
        next = t->next;
        if (t->owner == owner)
            cancel(t);
    }
}

void timers_void(struct vm *vm)
{
    while (vm->timers)
        cancel(vm->timers);
}

void open_timer(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "after", timer_after },
        { "cancel", timer_lua_cancel },
        { "every", timer_every },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    luaL_newmetatable(L, TYPE_TIMER);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_setglobal(L, "timer");
}

/* --- units -----------------------------------------------------------------------------
 */

static int units_duration(lua_State *L)
{
    lua_pushnumber(L, (double)check_duration(L, 1) / 1e9);
    return 1;
}

/* units.nearest(word, table): ` (did you mean "x"?)` for the nearest key, or "". */
static int units_nearest(lua_State *L)
{
    const char *names[512];
    size_t n = 0;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING && n < 511)
            names[n++] = lua_tostring(L, -1);
    }
    names[n] = NULL;
    push_hint(L, luaL_checkstring(L, 1), names);
    return 1;
}

/* units.parse("5%") -> 0.05, "share": a quantity in base units and its kind: "share", "time"
 * (seconds), "rate" (bit/s), "size" (bytes), or "number" for one without a unit. nil for what is
 * none. */
static int units_lua_parse(lua_State *L)
{
    double number;
    uint64_t whole;
    const char *text = luaL_checkstring(L, 1), *kind;
    if (!units_parse_number(text, &number)) {
        kind = "number";
    } else if (!units_parse_percent(text, &number)) {
        kind = "share";
    } else if (!units_parse_duration(text, &whole)) {
        number = (double)whole / 1e9;
        kind = "time";
    } else if (!units_parse_rate(text, &whole)) {
        number = (double)whole;
        kind = "rate";
    } else if (!units_parse_size(text, &whole)) {
        number = (double)whole;
        kind = "size";
    } else {
        return 0;
    }
    lua_pushnumber(L, number);
    lua_pushstring(L, kind);
    return 2;
}

void open_units(lua_State *L)
{
    static const luaL_Reg functions[] = { { "duration", units_duration },
                                          { "nearest", units_nearest },
                                          { "parse", units_lua_parse },
                                          { NULL, NULL } };
    luaL_newlib(L, functions);
    lua_setglobal(L, "units");
}

/* --- app.*
 * ------------------------------------------------------------------------------ */

/* A file that is read again loads what is there already. */
static void add_class(lua_State *L, const struct app_class *class)
{
    struct error err;
    if (apps_find(class->name) != class && apps_add(class, &err))
        vm_raise_here(L, &err);
    push_class(L, class);
    lua_setglobal(L, class->name);
}

/* app.load(path): the classes of a shared object, by the symbol vanguard_app_class or,
 * for several, the NULL-ended array vanguard_app_classes. */
static int app_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object)
        return vm_fail(L, ERROR_CONFIG, "cannot load %s", dlerror());
    const struct app_class *class = dlsym(object, "vanguard_app_class");
    const struct app_class *const *classes = dlsym(object, "vanguard_app_classes");
    if (!class && !classes)
        return vm_fail(L, ERROR_CONFIG, "%s has no symbol vanguard_app_class", path);
    if (class)
        add_class(L, class);
    for (; classes && *classes; classes++)
        add_class(L, *classes);
    return 0;
}

/* app.count(self, name [, n]): adds to a counter that the class declared. */
static int app_count_lua(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *name = luaL_checkstring(L, 2);
    lua_Integer n = luaL_optinteger(L, 3, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_INSTANCES);
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
    struct app *app = lua_touserdata(L, -1);
    if (!app)
        return vm_fail(L, ERROR_RUN, "this is not a running app");
    for (uint32_t i = 0; app->class->counters[i].name; i++)
        if (!strcmp(app->class->counters[i].name, name)) {
            app->counters[i] += (uint64_t)n;
            return 0;
        }
    return vm_fail(L, ERROR_RUN, "%s has no counter \"%s\"", app->class->name, name);
}

void open_app(lua_State *L)
{
    static const luaL_Reg functions[] = { { "count", app_count_lua },
                                          { "load", app_load },
                                          { NULL, NULL } };
    luaL_newlib(L, functions);
    lua_setglobal(L, "app");
}
