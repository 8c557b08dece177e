/* raw_socket_rig: two RawSockets, the wires they are at, and the far ends of those. */
#include "selftest/raw_socket_rig.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include "apps/apps.h"
#include "lib/random.h"

#define PATIENCE 30000000000ull /* ns */
#define MAC_SIZE 12             /* both addresses */
#define TAG_SIZE 4

bool rig_network(void)
{
    if (!private_network())
        return false;
    shell("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
    shell("ip link add left type veth peer name if1");
    shell("ip link add right type veth peer name if2");
    shell("for i in left if1 if2 right; do ip link set $i up || exit 1; done");
    return true;
}

static void keep_line(const char *line, void *user)
{
    struct rig *rig = user;
    size_t used = strlen(rig->log);
    snprintf(rig->log + used, sizeof(rig->log) - used, "%s\n", line);
}

void rig_engine(struct rig *rig, struct journal *journal)
{
    struct error err;
    *rig = (struct rig){ .left = -1, .right = -1 };
    struct engine_options options = { .log = keep_line,
                                      .log_user = rig,
                                      .journal = journal };
    rig->engine = engine_new(&options, &err);
    ck_assert_msg(rig->engine != NULL, "%s", err.text);
    rig->in_use = arena_in_use();
}

int rig_try(struct graph *graph, const char *class, const char *name, const char *ifname,
            const char *options, const char *separator, struct error *err)
{
    struct value args = value_table();
    char *words = strdup(options ? options : ""), *rest = words, *word;
    value_table_add(&args, "ifname", value_string(ifname));
    while ((word = strsep(&rest, separator))) {
        char *text = strchr(word, '=');
        if (!text)
            continue;
        *text = 0;
        value_table_add(&args, word, value_string(text + 1));
    }
    int error = graph_add_app(graph, name, apps_find(class), &args, NULL, err);
    free(words);
    value_free(&args);
    return error;
}

void rig_socket(struct graph *graph, const char *name, const char *ifname,
                const char *options)
{
    struct error err;
    ck_assert_msg(!rig_try(graph, "RawSocket", name, ifname, options, " ", &err), "%s",
                  err.text);
}

void rig_pair(struct rig *rig, const char *options1, const char *options2)
{
    rig_engine(rig, NULL);
    struct graph *graph = graph_new();
    rig_socket(graph, "if1", "if1", options1);
    rig_socket(graph, "if2", "if2", options2);
    test_link(graph, "if1 -> if2");
    test_link(graph, "if2 -> if1");
    test_configure(rig->engine, graph);
    rig->if1 = engine_find_app(rig->engine, "if1");
    rig->if2 = engine_find_app(rig->engine, "if2");
}

void rig_bridge(struct rig *rig, const char *options)
{
    rig_pair(rig, options, options);
}

void rig_start(struct rig *rig, const char *options)
{
    rig_bridge(rig, options);
    rig->left = wire_open("left");
    rig->right = wire_open("right");
}

void rig_listen(struct rig *rig, const char *options)
{
    struct graph *graph = graph_new();
    rig_engine(rig, NULL);
    rig_socket(graph, "if1", "if1", options);
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "out", "Collect", NULL);
    test_link(graph, "if1 -> out");
    test_link(graph, "in -> if1");
    test_configure(rig->engine, graph);
    rig->left = wire_open("left");
}

size_t rig_collected(struct rig *rig)
{
    size_t count;
    test_collected(rig->engine, "out", &count);
    return count;
}

size_t rig_next(struct rig *rig, int wire, uint8_t *frame)
{
    size_t length = 0;
    RIG_UNTIL(rig, (length = wire_receive(wire, frame)));
    return length;
}

void rig_expect(struct rig *rig, int wire, const void *frame, size_t length)
{
    static uint8_t got[RIG_FRAME_MAX];
    ck_assert_uint_eq(rig_next(rig, wire, got), length);
    ck_assert_mem_eq(got, frame, length);
}

/* What a socket was given to send: sent, dropped under a reason, or on the link still. */
static void check_sent(struct rig *rig, const struct app *app)
{
    static const char *const ends[] = { "tx_packets",     "tx_split",
                                        "drop_tx_runt",   "drop_tx_oversize",
                                        "drop_tx_failed", "drop_tx_offload",
                                        "drop_link_down", "drop_tx_none",
                                        "tx_held" };
    uint64_t sum = -test_counter(rig->engine, app->name, "tx_segments");
    if (!app->ninputs || !app->inputs[0])
        return;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sum += test_counter(rig->engine, app->name, ends[i]);
    ck_assert_msg(sum == app->inputs[0]->read, "%s: %lu of %lu packets accounted for",
                  app->name, (unsigned long)sum, (unsigned long)app->inputs[0]->read);
}

/* What a socket received is on its link, has been, or was dropped there. */
static void check_received(struct rig *rig, const struct app *app)
{
    if (!app->noutputs || !app->outputs[0])
        return;
    uint64_t received = test_counter(rig->engine, app->name, "rx_packets");
    ck_assert_uint_eq(received, app->outputs[0]->write + app->outputs[0]->drops);
}

void rig_stop(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->engine->napps; i++)
        if (!strcmp(rig->engine->apps[i]->class->name, "RawSocket")) {
            check_sent(rig, rig->engine->apps[i]);
            check_received(rig, rig->engine->apps[i]);
        }
    engine_free(rig->engine);
    ck_assert_uint_eq(arena_in_use(), rig->in_use);
    if (rig->left >= 0)
        close(rig->left);
    if (rig->right >= 0)
        close(rig->right);
}

