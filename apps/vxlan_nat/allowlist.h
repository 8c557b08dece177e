/* allowlist: prefixes that may pass, and whose they are.
 *
 *   allowlist_add        one more
 *   allowlist_remove     one less
 *   allowlist_read       all of a file more, or why not
 *   allowlist_count      how many there are
 *   allowlist_name       whose one of them is
 *   allowlist_clear
 *
 * A file whose name ends in .json:
 *
 *     { "version": "1.0", "total_ips": 3,
 *       "organizations": [ { "name": "example", "ips": ["198.51.100.7"], "cidrs": ["203.0.113.0/24"],
 *                            "enabled": true, "note": "words" } ],
 *       "flat_ip_list": ["198.51.100.7", "203.0.113.0/24", "2001:db8::/32"] }
 *
 * What may pass is flat_ip_list and the organizations that are not disabled; what is not known is
 * ignored. Entries are exact: no bits behind a prefix, no leading zeros. An entry that stands there
 * twice is one, and the first organization's that names it. RFC 8259; text is UTF-8, nested up to
 * ALLOWLIST_DEPTH. Any other file is as lib/prefix_file.h has it.
 */
#pragma once
#include <stddef.h>

#include "lib/error.h"
#include "lib/prefix_set.h"

#define ALLOWLIST_BYTES (64u << 20)
#define ALLOWLIST_DEPTH 16

/* Zeros: an empty one. */
struct allowlist {
    struct prefix_set *set; /* with numbers of names; NULL: nothing may pass */
    char **names; /* of organizations; number 0 is nobody's, 1 is names[0] ... */
    uint32_t nnames;
    size_t entries, skipped; /* of files: that were named, that were left out */
    size_t added;            /* that were not there before */
    long long total;         /* what the file says that it has; 0: nothing */
};

struct allowlist_options {
    size_t max;       /* of prefixes */
    bool flat_only;   /* organizations do not matter */
    bool mask;        /* bits behind a prefix are cleared */
    bool skip_bad;    /* what is wrong is left out */
    bool allow_empty; /* without entries it is right as well */
    /* told of all that is wrong, when it is left out; or NULL */
    void (*tell)(void *user, const char *problem);
    void *user;
};

/* organization: a number. -ENOSPC, -ENOMEM. */
int allowlist_add(struct allowlist *list, const struct prefix *prefix,
                  uint32_t organization, size_t max, struct error *err);

/* False when it was not there. */
bool allowlist_remove(struct allowlist *list, const struct prefix *prefix);

/* On an error the list is what it was or more, and the message names the place: `allow.json:
 * organizations[2].cidrs[1]: "10.0.0.1/8" has bits behind its prefix`. */
int allowlist_read(struct allowlist *list, const char *path,
                   const struct allowlist_options *options, struct error *err);

size_t allowlist_count(const struct allowlist *list);

/* NULL: nobody's. */
const char *allowlist_name(const struct allowlist *list, uint32_t organization);

void allowlist_clear(struct allowlist *list);
