/* traffic_match: what a filter of libpcap takes, this takes. In the kernel: test_xdp_hook.c. */
#include "lib/traffic_match.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "selftest/selftest.h"
#include "selftest/traffic_frames.h"

static struct error err;
static struct traffic_match match;

static void parse(const char *text)
{
    ck_assert_msg(!traffic_match_parse(&match, text, &err), "%s", err.text);
}

/* The filter of libpcap as the oracle. */
START_TEST(takes_what_pcap_takes)
{
    const uint32_t frames = 20000;
    struct pcap_pkthdr header = { .caplen = FRAME, .len = FRAME };
    struct bpf_program program;
    uint8_t frame[FRAME];
    const char *text = expressions[_i];
    uint32_t taken = 0;
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
    parse(text);
    ck_assert_msg(!pcap_compile(pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN), "%s: %s",
                  text, pcap_geterr(pcap));
    for (uint32_t i = 0; i < frames; i++) {
        some_frame(frame);
        bool theirs = pcap_offline_filter(&program, &header, frame);
        bool ours = traffic_match_frame(&match, frame, FRAME);
        ck_assert_msg(ours == theirs, "%s: frame %u: %d, pcap says %d", text, i, ours,
                      theirs);
        taken += ours;
    }
    ck_assert_msg(taken > frames / 2000 && taken < frames, "%s took %u of %u", text,
                  taken, frames);
    pcap_freecode(&program);
    pcap_close(pcap);
}
END_TEST

/* --- what pcap does otherwise ---------------------------------------------------------- */

