/* bind_capture: capture.*: what programs ask of capture files. */
#include "config/internal.h"

#include "lib/capture_file.h"

static void open_file(lua_State *L, struct capture_file *file, const char *path)
{
    struct error err;
    if (capture_open(file, path, &err))
        vm_raise(L, &err);
}

/* capture.first(path): the time of the first packet in ns; nil when there is none. */
static int capture_first(lua_State *L)
{
    struct capture_file file;
    struct capture_packet packet;
    open_file(L, &file, luaL_checkstring(L, 1));
    if (capture_next(&file, &packet))
        lua_pushinteger(L, (lua_Integer)(packet.time & INT64_MAX));
    else
        lua_pushnil(L);
    capture_close(&file);
    return 1;
}

void open_capture(lua_State *L)
{
    static const luaL_Reg functions[] = { { "first", capture_first }, { NULL, NULL } };
    luaL_newlib(L, functions);
    lua_setglobal(L, "capture");
}
