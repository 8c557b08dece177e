/* program: a classic BPF program written as text. */
#include "apps/raw_socket/program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A decimal number up to most, and whichever of ends comes behind it. */
static bool number(const char **at, const char *ends, uint64_t most, uint32_t *out)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(*at, &end, 10);
    if (errno || value > most || !strchr(ends, *end))
        return false;
    *out = (uint32_t)value;
    *at = *end ? end + 1 : end;
    return true;
}

int program_parse(const char *text, struct sock_filter *code)
{
    uint32_t count, word, jt, jf, k;
    if (!number(&text, ",\n", PROGRAM_MAX, &count) || !count)
        return -EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        if (!number(&text, " ", UINT16_MAX, &word) ||
            !number(&text, " ", UINT8_MAX, &jt) || !number(&text, " ", UINT8_MAX, &jf) ||
            !number(&text, ",\n", UINT32_MAX, &k))
            return -EINVAL;
        code[i] = (struct sock_filter){ (uint16_t)word, (uint8_t)jt, (uint8_t)jf, k };
    }
    return *text ? -EINVAL : (int)count;
}
