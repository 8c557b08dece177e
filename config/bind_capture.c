/* bind_capture: capture.* and statistics.*: what programs ask of capture files. */
#include "config/internal.h"

#include <sys/stat.h>

#include "lib/capture_compare.h"
#include "lib/capture_file.h"
#include "lib/random.h"
#include "lib/statistics.h"

#define TYPE_COMPARE "comparison"

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

/* capture.same(a, b): is to write one of these paths to lose what is in the other? */
static int capture_same(lua_State *L)
{
    struct stat a, b;
    bool both = !stat(luaL_checkstring(L, 1), &a) && !stat(luaL_checkstring(L, 2), &b);
    lua_pushboolean(L, both && S_ISREG(a.st_mode) && a.st_dev == b.st_dev &&
                           a.st_ino == b.st_ino);
    return 1;
}

/* --- two captures ------------------------------------------------------------------------- */

static struct compare *check_compare(lua_State *L)
{
    return luaL_checkudata(L, 1, TYPE_COMPARE);
}

/* capture.compare(before, after, all): the two files matched; all: with ARP and neighbour
 * discovery. */
static int capture_compare(lua_State *L)
{
    static const enum compare_side sides[] = { COMPARE_BEFORE, COMPARE_AFTER };
    struct error err;
    struct compare *compare = lua_newuserdatauv(L, sizeof(*compare), 0);
    *compare = (struct compare){ .all = lua_toboolean(L, 3) };
    luaL_setmetatable(L, TYPE_COMPARE);
    for (int i = 0; i < 2; i++)
        if (compare_read(compare, sides[i], luaL_checkstring(L, i + 1), &err))
            return vm_raise(L, &err);
    if (compare_match(compare))
        return vm_fail(L, ERROR_RUN, "out of memory");
    return 1;
}

static int compare_gc(lua_State *L)
{
    compare_free(check_compare(L));
    return 0;
}

/* compare:figures(): struct compare_figures, and exact: nothing on the way was a router. */
static int compare_lua_figures(lua_State *L)
{
    const struct compare *compare = check_compare(L);
    struct compare_figures f;
    compare_figures(compare, &f);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        { "sent", f.sent },
        { "received", f.received },
        { "lost", f.lost },
        { "duplicated", f.duplicated },
        { "copies", f.copies },
        { "corrupted", f.corrupted },
        { "truncated", f.truncated },
        { "bits", f.bits },
        { "foreign", f.foreign },
        { "reordered", f.reordered },
        { "extent", f.extent },
        { "ambiguous", f.ambiguous },
        { "exempt", f.exempt },
        { "runs", f.runs },
        { "good_good", f.pairs[0][0] },
        { "good_lost", f.pairs[0][1] },
        { "lost_good", f.pairs[1][0] },
        { "lost_lost", f.pairs[1][1] },
        { "last_sent", f.last_sent },
    };
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lua_pushinteger(L, (lua_Integer)rows[i].value);
        lua_setfield(L, -2, rows[i].name);
    }
    return 1;
}

/* ns behind the first packet before, in seconds. */
static double since_start(const struct compare *compare, uint64_t time)
{
    const struct compare_list *before = &compare->list[COMPARE_BEFORE];
    return before->count ? (double)(int64_t)(time - before->packets[0].time) / 1e9 : 0;
}

static void append(lua_State *L, int list, lua_Integer n, double value)
{
    lua_pushnumber(L, value);
    lua_rawseti(L, list, n);
}

/* compare:delays(): when packets were sent, and how long they took; lists in seconds. */
static int compare_lua_delays(lua_State *L)
{
    const struct compare *compare = check_compare(L);
    const struct compare_list *before = &compare->list[COMPARE_BEFORE];
    lua_Integer n = 0;
    uint64_t ns;
    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    for (uint32_t i = 0; i < before->count; i++)
        if (compare_delay(compare, i, &ns)) {
            append(L, 2, ++n, since_start(compare, before->packets[i].time));
            append(L, 3, n, (double)ns / 1e9);
        }
    return 2;
}

/* compare:losses(): when packets were sent that did not come out, in seconds. */
static int compare_lua_losses(lua_State *L)
{
    const struct compare *compare = check_compare(L);
    const struct compare_list *before = &compare->list[COMPARE_BEFORE];
    struct compare_figures figures;
    lua_Integer n = 0;
    compare_figures(compare, &figures);
    lua_settop(L, 1);
    lua_newtable(L);
    for (uint32_t i = 0; i < figures.last_sent; i++)
        if (!before->packets[i].copies)
            append(L, 2, ++n, since_start(compare, before->packets[i].time));
    return 1;
}

/* compare:packets(after): times in seconds and lengths, of one side. */
static int compare_lua_packets(lua_State *L)
{
    const struct compare *compare = check_compare(L);
    const struct compare_list *list =
        &compare->list[lua_toboolean(L, 2) ? COMPARE_AFTER : COMPARE_BEFORE];
    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    for (uint32_t i = 0; i < list->count; i++) {
        append(L, 2, (lua_Integer)i + 1, since_start(compare, list->packets[i].time));
        append(L, 3, (lua_Integer)i + 1, list->packets[i].length);
    }
    return 2;
}

/* --- statistics.* ------------------------------------------------------------------------- */

/* statistics.region(n, p[, alpha]): the counts that are not rejected. */
static int statistics_region(lua_State *L)
{
    struct region region = region_of((uint64_t)luaL_checkinteger(L, 1),
                                     luaL_checknumber(L, 2), luaL_optnumber(L, 3, 1e-6));
    lua_pushinteger(L, (lua_Integer)region.low);
    lua_pushinteger(L, (lua_Integer)region.high);
    return 2;
}

static int statistics_normal_cdf(lua_State *L)
{
    lua_pushnumber(L, normal_cdf(luaL_checknumber(L, 1)));
    return 1;
}

void open_capture(lua_State *L)
{
    static const luaL_Reg functions[] = { { "compare", capture_compare },
                                          { "first", capture_first },
                                          { "same", capture_same },
                                          { NULL, NULL } };
    static const luaL_Reg methods[] = { { "figures", compare_lua_figures },
                                        { "delays", compare_lua_delays },
                                        { "losses", compare_lua_losses },
                                        { "packets", compare_lua_packets },
                                        { "__gc", compare_gc },
                                        { NULL, NULL } };
    static const luaL_Reg statistics[] = { { "normal_cdf", statistics_normal_cdf },
                                           { "region", statistics_region },
                                           { NULL, NULL } };
    luaL_newmetatable(L, TYPE_COMPARE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, statistics);
    lua_setglobal(L, "statistics");
    luaL_newlib(L, functions);
    lua_setglobal(L, "capture");
}
