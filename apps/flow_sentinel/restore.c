/* restore: who is blocked, banned and allowed, into a snapshot and back.
 *
 * Written every snapshot_period, at the tick after somebody banned or allowed by hand, and at
 * the end. What an earlier process knows of its lists is this one's to be told; what a detection
 * of it blocked, and what people said, is not. A block lasts as long as was left of it, however
 * long nobody looked. What is known already, in tables that were pinned, is newer and stays.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "apps/flow_sentinel/announce.h"
#include "apps/flow_sentinel/flow_sentinel.h"
#include "apps/flow_sentinel/snapshot.h"
#include "lib/array.h"

#define PLACE "/var/lib/vanguard"

static void complain(struct app *app, const char *problem)
{
    struct kept *kept = &((struct flow_sentinel *)app->state)->kept;
    if (*problem && strcmp(kept->problem, problem))
        app_log(app, "snapshot: %s", problem);
    snprintf(kept->problem, sizeof(kept->problem), "%s", problem);
}

/* --- out of the tables ------------------------------------------------------------------------ */

struct saver {
    struct snapshot snapshot;
    uint64_t now;
    unsigned source_bits; /* of IPv6 */
    bool full;
};

static void add(struct saver *saver, const struct snapshot_row *row)
{
    struct snapshot *to = &saver->snapshot;
    if (array_reserve(&to->rows, to->count, sizeof(*row)))
        to->rows[to->count++] = *row;
    else
        saver->full = true;
}

static void save_entry(const struct path_address *key, const void *value, void *user)
{
    const struct sentinel_entry *entry = value;
    struct saver *saver = user;
    if (entry->automatic || entry->kind == KIND_OWN ||
        (entry->expires && entry->expires <= saver->now))
        return;
    struct snapshot_row row = { .kind = entry->kind, .limit = entry->limit };
    row.prefix = entry->kind == KIND_BLOCKED
                     ? networks_prefix(key->word, saver->source_bits)
                     : prefix_unmapped((const uint8_t *)key->word, 128);
    if (entry->expires) {
        row.remaining = entry->expires - saver->now;
        row.ttl = entry->ttl;
    }
    add(saver, &row);
}

static void save_prefixes(struct saver *saver, const struct prefix_set *set, uint8_t kind)
{
    struct snapshot_row row = { .kind = kind };
    uint32_t cursor = 0, force;
    while (set && prefix_set_next(set, &cursor, &row.prefix, &force)) {
        row.force = force;
        add(saver, &row);
    }
}

void sentinel_save_soon(struct flow_sentinel *s)
{
    s->kept.due = 0;
}

void sentinel_save(struct app *app)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    struct saver saver = { .now = sentinel_now(app),
                           .source_bits = (unsigned)conf->source_prefix6 };
    struct error err = { 0 };
    if (!s->kept.path || saver.now < s->kept.due)
        return;
    s->kept.due = saver.now + conf->snapshot_period;
    path_entries(s->path, save_entry, &saver);
    save_prefixes(&saver, s->lists.also_allowed, KIND_ALLOWED);
    save_prefixes(&saver, s->lists.also_banned, KIND_BANNED);
    if (saver.full)
        error_set(&err, ERROR_FILE, ENOMEM, "no memory for it");
    /* nobody, as before: the disk is left in peace */
    else if (saver.snapshot.count || s->kept.rows || !s->kept.written)
        snapshot_write(s->kept.path, &saver.snapshot, &err);
    complain(app, err.text);
    if (!*err.text) {
        s->kept.rows = saver.snapshot.count;
        s->kept.written = saver.now;
    }
    snapshot_clear(&saver.snapshot);
}

/* --- into the tables --------------------------------------------------------------------------- */

/* A network of another length than sources have now is none of them, but may be one of many. */
static bool is_source(const struct sentinel_conf *conf, const struct prefix *prefix)
{
    return prefix->bits == (prefix->family == AF_INET ? 32 : conf->source_prefix6);
}

static struct sentinel_entry entry_of(const struct snapshot_row *row, uint64_t now)
{
    return (struct sentinel_entry){ .expires = row->remaining ? now + row->remaining : 0,
                                    .created = now,
                                    .ttl = row->ttl,
                                    .bucket = now,
                                    .kind = row->kind,
                                    .limit = row->limit };
}

