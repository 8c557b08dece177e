/* lab: hosts that are network namespaces, each with a cable to the middle. */
#include "lib/lab.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/lab_uplink.h"
#include "lib/nearest.h"
#include "lib/veth.h"

/* us in which hosts announce their multicast groups, twice. It is better over before
 * anybody counts packets. */
#define ANNOUNCED 60000

/* --- names --------------------------------------------------------------------------- */

static int check_name(const struct lab *lab, const char *name, struct error *err)
{
    size_t length = strlen(name);
    bool good = length > 0 && length < INTERFACE_NAME_SIZE && *name != '-';
    for (const char *c = name; *c && good; c++)
        good = isalnum((unsigned char)*c) || *c == '-';
    if (!good || !strcmp(name, "lo"))
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "\"%.64s\" is no name for a host: letters, digits and -, 15 at "
                         "most",
                         name);
    for (int i = 0; i < lab->count; i++)
        if (!strcmp(lab->hosts[i].name, name))
            return error_set(err, ERROR_CONFIG, EEXIST, "host \"%s\" is there twice",
                             name);
    return 0;
}

int lab_find(const struct lab *lab, const char *name, struct error *err)
{
    const char *names[LAB_HOSTS_MAX + 1];
    for (int i = 0; i < lab->count; i++) {
        if (!strcmp(lab->hosts[i].name, name))
            return i;
        names[i] = lab->hosts[i].name;
    }
    names[lab->count] = NULL;
    const char *near = nearest(name, names);
    return error_set(err, ERROR_CONFIG, ENODEV, "no host \"%.64s\"%s%s%s", name,
                     near ? " (did you mean \"" : "", near ? near : "",
                     near ? "\"?)" : "");
}

/* --- the kernel's knobs -------------------------------------------------------------- */

struct knob {
    const char *path, *value;
};

/* Before there is an interface: those of "default" are for what comes. */
static const struct knob middle_knobs[] = {
    { "net/ipv6/conf/default/disable_ipv6", "1" },
    { NULL },
};

static const struct knob host_knobs[] = {
    { "net/ipv6/conf/default/accept_dad", "0" },
    { "net/ipv6/conf/default/dad_transmits", "0" },
    { "net/ipv6/conf/default/accept_ra", "0" },
    { "net/ipv6/conf/default/autoconf", "0" },
    { "net/ipv6/conf/default/router_solicitations", "0" },
    /* Multicast groups are announced at once, not over ten seconds. */
    { "net/ipv6/conf/default/mldv1_unsolicited_report_interval", "1" },
    { "net/ipv6/conf/default/mldv2_unsolicited_report_interval", "1" },
    { "net/ipv4/tcp_no_metrics_save", "1" },
    { NULL },
};

/* A knob that this kernel lacks, or that a container protects, keeps its value: the hosts
 * reach each other all the same. */
static void turn(const char *knob, const char *value)
{
    char path[128];
    snprintf(path, sizeof(path), "/proc/sys/%s", knob);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t ignored = write(fd, value, strlen(value));
    (void)ignored;
    close(fd);
}

static void turn_all(const struct knob *knobs)
{
    for (; knobs->path; knobs++)
        turn(knobs->path, knobs->value);
}

/* ping without privilege; only groups that the user namespace knows can be named. */
static void permit_ping(const struct sandbox *sandbox)
{
    char range[32];
    unsigned group = sandbox_in_user_namespace(sandbox) ? (unsigned)getegid() : 0;
    snprintf(range, sizeof(range), "%u %u", group,
             sandbox_in_user_namespace(sandbox) ? group : 2147483647);
    turn("net/ipv4/ping_group_range", range);
}

/* --- hosts --------------------------------------------------------------------------- */

