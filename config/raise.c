/* raise: errors between C and Lua.
 *
 * What this program raises is a table { kind = ..., text = ... } with __tostring, so that
 * the kind (and the exit code) survives; `error("...")` in a user's file stays a string.
 * Where an error leaves Lua, both become a struct error, and a traceback of the user's own
 * frames is at hand.
 */
#include "config/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_FRAMES 20

/* Its address is what vm_finish_file raises. */
static char finish;

/* Files inside the binary are named "=vanguard:...", users' files "@path". */
static bool user_frame(lua_State *L, int level, lua_Debug *ar)
{
    memset(ar, 0, sizeof(*ar));
    lua_getstack(L, level, ar);
    lua_getinfo(L, "Snl", ar);
    return ar->source[0] == '@' && ar->currentline > 0;
}

const char *vm_where(lua_State *L, char *place, size_t size)
{
    lua_Debug ar;
    *place = 0;
    for (int level = 0; lua_getstack(L, level, &ar); level++)
        if (user_frame(L, level, &ar)) {
            snprintf(place, size, "%s:%d", ar.source + 1, ar.currentline);
            break;
        }
    return place;
}

static void push_error(lua_State *L, enum error_kind kind, const char *text)
{
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, text);
    lua_setfield(L, -2, "text");
    luaL_setmetatable(L, TYPE_ERROR);
}

int vm_raise(lua_State *L, const struct error *err)
{
    push_error(L, err->kind, err->text);
    return lua_error(L);
}

int vm_raise_here(lua_State *L, const struct error *err)
{
    char place[PATH_MAX];
    vm_where(L, place, sizeof(place));
    lua_pushfstring(L, *place ? "%s: %s" : "%s%s", place, err->text);
    push_error(L, err->kind, lua_tostring(L, -1));
    return lua_error(L);
}

int vm_fail(lua_State *L, enum error_kind kind, const char *format, ...)
{
    struct error err = { .kind = kind };
    va_list args;
    va_start(args, format);
    vsnprintf(err.text, sizeof(err.text), format, args);
    va_end(args);
    return vm_raise_here(L, &err);
}

int vm_finish_file(lua_State *L)
{
    lua_pushlightuserdata(L, &finish);
    return lua_error(L);
}

/* Pushes the user's frames, one a line, and returns how many there are. */
static int push_trace(lua_State *L)
{
    luaL_Buffer text;
    lua_Debug ar;
    int frames = 0;
    luaL_buffinit(L, &text);
    luaL_addstring(&text, "\nstack traceback:");
    for (int level = 1; frames < TRACE_FRAMES && lua_getstack(L, level, &ar); level++) {
        if (!user_frame(L, level, &ar))
            continue;
        char line[512];
        if (!strcmp(ar.what, "main"))
            snprintf(line, sizeof(line), "\n\t%s:%d: in main chunk", ar.source + 1,
                     ar.currentline);
        else
            snprintf(line, sizeof(line), "\n\t%s:%d: in function %s%s%s", ar.source + 1,
                     ar.currentline, ar.name ? "'" : "<", ar.name ? ar.name : "anonymous",
                     ar.name ? "'" : ">");
        luaL_addstring(&text, line);
        frames++;
    }
    luaL_pushresult(&text);
    return frames;
}

/* The message handler: any error to a table with kind, text and trace. A plain Lua error
 * is the configuration's while a file is read, and a failure of the run after that. */
static int handle(lua_State *L)
{
    struct vm *vm = vm_of(L);
    lua_settop(L, 1);
    if (lua_islightuserdata(L, 1) && lua_touserdata(L, 1) == &finish)
        return 1;
    bool ours = luaL_testudata(L, 1, TYPE_ERROR) != NULL;
    if (lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, TYPE_ERROR);
        ours = lua_rawequal(L, -1, -2);
        lua_settop(L, 1);
    }
    if (!ours) {
        bool config = vm->loading && !vm->ran && !vm->calls;
        push_error(L, config ? ERROR_CONFIG : ERROR_RUN, luaL_tolstring(L, 1, NULL));
        lua_replace(L, 1);
        lua_settop(L, 1);
    }
    lua_getfield(L, 1, "trace");
    if (lua_isnil(L, -1)) {
        int frames = push_trace(L);
        lua_setfield(L, 1, "trace");
        lua_pushboolean(L, !ours && frames > 1);
        lua_setfield(L, 1, "traced");
    }
    lua_settop(L, 1);
    return 1;
}

bool vm_pcall(lua_State *L, int nargs, int nresults)
{
    int function = lua_gettop(L) - nargs;
    lua_pushcfunction(L, handle);
    lua_insert(L, function);
    int status = lua_pcall(L, nargs, nresults, function);
    lua_remove(L, function);
    if (status != LUA_OK && lua_islightuserdata(L, -1) &&
        lua_touserdata(L, -1) == &finish) {
        lua_pop(L, 1);
        return true;
    }
    return status == LUA_OK;
}

/* Fields of the error on the stack; it may be a plain string when memory ran out. */
static int field_kind(lua_State *L)
{
    int kind = ERROR_RUN;
    if (lua_istable(L, -1)) {
        lua_pushliteral(L, "kind");
        lua_rawget(L, -2);
        kind = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    return kind;
}

static char *field_text(lua_State *L, bool trace)
{
    char *text = NULL;
    if (!lua_istable(L, -1)) {
        const char *string = lua_tostring(L, -1);
        return strdup(string ? string : "(an error that is no text)");
    }
    lua_pushliteral(L, "traced");
    lua_rawget(L, -2);
    trace = trace || lua_toboolean(L, -1);
    lua_pushliteral(L, "text");
    lua_rawget(L, -3);
    lua_pushliteral(L, "trace");
    lua_rawget(L, -4);
    const char *first = lua_tostring(L, -2), *second = lua_tostring(L, -1);
    if (asprintf(&text, "%s%s", first ? first : "", trace && second ? second : "") < 0)
        text = NULL;
    lua_pop(L, 3);
    return text;
}

int vm_take_error(struct vm *vm, lua_State *L, bool trace, struct error *err)
{
    int kind = field_kind(L);
    free(vm->message);
    vm->message = field_text(L, trace);
    lua_pop(L, 1);
    const char *text = vm->message ? vm->message : "out of memory";
    return error_set(err, (enum error_kind)kind, kind == ERROR_PRIVILEGE ? EPERM : EINVAL,
                     "%s", text);
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
    bool good = vm_pcall(L, 1, 0);
    vm->calls--;
    vm->owner = before;
    if (good)
        return true;
    if (vm->failure)
        lua_pop(L, 1);
    else {
        vm->failure = field_text(L, true);
        lua_pop(L, 1);
    }
    if (vm->engine)
        engine_stop(vm->engine);
    return false;
}

void vm_raise_failure(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (!vm->failure)
        return;
    if (vm->engine)
        vm->engine->stopping = false;
    push_error(L, ERROR_RUN, vm->failure);
    free(vm->failure);
    vm->failure = NULL;
    lua_error(L);
}

static int error_text(lua_State *L)
{
    lua_getfield(L, 1, "text");
    return 1;
}

void open_errors(lua_State *L)
{
    luaL_newmetatable(L, TYPE_ERROR);
    lua_pushcfunction(L, error_text);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}