static bool restore_entry(struct flow_sentinel *s, const struct snapshot_row *row,
                          uint64_t now)
{
    struct path_address key;
    struct sentinel_entry entry;
    struct prefix matched;
    enum sentinel_kind kind;
    bool blocked = row->kind == KIND_BLOCKED;
    prefix_mapped(&row->prefix, (uint8_t *)key.word);
    if (path_get(s->path, &key, &entry) && (blocked || entry.kind != KIND_BLOCKED))
        return false;
    if (blocked &&
        (s->path->state->blocks >= s->policy.max_blocks ||
         (lists_find(&s->lists, &key, &kind, &matched) && kind == KIND_ALLOWED)))
        return false;
    entry = entry_of(row, now);
    return !path_put(s->path, &key, &entry);
}

static bool restore_network(struct flow_sentinel *s, const struct snapshot_row *row,
                            uint64_t now)
{
    struct path_address key;
    struct sentinel_entry entry;
    if (s->path->state->blocks >= s->policy.max_blocks ||
        networks_get(s->path, &row->prefix, &key, &entry))
        return false;
    entry = entry_of(row, now);
    return !networks_put(s->path, &row->prefix, &entry);
}

static bool restore_row(struct app *app, const struct snapshot_row *row, uint64_t now)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    bool single = row->prefix.bits == 8 * prefix_size(&row->prefix);
    if (row->kind == KIND_BLOCKED ? is_source(conf, &row->prefix) : single)
        return restore_entry(s, row, now);
    if (row->kind == KIND_BLOCKED)
        return row->prefix.bits < conf->source_prefix6 && restore_network(s, row, now);
    return !row->remaining &&
           !lists_add(&s->lists, row->kind, &row->prefix, row->force, NULL);
}

/* What cannot be read is put aside: it may be a slip of the hand, and the next one would take
 * its place. */
static void refuse(struct app *app, const struct error *err)
{
    struct flow_sentinel *s = app->state;
    char aside[4096];
    bool kept =
        snprintf(aside, sizeof(aside), "%s.bad", s->kept.path) < (int)sizeof(aside) &&
        !rename(s->kept.path, aside);
    snprintf(s->kept.refused, sizeof(s->kept.refused), "%s%s%s", err->text,
             kept ? "; it is now " : "", kept ? aside : "");
    app_log(app, "nobody is restored: %s", s->kept.refused);
}

static void restore_all(struct app *app, const struct snapshot *snapshot)
{
    struct flow_sentinel *s = app->state;
    uint64_t now = sentinel_now(app);
    struct error err = { 0 };
    for (size_t i = 0; i < snapshot->count; i++)
        if (restore_row(app, &snapshot->rows[i], now))
            s->kept.restored++;
    s->kept.left_out = snapshot->count - s->kept.restored;
    if (lists_apply(&s->lists, s->path, &err))
        app_log(app, "prefixes of the snapshot: %s", err.text);
    app_log(app, "%llu sources are known from %s, %llu left out",
            (unsigned long long)s->kept.restored, s->kept.path,
            (unsigned long long)s->kept.left_out);
}

void sentinel_restore(struct app *app)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    struct snapshot snapshot;
    struct error err = { 0 };
    sentinel_keep_in(app, conf->snapshot);
    if (!s->kept.path)
        return;
    int error = snapshot_read(
        s->kept.path, (size_t)(conf->max_blocks + 3 * conf->max_static), &snapshot, &err);
    if (error && error != -ENOENT)
        refuse(app, &err);
    if (!error && snapshot.count)
        restore_all(app, &snapshot);
    s->kept.rows = snapshot.count;
    snapshot_clear(&snapshot);
}

/* --- where ---------------------------------------------------------------------------------------- */

void sentinel_keep_in(struct app *app, const char *path)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    char place[128];
    free(s->kept.path);
    s->kept.path = NULL;
    sentinel_save_soon(s);
    if (path && !strcmp(path, "auto")) {
        if (!sentinel_in_first_netns())
            return;
        if (mkdir(PLACE, 0700) && errno != EEXIST) {
            app_log(app, "no snapshot: cannot make %s: %s", PLACE, strerror(errno));
            return;
        }
        snprintf(place, sizeof(place), PLACE "/%s.sentinel", conf->ifname);
        path = place;
    }
    s->kept.path = path && *path ? strdup(path) : NULL;
}
