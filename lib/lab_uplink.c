/* lab_uplink: a way out of a lab, into the caller's network.
 *
 *     hosts -- the middle: uplink ------ the caller's network: vglabPID -- its interfaces
 *              (in the graph)            10.77.255.254, forwards, masquerades
 *
 * The pair of interfaces and the rules of nftables end with this process; that the host
 * forwards is in the journal.
 */
#include "lib/lab_uplink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/journal.h"
#include "lib/lab.h"
#include "lib/masquerade.h"
#include "lib/nftables.h"
#include "lib/veth.h"

#define GATEWAY "10.77.255.254"

struct lab_uplink {
    char directory[PATH_MAX];
    bool claimed;
    struct journal *journal;
    struct nftables *masquerade;
    char ifname[INTERFACE_NAME_SIZE]; /* in the caller's network */
};

static int forward(struct lab_uplink *uplink, struct error *err)
{
    int error = journal_forwarding(uplink->journal, err);
    if (error)
        return error;
    int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) != 1)
        error = error_system(err, ERROR_RUN, "cannot turn on net.ipv4.ip_forward");
    if (fd >= 0)
        close(fd);
    return error;
}

/* In the caller's network. */
static int set_up_outside(struct lab_uplink *uplink, struct error *err)
{
    int error = journal_claim(uplink->directory, err);
    if (error)
        return error;
    uplink->claimed = true;
    uplink->journal = journal_open(uplink->directory, err);
    error = uplink->journal ? 0 : -EIO;
    if (!error)
        error = address_add(uplink->ifname, GATEWAY, 16, err);
    if (!error)
        error = link_set_up(uplink->ifname, err);
    if (error)
        return error;
    uplink->masquerade = masquerade_open(10, 77, err);
    return uplink->masquerade ? forward(uplink, err) : -EIO;
}

/* Servers at an address of lo cannot be reached from a host; systemd-resolved keeps the
 * real ones elsewhere. */
static char *resolv_file(void)
{
    static const char *const paths[] = { "/etc/resolv.conf",
                                         "/run/systemd/resolve/resolv.conf" };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        FILE *file = fopen(paths[i], "re");
        char text[4096];
        size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
        text[n] = 0;
        if (file)
            fclose(file);
        if (strstr(text, "nameserver") && !strstr(text, "nameserver 127.") &&
            !strstr(text, "nameserver ::1"))
            return strdup(text);
    }
    return NULL;
}

static int add_routes(const struct lab *lab, struct error *err)
{
    int error = 0;
    for (int i = 0; i < lab->count && !error; i++) {
        error = sandbox_enter(lab->sandbox, i, err);
        if (!error)
            error = route_add_default(GATEWAY, err);
    }
    return error;
}

int lab_uplink(struct lab *lab, const char *directory, struct error *err)
{
    if (sandbox_in_user_namespace(lab->sandbox))
        return error_set(err, ERROR_PRIVILEGE, EPERM,
                         "an uplink changes the host's network: run as root");
    struct lab_uplink *uplink = calloc(1, sizeof(*uplink));
    snprintf(uplink->directory, sizeof(uplink->directory), "%s", directory);
    snprintf(uplink->ifname, sizeof(uplink->ifname), "vglab%d", (int)getpid());
    lab->uplink = uplink;
    struct veth veth = { .name = LAB_UPLINK,
                         .peer_name = uplink->ifname,
                         .peer_network =
                             sandbox_descriptor(lab->sandbox, SANDBOX_OUTSIDE) };
    int error = veth_new(&veth, err);
    if (!error)
        error = link_set_up(LAB_UPLINK, err);
    if (!error)
        error = sandbox_enter(lab->sandbox, SANDBOX_OUTSIDE, err);
    if (!error)
        error = set_up_outside(uplink, err);
    if (!error)
        error = add_routes(lab, err);
    int back = sandbox_enter(lab->sandbox, SANDBOX_MIDDLE, error ? NULL : err);
    lab->resolv_file = resolv_file();
    return error ? error : back;
}

void lab_uplink_free(struct lab *lab)
{
    struct lab_uplink *uplink = lab->uplink;
    if (!uplink)
        return;
    nftables_close(uplink->masquerade);
    if (!sandbox_enter(lab->sandbox, SANDBOX_OUTSIDE, NULL)) {
        link_delete(uplink->ifname, NULL); /* else it goes a moment after us */
        journal_close(uplink->journal, NULL);
        if (uplink->claimed)
            journal_release(uplink->directory, NULL);
        sandbox_enter(lab->sandbox, SANDBOX_MIDDLE, NULL);
    }
    free(uplink);
    lab->uplink = NULL;
}
