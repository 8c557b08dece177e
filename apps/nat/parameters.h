/* parameters: of a Nat.
 *
 *   nat_params          the rows
 *   nat_settings_read   those that are text, read
 *   nat_verify          can they be read?
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/param.h"

#define REBINDS_MAX 64

enum filtering { BY_NOTHING, BY_ADDRESS, BY_ADDRESS_AND_PORT };
enum refresh { REFRESH_OUTBOUND, REFRESH_BOTH };

struct nat_conf {
    char *address, *address6, *ports;
    struct value rebind_at;
    uint64_t rebind_period; /* ns */
    int64_t generation;
    uint64_t udp_timeout, icmp_timeout, tcp_timeout, tcp_transitory_timeout; /* ns */
    int refresh, filtering;
    int64_t max_mappings, seed;
};

/* What of it is read from text. */
struct nat_settings {
    bool given4, given6;
    uint8_t address4[4], address6[16];
    uint16_t low, high;
    uint64_t rebinds[REBINDS_MAX]; /* ns after the start */
    uint32_t nrebinds;
};

extern const struct param nat_params[];

int nat_settings_read(const struct nat_conf *conf, struct nat_settings *settings,
                      struct error *err);
int nat_verify(const void *conf, struct error *err);
