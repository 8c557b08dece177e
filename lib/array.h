/* array: room in an array that grows one element at a time.
 *
 *   array_reserve   room for one more than count elements of size bytes
 *
 * The capacity is not kept: it is 1024, or the power of two that count has reached. Start
 * with NULL and count 0; free with free().
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* array: the address of the pointer. False when memory is out; the array is as it was. */
static inline bool array_reserve(void *array, size_t count, size_t size)
{
    void **at = array;
    if (count && (count < 1024 || count & (count - 1)))
        return true;
    void *more = realloc(*at, (count ? 2 * count : 1024) * size);
    if (more)
        *at = more;
    return more;
}
