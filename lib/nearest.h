/* nearest: the known word that somebody probably meant.
 *
 *   nearest           the candidate nearest to a misspelt word, or NULL
 *
 * For messages of the kind `no parameter "lose", did you mean "loss"?`.
 */
#pragma once

/* Words longer than this (bytes) are nobody's typing slip: they are near to nothing. */
#define NEAREST_WORD_SIZE 64

/* candidates ends with NULL. Nearness is the Damerau-Levenshtein distance in its optimal
 * string alignment form (one insertion, deletion, substitution or swap of neighbours
 * costs 1), blind to ASCII case. A candidate is near at a distance of at most max(1,
 * strlen(word) / 3), provided that some of the word is left: "x" does not suggest "y".
 * The first of several equally near candidates wins. What is returned is the pointer from
 * candidates. */
const char *nearest(const char *word, const char *const *candidates);
