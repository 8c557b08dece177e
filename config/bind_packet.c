/* bind_packet: packet.* and link.*.
 *
 * A packet is a light userdata: taking one from a link allocates nothing. So that no
 * mistake in Lua can damage the engine, an array says for every packet of the arena
 * whether Lua owns it, and who; a packet that Lua does not own cannot be used.
 */
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>

struct link_box {
    struct link *link; /* this core's end of it; NULL: the graph no longer has it */
    bool here;         /* does it have an end on this core? Others are only looked at */
};

/* --- ownership ---------------------------------------------------------------------- */

static uint32_t *owner_of(struct vm *vm, const struct packet *p)
{
    uintptr_t offset = (uintptr_t)p - (uintptr_t)arena.headers;
    if (!vm->owners || offset >= (uintptr_t)arena_packets() * sizeof(*p) ||
        offset % sizeof(*p))
        return NULL;
    return &vm->owners[offset / sizeof(*p)];
}

static void need_owners(struct vm *vm)
{
    if (!vm->owners)
        vm->owners = calloc(arena_packets(), sizeof(*vm->owners));
}

void packet_give(lua_State *L, struct packet *p)
{
    struct vm *vm = vm_of(L);
    need_owners(vm);
    *owner_of(vm, p) = vm->owner;
    vm->held++;
    lua_pushlightuserdata(L, p);
}

static struct packet *check_packet(lua_State *L, int index)
{
    struct packet *p = lua_islightuserdata(L, index) ? lua_touserdata(L, index) : NULL;
    if (!p)
        luaL_typeerror(L, index, "packet");
    uint32_t *owner = owner_of(vm_of(L), p);
    if (!owner || *owner == OWNER_NOBODY)
        vm_fail(L, ERROR_RUN, "packet used after it was transmitted or freed");
    return p;
}

/* Is it the next packet of some link of this core? */
static bool at_front(const struct engine *engine, const struct packet *p)
{
    bool found = false;
    for (uint32_t i = 0; engine && i < engine->nown && !found; i++)
        found = link_front(engine->own[i]) == p;
    for (uint32_t i = 0; engine && i < engine->nincoming && !found; i++)
        found = link_front(engine->incoming[i]->to) == p;
    for (uint32_t i = 0; engine && i < engine->noutgoing && !found; i++)
        found = link_front(engine->outgoing[i]->from) == p;
    return found;
}

/* For reading: what link.front showed will do as well, for as long as it is there. */
static const struct packet *check_readable(lua_State *L, int index)
{
    struct packet *p = lua_islightuserdata(L, index) ? lua_touserdata(L, index) : NULL;
    struct vm *vm = vm_of(L);
    uint32_t *owner = p ? owner_of(vm, p) : NULL;
    return owner && *owner == OWNER_NOBODY && at_front(vm->engine, p)
               ? p
               : check_packet(L, index);
}

struct packet *packet_take(lua_State *L, int index)
{
    struct packet *p = check_packet(L, index);
    struct vm *vm = vm_of(L);
    *owner_of(vm, p) = OWNER_NOBODY;
    vm->held--;
    return p;
}

void packets_free_owned(struct vm *vm, uint32_t owner)
{
    for (uint32_t i = 0; vm->owners && vm->held && i < arena_packets(); i++)
        if (vm->owners[i] != OWNER_NOBODY &&
            (owner == OWNER_NOBODY || vm->owners[i] == owner)) {
            vm->owners[i] = OWNER_NOBODY;
            vm->held--;
            packet_free(&arena.headers[i]);
        }
}

/* --- packet.* ----------------------------------------------------------------------- */

/* Bytes of the frame changed: what was known of its checksum no longer holds. */
static void touched(struct packet *p)
{
    p->flags &= (uint16_t)~PACKET_CSUM_VALID;
}

static int give_or_nil(lua_State *L, struct packet *p)
{
    if (p)
        packet_give(L, p);
    else
        lua_pushnil(L);
    return 1;
}

