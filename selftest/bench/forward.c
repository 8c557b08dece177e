/* forward: the least that moves frames from one interface to another: TPACKET_V2 in,
 * sendmmsg out.
 *
 *     forward IN OUT
 *
 * What RawSocket is measured against. No packets, no links, no checksums, no counters,
 * one direction; runs until it is killed.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define FRAME  2048
#define FRAMES 4096
#define BURST  64

static int open_socket(const char *ifname, int protocol)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), version = TPACKET_V2, one = 1;
    struct sockaddr_ll address = { .sll_family = AF_PACKET,
                                   .sll_protocol = htons((uint16_t)protocol),
                                   .sll_ifindex = (int)if_nametoindex(ifname) };
    struct tpacket_req ring = { FRAME * 64, FRAMES / 64, FRAME, FRAMES };
    int failed = fd < 0 || !address.sll_ifindex;
    if (!failed && protocol)
        failed = setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
                 setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
                 setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring));
    if (failed || bind(fd, (struct sockaddr *)&address, sizeof(address))) {
        perror(ifname);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: forward IN OUT\n");
        return 2;
    }
    int in = open_socket(argv[1], ETH_P_ALL), out = open_socket(argv[2], 0);
    uint8_t *memory =
        mmap(NULL, FRAME * FRAMES, PROT_READ | PROT_WRITE, MAP_SHARED, in, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    struct mmsghdr messages[BURST] = { 0 };
    struct iovec vectors[BURST];
    for (unsigned head = 0;;) {
        unsigned n = 0;
        for (; n < BURST; n++) {
            struct tpacket2_hdr *slot = (void *)(memory + (head + n) % FRAMES * FRAME);
            if (!(__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
                break;
            vectors[n] =
                (struct iovec){ (uint8_t *)slot + slot->tp_mac, slot->tp_snaplen };
            messages[n].msg_hdr =
                (struct msghdr){ .msg_iov = &vectors[n], .msg_iovlen = 1 };
        }
        if (!n) {
            struct pollfd wait = { in, POLLIN, 0 };
            poll(&wait, 1, -1);
            continue;
        }
        sendmmsg(out, messages, n, 0);
        for (unsigned i = 0; i < n; i++) {
            struct tpacket2_hdr *slot = (void *)(memory + (head + i) % FRAMES * FRAME);
            __atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        }
        head = (head + n) % FRAMES;
    }
}