void rig_give_time(struct rig *rig)
{
    rig->deadline = engine_clock(rig->engine) + PATIENCE;
}

void rig_step(struct rig *rig, const char *condition)
{
    engine_breathe(rig->engine);
    poll(rig->engine->polls, rig->engine->npolls, 1);
    if (engine_clock(rig->engine) < rig->deadline)
        return;
    test_print_counters(rig->engine);
    ck_abort_msg("never: %s", condition);
}

uint64_t rig_count(struct rig *rig, const char *app, const char *counter)
{
    return test_counter(rig->engine, app, counter);
}

uint64_t rig_received(struct rig *rig, const char *app)
{
    static const char *const ends[] = {
        "rx_packets", "drop_truncated", "drop_oversize", "drop_malformed", "drop_gso",
        "drop_vlan",  "drop_no_output", "drop_closed",   "drop_ring_full"
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sum += rig_count(rig, app, ends[i]);
    return sum;
}

void rig_expect_kernel(struct rig *rig, const char *app, uint64_t frames)
{
    RIG_UNTIL(rig, rig_count(rig, app, "kernel_packets") >= frames &&
                       rig_received(rig, app) >= frames);
    ck_assert_uint_eq(rig_count(rig, app, "kernel_packets"), frames);
    ck_assert_uint_eq(rig_received(rig, app), frames);
}

/* --- far ends ----------------------------------------------------------------------- */

int wire_open(const char *ifname)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
        size = 8 << 20;
    struct sockaddr_ll address = { .sll_family = AF_PACKET,
                                   .sll_protocol = htons(ETH_P_ALL),
                                   .sll_ifindex = (int)if_nametoindex(ifname) };
    ck_assert_msg(fd >= 0 && address.sll_ifindex, "%s: %s", ifname, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void wire_send(int wire, const void *frame, size_t length)
{
    ssize_t sent;
    while ((sent = send(wire, frame, length, 0)) < 0 && errno == EAGAIN)
        poll(&(struct pollfd){ wire, POLLOUT, 0 }, 1, 1000);
    ck_assert_msg(sent == (ssize_t)length, "send: %s", strerror(errno));
}

/* The kernel takes the outer tag out of a frame; this puts it back. */
static size_t restore_tag(struct msghdr *message, uint8_t *frame, size_t length)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    struct tpacket_auxdata aux;
    ck_assert_ptr_nonnull(control);
    memcpy(&aux, CMSG_DATA(control), sizeof(aux));
    if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
        return length;
    uint16_t tag[2] = { htons(aux.tp_vlan_tpid), htons(aux.tp_vlan_tci) };
    memmove(frame + MAC_SIZE + TAG_SIZE, frame + MAC_SIZE, length - MAC_SIZE);
    memcpy(frame + MAC_SIZE, tag, TAG_SIZE);
    return length + TAG_SIZE;
}

size_t wire_receive(int wire, uint8_t *frame)
{
    union {
        struct cmsghdr header;
        char bytes[256];
    } control;
    struct iovec vector = { frame, RIG_FRAME_MAX - TAG_SIZE };
    struct msghdr message = { .msg_iov = &vector,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
    ssize_t got = recvmsg(wire, &message, MSG_DONTWAIT);
    return got > 0 ? restore_tag(&message, frame, (size_t)got) : 0;
}

const uint8_t *frame_make(uint32_t n, size_t length)
{
    static uint8_t frame[RIG_FRAME_MAX];
    static const uint8_t header[ETH_HLEN] = { 2, 0, 0, 0, 0, 2,    2,
                                              0, 0, 0, 0, 1, 0x88, 0xb5 };
    struct random_key key = random_key(n, "frame", "bytes");
    memcpy(frame, header, sizeof(header));
    for (size_t at = sizeof(header), i = 0; at < length; at++, i++)
        frame[at] = (uint8_t)random_draw(&key, i);
    return frame;
}

const uint8_t *rig_datagram(size_t length, uint16_t from, uint16_t to, uint32_t number,
                            bool back)
{
    static uint8_t frame[RIG_FRAME_MAX];
    static const uint8_t header[] = { 8,  0, 0x45, 0,  0, 0, 0, 0,  0, 0, 64,
                                      17, 0, 0,    10, 0, 0, 1, 10, 0, 0, 2 };
    uint16_t ip_length = (uint16_t)(length - 14), udp_length = (uint16_t)(length - 34);
    memcpy(frame, frame_make(1, length), length);
    memcpy(frame + 12, header, sizeof(header));
    frame[16] = (uint8_t)(ip_length >> 8);
    frame[17] = (uint8_t)ip_length;
    frame[29] = back ? 2 : 1;
    frame[33] = back ? 1 : 2;
    uint16_t ports[2] = { back ? to : from, back ? from : to };
    for (int i = 0; i < 2; i++) {
        frame[34 + 2 * i] = (uint8_t)(ports[i] >> 8);
        frame[35 + 2 * i] = (uint8_t)ports[i];
    }
    frame[38] = (uint8_t)(udp_length >> 8);
    frame[39] = (uint8_t)udp_length;
    frame[40] = frame[41] = 0;
    memcpy(frame + 42, &number, sizeof(number));
    return frame;
}
