/* next_hop: where a packet for an address goes on one interface: its gateway and the MAC of that, as
 * the kernel has them.
 *
 *   next_hop_open         begin to mirror what the kernel knows
 *   next_hop_find         the gateway and MAC for an address
 *   next_hop_use          a neighbour is wanted: the kernel is to find out its MAC
 *   next_hop_fd           the descriptor to poll for POLLIN
 *   next_hop_read         take in what has changed, never block
 *   next_hop_due          when it must be read even if nothing came
 *   next_hop_generation   another number when an answer may be another one
 *   next_hop_mac          the interface's own
 *   next_hop_mtu
 *   next_hop_counts       what went well, and what not
 *   next_hop_close
 *
 * Frames always leave by this interface, so only routes out of it count: those of table main,
 * with the longest prefix, of these with the lowest metric; a longer one by way of another
 * interface does not. Of several equal ones the first is taken for everything. Policy rules
 * (ip-rule(8)) are not looked at.
 *
 * ARP and ND are the kernel's: its answers come as events, and it must get to see those on the
 * wire. So it is also what limits how many neighbours there are and how often who is asked; and for
 * a second or two after an interface came up it asks no IPv6 neighbour, until its own link-local
 * address is known to be nobody else's (DAD).
 *
 * The interface is one of a name: it may go, and come back as another. Addresses are 16 bytes in
 * the order of the wire, IPv4 mapped (lib/prefix.h).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/netlink_watch.h"

struct next_hop;

#define NEXT_HOP_ROWS 65536 /* neighbours, and routes: a sensible number of each */

enum next_hop_state {
    NEXT_HOP_KNOWN,
    NEXT_HOP_UNRESOLVED, /* nobody knows the gateway's MAC: next_hop_use */
    NEXT_HOP_NO_ROUTE, /* also to multicast and broadcast: no one host has such an address */
    NEXT_HOP_DOWN,     /* the interface is off, has no carrier, or is not there */
};

struct next_hop_answer {
    uint8_t mac[6]; /* when it is known */
    bool stale;     /* ... but was not confirmed for a while: next_hop_use */
    uint8_t
        gateway[16]; /* when there is a route: who has the MAC, be it the host itself */
};

struct next_hop_counts {
    uint64_t uses;      /* requests of next_hop_use */
    uint64_t refused;   /* ... that the kernel refused */
    uint64_t no_room;   /* neighbours and routes past `rows` */
    uint64_t malformed; /* messages */
    uint64_t lost; /* times that events are missing: everything is asked for once more */
    uint64_t rounds; /* times that everything was asked for */
};

/* Knows already what there is. rows: neighbours that are kept at most, and routes. NULL on error;
 * -ENODEV's text has the names that there are. Belongs to the network namespace of now. */
struct next_hop *next_hop_open(const char *ifname, uint32_t rows, struct error *err);
void next_hop_close(struct next_hop *hop); /* or NULL */

/* Level-triggered. */
int next_hop_fd(const struct next_hop *hop);

/* Reads so many datagrams at most. now: ns of any clock that does not go back. Returns whether
 * next_hop_generation changed, or -errno when the kernel tells nothing any more. */
int next_hop_read(struct next_hop *hop, uint64_t now, int most);

/* What it makes of one piece of news; for tests. hop: a struct next_hop. */
void next_hop_take(enum netlink_news news, const struct nlmsghdr *message, void *hop);

/* UINT64_MAX: not before the descriptor is readable. */
uint64_t next_hop_due(const struct next_hop *hop);

/* An answer of next_hop_find, next_hop_mac or next_hop_mtu is good for as long as this is the
 * same. */
uint64_t next_hop_generation(const struct next_hop *hop);

enum next_hop_state next_hop_find(struct next_hop *hop, const uint8_t address[16],
                                  struct next_hop_answer *answer);

/* What sending a packet to this gateway does to the kernel's entry: it asks for the MAC as often
 * as it would for packets of its own (three times in three seconds by default), or, when it is
 * stale, makes sure that it is still the same, and is stale no more. Nothing when there is nothing
 * to find out; else a system call, not to be repeated for a gateway more often than every second.
 * Needs CAP_NET_ADMIN. Returns 0 or -errno. */
int next_hop_use(struct next_hop *hop, const uint8_t gateway[16]);

const uint8_t *next_hop_mac(const struct next_hop *hop); /* zeros: none of 6 bytes */
unsigned next_hop_mtu(const struct next_hop *hop);       /* bytes of an IP packet */
const struct next_hop_counts *next_hop_counts(struct next_hop *hop);
