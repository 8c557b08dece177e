/* link_watch: what happens to the network interfaces of this network namespace.
 *
 *   link_watch_open   start watching
 *   link_watch_fd     the descriptor to poll for POLLIN
 *   link_watch_read   hand everything that is waiting to a callback, never block
 *   link_watch_close  stop watching
 *
 * The source is rtnetlink(7), group RTNLGRP_LINK. The watch belongs to the network
 * namespace in which it was opened, wherever the thread goes later. An interface that
 * moves to another namespace is deleted here. A rename is an event with the old index and
 * a new name; an interface that is deleted and made again has a new index.
 */
#pragma once

#include "lib/interface.h"

#include <stdbool.h>

struct error;
struct link_watch;

struct link_event {
    unsigned index;
    char name[INTERFACE_NAME_SIZE];
    bool deleted;  /* gone; up, running and lower_up are false then */
    bool up;       /* switched on: IFF_UP */
    bool running;  /* operational by RFC 2863: IFF_RUNNING */
    bool lower_up; /* the driver sees a carrier: IFF_LOWER_UP */
    unsigned mtu;  /* bytes */
};

/* NULL and a filled err when it fails. Needs no privilege. */
struct link_watch *link_watch_open(struct error *err);

/* Level-triggered: readable as long as there is something left to read. */
int link_watch_fd(const struct link_watch *watch);

/* Calls back once for each event that is waiting and returns how many those were, or a
 * negative errno. The first events after link_watch_open tell of every interface there
 * is. Events may repeat a known state. Messages that are not well-formed are ignored. The
 * callback must not close the watch.
 *
 * When the kernel had to drop messages (ENOBUFS) the state of all interfaces is asked for
 * again; the answer makes the descriptor readable, and interfaces missing in it are
 * reported as deleted. So no final state is missed, though states in between may be. */
int link_watch_read(struct link_watch *watch,
                    void (*callback)(const struct link_event *event, void *user),
                    void *user);

/* watch may be NULL. */
void link_watch_close(struct link_watch *watch);
