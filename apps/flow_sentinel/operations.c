/* operations: what people ask a running FlowSentinel for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "apps/flow_sentinel/announce.h"
#include "apps/flow_sentinel/flow_sentinel.h"
#include "apps/flow_sentinel/kernel_path.h"
#include "lib/arguments.h"
#include "lib/prefix.h"

enum {
    STATUS,
    LIST,
    BAN,
    UNBAN,
    ALLOW,
    DISALLOW,
    FLUSH,
    WHY,
    TOP,
    NEWS,
    DETACH,
    RELOAD,
};

const struct operation_row sentinel_operations[] = {
    [STATUS] = { "status", "packets by verdict and reason, blocks, health" },
    [LIST] = { "list", "who is blocked, banned and allowed; kind=, limit=" },
    [BAN] = { "ban",
              "address=PREFIX, ttl=TIME or for good, force=true if it is allowed" },
    [UNBAN] = { "unban", "address=PREFIX: no ban and no block" },
    [ALLOW] = { "allow", "address=PREFIX: never block or limit it" },
    [DISALLOW] = { "disallow", "address=PREFIX" },
    [FLUSH] = { "flush", "all blocks of detections" },
    [WHY] = { "why", "address=ADDRESS: what is known of it" },
    [TOP] = { "top",
              "who sends most; by=source, destination, port or flow; measure=bytes or packets; verdict=all, passed or dropped; n=" },
    [NEWS] = { "news", "events since the last time somebody asked" },
    [DETACH] = { "detach", "a pinned program goes with this process after all" },
    [RELOAD] = { "reload", "the files of lists, read again" },
    { NULL, NULL },
};

/* --- arguments and answers ----------------------------------------------------------------- */

static struct path_address address_of(const struct prefix *prefix)
{
    struct path_address address;
    prefix_mapped(prefix, (uint8_t *)address.word);
    return address;
}

/* The key of the source that it is. */
static struct path_address source_of(const struct flow_sentinel *s,
                                     const struct prefix *prefix)
{
    struct path_address key = address_of(prefix);
    for (int i = 0; i < 4 && prefix->family == AF_INET6; i++)
        key.word[i] &= s->policy.source_mask[i];
    return key;
}

static bool is_single(const struct prefix *prefix)
{
    return prefix->bits == prefix_size(prefix) * 8;
}

/* source_bits: of an IPv6 source. */
static struct value source_value(const uint32_t key[4], unsigned source_bits)
{
    char text[PREFIX_TEXT_SIZE];
    return value_string(sentinel_source_text(key, source_bits, text));
}

/* bits: of 128. */
static struct value address_value(const uint32_t address[4], unsigned bits)
{
    char text[PREFIX_TEXT_SIZE];
    return value_string(sentinel_address_text(address, bits, text));
}

static struct value seconds(uint64_t ns)
{
    return value_number((double)ns / 1e9);
}

/* The table of two counts. */
static void add_count(struct value *to, const char *name,
                      const struct sentinel_count *count)
{
    struct value table = value_table();
    value_table_add(&table, "packets", value_integer((int64_t)count->packets));
    value_table_add(&table, "bytes", value_integer((int64_t)count->bytes));
    value_table_add(to, name, table);
}

/* --- status -------------------------------------------------------------------------------- */

static void add_verdicts(struct value *answer, const struct sentinel_totals *totals)
{
    static const char *const names[VERDICTS] = { "passed", "dropped", "would_drop",
                                                 "answered" };
    for (int verdict = 0; verdict < VERDICTS; verdict++) {
        struct sentinel_count sum = { 0 };
        struct value reasons = value_table();
        for (int reason = 0; reason < REASONS; reason++) {
            const struct sentinel_count *count =
                &totals->reasons[reason * VERDICTS + verdict];
            sum.packets += count->packets;
            sum.bytes += count->bytes;
            if (count->packets)
                add_count(&reasons, sentinel_reason_rows[reason].name, count);
        }
        add_count(&reasons, "all", &sum);
        value_table_add(answer, names[verdict], reasons);
    }
}

