/* captures: what came and what left, in two pcapng files. */
#include "apps/clumsy/captures.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/checksum.h"
#include "lib/pcapng.h"

#define COMMENT_SIZE 512

struct captures {
    struct pcapng_file before, after;
    uint64_t offset; /* ns from the engine's clock to the files' */
    bool open;       /* a packet has arrived and is not written yet ... */
    uint64_t index, arrival;
    uint32_t length;
    bool noted; /* something became of it */
    char comment[COMMENT_SIZE];
    uint8_t frame[PACKET_LARGE + PACKET_TAG]; /* ... which looked like this */
    uint8_t leaving[PACKET_LARGE + PACKET_TAG];
};

static uint64_t read_clock(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Another file, when it is to be another; what is there stays when that cannot be. */
static int configure_file(struct pcapng_file *file, const char *path, bool ring,
                          uint64_t bytes, struct error *err)
{
    struct pcapng_file other = { 0 };
    bool again = param_same_text(file->path, path);
    if (again && (!path || !ring))
        return 0;
    if (again) /* two of them would write over each other */
        pcapng_close(file);
    int error = path ? pcapng_open(&other, path, bytes, err) : 0;
    if (error)
        return error;
    pcapng_close(file);
    *file = other;
    return 0;
}

int captures_configure(struct captures **captures, const struct app *app,
                       const struct capture_conf *before, const struct capture_conf *conf,
                       struct error *err)
{
    if (!conf->before && !conf->after) {
        captures_close(captures);
        return 0;
    }
    if (!*captures && !(*captures = calloc(1, sizeof(**captures))))
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    struct captures *c = *captures;
    bool ring = before->ring != conf->ring;
    if (!app->engine->options.virtual_time)
        c->offset = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
    int error = configure_file(&c->before, conf->before, ring, conf->ring, err);
    if (!error)
        error = configure_file(&c->after, conf->after, ring, conf->ring, err);
    if (error)
        error_prefix(err, "capture: ");
    return error;
}

void captures_close(struct captures **captures)
{
    if (!*captures)
        return;
    pcapng_close(&(*captures)->before);
    pcapng_close(&(*captures)->after);
    free(*captures);
    *captures = NULL;
}

/* The frame as a wire has it, its bytes at to. */
static uint32_t copy_frame(uint8_t *to, const struct packet *p)
{
    uint32_t length = packet_copy_tagged(p, to), tag = length - p->length;
    if (p->flags & PACKET_CSUM_PARTIAL)
        checksum_complete(to, length, p->csum_start + tag, p->csum_offset);
    return length;
}

static uint32_t write_frame(const struct captures *captures, struct pcapng_file *file,
                            uint64_t time, const uint8_t *frame, uint32_t length,
                            const char *comment)
{
    struct pcapng_packet packet = { time + captures->offset, frame, length, length,
                                    comment };
    return file->path && !pcapng_write(file, &packet);
}

/* What does not fit the comment is not said. */
static void say(struct captures *captures, const char *text)
{
    size_t length = strlen(captures->comment);
    snprintf(captures->comment + length, COMMENT_SIZE - length, "%s", text);
}

void captures_arrive(struct captures *captures, struct packet *p, uint64_t arrival,
                     uint64_t index)
{
    p->timestamp = arrival; /* travels with it: captures_leave will want to know */
    if (!captures->before.path)
        return;
    captures->open = true;
    captures->noted = false;
    captures->index = index;
    captures->arrival = arrival;
    captures->length = copy_frame(captures->frame, p);
    snprintf(captures->comment, COMMENT_SIZE, "index=%" PRIu64, index);
}

void captures_note(struct captures *captures, uint64_t index, uint32_t copy,
                   const char *outcome, uint64_t delay)
{
    char text[96];
    if (!captures->open || index != captures->index)
        return;
    captures->noted = true;
    if (copy) {
        snprintf(text, sizeof(text), " copy=%" PRIu32, copy);
        say(captures, text);
    }
    snprintf(text, sizeof(text), " verdict=%s", outcome);
    say(captures, text);
    if (strcmp(outcome, "pass"))
        return;
    snprintf(text, sizeof(text), " delay_ns=%" PRIu64, delay);
    say(captures, text);
}

uint32_t captures_judged(struct captures *captures, uint64_t draw)
{
    char text[32];
    if (!captures->open)
        return 0;
    if (!captures->noted)
        say(captures, " verdict=queued");
    snprintf(text, sizeof(text), " draw=%016" PRIx64, draw);
    say(captures, text);
    captures->open = false;
    return write_frame(captures, &captures->before, captures->arrival, captures->frame,
                       captures->length, captures->comment);
}

uint32_t captures_pass(struct captures *captures, struct packet *p, uint64_t arrival,
                       const char *outcome)
{
    char comment[32];
    p->timestamp = arrival;
    if (!captures->before.path)
        return 0;
    snprintf(comment, sizeof(comment), "verdict=%s", outcome);
    uint32_t length = copy_frame(captures->leaving, p);
    return write_frame(captures, &captures->before, arrival, captures->leaving, length,
                       comment);
}

uint32_t captures_leave(struct captures *captures, const struct packet *p, uint64_t now,
                        uint64_t arrival, uint64_t index, uint32_t copy)
{
    char comment[96] = "not impaired";
    uint64_t delay = p->timestamp > arrival ? p->timestamp - arrival : 0;
    if (!captures->after.path)
        return 0;
    if (index != UINT64_MAX)
        snprintf(comment, sizeof(comment),
                 "index=%" PRIu64 " copy=%" PRIu32 " delay_ns=%" PRIu64, index, copy,
                 delay);
    uint32_t length = copy_frame(captures->leaving, p);
    return write_frame(captures, &captures->after, now, captures->leaving, length,
                       comment);
}
