/* raise: errors on their way through Lua: a table { kind, text } that prints as its text.
 */
#include "config/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Files that ship inside the binary have chunk names that begin with "=[". */
static bool is_users(const lua_Debug *ar)
{
    return ar->currentline > 0 && ar->source[0] == '@';
}

const char *vm_where(lua_State *L, char *place, size_t size)
{
    lua_Debug ar;
    *place = 0;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (is_users(&ar)) {
            snprintf(place, size, "%s:%d", ar.short_src, ar.currentline);
            break;
        }
    }
    return place;
}

static int raise(lua_State *L, enum error_kind kind, const char *text)
{
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, text);
    lua_setfield(L, -2, "text");
    luaL_setmetatable(L, TYPE_ERROR);
    return lua_error(L);
}

int vm_raise(lua_State *L, const struct error *err)
{
    return raise(L, err->kind, err->text);
}

int vm_raise_here(lua_State *L, const struct error *err)
{
    char place[256], text[sizeof(err->text) + 256];
    vm_where(L, place, sizeof(place));
    snprintf(text, sizeof(text), "%s%s%s", place, *place ? ": " : "", err->text);
    return raise(L, err->kind, text);
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

/* One of ours, or what a program in Lua raises in their place: error({ kind = 3, text = "..." }). */
static bool is_error(lua_State *L)
{
    bool is = lua_istable(L, 1) && lua_getfield(L, 1, "kind") == LUA_TNUMBER &&
              lua_getfield(L, 1, "text") == LUA_TSTRING;
    lua_settop(L, 1);
    if (is)
        luaL_setmetatable(L, TYPE_ERROR);
    return is;
}

/* Makes any error a table of ours; what goes wrong while running gets its traceback. */
static int handler(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (!is_error(L)) {
        lua_createtable(L, 0, 3);
        lua_pushinteger(L, vm->loading && !vm->running ? ERROR_CONFIG : ERROR_RUN);
        lua_setfield(L, -2, "kind");
        luaL_tolstring(L, 1, NULL);
        lua_setfield(L, -2, "text");
        luaL_setmetatable(L, TYPE_ERROR);
    }
    lua_getfield(L, -1, "kind");
    bool running = lua_tointeger(L, -1) == ERROR_RUN;
    bool traced = lua_getfield(L, -2, "traceback") != LUA_TNIL;
    lua_pop(L, 2);
    if (running && !traced) {
        luaL_traceback(L, L, NULL, 1);
        lua_setfield(L, -2, "traceback");
    }
    return 1;
}

bool vm_pcall(lua_State *L, int nargs, int nresults)
{
    int base = lua_gettop(L) - nargs;
    lua_pushcfunction(L, handler);
    lua_insert(L, base);
    int status = lua_pcall(L, nargs, nresults, base);
    lua_remove(L, base);
    return status == LUA_OK;
}

static int error_tostring(lua_State *L)
{
    lua_getfield(L, 1, "text");
    return 1;
}

void open_errors(lua_State *L)
{
    luaL_newmetatable(L, TYPE_ERROR);
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}
