/* units: quantities as people write them, "50ms", "1.5%", "10mbit", "64KB", "100p".
 *
 *   units_parse_*     text to a number in the base unit
 *   units_format_*    the number as text that the parser reads back
 *
 * Spelling and meaning are those of iproute2's tc: kbit is 1000 bit/s, kibit 1024, kbps
 * 1000 bytes/s, and a size's k is 1024 bytes. A number without a unit is in the base
 * unit: seconds, bits per second, bytes, and 0..1 for a percentage. Parsers return 0,
 * -EINVAL (not such a quantity) or -ERANGE (does not fit); surrounding blanks are not
 * accepted.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* A length of queue: exactly one of the three is not 0 (or all are: no limit given). */
struct limit {
    uint64_t ns;
    uint64_t bytes;
    uint64_t packets;
};

int units_parse_number(const char *text, double *number);
int units_parse_integer(const char *text, int64_t *number);
int units_parse_duration(const char *text, uint64_t *ns);
int units_parse_percent(const char *text, double *fraction);
int units_parse_rate(const char *text, uint64_t *bits_per_second);
int units_parse_size(const char *text, uint64_t *bytes);
int units_parse_limit(const char *text, struct limit *limit);

/* Numbers 0 to 63 as bits: "0", "1,3", "0-3,8"; "all" is every bit. */
int units_parse_set(const char *text, uint64_t *set);

/* Seconds as a plain number to ns; -ERANGE when negative or beyond 584 years. */
int units_duration_from_seconds(double seconds, uint64_t *ns);

/* Each writes at most size bytes with the final 0 and returns the text. */
const char *units_format_duration(char *text, size_t size, uint64_t ns);
const char *units_format_percent(char *text, size_t size, double fraction);
const char *units_format_rate(char *text, size_t size, uint64_t bits_per_second);
const char *units_format_size(char *text, size_t size, uint64_t bytes);
const char *units_format_limit(char *text, size_t size, const struct limit *limit);
const char *units_format_set(char *text, size_t size, uint64_t set);
