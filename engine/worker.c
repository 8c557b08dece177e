/* worker: the threads of further cores.
 *
 * A thread is made when a graph first names its core, pinned to it, and lives as long as
 * the engine. It breathes only while the first engine runs (or belongs to a host program:
 * engine_fd) and does not configure, and is parked otherwise: then the first engine's
 * thread may touch everything. Whoever parks it waits until the present breath is over, so
 * that a graph changes between breaths. Signals are for the first thread alone.
 */
#include "engine/internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum state { PARKED, BREATHING, ENDING };

struct worker {
    struct engine *engine;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum state state; /* under the lock */
};

static void set_state(struct worker *worker, enum state state)
{
    pthread_mutex_lock(&worker->lock);
    worker->state = state;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

/* Waits while the state is this one; returns the next. */
static enum state wait_while(struct worker *worker, enum state state)
{
    pthread_mutex_lock(&worker->lock);
    while (worker->state == state)
        pthread_cond_wait(&worker->changed, &worker->lock);
    state = worker->state;
    pthread_mutex_unlock(&worker->lock);
    return state;
}

static void *work(void *user)
{
    struct worker *worker = user;
    struct engine *engine = worker->engine;
    cores_pin(&engine->cores, engine->core);
    while (wait_while(worker, PARKED) == BREATHING) {
        engine_breathe_on(engine, TIMER_NEVER);
        packet_freelist_release();
        set_state(worker, PARKED);
    }
    return NULL;
}

struct worker *worker_new(struct engine *engine, struct error *err)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    sigset_t all, before;
    worker->engine = engine;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        return worker;
    errno = error;
    error_system(err, ERROR_RUN, "cannot make a thread for core %u", engine->core);
    free(worker);
    return NULL;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    set_state(worker, ENDING);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

/* The first thread is pinned as well, unless it is the only one and nobody asked for it, or
 * it is a host's. */
void workers_go(struct engine *first)
{
    if (!first->host && (first->nothers || first->cores.chosen))
        cores_pin(&first->cores, 0);
    for (uint32_t i = 0; i < first->nothers; i++) {
        struct engine *other = first->others[i];
        other->stopping = false;
        other->options.pace = first->options.pace;
        other->options.hz = first->options.hz;
        set_state(other->worker, BREATHING);
    }
    first->running = true;
}

void workers_halt(struct engine *first)
{
    for (uint32_t i = 0; i < first->nothers; i++) {
        first->others[i]->stopping = true;
        engine_wake(first->others[i]);
    }
    for (uint32_t i = 0; i < first->nothers; i++)
        wait_while(first->others[i]->worker, BREATHING);
    first->running = false;
}
