/* settings: what CONFIG_DB says that decides which neighbours are wanted, and its changes. */
#include "apps/neigh_sync/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/app.h"
#include "lib/table.h"

#define WINDOW 16384         /* questions: an interface each */
#define ASK    5000000000ull /* ns between two times, where it tells of no changes */

/* Ports are asked about by the prefix of their name. */
static const struct {
    const char *prefix, *table;
} tables[] = {
    { "Vlan", "VLAN_INTERFACE" },
    { "PortChannel", "PORTCHANNEL_INTERFACE" },
    { "Ethernet", "INTERFACE" },
};
#define TABLES (sizeof(tables) / sizeof(*tables))

enum question { DUAL_TOR, EVPN, INTERFACES };

static const char *const rows[] = { "PEER_SWITCH", "VXLAN_EVPN_NVO" };

static void ask(struct settings *settings, const struct redis_request *request, int argc,
                const char *const *argv)
{
    if (redis_send(settings->reads, request, argc, argv, NULL))
        settings->questions++;
}

/* --- answers --------------------------------------------------------------------------------- */

static void set(struct settings *settings, bool *flag, bool value)
{
    settings->changed |= *flag != value;
    *flag = value;
}

/* One answer less to wait for; the last one makes all known. */
static void answered(struct settings *settings, const redisReply *reply)
{
    settings->questions--;
    if (!settings->questions && reply && settings->subscribed)
        settings->known = true;
}

static void take_link_local(const struct redis_request *request, const redisReply *reply)
{
    struct settings *settings = request->user;
    struct mirror_port *port = request->object;
    const char *text = redis_text(reply);
    if (reply && !redis_is_error(reply, NULL))
        set(settings, &port->link_local, text && !strcmp(text, "enable"));
    port->pins--;
    mirror_port_forget(settings->mirror, port);
    answered(settings, reply);
}

static void ask_interface(struct settings *settings, const char *table, const char *name)
{
    struct mirror_port *port = mirror_port(settings->mirror, name);
    struct redis_request request = { .answer = take_link_local,
                                     .user = settings,
                                     .object = port };
    char key[96];
    uint32_t before = settings->questions;
    if (!port)
        return;
    snprintf(key, sizeof(key), "%s%c%s", table, settings->separator, name);
    port->pins++;
    ask(settings, &request, 3,
        (const char *const[]){ "HGET", key, "ipv6_use_link_local_only" });
    if (before == settings->questions) { /* no room: after the next connection */
        port->pins--;
        mirror_port_forget(settings->mirror, port);
    }
}

/* The interface of a key such as INTERFACE|Ethernet0, if its name is of that table; keys of its
 * addresses have one more part. */
static void consider(struct settings *settings, const char *key)
{
    for (unsigned i = 0; i < TABLES; i++) {
        size_t length = strlen(tables[i].table);
        const char *name = key + length + 1;
        if (strncmp(key, tables[i].table, length) || key[length] != settings->separator)
            continue;
        if (!strncmp(name, tables[i].prefix, strlen(tables[i].prefix)) &&
            strlen(name) < INTERFACE_NAME_SIZE && !strchr(name, settings->separator))
            ask_interface(settings, tables[i].table, name);
    }
}

static void take_keys(const struct redis_request *request, const redisReply *reply)
{
    struct settings *settings = request->user;
    bool list = reply && reply->type == REDIS_REPLY_ARRAY;
    bool some = list && reply->elements;
    if (some && request->number == DUAL_TOR && settings->deny_dual_tor &&
        !settings->mode->dual_tor)
        app_log(settings->app, "dual_tor is off, but CONFIG_DB has a PEER_SWITCH row");
    if (list && request->number == DUAL_TOR)
        set(settings, &settings->mode->dual_tor, some || settings->force_dual_tor);
    if (list && request->number == EVPN)
        set(settings, &settings->mode->evpn, some);
    if (list && request->number == INTERFACES)
        for (size_t i = 0; i < reply->elements; i++)
            if (redis_text(reply->element[i]))
                consider(settings, redis_text(reply->element[i]));
    answered(settings, reply);
}

/* Interfaces whose row was deleted meanwhile are in no list of keys. */
static void ask_known_interfaces(struct settings *settings)
{
    struct mirror_port *port = NULL;
    while ((port = table_next(settings->mirror->ports, port)))
        for (unsigned i = 0; port->link_local && i < TABLES; i++)
            if (!strncmp(port->name, tables[i].prefix, strlen(tables[i].prefix)))
                ask_interface(settings, tables[i].table, port->name);
}

static void ask_keys(struct settings *settings, const char *table, enum question question)
{
    const struct redis_request request = { .answer = take_keys,
                                           .user = settings,
                                           .number = question };
    char pattern[64];
    snprintf(pattern, sizeof(pattern), "%s%c*", table, settings->separator);
    ask(settings, &request, 2, (const char *const[]){ "KEYS", pattern });
}

