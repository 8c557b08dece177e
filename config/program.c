/* program: the bundled programs: which there are, their options, and running them. */
#include "config/program.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/apps.h"
#include "config/embedded.h"
#include "config/internal.h"
#include "lib/file_watch.h"
#include "lib/nearest.h"
#include "lib/param.h"
#include "lib/service.h"
#include "lib/units.h"

#define PROGRAMS_MAX 64
#define OPTIONS_MAX  64
#define KEY_FIRST    0x1000 /* argp keys of options, beyond all characters */

/* --- which there are
 * ----------------------------------------------------------------------- */

/* Fills names with the programs' names (static storage), ended by NULL. */
static void program_names(const char *names[PROGRAMS_MAX + 1])
{
    static char text[PROGRAMS_MAX][32];
    size_t n = 0;
    for (const struct embedded_file *file = embedded_files;
         file->path && n < PROGRAMS_MAX; file++) {
        const char *name = file->path + strlen("programs/");
        if (strncmp(file->path, "programs/", strlen("programs/")) || strchr(name, '/'))
            continue;
        snprintf(text[n], sizeof(text[n]), "%.*s", (int)strcspn(name, "."), name);
        names[n] = text[n];
        n++;
    }
    names[n] = NULL;
}

/* Pushes the program's table. */
static void push_program(lua_State *L, const char *name)
{
    lua_getglobal(L, "require");
    lua_pushfstring(L, "programs.%s", name);
    lua_call(L, 1, 1);
}

static const char *string_field(lua_State *L, int index, const char *field,
                                const char *otherwise)
{
    lua_getfield(L, index, field);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : otherwise;
    lua_pop(L, 1); /* the program's table keeps it alive */
    return text;
}

static void list_programs(lua_State *L, FILE *out)
{
    const char *names[PROGRAMS_MAX + 1];
    program_names(names);
    fprintf(out, "usage: vanguard PROGRAM [OPTION...] [ARGUMENT...]\n\n");
    for (size_t i = 0; names[i]; i++) {
        push_program(L, names[i]);
        fprintf(out, "  %-8s %s\n", names[i], string_field(L, -1, "doc", ""));
        lua_pop(L, 1);
    }
    fprintf(
        out,
        "\n`vanguard help PROGRAM` prints a program's options, `vanguard --version` the version.\n");
}

/* --- options
 * ------------------------------------------------------------------------------- */

struct options {
    lua_State *L;
    int program, values, arguments; /* stack indexes */
    const char *name;
    bool in_order; /* what follows the first argument is not ours */
    size_t count;
    struct argp_option rows[OPTIONS_MAX + 1];
    char docs[OPTIONS_MAX][256];
};

static enum param_type type_of(const char *name)
{
    static const struct {
        const char *name;
        enum param_type type;
    } types[] = {
        { "duration", PARAM_TYPE_DURATION }, { "percent", PARAM_TYPE_PERCENT },
        { "rate", PARAM_TYPE_RATE },         { "size", PARAM_TYPE_SIZE },
        { "integer", PARAM_TYPE_INTEGER },   { "number", PARAM_TYPE_NUMBER },
        { "limit", PARAM_TYPE_LIMIT },       { "choice", PARAM_TYPE_ENUM },
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(types[i].name, name))
            return types[i].type;
    return PARAM_TYPE_STRING;
}

/* The value in the type's base unit, seconds for durations, is what the program gets;
 * quantities that it hands on (rates, sizes, percentages) it gets as they were written.
 */
static void push_value(lua_State *L, enum param_type type, const char *text)
{
    int64_t integer;
    double number;
    uint64_t ns;
    if (type == PARAM_TYPE_INTEGER && !units_parse_integer(text, &integer))
        lua_pushinteger(L, integer);
    else if (type == PARAM_TYPE_NUMBER && !units_parse_number(text, &number))
        lua_pushnumber(L, number);
    else if (type == PARAM_TYPE_DURATION && !units_parse_duration(text, &ns))
        lua_pushnumber(L, (double)ns / 1e9);
    else
        lua_pushstring(L, text);
}