static int packet_lua_allocate(lua_State *L)
{
    vm_need_engine(L);
    return give_or_nil(L, packet_allocate());
}

static int packet_lua_from_string(lua_State *L)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    vm_need_engine(L);
    if (length > packet_capacity())
        return vm_fail(L, ERROR_RUN, "a frame of %zu bytes: at most %u fit", length,
                       packet_capacity());
    return give_or_nil(L, packet_from_bytes(bytes, (uint32_t)length));
}

static int packet_lua_free(lua_State *L)
{
    packet_free(packet_take(L, 1));
    return 0;
}

static int packet_lua_clone(lua_State *L)
{
    return give_or_nil(L, packet_clone(check_readable(L, 1)));
}

/* packet.data(p [, from [, to]]): like string.sub. */
static int packet_lua_data(lua_State *L)
{
    const struct packet *p = check_readable(L, 1);
    lua_Integer from = luaL_optinteger(L, 2, 1), to = luaL_optinteger(L, 3, -1);
    from = from < 0 ? from + p->length + 1 : from;
    to = to < 0 ? to + p->length + 1 : to;
    from = from < 1 ? 1 : from;
    to = to > p->length ? p->length : to;
    lua_pushlstring(L, (const char *)p->data + (from > to ? 0 : from - 1),
                    from > to ? 0 : (size_t)(to - from + 1));
    return 1;
}

static int packet_lua_byte(lua_State *L)
{
    const struct packet *p = check_readable(L, 1);
    lua_Integer at = luaL_checkinteger(L, 2);
    if (at < 1 || at > p->length)
        return vm_fail(L, ERROR_RUN, "byte %lld of a packet of %u", (long long)at,
                       p->length);
    lua_pushinteger(L, p->data[at - 1]);
    return 1;
}

/* packet.set(p, at, bytes): bytes is a string or one number. */
static int packet_lua_set(lua_State *L)
{
    struct packet *p = check_packet(L, 1);
    lua_Integer at = luaL_checkinteger(L, 2);
    char one = (char)lua_tointeger(L, 3);
    size_t length = 1;
    const char *bytes =
        lua_type(L, 3) == LUA_TNUMBER ? &one : luaL_checklstring(L, 3, &length);
    if (at < 1 || length > p->length || (uint64_t)at - 1 > p->length - length)
        return vm_fail(L, ERROR_RUN, "%zu bytes at %lld of a packet of %u", length,
                       (long long)at, p->length);
    memcpy(p->data + at - 1, bytes, length);
    touched(p);
    return 0;
}

static int packet_lua_append(lua_State *L)
{
    struct packet *p = check_packet(L, 1);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    if (length > UINT16_MAX || !packet_append(p, bytes, (uint32_t)length))
        return vm_fail(L, ERROR_RUN, "no room for %zu bytes more", length);
    touched(p);
    return 0;
}

static int packet_lua_prepend(lua_State *L)
{
    struct packet *p = check_packet(L, 1);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    if (length > UINT16_MAX || !packet_prepend(p, (uint32_t)length))
        return vm_fail(L, ERROR_RUN, "no room for %zu bytes in front", length);
    memcpy(p->data, bytes, length);
    touched(p);
    return 0;
}

/* Snabb's names: shiftleft takes bytes off the front, shiftright makes room there. */
static int packet_lua_shiftleft(lua_State *L)
{
    struct packet *p = check_packet(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2);
    if (n < 0 || n > UINT16_MAX || !packet_trim_front(p, (uint32_t)n))
        return vm_fail(L, ERROR_RUN, "a packet of %u bytes is too short", p->length);
    touched(p);
    lua_settop(L, 1);
    return 1;
}

static int packet_lua_shiftright(lua_State *L)
{
    struct packet *p = check_packet(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2);
    if (n < 0 || n > UINT16_MAX || !packet_prepend(p, (uint32_t)n))
        return vm_fail(L, ERROR_RUN, "no room for that many bytes in front");
    memset(p->data, 0, (size_t)n);
    touched(p);
    lua_settop(L, 1);
    return 1;
}

