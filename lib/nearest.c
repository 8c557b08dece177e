/* nearest: the known word that somebody probably meant. */
#include "lib/nearest.h"

#include <string.h>

static unsigned minimum(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Not tolower(): the answer must not depend on the locale. */
static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* rows[i % 3][j] is the distance between the first i bytes of a and the first j of b.
 * Three rows suffice because a swap looks two rows back. Both words are at most
 * NEAREST_WORD_SIZE long. */
static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned rows[3][NEAREST_WORD_SIZE + 1];
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            char x = fold(a[i - 1]), y = fold(b[j - 1]);
            row[j] = minimum(minimum(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b[j - 2]) && fold(a[i - 2]) == y)
                row[j] = minimum(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const char *nearest(const char *word, const char *const *candidates)
{
    size_t length = strlen(word);
    if (length == 0 || length > NEAREST_WORD_SIZE)
        return NULL;
    unsigned limit = length < 6 ? 1 : (unsigned)length / 3;
    if (limit >= length)
        limit = (unsigned)length - 1;
    const char *best = NULL;
    for (; *candidates; candidates++) {
        size_t candidate_length = strlen(*candidates);
        if (candidate_length > NEAREST_WORD_SIZE)
            continue;
        unsigned far = distance(word, length, *candidates, candidate_length);
        if (best ? far < limit : far <= limit) {
            best = *candidates;
            limit = far;
        }
    }
    return best;
}
