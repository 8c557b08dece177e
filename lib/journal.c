/* journal: what a process changed on its host, so that it can be put back. */
#include "lib/journal.h"

#include "lib/error.h"
#include "lib/hardware_clock.h"
#include "lib/interface.h"
#include "lib/journal_file.h"
#include "lib/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Largest journal, in bytes: some 1,000 interfaces. */
#define JOURNAL_SIZE 32768

struct journal {
    int directory;
    int fd;              /* of the file, for appending */
    off_t header_length; /* the file without any notes */
    struct netns netns;
    struct note *noted;
    size_t count;
};

/* What is noted already. */
enum note_kind { NOTE_OFFLOADS, NOTE_STAMPS, NOTE_FORWARDING };

struct note {
    enum note_kind kind;
    unsigned index; /* of the interface; 0: of none */
};

/* ---- parsing ----------------------------------------------------------------------- */

/* Returns the length of the header line with which text begins, 0 if it does not. */
static size_t header_parse(const char *text, struct journal_header *header)
{
    const char *at = text;
    uint64_t version;
    struct netns *netns = &header->netns;
    if (!journal_file_number(&at, "vanguard-journal ", 1, &version) || version != 1 ||
        !journal_file_owner(&at, " pid ", " starttime ", &header->owner) ||
        !journal_file_number(&at, " netns ", UINT64_MAX, &netns->device) ||
        !journal_file_number(&at, ":", UINT64_MAX, &netns->inode) ||
        !journal_file_number(&at, " cookie ", UINT64_MAX, &netns->cookie) || *at != '\n')
        return 0;
    return (size_t)(at - text) + 1;
}

static void header_format(const struct journal_header *header, char *text, size_t size)
{
    snprintf(text, size,
             "vanguard-journal 1 pid %d starttime %ju netns %ju:%ju cookie %ju\n",
             header->owner.pid, (uintmax_t)header->owner.starttime,
             (uintmax_t)header->netns.device, (uintmax_t)header->netns.inode,
             (uintmax_t)header->netns.cookie);
}

/* ---- undoing ----------------------------------------------------------------------- */

/* IFNAME IFINDEX, at the start of the arguments: the name that the interface has now. The
 * index decides: the name may be another interface's by now. 0 when it is gone. */
static int parse_interface(const char **at, char *name)
{
    uint64_t index;
    size_t length = strcspn(*at, " ");
    bool named = length > 0 && length < INTERFACE_NAME_SIZE;
    *at += length;
    if (!named || !journal_file_number(at, " ", INT_MAX, &index) || index == 0)
        return -EBADMSG;
    return if_indextoname((unsigned)index, name) ? 1 : 0;
}

static int undone(int status)
{
    if (status == -ENODEV) /* it went away just now */
        return 0;
    return status ? status : 1;
}

/* ... MASK */
static int undo_offloads(const char *at, struct error *err)
{
    char name[IF_NAMESIZE];
    uint64_t mask;
    int there = parse_interface(&at, name);
    if (there < 0 || !journal_file_number(&at, " ", OFFLOAD_ALL, &mask) || *at)
        return -EBADMSG;
    return there ? undone(interface_set_offloads(name, (unsigned)mask, err)) : 0;
}

/* ... TX_TYPE RX_FILTER */
static int undo_stamps(const char *at, struct error *err)
{
    char name[IF_NAMESIZE];
    uint64_t tx_type, rx_filter;
    int there = parse_interface(&at, name);
    if (there < 0 || !journal_file_number(&at, " ", INT_MAX, &tx_type) ||
        !journal_file_number(&at, " ", INT_MAX, &rx_filter) || *at)
        return -EBADMSG;
    struct hardware_stamps stamps = { (uint32_t)tx_type, (uint32_t)rx_filter };
    return there ? undone(hardware_set_stamps(name, &stamps, err)) : 0;
}

#define FORWARDING "/proc/sys/net/ipv4/ip_forward"

/* VALUE */
static int undo_forwarding(const char *at, struct error *err)
{
    uint64_t value;
    if (!journal_file_number(&at, "", 1, &value) || *at)
        return -EBADMSG;
    int fd = open(FORWARDING, O_WRONLY | O_CLOEXEC);
    ssize_t written = fd < 0 ? -1 : write(fd, value ? "1" : "0", 1);
    int status =
        written == 1 ? 1 : error_system(err, ERROR_RUN, "cannot write %s", FORWARDING);
    if (fd >= 0)
        close(fd);
    return status;
}

/* Kinds of changes, enum note_kind. undo returns 1 when it put something back, 0 when there is nothing
 * left to put back, -EBADMSG for malformed arguments, or what failed with err filled. */
static const struct {
    const char *name;
    int (*undo)(const char *arguments, struct error *err);
} kinds[] = {
    [NOTE_OFFLOADS] = { "offloads", undo_offloads },
    [NOTE_STAMPS] = { "stamps", undo_stamps },
    [NOTE_FORWARDING] = { "forwarding", undo_forwarding },
};

