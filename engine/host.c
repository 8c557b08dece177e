/* host: an engine inside a program that waits in an event loop of its own.
 *
 *     the host's poll/epoll/libuv
 *        |
 *     engine_fd: an epoll set
 *        +-- the wake-up           engine_wake, engine_stop, packets from other cores
 *        +-- a timerfd             the next timer; long past when there is work at once
 *        +-- a set of its own      app_poll: what apps wait for
 *
 * Every breath leaves the set as the next one wants it. While packets flow the timerfd
 * stays expired, so that such a breath makes no system call here. The wake-up is emptied
 * only on the way into a sleep, and one found there puts the sleep off by a breath: what a
 * waker did before it called engine_wake is always seen by a breath. When apps leave what
 * they wait for where it is, because they cannot take it, their set is left out for a
 * moment: as in engine/pace.c, to ask again at once would be spinning.
 */
#include "engine/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define AT_ONCE 1 /* ns: long ago */

struct host {
    int fd, timer_fd, apps_fd;
    bool awakened;         /* what apps wait for was there, and nothing was done */
    bool deaf;             /* apps_fd is left out */
    uint64_t armed;        /* when timer_fd is readable: a time, AT_ONCE, TIMER_NEVER */
    uint64_t asleep_since; /* 0: a breath is due at once */
};

static void arm(struct host *host, uint64_t time)
{
    struct itimerspec at = { 0 }; /* disarms */
    if (time == host->armed)
        return;
    if (time != TIMER_NEVER) {
        at.it_value.tv_sec = (time_t)(time / 1000000000);
        at.it_value.tv_nsec = (long)(time % 1000000000);
    }
    timerfd_settime(host->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    host->armed = time;
}

static int watch(int set, int fd, short events)
{
    /* poll(2) and epoll_ctl(2) have the same bits */
    struct epoll_event event = { .events = (uint16_t)events };
    if (!epoll_ctl(set, EPOLL_CTL_MOD, fd, &event))
        return 0;
    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int host_poll(struct host *host, int fd, short events)
{
    return watch(host->apps_fd, fd, events);
}

/* One that is closed already has left the set. */
void host_unpoll(struct host *host, int fd)
{
    epoll_ctl(host->apps_fd, EPOLL_CTL_DEL, fd, NULL);
}

void host_free(struct host *host)
{
    if (!host)
        return;
    const int fds[] = { host->fd, host->timer_fd, host->apps_fd };
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(host);
}

static int host_new(struct host **out, struct engine *engine, struct error *err)
{
    struct host *host = calloc(1, sizeof(*host));
    host->armed = TIMER_NEVER;
    host->fd = epoll_create1(EPOLL_CLOEXEC);
    host->apps_fd = epoll_create1(EPOLL_CLOEXEC);
    host->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int error = host->fd < 0 || host->apps_fd < 0 || host->timer_fd < 0 ? -errno : 0;
    if (!error)
        error = watch(host->fd, host->timer_fd, POLLIN);
    if (!error)
        error = watch(host->fd, host->apps_fd, POLLIN);
    if (!error)
        error = watch(host->fd, engine->wake_fd, POLLIN);
    for (uint32_t i = 1; i < engine->npolls && !error; i++)
        error = host_poll(host, engine->polls[i].fd, engine->polls[i].events);
    if (error) {
        host_free(host);
        errno = -error;
        return error_system(err, ERROR_RUN, "a descriptor for the host's event loop");
    }
    *out = host;
    return 0;
}

int engine_fd(struct engine *engine, struct error *err)
{
    if (engine->host)
        return engine->host->fd;
    if (engine->options.virtual_time)
        return error_set(err, ERROR_RUN, ENOTSUP,
                         "on virtual time there is nothing to wait for");
    int error = host_new(&engine->host, engine, err);
    if (error)
        return error;
    arm(engine->host, AT_ONCE);
    workers_go(engine);
    return engine->host->fd;
}

void host_breath_begin(struct engine *engine)
{
    struct host *host = engine->host;
    if (!host->asleep_since)
        return;
    engine_sleep_end(engine);
    engine->counter[ENGINE_SLEEPS]++;
    engine->counter[ENGINE_SLEPT_NS] += engine_clock(engine) - host->asleep_since;
    host->asleep_since = 0;
}

static bool may_sleep(struct engine *engine)
{
    if (engine->worked || engine->options.pace == PACE_BUSY)
        return false;
    if (!engine_sleep_begin(engine))
        return false;
    if (engine_take_wake(engine)) {
        engine_sleep_end(engine);
        return false;
    }
    return true;
}

static void listen_to_apps(struct host *host, bool listen)
{
    if (host->deaf != listen)
        return;
    watch(host->fd, host->apps_fd, listen ? POLLIN : 0);
    host->deaf = !listen;
}

/* Twice in a row the apps had something and did nothing: once may be what just came. */
static bool was_futile(struct host *host)
{
    struct epoll_event event;
    bool before = host->awakened;
    host->awakened = epoll_wait(host->apps_fd, &event, 1, 0) == 1;
    return host->awakened && before;
}

void host_breath_end(struct engine *engine)
{
    struct host *host = engine->host;
    if (!may_sleep(engine)) {
        host->awakened = false;
        arm(host, AT_ONCE);
        return;
    }
    bool futile = was_futile(host);
    listen_to_apps(host, !futile);
    host->asleep_since = engine_clock(engine);
    arm(host, pace_idle_until(engine, futile));
}

/* Something that the last breath did not know of, at which it may have to look. */
void host_changed(struct engine *engine)
{
    if (engine->host && engine->host->asleep_since)
        engine_wake(engine);
}
