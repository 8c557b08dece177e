/* warm: what comes before the first neighbour: a cold start, or SONiC's warm restart. */
#include "apps/neigh_sync/warm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/app.h"

#define SECOND        1000000000ull
#define TIMER_DEFAULT 5 /* seconds */
#define TIMER_MAX     9999
#define KEY_SIZE      96

enum question { SYSTEM, SWSS, ALIAS, COUNT, TIMER, FLAG, NOTHING };

/* --- questions ------------------------------------------------------------------------------- */

static void take_answer(const struct redis_request *request, const redisReply *reply);

static void ask_with(struct warm *warm, struct redis *redis,
                     const struct redis_request *request, int argc,
                     const char *const *argv)
{
    if (redis_send(redis, request, argc, argv, NULL))
        warm->questions++;
    else
        warm->again = true;
}

static void ask(struct warm *warm, struct redis *redis, enum question question, int argc,
                const char *const *argv)
{
    const struct redis_request request = { .answer = take_answer,
                                           .user = warm,
                                           .number = question };
    ask_with(warm, redis, &request, argc, argv);
}

/* A field of a row in one of the databases whose separator is given. */
static void ask_field(struct warm *warm, struct redis *redis, char separator,
                      const char *table, const char *key, const char *field,
                      enum question question)
{
    char name[KEY_SIZE];
    snprintf(name, sizeof(name), "%s%c%s", table, separator, key);
    ask(warm, redis, question, 3, (const char *const[]){ "HGET", name, field });
}

static void write_field(struct warm *warm, const char *field, const char *value)
{
    char name[KEY_SIZE];
    snprintf(name, sizeof(name), "WARM_RESTART_TABLE%cneighsyncd", warm->state_separator);
    ask(warm, warm->state, NOTHING, 4,
        (const char *const[]){ "HSET", name, field, value });
}

static void take_timer(struct warm *warm, const char *text)
{
    char *end = NULL;
    long seconds = text ? strtol(text, &end, 10) : 0;
    bool good = text && end != text && !*end && seconds >= 1 && seconds <= TIMER_MAX;
    warm->seconds = good ? (uint64_t)seconds : TIMER_DEFAULT;
}

static void take_answer(const struct redis_request *request, const redisReply *reply)
{
    struct warm *warm = request->user;
    const char *text = redis_text(reply);
    bool yes = text && !strcmp(text, "true");
    warm->questions--;
    if (!reply) {
        warm->again = true;
        return;
    }
    if (request->number <= ALIAS)
        warm->warm |= yes;
    if (request->number == FLAG && yes)
        warm->timer = warm->now + warm->seconds * SECOND;
    if (request->number == COUNT)
        warm->restore_count = text ? strtoull(text, NULL, 10) + 1 : 0;
    if (request->number == TIMER)
        take_timer(warm, text);
}

/* --- what Redis has -------------------------------------------------------------------------- */

static bool parse_mac(const char *text, uint8_t mac[6])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < 6; i++, text += 3) {
        const char *high = *text ? strchr(digits, text[0]) : NULL;
        const char *low = high && text[1] ? strchr(digits, text[1]) : NULL;
        if (!low || text[2] != (i < 5 ? ':' : 0))
            return false;
        mac[i] = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    return true;
}

static const char *field_of(const redisReply *reply, const char *name)
{
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const char *field = redis_text(reply->element[i]);
        if (field && !strcmp(field, name))
            return redis_text(reply->element[i + 1]);
    }
    return NULL;
}

/* The row is wanted as it is, until the kernel has told of everything. One that lacks
 * something is to be written again, or deleted. */
static void take_row(const struct redis_request *request, const redisReply *reply)
{
    struct warm *warm = request->user;
    struct mirror_row *row = request->object;
    uint8_t mac[6] = { 0 };
    warm->questions--;
    row->in_flight--;
    if (!reply || reply->type != REDIS_REPLY_ARRAY) {
        warm->again = true;
    } else if (reply->elements) {
        const char *neigh = field_of(reply, "neigh"), *family = field_of(reply, "family");
        bool whole = neigh && family && parse_mac(neigh, mac) &&
                     !strcmp(family, row->family == AF_INET ? "IPv4" : "IPv6");
        mirror_want(row, SIDE_NEIGHBOUR, mac);
        mirror_had(row, SIDE_NEIGHBOUR, whole ? HAVE_ROW : HAVE_UNKNOWN, mac);
    }
    mirror_settle(warm->writer->mirror, row, warm->now);
}

/* NULL: it is no such key, or there is no room. */
static struct mirror_row *row_of(struct warm *warm, const char *key)
{
    struct mirror *mirror = warm->writer->mirror;
    char name[INTERFACE_NAME_SIZE];
    uint8_t address[16], family;
    struct mirror_port *port = producer_key_parse(key, name, &family, address)
                                   ? mirror_port(mirror, name)
                                   : NULL;
    struct mirror_row *row = port ? mirror_make(mirror, port, family, address) : NULL;
    if (port && !row)
        mirror_port_forget(mirror, port);
    return row;
}

