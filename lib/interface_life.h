/* interface_life: a network interface that goes down, goes away, and comes back.
 *
 *   life_open      watch the interface of a name
 *   life_fd        the descriptor to poll for POLLIN
 *   life_next      what has happened: call until it returns LIFE_NOTHING
 *   life_opened    the caller has the interface open now
 *   life_failed    ... could not open it
 *   life_lost      ... has it open no more, for another reason than those told
 *   life_wake_at   when life_next wants to be called at the latest
 *   life_close
 *   life_state_name, life_news    state and events in words
 *
 *                 LIFE_WENT_DOWN
 *            UP ------------------> DOWN          A state is what the caller was told,
 *             ^ <------------------ |             not what may be true by now.
 *             |   LIFE_WENT_UP      |
 *             |                     |  LIFE_WENT_AWAY
 *             |     life_opened     v
 *             +------------------- GONE   LIFE_TRY_OPEN: at once when one of that name
 *                (or to DOWN)             appears, after life_failed again in 10 ms,
 *                                         20 ms ... 1 s
 *
 * Nothing here opens or closes anything but the watch: what an open interface is, is the
 * caller's business. An interface is followed by its index, so that it may be renamed;
 * one that is gone (deleted, or moved to another network namespace) is looked for by
 * name.
 *
 * Nothing that matters is lost: an interface that went down and up again between two
 * calls went down and up, and one that was deleted and made again went away. One that goes
 * away while up goes down first.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/interface.h"

struct error;
struct link_watch;

#define LIFE_NEVER UINT64_MAX

enum life_state { LIFE_UP, LIFE_DOWN, LIFE_GONE };

enum life_event {
    LIFE_NOTHING,
    LIFE_WENT_UP,
    LIFE_WENT_DOWN,
    LIFE_WENT_AWAY, /* close everything */
    LIFE_TRY_OPEN,  /* open it, then call life_opened or life_failed; with neither of them
                       this comes again when another interface of that name appears */
    LIFE_NEW_MTU,   /* life->mtu; may be one that the caller has seen already */
};

/* Read state and mtu as you like; the rest is for interface_life.c. */
struct interface_life {
    enum life_state state;
    unsigned mtu; /* bytes; 0: not known yet */
    unsigned index;
    char name[INTERFACE_NAME_SIZE];
    struct link_watch *watch;
    /* what the watch has told and the caller not heard yet */
    bool went_down, up, gone, new_mtu;
    unsigned named_mtu;     /* of the latest interface of that name */
    uint64_t try_at, delay; /* ns; while gone */
};

/* Before the interface is opened, so that nothing is missed. The state is LIFE_GONE until
 * life_opened: who does not need the interface to start gets LIFE_TRY_OPEN when it is
 * there. -ENAMETOOLONG, ERROR_CONFIG, for what cannot be a name. */
int life_open(struct interface_life *life, const char *ifname, struct error *err);
int life_fd(const struct interface_life *life);

/* May follow life_open that failed, or none on a struct of zeros. */
void life_close(struct interface_life *life);

/* index and up (IFF_UP) as interface_query gave them before the caller opened it. */
void life_opened(struct interface_life *life, unsigned index, bool up);
void life_failed(struct interface_life *life, uint64_t now);

/* LIFE_TRY_OPEN is next, if one of that name is there. */
void life_lost(struct interface_life *life);

/* now: ns, of any clock that does not go back. */
enum life_event life_next(struct interface_life *life, uint64_t now);

/* LIFE_NEVER when only the descriptor matters. */
uint64_t life_wake_at(const struct interface_life *life);

/* "up", "down", "gone" */
const char *life_state_name(const struct interface_life *life);

/* What follows the interface's name when a person is told: "is up", "went down", "is gone";
 * NULL for events that are no news. */
const char *life_news(enum life_event event);
