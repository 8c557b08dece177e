/* vm: a Lua state that speaks the graph language. */
#include "config/internal.h"

#include "config/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/embedded.h"
#include "config/signals.h"

static const char *embedded_text(const char *path, size_t *length)
{
    for (const struct embedded_file *file = embedded_files; file->path; file++)
        if (!strcmp(file->path, path)) {
            *length = file->length;
            return file->text;
        }
    return NULL;
}

/* A searcher for require: "config.layout" is config/layout.lua inside the binary. */
static int search_embedded(lua_State *L)
{
    char path[256];
    snprintf(path, sizeof(path), "%s.lua", luaL_checkstring(L, 1));
    for (char *c = path; c < path + strlen(path) - 4; c++)
        if (*c == '.')
            *c = '/';
    size_t length;
    const char *text = embedded_text(path, &length);
    if (!text) {
        lua_pushfstring(L, "no file %s inside the program", path);
        return 1;
    }
    const char *chunk = lua_pushfstring(L, "=[%s]", path);
    if (luaL_loadbuffer(L, text, length, chunk))
        return lua_error(L);
    return 1;
}

static void add_searcher(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = n; i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, search_embedded);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

static int open_all(lua_State *L)
{
    luaL_openlibs(L);
    open_errors(L);
    open_values(L);
    open_config(L);
    open_link(L);
    open_packet(L);
    open_engine(L);
    open_counters(L);
    open_timer(L);
    open_units(L);
    open_app(L);
    open_interface(L);
    open_json(L);
    open_lab(L);
    open_live(L);
    open_bench(L);
    open_capture(L);
    open_screen(L);
    open_program(L);
    add_searcher(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "config.prelude");
    lua_call(L, 1, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, KEY_PRELUDE);
    return 0;
}

static void default_log(const char *line, void *user)
{
    struct vm *vm = user;
    if (vm->settings.log_nothing)
        return;
    if (vm->settings.log_json)
        json_log(line);
    else if (vm->options.log)
        vm->options.log(line, vm->options.log_user);
}

static void too_many(lua_State *L, lua_Debug *ar)
{
    luaL_error(L, "too many instructions");
}

struct vm *vm_new(const struct vm_options *options, struct error *err)
{
    struct vm *vm = calloc(1, sizeof(*vm));
    vm->options = *options;
    vm->first = vm;
    vm->owner = OWNER_FILE;
    vm->serial = OWNER_FILE + 1;
    vm->main = vm->L = luaL_newstate();
    *(struct vm **)lua_getextraspace(vm->L) = vm;
    lua_pushcfunction(vm->L, open_all);
    if (!vm_pcall(vm->L, 0, 0)) {
        vm_take_error(vm, vm->L, true, err);
        vm_free(vm);
        return NULL;
    }
    if (options->most_instructions)
        lua_sethook(vm->L, too_many, LUA_MASKCOUNT, options->most_instructions);
    return vm;
}

int vm_stop(struct vm *vm, struct error *err)
{
    if (vm->options.signals)
        signals_forget();
    if (vm->engine) {
        engine_pause(vm->engine);
        timers_void(vm);
        links_forget(vm->L);
        core_vms_quiesce(vm);
        control_close(vm->control);
        vm->control = NULL;
        engine_free(vm->engine);
        vm->engine = NULL;
        packets_free_owned(vm, OWNER_NOBODY);
        core_vms_free(vm);
    }
    struct error released;
    int error = run_directory_release(&vm->directory, &released);
    if (vm->failure) {
        error = error_set(err, ERROR_RUN, EIO, "%s", vm->failure);
        free(vm->failure);
        vm->failure = NULL;
    } else if (error && err) {
        *err = released;
    }
    return error;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    vm_stop(vm, NULL);
    graph_free(vm->checked);
    lua_close(vm->main);
    lua_classes_free(vm);
    free(vm->owners);
    free(vm->message);
    free(vm->failure);
    free(vm);
}

struct engine *vm_engine(const struct vm *vm)
{
    return vm->engine;
}

