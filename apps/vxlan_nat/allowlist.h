/* allowlist: prefixes that may pass, from a JSON file.
 *
 *   allowlist_read     all of a file, or nothing and why
 *
 *     { "version": "1.0", "total_ips": 3,
 *       "organizations": [ { "name": "example", "ips": ["198.51.100.7"], "cidrs": ["203.0.113.0/24"],
 *                            "enabled": true, "note": "words" } ],
 *       "flat_ip_list": ["198.51.100.7", "203.0.113.0/24", "2001:db8::/32"] }
 *
 * What may pass is flat_ip_list and the organizations that are not disabled; what is not known is
 * ignored. Entries are exact: no bits behind a prefix, no leading zeros. An entry that stands there
 * twice is one. RFC 8259; text is UTF-8, nested up to ALLOWLIST_DEPTH.
 */
#pragma once
#include <stddef.h>

#include "lib/error.h"
#include "lib/prefix_set.h"

#define ALLOWLIST_BYTES (64u << 20)
#define ALLOWLIST_DEPTH 16

struct allowlist {
    size_t entries;  /* that were named, the same one maybe twice */
    size_t prefixes; /* of them differed */
    long long total; /* what the file says that it has; -1: nothing */
};

/* Adds to *set, which is made when it is NULL. On an error it is what it was or more, and the
 * message names the place: `allow.json: organizations[2].cidrs[1]: "10.0.0.1/8" has bits ...`. */
int allowlist_read(const char *path, struct prefix_set **set, struct allowlist *facts,
                   struct error *err);
