/* guard: sessions with addresses of this host, which the kernel is not to refuse. */
#include "apps/vxlan_nat/guard.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/nftables.h"

#define CHAIN     "prerouting"
#define ANSWERS   "answers"
#define AFTER_NAT -90 /* NF_IP_PRI_NAT_DST, and a little */

/* --- what is there --------------------------------------------------------------------- */

static bool knows(const struct guard *guard, const uint8_t address[16])
{
    for (uint32_t i = 0; i < guard->count; i++)
        if (!memcmp(guard->addresses[i], address, 16))
            return true;
    return false;
}

/* False when there is no room. */
static bool add_all(struct guard *guard, const struct snat *snat)
{
    for (int six = 0; six < 2; six++)
        for (uint32_t i = 0; i < snat->count[six]; i++) {
            if (knows(guard, snat->addresses[six][i]))
                continue;
            if (guard->count == GUARD_ADDRESSES)
                return false;
            memcpy(guard->addresses[guard->count++], snat->addresses[six][i], 16);
        }
    return true;
}

/* --- rules ------------------------------------------------------------------------------- */

/* iifname != IFNAME accept */
static void pass_other_interfaces(struct nftables *table, const char *ifname)
{
    char name[IFNAMSIZ] = { 0 };
    snprintf(name, sizeof(name), "%s", ifname);
    nftables_rule(table, CHAIN);
    nftables_meta(table, NFT_META_IIFNAME);
    nftables_compare(table, NFT_CMP_NEQ, name, sizeof(name));
    nftables_verdict(table, NF_ACCEPT, NULL);
}

static void of_family(struct nftables *table, uint8_t family)
{
    nftables_meta(table, NFT_META_NFPROTO);
    nftables_compare(table, NFT_CMP_EQ, &family, 1);
}

/* ip daddr ADDRESS goto answers */
static void take_address(struct nftables *table, const uint8_t address[16])
{
    bool four = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address);
    uint32_t size = four ? 4 : 16;
    nftables_rule(table, CHAIN);
    of_family(table, four ? NFPROTO_IPV4 : NFPROTO_IPV6);
    nftables_payload(table, NFT_PAYLOAD_NETWORK_HEADER, four ? 16 : 24, size);
    nftables_compare(table, NFT_CMP_EQ, address + 16 - size, size);
    nftables_verdict(table, NFT_GOTO, ANSWERS);
}

/* ip frag-off & MASK != 0 accept: without ports, and without its beginning nothing comes of it */
static void pass_later_fragments(struct nftables *table, uint8_t family)
{
    const uint16_t mask = htons(family == NFPROTO_IPV4 ? 0x1fff : 0xfff8), first = 0;
    nftables_rule(table, ANSWERS);
    of_family(table, family);
    if (family == NFPROTO_IPV4)
        nftables_payload(table, NFT_PAYLOAD_NETWORK_HEADER, 6, sizeof(mask));
    else
        nftables_fragment_header(table, 2, sizeof(mask));
    nftables_mask(table, &mask, sizeof(mask));
    nftables_compare(table, NFT_CMP_NEQ, &first, sizeof(first));
    nftables_verdict(table, NF_ACCEPT, NULL);
}

/* meta l4proto != { tcp, udp } accept */
static void pass_other_protocols(struct nftables *table)
{
    static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
    nftables_rule(table, ANSWERS);
    nftables_meta(table, NFT_META_L4PROTO);
    for (size_t i = 0; i < sizeof(protocols); i++)
        nftables_compare(table, NFT_CMP_NEQ, protocols + i, 1);
    nftables_verdict(table, NF_ACCEPT, NULL);
}

/* socket exists accept */
static void pass_sockets(struct nftables *table)
{
    nftables_rule(table, ANSWERS);
    nftables_has_socket(table);
    nftables_verdict(table, NF_ACCEPT, NULL);
}

/* th dport FIRST-LAST drop */
static void drop_ports(struct nftables *table, uint16_t first, uint16_t last)
{
    const uint16_t least = htons(first), most = htons(last);
    nftables_rule(table, ANSWERS);
    nftables_payload(table, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
    nftables_compare(table, NFT_CMP_GTE, &least, 2);
    nftables_compare(table, NFT_CMP_LTE, &most, 2);
    nftables_verdict(table, NF_DROP, NULL);
}

/* In place of those that there were. */
static int put_rules(const struct guard *guard, const char *ifname, struct error *err)
{
    const struct nftables_hook hook = { "filter", NF_INET_PRE_ROUTING, AFTER_NAT };
    struct nftables *table = guard->table;
    nftables_chain(table, CHAIN, &hook);
    nftables_chain(table, ANSWERS, NULL);
    nftables_flush(table);
    pass_other_interfaces(table, ifname);
    for (uint32_t i = 0; i < guard->count; i++)
        take_address(table, guard->addresses[i]);
    pass_later_fragments(table, NFPROTO_IPV4);
    pass_later_fragments(table, NFPROTO_IPV6);
    pass_other_protocols(table);
    pass_sockets(table);
    drop_ports(table, SNAT_LOW_FIRST, SNAT_LOW_LAST);
    drop_ports(table, SNAT_HIGH_FIRST, SNAT_HIGH_LAST);
    return nftables_commit(table, err);
}

int guard_addresses(struct guard *guard, const struct snat *snat, const char *ifname,
                    struct error *err)
{
    uint32_t before = guard->count;
    bool fit = add_all(guard, snat);
    if (fit && guard->count == before)
        return 0;
    if (!fit) {
        guard->count = 0;
        add_all(guard, snat);
    }
    if (!guard->table)
        guard->table = nftables_open(NFPROTO_INET, err);
    int error = guard->table ? put_rules(guard, ifname, err) : -1;
    if (error) {
        nftables_close(guard->table);
        guard->table = NULL;
    }
    return error;
}

void guard_drop(struct guard *guard)
{
    nftables_close(guard->table);
    *guard = (struct guard){ 0 };
}
