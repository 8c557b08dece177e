/* units: quantities as people write them. */
#include "lib/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    double factor;
};

static const struct unit durations[] = {
    { "", 1e9 },     { "s", 1e9 },     { "sec", 1e9 }, { "ms", 1e6 }, { "msec", 1e6 },
    { "us", 1e3 },   { "usec", 1e3 },  { "ns", 1 },    { "nsec", 1 }, { "min", 60e9 },
    { "h", 3600e9 }, { "d", 86400e9 }, { NULL, 0 },
};

static const struct unit rates[] = {
    { "", 1 },
    { "bit", 1 },
    { "kbit", 1e3 },
    { "mbit", 1e6 },
    { "gbit", 1e9 },
    { "tbit", 1e12 },
    { "kibit", 1024 },
    { "mibit", 0x1p20 },
    { "gibit", 0x1p30 },
    { "bps", 8 },
    { "kbps", 8e3 },
    { "mbps", 8e6 },
    { "gbps", 8e9 },
    { "kibps", 8 * 1024 },
    { "mibps", 8 * 0x1p20 },
    { "gibps", 8 * 0x1p30 },
    { NULL, 0 },
};

static const struct unit sizes[] = {
    { "", 1 },       { "b", 1 },       { "k", 1024 },     { "kb", 1024 },
    { "kib", 1024 }, { "m", 0x1p20 },  { "mb", 0x1p20 },  { "mib", 0x1p20 },
    { "g", 0x1p30 }, { "gb", 0x1p30 }, { "gib", 0x1p30 }, { NULL, 0 },
};

/* A decimal number at the front of text; *end is what follows it. strtod alone would take
 * hexadecimal, "inf" and "nan" too. */
static int decimal(const char *text, double *number, const char **end)
{
    const char *first = *text == '-' || *text == '+' ? text + 1 : text;
    if (!isdigit((unsigned char)*first) &&
        !(*first == '.' && isdigit((unsigned char)first[1])))
        return -EINVAL;
    if (*first == '0' && (first[1] == 'x' || first[1] == 'X'))
        return -EINVAL;
    char *stop;
    *number = strtod(text, &stop);
    *end = stop;
    return isfinite(*number) ? 0 : -ERANGE;
}

static int scaled(const char *text, const struct unit *units, uint64_t *out)
{
    double number;
    const char *end;
    int error = decimal(text, &number, &end);
    if (error)
        return error;
    for (; units->name; units++) {
        if (strcasecmp(end, units->name))
            continue;
        double value = number * units->factor;
        if (value < 0 || value >= 0x1p64)
            return -ERANGE;
        *out = (uint64_t)llrint(value < 0x1p62 ? value : 0);
        if (value >= 0x1p62)
            *out = (uint64_t)value;
        return 0;
    }
    return -EINVAL;
}

int units_parse_number(const char *text, double *number)
{
    const char *end;
    int error = decimal(text, number, &end);
    return error ? error : *end ? -EINVAL : 0;
}

int units_parse_integer(const char *text, int64_t *number)
{
    const char *first = *text == '-' ? text + 1 : text;
    if (!isdigit((unsigned char)*first))
        return -EINVAL;
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return *end ? -EINVAL : -errno;
}

int units_parse_duration(const char *text, uint64_t *ns)
{
    return scaled(text, durations, ns);
}

int units_parse_rate(const char *text, uint64_t *bits_per_second)
{
    return scaled(text, rates, bits_per_second);
}

int units_parse_size(const char *text, uint64_t *bytes)
{
    return scaled(text, sizes, bytes);
}

int units_parse_percent(const char *text, double *fraction)
{
    const char *end;
    int error = decimal(text, fraction, &end);
    if (error)
        return error;
    if (!strcmp(end, "%"))
        *fraction /= 100;
    else if (*end)
        return -EINVAL;
    return 0;
}

/* A duration has its unit, "100p" is packets, everything else is a size. */
int units_parse_limit(const char *text, struct limit *limit)
{
    memset(limit, 0, sizeof(*limit));
    double number;
    const char *end;
    int error = decimal(text, &number, &end);
    if (error)
        return error;
    if (!strcasecmp(end, "p") || !strcasecmp(end, "packets")) {
        static const struct unit packets[] = { { "p", 1 },
                                               { "packets", 1 },
                                               { NULL, 0 } };
        return scaled(text, packets, &limit->packets);
    }
    error = *end ? scaled(text, sizes, &limit->bytes) : -EINVAL;
    return *end && error == -EINVAL ? scaled(text, durations, &limit->ns) : error;
}

