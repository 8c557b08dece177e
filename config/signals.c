/* signals: SIGINT and SIGTERM end the engine, SIGHUP asks for a reload. */
#include "config/signals.h"

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "engine/engine.h"

#define GRACE 100000000 /* instructions of Lua after a signal: about a second */

static struct engine *volatile caught;
static lua_State *volatile state;
static volatile sig_atomic_t stopped, reload;
static volatile pid_t attended;

static void interrupt(lua_State *L, lua_Debug *ar)
{
    luaL_where(L, 0); /* a hook is no level of its own */
    lua_pushliteral(L, "interrupted by a signal");
    lua_concat(L, 2);
    lua_error(L);
}

static void on_signal(int number)
{
    if (number == SIGHUP) {
        reload = 1;
    } else {
        if (stopped)
            _exit(128 + number);
        stopped = number;
        if (state) /* setting a hook is all that Lua permits here */
            lua_sethook(state, interrupt, LUA_MASKCOUNT, GRACE);
    }
    if (caught)
        engine_stop(caught);
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void signals_catch(struct engine *engine, lua_State *L)
{
    caught = engine;
    state = L;
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
    handle(SIGHUP, on_signal);
    handle(SIGPIPE, SIG_IGN);
}

static void on_signal_for_other(int number, siginfo_t *info, void *context)
{
    pid_t pid = attended;
    if (pid > 0 && info->si_code != SI_KERNEL)
        kill(pid, number);
}

void signals_forward(pid_t pid)
{
    static const int forwarded[] = { SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
                                     SIGUSR1, SIGUSR2, SIGWINCH };
    static const int ours[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_sigaction = on_signal_for_other,
                                .sa_flags = SA_RESTART | SA_SIGINFO };
    sigemptyset(&action.sa_mask);
    attended = pid;
    for (size_t i = 0; pid && i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
        sigaction(forwarded[i], &action, NULL);
    for (size_t i = 0; !pid && i < sizeof(ours) / sizeof(ours[0]); i++)
        handle(ours[i], on_signal);
}

void signals_forget(void)
{
    caught = NULL;
    handle(SIGHUP, SIG_DFL);
}

bool signals_reload(void)
{
    bool asked = reload;
    reload = 0;
    return asked;
}

int signals_stopped(void)
{
    return stopped;
}
