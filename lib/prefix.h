/* prefix: an IPv4 or IPv6 address with the number of bits that name its network.
 *
 *   prefix_parse      "192.0.2.1/24", "2001:db8::/32", "192.0.2.1"
 *   prefix_format     the same back
 *   prefix_short      the same, a whole address without its /BITS
 *   prefix_is_wide    so many addresses that it is likely a slip
 *   prefix_clear      without the bits behind it
 *   prefix_contains   is an address in the network?
 *   prefix_size       bytes of an address: 4 or 16
 *   prefix_mapped     as one of IPv6 whatever its family
 *   prefix_unmapped   and back
 *
 * The address keeps its bits behind the prefix, as that of an interface does; they do not
 * matter for what it contains. RFC 4291 2.2, 2.3; RFC 4632 3.1.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREFIX_TEXT_SIZE 50 /* of the longest, with its NUL */

struct prefix {
    int family; /* AF_INET, AF_INET6 */
    uint8_t bits;
    uint8_t address[16]; /* in the order of the wire; zeros behind one of IPv4 */
};

/* Without /BITS it is all of the address. Any text may come in; -EINVAL when it is anything
 * else, with prefix as it was. */
int prefix_parse(struct prefix *prefix, const char *text);

/* Returns text, PREFIX_TEXT_SIZE bytes. /BITS is always there. */
char *prefix_format(const struct prefix *prefix, char *text);

char *prefix_short(const struct prefix *prefix, char *text);

/* Shorter than PREFIX_WIDE_IPV4 or PREFIX_WIDE_IPV6 bits: in a list of networks a slip of the
 * hand, or an attack. */
#define PREFIX_WIDE_IPV4 8
#define PREFIX_WIDE_IPV6 16
bool prefix_is_wide(const struct prefix *prefix);

/* Zeros behind the prefix. False when there were none but zeros. */
bool prefix_clear(struct prefix *prefix);

/* address: prefix_size bytes of that family; one of the other family is not contained. */
bool prefix_contains(const struct prefix *prefix, int family, const void *address);
size_t prefix_size(const struct prefix *prefix);

/* For tables of both families: the address in 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291
 * 2.5.5.2), with zeros behind the prefix. Returns its bits, 0..128; those of IPv4 are 96
 * and more. */
unsigned prefix_mapped(const struct prefix *prefix, uint8_t address[16]);

/* A prefix within ::ffff:0:0/96 is one of IPv4, also if it was written as one of IPv6. */
struct prefix prefix_unmapped(const uint8_t address[16], unsigned bits);
