/* masquerade: a network behind this one, by nftables.
 *
 *   masquerade_open   what comes from the network leaves with an address of ours
 *
 * Until nftables_close, or the end of the process. Of the network namespace of the calling thread.
 */
#pragma once
#include <stdint.h>

struct error;

/* Of addresses that begin with the bytes first.second: a /16. NULL on error. */
struct nftables *masquerade_open(uint8_t first, uint8_t second, struct error *err);
