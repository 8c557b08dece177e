/* decide: what a neighbour of the kernel's means for SONiC's table. Pure: no state, no I/O.
 *
 *   decide   the fate of one event
 *
 * The rules and their order are those of SONiC's neighsyncd: several of them keep deletions
 * from the table as well. Where that one left a row behind (an entry that became something
 * that does not belong there), the verdict is VERDICT_INELIGIBLE: a row that is ours goes.
 * States are compared as a whole, not by bits, as there; the kernel sets one at a time.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/neighbour.h"

/* What the configuration database says that holds for all neighbours. */
struct decide_mode {
    bool dual_tor; /* two switches share the hosts below: unresolved ones are tunnelled */
    bool evpn;     /* an EVPN tunnel ends here: entries move between here and remote */
    bool ipv4, ipv6; /* families that are wanted */
};

enum verdict {
    VERDICT_SET,
    VERDICT_DELETE,     /* whoever wrote the row, and if there is none */
    VERDICT_INELIGIBLE, /* no business of the table's: only a row of ours is deleted */
    VERDICT_IGNORE,     /* leaves everything as it is */
};

/* Why a neighbour is not set. */
enum reason {
    REASON_NONE,
    REASON_FAMILY,      /* the parameters do not want it */
    REASON_LINK_LOCAL4, /* 169.254.0.0/16 in dual-ToR mode */
    REASON_LINK_LOCAL6, /* fe80::/10 where the interface's mode is off */
    REASON_MULTICAST,   /* ff02::/16 */
    REASON_PROBE,       /* EVPN: about to be known */
    REASON_NOARP,       /* resolved by nobody: loopback, multicast, point to point */
    REASON_NO_MAC,
    REASON_BROADCAST, /* the MAC of a directed broadcast */
    REASON_MAC_SIZE,  /* not Ethernet */
    REASONS,
};

/* NEIGH_FAILED_TABLE: IPv6 neighbours that somebody should solicit (dual ToR). */
enum failed_row { FAILED_KEEP, FAILED_SET, FAILED_DELETE };

struct decision {
    enum verdict verdict;
    enum reason reason;
    enum failed_row failed;
    uint8_t mac[6]; /* of VERDICT_SET; zeros stand for unresolved */
};

/* link_local: is IPv6 link-local wanted on the neighbour's interface? */
struct decision decide(const struct neighbour *neighbour, const struct decide_mode *mode,
                       bool link_local);
