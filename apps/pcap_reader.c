/* PcapReader: the packets of a capture file.
 *
 *     file -> [ PcapReader ] -> output
 *
 * Reads what libpcap reads: pcap and pcapng, of either byte order and any precision; the
 * link type must be Ethernet. With pace = "flat" packets leave as fast as the output
 * takes them. With pace = "timestamps" each has its time: that of the first packet plus
 * its distance from it in the file, divided by speed. Times are computed from the start
 * of the pass, never from the packet before, so that lateness does not add up. Packets
 * carry the time they were due at; a file whose times run backwards keeps its order.
 * pace = "clock" takes the times of the file for times of the engine's clock, which is what a
 * simulation does whose clock starts at the first packet: each then has its own time exactly.
 *
 * A pass over the file follows the one before at the mean distance of its packets. What
 * is broken within a file (a tail cut off, a record that makes no sense) ends the pass;
 * a pass without a single record is the last.
 *
 * Invariant: the record that waits to be sent stays in libpcap's buffer, so that being
 * out of packets loses nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine.h"

#define BURST   128          /* records per breath */
#define RETRY   100000       /* ns until the next attempt to send what is due */
#define FARAWAY (1ull << 62) /* ns; later than any clock: keeps sums from wrapping */

enum pace_choice { FLAT, TIMESTAMPS, CLOCK };

struct pcap_reader_conf {
    char *file;
    int pace;
    double speed;
    int64_t loop;
};

struct pcap_reader {
    FILE *file;
    pcap_t *pcap;               /* the present pass; NULL when all is done */
    struct pcap_pkthdr *header; /* of the record that waits; NULL: none does */
    const u_char *bytes;
    int64_t passes;  /* begun */
    uint64_t first;  /* time of the pass's first record in the file, ns */
    uint64_t count;  /* records of the pass so far */
    uint64_t anchor; /* a moment in the file ... */
    uint64_t base;   /* ... and in engine time, which all others are computed from */
    uint64_t last;   /* the record sent last: its time in the file ... */
    uint64_t due;    /* ... and in engine time */
};

enum {
    PACKETS,
    BYTES,
    PASSES,
    TRUNCATED,
    DROP_TOO_LONG,
    FILE_ERRORS,
    FINISHED,
    NEXT_DUE
};

static const struct counter_row counters[] = {
    [PACKETS] = { "packets", "packets sent" },
    [BYTES] = { "bytes", "bytes of them" },
    [PASSES] = { "passes", "times the file was read to its end" },
    [TRUNCATED] = { "truncated", "packets sent that had been cut when captured" },
    [DROP_TOO_LONG] = { "drop_too_long", "frames longer than a packet can be" },
    [FILE_ERRORS] = { "file_errors", "passes ended by something broken in the file" },
    [FINISHED] = { "finished", "1 when there is nothing more to send" },
    [NEXT_DUE] = { "next_due_ns",
                   "when the packet that waits is due, on the engine's clock" },
    { NULL, NULL },
};

static int open_file(struct pcap_reader *reader, const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st))
        return error_system(err, ERROR_CONFIG, "file: cannot open %s", path);
    if (!S_ISREG(st.st_mode)) /* waiting for the other end of a pipe would block */
        return error_set(err, ERROR_CONFIG, EINVAL, "file: %s is not a regular file",
                         path);
    reader->file = fopen(path, "rbe");
    return reader->file ? 0
                        : error_system(err, ERROR_CONFIG, "file: cannot open %s", path);
}

static int check_link_type(pcap_t *pcap, const char *path, struct error *err)
{
    int type = pcap_datalink(pcap);
    if (type == DLT_EN10MB)
        return 0;
    const char *name = pcap_datalink_val_to_name(type);
    return error_set(err, ERROR_CONFIG, EINVAL,
                     "file: %s: link type %s (%d) is not supported, only EN10MB "
                     "(Ethernet) is",
                     path, name ? name : "unknown", type);
}

