/* masquerade: a network behind this one, by nftables. */
#include "lib/masquerade.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/netlink.h"

#define CHAIN      "postrouting"
#define PRIORITY   100 /* NF_IP_PRI_NAT_SRC */
#define SOURCE_AT  12  /* of the source address in an IPv4 header */
#define BATCH_SIZE 4096
#define MESSAGES   5 /* begin, table, chain, rule, end */

struct batch {
    char bytes[BATCH_SIZE] __attribute__((aligned(8)));
    size_t used;
    uint32_t sequence;
};

static struct nlmsghdr *message(struct batch *batch, uint16_t type, uint16_t flags,
                                uint8_t family, uint16_t resource)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(batch->bytes + batch->used);
    header->nlmsg_type = type;
    header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    header->nlmsg_seq = ++batch->sequence;
    struct nfgenmsg *extra = mnl_nlmsg_put_extra_header(header, sizeof(*extra));
    extra->nfgen_family = family;
    extra->version = NFNETLINK_V0;
    extra->res_id = htons(resource);
    return header;
}

static struct nlmsghdr *change(struct batch *batch, uint16_t type)
{
    return message(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
                   NLM_F_CREATE | NLM_F_ACK, NFPROTO_IPV4, 0);
}

static void add(struct batch *batch, const struct nlmsghdr *header)
{
    batch->used += MNL_ALIGN(header->nlmsg_len);
}

static void put_u32(struct nlmsghdr *header, uint16_t type, uint32_t value)
{
    mnl_attr_put_u32(header, type, htonl(value));
}

static void put_table(struct batch *batch, const char *table)
{
    struct nlmsghdr *header = change(batch, NFT_MSG_NEWTABLE);
    mnl_attr_put_strz(header, NFTA_TABLE_NAME, table);
    put_u32(header, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
    add(batch, header);
}

static void put_chain(struct batch *batch, const char *table)
{
    struct nlmsghdr *header = change(batch, NFT_MSG_NEWCHAIN);
    mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, table);
    mnl_attr_put_strz(header, NFTA_CHAIN_NAME, CHAIN);
    mnl_attr_put_strz(header, NFTA_CHAIN_TYPE, "nat");
    struct nlattr *hook = mnl_attr_nest_start(header, NFTA_CHAIN_HOOK);
    put_u32(header, NFTA_HOOK_HOOKNUM, NF_INET_POST_ROUTING);
    put_u32(header, NFTA_HOOK_PRIORITY, PRIORITY);
    mnl_attr_nest_end(header, hook);
    add(batch, header);
}

/* An expression of a rule; its attributes go between begin and end. */
struct expression {
    struct nlattr *element, *data;
};

static struct expression begin(struct nlmsghdr *header, const char *name)
{
    struct expression expression;
    expression.element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
    mnl_attr_put_strz(header, NFTA_EXPR_NAME, name);
    expression.data = mnl_attr_nest_start(header, NFTA_EXPR_DATA);
    return expression;
}

static void end(struct nlmsghdr *header, struct expression expression)
{
    mnl_attr_nest_end(header, expression.data);
    mnl_attr_nest_end(header, expression.element);
}

/* ip saddr FIRST.SECOND.0.0/16 masquerade */
static void put_rule(struct batch *batch, const char *table, const uint8_t network[2])
{
    struct nlmsghdr *header = change(batch, NFT_MSG_NEWRULE);
    header->nlmsg_flags |= NLM_F_APPEND;
    mnl_attr_put_strz(header, NFTA_RULE_TABLE, table);
    mnl_attr_put_strz(header, NFTA_RULE_CHAIN, CHAIN);
    struct nlattr *list = mnl_attr_nest_start(header, NFTA_RULE_EXPRESSIONS);

    struct expression payload = begin(header, "payload");
    put_u32(header, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put_u32(header, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    put_u32(header, NFTA_PAYLOAD_OFFSET, SOURCE_AT);
    put_u32(header, NFTA_PAYLOAD_LEN, 2);
    end(header, payload);

    struct expression compare = begin(header, "cmp");
    put_u32(header, NFTA_CMP_SREG, NFT_REG_1);
    put_u32(header, NFTA_CMP_OP, NFT_CMP_EQ);
    struct nlattr *value = mnl_attr_nest_start(header, NFTA_CMP_DATA);
    mnl_attr_put(header, NFTA_DATA_VALUE, 2, network);
    mnl_attr_nest_end(header, value);
    end(header, compare);

    end(header, begin(header, "masq"));
    mnl_attr_nest_end(header, list);
    add(batch, header);
}

/* Every change is answered; the first that is refused ends it. 0 or -1 with errno. */
static int take_answers(int fd)
{
    char reply[8192] __attribute__((aligned(8)));
    unsigned open = MESSAGES - 2; /* the ends of a batch are not answered */
    while (open) {
        ssize_t length = recv(fd, reply, sizeof(reply), 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return -1;
        int rest = (int)length;
        for (const struct nlmsghdr *header = (const void *)reply;
             netlink_message_ok(header, rest); header = mnl_nlmsg_next(header, &rest)) {
            const struct nlmsgerr *answer = mnl_nlmsg_get_payload(header);
            if (header->nlmsg_type != NLMSG_ERROR ||
                mnl_nlmsg_get_payload_len(header) < sizeof(*answer))
                continue;
            if (answer->error) {
                errno = -answer->error;
                return -1;
            }
            open -= open > 0;
        }
    }
    return 0;
}

int masquerade_open(uint8_t first, uint8_t second, struct error *err)
{
    struct batch batch = { .used = 0 };
    const uint8_t network[2] = { first, second };
    char table[32];
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd < 0)
        return error_system(err, ERROR_RUN, "cannot reach nftables");
    snprintf(table, sizeof(table), "vanguard-%d", (int)getpid());
    add(&batch,
        message(&batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    put_table(&batch, table);
    put_chain(&batch, table);
    put_rule(&batch, table, network);
    add(&batch, message(&batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    if (send(fd, batch.bytes, batch.used, 0) < 0 || take_answers(fd)) {
        int error = error_system(err, ERROR_RUN, "cannot masquerade (nftables)");
        close(fd);
        return error;
    }
    return fd;
}

void masquerade_close(int fd)
{
    if (fd >= 0)
        close(fd);
}
