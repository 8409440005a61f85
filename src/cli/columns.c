#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/output.h"

struct columns {
    size_t count;   /* columns */
    size_t *widths; /* in characters */
    bool *right;
    char **cells; /* rows after each other, titles first */
    size_t used, cap;
};

/* Characters of UTF-8; escaped text holds no control bytes and no invalid sequences. */
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static enum errc escaped(const char *cell, char **out, struct err *err)
{
    struct buf b;
    buf_init(&b, strlen(cell) * 4 + 1);
    enum errc rc = path_escape(&b, cell, strlen(cell), err);
    if (rc == ERR_OK)
        rc = buf_terminate(&b, err);
    if (rc == ERR_OK)
        rc = mem_strdup(out, (const char *)b.data, err);
    buf_release(&b);
    return rc;
}

enum errc columns_new(const char *const *titles, size_t count, struct columns **out, struct err *err)
{
    struct columns *t;
    enum errc rc = mem_alloc(&t, sizeof *t, err);
    if (rc != ERR_OK)
        return rc;
    t->count = count;
    rc = mem_alloc(&t->widths, count * sizeof *t->widths, err);
    if (rc == ERR_OK)
        rc = mem_alloc(&t->right, count * sizeof *t->right, err);
    if (rc == ERR_OK)
        rc = columns_add(t, titles, err);
    if (rc != ERR_OK) {
        columns_free(t);
        return rc;
    }
    *out = t;
    return ERR_OK;
}

void columns_free(struct columns *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->used; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t->widths);
    free(t->right);
    free(t);
}

void columns_align_right(struct columns *t, size_t column)
{
    REQUIRE(column < t->count);
    t->right[column] = true;
}

enum errc columns_add(struct columns *t, const char *const *cells, struct err *err)
{
    enum errc rc = mem_grow(&t->cells, &t->cap, t->used + t->count, sizeof *t->cells, err);
    for (size_t i = 0; rc == ERR_OK && i < t->count; i++) {
        rc = escaped(cells[i], &t->cells[t->used], err);
        if (rc != ERR_OK)
            break;
        size_t width = width_of(t->cells[t->used++]);
        if (width > t->widths[i])
            t->widths[i] = width;
    }
    return rc;
}

void columns_print(const struct columns *t, struct ui *ui, const char *indent)
{
    for (size_t row = 0; row + t->count <= t->used; row += t->count) {
        ui_out(ui, "%s", indent);
        size_t used = t->count; /* no blanks at the end of a line */
        while (used > 1 && t->cells[row + used - 1][0] == '\0')
            used--;
        for (size_t i = 0; i < used; i++) {
            const char *cell = t->cells[row + i];
            int pad = (int)(t->widths[i] - width_of(cell));
            bool last = i + 1 == used;
            if (t->right[i])
                ui_out(ui, "%*s%s%s", pad, "", cell, last ? "\n" : "  ");
            else
                ui_out(ui, "%s%*s%s", cell, last ? 0 : pad, "", last ? "\n" : "  ");
        }
    }
}
