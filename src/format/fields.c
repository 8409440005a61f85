#include "format/fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"

bool fields_next(struct fields *f, struct field *out)
{
    if (!get_field(&f->r, &out->tag, &out->critical, &out->value))
        return false;
    if (f->any && out->tag < f->last) {
        f->r.failed = true;
        return false;
    }
    out->repeated = f->any && out->tag == f->last;
    f->any = true;
    f->last = out->tag;
    return true;
}

enum errc nest_close(struct buf *b, size_t start, struct err *err)
{
    size_t len = b->len - start;
    enum errc rc = put_varint(b, len, err); /* at the end, then moved to the front */
    if (rc != ERR_OK)
        return rc;
    size_t width = b->len - start - len;
    uint8_t count[10];
    memcpy(count, b->data + start + len, width);
    memmove(b->data + start + width, b->data + start, len);
    memcpy(b->data + start, count, width);
    return ERR_OK;
}

enum errc nest_open_field(struct buf *b, uint64_t tag, bool critical, size_t *start_out, struct err *err)
{
    enum errc rc = put_varint(b, tag << 1 | critical, err);
    *start_out = b->len;
    return rc;
}

enum errc put_time(struct buf *b, const struct timestamp *t, struct err *err)
{
    if (t->nsec > 999999999)
        return err_fail(err, ERR_INTERNAL, "a time has %u nanoseconds", t->nsec);
    enum errc rc = put_zigzag(b, t->sec, err);
    return rc == ERR_OK ? put_varint(b, t->nsec, err) : rc;
}

void get_time(struct reader *r, struct timestamp *t)
{
    t->sec = get_zigzag(r);
    t->nsec = (uint32_t)get_varint_max(r, 999999999);
}

enum errc array_extend(void *array_inout, size_t *count, size_t max, size_t size, void *element_out, struct err *err)
{
    if (*count >= max)
        return err_fail(err, ERR_DAMAGED, "a list has more than %zu elements", max);
    size_t cap = 0; /* what mem_grow made of the earlier elements: 8, doubled as needed */
    for (size_t c = 8; *count > 0 && cap < *count; c *= 2)
        cap = c;
    enum errc rc = mem_grow(array_inout, &cap, *count + 1, size, err);
    if (rc != ERR_OK)
        return rc;
    char *base;
    memcpy(&base, array_inout, sizeof base);
    char *element = base + *count * size;
    memset(element, 0, size);
    memcpy(element_out, &element, sizeof element);
    ++*count;
    return ERR_OK;
}