static int packet_lua_resize(lua_State *L)
{
    struct packet *p = check_packet(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2);
    if (n < 0 || n > UINT16_MAX || !packet_resize(p, (uint32_t)n))
        return vm_fail(L, ERROR_RUN, "no room for a frame of that length");
    touched(p);
    return 0;
}

/* p.length and the like; p:clone() and the like. */
static int packet_index(lua_State *L)
{
    const struct packet *p = check_readable(L, 1);
    const char *key = luaL_checkstring(L, 2);
    if (!strcmp(key, "length"))
        lua_pushinteger(L, p->length);
    else if (!strcmp(key, "timestamp"))
        lua_pushnumber(L, (double)p->timestamp / 1e9);
    else if (!strcmp(key, "hash"))
        lua_pushinteger(L, p->hash);
    else if (!strcmp(key, "vlan") && p->flags & PACKET_VLAN)
        lua_pushinteger(L, p->vlan_tci & 0xfff);
    else if (!strcmp(key, "vlan"))
        lua_pushnil(L);
    else if (lua_getfield(L, lua_upvalueindex(1), key) == LUA_TNIL)
        return vm_fail(L, ERROR_RUN, "a packet has no field \"%s\"", key);
    return 1;
}

void open_packet(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "allocate", packet_lua_allocate },
        { "append", packet_lua_append },
        { "byte", packet_lua_byte },
        { "clone", packet_lua_clone },
        { "data", packet_lua_data },
        { "free", packet_lua_free },
        { "from_string", packet_lua_from_string },
        { "prepend", packet_lua_prepend },
        { "resize", packet_lua_resize },
        { "set", packet_lua_set },
        { "shiftleft", packet_lua_shiftleft },
        { "shiftright", packet_lua_shiftright },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL); /* one metatable for all light userdata: packets */
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, packet_index, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    lua_setglobal(L, "packet");
}

/* --- link.* ------------------------------------------------------------------------- */

static struct link *check_link(lua_State *L, int index)
{
    struct link_box *box = luaL_checkudata(L, index, TYPE_LINK);
    if (!box->link)
        vm_fail(L, ERROR_RUN, "this link is no longer part of the graph");
    if (!box->here)
        vm_fail(L, ERROR_RUN, "link \"%s\" is on another core", box->link->name);
    return box->link;
}

/* Fills a box with the end that this state's core has of a link, or the sender's. */
static void set_box(const struct vm *vm, struct link_box *box, struct link *link)
{
    const struct engine *engine = vm->engine;
    struct interlink *across = link ? link->across : NULL;
    if (across) {
        box->link = across->receiver == engine ? across->to : across->from;
        box->here = across->receiver == engine || across->sender == engine;
        return;
    }
    *box = (struct link_box){ link, link && !engine->first->nothers };
    for (uint32_t i = 0; link && i < engine->nown && !box->here; i++)
        box->here = engine->own[i] == link;
}

void push_link(lua_State *L, struct link *link)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_LINKS);
    if (lua_getfield(L, -1, link->name) == LUA_TNIL) {
        lua_pop(L, 1);
        struct link_box *box = lua_newuserdatauv(L, sizeof(*box), 0);
        set_box(vm_of(L), box, link);
        luaL_setmetatable(L, TYPE_LINK);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, link->name);
    }
    lua_remove(L, -2);
}

void links_forget(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_LINKS);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        ((struct link_box *)lua_touserdata(L, -1))->link = NULL;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* Objects of links that go on stay the same; those of links that are gone become void. */
void links_refresh(lua_State *L)
{
    struct vm *vm = vm_of(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_LINKS);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        struct link_box *box = lua_touserdata(L, -1);
        const char *name = lua_tostring(L, -2);
        set_box(vm, box, vm->engine ? engine_find_link(vm->engine->first, name) : NULL);
        lua_pop(L, 1);
        if (!box->link) {
            lua_pushstring(L, name);
            lua_pushnil(L);
            lua_rawset(L, -4);
        }
    }
    lua_pop(L, 1);
}