/* A stream of its own for libpcap to close, at the first byte of the file. */
static FILE *rewound(FILE *file)
{
    int fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    FILE *copy = fd < 0 || lseek(fd, 0, SEEK_SET) ? NULL : fdopen(fd, "rb");
    if (!copy && fd >= 0)
        close(fd);
    return copy;
}

/* Every pass parses the file from its first byte: a pcapng file describes its interfaces
 * on the way, and libpcap would add them up. */
static int open_pass(struct pcap_reader *reader, const char *path, struct error *err)
{
    char text[PCAP_ERRBUF_SIZE];
    FILE *file = rewound(reader->file);
    if (!file)
        return error_system(err, ERROR_CONFIG, "file: cannot read %s", path);
    reader->pcap =
        pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, text);
    if (!reader->pcap) {
        fclose(file);
        return error_set(err, ERROR_CONFIG, EINVAL, "file: %s: %s", path, text);
    }
    reader->passes++;
    reader->count = 0;
    return check_link_type(reader->pcap, path, err);
}

static int start(struct app *app, struct error *err)
{
    struct pcap_reader *reader = app->state;
    const struct pcap_reader_conf *conf = app->conf;
    int error = open_file(reader, conf->file, err);
    return error ? error : open_pass(reader, conf->file, err);
}

static void close_pass(struct pcap_reader *reader)
{
    if (reader->pcap)
        pcap_close(reader->pcap);
    reader->pcap = NULL;
    reader->header = NULL;
}

static void stop(struct app *app)
{
    struct pcap_reader *reader = app->state;
    close_pass(reader);
    if (reader->file)
        fclose(reader->file);
}

/* ns in the file to ns of engine time. */
static uint64_t scaled(uint64_t ns, double speed)
{
    if (speed != 1) { /* 1 is exact */
        double value = (double)ns / speed;
        ns = value < (double)FARAWAY ? (uint64_t)value : FARAWAY;
    }
    return ns < FARAWAY ? ns : FARAWAY;
}

