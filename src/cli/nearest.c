#include <string.h>

#include "cli/options.h"

enum { WORD_MAX = 32 };

/* Edit distance with swaps of neighbours; both at most WORD_MAX long. */
static unsigned distance(const char *a, size_t la, const char *b, size_t lb)
{
    unsigned d[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= la; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= lb; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++)
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[la][lb];
}

const char *nearest_name(const char *word, const char *const *names)
{
    size_t len = strlen(word);
    if (len == 0 || len > WORD_MAX)
        return NULL;
    const char *best = NULL;
    unsigned least = (unsigned)len / 3 + 2; /* more than a third of the letters wrong is another word */
    for (; *names; names++) {
        size_t name_len = strlen(*names);
        if (name_len > WORD_MAX)
            continue;
        unsigned d = distance(word, len, *names, name_len);
        if (len >= 3 && strncmp(word, *names, len) == 0)
            d = 1; /* a beginning of it */
        if (d < least && d < name_len) {
            least = d;
            best = *names;
        }
    }
    return best;
}
