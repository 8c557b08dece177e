/* internal: what the files of config/ share.
 *
 *   struct vm             one Lua state and its engine; each core has its own
 *   vm_of                 from a lua_State
 *   vm_where, vm_raise    errors with the place in the user's file
 *   vm_protect            call into Lua from the engine
 *   value_check           a Lua value as a struct value
 *   open_*                what each file adds to the globals
 *
 * Only functions that Lua calls raise errors; whatever they have allocated at that moment
 * belongs to a userdata, so that nothing is lost when an error jumps over C.
 */
#pragma once
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "config/run_directory.h"
#include "config/vm.h"
#include "engine/report.h"
#include "lib/value.h"

/* Keys of the registry. */
#define KEY_OBJECTS   "vanguard.objects"   /* opaque values: id -> object, object -> id */
#define KEY_LINKS     "vanguard.links"     /* name -> link */
#define KEY_INSTANCES "vanguard.instances" /* object of a Lua app -> its app */
#define KEY_CLASSES   "vanguard.classes"   /* Lua class -> struct lua_class */
#define KEY_PRELUDE   "vanguard.prelude"   /* what prelude.lua gives to C */

/* Names of metatables; they show in messages such as "link expected, got nil". */
#define TYPE_CONFIG "config"
#define TYPE_LINK   "link"
#define TYPE_CLASS  "app class"
#define TYPE_TIMER  "timer"
#define TYPE_ERROR  "error"
#define TYPE_VALUE  "value"

/* Who gets to own the packets that Lua takes: the file, or an app by its serial. */
#define OWNER_NOBODY 0
#define OWNER_FILE   1

struct lua_class;

/* What engine.setup chooses. */
struct settings {
    char name[NAME_SIZE]; /* of the run directory; "": none */
    bool any_name;        /* take the next free one: name-2, name-3 */
    bool seeded;
    uint64_t seed;
    uint32_t packets, chunk_size;
    bool virtual_time;
    uint64_t virtual_start; /* ns: where its clock begins */
    char cores[256];        /* the list of CPUs; "": any */
    bool log_json;          /* what a person should know is written as JSON */
    bool log_nothing;       /* ... or not at all */
};

struct vm {
    lua_State *main;
    lua_State *L; /* the thread that entered the engine: calls back go there */
    struct vm_options options;
    struct settings settings;
    struct run_directory directory;
    struct engine *engine; /* NULL until needed */
    struct control *control;
    struct vm *first;   /* the one that runs the file: itself, on core 0 */
    struct vm **others; /* in the first: those of cores 1, 2 ..., or NULL */
    uint32_t nothers;
    struct graph *checked; /* options.checking: the last graph that was configured */
    bool loading;          /* a configuration file is being executed */
    bool ran;              /* engine.main was called */
    bool running;          /* inside engine.main */
    bool configured;
    unsigned calls;     /* from the engine into Lua, under way */
    unsigned app_calls; /* of them, into methods of apps */

    uint32_t owner;  /* who runs: OWNER_FILE, or an app's serial */
    uint32_t serial; /* of the next app */
    uint32_t *owners;
    uint32_t held; /* packets that Lua owns */

    uint32_t timer_generation; /* counts executions of the file */
    struct lua_timer *timers;  /* pending ones */
    struct lua_class *classes;

    struct loads load_start, load_last;
    char *message; /* the last error */
    char *failure; /* the first error in a call from the engine */
};

static inline struct vm *vm_of(lua_State *L)
{
    return *(struct vm **)lua_getextraspace(L);
}

/* --- raise.c ----------------------------------------------------------------------- */

/* Fills place with "wan.lua:14" of the innermost frame in a user's file, "" when there is
 * none. Frames of what ships inside the binary do not count. */
const char *vm_where(lua_State *L, char *place, size_t size);

