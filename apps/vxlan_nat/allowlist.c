/* allowlist: prefixes that may pass, and whose they are. */
#include "apps/vxlan_nat/allowlist.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/array.h"
#include "lib/prefix_file.h"
#include "lib/whole_file.h"

struct reading {
    const char *path;
    struct allowlist *list;
    const struct allowlist_options *options;
    struct error *err;
};

/* --- the list --------------------------------------------------------------------------------- */

int allowlist_add(struct allowlist *list, const struct prefix *prefix,
                  uint32_t organization, size_t max, struct error *err)
{
    uint32_t owner = 0;
    if (!list->set && !(list->set = prefix_set_new()))
        return error_set(err, ERROR_RUN, ENOMEM, "no memory");
    bool known = prefix_set_find(list->set, prefix, &owner);
    if (known && (owner || !organization))
        return 0;
    if (!known && allowlist_count(list) >= max)
        return error_set(err, ERROR_CONFIG, ENOSPC,
                         "more than %zu different entries (allow_max)", max);
    int error = prefix_set_insert(list->set, prefix, organization);
    return error ? error_set(err, ERROR_RUN, -error, "no room for another entry") : 0;
}

bool allowlist_remove(struct allowlist *list, const struct prefix *prefix)
{
    return list->set && prefix_set_remove(list->set, prefix);
}

size_t allowlist_count(const struct allowlist *list)
{
    return list->set ? prefix_set_count(list->set, AF_INET) +
                           prefix_set_count(list->set, AF_INET6)
                     : 0;
}

const char *allowlist_name(const struct allowlist *list, uint32_t organization)
{
    return organization && organization <= list->nnames ? list->names[organization - 1]
                                                        : NULL;
}

void allowlist_clear(struct allowlist *list)
{
    for (uint32_t i = 0; i < list->nnames; i++)
        free(list->names[i]);
    free(list->names);
    prefix_set_free(list->set);
    *list = (struct allowlist){ 0 };
}

/* What a terminal may be shown; returns it. */
static char *make_plain(char *text)
{
    for (char *at = text; *at; at++)
        if ((*at >= 0 && *at < ' ') || *at == 127)
            *at = '?';
    return text;
}

/* The number of an organization of that name; 0: no memory. */
static uint32_t add_name(struct allowlist *list, const char *name)
{
    char *copy = array_reserve(&list->names, list->nnames, sizeof(*list->names))
                     ? strdup(name)
                     : NULL;
    if (!copy)
        return 0;
    list->names[list->nnames] = make_plain(copy);
    return ++list->nnames;
}

/* --- the file -------------------------------------------------------------------------------- */

/* Parsers that call themselves need that to be known before. */
static bool is_deep(const char *bytes, size_t length)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (quoted && bytes[i] == '\\')
            i++;
        else if (bytes[i] == '"')
            quoted = !quoted;
        else if (!quoted && (bytes[i] == '{' || bytes[i] == '['))
            depth++;
        else if (!quoted && (bytes[i] == '}' || bytes[i] == ']'))
            depth--;
        if (depth > ALLOWLIST_DEPTH)
            return true;
    }
    return false;
}

static json_t *parse(const struct reading *r)
{
    json_error_t wrong;
    size_t length;
    char *bytes;
    json_t *root = NULL;
    int error = -whole_file_read(r->path, ALLOWLIST_BYTES, &bytes, &length);
    if (error) {
        error_set(r->err, ERROR_CONFIG, error, "%s: %s", r->path,
                  error == EFBIG ? "too long" : strerror(error));
        return NULL;
    }
    if (is_deep(bytes, length))
        error_set(r->err, ERROR_CONFIG, EINVAL, "%s: nested deeper than %d", r->path,
                  ALLOWLIST_DEPTH);
    else if (!(root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &wrong))) {
        /* it quotes the file */
        error_set(r->err, ERROR_CONFIG, EINVAL, "%s:%d: %s", r->path, wrong.line,
                  make_plain(wrong.text));
    }
    free(bytes);
    return root;
}

/* --- what is in it ---------------------------------------------------------------------------- */

static int refuse(const struct reading *r, const char *where, const char *what)
{
    return error_set(r->err, ERROR_CONFIG, EINVAL, "%s: %s%s", r->path, where, what);
}

