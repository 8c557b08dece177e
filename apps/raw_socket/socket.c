/* socket: AF_PACKET sockets, as RawSocket wants them. */
#include "apps/raw_socket/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "apps/raw_socket/program.h"

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING /* Linux 6.2 */
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

#define FANOUT_SHIFT 16

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

/* --- interface ---------------------------------------------------------------------- */

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

/* --- fanout ------------------------------------------------------------------------- */

static int join(int fd, const struct fanout_conf *fanout, unsigned flags)
{
    unsigned mode = (unsigned)fanout->mode - FANOUT_HASH;
    unsigned value = (unsigned)fanout->id | (mode | flags) << FANOUT_SHIFT;
    return setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof(value)) ? -errno : 0;
}

static int join_error(const struct fanout_conf *fanout, int error, struct error *err)
{
    unsigned id = (unsigned)fanout->id;
    if (error == -EINVAL)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "fanout: group %u is there already, with another mode or "
                         "flags, or on another interface",
                         id);
    if (error == -ENOSPC)
        return error_set(err, ERROR_CONFIG, ENOSPC,
                         "fanout: group %u has as many sockets as there can be", id);
    errno = -error;
    return error_system(err, ERROR_RUN, "fanout: cannot join group %u", id);
}

static int pinned_program(const char *path, struct error *err)
{
    union bpf_attr attr = { .pathname = (uint64_t)(uintptr_t)path };
    int fd = (int)syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
    if (fd < 0 && errno == EPERM)
        return error_set(err, ERROR_PRIVILEGE, EPERM,
                         "fanout.program: %s needs CAP_BPF: run as root", path);
    return fd < 0 ? error_system(err, ERROR_CONFIG, "fanout.program: %s", path) : fd;
}

static int set_program(int fd, const struct fanout_conf *fanout, struct error *err)
{
    struct sock_filter code[PROGRAM_MAX];
    struct sock_fprog classic = { .filter = code };
    int status, program = -1;
    if (fanout->mode == FANOUT_CBPF) {
        classic.len = (unsigned short)program_parse(fanout->program, code);
        status =
            setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, &classic, sizeof(classic));
    } else if ((program = pinned_program(fanout->program, err)) < 0) {
        return program;
    } else {
        status =
            setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, &program, sizeof(program));
    }
    int error = status ? error_system(err, ERROR_CONFIG, "fanout.program") : 0;
    if (program >= 0)
        close(program);
    return error;
}

int packet_socket_fanout(int fd, const struct fanout_conf *fanout, bool incoming,
                         struct error *err)
{
    unsigned flags = (fanout->defrag ? PACKET_FANOUT_FLAG_DEFRAG : 0) |
                     (fanout->rollover ? PACKET_FANOUT_FLAG_ROLLOVER : 0) |
                     (fanout->uniqueid ? PACKET_FANOUT_FLAG_UNIQUEID : 0);
    bool ignore = incoming && fanout->ignore_outgoing;
    int error =
        join(fd, fanout, flags | (ignore ? PACKET_FANOUT_FLAG_IGNORE_OUTGOING : 0));
    /* An older kernel does not know the last one; what it spreads in vain is left out
     * later. */
    if (error == -EINVAL && ignore)
        error = join(fd, fanout, flags);
    if (error)
        return join_error(fanout, error, err);
    if (fanout->mode >= FANOUT_CBPF && (error = set_program(fd, fanout, err)))
        return error;
    int value = 0;
    socklen_t size = sizeof(value);
    if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, &size))
        return error_system(err, ERROR_RUN, "fanout");
    return value & 0xffff;
}