static void take_notify(const struct redis_request *request, const redisReply *reply)
{
    struct settings *settings = request->user;
    const char *events = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
                             ? redis_text(reply->element[1])
                             : NULL;
    bool told = events && strchr(events, 'K') &&
                (strchr(events, 'A') || (strchr(events, 'h') && strchr(events, 'g')));
    if (reply && !told && !settings->quiet)
        app_log(settings->app,
                "CONFIG_DB tells of no changes (notify-keyspace-events is \"%s\", not "
                "\"AKE\"): it is read every %llu s",
                events ? events : "?", ASK / 1000000000);
    if (reply && !told)
        settings->next = settings->now + ASK;
    if (reply)
        settings->quiet = !told;
    answered(settings, reply);
}

static void ask_everything(struct settings *settings)
{
    const struct redis_request notify = { .answer = take_notify, .user = settings };
    if (!settings->subscribed || !redis_ready(settings->reads))
        return;
    ask(settings, &notify, 3,
        (const char *const[]){ "CONFIG", "GET", "notify-keyspace-events" });
    ask_keys(settings, rows[DUAL_TOR], DUAL_TOR);
    ask_keys(settings, rows[EVPN], EVPN);
    ask_known_interfaces(settings);
    for (unsigned i = 0; i < TABLES; i++)
        ask_keys(settings, tables[i].table, INTERFACES);
}

/* --- what it is told ------------------------------------------------------------------------- */

/* pmessage, pattern, __keyspace@4__:KEY, event */
static void take_message(void *user, const redisReply *reply)
{
    struct settings *settings = user;
    const char *channel = reply->elements == 4 ? redis_text(reply->element[2]) : NULL;
    const char *key = channel ? strchr(channel, ':') : NULL;
    if (!key)
        return;
    key++;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (!strncmp(key, rows[i], strlen(rows[i])) &&
            key[strlen(rows[i])] == settings->separator)
            ask_keys(settings, rows[i], (enum question)i);
    consider(settings, key);
}

static void take_subscription(const struct redis_request *request,
                              const redisReply *reply)
{
    struct settings *settings = request->user;
    settings->subscribed = reply && reply->type == REDIS_REPLY_ARRAY;
    if (settings->subscribed && request->number)
        ask_everything(settings);
}

static void subscribe(struct settings *settings, const char *table, bool last)
{
    const struct redis_request request = { .answer = take_subscription,
                                           .user = settings,
                                           .number = last };
    char pattern[96];
    snprintf(pattern, sizeof(pattern), "__keyspace@%d__:%s%c*", settings->database, table,
             settings->separator);
    redis_send(settings->hears, &request, 2,
               (const char *const[]){ "PSUBSCRIBE", pattern }, NULL);
}

static void hears_ready(void *user)
{
    struct settings *settings = user;
    subscribe(settings, rows[DUAL_TOR], false);
    subscribe(settings, rows[EVPN], false);
    for (unsigned i = 0; i < TABLES; i++)
        subscribe(settings, tables[i].table, i == TABLES - 1);
}

static void hears_lost(void *user)
{
    struct settings *settings = user;
    settings->subscribed = false;
}

static void reads_ready(void *user)
{
    ask_everything(user);
}

/* --- public ---------------------------------------------------------------------------------- */

int settings_open(struct settings *settings, const struct redis_place *place,
                  uint64_t timeout)
{
    const struct redis_handlers reads = { .ready = reads_ready, .user = settings };
    const struct redis_handlers hears = { .ready = hears_ready,
                                          .lost = hears_lost,
                                          .message = take_message,
                                          .user = settings };
    settings->database = place->database;
    settings->reads = redis_open(place, &reads, WINDOW, timeout, settings->app);
    settings->hears = redis_open(place, &hears, 16, timeout, settings->app);
    return settings->reads && settings->hears ? 0 : -ENOMEM;
}

void settings_close(struct settings *settings)
{
    redis_close(settings->reads);
    redis_close(settings->hears);
    settings->reads = settings->hears = NULL;
}

void settings_serve(struct settings *settings, uint64_t now)
{
    settings->now = now;
    redis_serve(settings->hears, now);
    redis_serve(settings->reads, now);
    if (!settings->quiet || now < settings->next)
        return;
    settings->next = now + ASK;
    if (!settings->questions)
        ask_everything(settings);
    redis_serve(settings->reads, now);
}

uint64_t settings_due(const struct settings *settings)
{
    uint64_t reads = redis_due(settings->reads), hears = redis_due(settings->hears);
    uint64_t next = settings->quiet ? settings->next : UINT64_MAX;
    uint64_t due = reads < hears ? reads : hears;
    return due < next ? due : next;
}
