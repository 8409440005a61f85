#include "engine/name_window.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { SLOTS = 2 * NAME_WINDOW };

enum errc name_window_init(struct name_window *w, struct err *err)
{
    memset(w, 0, sizeof *w);
    enum errc rc = mem_alloc(&w->slots[0], SLOTS * sizeof(uint64_t), err);
    return rc == ERR_OK ? mem_alloc(&w->slots[1], SLOTS * sizeof(uint64_t), err) : rc;
}

void name_window_release(struct name_window *w)
{
    free(w->slots[0]);
    free(w->slots[1]);
    memset(w, 0, sizeof *w);
}

static void forget(struct name_window *w, int generation)
{
    if (w->counts[generation] > 0)
        memset(w->slots[generation], 0, SLOTS * sizeof(uint64_t));
    w->counts[generation] = 0;
}

void name_window_clear(struct name_window *w)
{
    forget(w, 0);
    forget(w, 1);
}

static uint64_t key_of(const struct chunk_name *name)
{
    uint64_t key;
    memcpy(&key, name->b, sizeof key);
    return key ? key : 1;
}

static uint64_t *slot_of(const struct name_window *w, int generation, uint64_t key)
{
    uint64_t *slots = w->slots[generation];
    size_t i = (size_t)key & (SLOTS - 1);
    while (slots[i] != 0 && slots[i] != key)
        i = (i + 1) & (SLOTS - 1);
    return &slots[i];
}

void name_window_add(struct name_window *w, const struct chunk_name *name)
{
    if (w->counts[w->newer] == NAME_WINDOW) {
        w->newer = !w->newer;
        forget(w, w->newer);
    }
    uint64_t key = key_of(name), *slot = slot_of(w, w->newer, key);
    if (*slot == 0)
        w->counts[w->newer]++;
    *slot = key;
}

bool name_window_has(const struct name_window *w, const struct chunk_name *name)
{
    uint64_t key = key_of(name);
    return *slot_of(w, 0, key) == key || *slot_of(w, 1, key) == key;
}
