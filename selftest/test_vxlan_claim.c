/* claim: which ports are held, and by whom else they can be had. */
#include "apps/vxlan_nat/claim.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "selftest/private_network.h"
#include "selftest/selftest.h"

static struct claim claim;
static struct error err;

/* A socket at the port, or -errno. */
static int bind_at(uint16_t port)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (!bind(fd, (struct sockaddr *)&address, sizeof(address)))
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

static bool is_held(uint16_t port)
{
    int fd = bind_at(port);
    if (fd >= 0)
        close(fd);
    return fd == -EADDRINUSE;
}

static int claim_two(uint16_t first, uint16_t second, const char *ifname)
{
    return claim_ports(&claim, (const uint16_t[]){ first, second }, 2, ifname, &err);
}

START_TEST(others)
{
    if (!private_network())
        return;
    ck_assert_int_eq(claim_two(4789, 4790, NULL), 0);
    ck_assert(is_held(4789) && is_held(4790));
    int kept = claim.sockets[1];
    ck_assert_int_eq(claim_two(4791, 4790, NULL), 0);
    ck_assert(!is_held(4789) && is_held(4790) && is_held(4791));
    ck_assert_int_eq(claim.sockets[1], kept);
    ck_assert_int_eq(claim_two(4790, 4790, NULL), 0);
    ck_assert_uint_eq(claim.count, 1);
    ck_assert(is_held(4790) && !is_held(4791));
    ck_assert_int_eq(claim_two(4790, 4790, "lo"), 0);
    ck_assert(is_held(4790));
    char device[INTERFACE_NAME_SIZE] = "";
    socklen_t size = sizeof(device);
    getsockopt(claim.sockets[0], SOL_SOCKET, SO_BINDTODEVICE, device, &size);
    ck_assert_str_eq(device, "lo");
    claim_drop(&claim);
    ck_assert(!is_held(4790));
}
END_TEST

/* What is refused changes nothing. */
START_TEST(refused)
{
    if (!private_network())
        return;
    ck_assert_int_eq(claim_two(4789, 4790, NULL), 0);
    int next = dup(0);
    close(next);
    struct rlimit before, none = { .rlim_cur = (rlim_t)next + 1 };
    getrlimit(RLIMIT_NOFILE, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &none); /* one more */
    ck_assert_int_eq(
        claim_ports(&claim, (const uint16_t[]){ 4791, 4789, 4792 }, 3, NULL, &err),
        -EMFILE);
    setrlimit(RLIMIT_NOFILE, &before);
    ck_assert(is_held(4789) && is_held(4790) && !is_held(4791));
    claim_drop(&claim);
}
END_TEST

/* Who has a port keeps it, and it is claimed when he is gone. */
START_TEST(taken)
{
    if (!private_network())
        return;
    int other = bind_at(4789);
    ck_assert_int_eq(claim_two(4789, 4790, NULL), 0);
    ck_assert_uint_eq(claim.count, 1);
    close(other);
    ck_assert_int_eq(claim_two(4789, 4790, NULL), 0);
    ck_assert_uint_eq(claim.count, 2);
    ck_assert(is_held(4789));
    claim_drop(&claim);
}
END_TEST

static Suite *suite_vxlan_claim(void)
{
    Suite *suite = suite_create("vxlan_claim");
    TCase *tcase = tcase_create("vxlan_claim");
    tcase_add_test(tcase, others);
    tcase_add_test(tcase, refused);
    tcase_add_test(tcase, taken);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(vxlan_claim)
