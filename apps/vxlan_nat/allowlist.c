/* allowlist: prefixes that may pass, from a JSON file. */
#include "apps/vxlan_nat/allowlist.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const char *path;
    struct prefix_set **set;
    struct allowlist *facts;
    struct error *err;
};

/* --- the file -------------------------------------------------------------------------------- */

/* All of it, to be freed, or NULL. */
static char *read_bytes(const struct reading *r, size_t *length)
{
    FILE *file = fopen(r->path, "re");
    char *bytes = NULL;
    size_t room = 0, got = 1;
    *length = 0;
    while (file && got && *length <= ALLOWLIST_BYTES) {
        if (room - *length < 65536) {
            char *more = realloc(bytes, room = 2 * room + 65536);
            if (!more)
                break;
            bytes = more;
        }
        got = fread(bytes + *length, 1, 65536, file);
        *length += got;
    }
    int error = !file || ferror(file) ? errno : 0;
    if (file)
        fclose(file);
    if (!error && !got)
        return bytes;
    free(bytes);
    error_set(r->err, ERROR_CONFIG, error ? error : EFBIG, "%s: %s", r->path,
              error ? strerror(error) : "too long");
    return NULL;
}

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
    char *bytes = read_bytes(r, &length);
    json_t *root = NULL;
    if (!bytes)
        return NULL;
    if (is_deep(bytes, length))
        error_set(r->err, ERROR_CONFIG, EINVAL, "%s: nested deeper than %d", r->path,
                  ALLOWLIST_DEPTH);
    else if (!(root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &wrong))) {
        for (char *at = wrong.text; *at; at++) /* it quotes the file */
            *at = *at >= ' ' && *at <= '~' ? *at : '?';
        error_set(r->err, ERROR_CONFIG, EINVAL, "%s:%d: %s", r->path, wrong.line,
                  wrong.text);
    }
    free(bytes);
    return root;
}

/* --- what is in it ---------------------------------------------------------------------------- */

static int refuse(const struct reading *r, const char *where, const char *what)
{
    return error_set(r->err, ERROR_CONFIG, EINVAL, "%s: %s%s", r->path, where, what);
}

static bool has_host_bits(const struct prefix *prefix)
{
    for (unsigned bit = prefix->bits; bit < 8 * prefix_size(prefix); bit++)
        if (prefix->address[bit / 8] >> (7 - bit % 8) & 1)
            return true;
    return false;
}

static int add(const struct reading *r, const char *where, const json_t *entry)
{
    struct prefix prefix;
    char what[128];
    const char *text = json_string_value(entry);
    if (!text || prefix_parse(&prefix, text)) {
        snprintf(what, sizeof(what), ": \"%.60s\" is no address and no prefix",
                 text ? text : "what is no text");
        return refuse(r, where, what);
    }
    if (has_host_bits(&prefix)) {
        snprintf(what, sizeof(what), ": \"%.60s\" has bits behind its prefix", text);
        return refuse(r, where, what);
    }
    if (!*r->set)
        *r->set = prefix_set_new();
    r->facts->entries++;
    if (!*r->set)
        return refuse(r, where, ": no memory");
    r->facts->prefixes += !prefix_set_find(*r->set, &prefix, NULL);
    return prefix_set_insert(*r->set, &prefix, 0) ? refuse(r, where, ": no room for more")
                                                  : 0;
}

/* where: what the list is called, for messages. */
static int add_all(const struct reading *r, const char *where, const json_t *list)
{
    char name[96];
    int error = 0;
    if (list && !json_is_array(list))
        return refuse(r, where, " is no list");
    for (size_t i = 0; i < json_array_size(list) && !error; i++) {
        snprintf(name, sizeof(name), "%s[%zu]", where, i + 1);
        error = add(r, name, json_array_get(list, i));
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
    if (!json_is_object(one) || !json_is_string(json_object_get(one, "name")))
        return refuse(r, where, " has no name");
    if (enabled && !json_is_boolean(enabled))
        return refuse(r, where, ": enabled is neither true nor false");
    for (int i = 0; i < 2 && !error && !json_is_false(enabled); i++) {
        snprintf(where, sizeof(where), "organizations[%zu].%s", number, lists[i]);
        error = add_all(r, where, json_object_get(one, lists[i]));
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
    r->facts->total = total ? json_integer_value(total) : -1;
    int error = add_all(r, "flat_ip_list", json_object_get(root, "flat_ip_list"));
    for (size_t i = 0; i < json_array_size(organizations) && !error; i++)
        error = add_organization(r, i + 1, json_array_get(organizations, i));
    return error || r->facts->entries ? error : refuse(r, "", "has no entries");
}

int allowlist_read(const char *path, struct prefix_set **set, struct allowlist *facts,
                   struct error *err)
{
    const struct reading r = { path, set, facts, err };
    *facts = (struct allowlist){ .total = -1 };
    json_t *root = parse(&r);
    if (!root)
        return -EINVAL;
    int error = take(&r, root);
    json_decref(root);
    return error;
}
