/* shared_table.bpf: a hash table that BPF programs and this process use at the same time.
 *
 *   shared_find     the value of a key
 *   shared_insert   a key that is not there
 *   shared_hash     what places are picked by
 *
 *     hash --> filter: is it empty? --> bucket: 16 words of tag and slot --> slot: key, value
 *
 * The kernel's own maps are functions to call; this one is memory, so that looking up is a few
 * instructions of the program itself, and of a key that is not there most often one bit of a
 * filter that stays in the processor's cache. Room is fixed; a bucket that is full refuses a key, which at the three of SHARED_WORDS
 * that shared_buckets allows for comes to pass in one of a thousand full tables.
 *
 * Compiled for the BPF program and for this process (lib/shared_table.h). Who includes
 * this has defined, for a struct shared_view:
 *
 *   SHARED_BUCKET(view, number)   SHARED_WORDS words, or NULL
 *   SHARED_SLOT(view, number)     the key, behind which is the value; or NULL
 *
 * Invariants. A word is written last, by compare-and-swap, and cleared first: who finds a slot
 * finds all of it; the bucket's bit is set behind it, and cleared while its buckets are empty. A reader may hold on to a slot that is removed meanwhile; memory stays valid, as
 * with the kernel's preallocated maps, but the slot may get another key. Free slots are a
 * stack, whose head has a generation against ABA; zeroed memory is a stack of all slots.
 */
#pragma once
#include "lib/shared_head.bpf.h"

#define SHARED_WORDS    16
#define SHARED_TRIES    16
#define SHARED_CAPACITY 0xfffffe /* slots: a word holds a number, and 1 for "not empty" */

#define shared_inline static inline __attribute__((always_inline))

struct shared_view {
    void *buckets, *slots;
    struct shared_head *head;
    __u32 mask;     /* buckets - 1 */
    __u32 capacity; /* slots */
    __u32 stride;   /* bytes a slot; a BPF map knows that by itself */
    __u32 words;    /* of a key: an even number */
};

shared_inline __u64 shared_hash(const __u32 *key, __u32 words, __u64 seed)
{
    __u64 hash = seed;
    for (__u32 i = 0; i < words; i += 2) {
        hash ^= (__u64)key[i] << 32 ^ key[i + 1];
        hash *= 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 32;
    }
    return hash;
}

/* Never that of an empty word. */
shared_inline __u32 shared_tag(__u64 hash)
{
    return ((__u32)(hash >> 32) & 0xff000000) | 1u << 24;
}

shared_inline __u64 *shared_bits(struct shared_view view, __u32 number)
{
    return &view.head->filter[number / 64 % SHARED_FILTER];
}

shared_inline int shared_may_have(struct shared_view view, __u32 number)
{
    return *(const volatile __u64 *)shared_bits(view, number) >> (number % 64) & 1;
}

shared_inline void shared_mark(struct shared_view view, __u32 number)
{
    __sync_fetch_and_or(shared_bits(view, number), 1ull << (number % 64));
}

shared_inline __u32 *shared_slot_of(struct shared_view view, __u32 word)
{
    return SHARED_SLOT(view, (word & 0xffffff) - 1);
}

shared_inline int shared_same(const __u32 *a, const __u32 *b, __u32 words)
{
    __u32 differ = 0;
    for (__u32 i = 0; i < words; i++)
        differ |= a[i] ^ b[i];
    return !differ;
}

/* Without a look at the filter, for who asks for what is there most often. */
shared_inline void *shared_find_hashed(struct shared_view view, const __u32 *key,
                                       __u64 hash)
{
    __u32 tag = shared_tag(hash);
    const __u32 *bucket = SHARED_BUCKET(view, (__u32)hash & view.mask);
    for (int i = 0; bucket && i < 2 * SHARED_WORDS; i++) {
        /* twice, for the slot may have been replaced behind the word that was read */
        __u32 word = ((const volatile __u32 *)bucket)[i / 2];
        if ((word ^ tag) >> 24)
            continue;
        __u32 *slot = shared_slot_of(view, word);
        if (slot && shared_same(slot, key, view.words))
            return slot + view.words;
    }
    return NULL;
}

/* NULL when it is not there. */
shared_inline void *shared_find(struct shared_view view, const __u32 *key)
{
    __u64 hash = shared_hash(key, view.words, view.head->seed);
    if (!shared_may_have(view, (__u32)hash & view.mask))
        return NULL;
    return shared_find_hashed(view, key, hash);
}

/* The number of a slot that is free no more, or -1: none is, or others are too quick. */
shared_inline __s64 shared_take(struct shared_view view)
{
    for (int i = 0; i < SHARED_TRIES; i++) {
        __u64 head = *(volatile __u64 *)&view.head->free;
        __u32 number = (__u32)head;
        if (number >= view.capacity)
            return -1;
        __u32 *slot = SHARED_SLOT(view, number);
        if (!slot)
            return -1;
        __u32 next = *(volatile __u32 *)slot + number +
                     1; /* kept as a difference: 0 in new memory */
        if (__sync_val_compare_and_swap(&view.head->free, head,
                                        ((head >> 32) + 1) << 32 | next) == head)
            return number;
    }
    return -1;
}

shared_inline void shared_give(struct shared_view view, __u32 number)
{
    __u32 *slot = SHARED_SLOT(view, number);
    for (int i = 0; slot && i < SHARED_TRIES; i++) {
        __u64 head = *(volatile __u64 *)&view.head->free;
        *(volatile __u32 *)slot = (__u32)head - number - 1;
        if (__sync_val_compare_and_swap(&view.head->free, head,
                                        ((head >> 32) + 1) << 32 | number) == head)
            return;
    }
}

/* size: of the value, a multiple of 8. 0, or -1: there is no room. Two that insert the same key
 * at once may both succeed: one of the two is found. */
shared_inline int shared_insert(struct shared_view view, const __u32 *key,
                                const void *value, __u32 size)
{
    __u64 hash = shared_hash(key, view.words, view.head->seed);
    __u32 *bucket = SHARED_BUCKET(view, (__u32)hash & view.mask);
    __s64 number = bucket ? shared_take(view) : -1;
    __u32 *slot = number < 0 ? NULL : SHARED_SLOT(view, (__u32)number);
    if (!slot)
        return -1;
    for (__u32 i = 0; i < view.words; i++)
        slot[i] = key[i];
    __builtin_memcpy(slot + view.words, value, size);
    __asm__ volatile("" ::: "memory");
    __u32 word = shared_tag(hash) | ((__u32)number + 1);
    for (int i = 0; i < SHARED_WORDS; i++)
        if (!bucket[i] && !__sync_val_compare_and_swap(&bucket[i], 0, word)) {
            shared_mark(view, (__u32)hash & view.mask);
            return 0;
        }
    shared_give(view, (__u32)number);
    return -1;
}