/* An option that may be there many times is a list; its value is below the top. */
static void append_value(struct options *o, const char *name)
{
    lua_State *L = o->L;
    luaL_getsubtable(L, o->values, name);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static void set_option(struct options *o, size_t i, const char *text)
{
    lua_State *L = o->L;
    lua_getfield(L, o->program, "options");
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    int row = lua_gettop(L);
    const char *name = string_field(L, row, "name", ""),
               *type = string_field(L, row, "type", "flag");
    if (!strcmp(type, "flag")) {
        lua_pushboolean(L, true);
        lua_setfield(L, o->values, name);
        lua_settop(L, row - 2);
        return;
    }
    union {
        uint64_t words[8];
        char *string;
    } scalar = { { 0 } };
    const char *choices[16] = { NULL };
    lua_getfield(L, row, "choices");
    for (lua_Integer c = 1; c < 16 && lua_istable(L, -1); c++) {
        if (lua_rawgeti(L, -1, c) == LUA_TSTRING)
            choices[c - 1] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    struct param param = { .name = name, .type = type_of(type), .choices = choices };
    param.minimum = string_field(L, row, "minimum", NULL);
    param.maximum = string_field(L, row, "maximum", NULL);
    struct error err;
    if (param_parse_text(&param, text, &scalar, &err)) {
        fprintf(stderr, "vanguard %s: --%s\n", o->name, err.text);
        exit(ERROR_USAGE);
    }
    if (param.type == PARAM_TYPE_STRING)
        free(scalar.string);
    push_value(L, param.type, text);
    lua_getfield(L, row, "many");
    bool many = lua_toboolean(L, -1);
    lua_pop(L, 1);
    if (many)
        append_value(o, name);
    else
        lua_setfield(L, o->values, name);
    lua_settop(L, row - 2);
}

static error_t on_option(int key, char *text, struct argp_state *state)
{
    struct options *o = state->input;
    for (size_t i = 0; i < o->count; i++)
        if (key == o->rows[i].key) {
            set_option(o, i, text);
            return 0;
        }
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    lua_pushstring(o->L, text);
    lua_rawseti(o->L, o->arguments, (lua_Integer)lua_rawlen(o->L, o->arguments) + 1);
    if (o->in_order)
        for (; state->next < state->argc; state->next++) {
            lua_pushstring(o->L, state->argv[state->next]);
            lua_rawseti(o->L, o->arguments,
                        (lua_Integer)lua_rawlen(o->L, o->arguments) + 1);
        }
    return 0;
}

static void add_row(struct options *o, int row)
{
    lua_State *L = o->L;
    const char *type = string_field(L, row, "type", "flag"),
               *short_name = string_field(L, row, "short", NULL);
    const char *initial = string_field(L, row, "default", NULL);
    struct argp_option *option = &o->rows[o->count];
    option->name = string_field(L, row, "name", "");
    option->key = short_name ? *short_name : KEY_FIRST + (int)o->count;
    option->arg = strcmp(type, "flag") ? string_field(L, row, "arg", "VALUE") : NULL;
    snprintf(o->docs[o->count], sizeof(o->docs[0]), "%s%s%s%s",
             string_field(L, row, "doc", ""), initial ? " (default: " : "",
             initial ? initial : "", initial ? ")" : "");
    option->doc = o->docs[o->count];
    if (initial)
        set_option(o, o->count, initial);
    o->count++;
}

/* argp would say "unrecognized option" alone; here the nearest is named. */
static void check_names(const struct options *o, int argc, char **argv)
{
    const char *names[OPTIONS_MAX + 5] = { "--help", "--usage" };
    char text[OPTIONS_MAX][64];
    size_t n = 2;
    for (size_t i = 0; i < o->count; i++) {
        snprintf(text[i], sizeof(text[i]), "--%s", o->rows[i].name);
        names[n++] = text[i];
    }
    names[n] = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--") || (o->in_order && argv[i][0] != '-'))
            return;
        if (strncmp(argv[i], "--", 2))
            continue;
        char word[64];
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(argv[i], "="), argv[i]);
        bool known = false;
        for (size_t j = 0; names[j] && !known; j++)
            known = !strncmp(names[j], word, strlen(word)); /* argp takes beginnings */
        if (known) {
            for (size_t j = 0; j < o->count; j++)
                if (!strcmp(names[j + 2], word) && o->rows[j].arg &&
                    !strchr(argv[i], '='))
                    i++; /* its value is the next word */
            continue;
        }
        const char *near = nearest(word, names);
        fprintf(stderr, "vanguard %s: no option \"%s\"%s%s%s\n", o->name, word,
                near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
        exit(ERROR_USAGE);
    }
}

/* Leaves options, arguments and the program's table on the stack, in this order. */
static void parse_options(lua_State *L, const char *name, int argc, char **argv)
{
    struct options *o = calloc(1, sizeof(*o));
    lua_newtable(L);
    lua_newtable(L);
    push_program(L, name);
    *o = (struct options){ .L = L,
                           .program = lua_gettop(L),
                           .arguments = lua_gettop(L) - 1,
                           .values = lua_gettop(L) - 2,
                           .name = name };
    lua_getfield(L, o->program, "in_order");
    o->in_order = lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, o->program, "options");
    for (lua_Integer i = 1; lua_istable(L, -1) && i <= OPTIONS_MAX; i++) {
        if (lua_rawgeti(L, -1, i) == LUA_TTABLE)
            add_row(o, lua_gettop(L));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    struct argp argp = { o->rows, on_option, string_field(L, o->program, "args", NULL),
                         string_field(L, o->program, "help",
                                      string_field(L, o->program, "doc", "")) };
    char program[64];
    snprintf(program, sizeof(program), "vanguard %s", name);
    argv[0] = program;
    argp_err_exit_status = ERROR_USAGE;
    check_names(o, argc, argv);
    error_t error =
        argp_parse(&argp, argc, argv, o->in_order ? ARGP_IN_ORDER : 0, NULL, o);
    if (error)
        exit(ERROR_USAGE);
    free(o);
}

/* --- running
 * --------------------------------------------------------------------------------- */

struct command {
    int argc;
    char **argv;
    const char *version;
    int code;
};

static int usage(struct command *command, const char *format, const char *word,
                 const char *near)
{
    fprintf(stderr, format, word, near ? " (did you mean \"" : "", near ? near : "",
            near ? "\"?)" : "");
    command->code = ERROR_USAGE;
    return 0;
}

static int run_command(lua_State *L)
{
    struct command *command = lua_touserdata(L, 1);
    const char *word = command->argc > 1 ? command->argv[1] : NULL;
    const char *names[PROGRAMS_MAX + 1];
    lua_getglobal(L, "process");
    lua_pushstring(L, command->version);
    lua_setfield(L, -2, "version");
    lua_settop(L, 1);
    program_names(names);
    bool help =
        word && (!strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h"));
    if (!word || (help && command->argc == 2)) {
        list_programs(L, word ? stdout : stderr);
        command->code = word ? 0 : ERROR_USAGE;
        return 0;
    }
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        printf("vanguard %s\n", command->version);
        return 0;
    }
    static char *help_argv[] = { NULL, "--help", NULL };
    char **argv = help ? help_argv : command->argv + 1;
    int argc = help ? 2 : command->argc - 1;
    word = help ? command->argv[2] : word;
    for (size_t i = 0; names[i]; i++)
        if (!strcmp(names[i], word)) {
            parse_options(L, names[i], argc, argv);
            lua_getfield(L, -1, "run");
            lua_pushvalue(L, -4);
            lua_pushvalue(L, -4);
            lua_call(L, 2, 1);
            command->code = (int)luaL_optinteger(L, -1, 0);
            return 0;
        }
    return usage(command,
                 *word == '-' ? "vanguard: no option \"%s\"%s%s%s\n"
                              : "vanguard: no program \"%s\"%s%s%s\n",
                 word, nearest(word, names));
}

static void print_log(const char *line, void *user)
{
    fprintf(stderr, "vanguard: %s\n", line);
}

int program_main(int argc, char **argv, const char *version)
{
    struct vm_options options = { .log = print_log, .signals = true };
    struct command command = { argc, argv, version, 0 };
    struct error err;
    struct vm *vm = vm_new(&options, &err);
    if (!vm) {
        fprintf(stderr, "vanguard: %s\n", err.text);
        return ERROR_RUN;
    }
    lua_pushcfunction(vm->L, run_command);
    lua_pushlightuserdata(vm->L, &command);
    if (!vm_pcall(vm->L, 1, 0)) {
        vm_take_error(vm, vm->L, true, &err);
        /* A mistake in a file is one line; a failure while running comes with its
         * traceback. */
        fprintf(stderr, "vanguard: %s\n",
                err.kind == ERROR_RUN ? vm_message(vm) : err.text);
        command.code = (int)err.kind;
    }
    if (vm_stop(vm, &err)) {
        fprintf(stderr, "vanguard: %s\n", err.text);
        command.code = command.code ? command.code : ERROR_RUN;
    }
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "vanguard: cannot write the output: %s\n", strerror(errno));
        command.code = command.code ? command.code : ERROR_FILE;
    }
    vm_free(vm);
    return command.code;
}

