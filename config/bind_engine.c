/* bind_engine: engine.*: configure, run, report. */
#include "config/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "config/signals.h"
#include "lib/units.h"

#define STILL_BREATHS                                                                    \
    65536 /* at one virtual time: what makes work for itself ends there */

/* --- engine.* --------------------------------------------------------------------------
 */

uint64_t check_duration(lua_State *L, int index)
{
    uint64_t ns;
    int error = lua_type(L, index) == LUA_TSTRING
                    ? units_parse_duration(lua_tostring(L, index), &ns)
                    : units_duration_from_seconds(luaL_checknumber(L, index), &ns);
    if (error)
        vm_fail(L, ERROR_CONFIG, "\"%s\" is not a duration (such as \"50ms\")",
                luaL_tolstring(L, index, NULL));
    return ns;
}

uint64_t vm_now(struct vm *vm)
{
    bool in_breath = vm->running || vm->calls;
    return in_breath ? engine_now(vm->engine) : engine_clock(vm->engine);
}

static void set_text(lua_State *L, const char *field, char *to, size_t size)
{
    if (lua_getfield(L, 1, field) == LUA_TSTRING)
        snprintf(to, size, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
}

/* 0 when it is not there. */
static lua_Integer integer_field(lua_State *L, const char *field, lua_Integer most)
{
    lua_getfield(L, 1, field);
    lua_Integer value = lua_isnil(L, -1) ? 0 : luaL_checkinteger(L, -1);
    if (value < 0 || value > most)
        vm_fail(L, ERROR_CONFIG, "engine.setup: %s: %lld is not within 0..%lld", field,
                (long long)value, (long long)most);
    lua_pop(L, 1);
    return value;
}

static bool boolean_field(lua_State *L, int table, const char *field)
{
    lua_getfield(L, table, field);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/* Those that engine.setup chose, or all there are; raises. */
static void find_cores(lua_State *L, struct cores *cores)
{
    struct settings *settings = &vm_of(L)->settings;
    struct error err;
    if (!cores_find(cores, *settings->cores ? settings->cores : NULL, &err))
        return;
    *settings->cores = 0;
    vm_raise_here(L, &err);
}

/* engine.setup{name=, any_name=, seed=, packets=, chunk_size=, virtual_time=, cores=, log_json=,
 * log_nothing=}: before anything needs the engine. virtual_time is true, or where its clock begins, in ns. */
static int engine_setup(lua_State *L)
{
    struct vm *vm = vm_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    if (vm->engine)
        return vm_fail(L, ERROR_CONFIG,
                       "engine.setup comes too late: the engine is there");
    set_text(L, "name", vm->settings.name, sizeof(vm->settings.name));
    vm->settings.any_name = boolean_field(L, 1, "any_name");
    vm->settings.virtual_time = boolean_field(L, 1, "virtual_time");
    vm->settings.log_json = boolean_field(L, 1, "log_json");
    vm->settings.log_nothing = boolean_field(L, 1, "log_nothing");
    lua_getfield(L, 1, "virtual_time");
    vm->settings.virtual_start = (uint64_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
    vm->settings.packets = (uint32_t)integer_field(L, "packets", 4194304);
    vm->settings.chunk_size = (uint32_t)integer_field(L, "chunk_size", 65536);
    set_text(L, "cores", vm->settings.cores, sizeof(vm->settings.cores));
    struct cores cores;
    find_cores(L, &cores);
    lua_getfield(L, 1, "seed");
    vm->settings.seeded = !lua_isnil(L, -1);
    vm->settings.seed = (uint64_t)luaL_optinteger(L, -1, 0);
    if (!vm->settings.seeded && getrandom(&vm->settings.seed, sizeof(uint32_t), 0) < 0)
        vm->settings.seed = 1;
    vm->options.checking = vm->options.checking || boolean_field(L, 1, "checking");
    return 0;
}

/* Says what is wrong with a graph, without an engine; raises. */
static void check_graph(lua_State *L, const struct graph *graph)
{
    struct cores cores;
    struct error err;
    find_cores(L, &cores);
    if (graph_check(graph, &err) || cores_check(&cores, graph, &err) ||
        lua_apps_check(graph, &err))
        vm_raise(L, &err);
}

/* The states of all cores must not be running meanwhile. */
int vm_apply(lua_State *L, struct graph *graph, struct error *err)
{
    struct vm *vm = vm_of(L);
    lua_State *before = vm->L;
    bool paused = engine_pause(vm->engine);
    vm->L = L;
    links_forget(L);
    core_vms_forget_links(vm);
    int error = engine_configure(vm->engine, graph, err);
    vm->L = before;
    links_refresh(L);
    core_vms_refresh_links(vm);
    lua_apps_refresh(L);
    engine_resume(vm->engine, paused);
    return error;
}

static int engine_lua_configure(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct config_box {
        struct graph *graph;
    } *box = luaL_checkudata(L, 1, TYPE_CONFIG);
    check_config(L, 1);
    struct error err;
    vm->configured = true;
    if (vm->options.checking) {
        check_graph(L, box->graph);
        graph_free(vm->checked);
        vm->checked = graph_copy(box->graph);
        return 0;
    }
    vm_need_engine(L);
    if (vm->app_calls)
        return vm_fail(
            L, ERROR_RUN,
            "engine.configure inside a method of an app: use timer.after(0, f)");
    int error = lua_apps_check(box->graph, &err);
    if (!error)
        error = vm_apply(L, graph_copy(box->graph), &err);
    if (!vm->calls)
        vm_raise_failure(L);
    return error ? vm_raise(L, &err) : 0;
}

/* engine.graph(): what was configured last, as tables. */
static int engine_lua_graph(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (vm->checked)
        push_graph(L, vm->checked);
    else if (vm->engine)
        push_graph(L, vm->engine->graph);
    else
        lua_pushnil(L);
    return 1;
}

/* A breath within a breath, or within the timers of one, is none. */
static void refuse_inside(lua_State *L, const char *what)
{
    if (vm_of(L)->calls)
        vm_fail(L, ERROR_RUN, "%s inside what the engine calls", what);
}

/* Did any core do anything with packets? */
static bool any_worked(const struct engine *engine)
{
    bool worked = engine->worked;
    for (uint32_t i = 0; i < engine->nothers && !worked; i++)
        worked = engine->others[i] && engine->others[i]->worked;
    return worked;
}

/* The clock goes from tick to tick, and to every timer on the way; from timer to timer while no
 * packet moves, as an engine sleeps then. It stands still while what is due now is not done,
 * though not for ever. */
static void run_virtual(struct engine *engine, uint64_t until)
{
    for (uint32_t still = 0; !engine->stopping && engine->now < until;) {
        engine_breathe(engine);
        uint64_t next = engine->now + ENGINE_TICK, due = engine_next_timer(engine);
        if (due <= engine->now && ++still < STILL_BREATHS)
            continue;
        still = 0;
        bool idle = due != TIMER_NEVER && !any_worked(engine);
        if (due > engine->now && (due < next || idle))
            next = due;
        engine_set_time(engine, next < until ? next : until);
    }
    engine->stopping = false;
    engine_commit_counters(engine);
}

/* engine.loop(seconds or nil): runs until the time is over, a signal, or engine.stop.
 * Returns "reload" when that was asked for, "signal" and its number, or nothing. The loop of engine.main
 * (prelude). */
static int engine_loop(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct engine *engine = vm_need_engine(L);
    uint64_t until = TIMER_NEVER;
    if (!lua_isnoneornil(L, 1))
        until = engine_clock(engine) + check_duration(L, 1);
    if (vm->options.signals && signals_stopped()) {
        lua_pushliteral(L, "signal");
        lua_pushinteger(L, signals_stopped());
        return 2;
    }
    refuse_inside(L, "engine.main");
    lua_State *before = vm->L;
    vm->L = L;
    vm->running = vm->ran = true;
    if (engine->options.virtual_time)
        run_virtual(engine, until);
    else
        engine_run(engine, until);
    vm->running = false;
    vm->L = before;
    vm_raise_failure(L);
    if (vm->options.signals && signals_stopped()) {
        lua_pushliteral(L, "signal");
        lua_pushinteger(L, signals_stopped());
        return 2;
    }
    if (vm->options.signals && signals_reload())
        lua_pushliteral(L, "reload");
    else
        lua_pushnil(L);
    return 1;
}

static int engine_lua_stop(lua_State *L)
{
    const struct vm *vm = vm_of(L);
    if (vm->running || (vm->options.hosted && vm->engine))
        engine_stop(vm->engine);
    return 0;
}

static int engine_lua_now(lua_State *L)
{
    struct vm *vm = vm_of(L);
    vm_need_engine(L);
    lua_pushnumber(L, (double)vm_now(vm) / 1e9);
    return 1;
}

static int engine_lua_seed(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)vm_of(L)->settings.seed);
    return 1;
}

static int engine_lua_breathe(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct engine *engine = vm_need_engine(L);
    lua_Integer n = luaL_optinteger(L, 1, 1);
    refuse_inside(L, "engine.breathe");
    lua_State *before = vm->L;
    vm->L = L;
    while (n-- > 0 && !vm->failure)
        engine_breathe(engine);
    vm->L = before;
    vm_raise_failure(L);
    return 0;
}

static int engine_set_pace(lua_State *L)
{
    struct engine *engine = vm_need_engine(L);
    lua_Integer hz = luaL_optinteger(L, 2, 0);
    if (hz < 0 || hz > 1000000)
        return vm_fail(L, ERROR_CONFIG, "hz: %lld is not within 0..1000000",
                       (long long)hz);
    engine->options.pace = lua_toboolean(L, 1) ? PACE_BUSY : hz ? PACE_HZ : PACE_ADAPTIVE;
    engine->options.hz = (uint64_t)hz;
    return 0;
}

static int engine_lua_set_time(lua_State *L)
{
    struct engine *engine = vm_need_engine(L);
    engine_set_time(engine, check_duration(L, 1));
    return 0;
}

static void push_counters(lua_State *L, const struct app *app)
{
    lua_newtable(L);
    for (uint32_t i = 0; app->class->counters && app->class->counters[i].name; i++) {
        lua_pushinteger(L, (lua_Integer)app->counters[i]);
        lua_setfield(L, -2, app->class->counters[i].name);
    }
}

/* engine.app(name): { name, class, counters, object }, as of now. */
static int engine_lua_app(lua_State *L)
{
    const struct app *app = engine_find_app(vm_need_engine(L), luaL_checkstring(L, 1));
    if (!app)
        return 0;
    lua_newtable(L);
    lua_pushstring(L, app->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, app->class->name);
    lua_setfield(L, -2, "class");
    push_counters(L, app);
    lua_setfield(L, -2, "counters");
    push_lua_app(L, app);
    lua_setfield(L, -2, "object");
    return 1;
}

static int engine_lua_apps(lua_State *L)
{
    const struct engine *engine = vm_need_engine(L);
    lua_newtable(L);
    for (uint32_t i = 0; i < engine->napps; i++) {
        lua_pushstring(L, engine->apps[i]->name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int engine_lua_links(lua_State *L)
{
    const struct engine *engine = vm_need_engine(L);
    lua_newtable(L);
    for (uint32_t i = 0; i < engine->nlinks; i++) {
        push_link(L, engine->links[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static FILE *output(lua_State *L, int index)
{
    luaL_Stream *stream = luaL_testudata(L, index, LUA_FILEHANDLE);
    return stream && stream->f ? stream->f : stdout;
}

/* What looks at apps and links of other cores, while they do nothing. */
static void report_paused(lua_State *L, void (*report)(struct engine *engine, FILE *out))
{
    struct engine *engine = vm_need_engine(L);
    FILE *out = output(L, 1);
    bool paused = engine_pause(engine);
    report(engine, out);
    engine_resume(engine, paused);
}

static int engine_report_load(lua_State *L)
{
    struct vm *vm = vm_of(L);
    report_load(vm_need_engine(L), &vm->load_last, output(L, 1));
    fflush(output(L, 1));
    return 0;
}

static int engine_report_links(lua_State *L)
{
    report_paused(L, report_links);
    return 0;
}

static int engine_report_apps(lua_State *L)
{
    report_paused(L, report_apps);
    return 0;
}

static int engine_mark_load(lua_State *L)
{
    struct vm *vm = vm_of(L);
    loads_take(&vm->load_start, vm_need_engine(L));
    vm->load_last = vm->load_start;
    return 0;
}

static void push_rate(lua_State *L, const struct load_rate *rate)
{
    const struct {
        const char *name;
        double value;
    } figures[] = { { "seconds", rate->seconds }, { "fps", rate->fps },
                    { "gbps", rate->gbps },       { "fpb", rate->fpb },
                    { "bpp", rate->bpp },         { "sleep", rate->asleep } };
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        lua_pushnumber(L, figures[i].value);
        lua_setfield(L, -2, figures[i].name);
    }
}

/* engine.load(): figures since engine.mark_load; on several cores also those of each, in
 * `cores`. */
static int engine_lua_load(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct loads now;
    loads_take(&now, vm_need_engine(L));
    struct load_rate rate = loads_rate(&vm->load_start, &now);
    push_rate(L, &rate);
    if (now.count == 1)
        return 1;
    lua_createtable(L, (int)now.count, 0);
    for (uint32_t i = 0; i < now.count; i++) {
        rate = load_rate(&vm->load_start, &now, i);
        push_rate(L, &rate);
        lua_pushinteger(L, i);
        lua_setfield(L, -2, "core");
        lua_pushnumber(L, rate.crossed);
        lua_setfield(L, -2, "crossed");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "cores");
    return 1;
}

/* engine.ran(): has the engine breathed in a loop since the program began? */
static int engine_lua_ran(lua_State *L)
{
    lua_pushboolean(L, vm_of(L)->ran);
    return 1;
}

/* engine.checking(): are graphs only checked? */
static int engine_checking(lua_State *L)
{
    lua_pushboolean(L, vm_of(L)->options.checking);
    return 1;
}

/* engine.hosted(): does a program around this one run the engine? */
static int engine_hosted(lua_State *L)
{
    lua_pushboolean(L, vm_of(L)->options.hosted);
    return 1;
}

/* The stack is configure, path, arguments. */
static int load_graph(lua_State *L)
{
    vm_load(L, lua_tostring(L, 2), 3);
    if (luaL_testudata(L, -1, TYPE_CONFIG)) {
        lua_pushvalue(L, 1);
        lua_pushvalue(L, -2);
        lua_call(L, 1, 0);
        return 0;
    }
    return lua_istable(L, -1);
}

/* engine.load_file(path, arguments): executes a graph file; a config it returns is
 * configured by engine.configure. Returns whether one was configured, and a table that the file
 * returned instead. Timers of the file's execution before go when it worked, its new ones when
 * it did not. */
static int engine_load_file(lua_State *L)
{
    struct vm *vm = vm_of(L);
    luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    bool configured = vm->ran && vm->configured; /* read again */
    uint32_t generation = ++vm->timer_generation;
    vm->configured = false;
    lua_settop(L, 2);
    lua_pushcfunction(L, load_graph);
    lua_insert(L, 1);
    lua_getglobal(L, "engine");
    lua_getfield(L, -1, "configure");
    lua_replace(L, -2);
    lua_insert(L, 2);
    bool worked = vm_pcall(L, 3, 1);
    vm->configured = vm->configured || configured;
    if (!worked) {
        timers_drop(vm, generation);
        return lua_error(L);
    }
    timers_keep_only(vm, vm->timer_generation);
    lua_pushboolean(L, vm->configured);
    lua_insert(L, -2);
    return 2;
}

void open_engine(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "app", engine_lua_app },
        { "apps", engine_lua_apps },
        { "breathe", engine_lua_breathe },
        { "checking", engine_checking },
        { "configure", engine_lua_configure },
        { "graph", engine_lua_graph },
        { "hosted", engine_hosted },
        { "links", engine_lua_links },
        { "load", engine_lua_load },
        { "load_file", engine_load_file },
        { "loop", engine_loop },
        { "mark_load", engine_mark_load },
        { "now", engine_lua_now },
        { "ran", engine_lua_ran },
        { "report_apps", engine_report_apps },
        { "report_links", engine_report_links },
        { "report_load", engine_report_load },
        { "seed", engine_lua_seed },
        { "set_pace", engine_set_pace },
        { "set_time", engine_lua_set_time },
        { "setup", engine_setup },
        { "stop", engine_lua_stop },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    lua_setglobal(L, "engine");
}