static void add_snapshot(struct value *answer, const struct kept *kept, uint64_t now)
{
    struct value table = value_table();
    value_table_add(&table, "path", value_string(kept->path));
    if (kept->written)
        value_table_add(&table, "age", seconds(now - kept->written));
    answer_integer(&table, "rows", kept->rows);
    answer_integer(&table, "restored", kept->restored);
    answer_integer(&table, "left_out", kept->left_out);
    if (*kept->problem)
        value_table_add(&table, "problem", value_string(kept->problem));
    if (*kept->refused)
        value_table_add(&table, "refused", value_string(kept->refused));
    value_table_add(answer, "snapshot", table);
}

static int status(struct app *app, const struct value *args, struct value *answer,
                  struct error *err)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    const struct sentinel_state *state = s->path->state;
    struct sentinel_totals totals;
    path_totals(s->path, &totals);
    *answer = value_table();
    if (conf->ifname) {
        value_table_add(answer, "interface", value_string(conf->ifname));
        value_table_add(answer, "mode", value_string(kernel_path_describe(s->path)));
    }
    add_verdicts(answer, &totals);
    struct value classes = value_table();
    for (int i = 0; i < CLASSES; i++)
        add_count(&classes, sentinel_class_names[i], &totals.classes[i]);
    value_table_add(answer, "classes", classes);
    answer_integer(answer, "blocks", state->blocks);
    answer_integer(answer, "block_inserts", state->inserted);
    answer_integer(answer, "block_insert_failed", state->insert_failed);
    answer_integer(answer, "block_insert_braked", state->insert_braked);
    answer_integer(answer, "expired", s->expired);
    answer_integer(answer, "events_lost", state->events_lost);
    answer_integer(answer, "events_limited", state->events_limited);
    answer_integer(answer, "events_missed", s->news_missed);
    answer_integer(answer, "samples", state->samples);
    answer_integer(answer, "samples_lost", state->samples_lost);
    if (*s->watched.problem)
        value_table_add(answer, "lists_problem", value_string(s->watched.problem));
    sentinel_add_gauges(s, answer);
    if (s->kept.path)
        add_snapshot(answer, &s->kept, sentinel_now(app));
    return 0;
}

/* --- who is known ---------------------------------------------------------------------------- */

struct listing {
    struct value *answer;
    uint64_t now;
    int64_t room;
    int kind; /* -1: all */
    uint8_t source_bits;
};

static bool is_active(const struct sentinel_entry *entry, uint64_t now)
{
    return !entry->expires || now < entry->expires;
}

static void add_entry(struct value *to, const struct sentinel_entry *entry, uint64_t now)
{
    value_table_add(to, "kind", value_string(sentinel_kind_names[entry->kind % KINDS]));
    if (entry->kind == KIND_BLOCKED)
        value_table_add(to, "detection",
                        value_string(sentinel_limit_names[entry->limit % LIMITS]));
    if (entry->expires)
        value_table_add(to, "remaining",
                        seconds(entry->expires > now ? entry->expires - now : 0));
    if (entry->last)
        value_table_add(to, "idle", seconds(now > entry->last ? now - entry->last : 0));
    answer_integer(to, "packets", entry->packets);
    answer_integer(to, "bytes", entry->bytes);
}

static void list_one(const struct path_address *key, const void *value, void *user)
{
    const struct sentinel_entry *entry = value;
    struct listing *listing = user;
    struct value row;
    if (!is_active(entry, listing->now) || (entry->automatic && listing->kind < 0) ||
        listing->room <= 0 || (listing->kind >= 0 && listing->kind != entry->kind))
        return;
    listing->room--;
    row = value_table();
    value_table_add(&row, "address",
                    entry->kind == KIND_BLOCKED
                        ? source_value(key->word, listing->source_bits)
                        : address_value(key->word, 128));
    add_entry(&row, entry, listing->now);
    value_table_add(listing->answer, NULL, row);
}

static void list_prefixes(struct listing *listing, const struct prefix_set *set,
                          enum sentinel_kind kind)
{
    struct prefix prefix;
    uint32_t cursor = 0;
    if (!set || (listing->kind >= 0 && listing->kind != (int)kind))
        return;
    while (listing->room > 0 && prefix_set_next(set, &cursor, &prefix, NULL)) {
        char text[PREFIX_TEXT_SIZE];
        struct value row = value_table();
        listing->room--;
        value_table_add(&row, "address", value_string(prefix_format(&prefix, text)));
        value_table_add(&row, "kind", value_string(sentinel_kind_names[kind]));
        value_table_add(&row, "list", value_bool(true));
        value_table_add(listing->answer, NULL, row);
    }
}

