#include <string.h>

#include "store/internal.h"

enum { KEEP_BEHIND = 32 };

void matcher_reset(struct matcher *m)
{
    memset(m, 0, sizeof *m);
}

size_t matcher_room(struct matcher *m)
{
    if (m->count > MATCH_WINDOW / 2 && m->next > KEEP_BEHIND) {
        size_t drop = m->next - KEEP_BEHIND;
        m->count -= drop;
        m->next -= drop;
        memmove(m->refs, m->refs + drop, m->count * sizeof m->refs[0]);
    }
    return MATCH_WINDOW - m->count;
}

void matcher_load(struct matcher *m, const struct match_ref *ref)
{
    REQUIRE(m->count < MATCH_WINDOW);
    m->refs[m->count++] = *ref;
}

const struct match_ref *matcher_expected(const struct matcher *m)
{
    return m->next < m->count ? &m->refs[m->next] : NULL;
}

int matcher_find(const struct matcher *m, uint32_t len, const struct fingerprint *print)
{
    for (size_t i = m->next; i < m->count; i++)
        if (m->refs[i].ref.len == len && memcmp(&m->refs[i].ref.print, print, sizeof *print) == 0)
            return (int)i;
    for (size_t i = 0; i < m->next && i < m->count; i++)
        if (m->refs[i].ref.len == len && memcmp(&m->refs[i].ref.print, print, sizeof *print) == 0)
            return (int)i;
    return -1;
}

int matcher_find_name(const struct matcher *m, const struct chunk_name *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (memcmp(&m->refs[i].ref.name, name, sizeof *name) == 0)
            return (int)i;
    return -1;
}

void matcher_matched(struct matcher *m, int index, uint64_t new_offset)
{
    const struct match_ref *r = &m->refs[index];
    m->anchor_old = r->offset + r->ref.len;
    m->anchor_new = new_offset + r->ref.len;
    m->next = (size_t)index + 1;
}

int matcher_base(const struct matcher *m, uint64_t new_offset, uint32_t len)
{
    /* Where the chunk would lie in the old stream, had nothing been inserted or removed since the last match. */
    uint64_t begin = new_offset - m->anchor_new + m->anchor_old, end = begin + len;
    uint64_t best_overlap = 0, best_distance = UINT64_MAX;
    int best = -1;
    for (size_t i = 0; i < m->count; i++) {
        uint64_t b = m->refs[i].offset, e = b + m->refs[i].ref.len;
        uint64_t from = b > begin ? b : begin, to = e < end ? e : end;
        uint64_t overlap = to > from ? to - from : 0;
        uint64_t distance = b > begin ? b - begin : begin - b;
        if (overlap > best_overlap || (overlap == best_overlap && distance < best_distance)) {
            best = (int)i;
            best_overlap = overlap;
            best_distance = distance;
        }
    }
    return best;
}
