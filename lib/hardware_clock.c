/* hardware_clock: the clock of a network device, and what it stamps. */
#include "lib/hardware_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/interface.h"

static int cannot(const char *ifname, const char *what, struct error *err)
{
    return error_set(err, ERROR_CONFIG, EOPNOTSUPP, "%s %s: ethtool -T %s shows more",
                     ifname, what, ifname);
}

int hardware_clock_open(const char *ifname, struct error *err)
{
    struct ethtool_ts_info info = { .cmd = ETHTOOL_GET_TS_INFO };
    char path[32];
    int error = interface_ioctl(ifname, SIOCETHTOOL, &info);
    unsigned wanted = SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE;
    if (error || info.phc_index < 0 || (info.so_timestamping & wanted) != wanted)
        return cannot(ifname, "has no clock that stamps packets", err);
    if (!(info.rx_filters & 1u << HWTSTAMP_FILTER_ALL))
        return cannot(ifname, "cannot stamp every packet received", err);
    snprintf(path, sizeof(path), "/dev/ptp%d", info.phc_index);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_system(err, ERROR_RUN, "cannot open the clock %s", path) : fd;
}

uint64_t hardware_clock_now(int clock)
{
    struct timespec time = { 0 };
    /* FD_TO_CLOCKID of Documentation/driver-api/ptp.rst */
    if (clock < 0 || clock_gettime((clockid_t)(~(unsigned)clock << 3 | 3), &time))
        return 0;
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

int hardware_stamps(const char *ifname, struct hardware_stamps *stamps, struct error *err)
{
    struct hwtstamp_config config = { 0 };
    int error = interface_ioctl(ifname, SIOCGHWTSTAMP, &config);
    if (error == -EOPNOTSUPP)
        return cannot(ifname, "does not say what it stamps", err);
    errno = -error;
    if (error)
        return error_system(err, ERROR_RUN, "timestamps of %s", ifname);
    *stamps =
        (struct hardware_stamps){ (uint32_t)config.tx_type, (uint32_t)config.rx_filter };
    return 0;
}

int hardware_set_stamps(const char *ifname, const struct hardware_stamps *stamps,
                        struct error *err)
{
    struct hwtstamp_config config = { .tx_type = (int)stamps->tx_type,
                                      .rx_filter = (int)stamps->rx_filter };
    int error = interface_ioctl(ifname, SIOCSHWTSTAMP, &config);
    if (error == -EPERM)
        return error_set(err, ERROR_PRIVILEGE, EPERM,
                         "hardware timestamps of %s need CAP_NET_ADMIN: run as root",
                         ifname);
    if (error == -EOPNOTSUPP)
        return cannot(ifname, "does not stamp packets", err);
    if (error == -ERANGE || (!error && stamps->rx_filter && !config.rx_filter))
        return error_set(err, ERROR_CONFIG, ERANGE,
                         "%s does not stamp the packets it should", ifname);
    errno = -error;
    return error ? error_system(err, ERROR_RUN, "hardware timestamps of %s", ifname) : 0;
}