/* Unsigned: the figures of a hostile file may wrap, which is defined and harmless. */
static uint64_t file_time(const struct pcap_pkthdr *header)
{
    return (uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec;
}

/* When the waiting record leaves. */
static uint64_t due_time(const struct app *app)
{
    const struct pcap_reader *reader = app->state;
    const struct pcap_reader_conf *conf = app->conf;
    if (conf->pace == FLAT)
        return engine_now(app->engine);
    uint64_t time = file_time(reader->header);
    uint64_t ahead = time > reader->anchor ? time - reader->anchor : 0;
    uint64_t due = reader->base + scaled(ahead, conf->speed);
    return due > reader->due ? due : reader->due;
}

/* The pass is over: begins the next, if there is one. */
static void next_pass(struct app *app, bool broken)
{
    struct pcap_reader *reader = app->state;
    const struct pcap_reader_conf *conf = app->conf;
    uint64_t count = reader->count;
    uint64_t length = reader->last > reader->first ? reader->last - reader->first : 0;
    close_pass(reader);
    app_count(app, PASSES, 1);
    bool more = count && (!conf->loop || reader->passes < conf->loop);
    if (more && open_pass(reader, conf->file, NULL)) { /* it has changed meanwhile */
        close_pass(reader);
        broken = true;
    }
    app_count(app, FILE_ERRORS, broken);
    app->counters[FINISHED] = !reader->pcap;
    reader->base = reader->due;
    if (count > 1)
        reader->base += scaled(length / (count - 1), conf->speed);
}

/* Is there a record that waits to be sent? Reads one when there is not. */
static bool has_record(struct app *app)
{
    struct pcap_reader *reader = app->state;
    const struct pcap_reader_conf *conf = app->conf;
    while (reader->pcap && !reader->header) {
        int got = pcap_next_ex(reader->pcap, &reader->header, &reader->bytes);
        if (got != 1) {
            next_pass(app, got == PCAP_ERROR);
            continue;
        }
        if (reader->count++)
            continue;
        reader->first = reader->anchor = file_time(reader->header);
        if (reader->passes == 1)
            reader->base = conf->pace == CLOCK ? reader->first : engine_now(app->engine);
    }
    return reader->header;
}

static struct packet *make_packet(struct app *app)
{
    struct pcap_reader *reader = app->state;
    struct packet *p = packet_from_bytes(reader->bytes, reader->header->caplen);
    if (!p)
        return NULL;
    app_count(app, PACKETS, 1);
    app_count(app, BYTES, p->length);
    app_count(app, TRUNCATED, reader->header->caplen < reader->header->len);
    return p;
}

/* Sends or drops the waiting record; false when no packet is free. */
static bool send_record(struct app *app, struct link *output, uint64_t due)
{
    struct pcap_reader *reader = app->state;
    if (reader->header->caplen > packet_capacity()) {
        app_count(app, DROP_TOO_LONG, 1);
    } else {
        struct packet *p = make_packet(app);
        if (!p)
            return false;
        p->timestamp = due;
        link_transmit(output, p);
    }
    reader->last = file_time(reader->header);
    reader->due = due;
    reader->header = NULL;
    return true;
}

static void pull(struct app *app)
{
    struct link *output = app_output(app, 0);
    uint64_t now = engine_now(app->engine);
    uint32_t n;
    for (n = 0; output && n < BURST && !link_full(output); n++) {
        if (!has_record(app))
            return;
        uint64_t due = due_time(app);
        if (due > now) {
            app->counters[NEXT_DUE] = due;
            app_wake_at(app, due);
            return;
        }
        if (!send_record(app, output, due))
            break;
    }
    if (output && !app->counters[FINISHED])
        app_wake_at(app, n == BURST ? now : now + RETRY);
}

/* Pace and speed change from the packet sent last onward. */
static int reconfigure(struct app *app, const void *to, struct error *err)
{
    struct pcap_reader *reader = app->state;
    const struct pcap_reader_conf *conf = app->conf, *new = to;
    if (strcmp(conf->file, new->file) || conf->loop != new->loop)
        return -EOPNOTSUPP;
    if (reader->count > (reader->header ? 1 : 0)) { /* it was one of this pass */
        reader->anchor = reader->last;
        reader->base = reader->due;
    }
    return 0;
}

/* What param_parse leaves of file = "". */
static int verify(const void *conf, struct error *err)
{
    const struct pcap_reader_conf *reader = conf;
    return reader->file ? 0 : error_set(err, ERROR_CONFIG, EINVAL, "file: no name given");
}

static const struct port ports[] = {
    { "output", PORT_OUTPUT, "the packets of the file" },
    { NULL },
};

static const char *const paces[] = {
    [FLAT] = "flat", [TIMESTAMPS] = "timestamps", [CLOCK] = "clock", NULL
};

static const struct param params[] = {
    PARAM_STRING(struct pcap_reader_conf, file, NULL, "capture file, pcap or pcapng"),
    PARAM_ENUM(
        struct pcap_reader_conf, pace, "flat", paces,
        "as fast as there is room, at the distances of the file, or when the clock of "
        "the engine shows the times of the file (for virtual time)"),
    PARAM_NUMBER(struct pcap_reader_conf, speed, "1", "0.000001", "1000000",
                 "with timestamps or clock: how many times faster than captured"),
    PARAM_INTEGER(struct pcap_reader_conf, loop, "1", "0", "9000000000000000000",
                  "how often the file is played; 0 is without end"),
    PARAM_END,
};

const struct app_class pcap_reader_class = {
    .name = "PcapReader",
    .doc = "plays the packets of a capture file",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct pcap_reader_conf),
    .counters = counters,
    .state_size = sizeof(struct pcap_reader),
    .start = start,
    .stop = stop,
    .pull = pull,
    .reconfigure = reconfigure,
    .verify = verify,
};
