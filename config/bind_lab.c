/* bind_lab: hosts on one machine, and programs in them.
 *
 *   lab.new{ hosts = { "a", "b" }, unprivileged =, as_root =, uplink = }
 *                                  namespaces and cables (lib/lab.h); this process is in
 *                                  the middle, where interface "a" leads to host a and,
 *                                  where asked for, "uplink" to the caller's network
 *   l:hosts()                      { { name =, ipv4 =, ipv6 = }, ... }
 *   l:spawn(host, argv, options)   a process; or nil, why not, and the exit code that a
 *                                  shell would give. Options: environment = { NAME =
 *                                  value }, output = an open file, background = true (in a
 *                                  session of its own, without input)
 *   l:read(host, path)             a file as that host sees it, such as /proc/net/tcp
 *   l:close()                      kills all that runs there
 *
 *   lab.clean()                    the names of killed programs' remains that were removed,
 *                                  and what went wrong or nil
 *
 *   p:status()                     nil while it runs, then its exit code, 128 + n after
 *                                  signal n. Never waits.
 *   p:wait(seconds)                the same; waits so long at most, or for ever
 *   p:kill(signal)                 "TERM" (the default), "KILL", "INT", "HUP"
 *   p:attend(yes)                  signals to us go to it, until it ends
 */
#include "config/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/signals.h"
#include "lib/journal.h"
#include "lib/lab.h"

#define TYPE_LAB     "lab"
#define TYPE_PROCESS "process"
#define WORDS_MAX    1024

struct lab_box {
    bool open;
    struct lab lab;
};

struct process {
    struct lab_box *box; /* which its user value keeps alive */
    pid_t pid;           /* 0: it has ended */
    int status;
    bool attended;
    pid_t foreground; /* process group that had the terminal before; -1: none */
};

/* --- processes ----------------------------------------------------------------------- */

/* A shell that manages jobs takes the terminal and cannot give it back to a group that it
 * does not see. */
static void take_terminal_back(const struct process *process)
{
    if (process->foreground < 0 || tcgetpgrp(STDIN_FILENO) == process->foreground)
        return;
    void (*before)(int) = signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, process->foreground);
    signal(SIGTTOU, before);
}

/* Has it ended? */
static bool reap(struct process *process, int flags)
{
    int status;
    if (!process->pid)
        return true;
    pid_t pid = process->box->open ? sandbox_wait(process->box->lab.sandbox, process->pid,
                                                  &status, flags)
                                   : -1; /* killed with the lab */
    if (!pid || (pid < 0 && errno == EINTR))
        return false;
    if (process->attended)
        signals_forward(0);
    process->pid = 0;
    process->status = pid < 0               ? 128 + SIGKILL
                      : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                            : WEXITSTATUS(status);
    take_terminal_back(process);
    return true;
}

static int push_status(lua_State *L, struct process *process)
{
    if (process->pid)
        lua_pushnil(L);
    else
        lua_pushinteger(L, process->status);
    return 1;
}

static int process_status(lua_State *L)
{
    struct process *process = luaL_checkudata(L, 1, TYPE_PROCESS);
    reap(process, WNOHANG);
    return push_status(L, process);
}

static int process_wait(lua_State *L)
{
    struct process *process = luaL_checkudata(L, 1, TYPE_PROCESS);
    if (lua_isnoneornil(L, 2)) {
        while (!reap(process, 0))
            ;
        return push_status(L, process);
    }
    uint64_t patience = check_duration(L, 2) / 1000000;
    int milliseconds = patience < INT_MAX ? (int)patience : INT_MAX;
    int fd = process->pid ? (int)syscall(SYS_pidfd_open, process->pid, 0) : -1;
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    if (fd >= 0) {
        poll(&poll_fd, 1, milliseconds);
        close(fd);
    }
    reap(process, WNOHANG);
    return push_status(L, process);
}

static int process_kill(lua_State *L)
{
    static const char *const names[] = { "TERM", "KILL", "INT", "HUP", NULL };
    static const int numbers[] = { SIGTERM, SIGKILL, SIGINT, SIGHUP };
    struct process *process = luaL_checkudata(L, 1, TYPE_PROCESS);
    int number = numbers[luaL_checkoption(L, 2, "TERM", names)];
    if (!reap(process, WNOHANG))
        kill(process->pid, number);
    return 0;
}

