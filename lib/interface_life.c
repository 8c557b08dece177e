/* interface_life: a network interface that goes down, goes away, and comes back. */
#include "lib/interface_life.h"

#include <errno.h>
#include <string.h>

#include "lib/error.h"
#include "lib/link_watch.h"

#define RETRY_FIRST 10000000 /* ns; doubled each time */
#define RETRY_LAST  1000000000

int life_open(struct interface_life *life, const char *ifname, struct error *err)
{
    *life = (struct interface_life){ .state = LIFE_GONE,
                                     .try_at = LIFE_NEVER,
                                     .delay = RETRY_FIRST };
    if (strlen(ifname) >= sizeof(life->name))
        return error_set(err, ERROR_CONFIG, ENAMETOOLONG,
                         "\"%s\" is too long for the name of an interface", ifname);
    strcpy(life->name, ifname);
    life->watch = link_watch_open(err);
    return life->watch ? 0 : -EIO;
}

int life_fd(const struct interface_life *life)
{
    return link_watch_fd(life->watch);
}

void life_close(struct interface_life *life)
{
    link_watch_close(life->watch);
    life->watch = NULL;
}

void life_opened(struct interface_life *life, unsigned index, bool up)
{
    life->state = up ? LIFE_UP : LIFE_DOWN;
    life->index = index;
    life->mtu = life->named_mtu;
    life->up = up;
    life->went_down = life->gone = life->new_mtu = false;
    life->try_at = LIFE_NEVER;
    life->delay = RETRY_FIRST;
}

void life_failed(struct interface_life *life, uint64_t now)
{
    life->try_at = now + life->delay;
    life->delay = 2 * life->delay < RETRY_LAST ? 2 * life->delay : RETRY_LAST;
}

static void note_mtu(struct interface_life *life, unsigned mtu)
{
    life->new_mtu |= life->mtu && life->mtu != mtu;
    life->mtu = mtu;
}

/* Several events may come between two calls: what the caller is told is their sum. */
static void note(const struct link_event *event, void *user)
{
    struct interface_life *life = user;
    bool ours = life->state != LIFE_GONE && event->index == life->index;
    if (!event->deleted && !strcmp(event->name, life->name)) {
        life->named_mtu = event->mtu;
        if (life->state == LIFE_GONE)
            life->try_at = 0;
    }
    if (!ours || life->gone)
        return;
    life->went_down |= !event->up;
    life->up = event->up;
    life->gone = event->deleted;
    if (!event->deleted)
        note_mtu(life, event->mtu);
}

/* Another of that name may be there already: where the kernel dropped messages, the news
 * of it comes before that of this one's end. */
void life_lost(struct interface_life *life)
{
    life->state = LIFE_GONE;
    life->gone = life->went_down = life->new_mtu = false;
    life->try_at = 0;
    life->delay = RETRY_FIRST;
}

static enum life_event next_open(struct interface_life *life)
{
    if (life->state == LIFE_UP && life->went_down) {
        life->state = LIFE_DOWN;
        life->went_down = false;
        return LIFE_WENT_DOWN;
    }
    life->went_down = false;
    if (life->gone) {
        life_lost(life);
        return LIFE_WENT_AWAY;
    }
    if (life->state == LIFE_DOWN && life->up) {
        life->state = LIFE_UP;
        return LIFE_WENT_UP;
    }
    if (life->new_mtu) {
        life->new_mtu = false;
        return LIFE_NEW_MTU;
    }
    return LIFE_NOTHING;
}

static enum life_event next_gone(struct interface_life *life, uint64_t now)
{
    struct interface interface;
    if (now < life->try_at)
        return LIFE_NOTHING;
    life->try_at = LIFE_NEVER; /* the watch tells when one is there */
    return interface_query(life->name, &interface, NULL) ? LIFE_NOTHING : LIFE_TRY_OPEN;
}

enum life_event life_next(struct interface_life *life, uint64_t now)
{
    enum life_event event = life->state == LIFE_GONE ? LIFE_NOTHING : next_open(life);
    if (event)
        return event;
    /* A failure leaves the descriptor readable: the next call tries again. */
    link_watch_read(life->watch, note, life);
    return life->state == LIFE_GONE ? next_gone(life, now) : next_open(life);
}

uint64_t life_wake_at(const struct interface_life *life)
{
    return life->state == LIFE_GONE ? life->try_at : LIFE_NEVER;
}

const char *life_state_name(const struct interface_life *life)
{
    static const char *const names[] = {
        [LIFE_UP] = "up", [LIFE_DOWN] = "down", [LIFE_GONE] = "gone"
    };
    return names[life->state];
}

const char *life_news(enum life_event event)
{
    return event == LIFE_WENT_UP     ? "is up"
           : event == LIFE_WENT_DOWN ? "went down"
           : event == LIFE_WENT_AWAY ? "is gone"
                                     : NULL;
}
