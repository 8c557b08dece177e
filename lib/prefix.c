/* prefix: an IPv4 or IPv6 address with the number of bits that name its network. */
#include "lib/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
