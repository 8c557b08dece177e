/* core_vm: the Lua states of further cores.
 *
 * A Lua state belongs to one thread. The file that the user runs is executed in the first
 * one, on core 0; a Lua app on another core lives in that core's own state, which loads
 * the app's module and nothing else. There, `engine` has only what an app needs. The
 * first state's thread may enter the others while their cores do not breathe.
 */
#include "config/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int engine_elsewhere(lua_State *L)
{
    return vm_fail(L, ERROR_RUN, "engine.%s: only on core 0", luaL_tolstring(L, 2, NULL));
}

/* The global engine keeps what an app may ask of the engine it runs on. */
static void restrict_engine(lua_State *L)
{
    static const char *const kept[] = { "now", "seed", "stop" };
    lua_getglobal(L, "engine");
    lua_createtable(L, 0, 3);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        lua_getfield(L, -2, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, engine_elsewhere);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setglobal(L, "engine");
    lua_pop(L, 1);
}

/* Modules are found where the file finds them. */
static void copy_path(lua_State *from, lua_State *to)
{
    lua_getglobal(from, "package");
    lua_getfield(from, -1, "path");
    const char *path = lua_tostring(from, -1);
    lua_getglobal(to, "package");
    lua_pushstring(to, path ? path : "");
    lua_setfield(to, -2, "path");
    lua_pop(to, 1);
    lua_pop(from, 2);
}

static struct vm *core_vm_new(struct vm *first, uint32_t core, struct error *err)
{
    struct vm_options options = first->options;
    options.signals = false;
    struct vm *vm = vm_new(&options, err);
    if (!vm)
        return NULL;
    vm->first = first;
    vm->settings = first->settings;
    vm->engine = engine_of_core(first->engine, core);
    vm->running = true;
    restrict_engine(vm->main);
    return vm;
}

struct vm *vm_of_core(struct vm *first, uint32_t core, struct error *err)
{
    if (!core)
        return first;
    if (core > first->nothers) {
        first->others = realloc(first->others, core * sizeof(*first->others));
        memset(&first->others[first->nothers], 0,
               (core - first->nothers) * sizeof(*first->others));
        first->nothers = core;
    }
    struct vm **vm = &first->others[core - 1];
    if (!*vm)
        *vm = core_vm_new(first, core, err);
    if (*vm)
        copy_path(first->main, (*vm)->main);
    return *vm;
}

void vm_collect_failures(struct vm *first)
{
    for (uint32_t i = 0; i < first->nothers; i++) {
        struct vm *vm = first->others[i];
        if (!vm || !vm->failure)
            continue;
        if (first->failure)
            free(vm->failure);
        else
            first->failure = vm->failure;
        vm->failure = NULL;
    }
}

void core_vms_forget_links(struct vm *first)
{
    for (uint32_t i = 0; i < first->nothers; i++)
        if (first->others[i])
            links_forget(first->others[i]->main);
}

void core_vms_refresh_links(struct vm *first)
{
    for (uint32_t i = 0; i < first->nothers; i++)
        if (first->others[i])
            links_refresh(first->others[i]->main);
}

void core_vms_quiesce(struct vm *first)
{
    for (uint32_t i = 0; i < first->nothers; i++)
        if (first->others[i])
            timers_void(first->others[i]);
    core_vms_forget_links(first);
}

void core_vms_free(struct vm *first)
{
    vm_collect_failures(first);
    for (uint32_t i = 0; i < first->nothers; i++) {
        struct vm *vm = first->others[i];
        if (!vm)
            continue;
        vm->engine = NULL; /* it was the first engine's */
        packets_free_owned(vm, OWNER_NOBODY);
        vm_free(vm);
    }
    free(first->others);
    first->others = NULL;
    first->nothers = 0;
}
