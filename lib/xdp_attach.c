/* xdp_attach: loading an XDP program and putting it on an interface. */
#include "lib/xdp_attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- loading ------------------------------------------------------------------------ */

/* What libbpf says last before a call fails. */
static __thread char complaint[256];

static int keep(enum libbpf_print_level level, const char *format, va_list args)
{
    if (level == LIBBPF_WARN) {
        vsnprintf(complaint, sizeof(complaint), format, args);
        complaint[strcspn(complaint, "\n")] = 0;
    }
    return 0;
}

void xdp_keep_complaint(void)
{
    libbpf_set_print(keep);
    complaint[0] = 0;
}

int xdp_load_failed(const char *ifname, int error, struct error *err)
{
    if (error == -EPERM) /* -EACCES is the verifier's */
        return error_set(err, ERROR_PRIVILEGE, EPERM,
                         "XDP on %s needs CAP_BPF and CAP_NET_ADMIN: run as root, or "
                         "setcap cap_bpf,cap_net_admin,cap_net_raw+ep on the program",
                         ifname);
    return error_set(err, ERROR_RUN, -error, "cannot load the XDP program of %s: %s (%s)",
                     ifname, strerror(-error), complaint);
}

/* --- attaching ---------------------------------------------------------------------- */

static int link_create(int program, unsigned index, uint32_t mode)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);
    int fd = bpf_link_create(program, (int)index, BPF_XDP, &opts);
    return fd < 0 ? -errno : fd;
}

static int attach_failed(const char *ifname, enum xdp_attach_mode mode, int error,
                         struct error *err)
{
    const char *cure = error == -ERANGE || error == -EINVAL
                           ? ": the driver wants a smaller MTU, fewer offloads, or frags"
                           : "";
    return error_set(err, ERROR_RUN, -error, "cannot attach to %s%s: %s%s", ifname,
                     mode == XDP_ATTACH_NATIVE ? " in native mode" : "", strerror(-error),
                     cure);
}

int xdp_attach(int program, const char *ifname, unsigned index, enum xdp_attach_mode mode,
               char description[XDP_ATTACH_DESCRIPTION], struct error *err)
{
    const char *name = "native";
    int fd = -EOPNOTSUPP, native = 0;
    if (mode != XDP_ATTACH_GENERIC)
        fd = native = link_create(program, index, XDP_FLAGS_DRV_MODE);
    if (fd < 0 && fd != -EBUSY && fd != -EEXIST && mode != XDP_ATTACH_NATIVE) {
        name = "generic";
        fd = link_create(program, index, XDP_FLAGS_SKB_MODE);
    }
    if (fd < 0)
        return attach_failed(ifname, mode, fd, err);
    if (native < 0)
        snprintf(description, XDP_ATTACH_DESCRIPTION, "%s (native: %s)", name,
                 strerror(-native));
    else
        snprintf(description, XDP_ATTACH_DESCRIPTION, "%s", name);
    return fd;
}

/* --- who is there --------------------------------------------------------------------- */

uint32_t xdp_attached(unsigned index, uint32_t *mode)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, query);
    if (bpf_xdp_query((int)index, 0, &query))
        return 0;
    *mode = query.drv_prog_id  ? XDP_FLAGS_DRV_MODE
            : query.hw_prog_id ? XDP_FLAGS_HW_MODE
                               : XDP_FLAGS_SKB_MODE;
    return query.drv_prog_id  ? query.drv_prog_id
           : query.hw_prog_id ? query.hw_prog_id
                              : query.skb_prog_id;
}

int xdp_occupied(const char *ifname, uint32_t id, const char *cure, struct error *err)
{
    struct bpf_prog_info info = { 0 };
    uint32_t size = sizeof(info);
    int fd = bpf_prog_get_fd_by_id(id);
    if (fd >= 0) {
        bpf_obj_get_info_by_fd(fd, &info, &size);
        close(fd);
    }
    return error_set(err, ERROR_CONFIG, EBUSY,
                     "%s has an XDP program already, id %u \"%s\": %s", ifname, id,
                     info.name, cure);
}