/* --- the reference of app classes
 * --------------------------------------------------------------- */

static void push_rows(lua_State *L, const struct param *rows)
{
    lua_newtable(L);
    for (lua_Integer n = 1; rows && rows->name; rows++, n++) {
        lua_newtable(L);
        const struct {
            const char *name, *value;
        } fields[] = {
            { "name", rows->name },       { "type", param_type_name(rows->type) },
            { "default", rows->initial }, { "minimum", rows->minimum },
            { "maximum", rows->maximum }, { "doc", rows->doc }
        };
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
            lua_pushstring(L, fields[i].value);
            lua_setfield(L, -2, fields[i].name);
        }
        if (rows->type == PARAM_TYPE_TABLE) {
            push_rows(L, rows->rows);
            lua_setfield(L, -2, "rows");
        }
        if (rows->type == PARAM_TYPE_ENUM) {
            lua_newtable(L);
            for (lua_Integer c = 0; rows->choices[c]; c++) {
                lua_pushstring(L, rows->choices[c]);
                lua_rawseti(L, -2, c + 1);
            }
            lua_setfield(L, -2, "choices");
        }
        lua_rawseti(L, -2, n);
    }
}

static void push_ports(lua_State *L, const struct port *port)
{
    lua_newtable(L);
    for (lua_Integer n = 1; port && port->name; port++, n++) {
        lua_newtable(L);
        lua_pushstring(L, port->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, port->direction == PORT_INPUT ? "input" : "output");
        lua_setfield(L, -2, "direction");
        lua_pushstring(L, port->doc);
        lua_setfield(L, -2, "doc");
        lua_rawseti(L, -2, n);
    }
}

