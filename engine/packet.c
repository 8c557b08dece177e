/* packet: the arena, the freelists, and the calls on frames that are not on the fast
 * path. */
#include "engine/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define STAGGER     7
#define HUGE_PAGE   (2u << 20)
#define CHUNK_LEAST 2048

struct arena arena;
__thread struct freelist packet_freelist;
_Atomic(struct freelist *) packet_shortage;

/* What all threads share: every packet that is on no thread's freelist and held by
 * nobody. */
static struct {
    pthread_mutex_t lock;
    uint32_t count;
    uint32_t published; /* on the freelists of all threads, as they said last */
    struct packet **packets;
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *map(size_t size, int flags)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* Maps size bytes on the best pages to be had, aligned to a huge page. */
static uint8_t *map_pages(size_t size, const char **pages)
{
    size = (size + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1);
    uint8_t *at = map(size, MAP_HUGETLB | MAP_POPULATE);
    *pages = "huge";
    if (at)
        return at;
    at = map(size + HUGE_PAGE, MAP_NORESERVE);
    if (!at)
        return NULL;
    at += -(uintptr_t)at & (HUGE_PAGE - 1);
    *pages = madvise(at, size, MADV_HUGEPAGE) ? "plain" : "transparent huge";
    return at;
}

int arena_open(uint32_t count, uint32_t chunk_size, struct error *err)
{
    if (chunk_size < CHUNK_LEAST || chunk_size > 65536 || chunk_size & (chunk_size - 1) ||
        !count)
        return error_set(
            err, ERROR_CONFIG, EINVAL,
            "packet chunks of %u bytes: not a power of two within 2048..65536",
            chunk_size);
    if (arena.headers)
        return arena.count == count && arena.chunk_size == chunk_size
                   ? 0
                   : error_set(err, ERROR_CONFIG, EBUSY,
                               "packets are already set up as %u of %u bytes",
                               arena.count, arena.chunk_size);
    const char *pages;
    uint8_t *headers =
        map_pages(((size_t)count + PACKET_LARGE_MAX) * sizeof(struct packet), &pages);
    /* A line more: packet_copy_lines reads whole ones. */
    size_t size = (size_t)count * chunk_size + CACHE_LINE;
    uint8_t *chunks = headers ? map_pages(size, &pages) : NULL;
    shared.packets = malloc(count * sizeof(*shared.packets));
    if (!chunks || !shared.packets)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for %u packets of %u bytes",
                         count, chunk_size);
    arena.headers = (struct packet *)headers;
    arena.chunks = chunks;
    arena.count = count;
    arena.chunk_size = chunk_size;
    arena.chunk_shift = (uint32_t)__builtin_ctz(chunk_size);
    arena.pages = pages;
    uint32_t lines = (chunk_size - PACKET_HEADROOM) / CACHE_LINE - 1;
    for (uint32_t i = 0; i < count; i++) {
        struct packet *p = &arena.headers[i];
        p->chunk = chunks + (size_t)i * chunk_size;
        p->start = p->chunk + PACKET_HEADROOM + i % STAGGER * CACHE_LINE;
        p->short_start = p->chunk + PACKET_HEADROOM + i % lines * CACHE_LINE;
        p->flags = PACKET_FREE;
        shared.packets[count - 1 - i] = p; /* the first to be taken is the first */
#ifdef HAVE_ASAN
        ASAN_POISON_MEMORY_REGION(p->chunk, chunk_size);
#endif
    }
    shared.count = count;
    return 0;
}

/* With the lock held. */
static void publish(void)
{
    struct freelist *f = &packet_freelist;
    shared.published += f->count - f->published;
    f->published = f->count;
}

void packet_freelist_publish(void)
{
    pthread_mutex_lock(&shared.lock);
    publish();
    pthread_mutex_unlock(&shared.lock);
}

uint32_t arena_in_use(void)
{
    pthread_mutex_lock(&shared.lock);
    publish();
    uint32_t unused = shared.count + shared.published;
    pthread_mutex_unlock(&shared.lock);
    return (unused < arena.count ? arena.count - unused : 0) + packet_large_in_use();
}

bool packet_freelist_refill(void)
{
    struct freelist *f = &packet_freelist;
    pthread_mutex_lock(&shared.lock);
    uint32_t n = shared.count < FREELIST_BATCH ? shared.count : FREELIST_BATCH;
    shared.count -= n;
    memcpy(&f->packets[f->count], &shared.packets[shared.count], n * sizeof(*f->packets));
    f->count += n;
    publish();
    pthread_mutex_unlock(&shared.lock);
    if (!n) {
        f->misses++;
        packet_shortage = f;
    }
    return n;
}