const char *vm_message(const struct vm *vm)
{
    return vm->message ? vm->message : "";
}

/* Without a run directory the engine goes on, unseen by others; said once. */
static void claim_directory(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct error err;
    if (!*vm->settings.name || *vm->directory.path)
        return;
    int error = run_directory_claim(&vm->directory, vm->settings.name,
                                    vm->settings.any_name, &err);
    if (error == -EEXIST && !vm->settings.any_name) {
        err.kind = ERROR_USAGE;
        vm_raise(L, &err);
    }
    if (error)
        default_log(
            lua_pushfstring(L, "other programs cannot see this one: %s", err.text), vm);
}

struct engine *vm_need_engine(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (vm->engine)
        return vm->engine;
    claim_directory(L);
    struct engine_options options = {
        .name = *vm->settings.name ? vm->settings.name : NULL,
        .directory = *vm->directory.path ? vm->directory.path : NULL,
        .journal = vm->directory.journal,
        .seed = vm->settings.seed,
        .pace = PACE_ADAPTIVE,
        .log = default_log,
        .log_user = vm,
        .virtual_time = vm->settings.virtual_time,
        .packets = vm->settings.packets,
        .chunk_size = vm->settings.chunk_size,
        .cores = *vm->settings.cores ? vm->settings.cores : NULL,
    };
    struct error err;
    vm->engine = engine_new(&options, &err);
    if (!vm->engine)
        vm_raise(L, &err);
    if (vm->settings.virtual_time)
        engine_set_time(vm->engine, vm->settings.virtual_start);
    if (*vm->directory.path) {
        vm->control = control_open(vm, vm->directory.path, &err);
        if (!vm->control)
            default_log(
                lua_pushfstring(L, "vanguard ctl cannot reach this one: %s", err.text),
                vm);
    }
    if (vm->options.signals)
        signals_catch(vm->engine, vm->main);
    return vm->engine;
}

int vm_take_error(struct vm *vm, lua_State *L, bool trace, struct error *err)
{
    struct error local = { .kind = ERROR_RUN };
    const char *text = NULL, *traceback = NULL;
    int top = lua_gettop(L);
    if (lua_istable(L, -1)) {
        lua_getfield(L, top, "kind");
        local.kind = (enum error_kind)lua_tointeger(L, -1);
        lua_getfield(L, top, "text");
        text = lua_tostring(L, -1);
        lua_getfield(L, top, "traceback");
        traceback = trace ? lua_tostring(L, -1) : NULL;
    } else {
        text = lua_tostring(L, top);
    }
    free(vm->message);
    if (asprintf(&vm->message, "%s%s%s", text ? text : "an error without words",
                 traceback && *traceback ? "\n" : "", traceback ? traceback : "") < 0)
        vm->message = NULL;
    snprintf(local.text, sizeof(local.text), "%s",
             text ? text : "an error without words");
    lua_settop(L, top - 1);
    if (err)
        *err = local;
    return local.kind == ERROR_CONFIG ? -EINVAL : -EIO;
}

bool vm_protect(struct vm *vm, lua_CFunction f, void *data, uint32_t owner)
{
    lua_State *L = vm->L;
    uint32_t before = vm->owner;
    if (!lua_checkstack(L, LUA_MINSTACK))
        return false;
    vm->owner = owner;
    vm->calls++;
    lua_pushcfunction(L, f);
    lua_pushlightuserdata(L, data);
    bool worked = vm_pcall(L, 1, 0);
    vm->calls--;
    vm->owner = before;
    if (worked)
        return true;
    struct error err;
    vm_take_error(vm, L, true, &err);
    if (!vm->failure)
        vm->failure = strdup(vm->message);
    if (vm->engine)
        engine_stop(vm->engine);
    return false;
}