static int process_attend(lua_State *L)
{
    struct process *process = luaL_checkudata(L, 1, TYPE_PROCESS);
    process->attended = lua_toboolean(L, 2) && process->pid;
    signals_forward(process->attended ? process->pid : 0);
    return 0;
}

/* --- labs ---------------------------------------------------------------------------- */

static struct lab *check_lab(lua_State *L)
{
    struct lab_box *box = luaL_checkudata(L, 1, TYPE_LAB);
    luaL_argcheck(L, box->open, 1, "the lab is closed");
    return &box->lab;
}

/* The strings of the list at index, NULL-ended; the table keeps them alive. A userdata
 * with the pointers is pushed. */
static const char **check_words(lua_State *L, int index, const char *what)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_Integer count = luaL_len(L, index);
    if (count < 1 || count > WORDS_MAX)
        vm_fail(L, ERROR_CONFIG, "%s: 1 to %d of them", what, WORDS_MAX);
    const char **words = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof(*words), 0);
    for (lua_Integer i = 0; i < count; i++) {
        if (lua_rawgeti(L, index, i + 1) != LUA_TSTRING)
            vm_fail(L, ERROR_CONFIG, "%s: only strings", what);
        words[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    words[count] = NULL;
    return words;
}

static bool field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

static void open_uplink(lua_State *L, struct lab *lab)
{
    char parent[PATH_MAX - 16], directory[PATH_MAX];
    struct error err;
    run_directory_parent(parent, sizeof(parent));
    snprintf(directory, sizeof(directory), "%s/lab-uplink", parent);
    if (lab_uplink(lab, directory, &err))
        vm_raise_here(L, &err);
}

static int lab_lua_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct sandbox_options options = {
        .user = field(L, 1, "unprivileged") || geteuid() != 0,
        .as_root = field(L, 1, "as_root"),
    };
    if (vm_of(L)->engine)
        return vm_fail(L, ERROR_CONFIG, "lab.new comes too late: the engine is there");
    lua_getfield(L, 1, "hosts");
    const char **names = check_words(L, lua_gettop(L), "lab.new: hosts");
    struct lab_box *box = lua_newuserdatauv(L, sizeof(*box), 0);
    box->open = false;
    luaL_setmetatable(L, TYPE_LAB);
    struct error err;
    if (lab_new(&box->lab, names, &options, &err))
        return vm_raise_here(L, &err);
    box->open = true;
    if (field(L, 1, "uplink"))
        open_uplink(L, &box->lab);
    return 1;
}

static int lab_close(lua_State *L)
{
    struct lab_box *box = luaL_checkudata(L, 1, TYPE_LAB);
    if (box->open)
        lab_free(&box->lab);
    box->open = false;
    return 0;
}