static void give_back(uint32_t n)
{
    struct freelist *f = &packet_freelist;
    pthread_mutex_lock(&shared.lock);
    f->count -= n;
    memcpy(&shared.packets[shared.count], &f->packets[f->count], n * sizeof(*f->packets));
    shared.count += n;
    publish();
    pthread_mutex_unlock(&shared.lock);
    if (n && packet_shortage && packet_shortage != f)
        packet_shortage = NULL;
}

void packet_freelist_spill(void)
{
    give_back(2 * FREELIST_BATCH);
}

void packet_freelist_release(void)
{
    give_back(packet_freelist.count);
}

void packet_double_free(const struct packet *p)
{
    fprintf(stderr, "packet %td freed twice\n", p - arena.headers);
    abort();
}

void packet_debug_poison(struct packet *p, bool poison)
{
    if (poison) {
        if (p->flags & PACKET_FREE)
            packet_double_free(p);
        p->flags |= PACKET_FREE;
    }
#ifdef HAVE_ASAN
    if (poison)
        ASAN_POISON_MEMORY_REGION(p->chunk, packet_chunk_size(p));
    else
        ASAN_UNPOISON_MEMORY_REGION(p->chunk, packet_chunk_size(p));
#endif
}

struct packet *packet_from_bytes(const void *bytes, uint32_t length)
{
    bool large = arena_has_large() && length > packet_capacity();
    struct packet *p = large ? packet_allocate_large() : packet_allocate();
    if (p && !packet_append(p, bytes, length)) {
        packet_free(p);
        return NULL;
    }
    return p;
}

/* Room for length more bytes behind the frame: a short one that packet_place put far back
 * moves to where frames start. */
static bool make_tailroom(struct packet *p, uint32_t length)
{
    if (length <= packet_tailroom(p))
        return true;
    if (p->data <= p->start || length - packet_tailroom(p) > p->data - p->start)
        return false;
    memmove(p->start, p->data, p->length);
    p->data = p->start;
    return true;
}

bool packet_append(struct packet *p, const void *bytes, uint32_t length)
{
    if (!make_tailroom(p, length))
        return false;
    memcpy(p->data + p->length, bytes, length);
    p->length += length;
    return true;
}

bool packet_prepend(struct packet *p, uint32_t length)
{
    if (length > packet_headroom(p))
        return false;
    p->data -= length;
    p->length += length;
    p->csum_start = (uint16_t)(p->csum_start + length);
    return true;
}

/* Nothing is left to be computed later. */
static void forget_offload(struct packet *p)
{
    p->flags &= (uint16_t)~PACKET_CSUM_PARTIAL;
    p->gso_type = 0;
}

bool packet_insert_vlan(struct packet *p)
{
    enum { TAG = 4, ADDRESSES = 12 };
    if (p->length < ADDRESSES || !packet_prepend(p, TAG))
        return false;
    memmove(p->data, p->data + TAG, ADDRESSES);
    uint16_t tag[2] = { htons(p->vlan_tpid), htons(p->vlan_tci) };
    memcpy(p->data + ADDRESSES, tag, sizeof(tag));
    p->flags &= (uint16_t)~PACKET_VLAN;
    return true;
}

uint32_t packet_copy_tagged(const struct packet *p, uint8_t *to)
{
    enum { ADDRESSES = 12, TPID_8021Q = 0x8100 };
    if (!(p->flags & PACKET_VLAN) || p->length < ADDRESSES) {
        memcpy(to, p->data, p->length);
        return p->length;
    }
    uint16_t tag[2] = { htons(p->vlan_tpid ? p->vlan_tpid : TPID_8021Q),
                        htons(p->vlan_tci) };
    memcpy(to, p->data, ADDRESSES);
    memcpy(to + ADDRESSES, tag, PACKET_TAG);
    memcpy(to + ADDRESSES + PACKET_TAG, p->data + ADDRESSES, p->length - ADDRESSES);
    return p->length + PACKET_TAG;
}

bool packet_trim_front(struct packet *p, uint32_t length)
{
    if (length > p->length)
        return false;
    p->data += length;
    p->length -= length;
    if (p->csum_start < length)
        forget_offload(p);
    p->csum_start = (uint16_t)(p->csum_start - length);
    return true;
}

bool packet_resize(struct packet *p, uint32_t length)
{
    if (length > p->length) {
        if (!make_tailroom(p, length - p->length))
            return false;
        memset(p->data + p->length, 0, length - p->length);
    } else if (length < p->length) {
        forget_offload(p);
    }
    p->length = length;
    return true;
}
