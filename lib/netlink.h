/* netlink: requests to the kernel about interfaces, addresses, routes, neighbours ...
 *
 *   netlink_open         a connection: NETLINK_ROUTE, NETLINK_GENERIC
 *   netlink_request      begin a request
 *   netlink_put          ... an attribute; _u32, _string
 *   netlink_nest         ... attributes within one, up to netlink_nest_end
 *   netlink_append       ... bytes that are no attribute, such as a header within a nest
 *   netlink_ask          send it and take the answers
 *   netlink_family       number of a generic netlink family
 *   netlink_attribute    an attribute of an answer; netlink_payload, netlink_string
 *   netlink_close
 *   netlink_message_ok   does a message end within what came?
 *
 *     struct ifaddrmsg header = { .ifa_family = AF_INET, .ifa_prefixlen = 24,
 *                                 .ifa_index = index };
 *     netlink_request(netlink, RTM_NEWADDR, NLM_F_CREATE, &header, sizeof(header));
 *     netlink_put(netlink, IFA_LOCAL, address, 4);
 *     error = netlink_ask(netlink, NULL, NULL, err);
 *
 * A connection belongs to the network namespace that its thread was in when it was opened,
 * and has one request at a time. netlink_ask returns when the kernel has said that it is
 * done: nothing is left over for the next. Where the kernel can (Linux 4.20), a dump is
 * filtered by what is in its request; older ones send everything.
 *
 * Sources: netlink(7), rtnetlink(7), Documentation/userspace-api/netlink/intro.rst.
 */
#pragma once
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct netlink;

/* NULL on error. */
struct netlink *netlink_open(int protocol, struct error *err);
void netlink_close(struct netlink *netlink); /* or NULL */

/* header: what the type wants in front of attributes (struct ifinfomsg, rtmsg, genlmsghdr
 * ...). flags: NLM_F_CREATE, NLM_F_REPLACE ... or NLM_F_DUMP; that it is a request, to be
 * acknowledged, is added here. */
void netlink_request(struct netlink *netlink, uint16_t type, uint16_t flags,
                     const void *header, size_t size);

/* What does not fit (4 KiB are enough for anything sensible) makes netlink_ask say so: any
 * length may be put. A string goes with its NUL. */
void netlink_put(struct netlink *netlink, uint16_t type, const void *data, size_t size);
void netlink_put_u32(struct netlink *netlink, uint16_t type, uint32_t value);
void netlink_put_string(struct netlink *netlink, uint16_t type, const char *text);
void netlink_append(struct netlink *netlink, const void *data, size_t size);

/* Returns what netlink_nest_end is to be given. Nests may be in nests. */
size_t netlink_nest(struct netlink *netlink, uint16_t type);
void netlink_nest_end(struct netlink *netlink, size_t nest);

/* answer (or NULL: none is of interest) gets every message of the answer, complete as far as
 * its nlmsg_len says; when it returns -errno, that is the result, and it gets no more. In a
 * dump it may be called with NULL: what is dumped changed meanwhile, everything comes anew,
 * so forget what came. It must not use the same connection.
 *
 * Returns 0 or -errno, the kernel's or answer's: -EAGAIN when a dump was changed again and
 * again, -EMSGSIZE when the request was too long, or an answer. err is "strerror", or
 * "strerror: what the kernel says about it", for error_prefix; without permission
 * ERROR_PRIVILEGE, otherwise ERROR_RUN. */
int netlink_ask(struct netlink *netlink,
                int (*answer)(const struct nlmsghdr *message, void *user), void *user,
                struct error *err);

/* By a connection of NETLINK_GENERIC; -ENOENT when the kernel knows no such family. */
int netlink_family(struct netlink *netlink, const char *name, uint16_t *id,
                   struct error *err);

/* The payload, 4-byte aligned, of the first attribute of a type behind the header of so many
 * bytes. NULL when there is none, or it is shorter than least. Nothing in a message is
 * trusted, but that nlmsg_len bytes of it are there. */
const void *netlink_attribute(const struct nlmsghdr *message, size_t header,
                              uint16_t type, size_t least);
/* The same, with how many bytes there are. */
const void *netlink_payload(const struct nlmsghdr *message, size_t header, uint16_t type,
                            size_t *size);
/* Of those attributes that stand in so many bytes, 4-byte aligned: a nest's. */
const void *netlink_payload_within(const void *bytes, size_t length, uint16_t type,
                                   size_t *size);
/* NULL also when no NUL is in it. */
const char *netlink_string(const struct nlmsghdr *message, size_t header, uint16_t type);

/* rest: bytes that came, from its header on. libmnl's own takes a length of 2^31 and more for a
 * negative one, which is small. */
static inline bool netlink_message_ok(const struct nlmsghdr *message, int rest)
{
    return rest >= (int)sizeof(*message) && message->nlmsg_len >= sizeof(*message) &&
           message->nlmsg_len <= (uint32_t)rest;
}
