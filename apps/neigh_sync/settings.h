/* settings: what CONFIG_DB says that decides which neighbours are wanted, and its changes.
 *
 *   settings_open    follow it
 *   settings_serve   take what came
 *   settings_due     when settings_serve must be called even if nothing came
 *   settings_close
 *
 *     PEER_SWITCH|*                         any row: dual ToR
 *     VXLAN_EVPN_NVO|*                      any row: EVPN
 *     INTERFACE|NAME, VLAN_INTERFACE|NAME, PORTCHANNEL_INTERFACE|NAME
 *                                           ipv6_use_link_local_only = enable: link-local too
 *
 * Two connections: one that is told of changes (keyspace notifications), one that reads. What
 * changed is read anew after it was told of, and everything once the subscription stands, so
 * nothing is missed. A server that does not send such notifications (notify-keyspace-events) is
 * asked for everything every few seconds. While Redis is away the last settings hold.
 */
#pragma once
#include "apps/neigh_sync/decide.h"
#include "apps/neigh_sync/mirror.h"
#include "apps/neigh_sync/redis.h"

struct settings {
    struct redis *reads, *hears;
    struct mirror *mirror; /* whose ports have link_local */
    struct app *app;
    struct decide_mode *mode;
    bool force_dual_tor; /* whatever CONFIG_DB says */
    bool deny_dual_tor;  /* a warning if CONFIG_DB says otherwise */
    char separator;
    int database;
    bool known;   /* all was read at least once */
    bool changed; /* since the user of this cleared it */
    bool subscribed;
    bool quiet;         /* Redis tells of no changes */
    uint64_t now, next; /* next: when it is asked then */
    uint32_t questions; /* without an answer */
};

/* mirror, app, mode, force_dual_tor, deny_dual_tor and separator are set by the caller. -ENOMEM. */
int settings_open(struct settings *settings, const struct redis_place *place,
                  uint64_t timeout);
void settings_close(struct settings *settings);
void settings_serve(struct settings *settings, uint64_t now);
uint64_t settings_due(const struct settings *settings);
