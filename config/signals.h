/* signals: SIGINT and SIGTERM end the engine, SIGHUP asks for a reload.
 *
 *   signals_catch     from now on, for this engine and this Lua state
 *   signals_forward   from now on for another process, which we attend to
 *   signals_forget    as it was before
 *   signals_reload    has a reload been asked for? Once per request.
 *   signals_stopped   the signal that asked for the end, or 0
 *
 * A signal that comes from the terminal has reached a process that we attend to already, it
 * being in our process group; what others send us is passed on. The engine goes on.
 *
 * A second SIGINT or SIGTERM ends the process at once with 128 + its number. SIGPIPE is
 * ignored. Lua that does not come to an end of its own within a second or so of computing
 * after the first is interrupted by an error.
 */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct engine;
struct lua_State;

void signals_catch(struct engine *engine, struct lua_State *L);
void signals_forward(pid_t pid); /* 0: for us again */
void signals_forget(void);
bool signals_reload(void);
int signals_stopped(void);
