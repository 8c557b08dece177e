/* signals: SIGINT and SIGTERM end the engine, SIGHUP asks for a reload.
 *
 *   signals_catch     from now on, for this engine
 *   signals_forget    as it was before
 *   signals_reload    has a reload been asked for? Once per request.
 *   signals_stopped   the signal that asked for the end, or 0
 *
 * A second SIGINT or SIGTERM ends the process at once with 128 + its number. SIGPIPE is
 * ignored.
 */
#pragma once
#include <stdbool.h>

struct engine;

void signals_catch(struct engine *engine);
void signals_forget(void);
bool signals_reload(void);
int signals_stopped(void);
