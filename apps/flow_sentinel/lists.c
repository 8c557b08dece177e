/* lists: who is allowed and who is banned, by prefix. */
#include "apps/flow_sentinel/lists.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "apps/flow_sentinel/parameters.h"
#include "lib/prefix_file.h"

#define LIST_MAX 262144

static struct prefix_set **list_of(struct sentinel_lists *lists, enum sentinel_kind kind)
{
    return kind == KIND_ALLOWED ? &lists->allowed : &lists->banned;
}

static struct prefix_set **additions_of(struct sentinel_lists *lists,
                                        enum sentinel_kind kind)
{
    return kind == KIND_ALLOWED ? &lists->also_allowed : &lists->also_banned;
}

/* The value of a prefix is whether it is banned by force. */
static int insert(struct prefix_set **set, const struct prefix *prefix, bool force,
                  struct error *err)
{
    int error = -ENOMEM;
    if (!*set)
        *set = prefix_set_new();
    if (*set)
        error = prefix_set_insert(*set, prefix, force);
    return error ? error_set(err, ERROR_CONFIG, -error, "no room for more prefixes: %s",
                             strerror(-error))
                 : 0;
}

int lists_add(struct sentinel_lists *lists, enum sentinel_kind kind,
              const struct prefix *prefix, bool force, struct error *err)
{
    int error = insert(additions_of(lists, kind), prefix, force, err);
    return error ? error : insert(list_of(lists, kind), prefix, force, err);
}

bool lists_remove(struct sentinel_lists *lists, enum sentinel_kind kind,
                  const struct prefix *prefix)
{
    struct prefix_set *set = *list_of(lists, kind), *added = *additions_of(lists, kind);
    if (added)
        prefix_set_remove(added, prefix);
    return set && prefix_set_remove(set, prefix);
}

void lists_clear(struct sentinel_lists *lists)
{
    prefix_set_free(lists->allowed);
    prefix_set_free(lists->banned);
    prefix_set_free(lists->also_allowed);
    prefix_set_free(lists->also_banned);
    *lists = (struct sentinel_lists){ 0 };
}

void lists_adopt(struct sentinel_lists *lists, struct sentinel_lists *from)
{
    lists_clear(lists);
    *lists = *from;
    *from = (struct sentinel_lists){ 0 };
}

/* --- loading ------------------------------------------------------------------------------- */

static int prefix_of(const struct value *value, const char *name, struct prefix *prefix,
                     struct error *err)
{
    char text[64];
    if (value->kind == VALUE_STRING && !prefix_parse(prefix, value->string))
        return 0;
    return error_set(err, ERROR_CONFIG, EINVAL, "%s: %s is not a prefix", name,
                     value_format(text, sizeof(text), value));
}

static int add_text(struct sentinel_lists *lists, enum sentinel_kind kind,
                    const char *name, const struct value *value, bool really,
                    struct error *err)
{
    struct prefix prefix;
    int error = prefix_of(value, name, &prefix, err);
    if (error)
        return error;
    if (prefix_is_wide(&prefix) && !really)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "%s: %s is very short: say really = true if it is meant", name,
                         value->string);
    return insert(list_of(lists, kind), &prefix, false, err);
}

/* Of a value that is one or a list of them, or none. */
static size_t items(const struct value *value)
{
    if (value->kind == VALUE_TABLE)
        return value->table->count;
    return value->kind != VALUE_NIL && !(value->kind == VALUE_STRING && !*value->string);
}

static const struct value *item(const struct value *value, size_t i)
{
    return value->kind == VALUE_TABLE ? &value->table->fields[i].value : value;
}

static int add_value(struct sentinel_lists *lists, enum sentinel_kind kind,
                     const char *name, const struct value *value, bool really,
                     struct error *err)
{
    int error = 0;
    for (size_t i = 0; i < items(value) && !error; i++)
        error = add_text(lists, kind, name, item(value, i), really, err);
    return error;
}

static int add_file(struct sentinel_lists *lists, enum sentinel_kind kind,
                    const char *path, bool really, struct error *err)
{
    struct prefix_list list;
    struct prefix_file file = { .path = path, .max = LIST_MAX, .really = really };
    struct stat st;
    if (!path)
        return 0;
    /* who checks parameters has read it already, and a pipe is empty then */
    if (!strcmp(path, "-") || (!stat(path, &st) && !S_ISREG(st.st_mode)))
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "%s is no regular file, and a list is read more than once",
                         path);
    int error = prefix_file_read(&file, &list, err);
    if (error)
        return error;
    for (size_t i = 0; i < list.count && !error; i++)
        error = insert(list_of(lists, kind), &list.prefixes[i], false, err);
    lists->cleared += (uint32_t)list.cleared;
    prefix_list_clear(&list);
    return error;
}

static int add_again(struct sentinel_lists *lists, enum sentinel_kind kind,
                     const struct prefix_set *added, struct error *err)
{
    struct prefix prefix;
    uint32_t cursor = 0, force;
    int error = 0;
    while (added && !error && prefix_set_next(added, &cursor, &prefix, &force))
        error = lists_add(lists, kind, &prefix, force, err);
    return error;
}