/* A decimal number at *text, which then points behind it. */
static int set_member(const char **text, unsigned *number)
{
    if (!isdigit((unsigned char)**text))
        return -EINVAL;
    for (*number = 0; isdigit((unsigned char)**text); (*text)++)
        if ((*number = *number * 10 + (unsigned)(**text - '0')) > 63)
            return -ERANGE;
    return 0;
}

int units_parse_set(const char *text, uint64_t *set)
{
    bool all = !strcmp(text, "all");
    *set = all ? UINT64_MAX : 0;
    if (all)
        return 0;
    for (;; text++) {
        unsigned low, high;
        int error = set_member(&text, &low);
        high = low;
        if (!error && *text == '-') {
            text++;
            error = set_member(&text, &high);
        }
        if (error || high < low)
            return error ? error : -EINVAL;
        *set |= (UINT64_MAX >> (63 - (high - low))) << low;
        if (*text != ',')
            return *text ? -EINVAL : 0;
    }
}

int units_duration_from_seconds(double seconds, uint64_t *ns)
{
    if (!(seconds >= 0 && seconds < 0x1p63 / 1e9))
        return -ERANGE;
    *ns = (uint64_t)llrint(seconds * 1e9);
    return 0;
}

/* In the largest unit that needs at most so many decimals; units go from the largest to
 * one of factor 1. Nothing is rounded. */
static const char *print(char *text, size_t size, uint64_t value,
                         const struct unit *units, int decimals)
{
    uint64_t factor = (uint64_t)units->factor, shift = 1;
    for (int i = 0; i < decimals; i++)
        shift *= 10;
    while (factor > 1 && (value < factor || value % factor * shift % factor))
        factor = (uint64_t)(++units)->factor;
    char fraction[16];
    int end = snprintf(fraction, sizeof(fraction), ".%0*" PRIu64, decimals,
                       value % factor * shift / factor);
    while (end && (fraction[end - 1] == '0' || fraction[end - 1] == '.'))
        fraction[--end] = 0;
    snprintf(text, size, "%" PRIu64 "%s%s", value / factor, fraction, units->name);
    return text;
}

const char *units_format_duration(char *text, size_t size, uint64_t ns)
{
    static const struct unit units[] = {
        { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 }
    };
    static const struct unit zero[] = { { "s", 1 } };
    return print(text, size, ns, ns ? units : zero, 6);
}

const char *units_format_percent(char *text, size_t size, double fraction)
{
    snprintf(text, size, "%.9g%%", fraction * 100);
    return text;
}

const char *units_format_rate(char *text, size_t size, uint64_t bits_per_second)
{
    static const struct unit units[] = {
        { "gbit", 1e9 }, { "mbit", 1e6 }, { "kbit", 1e3 }, { "bit", 1 }
    };
    return print(text, size, bits_per_second, units, 6);
}

const char *units_format_size(char *text, size_t size, uint64_t bytes)
{
    static const struct unit units[] = {
        { "GB", 0x1p30 }, { "MB", 0x1p20 }, { "KB", 1024 }, { "b", 1 }
    };
    return print(text, size, bytes, units, 1);
}

const char *units_format_limit(char *text, size_t size, const struct limit *limit)
{
    if (limit->packets)
        snprintf(text, size, "%" PRIu64 "p", limit->packets);
    else if (limit->bytes)
        return units_format_size(text, size, limit->bytes);
    else
        return units_format_duration(text, size, limit->ns);
    return text;
}

const char *units_format_set(char *text, size_t size, uint64_t set)
{
    size_t used = 0;
    if (size)
        *text = 0;
    if (set == UINT64_MAX) {
        snprintf(text, size, "all");
        return text;
    }
    for (unsigned low = 0, high; low < 64; low = high + 1) {
        high = low;
        if (!(set >> low & 1))
            continue;
        while (high < 63 && set >> (high + 1) & 1)
            high++;
        used +=
            (size_t)snprintf(text + used, used < size ? size - used : 0,
                             high > low ? "%s%u-%u" : "%s%u", used ? "," : "", low, high);
    }
    return text;
}
