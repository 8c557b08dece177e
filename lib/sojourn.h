/* sojourn: something that is in one of two states, for times of a given law each.
 *
 *   sojourn_parse       "20ms", "exp 20ms", "uniform 10ms 30ms"
 *   sojourn_start       begin at a time
 *   sojourn_at          the state at a time
 *   sojourn_draw        one length
 *
 * An alternating renewal process: the k-th stay's length is a draw of its own, a function of
 * key and k, so that the schedule is the same whoever asks and however often.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/random.h"

enum sojourn_kind { SOJOURN_FIXED, SOJOURN_EXPONENTIAL, SOJOURN_UNIFORM };

struct sojourn_law {
    enum sojourn_kind kind;
    uint64_t a; /* ns: the length, the mean, the shortest */
    uint64_t b; /* the longest */
};

struct sojourn {
    struct sojourn_law law[2]; /* by state */
    struct random_key key;
    uint64_t stays; /* begun so far, the present one included */
    uint64_t since, until;
    bool state;
    bool started;
};

/* What every law of an outage or a burst allows: lengths from 100 us to 10,000 hours. -EINVAL
 * with a message that begins with the text. */
int sojourn_parse(const char *text, struct sojourn_law *law, struct error *err);

/* In which state, from which time on. */
void sojourn_start(struct sojourn *sojourn, const struct sojourn_law law[2],
                   struct random_key key, bool state, uint64_t time);

/* The state at a time, which must not be before one asked for earlier (it counts as that
 * one then). since and until are those of the stay. */
bool sojourn_at(struct sojourn *sojourn, uint64_t time);

/* Length number index, at least 1 ns. */
uint64_t sojourn_draw(const struct sojourn_law *law, const struct random_key *key,
                      uint64_t index);
