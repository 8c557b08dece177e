/* batch: frames read by recvmmsg, for where there is no ring. */
#include "apps/raw_socket/batch.h"

#include <time.h> /* which linux/errqueue.h wants */

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "apps/raw_socket/ring.h"

#define FRAME_MAX (72u << 10) /* a super-frame; longer ones are cut, and say so */
#define CONTROL   256

struct batch {
    int fd;
    bool hardware;
    uint32_t count, next;
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_ll addresses[BATCH];
    char control[BATCH][CONTROL] __attribute__((aligned(8)));
    uint8_t frames[BATCH][FRAME_MAX];
};

static int set(int fd, int level, int option, int value, const char *name,
               struct error *err)
{
    if (setsockopt(fd, level, option, &value, sizeof(value)))
        return error_system(err, ERROR_RUN, "%s", name);
    return 0;
}

static int set_options(int fd, bool hardware, struct error *err)
{
    int error = set(fd, SOL_PACKET, PACKET_AUXDATA, 1, "PACKET_AUXDATA", err);
    if (error)
        return error;
    int flags =
        SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
        (hardware ? SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE : 0);
    return set(fd, SOL_SOCKET, SO_TIMESTAMPING, flags, "SO_TIMESTAMPING", err);
}

/* Memory is what frames have been as long as. */
struct batch *batch_new(int fd, bool hardware, struct error *err)
{
    if (set_options(fd, hardware, err))
        return NULL;
    struct batch *batch = mmap(NULL, sizeof(*batch), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (batch == MAP_FAILED) {
        error_system(err, ERROR_RUN, "memory for frames");
        return NULL;
    }
    batch->fd = fd;
    batch->hardware = hardware;
    return batch;
}

void batch_free(struct batch *batch)
{
    if (batch)
        munmap(batch, sizeof(*batch));
}

static bool fill(struct batch *batch)
{
    for (uint32_t i = 0; i < BATCH; i++) {
        batch->vectors[i] = (struct iovec){ batch->frames[i], FRAME_MAX };
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->addresses[i],
            .msg_namelen = sizeof(batch->addresses[i]),
            .msg_iov = &batch->vectors[i],
            .msg_iovlen = 1,
            .msg_control = batch->control[i],
            .msg_controllen = CONTROL,
        };
    }
    int got = recvmmsg(batch->fd, batch->messages, BATCH, MSG_DONTWAIT, NULL);
    batch->next = 0;
    batch->count = got > 0 ? (uint32_t)got : 0;
    return got > 0;
}

static uint64_t nanoseconds(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
}

/* Where the device gave no time the kernel did. */
static void take_time(const struct batch *batch, const struct cmsghdr *control,
                      struct ring_frame *frame)
{
    struct scm_timestamping times;
    memcpy(&times, CMSG_DATA(control), sizeof(times));
    frame->hardware = batch->hardware && nanoseconds(&times.ts[2]);
    frame->time = nanoseconds(&times.ts[frame->hardware ? 2 : 0]);
}

static void take_control(const struct batch *batch, struct msghdr *message,
                         struct ring_frame *frame)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING)
            take_time(batch, c, frame);
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
            continue;
        struct tpacket_auxdata aux;
        memcpy(&aux, CMSG_DATA(c), sizeof(aux));
        frame->length = aux.tp_len;
        frame->vlan = aux.tp_status & TP_STATUS_VLAN_VALID;
        frame->vlan_tci = aux.tp_vlan_tci;
        frame->vlan_tpid =
            aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : 0x8100;
    }
}

bool batch_peek(struct batch *batch, struct ring_frame *frame)
{
    for (;; batch->next++) {
        if (batch->next == batch->count && !fill(batch))
            return false;
        uint32_t i = batch->next, got = batch->messages[i].msg_len;
        if (got < RING_VNET_SIZE)
            continue;
        *frame = (struct ring_frame){
            .data = batch->frames[i] + RING_VNET_SIZE,
            .captured = got - RING_VNET_SIZE,
            .length = got - RING_VNET_SIZE,
            .packet_type = batch->addresses[i].sll_pkttype,
        };
        take_control(batch, &batch->messages[i].msg_hdr, frame);
        frame->lost = frame->captured < frame->length;
        ring_read_vnet(&frame->offload, batch->frames[i]);
        return true;
    }
}

void batch_release(struct batch *batch)
{
    batch->next++;
}

bool batch_pending(const struct batch *batch)
{
    return batch->next < batch->count;
}