/* They are read as there is room for questions; until then they are held as if in flight. */
static void take_row_keys(const struct redis_request *request, const redisReply *reply)
{
    struct warm *warm = request->user;
    size_t skip = strlen(writer_tables[SIDE_NEIGHBOUR].name) + 1;
    warm->questions--;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || !reply->elements) {
        warm->again |= !reply || reply->type != REDIS_REPLY_ARRAY;
        return;
    }
    warm->unread = calloc(reply->elements, sizeof(*warm->unread));
    warm->again |= !warm->unread;
    for (size_t i = 0; warm->unread && i < reply->elements; i++) {
        const char *key = redis_text(reply->element[i]);
        struct mirror_row *row =
            key && strlen(key) > skip ? row_of(warm, key + skip) : NULL;
        if (!row)
            continue;
        row->in_flight++;
        warm->unread[warm->unread_count++] = row;
    }
}

static void read_rows(struct warm *warm)
{
    while (warm->unread_next < warm->unread_count && redis_room(warm->writer->redis)) {
        struct mirror_row *row = warm->unread[warm->unread_next++];
        const struct redis_request read = { .answer = take_row,
                                            .user = warm,
                                            .object = row };
        char key[PRODUCER_KEY_SIZE], name[PRODUCER_KEY_SIZE + 16];
        producer_key(key, row->port->name, row->family, row->address);
        snprintf(name, sizeof(name), "%s%c%s", writer_tables[SIDE_NEIGHBOUR].name,
                 warm->writer->separator, key);
        ask_with(warm, warm->writer->redis, &read, 2,
                 (const char *const[]){ "HGETALL", name });
    }
}

static void forget_unread(struct warm *warm)
{
    while (warm->unread_next < warm->unread_count) {
        struct mirror_row *row = warm->unread[warm->unread_next++];
        row->in_flight--;
        mirror_settle(warm->writer->mirror, row, warm->now);
    }
    free(warm->unread);
    warm->unread = NULL;
    warm->unread_count = warm->unread_next = 0;
}

/* A neighbour that failed before: the kernel will say whether it still does. */
static void take_failed_keys(const struct redis_request *request, const redisReply *reply)
{
    static const uint8_t none[6];
    struct warm *warm = request->user;
    size_t skip = strlen(writer_tables[SIDE_FAILED].name) + 1;
    warm->questions--;
    warm->again |= !reply || reply->type != REDIS_REPLY_ARRAY;
    for (size_t i = 0; !warm->again && i < reply->elements; i++) {
        const char *key = redis_text(reply->element[i]);
        struct mirror_row *row =
            key && strlen(key) > skip ? row_of(warm, key + skip) : NULL;
        if (!row)
            continue;
        mirror_want(row, SIDE_FAILED, none);
        mirror_had(row, SIDE_FAILED, HAVE_ROW, none);
        if (!row->side[SIDE_NEIGHBOUR].want)
            mirror_had(row, SIDE_NEIGHBOUR, HAVE_NOTHING, NULL);
        mirror_settle(warm->writer->mirror, row, warm->now);
    }
}

static void ask_keys(struct warm *warm, const char *table,
                     void (*answer)(const struct redis_request *request,
                                    const redisReply *reply))
{
    const struct redis_request request = { .answer = answer, .user = warm };
    char pattern[KEY_SIZE];
    snprintf(pattern, sizeof(pattern), "%s%c*", table, warm->writer->separator);
    ask_with(warm, warm->writer->redis, &request, 2,
             (const char *const[]){ "KEYS", pattern });
}

/* --- steps ----------------------------------------------------------------------------------- */

static void enter(struct warm *warm, enum warm_step step)
{
    warm->step = step;
    warm->asked = false;
}

static void ask_whether(struct warm *warm)
{
    const char *enable = "WARM_RESTART_ENABLE_TABLE";
    struct redis *state = warm->state;
    char alias[KEY_SIZE];
    char separator = warm->state_separator;
    snprintf(alias, sizeof(alias), "%s%cneighsyncd", enable, separator);
    warm->warm = false;
    ask_field(warm, state, separator, enable, "system", "enable", SYSTEM);
    ask_field(warm, state, separator, enable, "swss", "enable", SWSS);
    ask_field(warm, state, separator, "WARM_RESTART_TABLE", "neighsyncd", "restore_count",
              COUNT);
    ask_field(warm, warm->config, warm->config_separator, "WARM_RESTART", "swss",
              "neighsyncd_timer", TIMER);
    ask(warm, warm->writer->redis, ALIAS, 2, (const char *const[]){ "GET", alias });
    if (warm->mode->dual_tor)
        ask_keys(warm, writer_tables[SIDE_FAILED].name, take_failed_keys);
}

/* All answers are there. Without a count nothing was there to be restored. */
static void choose(struct warm *warm)
{
    if (warm->warm && !warm->restore_count)
        app_log(warm->app, "warm restart: nothing to restore, so it is a cold one");
    warm->warm &= warm->restore_count != 0;
    if (warm->warm) {
        warm->writer->mirror->fresh = HAVE_NOTHING;
        enter(warm, WARM_READ);
        return;
    }
    write_field(warm, "restore_count", "0");
    warm->listen = true;
    warm->writer->hold = false;
    enter(warm, WARM_OVER);
}

