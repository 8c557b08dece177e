/* prefix: an IPv4 or IPv6 address with the number of bits that name its network. */
#include "lib/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BITS 96
static const uint8_t mapped[16] = { [10] = 0xff, 0xff };

/* Decimal digits and nothing else; -1 when it is something else, or more than most. */
static int parse_bits(const char *text, int most)
{
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 3 || text[digits])
        return -1;
    int bits = atoi(text);
    return bits <= most ? bits : -1;
}

int prefix_parse(struct prefix *prefix, const char *text)
{
    char address[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "/");
    if (length >= sizeof(address))
        return -EINVAL;
    memcpy(address, text, length);
    address[length] = 0;
    struct prefix parsed = { .family = strchr(address, ':') ? AF_INET6 : AF_INET };
    int most = (int)prefix_size(&parsed) * 8;
    int bits = text[length] ? parse_bits(text + length + 1, most) : most;
    if (bits < 0 || inet_pton(parsed.family, address, parsed.address) != 1)
        return -EINVAL;
    parsed.bits = (uint8_t)bits;
    *prefix = parsed;
    return 0;
}

char *prefix_format(const struct prefix *prefix, char *text)
{
    inet_ntop(prefix->family, prefix->address, text, PREFIX_TEXT_SIZE);
    size_t used = strlen(text);
    snprintf(text + used, PREFIX_TEXT_SIZE - used, "/%u", prefix->bits);
    return text;
}

char *prefix_short(const struct prefix *prefix, char *text)
{
    prefix_format(prefix, text);
    if (prefix->bits == prefix_size(prefix) * 8)
        *strchr(text, '/') = 0;
    return text;
}

bool prefix_is_wide(const struct prefix *prefix)
{
    return prefix->bits <
           (prefix->family == AF_INET ? PREFIX_WIDE_IPV4 : PREFIX_WIDE_IPV6);
}

bool prefix_clear(struct prefix *prefix)
{
    bool had = false;
    for (unsigned bit = prefix->bits; bit < 8 * prefix_size(prefix); bit++) {
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        had |= prefix->address[bit / 8] & mask;
        prefix->address[bit / 8] &= (uint8_t)~mask;
    }
    return had;
}

bool prefix_contains(const struct prefix *prefix, int family, const void *address)
{
    const uint8_t *other = address;
    size_t whole = prefix->bits / 8;
    unsigned rest = prefix->bits % 8;
    if (family != prefix->family || memcmp(other, prefix->address, whole))
        return false;
    return !rest || !((other[whole] ^ prefix->address[whole]) >> (8 - rest));
}

size_t prefix_size(const struct prefix *prefix)
{
    return prefix->family == AF_INET ? 4 : 16;
}

unsigned prefix_mapped(const struct prefix *prefix, uint8_t address[16])
{
    size_t size = prefix_size(prefix);
    unsigned bits = prefix->bits + 8 * (16 - (unsigned)size);
    memcpy(address, mapped, 16);
    memcpy(address + 16 - size, prefix->address, size);
    for (unsigned byte = (bits + 7) / 8; byte < 16; byte++)
        address[byte] = 0;
    if (bits % 8)
        address[bits / 8] &= (uint8_t)(0xff00 >> bits % 8);
    return bits;
}

struct prefix prefix_unmapped(const uint8_t address[16], unsigned bits)
{
    struct prefix prefix = { .family = AF_INET6 };
    size_t skip = 0;
    if (bits >= MAPPED_BITS && !memcmp(address, mapped, MAPPED_BITS / 8)) {
        prefix.family = AF_INET;
        skip = MAPPED_BITS / 8;
    }
    prefix.bits = (uint8_t)(bits - 8 * skip);
    memcpy(prefix.address, address + skip, 16 - skip);
    return prefix;
}
