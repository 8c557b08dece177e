/* PcapWriter: packets into a capture file.
 *
 *     input -> [ PcapWriter ] -> output (where linked: a tap in the line)
 *                    |
 *                   file
 *
 * Times are packet timestamps moved from CLOCK_MONOTONIC to wall clock time by an offset
 * taken at the start; a packet without one gets the time of the breath. On a virtual
 * clock the offset is 0, so that the same run writes the same bytes. A VLAN tag that
 * travels beside the frame is put back into it. Checksums that are left to hardware are
 * written as they are, super-frames as the one frame that they are in memory. A name that
 * ends in .pcapng makes the file one.
 *
 * Writing goes through a buffer that is flushed about once a second, and at the stop. A
 * write error ends the capture, not the graph: packets pass on as before, and the file is
 * cut behind the last record known to be whole.
 *
 * The file is emptied in the first breath, not at the start: by then an earlier instance
 * that writes to the same file has stopped, and a graph that could not start has left
 * its capture alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine.h"
#include "lib/pcapng.h"

#define BUFFER_SIZE   (256 * 1024)
#define FLUSH         1000000000 /* ns between flushes */
#define FILE_HEADER   24         /* bytes in a pcap file before the first record */
#define RECORD_HEADER 16
#define BLOCK_ROOM    64 /* for what pcapng puts around a frame and its tag */

enum precision { NANO, MICRO };

struct pcap_writer_conf {
    char *file;
    int precision;
    uint64_t snaplen;
};

struct pcap_writer {
    FILE *file;
    pcap_t *pcap;
    pcap_dumper_t *dumper; /* is file as libpcap sees it */
    bool pcapng;           /* instead */
    bool begun;            /* the first breath was */
    char *buffer;          /* the file's; BUFFER_SIZE */
    uint8_t *scratch;      /* a frame with its tag put back */
    uint8_t *block;        /* pcapng: a record in the making */
    uint64_t offset;       /* ns from the engine's clock to the file's */
    uint64_t next_flush;
    uint64_t flushed;  /* bytes that the system has taken */
    uint64_t buffered; /* bytes ... */
    uint64_t pending;  /* ... and packets in the buffer */
    int error;         /* errno that ended the capture */
};

enum { PACKETS, BYTES, TRUNCATED, DROP_WRITE_ERROR, LOST_WRITE_ERROR };

static const struct counter_row counters[] = {
    [PACKETS] = { "packets", "packets written" },
    [BYTES] = { "bytes", "bytes of their frames" },
    [TRUNCATED] = { "truncated", "packets cut to snaplen" },
    [DROP_WRITE_ERROR] = { "drop_write_error",
                           "packets not written: writing had failed" },
    [LOST_WRITE_ERROR] = { "lost_write_error",
                           "packets in the buffer when writing failed" },
    { NULL, NULL },
};

