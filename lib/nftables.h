/* nftables: a table of ours in the kernel's packet filter.
 *
 *   nftables_open       a table, as yet only a name
 *   nftables_chain      put into the next batch: a chain
 *   nftables_flush      ... the end of all rules that there are
 *   nftables_rule       ... a rule at the end of a chain, of the expressions that follow
 *   nftables_meta, nftables_payload, nftables_fragment_header     load something of a packet
 *   nftables_mask                              ... and leave some of its bits
 *   nftables_compare                           the rule ends unless that is so
 *   nftables_has_socket                        ... unless a socket of this host is to have the packet
 *   nftables_verdict, nftables_masquerade      what becomes of it
 *   nftables_commit     the kernel takes the batch
 *   nftables_close
 *
 *     nftables_chain(table, "in", &(struct nftables_hook){ "filter", NF_INET_PRE_ROUTING, 0 });
 *     nftables_rule(table, "in");
 *     nftables_meta(table, NFT_META_L4PROTO);
 *     nftables_compare(table, NFT_CMP_EQ, &(uint8_t){ IPPROTO_UDP }, 1);
 *     nftables_verdict(table, NF_DROP, NULL);
 *     error = nftables_commit(table, err);
 *
 * All of a batch holds from one packet to the next, or none of it. The table belongs to our netlink
 * socket (NFT_TABLE_F_OWNER, Linux 5.12): nobody else can change it, and it goes with the process,
 * however that ends. It is of the network namespace of the thread that opened it; tables of others are
 * not touched, and may still refuse what passes here.
 *
 * Sources: linux/netfilter/nf_tables.h, nfnetlink.h; netlink(7); net/netfilter/nft_socket.c.
 */
#pragma once
#include <netinet/in.h> /* in front of linux/netfilter.h, whose own then stays away */

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct nftables;

struct nftables_hook {
    const char *type; /* filter, nat */
    uint32_t number;  /* NF_INET_PRE_ROUTING ... */
    int32_t priority;
};

/* family: NFPROTO_IPV4, NFPROTO_INET. NULL on error. */
struct nftables *nftables_open(uint8_t family, struct error *err);
void nftables_close(struct nftables *table); /* or NULL */

/* hook: or NULL, for a chain that others lead to. One that is there stays, with its rules. */
void nftables_chain(struct nftables *table, const char *name,
                    const struct nftables_hook *hook);
void nftables_flush(struct nftables *table);
void nftables_rule(struct nftables *table, const char *chain);

/* key: NFT_META_IIFNAME ... */
void nftables_meta(struct nftables *table, uint32_t key);
/* base: NFT_PAYLOAD_NETWORK_HEADER ...; a fragment that is not the first has no transport header, but the
 * rule may go on with other bytes of it (Linux 6.18): such are to be told apart before. */
void nftables_payload(struct nftables *table, uint32_t base, uint32_t offset,
                      uint32_t size);
/* Of IPv6; the rule ends where there is none. */
void nftables_fragment_header(struct nftables *table, uint32_t offset, uint32_t size);
/* Of what was loaded last, and size bytes, up to 16. */
void nftables_mask(struct nftables *table, const void *mask, size_t size);
/* op: NFT_CMP_EQ ..., of what was loaded last and size bytes, up to 16, as they are in a packet. */
void nftables_compare(struct nftables *table, uint32_t op, const void *value,
                      size_t size);
/* Bound to whatever address, open, half open or closing. */
void nftables_has_socket(struct nftables *table);
/* code: NF_ACCEPT, NF_DROP, or NFT_GOTO with its chain. */
void nftables_verdict(struct nftables *table, int code, const char *chain);
void nftables_masquerade(struct nftables *table);

/* The batch is over, whatever comes of it. -EMSGSIZE: it is too long (64 KiB, or 1 KiB of a rule);
 * -EOPNOTSUPP, -ENOENT: the kernel has no nftables, or no such expression. */
int nftables_commit(struct nftables *table, struct error *err);
