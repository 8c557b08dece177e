/* bind_screen: the terminal as a grid of characters, for programs that draw.
 *
 *   screen.open()                 take the terminal; an error when it cannot be drawn on
 *   screen.size()                 columns, rows
 *   screen.clear()
 *   screen.put(x, y, text, style) at column x of row y, both from 0; cut at the edge;
 *                                 style: nil, "bold", "reverse" or "dim"
 *   screen.refresh()              show it
 *   screen.key(seconds)           wait for a key: its character, "up", "down", "left",
 *                                 "right", "resize", or "end" when the program is to end
 *                                 (SIGINT, SIGTERM, SIGHUP, or no terminal any more); nil
 *                                 when the time is over
 *   screen.close()                give the terminal back; harmless when it is not open
 *
 * The terminal is given back whichever way the process ends, but for kill -9: signals
 * that would end it become the key "end" while the screen is open, and exit() closes it.
 */
#include "config/internal.h"

#include <errno.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const int ending_signals[] = { SIGINT, SIGTERM, SIGHUP };
#define ENDING_SIGNALS (sizeof(ending_signals) / sizeof(ending_signals[0]))

static SCREEN *terminal; /* NULL: not open */
static struct sigaction before[ENDING_SIGNALS];
static volatile sig_atomic_t ending;

static void on_signal(int signal)
{
    ending = signal;
}

static void close_terminal(void)
{
    if (!terminal)
        return;
    endwin();
    delscreen(terminal);
    terminal = NULL;
    for (size_t i = 0; i < ENDING_SIGNALS; i++)
        sigaction(ending_signals[i], &before[i], NULL);
}

/* ncurses leaves signals alone that somebody handles already: ours come first. */
static void catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    ending = 0;
    for (size_t i = 0; i < ENDING_SIGNALS; i++)
        sigaction(ending_signals[i], &action, &before[i]);
}

static int screen_open(lua_State *L)
{
    static bool registered;
    if (terminal)
        return 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return vm_fail(L, ERROR_RUN, "screen.open: stdin and stdout are no terminal");
    catch_signals();
    terminal = newterm(NULL, stdout, stdin);
    if (!terminal) {
        for (size_t i = 0; i < ENDING_SIGNALS; i++)
            sigaction(ending_signals[i], &before[i], NULL);
        const char *type = getenv("TERM");
        return vm_fail(L, ERROR_RUN,
                       "screen.open: cannot draw on a terminal of type "
                       "\"%s\" (see the variable TERM)",
                       type ? type : "");
    }
    if (!registered)
        atexit(close_terminal);
    registered = true;
    cbreak();
    noecho();
    nonl();
    curs_set(0);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    return 0;
}

static int screen_close(lua_State *L)
{
    close_terminal();
    return 0;
}

static void check_open(lua_State *L)
{
    if (!terminal)
        vm_fail(L, ERROR_RUN, "the screen is not open");
}

static int screen_size(lua_State *L)
{
    check_open(L);
    lua_pushinteger(L, getmaxx(stdscr));
    lua_pushinteger(L, getmaxy(stdscr));
    return 2;
}

static int screen_clear(lua_State *L)
{
    check_open(L);
    erase();
    return 0;
}

static int screen_refresh(lua_State *L)
{
    check_open(L);
    refresh();
    return 0;
}

static int screen_put(lua_State *L)
{
    static const char *const names[] = { "plain", "bold", "reverse", "dim", NULL };
    static const attr_t styles[] = { A_NORMAL, A_BOLD, A_REVERSE, A_DIM };
    check_open(L);
    lua_Integer x = luaL_checkinteger(L, 1), y = luaL_checkinteger(L, 2);
    size_t length;
    const char *text = luaL_checklstring(L, 3, &length);
    attr_t style = styles[luaL_checkoption(L, 4, "plain", names)];
    if (y < 0 || y >= getmaxy(stdscr) || x < 0)
        return 0;
    attron(style);
    for (size_t i = 0; i < length && x < getmaxx(stdscr); i++, x++)
        mvaddch((int)y, (int)x,
                text[i] >= ' ' && text[i] <= '~' ? (chtype)text[i] : (chtype)'?');
    attroff(style);
    return 0;
}

static const char *name_of_key(int key, char *character)
{
    switch (key) {
    case KEY_UP:
        return "up";
    case KEY_DOWN:
        return "down";
    case KEY_LEFT:
        return "left";
    case KEY_RIGHT:
        return "right";
    case KEY_RESIZE:
        return "resize";
    default:
        *character = (char)key;
        return key > 0 && key < 128 ? character : NULL;
    }
}

static uint64_t monotonic_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Waits for input until the time; false when the program is to end. Signals that end it
 * can only arrive inside ppoll, so that none is missed. */
static bool wait_input(uint64_t until)
{
    sigset_t block, was;
    sigemptyset(&block);
    for (size_t i = 0; i < ENDING_SIGNALS; i++)
        sigaddset(&block, ending_signals[i]);
    sigprocmask(SIG_BLOCK, &block, &was);
    uint64_t now = monotonic_ns(), left = until > now ? until - now : 0;
    struct timespec timeout = { (time_t)(left / 1000000000), (long)(left % 1000000000) };
    struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
    if (!ending)
        ppoll(&input, 1, &timeout, &was);
    sigprocmask(SIG_SETMASK, &was, NULL);
    return !ending && !(input.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static int screen_key(lua_State *L)
{
    check_open(L);
    uint64_t until = monotonic_ns() + check_duration(L, 1);
    do {
        char text[2] = "";
        int key = getch();
        const char *name = key == ERR ? NULL : name_of_key(key, text);
        if (name) {
            lua_pushstring(L, name);
            return 1;
        }
        if (key == ERR && !wait_input(until)) {
            lua_pushliteral(L, "end");
            return 1;
        }
    } while (monotonic_ns() < until);
    return 0;
}

void open_screen(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "open", screen_open }, { "close", screen_close },
        { "size", screen_size }, { "clear", screen_clear },
        { "put", screen_put },   { "refresh", screen_refresh },
        { "key", screen_key },   { NULL, NULL },
    };
    luaL_newlib(L, functions);
    lua_setglobal(L, "screen");
}
