/* nftables: a table of ours in the kernel's packet filter.
 *
 * A message is put together behind the `used` bytes of the batch, and finished when another one begins.
 * Only the last change asks for an answer: the kernel has taken all then. What it refuses it says
 * unasked.
 */
#include "lib/nftables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/netlink.h"

#define BATCH_SIZE   65536
#define MESSAGE_SIZE 1024

struct nftables {
    int fd;
    uint8_t family;
    char name[32];
    uint32_t sequence;        /* of the last message */
    uint32_t first;           /* of this batch */
    struct nlmsghdr *message; /* the one that is put together; NULL: none is */
    struct nlmsghdr *change;  /* the last that was */
    struct nlattr *expressions;
    bool too_long;
    size_t used;
    char bytes[BATCH_SIZE] __attribute__((aligned(8)));
};

/* --- messages --------------------------------------------------------------------------- */

static void put(struct nftables *table, uint16_t type, const void *value, size_t size)
{
    if (!mnl_attr_put_check(table->message, MESSAGE_SIZE, type, size, value))
        table->too_long = true;
}

static void put_u32(struct nftables *table, uint16_t type, uint32_t value)
{
    put(table, type, &(uint32_t){ htonl(value) }, sizeof(value));
}

static void put_text(struct nftables *table, uint16_t type, const char *text)
{
    put(table, type, text, strlen(text) + 1);
}

static struct nlattr *nest(struct nftables *table, uint16_t type)
{
    struct nlattr *nest = mnl_attr_nest_start_check(table->message, MESSAGE_SIZE, type);
    table->too_long |= !nest;
    return nest;
}

static void nest_end(struct nftables *table, struct nlattr *nest)
{
    if (nest)
        mnl_attr_nest_end(table->message, nest);
}

static void finish(struct nftables *table)
{
    if (!table->message)
        return;
    nest_end(table, table->expressions);
    table->expressions = NULL;
    table->used += MNL_ALIGN(table->message->nlmsg_len);
    table->message = NULL;
}

static void begin(struct nftables *table, uint16_t type, uint16_t flags, uint8_t family,
                  uint16_t resource)
{
    finish(table);
    if (table->used + MESSAGE_SIZE > BATCH_SIZE) {
        table->too_long = true;
        table->used = 0;
    }
    table->message = mnl_nlmsg_put_header(table->bytes + table->used);
    table->message->nlmsg_type = type;
    table->message->nlmsg_flags = NLM_F_REQUEST | flags;
    table->message->nlmsg_seq = ++table->sequence;
    struct nfgenmsg *extra =
        mnl_nlmsg_put_extra_header(table->message, sizeof(struct nfgenmsg));
    extra->nfgen_family = family;
    extra->version = NFNETLINK_V0;
    extra->res_id = htons(resource);
}

static void begin_change(struct nftables *table, uint16_t type, uint16_t flags)
{
    begin(table, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, table->family, 0);
    table->change = table->message;
}