static int list(struct app *app, const struct value *args, struct value *answer,
                struct error *err)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    struct listing listing = { .answer = answer,
                               .kind = -1,
                               .now = sentinel_now(app),
                               .room = 1000,
                               .source_bits = (uint8_t)conf->source_prefix6 };
    int error = argument_integer(args, "limit", &listing.room, err);
    if (!error)
        error =
            argument_choice(args, "kind", sentinel_kind_names, KINDS, &listing.kind, err);
    if (error)
        return error;
    *answer = value_table();
    path_entries(s->path, list_one, &listing);
    list_prefixes(&listing, s->lists.allowed, KIND_ALLOWED);
    list_prefixes(&listing, s->lists.banned, KIND_BANNED);
    return 0;
}

static int why(struct app *app, const struct value *args, struct value *answer,
               struct error *err)
{
    struct flow_sentinel *s = app->state;
    struct prefix prefix, matched;
    struct sentinel_entry entry;
    enum sentinel_kind kind;
    int error = argument_prefix(args, "address", &prefix, err);
    if (error)
        return error;
    struct path_address address = address_of(&prefix), key = source_of(s, &prefix);
    struct path_address network;
    *answer = value_table();
    if (path_get(s->path, &address, &entry) || path_get(s->path, &key, &entry) ||
        networks_get(s->path, &prefix, &network, &entry)) {
        add_entry(answer, &entry, sentinel_now(app));
        value_table_add(answer, "active",
                        value_bool(is_active(&entry, sentinel_now(app))));
    }
    if (lists_find(&s->lists, &address, &kind, &matched)) {
        char text[PREFIX_TEXT_SIZE];
        value_table_add(answer, "listed", value_string(sentinel_kind_names[kind]));
        value_table_add(answer, "prefix", value_string(prefix_format(&matched, text)));
    }
    return 0;
}

/* --- changing it ------------------------------------------------------------------------------- */

static bool is_allowed(struct app *app, const struct prefix *prefix)
{
    struct flow_sentinel *s = app->state;
    struct path_address address = address_of(prefix);
    struct sentinel_entry entry;
    struct prefix matched;
    enum sentinel_kind kind;
    if (path_get(s->path, &address, &entry) && is_active(&entry, sentinel_now(app)) &&
        (entry.kind == KIND_ALLOWED || entry.kind == KIND_OWN))
        return true;
    return lists_find(&s->lists, &address, &kind, &matched) && kind == KIND_ALLOWED;
}

/* Blocks are asked first: whoever is allowed now must have none. */
static void let_off_one(const struct path_address *key, const void *value, void *user)
{
    const struct sentinel_entry *entry = value;
    struct flow_sentinel *s = user;
    struct prefix matched, one = networks_prefix(key->word, 128);
    struct path_address address = address_of(&one);
    enum sentinel_kind kind;
    /* who is allowed in a network is asked for before the network */
    if (entry->kind == KIND_BLOCKED && lists_find(&s->lists, &address, &kind, &matched) &&
        kind == KIND_ALLOWED && matched.bits <= one.bits)
        path_remove(s->path, key);
}

void sentinel_let_off(struct flow_sentinel *s)
{
    path_entries(s->path, let_off_one, s);
}

static int put_prefix(struct app *app, enum sentinel_kind kind,
                      const struct prefix *prefix, uint64_t ttl, bool force,
                      struct error *err)
{
    struct flow_sentinel *s = app->state;
    struct path_address address = address_of(prefix);
    uint64_t now = sentinel_now(app);
    if (is_single(prefix)) {
        struct sentinel_entry entry = { .created = now,
                                        .ttl = ttl,
                                        .expires = ttl ? now + ttl : 0,
                                        .kind = (uint8_t)kind };
        return path_put(s->path, &address, &entry)
                   ? error_set(err, ERROR_RUN, ENOSPC, "the table is full (max_static)")
                   : 0;
    }
    if (ttl)
        return error_set(err, ERROR_CONFIG, EINVAL, "ttl is for single addresses");
    int error = lists_add(&s->lists, kind, prefix, force, err);
    if (!error && (error = lists_apply(&s->lists, s->path, err)))
        lists_remove(&s->lists, kind, prefix);
    if (!error && kind == KIND_ALLOWED)
        sentinel_let_off(s);
    return error;
}

