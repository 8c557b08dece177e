/* poll: the descriptors that a sleeping engine waits for. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/internal.h"

void polls_init(struct engine *engine)
{
    engine->polls = calloc(1, sizeof(*engine->polls));
    engine->pollers = calloc(1, sizeof(*engine->pollers));
    engine->polls[0] = (struct pollfd){ engine->wake_fd, POLLIN, 0 };
    engine->npolls = 1;
}

/* 0: nobody waits for it. */
static uint32_t find(const struct engine *engine, int fd)
{
    for (uint32_t i = 1; i < engine->npolls; i++)
        if (engine->polls[i].fd == fd)
            return i;
    return 0;
}

/* 0, or what the host's set says to the descriptor. */
static int add(struct engine *engine, int fd, short events, struct poller poller)
{
    uint32_t i = find(engine, fd);
    if (!i) {
        i = engine->npolls++;
        engine->polls = realloc(engine->polls, engine->npolls * sizeof(*engine->polls));
        engine->pollers =
            realloc(engine->pollers, engine->npolls * sizeof(*engine->pollers));
    }
    engine->polls[i] = (struct pollfd){ fd, events, 0 };
    engine->pollers[i] = poller;
    return engine->host ? host_poll(engine->host, fd, events) : 0;
}

static void take_away(struct engine *engine, uint32_t i)
{
    if (engine->host)
        host_unpoll(engine->host, engine->polls[i].fd);
    engine->npolls--;
    engine->polls[i] = engine->polls[engine->npolls];
    engine->pollers[i] = engine->pollers[engine->npolls];
}

void app_poll(struct app *app, int fd, short events)
{
    int error = add(app->engine, fd, events, (struct poller){ .app = app });
    if (error)
        app_log(app, "cannot be woken by descriptor %d: %s", fd, strerror(-error));
}

void app_unpoll(struct app *app, int fd)
{
    engine_unwatch(app->engine, fd);
}

void engine_watch(struct engine *engine, int fd, short events, void (*ready)(void *user),
                  void *user)
{
    add(engine, fd, events, (struct poller){ .ready = ready, .user = user });
}

void engine_unwatch(struct engine *engine, int fd)
{
    uint32_t i = find(engine, fd);
    if (i)
        take_away(engine, i);
}

void polls_forget(struct engine *engine, const struct app *app)
{
    for (uint32_t i = engine->npolls; --i > 0;)
        if (engine->pollers[i].app == app)
            take_away(engine, i);
}

/* What is called may change the list: whoever it moves is asked in the next tick. */
void polls_serve(struct engine *engine)
{
    for (uint32_t i = 1; i < engine->npolls; i++)
        if (unlikely(engine->pollers[i].ready))
            engine->pollers[i].ready(engine->pollers[i].user);
}