/* Raises err as it is, or with the place in front. */
int vm_raise(lua_State *L, const struct error *err);
int vm_raise_here(lua_State *L, const struct error *err);
int vm_fail(lua_State *L, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The function and nargs arguments on the stack, with errors as a table { kind, text }
 * and a traceback. True when it worked; otherwise the error is on the stack. */
bool vm_pcall(lua_State *L, int nargs, int nresults);

/* Moves the error on the stack to err and vm->message, returns a negative errno. */
int vm_take_error(struct vm *vm, lua_State *L, bool trace, struct error *err);

/* Runs f(L) with data as its one argument (a light userdata), packets going to owner. An
 * error is remembered and stops the engine. */
bool vm_protect(struct vm *vm, lua_CFunction f, void *data, uint32_t owner);

/* Raises what vm_protect remembered, if anything. */
void vm_raise_failure(lua_State *L);

void open_errors(lua_State *L);

/* --- vm.c -------------------------------------------------------------------------- */

/* The engine, made now when there is none; raises. */
struct engine *vm_need_engine(lua_State *L);

/* Executes a file in this state: arg, package.path. Leaves what it returned. Raises. */
int vm_load(lua_State *L, const char *path, int arguments);

/* --- values.c ---------------------------------------------------------------------- */

/* The Lua value as a struct value, which belongs to a userdata that is pushed. Raises. */
struct value *value_check(lua_State *L, int index);
void value_push(lua_State *L, const struct value *value);
void open_values(lua_State *L);

/* --- bind_*.c ---------------------------------------------------------------------- */

/* Nanoseconds from "50ms" or seconds; raises. */
uint64_t check_duration(lua_State *L, int index);

/* ` (did you mean "x"?)` or "", pushed. */
const char *push_hint(lua_State *L, const char *word, const char *const *candidates);

struct graph *check_config(lua_State *L, int index);
void push_graph(lua_State *L, const struct graph *graph);

/* Pushes the one object of a link, of either end of one between cores. */
void push_link(lua_State *L, struct link *link);

/* While a graph is applied links come and go: their objects are void until it is done.
 * Afterwards those of links that are gone stay so. */
void links_forget(lua_State *L);
void links_refresh(lua_State *L);

/* Gives up all packets of an owner (of everybody: OWNER_NOBODY). */
void packets_free_owned(struct vm *vm, uint32_t owner);
void packet_give(lua_State *L, struct packet *p);    /* to Lua: pushes it */
struct packet *packet_take(lua_State *L, int index); /* from Lua */

const struct app_class *check_class(lua_State *L, int index);
void push_class(lua_State *L, const struct app_class *class);

/* The engine moves to the graph, which is taken over. */
int vm_apply(lua_State *L, struct graph *graph, struct error *err);

/* The time of this breath, or the clock when nothing runs. */
uint64_t vm_now(struct vm *vm);

/* Cancel timers: those of the file's other executions, those of one execution, those of
 * an app. */
void timers_keep_only(struct vm *vm, uint32_t generation);
void timers_drop(struct vm *vm, uint32_t generation);
void timers_drop_owned(struct vm *vm, uint32_t owner);
void timers_void(struct vm *vm); /* the engine goes away */

/* A line on stderr: { "ts":, "level": "warn", "message": line }. Any thread. */
void json_log(const char *line);

void open_app(lua_State *L);
void open_bench(lua_State *L);
void open_capture(lua_State *L);
void open_config(lua_State *L);
void open_counters(lua_State *L);
void open_engine(lua_State *L);
void open_interface(lua_State *L);
void open_json(lua_State *L);
void open_lab(lua_State *L);
void open_link(lua_State *L);
void open_live(lua_State *L);
void open_packet(lua_State *L);
void open_program(lua_State *L);
void open_screen(lua_State *L);
void open_timer(lua_State *L);
void open_units(lua_State *L);

/* --- lua_app.c --------------------------------------------------------------------- */

/* The class for a Lua table, made when it is first seen; the table pins it. name may be
 * NULL. Raises. */
const struct app_class *lua_class_of(lua_State *L, int index, const char *name);
bool lua_class_is(const struct app_class *class);
void lua_classes_free(struct vm *vm);

/* Gives all Lua apps, on whichever core, their links. */
void lua_apps_refresh(lua_State *L);

/* Can every Lua app of a graph run on the core it is on? -EINVAL with a message. */
int lua_apps_check(const struct graph *graph, struct error *err);

/* Pushes the object of a running Lua app of this state, or nil. */
void push_lua_app(lua_State *L, const struct app *app);

/* --- core_vm.c --------------------------------------------------------------------- */

/* The Lua state of a core of the first vm's engine, made when it is first asked for. NULL
 * with a message. */
struct vm *vm_of_core(struct vm *first, uint32_t core, struct error *err);

/* What went wrong on other cores goes wrong on the first. They must not be breathing. */
void vm_collect_failures(struct vm *first);

void core_vms_forget_links(struct vm *first);
void core_vms_refresh_links(struct vm *first);

/* Before the engine is freed: nothing fires any more; and after it. */
void core_vms_quiesce(struct vm *first);
void core_vms_free(struct vm *first);