void vm_raise_failure(lua_State *L)
{
    struct vm *vm = vm_of(L);
    vm_collect_failures(vm);
    if (!vm->failure)
        return;
    if (vm->engine)
        vm->engine->stopping = false;
    lua_pushstring(L, vm->failure);
    free(vm->failure);
    vm->failure = NULL;
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, ERROR_RUN);
    lua_setfield(L, -2, "kind");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "text");
    lua_pushliteral(L, ""); /* the text has it already */
    lua_setfield(L, -2, "traceback");
    luaL_setmetatable(L, TYPE_ERROR);
    lua_error(L);
}

/* The folder of the file comes first in package.path. */
static void set_path(lua_State *L, const char *path)
{
    const char *slash = strrchr(path, '/');
    lua_getglobal(L, "package");
    lua_pushlstring(L, slash ? path : ".", slash ? (size_t)(slash - path) : 1);
    const char *folder = lua_tostring(L, -1);
    lua_getfield(L, LUA_REGISTRYINDEX, "vanguard.path");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_getfield(L, -2, "path");
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, "vanguard.path");
    }
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", folder, folder, lua_tostring(L, -1));
    lua_setfield(L, -4, "path");
    lua_pop(L, 3);
}

int vm_load(lua_State *L, const char *path, int arguments)
{
    struct vm *vm = vm_of(L);
    lua_pushvalue(L, arguments);
    lua_setglobal(L, "arg");
    set_path(L, path);
    if (luaL_loadfilex(L, path, "t")) {
        struct error err;
        error_set(&err, ERROR_CONFIG, EINVAL, "%s", lua_tostring(L, -1));
        vm_raise(L, &err);
    }
    bool before = vm->loading;
    vm->loading = true;
    bool worked = vm_pcall(L, 0, 1);
    vm->loading = before;
    if (!worked)
        lua_error(L);
    return 1;
}

struct text {
    const char *name, *text;
    size_t length;
};

static int run_text(lua_State *L)
{
    const struct text *text = lua_touserdata(L, 1);
    struct vm *vm = vm_of(L);
    if (luaL_loadbufferx(L, text->text, text->length,
                         lua_pushfstring(L, "@%s", text->name), "t")) {
        struct error err;
        error_set(&err, ERROR_CONFIG, EINVAL, "%s", lua_tostring(L, -1));
        vm_raise(L, &err);
    }
    vm->loading = true;
    bool worked = vm_pcall(L, 0, 0);
    vm->loading = false;
    return worked ? 0 : lua_error(L);
}

static int call_c(struct vm *vm, lua_CFunction f, void *data, struct error *err)
{
    lua_pushcfunction(vm->L, f);
    lua_pushlightuserdata(vm->L, data);
    return vm_pcall(vm->L, 1, 0) ? 0 : vm_take_error(vm, vm->L, true, err);
}

int vm_run_text(struct vm *vm, const char *name, const char *text, size_t length,
                struct error *err)
{
    struct text data = { name, text, length };
    return call_c(vm, run_text, &data, err);
}

struct file {
    int argc;
    char *const *argv;
};

static int run_file(lua_State *L)
{
    const struct file *file = lua_touserdata(L, 1);
    lua_newtable(L);
    for (int i = 0; i < file->argc; i++) {
        lua_pushstring(L, file->argv[i]);
        lua_rawseti(L, -2, i);
    }
    vm_load(L, file->argv[0], lua_gettop(L));
    if (luaL_testudata(L, -1, TYPE_CONFIG)) {
        lua_getglobal(L, "engine");
        lua_getfield(L, -1, "configure");
        lua_pushvalue(L, -3);
        lua_call(L, 1, 0);
    }
    return 0;
}

int vm_run_file(struct vm *vm, int argc, char *const *argv, struct error *err)
{
    struct file file = { argc, argv };
    return call_c(vm, run_file, &file, err);
}

static int call_global(lua_State *L)
{
    lua_getglobal(L, lua_touserdata(L, 1));
    lua_call(L, 0, 0);
    return 0;
}

int vm_call_global(struct vm *vm, const char *name, struct error *err)
{
    return call_c(vm, call_global, (void *)name, err);
}