static int undo_line(const char *line, size_t length, struct error *err)
{
    size_t word = strcspn(line, " ");
    int status = -EBADMSG;
    /* A line that ends early has a NUL in it. */
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strlen(line) == length && line[word] == ' ' &&
            strlen(kinds[i].name) == word && !memcmp(kinds[i].name, line, word))
            status = kinds[i].undo(line + word + 1, err);
    if (status == -EBADMSG)
        error_set(err, ERROR_RUN, EBADMSG,
                  "a malformed line in the journal was not undone");
    return status;
}

/* Undoes the lines between text and end, the last one first. Returns how many put
 * something back, or -EPERM if any met that, or the first failure. Cuts the text up. */
static int undo_lines(char *text, char *end, struct error *err)
{
    int undone = 0, failure = 0;
    /* What is behind the last newline was being written when its process died: the change
     * had not been made yet. */
    while (end > text && end[-1] != '\n')
        end--;
    while (end > text) {
        *--end = 0;
        char *newline = memrchr(text, '\n', (size_t)(end - text));
        char *line = newline ? newline + 1 : text;
        struct error error;
        int status = undo_line(line, (size_t)(end - line), &error);
        if (status > 0)
            undone += status;
        if (status < 0 && (!failure || (status == -EPERM && failure != -EPERM))) {
            failure = status;
            if (err)
                *err = error;
        }
        end = line;
    }
    return failure ? failure : undone;
}

/* A journal as it lies in a directory. */
struct record {
    struct journal_header header;
    char *lines, *end; /* in text, behind the header */
    char text[JOURNAL_SIZE + 1];
};

/* -ENOENT (silent) without a file. */
static int record_read(int directory, struct record *record, struct error *err)
{
    ssize_t length = journal_file_read(directory, JOURNAL_FILE_UNDO, record->text,
                                       sizeof(record->text), err);
    if (length < 0)
        return (int)length;
    size_t header = header_parse(record->text, &record->header);
    if (!header)
        return error_set(err, ERROR_RUN, EBADMSG, "%s is not a journal",
                         JOURNAL_FILE_UNDO);
    record->lines = record->text + header;
    record->end = record->text + length;
    return 0;
}

static int check_netns(const struct netns *netns, struct error *err)
{
    struct netns ours;
    int status = netns_self(&ours, err);
    if (!status && !netns_equal(&ours, netns))
        status = error_set(err, ERROR_RUN, EXDEV,
                           "the journal is about another network namespace (net:[%ju])",
                           (uintmax_t)netns->inode);
    return status;
}

int journal_file_recover(int directory, struct journal_header *header, struct error *err)
{
    struct record record;
    int status = record_read(directory, &record, err);
    if (status)
        return status;
    *header = record.header;
    if (owner_alive(&header->owner))
        return error_set(err, ERROR_RUN, EBUSY, "its owner (pid %d) is alive",
                         header->owner.pid);
    /* Where nothing was changed it does not matter where. */
    if (record.lines < record.end)
        status = check_netns(&header->netns, err);
    if (status)
        return status;
    status = undo_lines(record.lines, record.end, err);
    if (status == -EPERM)
        return status;
    if (unlinkat(directory, JOURNAL_FILE_UNDO, 0) < 0 && status >= 0)
        return error_system(err, ERROR_RUN, "cannot remove the file %s",
                            JOURNAL_FILE_UNDO);
    return status > 0 ? 1 : status;
}

/* ---- the journal ------------------------------------------------------------------- */

int journal_recover(const char *directory, struct error *err)
{
    struct journal_header header;
    int fd = journal_file_directory(AT_FDCWD, directory, err);
    if (fd < 0)
        return fd;
    int status = journal_file_recover(fd, &header, err);
    close(fd);
    if (status < 0 && status != -ENOENT)
        error_prefix(err, "%s: ", directory);
    return status == -ENOENT ? 0 : status;
}

static int journal_begin(struct journal *journal, const char *directory,
                         struct error *err)
{
    struct journal_header header;
    char text[256];
    int status = journal_recover(directory, err);
    if (status < 0)
        return status;
    if ((status = owner_self(&header.owner, err)) ||
        (status = netns_self(&header.netns, err)))
        return status;
    journal->directory = journal_file_directory(AT_FDCWD, directory, err);
    if (journal->directory < 0)
        return journal->directory;
    header_format(&header, text, sizeof(text));
    journal->header_length = (off_t)strlen(text);
    journal->netns = header.netns;
    journal->fd =
        journal_file_create(journal->directory, JOURNAL_FILE_UNDO, 0600, text, err);
    return journal->fd < 0 ? journal->fd : 0;
}

static void journal_free(struct journal *journal)
{
    if (journal->fd >= 0)
        close(journal->fd);
    if (journal->directory >= 0)
        close(journal->directory);
    free(journal->noted);
    free(journal);
}