static int ban(struct app *app, const struct value *args, struct value *answer,
               struct error *err)
{
    const struct sentinel_conf *conf = app->conf;
    struct prefix prefix;
    uint64_t ttl = 0;
    int error = argument_prefix(args, "address", &prefix, err);
    if (!error)
        error = argument_duration(args, "ttl", "30d", &ttl, err);
    if (error)
        return error;
    bool force = argument_bool(args, "force");
    if (prefix_is_wide(&prefix) && !conf->really && !force)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "that is very short a prefix: force = true");
    if (is_allowed(app, &prefix) && !force)
        return error_set(err, ERROR_CONFIG, EPERM, "it is allowed: force = true");
    return put_prefix(app, KIND_BANNED, &prefix, ttl, force, err);
}

static int allow(struct app *app, const struct value *args, struct value *answer,
                 struct error *err)
{
    struct prefix prefix;
    int error = argument_prefix(args, "address", &prefix, err);
    return error ? error : put_prefix(app, KIND_ALLOWED, &prefix, 0, false, err);
}

static int take_out(struct app *app, const struct value *args, struct value *answer,
                    bool allowed, struct error *err)
{
    struct flow_sentinel *s = app->state;
    struct prefix prefix;
    struct sentinel_entry entry;
    int error = argument_prefix(args, "address", &prefix, err);
    if (error)
        return error;
    struct path_address key = address_of(&prefix), network = source_of(s, &prefix);
    bool found = path_get(s->path, &key, &entry) && entry.kind != KIND_OWN &&
                 (entry.kind == KIND_ALLOWED) == allowed && path_remove(s->path, &key);
    if (!allowed && path_get(s->path, &network, &entry) && entry.kind == KIND_BLOCKED)
        found |= path_remove(s->path, &network);
    if (!allowed)
        found |= networks_remove(s->path, &prefix);
    if (lists_remove(&s->lists, allowed ? KIND_ALLOWED : KIND_BANNED, &prefix)) {
        found = true;
        error = lists_apply(&s->lists, s->path, err);
    }
    *answer = value_bool(found);
    return error;
}

static void flush_one(const struct path_address *key, const void *value, void *user)
{
    const struct sentinel_entry *entry = value;
    struct flow_sentinel *s = user;
    if (entry->kind == KIND_BLOCKED)
        path_remove(s->path, key);
}

/* --- news ----------------------------------------------------------------------------------------- */

static void add_event(struct value *answer, const struct sentinel_event *event,
                      uint8_t bits)
{
    struct value row = value_table();
    value_table_add(&row, "time", seconds(event->time));
    value_table_add(&row, "event", value_string(sentinel_event_name(event)));
    if (sentinel_event_is_of_interface(event)) {
        value_table_add(answer, NULL, row);
        return;
    }
    value_table_add(&row, "detection", value_string(detection_name(event->detection)));
    value_table_add(&row, "destination",
                    address_value(event->dst, event->dst_bits ? event->dst_bits : 128));
    value_table_add(&row, "dry_run", value_bool(event->dry_run));
    if (event->kind == EVENT_STATE) {
        value_table_add(&row, "state",
                        value_string(detect_state_names[event->state & 3]));
        answer_integer(&row, "rate", event->rate);
        answer_integer(&row, "threshold", event->threshold);
        value_table_add(answer, NULL, row);
        return;
    }
    value_table_add(&row, "source", source_value(event->src, bits));
    answer_integer(&row, "protocol", event->protocol);
    answer_integer(&row, "sport", event->sport);
    answer_integer(&row, "dport", event->dport);
    if (event->ttl)
        value_table_add(&row, "ttl", seconds(event->ttl));
    value_table_add(&row, "evidence",
                    value_string(event->verified ? "verified" : "spoofable"));
    value_table_add(answer, NULL, row);
}

