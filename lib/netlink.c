/* netlink: requests to the kernel about interfaces, addresses, routes, neighbours ...
 *
 * A request and its answers are matched by number. Whatever else comes on a connection, such
 * as the rest of an answer that could not be received, is passed over.
 */
#include "lib/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/error.h"

#define REQUEST_SIZE  4096
#define DATAGRAM_SIZE 32768 /* the largest that the kernel makes of a dump */
#define DUMPS_MAX     32    /* of what changes all the time */

struct netlink {
    struct mnl_socket *socket;
    uint32_t sequence;
    bool too_long;
    union {
        struct nlmsghdr header;
        char bytes[REQUEST_SIZE];
    } request;
    union {
        struct nlmsghdr header;
        char bytes[DATAGRAM_SIZE];
    } datagram;
};

/* What becomes of a request. */
struct exchange {
    int (*answer)(const struct nlmsghdr *message, void *user);
    void *user;
    int error;
    bool interrupted;
    char words[256]; /* the kernel's, about an error */
};

static int failed(int error, const char *words, struct error *err)
{
    bool permission = error == -EPERM || error == -EACCES;
    return error_set(err, permission ? ERROR_PRIVILEGE : ERROR_RUN, -error, "%s%s%s",
                     strerror(-error), *words ? ": " : "", words);
}

/* --- the connection ----------------------------------------------------------------- */

struct netlink *netlink_open(int protocol, struct error *err)
{
    struct netlink *netlink = calloc(1, sizeof(*netlink));
    int on = 1;
    if (netlink)
        netlink->socket = mnl_socket_open2(protocol, SOCK_CLOEXEC);
    if (!netlink || !netlink->socket ||
        mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID)) {
        error_system(err, ERROR_RUN, "netlink");
        netlink_close(netlink);
        return NULL;
    }
    /* An older kernel says less, and dumps more. */
    mnl_socket_setsockopt(netlink->socket, NETLINK_EXT_ACK, &on, sizeof(on));
    mnl_socket_setsockopt(netlink->socket, NETLINK_CAP_ACK, &on, sizeof(on));
    mnl_socket_setsockopt(netlink->socket, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
    return netlink;
}

void netlink_close(struct netlink *netlink)
{
    if (netlink && netlink->socket)
        mnl_socket_close(netlink->socket);
    free(netlink);
}

/* --- requests ------------------------------------------------------------------------ */

static bool has_room(struct netlink *netlink, size_t size)
{
    size_t used = MNL_ALIGN(netlink->request.header.nlmsg_len);
    if (size > REQUEST_SIZE || used + MNL_ALIGN(size) > REQUEST_SIZE)
        netlink->too_long = true;
    return !netlink->too_long;
}

void netlink_append(struct netlink *netlink, const void *data, size_t size)
{
    if (has_room(netlink, size))
        memcpy(mnl_nlmsg_put_extra_header(&netlink->request.header, size), data, size);
}

void netlink_request(struct netlink *netlink, uint16_t type, uint16_t flags,
                     const void *header, size_t size)
{
    bool dump = (flags & NLM_F_DUMP) == NLM_F_DUMP;
    struct nlmsghdr *request = mnl_nlmsg_put_header(netlink->request.bytes);
    request->nlmsg_type = type;
    request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags | (dump ? 0 : NLM_F_ACK));
    netlink->too_long = false;
    netlink_append(netlink, header, size);
}

void netlink_put(struct netlink *netlink, uint16_t type, const void *data, size_t size)
{
    if (has_room(netlink, size) && has_room(netlink, MNL_ATTR_HDRLEN + size))
        mnl_attr_put(&netlink->request.header, type, size, data);
}

void netlink_put_u32(struct netlink *netlink, uint16_t type, uint32_t value)
{
    netlink_put(netlink, type, &value, sizeof(value));
}

void netlink_put_string(struct netlink *netlink, uint16_t type, const char *text)
{
    netlink_put(netlink, type, text, strlen(text) + 1);
}

size_t netlink_nest(struct netlink *netlink, uint16_t type)
{
    size_t at = netlink->request.header.nlmsg_len;
    netlink_put(netlink, type | NLA_F_NESTED, NULL, 0);
    return at;
}

void netlink_nest_end(struct netlink *netlink, size_t nest)
{
    struct nlattr *attribute = (struct nlattr *)(void *)(netlink->request.bytes + nest);
    if (!netlink->too_long)
        mnl_attr_nest_end(&netlink->request.header, attribute);
}

/* --- what is in an answer ------------------------------------------------------------ */

static const struct nlattr *find_in(const void *bytes, int rest, uint16_t type)
{
    /* mnl_attr_for_each rounds the end of the message up, past what was received. */
    const struct nlattr *attribute = bytes;
    while (mnl_attr_ok(attribute, rest)) {
        if (mnl_attr_get_type(attribute) == type)
            return attribute;
        rest -= MNL_ALIGN(attribute->nla_len);
        attribute = mnl_attr_next(attribute);
    }
    return NULL;
}

static const struct nlattr *find(const struct nlmsghdr *message, size_t header,
                                 uint16_t type)
{
    size_t fixed = MNL_NLMSG_HDRLEN + MNL_ALIGN(header);
    int rest = message->nlmsg_len < fixed ? 0 : (int)(message->nlmsg_len - fixed);
    return find_in(mnl_nlmsg_get_payload_offset(message, header), rest, type);
}

