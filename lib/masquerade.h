/* masquerade: a network behind this one, by nftables.
 *
 *   masquerade_open    what comes from the network leaves with an address of ours
 *   masquerade_close   no more
 *
 * Done with a table that belongs to our netlink socket (NFT_TABLE_F_OWNER, Linux 5.12): it
 * goes with the process, however that ends. Of the network namespace of the calling
 * thread; tables of others are not touched, and may still refuse what passes here.
 *
 * Sources: linux/netfilter/nf_tables.h, nfnetlink.h; netlink(7).
 */
#pragma once
#include <stdint.h>

struct error;

/* Of addresses that begin with the bytes first.second: a /16. Returns a descriptor, or
 * -EOPNOTSUPP where the kernel has no nftables. */
int masquerade_open(uint8_t first, uint8_t second, struct error *err);
void masquerade_close(int fd); /* or -1 */
