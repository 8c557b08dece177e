/* values: Lua values as configuration data, and back.
 *
 * What cannot be data (functions, userdata) becomes opaque: a number behind which the
 * registry keeps the object, the same number for the same object, so that equality is
 * identity.
 */
#include "config/internal.h"

#include <string.h>

#define DEPTH_MAX  32
#define FIELDS_MAX 100000

static struct value *new_value(lua_State *L)
{
    struct value *value = lua_newuserdatauv(L, sizeof(*value), 0);
    *value = (struct value){ VALUE_NIL };
    luaL_setmetatable(L, TYPE_VALUE);
    return value;
}

static int value_gc(lua_State *L)
{
    value_free(luaL_checkudata(L, 1, TYPE_VALUE));
    return 0;
}

/* The number that stands for the object at index. */
static uint64_t remember(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_OBJECTS);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_Integer id = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (!id) {
        id = (lua_Integer)lua_rawlen(L, -1) + 1;
        lua_pushvalue(L, index);
        lua_rawseti(L, -2, id);
        lua_pushvalue(L, index);
        lua_pushinteger(L, id);
        lua_rawset(L, -3);
    }
    lua_pop(L, 1);
    return (uint64_t)id;
}

/* Everything is converted to where it belongs, never to a local: an error may jump over
 * us, and what hangs on the userdata of the whole is not lost then. */
static void convert(lua_State *L, int index, struct value *to, int depth,
                    unsigned *fields);

static void add_field(lua_State *L, struct value *table, const char *key, int depth,
                      unsigned *fields)
{
    if (++*fields > FIELDS_MAX)
        vm_fail(L, ERROR_CONFIG, "a table of more than %d fields", FIELDS_MAX);
    value_table_add(table, key, (struct value){ VALUE_NIL });
    convert(L, lua_gettop(L), &table->table->fields[table->table->count - 1].value, depth,
            fields);
}

/* The field whose key and value are on top of the stack. */
static void convert_field(lua_State *L, struct value *table, int depth, unsigned *fields)
{
    if (lua_type(L, -2) != LUA_TSTRING)
        vm_fail(L, ERROR_CONFIG, "a table's keys are names, or 1, 2, 3 ... without gaps");
    add_field(L, table, lua_tostring(L, -2), depth, fields);
}

/* List items in their order, then the other fields. */
static void convert_table(lua_State *L, int index, struct value *table, int depth,
                          unsigned *fields)
{
    if (depth > DEPTH_MAX)
        vm_fail(L, ERROR_CONFIG, "tables nested more than %d deep (or in a circle)",
                DEPTH_MAX);
    luaL_checkstack(L, 8, "configuration");
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, index, i);
        add_field(L, table, NULL, depth, fields);
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int whole;
        lua_Integer key = lua_tointegerx(L, -2, &whole);
        if (lua_type(L, -2) != LUA_TNUMBER || !whole || key < 1 || key > n)
            convert_field(L, table, depth, fields);
        lua_pop(L, 1);
    }
}

static void convert(lua_State *L, int index, struct value *to, int depth,
                    unsigned *fields)
{
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        break;
    case LUA_TBOOLEAN:
        *to = value_bool(lua_toboolean(L, index));
        break;
    case LUA_TNUMBER:
        *to = lua_isinteger(L, index) ? value_integer(lua_tointeger(L, index))
                                      : value_number(lua_tonumber(L, index));
        break;
    case LUA_TSTRING:
        if (strlen(lua_tostring(L, index)) != lua_rawlen(L, index))
            vm_fail(L, ERROR_CONFIG, "a string with a zero byte");
        *to = value_string(lua_tostring(L, index));
        break;
    case LUA_TTABLE:
        *to = value_table();
        convert_table(L, index, to, depth + 1, fields);
        break;
    default:
        *to = value_opaque(remember(L, index));
    }
}

struct value *value_check(lua_State *L, int index)
{
    unsigned fields = 0;
    index = lua_absindex(L, index);
    struct value *value = new_value(L);
    convert(L, index, value, 0, &fields);
    return value;
}

void value_push(lua_State *L, const struct value *value)
{
    switch (value->kind) {
    case VALUE_NIL:
        lua_pushnil(L);
        break;
    case VALUE_BOOL:
        lua_pushboolean(L, value->boolean);
        break;
    case VALUE_INTEGER:
        lua_pushinteger(L, value->integer);
        break;
    case VALUE_NUMBER:
        lua_pushnumber(L, value->number);
        break;
    case VALUE_STRING:
        lua_pushstring(L, value->string);
        break;
    case VALUE_OPAQUE:
        luaL_getsubtable(L, LUA_REGISTRYINDEX, KEY_OBJECTS);
        lua_rawgeti(L, -1, (lua_Integer)value->opaque);
        lua_remove(L, -2);
        break;
    case VALUE_TABLE:
        luaL_checkstack(L, 4, "configuration");
        lua_createtable(L, 0, (int)value->table->count);
        for (size_t i = 0, item = 0; i < value->table->count; i++) {
            const struct value_field *field = &value->table->fields[i];
            value_push(L, &field->value);
            if (field->key)
                lua_setfield(L, -2, field->key);
            else
                lua_rawseti(L, -2, (lua_Integer)++item);
        }
        break;
    }
}

void open_values(lua_State *L)
{
    static const luaL_Reg methods[] = { { "__gc", value_gc }, { NULL, NULL } };
    luaL_newmetatable(L, TYPE_VALUE);
    luaL_setfuncs(L, methods, 0);
    lua_pop(L, 1);
}