static int news(struct app *app, const struct value *args, struct value *answer,
                struct error *err)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    sentinel_news(app);
    *answer = value_table();
    for (; s->news_read < s->nnews; s->news_read++)
        add_event(answer, &s->news[s->news_read % NEWS_SIZE],
                  (uint8_t)conf->source_prefix6);
    return 0;
}

static void add_port(struct value *row, const struct talker_key *key)
{
    char number[4];
    snprintf(number, sizeof(number), "%u", key->protocol);
    const char *name = key->protocol == PROTOCOL_TCP      ? "tcp"
                       : key->protocol == PROTOCOL_UDP    ? "udp"
                       : key->protocol == PROTOCOL_ICMP   ? "icmp"
                       : key->protocol == PROTOCOL_ICMPV6 ? "icmp6"
                                                          : number;
    value_table_add(row, "protocol", value_string(name));
    if (key->sport)
        answer_integer(row, "sport", key->sport);
    if (key->dport)
        answer_integer(row, "port", key->dport);
}

static struct value talker_row(const struct talker *talker, enum talker_dimension by,
                               const char *measure)
{
    struct value row = value_table();
    if (by == TALKER_SOURCE || by == TALKER_FLOW)
        value_table_add(&row, "source", address_value(talker->key.src, 128));
    if (by == TALKER_DESTINATION || by == TALKER_FLOW)
        value_table_add(&row, "destination", address_value(talker->key.dst, 128));
    if (by == TALKER_PORT || by == TALKER_FLOW)
        add_port(&row, &talker->key);
    answer_integer(&row, measure, talker->count);
    answer_integer(&row, "error", talker->error);
    return row;
}

static int top(struct app *app, const struct value *args, struct value *answer,
               struct error *err)
{
    static const char *const dimensions[] = { "source", "destination", "port", "flow" };
    static const char *const measures[] = { "bytes", "packets" };
    static const char *const parts[] = { "all", "passed", "dropped" };
    struct flow_sentinel *s = app->state;
    int by = TALKER_SOURCE, measure = TALKER_BYTES, part = TALKER_ALL;
    int64_t n = 10;
    int error = argument_integer(args, "n", &n, err);
    if (error ||
        (error = argument_choice(args, "by", dimensions, TALKER_DIMENSIONS, &by, err)) ||
        (error = argument_choice(args, "measure", measures, TALKER_MEASURES, &measure,
                                 err)) ||
        (error = argument_choice(args, "verdict", parts, 3, &part, err)))
        return error;
    n = n < TALKERS ? n : TALKERS;
    struct talker *rows = calloc((size_t)n + 1, sizeof(*rows));
    uint32_t count = rows ? talkers_top(s->talkers, (enum talker_dimension)by,
                                        (enum talker_measure)measure,
                                        (enum talker_part)part, rows, (uint32_t)n)
                          : 0;
    *answer = value_table();
    for (uint32_t i = 0; i < count; i++)
        value_table_add(
            answer, NULL,
            talker_row(&rows[i], (enum talker_dimension)by, measures[measure]));
    free(rows);
    return 0;
}

int sentinel_call(struct app *app, uint32_t operation, const struct value *args,
                  struct value *answer, struct error *err)
{
    struct flow_sentinel *s = app->state;
    if (operation >= BAN && operation <= FLUSH)
        sentinel_save_soon(s);
    switch (operation) {
    case STATUS:
        return status(app, args, answer, err);
    case LIST:
        return list(app, args, answer, err);
    case BAN:
        return ban(app, args, answer, err);
    case UNBAN:
        return take_out(app, args, answer, false, err);
    case ALLOW:
        return allow(app, args, answer, err);
    case DISALLOW:
        return take_out(app, args, answer, true, err);
    case WHY:
        return why(app, args, answer, err);
    case TOP:
        return top(app, args, answer, err);
    case NEWS:
        return news(app, args, answer, err);
    case DETACH:
        s->detach = true;
        return 0;
    case RELOAD:
        return sentinel_reread(app, err);
    default:
        path_entries(s->path, flush_one, s);
        return 0;
    }
}
