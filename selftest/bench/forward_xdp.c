/* forward_xdp: the least that moves frames from one interface to another by AF_XDP.
 *
 *     forward_xdp IN OUT
 *
 * What XdpSocket is measured against. One memory for both sockets, copy mode, native program,
 * one queue; no packets, no links, no counters, one direction; runs until it is killed.
 */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define CHUNK  2048
#define CHUNKS 8192
#define RING   2048u
#define BURST  64

struct ring {
    uint32_t *producer, *consumer, next;
    void *slots;
};

struct port {
    int fd;
    struct ring fill, completion, rx, tx;
};

static void check(int failed, const char *what)
{
    if (failed) {
        perror(what);
        exit(1);
    }
}

static struct ring map_ring(int fd, int option, off_t at, size_t slot,
                            const struct xdp_ring_offset *o)
{
    uint32_t size = RING;
    if (option)
        check(setsockopt(fd, SOL_XDP, option, &size, sizeof(size)), "ring");
    char *base = mmap(NULL, o->desc + RING * slot, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, fd, at);
    check(base == MAP_FAILED, "mmap");
    return (struct ring){ (uint32_t *)(base + o->producer),
                          (uint32_t *)(base + o->consumer), 0, base + o->desc };
}

static struct port open_port(const char *ifname, void *memory)
{
    struct port port = { .fd = socket(AF_XDP, SOCK_RAW, 0) };
    struct xdp_umem_reg umem = { (uintptr_t)memory, CHUNK * CHUNKS, CHUNK, 0, 0 };
    struct sockaddr_xdp address = { AF_XDP, XDP_COPY | XDP_USE_NEED_WAKEUP,
                                    if_nametoindex(ifname), 0, 0 };
    struct xdp_mmap_offsets offsets;
    socklen_t length = sizeof(offsets);
    uint32_t size = RING;
    int buffer = 32 << 20, fd = port.fd;
    check(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)), "memory");
    const int rings[] = { XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING,
                          XDP_TX_RING };
    for (int i = 0; i < 4; i++)
        check(setsockopt(fd, SOL_XDP, rings[i], &size, sizeof(size)), "ring");
    check(getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length), "offsets");
    port.fill = map_ring(fd, 0, XDP_UMEM_PGOFF_FILL_RING, 8, &offsets.fr);
    port.completion = map_ring(fd, 0, XDP_UMEM_PGOFF_COMPLETION_RING, 8, &offsets.cr);
    port.rx = map_ring(fd, 0, XDP_PGOFF_RX_RING, sizeof(struct xdp_desc), &offsets.rx);
    port.tx = map_ring(fd, 0, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc), &offsets.tx);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
    check(bind(fd, (struct sockaddr *)&address, sizeof(address)), ifname);
    return port;
}

/* return redirect(map, queue, XDP_PASS); attached as long as we live. */
static void attach(const char *ifname, int fd)
{
    int map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "sockets", 4, 4, 1, NULL);
    uint32_t queue = 0;
    struct bpf_insn code[] = {
        { .code = BPF_LDX | BPF_MEM | BPF_W,
          .dst_reg = 2,
          .src_reg = 1,
          .off = offsetof(struct xdp_md, rx_queue_index) },
        { .code = BPF_LD | BPF_DW | BPF_IMM,
          .dst_reg = 1,
          .src_reg = BPF_PSEUDO_MAP_FD,
          .imm = map },
        { 0 },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
        { .code = BPF_JMP | BPF_EXIT },
    };
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
    int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "forward", "Apache-2.0", code,
                                sizeof(code) / sizeof(code[0]), NULL);
    check(program < 0 || bpf_map_update_elem(map, &queue, &fd, 0), "program");
    check(bpf_link_create(program, (int)if_nametoindex(ifname), BPF_XDP, &opts) < 0,
          ifname);
}

static uint32_t readable(const struct ring *ring)
{
    return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - ring->next;
}

/* What was sent is to be received into again. */
static void recycle(struct port *in, struct port *out)
{
    uint64_t *from = out->completion.slots, *to = in->fill.slots;
    uint32_t n = readable(&out->completion);
    for (uint32_t i = 0; i < n; i++)
        to[in->fill.next++ % RING] =
            from[out->completion.next++ % RING] & ~(CHUNK - 1ull);
    __atomic_store_n(out->completion.consumer, out->completion.next, __ATOMIC_RELEASE);
    __atomic_store_n(in->fill.producer, in->fill.next, __ATOMIC_RELEASE);
}

static void forward(struct port *in, struct port *out)
{
    struct pollfd wait = { in->fd, POLLIN, 0 };
    struct xdp_desc *from = in->rx.slots, *to = out->tx.slots;
    for (;;) {
        uint32_t n = readable(&in->rx);
        uint32_t unsent =
            out->tx.next - __atomic_load_n(out->tx.consumer, __ATOMIC_ACQUIRE);
        n = n < BURST ? n : BURST;
        n = n < RING - unsent ? n : RING - unsent;
        for (uint32_t i = 0; i < n; i++)
            to[out->tx.next++ % RING] = from[in->rx.next++ % RING];
        __atomic_store_n(in->rx.consumer, in->rx.next, __ATOMIC_RELEASE);
        __atomic_store_n(out->tx.producer, out->tx.next, __ATOMIC_RELEASE);
        if (n || unsent)
            sendto(out->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
        else
            poll(&wait, 1, 1);
        recycle(in, out);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: forward_xdp IN OUT\n");
        return 2;
    }
    void *memory = mmap(NULL, CHUNK * CHUNKS, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    struct port in = open_port(argv[1], memory), out = open_port(argv[2], memory);
    uint64_t *fill = in.fill.slots;
    for (uint64_t i = 0; i < RING; i++)
        fill[in.fill.next++ % RING] = i * CHUNK;
    __atomic_store_n(in.fill.producer, in.fill.next, __ATOMIC_RELEASE);
    attach(argv[1], in.fd);
    forward(&in, &out);
}
