/* claim: UDP ports that somebody seems to listen at, so that the kernel does not answer for them. */
#include "apps/vxlan_nat/claim.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Both families in one, or IPv4 alone where there is no other. */
static int bind_to(int fd, int family, uint16_t port)
{
    struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    return family == AF_INET6 ? bind(fd, (const struct sockaddr *)&any6, sizeof(any6))
                              : bind(fd, (const struct sockaddr *)&any4, sizeof(any4));
}

static int set_up(int fd, int family, uint16_t port, const char *ifname)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog filter = { 1, &nothing };
    int off = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ||
        (ifname && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname,
                              (socklen_t)strlen(ifname) + 1)) ||
        (family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off))))
        return -1;
    return bind_to(fd, family, port);
}

/* -1 and errno. */
static int open_one(int family, uint16_t port, const char *ifname)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !set_up(fd, family, port, ifname))
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int open_port(uint16_t port, const char *ifname)
{
    int fd = open_one(AF_INET6, port, ifname);
    if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
        fd = open_one(AF_INET, port, ifname);
    return fd;
}

/* -1: none. */
static int socket_of(const struct claim *claim, uint16_t port)
{
    for (uint32_t i = 0; i < claim->count; i++)
        if (claim->ports[i] == port)
            return claim->sockets[i];
    return -1;
}

static bool has_socket(const struct claim *claim, int fd)
{
    for (uint32_t i = 0; i < claim->count; i++)
        if (claim->sockets[i] == fd)
            return true;
    return false;
}

static void close_but(const struct claim *claim, const struct claim *stay)
{
    for (uint32_t i = 0; i < claim->count; i++)
        if (!has_socket(stay, claim->sockets[i]))
            close(claim->sockets[i]);
}

/* A port that somebody has, or that is named twice, is left out. */
static int add(struct claim *claim, uint16_t port, const struct claim *before,
               struct error *err)
{
    int fd = socket_of(before, port);
    if (fd < 0 || has_socket(claim, fd))
        fd = open_port(port, *claim->ifname ? claim->ifname : NULL);
    if (fd < 0 && errno != EADDRINUSE)
        return error_system(err, ERROR_RUN, "cannot claim UDP port %u", port);
    if (fd < 0)
        return 0;
    claim->ports[claim->count] = port;
    claim->sockets[claim->count++] = fd;
    return 0;
}

int claim_ports(struct claim *claim, const uint16_t *ports, uint32_t count,
                const char *ifname, struct error *err)
{
    struct claim next = { .count = 0 };
    snprintf(next.ifname, sizeof(next.ifname), "%s", ifname ? ifname : "");
    if (strcmp(next.ifname, claim->ifname)) /* a port can be had once */
        claim_drop(claim);
    for (uint32_t i = 0; i < count; i++) {
        int error = add(&next, ports[i], claim, err);
        if (error) {
            close_but(&next, claim);
            return error;
        }
    }
    close_but(claim, &next);
    *claim = next;
    return 0;
}

void claim_drop(struct claim *claim)
{
    close_but(claim, &(struct claim){ .count = 0 });
    *claim = (struct claim){ 0 };
}