static int link_lua_receive(lua_State *L)
{
    struct link *link = check_link(L, 1);
    if (link_empty(link))
        lua_pushnil(L);
    else
        packet_give(L, link_receive(link));
    return 1;
}

/* The next packet, still the link's: it may be read while it is there. */
static int link_lua_front(lua_State *L)
{
    struct packet *p = link_front(check_link(L, 1));
    need_owners(vm_of(L));
    if (p)
        lua_pushlightuserdata(L, p);
    else
        lua_pushnil(L);
    return 1;
}

static int link_lua_transmit(lua_State *L)
{
    struct link *link = check_link(L, 1);
    link_transmit(link, packet_take(L, 2));
    return 0;
}

/* link.each(l): receives until the link is empty. */
static int link_lua_each(lua_State *L)
{
    check_link(L, 1);
    lua_pushcfunction(L, link_lua_receive);
    lua_pushvalue(L, 1);
    return 2;
}

static int link_lua_empty(lua_State *L)
{
    lua_pushboolean(L, link_empty(check_link(L, 1)));
    return 1;
}

static int link_lua_full(lua_State *L)
{
    lua_pushboolean(L, link_full(check_link(L, 1)));
    return 1;
}

static int link_lua_readable(lua_State *L)
{
    lua_pushinteger(L, link_readable(check_link(L, 1)));
    return 1;
}

static int link_lua_writable(lua_State *L)
{
    lua_pushinteger(L, link_writable(check_link(L, 1)));
    return 1;
}

/* While other cores breathe, what they do is known as of their last count. */
static void read_stats(const struct vm *vm, const struct link_box *box, uint64_t *words)
{
    struct link *from = box->link->across ? box->link->across->from : box->link;
    if (vm->engine->first->running && (from->across || !box->here)) {
        memcpy(words, from->counters, LINK_COUNTERS * sizeof(*words));
        return;
    }
    words[LINK_RXPACKETS] = link_receiver(from)->read;
    words[LINK_TXPACKETS] = from->write;
    words[LINK_TXBYTES] = from->bytes;
    words[LINK_TXDROP] = from->drops;
}

static int link_lua_stats(lua_State *L)
{
    static const char *const names[LINK_COUNTERS] = { "rxpackets", "txpackets", "txbytes",
                                                      "txdrop" };
    const struct link_box *box = luaL_checkudata(L, 1, TYPE_LINK);
    uint64_t words[LINK_COUNTERS];
    if (!box->link)
        check_link(L, 1);
    read_stats(vm_of(L), box, words);
    lua_createtable(L, 0, LINK_COUNTERS + 1);
    for (size_t i = 0; i < LINK_COUNTERS; i++) {
        lua_pushinteger(L, (lua_Integer)words[i]);
        lua_setfield(L, -2, names[i]);
    }
    /* The receiver may have counted later than the sender. */
    uint64_t sent = words[LINK_TXPACKETS], received = words[LINK_RXPACKETS];
    lua_pushinteger(L, sent > received ? (lua_Integer)(sent - received) : 0);
    lua_setfield(L, -2, "held");
    return 1;
}

static int link_tostring(lua_State *L)
{
    const struct link_box *box = luaL_checkudata(L, 1, TYPE_LINK);
    lua_pushstring(L, box->link ? box->link->name : "(a link that is gone)");
    return 1;
}

void open_link(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "each", link_lua_each },          { "empty", link_lua_empty },
        { "front", link_lua_front },        { "full", link_lua_full },
        { "nreadable", link_lua_readable }, { "nwritable", link_lua_writable },
        { "readable", link_lua_readable },  { "receive", link_lua_receive },
        { "stats", link_lua_stats },        { "transmit", link_lua_transmit },
        { "writable", link_lua_writable },  { NULL, NULL },
    };
    luaL_newlib(L, functions);
    luaL_newmetatable(L, TYPE_LINK);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, link_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
    lua_setglobal(L, "link");
}
