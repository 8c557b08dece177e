/* sojourn: something that is in one of two states, for times of a given law each. */
#include "lib/sojourn.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/units.h"

#define SHORTEST     100000u /* ns: a schedule has at most 10,000 changes a second */
#define LONGEST      36000000000000000u
#define WORDS_MAX    3
#define WORD_SIZE    32
#define LONGEST_DRAW 0x1p60

/* Words of at most WORD_SIZE - 1 characters; more words than fit are counted all the same. */
static int split(const char *text, char words[WORDS_MAX][WORD_SIZE])
{
    int n = 0;
    for (text += strspn(text, " "); *text; text += strspn(text, " "), n++) {
        size_t length = strcspn(text, " ");
        if (n < WORDS_MAX) {
            size_t kept = length < WORD_SIZE ? length : 0;
            memcpy(words[n], text, kept);
            words[n][kept] = 0;
        }
        text += length;
    }
    return n;
}

static bool parse_length(const char *word, uint64_t *ns)
{
    return !units_parse_duration(word, ns) && *ns >= SHORTEST && *ns <= LONGEST;
}

int sojourn_parse(const char *text, struct sojourn_law *law, struct error *err)
{
    char words[WORDS_MAX][WORD_SIZE];
    int n = split(text, words);
    *law = (struct sojourn_law){ SOJOURN_FIXED, 0, 0 };
    if (n == 1 && parse_length(words[0], &law->a))
        return 0;
    law->kind = SOJOURN_EXPONENTIAL;
    if (n == 2 && !strcmp(words[0], "exp") && parse_length(words[1], &law->a))
        return 0;
    law->kind = SOJOURN_UNIFORM;
    if (n == 3 && !strcmp(words[0], "uniform") && parse_length(words[1], &law->a) &&
        parse_length(words[2], &law->b) && law->a <= law->b)
        return 0;
    return error_set(err, ERROR_CONFIG, EINVAL,
                     "\"%.100s\" is not a law of times (\"20ms\", \"exp 20ms\" or "
                     "\"uniform 10ms 30ms\"; 100us to 10000h)",
                     text);
}

uint64_t sojourn_draw(const struct sojourn_law *law, const struct random_key *key,
                      uint64_t index)
{
    double u = random_unit(key, index), length = (double)law->a;
    if (law->kind == SOJOURN_EXPONENTIAL)
        length = -log1p(-u) * (double)law->a;
    else if (law->kind == SOJOURN_UNIFORM)
        length += u * (double)(law->b - law->a);
    return length < 1 ? 1 : (uint64_t)fmin(length, LONGEST_DRAW);
}

static void stay(struct sojourn *sojourn)
{
    uint64_t length =
        sojourn_draw(&sojourn->law[sojourn->state], &sojourn->key, sojourn->stays++);
    sojourn->until = sojourn->since + length;
}

void sojourn_start(struct sojourn *sojourn, const struct sojourn_law law[2],
                   struct random_key key, bool state, uint64_t time)
{
    *sojourn = (struct sojourn){ .key = key, .since = time, .state = state };
    memcpy(sojourn->law, law, sizeof(sojourn->law));
    sojourn->started = true;
    stay(sojourn);
}

/* Over a long silence nobody counts every stay of two fixed laws. */
static void skip_periods(struct sojourn *sojourn, uint64_t time)
{
    uint64_t period = sojourn->law[0].a + sojourn->law[1].a;
    if (sojourn->law[0].kind != SOJOURN_FIXED || sojourn->law[1].kind != SOJOURN_FIXED ||
        time - sojourn->since < 2 * period)
        return;
    uint64_t periods = (time - sojourn->since) / period;
    sojourn->since += periods * period;
    sojourn->until += periods * period;
    sojourn->stays += 2 * periods;
}

bool sojourn_at(struct sojourn *sojourn, uint64_t time)
{
    if (time >= sojourn->until)
        skip_periods(sojourn, time);
    while (time >= sojourn->until) {
        sojourn->since = sojourn->until;
        sojourn->state = !sojourn->state;
        stay(sojourn);
    }
    return sojourn->state;
}
