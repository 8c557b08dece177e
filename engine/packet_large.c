/* packet_large: the second size class of the arena.
 *
 * One list for all threads: what is done to a frame of 64 KiB costs a hundred times the
 * lock. The chunks are mapped once, for all that there can ever be; memory is what has
 * been used of it, and the last to be freed is the first to be used again.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "engine/packet.h"

#define STAGGER 7 /* as in the first class, which leaves packet_large_capacity */

static struct {
    pthread_mutex_t lock;
    uint32_t count; /* free */
    struct packet *packets[PACKET_LARGE_MAX];
} list = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void put(struct packet *p)
{
#ifdef PACKET_DEBUG
    packet_debug_poison(p, true);
#endif
    list.packets[list.count++] = p;
}

static int map_chunks(struct error *err)
{
    /* A line more: packet_copy_lines reads whole ones. */
    size_t size = (size_t)PACKET_LARGE_MAX * PACKET_LARGE + CACHE_LINE;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return error_system(err, ERROR_RUN, "no room for packets of %u bytes",
                            PACKET_LARGE);
    arena.large_chunks = at;
    return 0;
}

static void add(uint32_t i)
{
    struct packet *p = &arena.headers[arena.count + i];
    p->chunk = arena.large_chunks + (size_t)i * PACKET_LARGE;
    p->start = p->short_start = p->chunk + PACKET_HEADROOM + i % STAGGER * CACHE_LINE;
    put(p);
    __atomic_store_n(&arena.large, i + 1, __ATOMIC_RELAXED);
}

int packet_large_reserve(uint32_t count, struct error *err)
{
    if (count > PACKET_LARGE_MAX)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "%u packets for super-frames: there can be %u at most", count,
                         PACKET_LARGE_MAX);
    pthread_mutex_lock(&list.lock);
    int error = arena.large_chunks ? 0 : map_chunks(err);
    while (!error && arena.large < count)
        add(arena.large);
    pthread_mutex_unlock(&list.lock);
    return error;
}

struct packet *packet_allocate_large(void)
{
    pthread_mutex_lock(&list.lock);
    struct packet *p = list.count ? list.packets[--list.count] : NULL;
    pthread_mutex_unlock(&list.lock);
    if (!p)
        return NULL;
#ifdef PACKET_DEBUG
    packet_debug_poison(p, false);
#endif
    packet_reset(p);
    return p;
}

void packet_free_mixed(struct packet *const *p, uint32_t n)
{
    struct freelist *f = &packet_freelist;
    struct packet *ordinary[FREELIST_BATCH];
    uint32_t others = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!packet_is_large(p[i])) {
            ordinary[others++] = p[i];
            continue;
        }
        f->frees++;
        f->freebytes += p[i]->length;
        pthread_mutex_lock(&list.lock);
        put(p[i]);
        pthread_mutex_unlock(&list.lock);
    }
    if (others)
        packet_free_ordinary(ordinary, others);
}

struct packet *packet_clone_large(const struct packet *from)
{
    struct packet *p = packet_allocate_large();
    if (p)
        packet_copy(p, from);
    return p;
}

uint32_t packet_large_in_use(void)
{
    pthread_mutex_lock(&list.lock);
    uint32_t used = arena.large - list.count;
    pthread_mutex_unlock(&list.lock);
    return used;
}