static const void *payload(const struct nlattr *attribute, size_t *size)
{
    *size = attribute ? mnl_attr_get_payload_len(attribute) : 0;
    return attribute ? mnl_attr_get_payload(attribute) : NULL;
}

const void *netlink_payload(const struct nlmsghdr *message, size_t header, uint16_t type,
                            size_t *size)
{
    return payload(find(message, header, type), size);
}

const void *netlink_payload_within(const void *bytes, size_t length, uint16_t type,
                                   size_t *size)
{
    return payload(find_in(bytes, (int)length, type), size);
}

const void *netlink_attribute(const struct nlmsghdr *message, size_t header,
                              uint16_t type, size_t least)
{
    size_t size;
    const void *found = netlink_payload(message, header, type, &size);
    return size >= least ? found : NULL;
}

const char *netlink_string(const struct nlmsghdr *message, size_t header, uint16_t type)
{
    const struct nlattr *attribute = find(message, header, type);
    const char *text = attribute ? mnl_attr_get_payload(attribute) : NULL;
    return text && memchr(text, 0, mnl_attr_get_payload_len(attribute)) ? text : NULL;
}

/* --- asking -------------------------------------------------------------------------- */

/* NLMSG_ERROR, NLMSG_DONE: both start with a number. */
static void take_end(struct exchange *exchange, const struct nlmsghdr *message)
{
    int error = -EBADMSG;
    const char *words = NULL;
    if (mnl_nlmsg_get_payload_len(message) >= sizeof(error))
        memcpy(&error, mnl_nlmsg_get_payload(message), sizeof(error));
    else if (message->nlmsg_type == NLMSG_DONE)
        error = 0;
    if (exchange->error || error >= 0)
        return;
    exchange->error = error;
    if (message->nlmsg_type == NLMSG_ERROR && message->nlmsg_flags & NLM_F_ACK_TLVS &&
        message->nlmsg_flags & NLM_F_CAPPED)
        words = netlink_string(message, sizeof(struct nlmsgerr), NLMSGERR_ATTR_MSG);
    if (words)
        strncpy(exchange->words, words, sizeof(exchange->words) - 1);
}

/* True when that was the last. */
static bool take_message(struct exchange *exchange, const struct nlmsghdr *message)
{
    uint16_t type = message->nlmsg_type;
    exchange->interrupted |= (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    if (type == NLMSG_ERROR || type == NLMSG_DONE)
        take_end(exchange, message);
    else if (type >= NLMSG_MIN_TYPE && exchange->answer && !exchange->error)
        exchange->error = exchange->answer(message, exchange->user);
    return type == NLMSG_ERROR || type == NLMSG_DONE;
}

/* Returns the length of the next datagram of the kernel's, or -errno. */
static ssize_t receive(struct netlink *netlink)
{
    struct sockaddr_nl from;
    for (;;) {
        socklen_t size = sizeof(from);
        ssize_t got =
            recvfrom(mnl_socket_get_fd(netlink->socket), netlink->datagram.bytes,
                     DATAGRAM_SIZE, MSG_TRUNC, (struct sockaddr *)&from, &size);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got >= 0 && !from.nl_pid)
            return got > DATAGRAM_SIZE ? -EMSGSIZE : got;
    }
}

/* Sends the request once, and takes what is said to it. */
static int talk(struct netlink *netlink, struct exchange *exchange)
{
    struct nlmsghdr *request = &netlink->request.header;
    bool last = false;
    request->nlmsg_seq = ++netlink->sequence;
    if (mnl_socket_sendto(netlink->socket, request, request->nlmsg_len) < 0)
        return -errno;
    while (!last) {
        ssize_t got = receive(netlink);
        if (got < 0)
            return (int)got;
        int rest = (int)got;
        const struct nlmsghdr *message = &netlink->datagram.header;
        for (; !last && netlink_message_ok(message, rest);
             message = mnl_nlmsg_next(message, &rest))
            last = message->nlmsg_seq == request->nlmsg_seq &&
                   take_message(exchange, message);
    }
    return exchange->error;
}

int netlink_ask(struct netlink *netlink,
                int (*answer)(const struct nlmsghdr *message, void *user), void *user,
                struct error *err)
{
    struct exchange exchange = { .answer = answer, .user = user };
    int error = netlink->too_long ? -EMSGSIZE : talk(netlink, &exchange);
    for (int i = 1; !error && exchange.interrupted; i++) {
        if (i == DUMPS_MAX)
            return failed(-EAGAIN, "it changes all the time", err);
        exchange.interrupted = false;
        error = answer ? answer(NULL, user) : 0;
        if (!error)
            error = talk(netlink, &exchange);
    }
    return error ? failed(error, exchange.words, err) : 0;
}

/* --- generic netlink ----------------------------------------------------------------- */

static int take_family(const struct nlmsghdr *message, void *id)
{
    const void *found = netlink_attribute(message, sizeof(struct genlmsghdr),
                                          CTRL_ATTR_FAMILY_ID, sizeof(uint16_t));
    if (!found)
        return -EBADMSG;
    memcpy(id, found, sizeof(uint16_t));
    return 0;
}

int netlink_family(struct netlink *netlink, const char *name, uint16_t *id,
                   struct error *err)
{
    struct genlmsghdr header = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
    netlink_request(netlink, GENL_ID_CTRL, 0, &header, sizeof(header));
    netlink_put_string(netlink, CTRL_ATTR_FAMILY_NAME, name);
    return netlink_ask(netlink, take_family, id, err);
}