static int connect_host(const struct lab *lab, int number, struct error *err)
{
    const struct lab_host *host = &lab->hosts[number];
    const uint8_t mac[] = { 2, 0, 0, 0, 0, (uint8_t)(number + 1) },
                  own_mac[] = { 2, 0, 0, 0, 1, (uint8_t)(number + 1) };
    struct veth veth = { .name = host->name,
                         .peer_name = "eth0",
                         .peer_network = sandbox_descriptor(lab->sandbox, number),
                         .mac = own_mac,
                         .peer_mac = mac };
    int error = veth_new(&veth, err);
    return error ? error : link_set_up(host->name, err);
}

/* In the host's network namespace. The address comes last: the link is up by then. */
static int set_up_inside(const struct lab_host *host, struct error *err)
{
    int error = link_set_up("lo", err);
    if (!error)
        error = address_add("eth0", host->ipv4, 16, err);
    if (!error)
        error = link_set_up("eth0", err);
    /* To be asked is what makes the kernel act upon the carrier now, with one more round
     * of announcements, and not some time in the next second. */
    struct interface facts;
    if (!error)
        error = interface_query("eth0", &facts, err);
    if (error)
        return error;
    /* A kernel without IPv6 is one more reason to have a lab. */
    return access("/proc/sys/net/ipv6", F_OK) ? 0
                                              : address_add("eth0", host->ipv6, 64, err);
}

static int add_host(struct lab *lab, const char *name, struct error *err)
{
    struct lab_host *host = &lab->hosts[lab->count];
    int error = check_name(lab, name, err);
    if (error)
        return error;
    int number = sandbox_network(lab->sandbox, err);
    if (number < 0)
        return number;
    lab->count++;
    snprintf(host->name, sizeof(host->name), "%s", name);
    snprintf(host->ipv4, sizeof(host->ipv4), "10.77.0.%d", number + 1);
    snprintf(host->ipv6, sizeof(host->ipv6), "fd77::%x", (unsigned)number + 1);
    error = sandbox_enter(lab->sandbox, number, err);
    if (error)
        return error;
    turn_all(host_knobs);
    permit_ping(lab->sandbox);
    error = sandbox_enter(lab->sandbox, SANDBOX_MIDDLE, err);
    if (!error)
        error = connect_host(lab, number, err);
    if (!error)
        error = sandbox_enter(lab->sandbox, number, err);
    if (error)
        return error;
    error = set_up_inside(host, err);
    int back = sandbox_enter(lab->sandbox, SANDBOX_MIDDLE, error ? NULL : err);
    return error ? error : back;
}

/* The names of the hosts, then what the file says anyway. */
static char *make_hosts_file(const struct lab *lab)
{
    char *text = NULL, line[512];
    size_t size;
    FILE *out = open_memstream(&text, &size), *old = fopen("/etc/hosts", "re");
    fprintf(out, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for (int i = 0; i < lab->count; i++)
        fprintf(out, "%s %s\n%s %s\n", lab->hosts[i].ipv4, lab->hosts[i].name,
                lab->hosts[i].ipv6, lab->hosts[i].name);
    while (old && fgets(line, sizeof(line), old))
        fputs(line, out);
    if (old)
        fclose(old);
    fclose(out);
    return text;
}

int lab_new(struct lab *lab, const char *const *names,
            const struct sandbox_options *options, struct error *err)
{
    *lab = (struct lab){ .sandbox = sandbox_new(options, err) };
    if (!lab->sandbox)
        return -EPERM;
    turn_all(middle_knobs);
    int error = 0;
    for (size_t i = 0; names[i] && !error; i++)
        error = add_host(lab, names[i], err);
    if (error) {
        lab_free(lab);
        return error;
    }
    lab->hosts_file = make_hosts_file(lab);
    usleep(ANNOUNCED);
    return 0;
}

void lab_free(struct lab *lab)
{
    lab_uplink_free(lab);
    sandbox_free(lab->sandbox);
    free(lab->hosts_file);
    free(lab->resolv_file);
    *lab = (struct lab){ 0 };
}
