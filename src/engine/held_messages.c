#include "engine/held_messages.h"

#include <string.h>

static void on_message(void *arg, enum diag_level level, const char *name, const char *text)
{
    struct held_messages *h = arg;
    char mark[2] = {(char)('0' + (int)level), '\0'};
    pthread_mutex_lock(&h->lock);
    size_t before = h->text.len;
    bool kept = buf_append(&h->text, mark, sizeof mark, NULL) == ERR_OK &&
                buf_append(&h->text, name, strlen(name) + 1, NULL) == ERR_OK &&
                buf_append(&h->text, text, strlen(text) + 1, NULL) == ERR_OK;
    if (!kept)
        h->text.len = before;
    pthread_mutex_unlock(&h->lock);
    if (!kept)
        diag_message(h->to, level, name, "%s", text);
}

static void on_progress(void *arg, const struct progress *p)
{
    const struct held_messages *h = arg;
    diag_progress(h->to, p);
}

static bool on_interrupted(void *arg)
{
    const struct held_messages *h = arg;
    return diag_interrupted(h->to);
}

void held_init(struct held_messages *h, const struct diag *to)
{
    h->diag = (struct diag){.message = on_message, .progress = on_progress, .interrupted = on_interrupted, .arg = h};
    h->to = to;
    buf_init(&h->text, HELD_MAX_BYTES);
    pthread_mutex_init(&h->lock, NULL);
}

void held_drop(struct held_messages *h)
{
    buf_clear(&h->text);
}

void held_tell(struct held_messages *h)
{
    const char *at = (const char *)h->text.data, *end = h->text.len > 0 ? at + h->text.len : at;
    while (at != end) {
        enum diag_level level = (enum diag_level)(*at - '0');
        const char *name = at + 2, *text = name + strlen(name) + 1;
        diag_message(h->to, level, name, "%s", text);
        at = text + strlen(text) + 1;
    }
    held_drop(h);
}

void held_release(struct held_messages *h)
{
    held_tell(h);
    buf_release(&h->text);
    pthread_mutex_destroy(&h->lock);
}