struct journal *journal_open(const char *directory, struct error *err)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    if (!journal) {
        error_set(err, ERROR_RUN, ENOMEM, "no memory for a journal");
        return NULL;
    }
    journal->directory = journal->fd = -1;
    if (!journal_begin(journal, directory, err))
        return journal;
    journal_free(journal);
    return NULL;
}

/* A line that does not fit in whole is taken back, or the next one would be part of it.
 */
static int journal_append(struct journal *journal, const char *line, struct error *err)
{
    off_t before = lseek(journal->fd, 0, SEEK_END);
    size_t length = strlen(line);
    if (before < 0)
        return error_system(err, ERROR_FILE, "cannot write the journal");
    if ((size_t)before + length > JOURNAL_SIZE)
        return error_set(err, ERROR_FILE, EFBIG, "the journal is full");
    if (!journal_file_write(journal->fd, line, length))
        return 0;
    int status = error_system(err, ERROR_FILE, "cannot write the journal");
    if (ftruncate(journal->fd, before) < 0)
        return status; /* the reader refuses the torn line by itself */
    return status;
}

static bool journal_noted(const struct journal *journal, struct note note)
{
    for (size_t i = 0; i < journal->count; i++)
        if (journal->noted[i].index == note.index && journal->noted[i].kind == note.kind)
            return true;
    return false;
}

/* Writes the line, and remembers that it is there. */
static int journal_add(struct journal *journal, struct note note, const char *line,
                       struct error *err)
{
    struct note *noted =
        reallocarray(journal->noted, journal->count + 1, sizeof(*journal->noted));
    if (!noted)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for the journal");
    journal->noted = noted;
    int status = journal_append(journal, line, err);
    if (!status)
        noted[journal->count++] = note;
    return status;
}

/* Writes "KIND IFNAME IFINDEX STATE". state writes the last part for an interface. */
static int journal_note(struct journal *journal, enum note_kind kind, const char *ifname,
                        int (*state)(const char *ifname, char *text, size_t size,
                                     struct error *err),
                        struct error *err)
{
    struct interface interface;
    char text[64], line[128];
    int status = check_netns(&journal->netns, err);
    if (status || (status = interface_query(ifname, &interface, err)))
        return status;
    struct note note = { kind, interface.index };
    if (journal_noted(journal, note))
        return 0;
    if ((status = state(interface.name, text, sizeof(text), err)))
        return status;
    snprintf(line, sizeof(line), "%s %s %u %s\n", kinds[kind].name, interface.name,
             interface.index, text);
    return journal_add(journal, note, line, err);
}

static int offloads_state(const char *ifname, char *text, size_t size, struct error *err)
{
    unsigned mask = 0;
    int status = interface_offloads(ifname, &mask, err);
    snprintf(text, size, "%u", mask);
    return status;
}

int journal_offloads(struct journal *journal, const char *ifname, struct error *err)
{
    return journal_note(journal, NOTE_OFFLOADS, ifname, offloads_state, err);
}

static int stamps_state(const char *ifname, char *text, size_t size, struct error *err)
{
    struct hardware_stamps stamps = { 0 };
    int status = hardware_stamps(ifname, &stamps, err);
    snprintf(text, size, "%u %u", stamps.tx_type, stamps.rx_filter);
    return status;
}

int journal_stamps(struct journal *journal, const char *ifname, struct error *err)
{
    return journal_note(journal, NOTE_STAMPS, ifname, stamps_state, err);
}

int journal_forwarding(struct journal *journal, struct error *err)
{
    char value = 0, line[64];
    const struct note note = { NOTE_FORWARDING, 0 };
    int status = check_netns(&journal->netns, err);
    if (status || journal_noted(journal, note))
        return status;
    int fd = open(FORWARDING, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, &value, 1);
    if (n != 1)
        status = error_system(err, ERROR_RUN, "cannot read %s", FORWARDING);
    if (fd >= 0)
        close(fd);
    snprintf(line, sizeof(line), "%s %c\n", kinds[NOTE_FORWARDING].name, value);
    return status ? status : journal_add(journal, note, line, err);
}

int journal_undo(struct journal *journal, struct error *err)
{
    struct record record;
    if (journal->count == 0)
        return 0;
    int status = record_read(journal->directory, &record, err);
    if (status == -ENOENT)
        return error_set(err, ERROR_RUN, ENOENT, "somebody removed the journal");
    if (status || (status = check_netns(&journal->netns, err)))
        return status;
    status = undo_lines(record.lines, record.end, err);
    if (status == -EPERM)
        return status;
    journal->count = 0;
    if (ftruncate(journal->fd, journal->header_length) < 0 && status >= 0)
        return error_system(err, ERROR_FILE, "cannot truncate the journal");
    return status < 0 ? status : 0;
}

int journal_close(struct journal *journal, struct error *err)
{
    if (!journal)
        return 0;
    int status = journal_undo(journal, err);
    if (journal->count == 0)
        unlinkat(journal->directory, JOURNAL_FILE_UNDO, 0);
    journal_free(journal);
    return status;
}
