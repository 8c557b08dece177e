/* counters: 64-bit words in a shared-memory file. */
#include "engine/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/histogram.h"

#define MAGIC      0x31304b4e56ull /* "VNK01" */
#define ENTRIES    262144u
#define WORDS      (2u << 20)
#define LINE_WORDS 8u

/* The file is sparse: only what is used takes memory. */
struct file {
    uint64_t magic;
    uint64_t pid;
    _Atomic uint64_t generation;
    uint32_t entries, words; /* used so far */
    uint64_t padding[4];
    struct counter_entry entry[ENTRIES];
    uint64_t word[WORDS] __attribute__((aligned(4096)));
};

/* One object's entries and words, remembered so that they can be used again. */
struct block {
    uint32_t entry, entries, word, words;
    bool used;
};

struct counters {
    struct file *file;
    char *path;           /* NULL: no file, or a reader */
    struct block *blocks; /* in the order of their words */
    uint32_t nblocks, nfree;
};

static struct counters *wrap(void *map, const char *path)
{
    struct counters *counters = calloc(1, sizeof(*counters));
    counters->file = map;
    counters->path = path ? strdup(path) : NULL;
    return counters;
}

static int create_file(const char *path, struct error *err)
{
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0 || ftruncate(fd, sizeof(struct file))) {
        error_system(err, ERROR_RUN, "cannot create %s", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

struct counters *counters_create(const char *path, struct error *err)
{
    int fd = path ? create_file(path, err) : -1;
    if (path && fd < 0)
        return NULL;
    int flags = path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    struct file *file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, flags, fd, 0);
    if (file == MAP_FAILED)
        error_system(err, ERROR_RUN, "cannot map %s", path ? path : "counters");
    if (fd >= 0)
        close(fd);
    if (file == MAP_FAILED)
        return NULL;
    file->pid = (uint64_t)getpid();
    file->magic = MAGIC;
    return wrap(file, path);
}

void counters_destroy(struct counters *counters)
{
    if (!counters)
        return;
    if (counters->path)
        unlink(counters->path);
    free(counters->blocks);
    counters_close(counters);
}

struct counters *counters_open(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* it may be a FIFO */
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) {
        error_system(err, ERROR_RUN, "cannot open %s", path);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct file *file = MAP_FAILED;
    if (st.st_size == sizeof(*file))
        file = mmap(NULL, sizeof(*file), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (file == MAP_FAILED || file->magic != MAGIC) {
        if (file != MAP_FAILED)
            munmap(file, sizeof(*file));
        error_set(err, ERROR_RUN, EINVAL, "%s: not a file of counters of this version",
                  path);
        return NULL;
    }
    return wrap(file, NULL);
}

void counters_close(struct counters *counters)
{
    if (!counters)
        return;
    munmap(counters->file, sizeof(*counters->file));
    free(counters->path);
    free(counters);
}

pid_t counters_pid(const struct counters *counters)
{
    return (pid_t)counters->file->pid;
}

uint64_t counters_generation(const struct counters *counters)
{
    return atomic_load(&counters->file->generation);
}

void counters_change_begin(struct counters *counters)
{
    atomic_fetch_add(&counters->file->generation, 1);
    atomic_thread_fence(memory_order_release); /* no change shows before this does */
}

void counters_change_end(struct counters *counters)
{
    atomic_fetch_add(&counters->file->generation, 1);
}

/* A block of that shape: a free one, or a new one at the end. */
static struct block *take_block(struct counters *counters, uint32_t entries,
                                uint32_t words)
{
    words = words / LINE_WORDS * LINE_WORDS + LINE_WORDS;
    for (uint32_t i = 0; counters->nfree && i < counters->nblocks; i++) {
        struct block *block = &counters->blocks[i];
        if (!block->used && block->entries == entries && block->words == words) {
            counters->nfree--;
            block->used = true;
            return block;
        }
    }
    struct file *file = counters->file;
    if (file->entries + entries > ENTRIES || file->words + words > WORDS)
        return NULL;
    if (!(counters->nblocks & (counters->nblocks - 1)))
        counters->blocks =
            realloc(counters->blocks, (counters->nblocks ? 2 * counters->nblocks : 1) *
                                          sizeof(struct block));
    struct block *block = &counters->blocks[counters->nblocks++];
    *block = (struct block){ file->entries, entries, file->words, words, true };
    file->entries += entries;
    file->words += words;
    return block;
}

/* "object/row", cut to what there is room for. */
static void set_name(struct counter_entry *entry, const char *object, size_t length,
                     const char *row)
{
    size_t room = sizeof(entry->name) - 1, rest = strlen(row);
    length = length < room - 1 ? length : room - 1;
    memcpy(entry->name, object, length);
    entry->name[length++] = '/';
    rest = rest < room - length ? rest : room - length;
    memcpy(entry->name + length, row, rest);
    entry->name[length + rest] = 0;
}

uint64_t *counters_add(struct counters *counters, const char *object,
                       const struct counter_row *rows)
{
    uint32_t n = 0;
    while (rows && rows[n].name)
        n++;
    struct block *block = take_block(counters, n, n);
    if (!block)
        return NULL;
    struct file *file = counters->file;
    memset(&file->word[block->word], 0, block->words * sizeof(uint64_t));
    size_t length = strlen(object);
    for (uint32_t i = 0; i < n; i++) {
        struct counter_entry *entry = &file->entry[block->entry + i];
        set_name(entry, object, length, rows[i].name);
        entry->word = block->word + i;
        entry->kind = COUNTER_WORD;
    }
    return &file->word[block->word];
}

struct histogram *counters_add_histogram(struct counters *counters, const char *name)
{
    struct block *block =
        take_block(counters, 1, sizeof(struct histogram) / sizeof(uint64_t));
    if (!block)
        return NULL;
    struct counter_entry *entry = &counters->file->entry[block->entry];
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    entry->word = block->word;
    entry->kind = COUNTER_HISTOGRAM;
    struct histogram *histogram = (struct histogram *)&counters->file->word[block->word];
    histogram_clear(histogram);
    return histogram;
}

static int compare_word(const void *key, const void *block)
{
    uint32_t word = *(const uint32_t *)key, other = ((const struct block *)block)->word;
    return word < other ? -1 : word > other;
}

void counters_remove(struct counters *counters, void *words)
{
    if (!words)
        return;
    uint32_t word = (uint32_t)((uint64_t *)words - counters->file->word);
    struct block *block = bsearch(&word, counters->blocks, counters->nblocks,
                                  sizeof(*counters->blocks), compare_word);
    for (uint32_t i = 0; i < block->entries; i++)
        counters->file->entry[block->entry + i].kind = COUNTER_FREE;
    block->used = false;
    counters->nfree++;
}

bool counters_read(const struct counters *counters,
                   void (*callback)(const struct counter_entry *, const uint64_t *,
                                    void *),
                   void *user)
{
    const struct file *file = counters->file;
    uint64_t generation = counters_generation(counters);
    if (generation & 1)
        return false;
    /* The writer is another process: what it says about places is checked. */
    uint32_t n = file->entries < ENTRIES ? file->entries : ENTRIES;
    for (uint32_t i = 0; i < n; i++) {
        struct counter_entry entry = file->entry[i];
        uint32_t words = entry.kind == COUNTER_HISTOGRAM
                             ? sizeof(struct histogram) / sizeof(uint64_t)
                             : 1;
        entry.name[sizeof(entry.name) - 1] = 0;
        if (entry.kind != COUNTER_FREE && entry.word <= WORDS - words)
            callback(&entry, &file->word[entry.word], user);
    }
    atomic_thread_fence(memory_order_acquire);
    return counters_generation(counters) == generation;
}

uint64_t counters_value(const struct counters *counters, const char *name)
{
    const struct file *file = counters->file;
    for (uint32_t i = 0; i < file->entries && i < ENTRIES; i++) {
        const struct counter_entry *entry = &file->entry[i];
        uint32_t word = *(const volatile uint32_t *)&entry->word; /* read once, checked */
        if (entry->kind == COUNTER_WORD && word < WORDS &&
            !strncmp(entry->name, name, sizeof(entry->name)))
            return file->word[word];
    }
    return 0;
}
