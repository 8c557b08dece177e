/* prefix_file: a list of networks from a file, as the block lists of this world are.
 *
 * Bytes go through one by one. Of a line no more is kept than the start of its first two
 * words, so that its length does not matter.
 */
#include "lib/prefix_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/error.h"

#define WORD_SIZE   96 /* no range is so long: what is cut is not taken */
#define QUOTED_SIZE 64
#define BLOCK_SIZE  65536

enum { WORDS = 2 };

struct reader {
    const struct prefix_file *file;
    const char *name;
    struct prefix_list *list;
    struct error *err;
    size_t line, bytes;
    char words[WORDS][WORD_SIZE]; /* of this line */
    size_t lengths[WORDS];
    unsigned word;        /* the one that is read */
    bool inside, comment; /* of a word, of a comment */
};

/* --- messages ------------------------------------------------------------------------ */

static int fail(struct reader *r, int errnum, const char *what)
{
    return error_set(r->err, ERROR_CONFIG, errnum, "%s:%zu: %s", r->name, r->line, what);
}

/* What a terminal would not show, or obey, is shown as a question mark. */
static int fail_word(struct reader *r, const char *word, const char *what)
{
    char text[QUOTED_SIZE];
    snprintf(text, sizeof(text), "%s", word);
    for (char *at = text; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return error_set(r->err, ERROR_CONFIG, EINVAL, "%s:%zu: \"%s%s\" %s", r->name,
                     r->line, text, strlen(word) >= sizeof(text) ? "..." : "", what);
}

/* --- prefixes ------------------------------------------------------------------------ */

static int add(struct reader *r, const struct prefix *prefix)
{
    struct prefix_list *list = r->list;
    bool ipv4 = prefix->family == AF_INET;
    if (!r->file->really && prefix_is_wide(prefix)) {
        char text[PREFIX_TEXT_SIZE];
        return fail_word(r, prefix_format(prefix, text),
                         ipv4 ? "is a large part of the internet: IPv4 networks have 8 "
                                "bits or more here"
                              : "is a large part of the internet: IPv6 networks have 16 "
                                "bits or more here");
    }
    if (list->count == r->file->max) {
        char text[64];
        snprintf(text, sizeof(text), "more than %zu prefixes", r->file->max);
        return fail(r, ENOSPC, text);
    }
    if (!array_reserve(&list->prefixes, list->count, sizeof(*prefix)))
        return fail(r, ENOMEM, "out of memory");
    list->prefixes[list->count++] = *prefix;
    return 0;
}

/* Through its 16 bytes, where its host bits are gone and where IPv4 in the clothes of IPv6
 * is IPv4. */
static int add_prefix(struct reader *r, const struct prefix *prefix)
{
    uint8_t address[16];
    struct prefix clean = prefix_unmapped(address, prefix_mapped(prefix, address));
    size_t size = prefix_size(prefix);
    r->list->cleared += memcmp(address + 16 - size, prefix->address, size) != 0;
    return add(r, &clean);
}

/* The address with the bits behind bits all set: the last one of the network. */
static void last_of(const uint8_t first[16], unsigned bits, uint8_t last[16])
{
    memcpy(last, first, 16);
    for (unsigned byte = (bits + 7) / 8; byte < 16; byte++)
        last[byte] = 0xff;
    if (bits % 8)
        last[bits / 8] |= (uint8_t)(0xff >> bits % 8);
}

/* The largest network that starts with first and goes no further than last. */
static unsigned largest(const uint8_t first[16], const uint8_t last[16])
{
    uint8_t end[16];
    unsigned bits = 128;
    while (bits && !(first[(bits - 1) / 8] >> (7 - (bits - 1) % 8) & 1)) {
        last_of(first, bits - 1, end);
        if (memcmp(end, last, sizeof(end)) > 0)
            break;
        bits--;
    }
    return bits;
}

static bool increment(uint8_t address[16])
{
    for (int byte = 15; byte >= 0; byte--)
        if (++address[byte])
            return true;
    return false;
}

/* Mapped, so that a range of IPv4 ends within 96 bits of its own. */
static int add_range(struct reader *r, const struct prefix *from, const struct prefix *to)
{
    uint8_t first[16], last[16], end[16];
    prefix_mapped(from, first);
    prefix_mapped(to, last);
    int order, error;
    do {
        unsigned bits = largest(first, last);
        struct prefix prefix = prefix_unmapped(first, bits);
        error = add(r, &prefix);
        last_of(first, bits, end);
        order = memcmp(end, last, sizeof(end));
        memcpy(first, end, sizeof(first));
    } while (!error && order < 0 && increment(first));
    return error;
}

static bool parse_address(struct prefix *prefix, const char *text)
{
    return !strchr(text, '/') && !prefix_parse(prefix, text);
}

static int take_range(struct reader *r, char *word, char *dash)
{
    struct prefix from, to;
    *dash = 0;
    bool good = parse_address(&from, word) && parse_address(&to, dash + 1) &&
                from.family == to.family &&
                memcmp(from.address, to.address, sizeof(from.address)) <= 0;
    *dash = '-';
    return good ? add_range(r, &from, &to) : fail_word(r, word, "is not a range");
}

/* --- lines --------------------------------------------------------------------------- */

static int take_line(struct reader *r)
{
    char *word = r->words[0], *dash = strchr(word, '-');
    struct prefix prefix, other;
    if (!*word)
        return 0;
    const char *second = r->words[1];
    if (*second == '/' || *second == '-' || !prefix_parse(&other, second))
        return fail_word(r, second,
                         "does not belong there: a line has one prefix, without spaces");
    if (dash)
        return take_range(r, word, dash);
    if (prefix_parse(&prefix, word))
        return fail_word(r, word, "is not a prefix");
    return add_prefix(r, &prefix);
}

static void start_line(struct reader *r)
{
    memset(r->words, 0, sizeof(r->words));
    memset(r->lengths, 0, sizeof(r->lengths));
    r->word = 0;
    r->inside = r->comment = false;
    r->line++;
}

static void take_letter(struct reader *r, char c)
{
    r->inside = true;
    if (r->word >= WORDS)
        return;
    size_t at = r->lengths[r->word]++;
    if (at < WORD_SIZE - 1)
        r->words[r->word][at] = c;
}

static int take_byte(struct reader *r, char c)
{
    int error = 0;
    if (!c)
        return fail(r, EINVAL, "a NUL byte: not a text");
    if (c == '\n') {
        error = take_line(r);
        start_line(r);
    } else if (c == '#' || c == ';') {
        r->comment = true;
    } else if (c == ' ' || (c >= '\t' && c <= '\r')) {
        r->word += r->inside && r->word < WORDS;
        r->inside = false;
    } else if (!r->comment) {
        take_letter(r, c);
    }
    return error;
}

static int take_block(struct reader *r, const char *block, size_t length)
{
    int error = 0;
    r->bytes += length;
    for (size_t i = 0; i < length && !error; i++)
        error = take_byte(r, block[i]);
    if (!error && r->bytes > PREFIX_FILE_BYTES)
        return fail(r, EFBIG, "longer than any list: 64 MiB");
    return error;
}

/* --- files --------------------------------------------------------------------------- */

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Bytes, 0 at the end, or an error. A FIFO that nobody has opened for writing yet is not
 * at its end: poll waits for that one, where read would not. */
static ssize_t read_some(struct reader *r, int fd, char *block, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - clock_ms();
        struct pollfd ready = { fd, POLLIN, 0 };
        int n = poll(&ready, 1, left > 0 ? (int)left : 0);
        ssize_t length = n > 0 ? read(fd, block, BLOCK_SIZE) : -1;
        if (n > 0 && length >= 0)
            return length;
        if (n == 0)
            return fail(r, ETIMEDOUT, "nothing more comes, and this is not the end");
        if (errno != EINTR && errno != EAGAIN)
            return error_system(r->err, ERROR_CONFIG, "cannot read %s", r->name);
    }
}

