/* masquerade: a network behind this one, by nftables. */
#include "lib/masquerade.h"

#include "lib/error.h"
#include "lib/nftables.h"

#define CHAIN     "postrouting"
#define PRIORITY  100 /* NF_IP_PRI_NAT_SRC */
#define SOURCE_AT 12  /* of the source address in an IPv4 header */

/* ip saddr FIRST.SECOND.0.0/16 masquerade */
struct nftables *masquerade_open(uint8_t first, uint8_t second, struct error *err)
{
    const uint8_t network[2] = { first, second };
    const struct nftables_hook hook = { "nat", NF_INET_POST_ROUTING, PRIORITY };
    struct nftables *table = nftables_open(NFPROTO_IPV4, err);
    if (table) {
        nftables_chain(table, CHAIN, &hook);
        nftables_rule(table, CHAIN);
        nftables_payload(table, NFT_PAYLOAD_NETWORK_HEADER, SOURCE_AT, sizeof(network));
        nftables_compare(table, NFT_CMP_EQ, network, sizeof(network));
        nftables_masquerade(table);
        if (!nftables_commit(table, err))
            return table;
    }
    nftables_close(table);
    error_prefix(err, "cannot masquerade: ");
    return NULL;
}
