/* decide: what a neighbour of the kernel's means for SONiC's table. */
#include "apps/neigh_sync/decide.h"

#include <linux/neighbour.h>
#include <string.h>
#include <sys/socket.h>

static bool unresolved(const struct neighbour *n)
{
    return n->state == NUD_INCOMPLETE || n->state == NUD_FAILED;
}

/* Addresses that never are in the table, deleted or not. */
static enum reason unwanted(const struct neighbour *n, const struct decide_mode *mode,
                            bool link_local)
{
    const uint8_t *a = n->address;
    bool ipv4 = n->family == AF_INET;
    if (ipv4 ? !mode->ipv4 : !mode->ipv6)
        return REASON_FAMILY;
    if (ipv4 && mode->dual_tor && a[0] == 169 && a[1] == 254)
        return REASON_LINK_LOCAL4;
    /* A deletion passes: it is how intfmgrd takes rows out when the mode goes off. */
    if (!ipv4 && !link_local && !n->deleted && a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
        return REASON_LINK_LOCAL6;
    if (!ipv4 && a[0] == 0xff && a[1] == 2)
        return REASON_MULTICAST;
    return REASON_NONE;
}

static enum failed_row failed_row(const struct neighbour *n,
                                  const struct decide_mode *mode)
{
    const unsigned valid =
        NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
    if (!mode->dual_tor || n->family != AF_INET6)
        return FAILED_KEEP;
    if (n->deleted || n->state & valid)
        return FAILED_DELETE;
    return n->state == NUD_FAILED ? FAILED_SET : FAILED_KEEP;
}

static bool deletes(const struct neighbour *n, const struct decide_mode *mode)
{
    return n->deleted || unresolved(n) ||
           (mode->evpn && n->state == NUD_NOARP && !(n->flags & NTF_EXT_LEARNED));
}

/* Is its MAC address one for the table? */
static enum reason unusable(const struct neighbour *n)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    if (!n->mac_length)
        return REASON_NO_MAC;
    if (n->mac_length != sizeof(n->mac))
        return REASON_MAC_SIZE;
    return memcmp(n->mac, broadcast, sizeof(broadcast)) ? REASON_NONE : REASON_BROADCAST;
}

struct decision decide(const struct neighbour *n, const struct decide_mode *mode,
                       bool link_local)
{
    struct decision d = { .verdict = VERDICT_INELIGIBLE,
                          .reason = unwanted(n, mode, link_local) };
    if (d.reason)
        return d;
    d.failed = failed_row(n, mode);
    if (mode->evpn && !n->deleted && n->state == NUD_PROBE) {
        d.verdict = VERDICT_IGNORE;
        d.reason = REASON_PROBE;
    } else if (!mode->evpn && n->state == NUD_NOARP && !(n->flags & NTF_EXT_LEARNED)) {
        d.reason = REASON_NOARP;
    } else if (mode->dual_tor && !n->deleted && unresolved(n)) {
        d.verdict = VERDICT_SET;
    } else if (deletes(n, mode)) {
        d.verdict = VERDICT_DELETE;
    } else if (!(d.reason = unusable(n))) {
        d.verdict = VERDICT_SET;
        memcpy(d.mac, n->mac, sizeof(d.mac));
    } else if (d.reason == REASON_MAC_SIZE) {
        d.verdict = VERDICT_IGNORE;
    }
    return d;
}