int lists_load(struct sentinel_lists *lists, const struct sentinel_conf *conf,
               const struct sentinel_lists *before, struct error *err)
{
    int error = add_value(lists, KIND_ALLOWED, "allow", &conf->allow, conf->really, err);
    if (!error)
        error = add_value(lists, KIND_BANNED, "block", &conf->block, conf->really, err);
    if (!error)
        error = add_file(lists, KIND_ALLOWED, conf->allow_file, conf->really, err);
    if (!error)
        error = add_file(lists, KIND_BANNED, conf->block_file, conf->really, err);
    if (!error && before)
        error = add_again(lists, KIND_ALLOWED, before->also_allowed, err);
    if (!error && before)
        error = add_again(lists, KIND_BANNED, before->also_banned, err);
    if (error)
        lists_clear(lists);
    return error;
}

/* --- applying ------------------------------------------------------------------------------- */

static bool is_allowed(const struct sentinel_lists *lists, const struct prefix *prefix)
{
    struct prefix matched, around = *prefix;
    if (!lists->allowed || !prefix_set_match_family(lists->allowed, prefix->family,
                                                    prefix->address, &matched, NULL))
        return false;
    if (matched.bits <= prefix->bits)
        return true;
    /* the longest lies within the prefix: is there one around it? */
    while (!prefix_set_find(lists->allowed, &around, NULL))
        if (!around.bits--)
            return false;
    return true;
}

static size_t size_of(const struct prefix_set *set)
{
    return set ? prefix_set_count(set, AF_INET) + (size_t)prefix_set_count(set, AF_INET6)
               : 0;
}

static size_t list_out(const struct sentinel_lists *lists, const struct prefix_set *set,
                       enum sentinel_kind kind, struct path_listed *to)
{
    struct prefix prefix;
    uint32_t cursor = 0, force;
    size_t count = 0;
    while (set && prefix_set_next(set, &cursor, &prefix, &force)) {
        if (kind == KIND_BANNED && !force && is_allowed(lists, &prefix))
            continue;
        to[count] = (struct path_listed){ .entry.kind = (uint8_t)kind };
        to[count].prefix.bits =
            prefix_mapped(&prefix, (uint8_t *)to[count].prefix.address);
        count++;
    }
    return count;
}

int lists_apply(const struct sentinel_lists *lists, struct path *path, struct error *err)
{
    size_t room = size_of(lists->allowed) + size_of(lists->banned);
    struct path_listed *list = malloc((room + 1) * sizeof(*list));
    if (!list)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for a list of %zu prefixes",
                         room);
    size_t count = list_out(lists, lists->allowed, KIND_ALLOWED, list);
    count += list_out(lists, lists->banned, KIND_BANNED, list + count);
    int error = path_set_list(path, list, count, err);
    free(list);
    return error;
}

bool lists_find(const struct sentinel_lists *lists, const struct path_address *address,
                enum sentinel_kind *kind, struct prefix *matched)
{
    const uint8_t *bytes = (const uint8_t *)address->word;
    struct prefix banned;
    uint32_t force = 0;
    bool is_banned =
        lists->banned && prefix_set_match(lists->banned, bytes, &banned, &force);
    *kind = KIND_ALLOWED;
    if (lists->allowed && prefix_set_match(lists->allowed, bytes, matched, NULL) &&
        !(is_banned && force && banned.bits >= matched->bits))
        return true;
    *kind = KIND_BANNED;
    if (is_banned)
        *matched = banned;
    return is_banned;
}

/* --- every address -------------------------------------------------------------------------- */

static void expand(const struct prefix *prefix, size_t count, struct path_address *to)
{
    struct prefix first = *prefix;
    first.bits = (uint8_t)(prefix_size(prefix) * 8);
    for (size_t i = 0; i < count; i++) {
        uint8_t *bytes = (uint8_t *)to[i].word;
        prefix_mapped(&first, bytes);
        if (count > 1) {
            bytes[14] = (uint8_t)((bytes[14] & ~((count - 1) >> 8)) | i >> 8);
            bytes[15] = (uint8_t)((bytes[15] & ~(count - 1)) | i);
        }
    }
}

int lists_addresses(const struct value *value, const char *name,
                    struct path_address **addresses, size_t *count, struct error *err)
{
    *addresses = NULL;
    *count = 0;
    if (!items(value))
        return 0;
    *addresses = calloc(items(value), LISTS_ADDRESSES * sizeof(**addresses));
    int error = *addresses ? 0 : error_set(err, ERROR_RUN, ENOMEM, "%s: too many", name);
    for (size_t i = 0; i < items(value) && !error; i++) {
        struct prefix prefix;
        error = prefix_of(item(value, i), name, &prefix, err);
        if (error)
            break;
        unsigned host = (unsigned)prefix_size(&prefix) * 8 - prefix.bits;
        if (host > 10) {
            error =
                error_set(err, ERROR_CONFIG, E2BIG, "%s: %s has more than %d addresses",
                          name, item(value, i)->string, LISTS_ADDRESSES);
            break;
        }
        expand(&prefix, (size_t)1 << host, *addresses + *count);
        *count += (size_t)1 << host;
    }
    if (error) {
        free(*addresses);
        *addresses = NULL;
        *count = 0;
    }
    return error;
}