/* An entry that is wrong, and maybe can be left out. */
static int complain(const struct reading *r, const char *where, const char *text,
                    const char *what)
{
    struct error err;
    int error = error_set(&err, ERROR_CONFIG, EINVAL, "%s: %s: \"%.60s\" %s", r->path,
                          where, text, what);
    make_plain(err.text);
    if (r->options->skip_bad) {
        r->list->skipped++;
        if (r->options->tell)
            r->options->tell(r->options->user, err.text);
        return 0;
    }
    if (r->err)
        *r->err = err;
    return error;
}

static int add(const struct reading *r, const char *where, const json_t *entry,
               uint32_t organization)
{
    struct prefix prefix;
    const char *text = json_string_value(entry);
    r->list->entries++;
    if (!text || prefix_parse(&prefix, text))
        return complain(r, where, text ? text : "what is no text",
                        "is no address and no prefix");
    if (prefix_clear(&prefix) && !r->options->mask)
        return complain(r, where, text, "has bits behind its prefix");
    int error = allowlist_add(r->list, &prefix, organization, r->options->max, r->err);
    if (error)
        error_prefix(r->err, "%s: %s: ", r->path, where);
    return error;
}

/* where: what the list is called, for messages. */
static int add_all(const struct reading *r, const char *where, const json_t *list,
                   uint32_t organization)
{
    char name[96];
    int error = 0;
    if (list && !json_is_array(list))
        return refuse(r, where, " is no list");
    for (size_t i = 0; i < json_array_size(list) && !error; i++) {
        snprintf(name, sizeof(name), "%s[%zu]", where, i + 1);
        error = add(r, name, json_array_get(list, i), organization);
    }
    return error;
}

static int add_organization(const struct reading *r, size_t number, const json_t *one)
{
    static const char *const lists[] = { "ips", "cidrs" };
    char where[64];
    int error = 0;
    snprintf(where, sizeof(where), "organizations[%zu]", number);
    const json_t *enabled = json_object_get(one, "enabled");
    const char *name = json_string_value(json_object_get(one, "name"));
    if (!name)
        return refuse(r, where, " has no name");
    if (enabled && !json_is_boolean(enabled))
        return refuse(r, where, ": enabled is neither true nor false");
    if (json_is_false(enabled))
        return 0;
    uint32_t organization = add_name(r->list, name);
    if (!organization)
        return refuse(r, where, ": no memory");
    for (int i = 0; i < 2 && !error; i++) {
        snprintf(where, sizeof(where), "organizations[%zu].%s", number, lists[i]);
        error = add_all(r, where, json_object_get(one, lists[i]), organization);
    }
    return error;
}

static int take(const struct reading *r, const json_t *root)
{
    const json_t *organizations = json_object_get(root, "organizations");
    const json_t *total = json_object_get(root, "total_ips");
    if (!json_is_object(root))
        return refuse(r, "", "no JSON object");
    if (organizations && !json_is_array(organizations))
        return refuse(r, "organizations", " is no list");
    if (total && !json_is_integer(total))
        return refuse(r, "total_ips", " is no number");
    r->list->total = json_integer_value(total);
    int error = add_all(r, "flat_ip_list", json_object_get(root, "flat_ip_list"), 0);
    if (r->options->flat_only)
        organizations = NULL;
    for (size_t i = 0; i < json_array_size(organizations) && !error; i++)
        error = add_organization(r, i + 1, json_array_get(organizations, i));
    return error;
}

static int read_json(const struct reading *r)
{
    json_t *root = parse(r);
    if (!root)
        return -EINVAL;
    int error = take(r, root);
    json_decref(root);
    return error;
}

/* --- any file ----------------------------------------------------------------------------------- */

static int read_lines(const struct reading *r)
{
    const struct prefix_file file = { .path = r->path,
                                      .max = r->options->max,
                                      .really = true };
    struct prefix_list lines;
    int error = prefix_file_read(&file, &lines, r->err);
    if (error)
        return error;
    r->list->entries += lines.count;
    for (size_t i = 0; i < lines.count && !error; i++)
        error = allowlist_add(r->list, &lines.prefixes[i], 0, r->options->max, r->err);
    prefix_list_clear(&lines);
    if (error)
        error_prefix(r->err, "%s: ", r->path);
    return error;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

int allowlist_read(struct allowlist *list, const char *path,
                   const struct allowlist_options *options, struct error *err)
{
    const struct reading r = { path, list, options, err };
    size_t before = allowlist_count(list), named = list->entries - list->skipped;
    int error = ends_with(path, ".json") ? read_json(&r) : read_lines(&r);
    list->added += allowlist_count(list) - before;
    if (error || options->allow_empty || list->entries - list->skipped > named)
        return error;
    return refuse(&r, "", "has no entries");
}
