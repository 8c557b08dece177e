/* internal: what the files of engine/ share.
 *
 *   engine_order                  in which order apps push
 *   links_*                       the links of a new graph
 *   engine_breathe_on, worker_*   the threads of further cores
 *   engine_sleep_begin, _end      around a sleep
 *   pace_*                        what to do between breaths, within engine_run
 *   host_*                        ... and when a host program does the waiting
 */
#pragma once
#include "engine/engine.h"

/* The order in which apps push: engine/order.c. Fills pulls, pushes, ticks of all cores. */
void engine_order(struct engine *first);

/* engine/relink.c: the links of a new graph, which has been checked and whose cores exist.
 * links_make returns them in the order of the graph, those there are already and new
 * ones; or NULL with a message. links_discard undoes that. links_commit puts them in the
 * place of the old ones, whose packets move; the apps are the new graph's already. */
struct link **links_make(struct engine *first, const struct graph *graph,
                         struct error *err);
void links_discard(struct engine *first, const struct graph *graph, struct link **links);
void links_commit(struct engine *first, const struct graph *graph, struct link **links);
void links_rename(struct link **links, const struct graph *graph);

/* Forgets what an app wanted to be woken for. */
void engine_forget_app(struct engine *engine, struct app *app);

/* Another engine of the same network. */
struct engine *engine_new_core(struct engine *first, uint32_t core, struct error *err);

/* Breathes and paces until `stopping`, which it leaves as it is. */
void engine_breathe_on(struct engine *engine, uint64_t until);

/* engine/worker.c: the threads of further cores, parked outside of engine_run. */
struct worker *worker_new(struct engine *engine, struct error *err);
void worker_free(struct worker *worker);
void workers_go(struct engine *first);
void workers_halt(struct engine *first);

/* Empties the wake-up; true when somebody had called engine_wake. */
bool engine_take_wake(struct engine *engine);

/* Around a sleep that packets from other cores are to end. False: do not sleep, there are
 * some. */
bool engine_sleep_begin(struct engine *engine);
void engine_sleep_end(struct engine *engine);

/* engine/poll.c: the descriptors that a sleeping engine waits for. */
void polls_init(struct engine *engine);
void polls_forget(struct engine *engine, const struct app *app);
void polls_serve(struct engine *engine);

/* engine/pace.c: what to do between breaths. */
struct pace *pace_new(struct engine *engine);
void pace_free(struct pace *pace);
void pace_wait(struct engine *engine, uint64_t until);

/* Until when a core may sleep that found nothing to do, unless it is woken. futile: what
 * apps wait for is there, and they cannot take it. */
uint64_t pace_idle_until(const struct engine *engine, bool futile);

/* engine/host.c: around a breath of the first core that a host asked for, and what apps
 * wait for. host_poll returns a negative errno for what cannot be waited for. */
void host_free(struct host *host);
void host_breath_begin(struct engine *engine);
void host_breath_end(struct engine *engine);
void host_changed(struct engine *engine);
int host_poll(struct host *host, int fd, short events);
void host_unpoll(struct host *host, int fd);
