/* socket: AF_PACKET sockets, as RawSocket wants them. */
#include "apps/raw_socket/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

int packet_socket(struct error *err)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && errno == EPERM)
        return error_set(err, ERROR_PRIVILEGE, EPERM,
                         "a packet socket needs CAP_NET_RAW: run as root, or "
                         "setcap cap_net_raw+ep on the program");
    return fd < 0 ? error_system(err, ERROR_RUN, "packet socket") : fd;
}

int packet_socket_set(int fd, int option, int value, const char *name, struct error *err)
{
    if (setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)))
        return error_system(err, ERROR_RUN, "%s", name);
    return 0;
}

int packet_socket_bind(int fd, unsigned index, int protocol, const char *ifname,
                       struct error *err)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons((uint16_t)protocol),
        .sll_ifindex = (int)index,
    };
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
        return error_system(err, ERROR_RUN, "cannot bind to %s", ifname);
    return 0;
}