static int read_all(struct reader *r, int fd)
{
    int wait = r->file->wait_ms ? r->file->wait_ms : PREFIX_FILE_WAIT_MS;
    int64_t deadline = clock_ms() + wait;
    char *block = malloc(BLOCK_SIZE);
    ssize_t length = 0;
    int error = block ? 0 : fail(r, ENOMEM, "out of memory");
    start_line(r);
    while (!error && (length = read_some(r, fd, block, deadline)) > 0)
        error = take_block(r, block, (size_t)length);
    free(block);
    if (!error && length < 0)
        error = (int)length;
    return error ? error : take_line(r);
}

static int open_list(const char *path, const char *name, struct error *err)
{
    /* Does not wait for the other end of a FIFO; a terminal does not become ours. */
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
                               : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? error_system(err, ERROR_CONFIG, "cannot open %s", name) : fd;
}

int prefix_file_read(const struct prefix_file *file, struct prefix_list *list,
                     struct error *err)
{
    bool is_stdin = !strcmp(file->path, "-");
    struct reader r = {
        .file = file, .name = is_stdin ? "stdin" : file->path, .list = list, .err = err
    };
    *list = (struct prefix_list){ 0 };
    int fd = open_list(file->path, r.name, err);
    if (fd < 0)
        return fd;
    int error = read_all(&r, fd);
    close(fd);
    if (error)
        prefix_list_clear(list);
    return error;
}

void prefix_list_clear(struct prefix_list *list)
{
    free(list->prefixes);
    *list = (struct prefix_list){ 0 };
}