static int lab_hosts(lua_State *L)
{
    const struct lab *lab = check_lab(L);
    lua_newtable(L);
    for (int i = 0; i < lab->count; i++) {
        lua_newtable(L);
        lua_pushstring(L, lab->hosts[i].name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, lab->hosts[i].ipv4);
        lua_setfield(L, -2, "ipv4");
        lua_pushstring(L, lab->hosts[i].ipv6);
        lua_setfield(L, -2, "ipv6");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int check_host(lua_State *L, const struct lab *lab, int index)
{
    struct error err;
    int host = lab_find(lab, luaL_checkstring(L, index), &err);
    return host < 0 ? vm_raise_here(L, &err) : host;
}

/* The field `environment` of the options at index 4 as "NAME=VALUE", NULL-ended; tables
 * on the stack keep them. */
static char **environment(lua_State *L)
{
    lua_Integer count = 0;
    lua_newtable(L);
    int list = lua_gettop(L);
    if (lua_getfield(L, 4, "environment") == LUA_TTABLE)
        for (lua_pushnil(L); lua_next(L, list + 1); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING)
                vm_fail(L, ERROR_CONFIG, "environment: names are strings");
            const char *value = luaL_tolstring(L, -1, NULL);
            lua_pushfstring(L, "%s=%s", lua_tostring(L, -3), value);
            lua_rawseti(L, list, ++count);
            lua_pop(L, 1);
        }
    lua_pop(L, 1);
    if (!count)
        return NULL;
    return (char **)check_words(L, list, "environment");
}

static int lab_spawn(lua_State *L)
{
    struct lab *lab = check_lab(L);
    struct sandbox_file files[] = {
        { "/etc/hosts", lab->hosts_file },
        { lab->resolv_file ? "/etc/resolv.conf" : NULL, lab->resolv_file },
        { NULL },
    };
    struct sandbox_command command = { .network = check_host(L, lab, 2),
                                       .output = -1,
                                       .files = files };
    lua_settop(L, 4);
    if (lua_isnil(L, 4)) {
        lua_newtable(L);
        lua_replace(L, 4);
    }
    luaL_checktype(L, 4, LUA_TTABLE);
    command.argv = (char *const *)check_words(L, 3, "spawn: argv");
    command.environment = environment(L);
    command.background = field(L, 4, "background");
    lua_getfield(L, 4, "output");
    luaL_Stream *stream = luaL_testudata(L, -1, LUA_FILEHANDLE);
    if (stream && stream->f) {
        command.output = fileno(stream->f);
        fcntl(command.output, F_SETFD,
              FD_CLOEXEC); /* io.open does not; others need none */
    }
    struct process *process = lua_newuserdatauv(L, sizeof(*process), 1);
    *process = (struct process){ .box = lua_touserdata(L, 1),
                                 .foreground = tcgetpgrp(STDIN_FILENO) };
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    if (process->foreground != getpgrp())
        process->foreground = -1;
    luaL_setmetatable(L, TYPE_PROCESS);
    struct error err;
    pid_t pid = sandbox_spawn(lab->sandbox, &command, &err);
    if (pid > 0) {
        process->pid = pid;
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, err.text);
    lua_pushinteger(L, pid == -ENOENT ? 127 : 126);
    return 3;
}

/* What is read is of the namespace of the thread that opens it. */
static int lab_read(lua_State *L)
{
    const struct lab *lab = check_lab(L);
    int host = check_host(L, lab, 2);
    const char *path = luaL_checkstring(L, 3);
    luaL_Buffer buffer;
    struct error err;
    luaL_buffinit(L, &buffer);
    if (sandbox_enter(lab->sandbox, host, &err))
        return vm_raise_here(L, &err);
    FILE *file = fopen(path, "re");
    size_t n = file ? 1 : 0;
    while (n)
        luaL_addsize(&buffer,
                     n = fread(luaL_prepbuffer(&buffer), 1, LUAL_BUFFERSIZE, file));
    if (file)
        fclose(file);
    if (sandbox_enter(lab->sandbox, SANDBOX_MIDDLE, &err))
        return vm_raise_here(L, &err);
    luaL_pushresult(&buffer);
    if (!file)
        lua_pushnil(L);
    return 1;
}

/* Pushes a table with the names in a folder as keys. */
static void push_names(lua_State *L, const char *path)
{
    DIR *folder = opendir(path);
    lua_newtable(L);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, entry->d_name);
    }
    if (folder)
        closedir(folder);
}

static int lab_clean(lua_State *L)
{
    char parent[PATH_MAX];
    struct error err = { 0 };
    run_directory_parent(parent, sizeof(parent));
    lua_settop(L, 0);
    push_names(L, parent);
    int result = journal_sweep(parent, &err);
    push_names(L, parent);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        const char *name = lua_tostring(L, -2);
        if (lua_getfield(L, 2, name) == LUA_TNIL) {
            lua_pushstring(L, name);
            lua_rawseti(L, 3, (lua_Integer)lua_rawlen(L, 3) + 1);
        }
        lua_pop(L, 1);
    }
    if (result >= 0)
        return 1;
    lua_pushstring(L, err.text);
    return 2;
}

static void type(lua_State *L, const char *name, const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void open_lab(lua_State *L)
{
    static const luaL_Reg lab_methods[] = {
        { "close", lab_close }, { "hosts", lab_hosts }, { "read", lab_read },
        { "spawn", lab_spawn }, { "__gc", lab_close },  { NULL, NULL },
    };
    static const luaL_Reg process_methods[] = {
        { "attend", process_attend },
        { "kill", process_kill },
        { "status", process_status },
        { "wait", process_wait },
        { NULL, NULL },
    };
    static const luaL_Reg functions[] = { { "clean", lab_clean },
                                          { "new", lab_lua_new },
                                          { NULL, NULL } };
    type(L, TYPE_LAB, lab_methods);
    type(L, TYPE_PROCESS, process_methods);
    luaL_newlib(L, functions);
    lua_setglobal(L, "lab");
}
