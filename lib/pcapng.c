/* pcapng: capture files whose packets carry a comment. */
#include "lib/pcapng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK_SECTION   0x0a0d0d0a
#define BLOCK_INTERFACE 1
#define BLOCK_PACKET    6
#define BYTE_ORDER_MARK 0x1a2b3c4d
#define ETHERNET        1
#define OPT_END         0
#define OPT_COMMENT     1
#define SHB_USERAPPL    4
#define IF_TSRESOL      9
#define PACKET_FIXED    32 /* bytes of a packet block without bytes and options */
#define COMMENT_MAX     65532
#define FLUSH           1000000000 /* ns */
#define BUFFER_SIZE     (256 * 1024)

static uint32_t padded(uint32_t length)
{
    return (length + 3) & ~3u;
}

static uint8_t *put(uint8_t *at, const void *bytes, uint32_t length)
{
    memcpy(at, bytes, length);
    memset(at + length, 0, padded(length) - length);
    return at + padded(length);
}

static uint8_t *put32(uint8_t *at, uint32_t number)
{
    return put(at, &number, sizeof(number));
}

static uint8_t *put_option(uint8_t *at, uint16_t code, const void *value, uint16_t length)
{
    uint16_t head[2] = { code, length };
    at = put(at, head, sizeof(head));
    return length ? put(at, value, length) : at;
}

/* The length stands at both ends of a block. */
static uint8_t *end_block(uint8_t *block, uint8_t *at)
{
    uint32_t length = (uint32_t)(at - block) + 4;
    put32(block + 4, length);
    return put32(at, length);
}

uint32_t pcapng_head(uint8_t out[PCAPNG_HEAD])
{
    static const uint8_t nanoseconds = 9;
    static const uint16_t version[2] = { 1, 0 };
    static const char program[] = "vanguard";
    uint8_t *at = put32(put32(put32(out, BLOCK_SECTION), 0), BYTE_ORDER_MARK);
    at = put(at, version, sizeof(version));
    at = put32(put32(at, UINT32_MAX), UINT32_MAX); /* how long, is not known */
    at = put_option(at, SHB_USERAPPL, program, sizeof(program) - 1);
    at = end_block(out, put_option(at, OPT_END, NULL, 0));
    uint8_t *interface = at;
    at = put32(put32(at, BLOCK_INTERFACE), 0);
    at = put32(put32(at, ETHERNET), PCAPNG_SNAPLEN);
    at = put_option(at, IF_TSRESOL, &nanoseconds, sizeof(nanoseconds));
    at = end_block(interface, put_option(at, OPT_END, NULL, 0));
    return (uint32_t)(at - out);
}

static uint16_t comment_length(const struct pcapng_packet *packet)
{
    size_t length = packet->comment ? strlen(packet->comment) : 0;
    return (uint16_t)(length < COMMENT_MAX ? length : COMMENT_MAX);
}

uint32_t pcapng_packet_size(const struct pcapng_packet *packet)
{
    uint32_t comment = comment_length(packet);
    uint32_t options = comment ? 8 + padded(comment) : 0;
    return PACKET_FIXED + padded(packet->length) + options;
}

uint32_t pcapng_packet(uint8_t *out, const struct pcapng_packet *packet)
{
    uint16_t comment = comment_length(packet);
    uint8_t *at = put32(put32(put32(out, BLOCK_PACKET), 0), 0);
    at = put32(put32(at, (uint32_t)(packet->time >> 32)), (uint32_t)packet->time);
    at = put32(put32(at, packet->length), packet->original);
    at = put(at, packet->bytes, packet->length);
    if (comment)
        at = put_option(put_option(at, OPT_COMMENT, packet->comment, comment), OPT_END,
                        NULL, 0);
    return (uint32_t)(end_block(out, at) - out);
}

/* --- files -------------------------------------------------------------------------------- */

static bool fail(struct pcapng_file *file, int error)
{
    file->error = error ? error : EIO;
    if (file->file)
        fclose(file->file);
    file->file = NULL;
    return false;
}

/* Begins the file at its path. */
static bool begin(struct pcapng_file *file)
{
    uint8_t head[PCAPNG_HEAD];
    uint32_t length = pcapng_head(head);
    file->file = fopen(file->path, "we");
    if (!file->file)
        return fail(file, errno);
    setvbuf(file->file, NULL, _IOFBF, BUFFER_SIZE);
    file->written = length;
    return fwrite(head, 1, length, file->file) == length || fail(file, errno);
}

/* To wait for the reader of a pipe would stop the packets. */
static int check_path(const char *path, struct error *err)
{
    struct stat st;
    if (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
        return error_set(err, ERROR_FILE, EINVAL, "%s is not a regular file", path);
    return 0;
}

int pcapng_open(struct pcapng_file *file, const char *path, uint64_t ring,
                struct error *err)
{
    *file = (struct pcapng_file){ .half = ring / 2 };
    int error = check_path(path, err);
    if (error)
        return error;
    file->path = strdup(path);
    file->block = malloc(PACKET_FIXED + PCAPNG_SNAPLEN + 8 + padded(COMMENT_MAX));
    if (!file->path || !file->block)
        error = error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    else if (!begin(file) || !pcapng_flush(file))
        error = error_set(err, ERROR_FILE, file->error, "cannot write %s: %s", path,
                          strerror(file->error));
    if (error)
        pcapng_close(file);
    return error;
}

/* The next file of a ring. */
static bool turn(struct pcapng_file *file)
{
    char *old;
    if (!pcapng_flush(file))
        return false;
    if (asprintf(&old, "%s.old", file->path) < 0)
        return fail(file, ENOMEM);
    int error = rename(file->path, old) ? errno : 0;
    free(old);
    if (error)
        return fail(file, error);
    FILE *before = file->file;
    file->file = NULL;
    return fclose(before) ? fail(file, errno) : begin(file);
}

bool pcapng_write(struct pcapng_file *file, const struct pcapng_packet *packet)
{
    struct pcapng_packet cut = *packet;
    if (cut.length > PCAPNG_SNAPLEN)
        cut.length = PCAPNG_SNAPLEN;
    uint32_t size = pcapng_packet_size(&cut);
    if (file->file && file->half && file->written + size > file->half)
        turn(file);
    if (!file->file) {
        file->lost++;
        return false;
    }
    pcapng_packet(file->block, &cut);
    file->written += size;
    bool good = fwrite(file->block, 1, size, file->file) == size || fail(file, errno);
    if (good && packet->time >= file->flush) {
        file->flush = packet->time + FLUSH;
        good = pcapng_flush(file);
    }
    file->lost += !good;
    return good;
}

bool pcapng_flush(struct pcapng_file *file)
{
    return file->file && (!fflush(file->file) || fail(file, errno));
}

void pcapng_close(struct pcapng_file *file)
{
    if (file->file && fclose(file->file))
        file->error = errno;
    free(file->path);
    free(file->block);
    *file = (struct pcapng_file){ .lost = file->lost, .error = file->error };
}