static uint64_t read_clock(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int open_file(struct pcap_writer *writer, const char *path, struct error *err)
{
    struct stat st;
    /* The reader of a pipe could make the graph wait. */
    if (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
        return error_set(err, ERROR_FILE, EINVAL, "file: %s is not a regular file", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    if (fd < 0)
        return error_system(err, ERROR_FILE, "file: cannot create %s", path);
    writer->file = fdopen(fd, "wb");
    if (writer->file)
        return 0;
    close(fd);
    return error_set(err, ERROR_FILE, ENOMEM, "file: out of memory");
}

static bool is_pcapng(const char *path)
{
    static const char end[] = ".pcapng";
    size_t length = strlen(path);
    return length >= sizeof(end) - 1 && !strcmp(path + length - (sizeof(end) - 1), end);
}

static int start(struct app *app, struct error *err)
{
    struct pcap_writer *writer = app->state;
    const struct pcap_writer_conf *conf = app->conf;
    if (!app->engine->options.virtual_time)
        writer->offset = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
    writer->pcap = pcap_open_dead_with_tstamp_precision(
        DLT_EN10MB, (int)conf->snaplen,
        conf->precision == NANO ? PCAP_TSTAMP_PRECISION_NANO
                                : PCAP_TSTAMP_PRECISION_MICRO);
    writer->buffer = malloc(BUFFER_SIZE);
    writer->scratch = malloc(PACKET_LARGE + PACKET_TAG);
    writer->block = malloc(PACKET_LARGE + BLOCK_ROOM);
    writer->pcapng = is_pcapng(conf->file);
    if (!writer->pcap || !writer->buffer || !writer->scratch || !writer->block)
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    return open_file(writer, conf->file, err);
}

/* Ends the capture. Stdio has let go of what it could not write. */
static void fail(struct app *app, int error)
{
    struct pcap_writer *writer = app->state;
    writer->error = error ? error : EIO;
    app_count(app, LOST_WRITE_ERROR, writer->pending);
    writer->pending = 0;
    int cut = ftruncate(fileno(writer->file), (off_t)writer->flushed);
    (void)cut; /* where this fails too, readers find half a record at the end */
}

static void flush(struct app *app)
{
    struct pcap_writer *writer = app->state;
    writer->next_flush = engine_now(app->engine) + FLUSH;
    if (!writer->begun || writer->error || !writer->buffered)
        return;
    if (fflush(writer->file)) {
        fail(app, errno);
        return;
    }
    writer->flushed += writer->buffered;
    writer->buffered = writer->pending = 0;
}

/* The start of the file; its length, 0 when that fails. */
static uint32_t write_head(struct pcap_writer *writer)
{
    uint8_t head[PCAPNG_HEAD];
    if (!writer->pcapng) {
        writer->dumper = pcap_dump_fopen(writer->pcap, writer->file);
        return writer->dumper ? FILE_HEADER : 0;
    }
    uint32_t length = pcapng_head(head);
    return fwrite(head, 1, length, writer->file) == length ? length : 0;
}

/* The first breath. */
static void begin(struct app *app)
{
    struct pcap_writer *writer = app->state;
    struct stat st;
    writer->begun = true;
    setvbuf(writer->file, writer->buffer, _IOFBF, BUFFER_SIZE);
    int fd = fileno(writer->file);
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) && ftruncate(fd, 0)) {
        fail(app, errno);
        return;
    }
    writer->buffered = write_head(writer);
    if (writer->buffered)
        flush(app);
    else
        fail(app, EIO);
}

static void stop(struct app *app)
{
    struct pcap_writer *writer = app->state;
    flush(app);
    if (writer->dumper)
        pcap_dump_close(writer->dumper);
    else if (writer->file)
        fclose(writer->file);
    if (writer->pcap)
        pcap_close(writer->pcap);
    free(writer->buffer);
    free(writer->scratch);
    free(writer->block);
}

/* The frame as it was on the wire; *length becomes its length there. */
static const uint8_t *with_tag(struct pcap_writer *writer, const struct packet *p,
                               uint32_t *length)
{
    *length = p->length;
    if (likely(!(p->flags & PACKET_VLAN)))
        return p->data;
    *length = packet_copy_tagged(p, writer->scratch);
    return writer->scratch;
}

/* Bytes that it took of the buffer. */
static uint32_t write_record(struct pcap_writer *writer,
                             const struct pcapng_packet *record, int precision)
{
    if (writer->pcapng) {
        uint32_t size = pcapng_packet(writer->block, record);
        fwrite(writer->block, 1, size, writer->file); /* flush sees what goes wrong */
        return size;
    }
    uint64_t fraction = record->time % 1000000000;
    struct pcap_pkthdr header = {
        .ts.tv_sec = (time_t)(record->time / 1000000000),
        .ts.tv_usec = (suseconds_t)(precision == NANO ? fraction : fraction / 1000),
        .caplen = record->length,
        .len = record->original,
    };
    pcap_dump((u_char *)writer->dumper, &header, record->bytes);
    return RECORD_HEADER + record->length;
}

static void write_packet(struct app *app, const struct packet *p)
{
    struct pcap_writer *writer = app->state;
    const struct pcap_writer_conf *conf = app->conf;
    uint32_t length;
    const uint8_t *bytes = with_tag(writer, p, &length);
    uint32_t keep = length < conf->snaplen ? length : (uint32_t)conf->snaplen;
    uint32_t around = writer->pcapng ? BLOCK_ROOM : RECORD_HEADER;
    if (writer->buffered + around + keep > BUFFER_SIZE)
        flush(app); /* stdio must not: a failure would not be told from the next one */
    if (unlikely(writer->error)) {
        app_count(app, DROP_WRITE_ERROR, 1);
        return;
    }
    uint64_t time = p->timestamp ? p->timestamp : engine_now(app->engine);
    struct pcapng_packet record = { time + writer->offset, bytes, keep, length, NULL };
    writer->buffered += write_record(writer, &record, conf->precision);
    writer->pending++;
    app_count(app, PACKETS, 1);
    app_count(app, BYTES, length);
    app_count(app, TRUNCATED, keep < length);
}

static void begin_once(struct app *app)
{
    const struct pcap_writer *writer = app->state;
    if (unlikely(!writer->begun))
        begin(app);
}

static void push(struct app *app)
{
    struct link *input = app_input(app, 0), *output = app_output(app, 0);
    struct packet *p[LINK_BURST];
    uint32_t n;
    begin_once(app);
    while (input && (n = link_receive_burst(input, p, LINK_BURST))) {
        for (uint32_t i = 0; i < n; i++)
            write_packet(app, p[i]);
        if (output)
            link_transmit_burst(output, p, n);
        else
            packet_free_burst(p, n);
    }
}

static void tick(struct app *app)
{
    const struct pcap_writer *writer = app->state;
    begin_once(app);
    if (engine_now(app->engine) >= writer->next_flush)
        flush(app);
}

static void report(struct app *app, FILE *out)
{
    const struct pcap_writer *writer = app->state;
    const struct pcap_writer_conf *conf = app->conf;
    if (writer->error)
        fprintf(out, "(writing %s ended: %s)", conf->file, strerror(writer->error));
}

static int verify(const void *conf, struct error *err)
{
    const struct pcap_writer_conf *writer = conf;
    return writer->file ? 0 : error_set(err, ERROR_CONFIG, EINVAL, "file: no name given");
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets to be written" },
    { "output", PORT_OUTPUT, "the same packets; freed when nothing is linked" },
    { NULL },
};

static const char *const precisions[] = { [NANO] = "ns", [MICRO] = "us", NULL };

static const struct param params[] = {
    PARAM_STRING(
        struct pcap_writer_conf, file, NULL,
        "capture file, pcapng when its name ends so, else pcap; emptied when it is there"),
    PARAM_ENUM(struct pcap_writer_conf, precision, "ns", precisions,
               "of the times in a pcap file; old programs want \"us\""),
    PARAM_SIZE(struct pcap_writer_conf, snaplen, "256KB", "14", "256KB",
               "bytes kept of a packet at most"),
    PARAM_END,
};

const struct app_class pcap_writer_class = {
    .name = "PcapWriter",
    .doc = "writes packets to a capture file, and passes them on where linked",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct pcap_writer_conf),
    .counters = counters,
    .state_size = sizeof(struct pcap_writer),
    .start = start,
    .stop = stop,
    .push = push,
    .tick = tick,
    .report = report,
    .verify = verify,
};
