/* mac: an Ethernet address as text.
 *
 *   mac_parse     "02:00:00:00:42:02"; digits of either case, one or two of each byte
 *   mac_format    the same back: two digits of each byte, lower case
 *
 * IEEE 802, 8.1.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define MAC_TEXT_SIZE 18 /* with its NUL */

/* False when it is no such text; mac may have changed then. */
bool mac_parse(uint8_t mac[6], const char *text);

/* Returns text. */
char *mac_format(const uint8_t mac[6], char text[MAC_TEXT_SIZE]);