static void ask_rows(struct warm *warm)
{
    const struct redis_request cleared = { .answer = take_answer,
                                           .user = warm,
                                           .number = NOTHING };
    char count[24];
    snprintf(count, sizeof(count), "%llu", (unsigned long long)warm->restore_count);
    if (!warm->counted)
        write_field(warm, "restore_count", count);
    warm->counted = true;
    write_field(warm, "state", "initialized");
    if (producer_clear(warm->writer->producers[SIDE_NEIGHBOUR], warm->writer->redis,
                       &cleared))
        warm->questions++;
    else
        warm->again = true;
    ask_keys(warm, writer_tables[SIDE_NEIGHBOUR].name, take_row_keys);
}

static void await(struct warm *warm)
{
    if (warm->unread_next < warm->unread_count) {
        read_rows(warm);
        return;
    }
    forget_unread(warm);
    write_field(warm, "state", "restored");
    warm->deadline = warm->now + warm->patience;
    warm->timer = 0;
    enter(warm, WARM_AWAIT);
}

static void ask_flag(struct warm *warm)
{
    if (warm->timer) { /* that of the reconciliation, which the answer has set */
        warm->listen = true;
        enter(warm, WARM_COLLECT);
    } else if (warm->now > warm->deadline) {
        app_log(warm->app, "warm restart: neighbours were not restored in %llu s",
                (unsigned long long)(warm->patience / SECOND));
        enter(warm, WARM_FAILED);
    } else if (!warm->asked || warm->now >= warm->next) {
        warm->asked = true;
        warm->next = warm->now + SECOND;
        ask_field(warm, warm->state, warm->state_separator, "NEIGH_RESTORE_TABLE",
                  "Flags", "restored", FLAG);
    }
}

static void step_once(struct warm *warm, void (*questions)(struct warm *warm),
                      void (*after)(struct warm *warm))
{
    if (!warm->asked) {
        warm->asked = true;
        questions(warm);
    } else if (!warm->questions) {
        after(warm);
    }
}

static void collect(struct warm *warm, bool complete)
{
    if (warm->now < warm->timer || !complete)
        return;
    warm->writer->hold = false;
    warm->writer->mirror->fresh = HAVE_FOREIGN;
    app_log(warm->app, "warm restart: %u rows differ", warm->writer->mirror->waiting);
    enter(warm, WARM_RECONCILE);
}

static void reconcile(struct warm *warm)
{
    if (!writer_idle(warm->writer))
        return;
    write_field(warm, "state", "reconciled");
    if (!warm->again)
        enter(warm, WARM_OVER);
}

void warm_serve(struct warm *warm, uint64_t now, bool complete)
{
    warm->now = now;
    redis_serve(warm->state, now);
    bool ready = redis_ready(warm->state) && redis_ready(warm->config) &&
                 redis_ready(warm->writer->redis);
    if (warm->again && !warm->questions) {
        forget_unread(warm);
        warm->again = warm->asked = false;
        if (warm->step == WARM_OVER && warm->warm) /* "reconciled" did not arrive */
            warm->step = WARM_RECONCILE;
    }
    if (!ready || warm->again)
        return;
    if (warm->step == WARM_ASK)
        step_once(warm, ask_whether, choose);
    else if (warm->step == WARM_READ)
        step_once(warm, ask_rows, await);
    else if (warm->step == WARM_AWAIT && !warm->questions)
        ask_flag(warm);
    else if (warm->step == WARM_COLLECT)
        collect(warm, complete);
    else if (warm->step == WARM_RECONCILE)
        reconcile(warm);
    redis_serve(warm->state, now);
}

uint64_t warm_due(const struct warm *warm)
{
    uint64_t due = redis_due(warm->state);
    uint64_t own = warm->step == WARM_AWAIT     ? warm->next
                   : warm->step == WARM_COLLECT ? warm->timer
                                                : UINT64_MAX;
    if (own <= warm->now) /* what it waits for wakes by itself */
        own = UINT64_MAX;
    return due < own ? due : own;
}

const char *warm_text(const struct warm *warm)
{
    static const char *const texts[] = { "starting",  "initialized", "restored",
                                         "restored",  "restored",    "reconciled",
                                         "unrestored" };
    return warm->step == WARM_OVER && !warm->warm ? "cold" : texts[warm->step];
}

int warm_open(struct warm *warm, const struct redis_place *place, uint64_t timeout)
{
    const struct redis_handlers handlers = { 0 };
    warm->state = redis_open(place, &handlers, 64, timeout, warm->app);
    warm->writer->hold = true;
    return warm->state ? 0 : -ENOMEM;
}

void warm_close(struct warm *warm)
{
    redis_close(warm->state);
    free(warm->unread);
    warm->state = NULL;
    warm->unread = NULL;
}