/* app.classes(): the table of classes, sorted by name by the caller. */
static int app_classes(lua_State *L)
{
    lua_newtable(L);
    lua_Integer n = 0;
    for (const struct app_class *const *class = apps_all(); *class; class ++) {
        lua_newtable(L);
        lua_pushstring(L, (*class)->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, (*class)->doc);
        lua_setfield(L, -2, "doc");
        push_ports(L, (*class)->ports);
        lua_setfield(L, -2, "ports");
        push_rows(L, (*class)->params);
        lua_setfield(L, -2, "parameters");
        lua_newtable(L);
        const struct counter_row *row = (*class)->counters;
        for (lua_Integer i = 0; row && row[i].name; i++) {
            lua_newtable(L);
            lua_pushstring(L, row[i].name);
            lua_setfield(L, -2, "name");
            lua_pushstring(L, row[i].doc);
            lua_setfield(L, -2, "doc");
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "counters");
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* --- what programs ask of the system
 * ------------------------------------------------------------ */

static int process_sleep(lua_State *L)
{
    uint64_t ns = check_duration(L, 1);
    struct timespec time = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
    nanosleep(&time, NULL);
    return 0;
}

static int process_alive(lua_State *L)
{
    lua_pushboolean(L, !kill((pid_t)luaL_checkinteger(L, 1), 0) || errno == EPERM);
    return 1;
}

/* Is the output a terminal that can be drawn on? */
static int process_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && getenv("TERM"));
    return 1;
}

/* process.mkdir(path): true when it is a directory then, or nil and why not. Parents must be
 * there. */
static int process_mkdir(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct stat status;
    if (!mkdir(path, 0777) ||
        (errno == EEXIST && !stat(path, &status) && S_ISDIR(status.st_mode))) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, strerror(errno));
    return 2;
}

/* process.tty(fd): is this descriptor a terminal? */
static int process_tty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* process.file_mark(path): text that is another one when the file is, or has been written to; nil when
 * there is none. */
static int process_file_mark(lua_State *L)
{
    struct file_mark mark = file_mark(luaL_checkstring(L, 1));
    if (!mark.inode)
        lua_pushnil(L);
    else
        lua_pushfstring(L, "%I:%I:%I:%I", (LUAI_UACINT)mark.device,
                        (LUAI_UACINT)mark.inode, (LUAI_UACINT)mark.size,
                        (LUAI_UACINT)mark.changed);
    return 1;
}

/* process.notify(state): did whoever started this program hear it (lib/service.h)? */
static int process_notify(lua_State *L)
{
    lua_pushboolean(L, service_notify(luaL_checkstring(L, 1)));
    return 1;
}

/* process.absolute(path): the path of a file that is there, from the root on; nil and why not. */
static int process_absolute(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    char *absolute = realpath(path, NULL);
    if (absolute) {
        lua_pushstring(L, absolute);
        free(absolute);
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, strerror(errno));
    return 2;
}

void open_program(lua_State *L)
{
    static const luaL_Reg functions[] = { { "absolute", process_absolute },
                                          { "alive", process_alive },
                                          { "file_mark", process_file_mark },
                                          { "mkdir", process_mkdir },
                                          { "notify", process_notify },
                                          { "sleep", process_sleep },
                                          { "terminal", process_terminal },
                                          { "tty", process_tty },
                                          { NULL, NULL } };
    luaL_newlib(L, functions);
    lua_setglobal(L, "process");
    lua_getglobal(L, "app");
    lua_pushcfunction(L, app_classes);
    lua_setfield(L, -2, "classes");
    lua_pop(L, 1);
}