/* The first change of a batch is a table, which may be there. */
static void change(struct nftables *table, uint16_t type, uint16_t flags)
{
    if (!table->used && !table->message) {
        table->first = table->sequence + 1;
        begin(table, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
        begin_change(table, NFT_MSG_NEWTABLE, NLM_F_CREATE);
        put_text(table, NFTA_TABLE_NAME, table->name);
        put_u32(table, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
    }
    begin_change(table, type, flags);
}

/* --- chains and rules --------------------------------------------------------------------- */

void nftables_chain(struct nftables *table, const char *name,
                    const struct nftables_hook *hook)
{
    change(table, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    put_text(table, NFTA_CHAIN_TABLE, table->name);
    put_text(table, NFTA_CHAIN_NAME, name);
    if (!hook)
        return;
    put_text(table, NFTA_CHAIN_TYPE, hook->type);
    struct nlattr *where = nest(table, NFTA_CHAIN_HOOK);
    put_u32(table, NFTA_HOOK_HOOKNUM, hook->number);
    put_u32(table, NFTA_HOOK_PRIORITY, (uint32_t)hook->priority);
    nest_end(table, where);
}

void nftables_flush(struct nftables *table)
{
    change(table, NFT_MSG_DELRULE, 0);
    put_text(table, NFTA_RULE_TABLE, table->name);
}

void nftables_rule(struct nftables *table, const char *chain)
{
    change(table, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    put_text(table, NFTA_RULE_TABLE, table->name);
    put_text(table, NFTA_RULE_CHAIN, chain);
    table->expressions = nest(table, NFTA_RULE_EXPRESSIONS);
}

/* --- expressions ---------------------------------------------------------------------------- */

/* Its attributes go between begin and end. */
struct expression {
    struct nlattr *element, *data;
};

static struct expression expression(struct nftables *table, const char *name)
{
    struct expression expression;
    expression.element = nest(table, NFTA_LIST_ELEM);
    put_text(table, NFTA_EXPR_NAME, name);
    expression.data = nest(table, NFTA_EXPR_DATA);
    return expression;
}

static void expression_end(struct nftables *table, struct expression expression)
{
    nest_end(table, expression.data);
    nest_end(table, expression.element);
}

void nftables_meta(struct nftables *table, uint32_t key)
{
    struct expression meta = expression(table, "meta");
    put_u32(table, NFTA_META_DREG, NFT_REG_1);
    put_u32(table, NFTA_META_KEY, key);
    expression_end(table, meta);
}

void nftables_payload(struct nftables *table, uint32_t base, uint32_t offset,
                      uint32_t size)
{
    struct expression payload = expression(table, "payload");
    put_u32(table, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put_u32(table, NFTA_PAYLOAD_BASE, base);
    put_u32(table, NFTA_PAYLOAD_OFFSET, offset);
    put_u32(table, NFTA_PAYLOAD_LEN, size);
    expression_end(table, payload);
}

void nftables_fragment_header(struct nftables *table, uint32_t offset, uint32_t size)
{
    struct expression header = expression(table, "exthdr");
    const uint8_t type = IPPROTO_FRAGMENT;
    put_u32(table, NFTA_EXTHDR_DREG, NFT_REG_1);
    put(table, NFTA_EXTHDR_TYPE, &type, sizeof(type));
    put_u32(table, NFTA_EXTHDR_OFFSET, offset);
    put_u32(table, NFTA_EXTHDR_LEN, size);
    expression_end(table, header);
}

static void put_value(struct nftables *table, uint16_t type, const void *value,
                      size_t size)
{
    struct nlattr *data = nest(table, type);
    put(table, NFTA_DATA_VALUE, value, size);
    nest_end(table, data);
}

void nftables_mask(struct nftables *table, const void *mask, size_t size)
{
    static const uint8_t zeros[16];
    struct expression bitwise = expression(table, "bitwise");
    put_u32(table, NFTA_BITWISE_SREG, NFT_REG_1);
    put_u32(table, NFTA_BITWISE_DREG, NFT_REG_1);
    put_u32(table, NFTA_BITWISE_LEN, (uint32_t)size);
    put_value(table, NFTA_BITWISE_MASK, mask, size);
    put_value(table, NFTA_BITWISE_XOR, zeros, size);
    expression_end(table, bitwise);
}

void nftables_compare(struct nftables *table, uint32_t op, const void *value, size_t size)
{
    struct expression compare = expression(table, "cmp");
    put_u32(table, NFTA_CMP_SREG, NFT_REG_1);
    put_u32(table, NFTA_CMP_OP, op);
    put_value(table, NFTA_CMP_DATA, value, size);
    expression_end(table, compare);
}

/* Whatever is asked about a socket ends the rule where there is none; about this every kind of socket
 * has an answer, also one that is only half open. */
void nftables_has_socket(struct nftables *table)
{
    struct expression socket = expression(table, "socket");
    put_u32(table, NFTA_SOCKET_KEY, NFT_SOCKET_TRANSPARENT);
    put_u32(table, NFTA_SOCKET_DREG, NFT_REG_1);
    expression_end(table, socket);
}

void nftables_verdict(struct nftables *table, int code, const char *chain)
{
    struct expression immediate = expression(table, "immediate");
    put_u32(table, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    struct nlattr *data = nest(table, NFTA_IMMEDIATE_DATA);
    struct nlattr *verdict = nest(table, NFTA_DATA_VERDICT);
    put_u32(table, NFTA_VERDICT_CODE, (uint32_t)code);
    if (chain)
        put_text(table, NFTA_VERDICT_CHAIN, chain);
    nest_end(table, verdict);
    nest_end(table, data);
    expression_end(table, immediate);
}

void nftables_masquerade(struct nftables *table)
{
    expression_end(table, expression(table, "masq"));
}

/* --- the kernel ----------------------------------------------------------------------------- */

/* It has answered when send returns. What is left over of a batch that was refused is passed over.
 * 0 or -1 with errno. */
static int take_answers(const struct nftables *table)
{
    char reply[8192] __attribute__((aligned(8)));
    for (;;) {
        ssize_t length = recv(table->fd, reply, sizeof(reply), MSG_DONTWAIT);
        if (length < 0)
            return -1;
        int rest = (int)length;
        for (const struct nlmsghdr *header = (const void *)reply;
             netlink_message_ok(header, rest); header = mnl_nlmsg_next(header, &rest)) {
            const struct nlmsgerr *answer = mnl_nlmsg_get_payload(header);
            if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_seq < table->first ||
                mnl_nlmsg_get_payload_len(header) < sizeof(*answer))
                continue;
            errno = -answer->error;
            if (answer->error || header->nlmsg_seq == table->change->nlmsg_seq)
                return answer->error ? -1 : 0;
        }
    }
}

static int send_batch(struct nftables *table)
{
    table->change->nlmsg_flags |= NLM_F_ACK;
    begin(table, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    finish(table);
    if (table->too_long) {
        errno = EMSGSIZE;
        return -1;
    }
    return send(table->fd, table->bytes, table->used, 0) < 0 ? -1 : take_answers(table);
}

int nftables_commit(struct nftables *table, struct error *err)
{
    int error = send_batch(table) ? error_system(err, ERROR_RUN, "nftables") : 0;
    table->used = 0;
    table->too_long = false;
    return error;
}

/* A name that no other table has: its number is one of the kernel's, for this socket alone. */
static int bind_to_kernel(struct nftables *table)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK };
    socklen_t size = sizeof(address);
    table->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (table->fd < 0 ||
        bind(table->fd, (const struct sockaddr *)&address, sizeof(address)) ||
        getsockname(table->fd, (struct sockaddr *)&address, &size))
        return -1;
    snprintf(table->name, sizeof(table->name), "vanguard-%u", address.nl_pid);
    return 0;
}

struct nftables *nftables_open(uint8_t family, struct error *err)
{
    struct nftables *table = calloc(1, sizeof(*table));
    if (!table) {
        error_set(err, ERROR_RUN, ENOMEM, "nftables: no memory");
        return NULL;
    }
    table->family = family;
    if (!bind_to_kernel(table))
        return table;
    error_system(err, ERROR_RUN, "nftables");
    nftables_close(table);
    return NULL;
}

void nftables_close(struct nftables *table)
{
    if (!table)
        return;
    if (table->fd >= 0)
        close(table->fd);
    free(table);
}
