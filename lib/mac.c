/* mac: an Ethernet address as text. */
#include "lib/mac.h"

#include <stdio.h>

bool mac_parse(uint8_t mac[6], const char *text)
{
    int used = 0;
    return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1],
                  &mac[2], &mac[3], &mac[4], &mac[5], &used) == 6 &&
           !text[used];
}

char *mac_format(const uint8_t mac[6], char text[MAC_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef"; /* for every neighbour: no printf */
    for (unsigned i = 0; i < 6; i++) {
        text[3 * i] = digits[mac[i] >> 4];
        text[3 * i + 1] = digits[mac[i] & 15];
        text[3 * i + 2] = i < 5 ? ':' : 0;
    }
    return text;
}
