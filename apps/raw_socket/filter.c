/* filter: which frames the kernel hands over, and how much of them. */
#include "apps/raw_socket/filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <pcap/pcap.h>
#include <sys/socket.h>

#include "lib/capture_filter.h"

#define KEEP_ALL    262144 /* bytes: pcap's idea of everything */
#define PCAP_BUFFER (256 << 10)

int filter_check(const char *filter, struct error *err)
{
    struct capture_filter compiled;
    int error = capture_filter_compile(&compiled, filter, err);
    if (error)
        error_prefix(err, "filter: ");
    else
        capture_filter_free(&compiled);
    return error;
}

/* Compiled by a capture handle that is open on the interface: libpcap knows only then that
 * it must look for VLAN tags beside the frame. */
static int compile(const char *ifname, const char *filter, uint64_t snaplen,
                   struct bpf_program *program, struct error *err)
{
    char text[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_create(ifname, text);
    if (!pcap)
        return error_set(err, ERROR_RUN, EIO, "filter: %s", text);
    pcap_set_snaplen(pcap, snaplen ? (int)snaplen : KEEP_ALL);
    pcap_set_buffer_size(pcap, PCAP_BUFFER);
    int error = pcap_activate(pcap);
    if (error < 0)
        error = error_set(err, ERROR_RUN, EIO, "filter: cannot open %s: %s", ifname,
                          pcap_geterr(pcap));
    else if (pcap_compile(pcap, program, filter, 1, PCAP_NETMASK_UNKNOWN))
        error = error_set(err, ERROR_CONFIG, EINVAL, "filter: \"%.200s\": %s", filter,
                          pcap_geterr(pcap));
    else
        error = 0;
    pcap_close(pcap);
    return error;
}

static int attach(int fd, const struct sock_fprog *program, struct error *err)
{
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, sizeof(*program)))
        return error_system(err, ERROR_RUN, "a filter of %u instructions", program->len);
    return 0;
}

/* The return value of a filter is how much of a frame is kept. */
int filter_attach(int fd, const char *ifname, const char *filter, uint64_t snaplen,
                  struct error *err)
{
    struct sock_filter keep = BPF_STMT(BPF_RET | BPF_K, (uint32_t)snaplen);
    struct bpf_program compiled;
    if (!filter)
        return snaplen ? attach(fd, &(struct sock_fprog){ 1, &keep }, err) : 0;
    int error = compile(ifname, filter, snaplen, &compiled, err);
    if (error)
        return error;
    struct sock_fprog program = { (unsigned short)compiled.bf_len,
                                  (struct sock_filter *)(void *)compiled.bf_insns };
    error = attach(fd, &program, err);
    pcap_freecode(&compiled);
    return error;
}

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter),
               "libpcap's instructions are the kernel's");