static void udp_frame(uint8_t *frame, bool v6)
{
    memset(frame, 0, FRAME);
    memcpy(frame + 12, v6 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
    frame[v6 ? 20 : 23] = 17;
    memcpy(frame + (v6 ? 54 : 34), "\x10\x00\x12\xb5", 4); /* 4096, 4789 */
}

static bool takes(const char *text, const uint8_t *frame, size_t length)
{
    parse(text);
    return traffic_match_frame(&match, frame, length);
}

START_TEST(frames_with_tags)
{
    uint8_t frame[FRAME];
    udp_frame(frame, _i);
    ck_assert(!takes("vlan", frame, FRAME));
    ck_assert(takes("not vlan", frame, FRAME));
    for (int tags = 1; tags <= TRAFFIC_TAGS; tags++) {
        static const char *const words[] = { "\x81\x00\x60\x07", "\x88\xa8\x00\x00",
                                             "\x81\x00\x0f\xff" };
        insert(frame, 12, words[tags - 1], 4);
        ck_assert(takes("udp dst port 4789", frame, FRAME));
        ck_assert(takes("vlan", frame, FRAME));
        ck_assert(takes("udp and vlan 7", frame, FRAME) == (tags == 1));
        ck_assert(takes("vlan 0", frame, FRAME) == (tags == 2));
        ck_assert(takes("vlan 4095 and dst port 4789", frame, FRAME) == (tags == 3));
    }
    insert(frame, 12, "\x81\x00\x00\x01", 4); /* one too many */
    ck_assert(!takes("udp", frame, FRAME));
    ck_assert(takes("vlan 1", frame, FRAME));
}
END_TEST

START_TEST(extension_headers)
{
    uint8_t frame[FRAME];
    udp_frame(frame, true);
    frame[20] = 0; /* hop-by-hop options of 16 bytes */
    insert(frame, 54, "\x2b\x01..............", 16);
    ck_assert(!takes("udp", frame, FRAME));
    insert(frame, 70, "\x2c\x00......", 8);       /* routing */
    insert(frame, 78, "\x11\x00\x00\x01....", 8); /* the first fragment of several */
    ck_assert(takes("udp dst port 4789 and src port 4096", frame, FRAME));
    frame[80] = 1; /* not the first */
    ck_assert(takes("udp", frame, FRAME));
    ck_assert(!takes("port 4789", frame, FRAME));
}
END_TEST

/* Nothing is read behind the end, and what lies there does not count. */
START_TEST(frames_cut_off)
{
    uint8_t frame[FRAME];
    udp_frame(frame, _i);
    size_t ports = _i ? 54 : 34;
    for (size_t length = 0; length < FRAME; length++) {
        uint8_t *exact = malloc(length + 1);
        memcpy(exact, frame, length);
        ck_assert(takes("dst port 4789", exact, length) == (length >= ports + 4));
        ck_assert(takes("udp", exact, length) == (length >= (_i ? 54 : 34)));
        ck_assert(takes("", exact, length));
        free(exact);
    }
}
END_TEST

/* --- text ------------------------------------------------------------------------------ */

START_TEST(refused)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        { "udp dst", "\"udp dst\": host, net, port or portrange missing at the end" },
        { "foo", "\"foo\": \"foo\" is no primitive" },
        { "udp tcp", "\"udp tcp\": \"tcp\" is no \"and\" or \"or\"" },
        { "port 65536", "\"port 65536\": \"65536\" is no port" },
        { "port http", "\"port http\": \"http\" is no port" },
        { "port -1", "\"port -1\": \"-1\" is no port" },
        { "portrange 9-8", "\"portrange 9-8\": \"9-8\" is no range of ports (N-N)" },
        { "host 10.0.0.300", "\"host 10.0.0.300\": \"10.0.0.300\" is no address" },
        { "host 10.0.0.1/8", "\"host 10.0.0.1/8\": \"10.0.0.1/8\" is no address" },
        { "net 10.0.0.0/33",
          "\"net 10.0.0.0/33\": \"10.0.0.0/33\" is no network (ADDRESS/BITS)" },
        { "ip host fe80::1", "\"ip host fe80::1\": \"fe80::1\" is no IPv4 address" },
        { "ether proto 0xffff", /* which is how "any" is written down */
          "\"ether proto 0xffff\": \"0xffff\" is no Ethernet type" },
        { "vlan 4096", "\"vlan 4096\": \"4096\" is no VLAN" },
        { "(udp", "\"(udp\": closing parenthesis missing at the end" },
        { "udp)", "\"udp)\": \")\" is no \"and\" or \"or\"" },
        { "udp and", "\"udp and\": primitive missing at the end" },
        { "not", "\"not\": primitive missing at the end" },
        { "arp port 1", "\"arp port 1\": \"port\" is no thing that this protocol has" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_int_eq(traffic_match_parse(&match, rows[i].text, &err), -EINVAL);
        ck_assert_str_eq(err.text, rows[i].message);
        ck_assert_int_eq(err.kind, ERROR_CONFIG);
    }
}
END_TEST

START_TEST(too_many_alternatives)
{
    char text[4096] = "port 0";
    for (int i = 1; i < TRAFFIC_PRIMITIVES; i++)
        sprintf(text + strlen(text), " or port %d", i);
    parse(text);
    ck_assert_uint_eq(match.count, TRAFFIC_PRIMITIVES);
    strcat(text, " or tcp");
    ck_assert_int_eq(traffic_match_parse(&match, text, &err), -E2BIG);
    strcpy(text, "not (tcp and port 1)");
    for (int i = 0; i < 6; i++) /* each doubles them */
        strcat(text, " and not (tcp and port 1)");
    ck_assert_int_eq(traffic_match_parse(&match, text, &err), -E2BIG);
    memset(text, '(', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    ck_assert_int_eq(traffic_match_parse(&match, text, &err), -E2BIG);
}
END_TEST

static Suite *suite_traffic_match(void)
{
    Suite *suite = suite_create("traffic_match");
    TCase *tests = tcase_create("traffic_match");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, takes_what_pcap_takes, 0, EXPRESSIONS);
    tcase_add_loop_test(tests, frames_with_tags, 0, 2);
    tcase_add_test(tests, extension_headers);
    tcase_add_loop_test(tests, frames_cut_off, 0, 2);
    tcase_add_test(tests, refused);
    tcase_add_test(tests, too_many_alternatives);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(traffic_match)
