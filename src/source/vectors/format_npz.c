/* .npz: a zip archive whose members are .npy files, stored or deflated (NumPy's documentation, numpy.savez). Members
 * are streamed, never held. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "source/vectors/format.h"
#include "source/vectors/npy_header.h"
#include "source/vectors/npz_archive.h"
#include "source/vectors/scan.h"
#include "source/vectors/scan_columns.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    ZIP_LOCAL_BYTES = 30, /* of a local header, before the name */
    ZIP_END_BYTES = 22,
};

static bool npz_claims(const uint8_t *head, size_t len, const struct vector_input *in)
{
    if (vector_name_ends(in, ".npz"))
        return true;
    if (len < ZIP_LOCAL_BYTES || memcmp(head, "PK\3\4", 4) != 0)
        return false;
    /* Else the first member has to be an array. */
    size_t name_len = vector_le16(head + 26);
    return name_len > 4 && name_len <= len - ZIP_LOCAL_BYTES &&
           memcmp(head + ZIP_LOCAL_BYTES + name_len - 4, ".npy", 4) == 0;
}

/* The member that is read. */
struct member {
    struct npz_archive *archive;
    struct vector_result *out;
    struct err *err;
    struct npz_member info;
    struct npy_header header;
    uint64_t header_bytes;  /* 0: it was found broken */
    struct vector_array *a; /* NULL when there are too many */
};

static enum errc member_fault(const struct member *m)
{
    return vector_broken(m->out, "member '%.80s': %s", m->info.name, npz_fault(m->archive));
}

/* The rest of the header's text, had bytes of which are there. */
static enum errc member_text(struct member *m, char *text, size_t had, size_t len)
{
    size_t got;
    bool ok;
    enum errc rc = npz_bytes(m->archive, text + had, len - had, &got, &ok);
    if (rc != ERR_OK)
        return rc;
    if (!ok)
        return member_fault(m);
    const char *fault = got < len - had ? "it ends within its header" : npy_parse(text, len, &m->header);
    if (fault)
        return vector_broken(m->out, "member '%.80s': %s", m->info.name, fault);
    m->header_bytes = NPY_PREFIX_BYTES - had + len;
    return ERR_OK;
}

static enum errc member_header(struct member *m)
{
    uint8_t prefix[NPY_PREFIX_BYTES];
    size_t got, text_offset;
    uint64_t text_len;
    bool ok;
    enum errc rc = npz_bytes(m->archive, prefix, sizeof prefix, &got, &ok);
    if (rc != ERR_OK)
        return rc;
    if (!ok)
        return member_fault(m);
    if (!npy_prefix(prefix, got, &text_offset, &text_len) || text_len < sizeof prefix - text_offset ||
        text_len > NPY_TEXT_MAX_BYTES)
        return vector_broken(m->out, "member '%.80s' does not begin as a NumPy array does", m->info.name);
    char *text;
    rc = mem_alloc(&text, (size_t)text_len, m->err);
    if (rc != ERR_OK)
        return rc;
    memcpy(text, prefix + text_offset, sizeof prefix - text_offset);
    rc = member_text(m, text, sizeof prefix - text_offset, (size_t)text_len);
    free(text);
    return rc;
}

/* All of the data, of data_bytes when it is sound; either scan may be NULL. */
static enum errc member_data(struct member *m, uint64_t data_bytes, struct vector_scan *rows,
                             struct column_scan *columns, bool *ok_out)
{
    uint64_t sum = 0;
    size_t got = 0;
    bool ok = true;
    uint8_t *block;
    enum errc rc = mem_alloc(&block, BLOCK_BYTES, m->err);
    *ok_out = false;
    if (rc != ERR_OK)
        return rc;
    do {
        rc = npz_bytes(m->archive, block, BLOCK_BYTES, &got, &ok);
        sum += got;
        if (rc != ERR_OK || !ok || sum > data_bytes)
            break;
        if (rows)
            vector_scan_feed(rows, block, got);
        if (columns)
            column_scan_feed(columns, block, got);
    } while (got == BLOCK_BYTES);
    free(block);
    *ok_out = rc == ERR_OK && ok && sum == data_bytes;
    if (rc != ERR_OK || *ok_out)
        return rc;
    return ok ? vector_broken(m->out, "member '%.80s' has %s bytes than its shape says", m->info.name,
                              sum > data_bytes ? "more" : "fewer")
              : member_fault(m);
}

static enum errc member_scan(struct member *m)
{
    struct vector_scan rows;
    struct column_scan columns = {0};
    struct vector_array *a = m->a;
    enum errc rc = ERR_OK;
    bool ok = false, is_wanted = a && a->is_vectors, is_empty = is_wanted && a->count == 0;
    bool by_row = is_wanted && !m->header.is_fortran, by_column = is_wanted && !by_row && !is_empty;
    by_column = by_column && a->count <= COLUMNS_MAX_ROWS; /* a stream is not read twice: more stays unknown */
    if (by_row)
        vector_scan_start(&rows, a->dtype, a->foreign_order, a->dimension);
    if (by_column)
        rc = column_scan_start(&columns, a->dtype, a->foreign_order, (size_t)a->count, m->err);
    if (rc == ERR_OK)
        rc = member_data(m, m->header.has_objects ? m->info.size - m->header_bytes : m->header.data_bytes,
                         by_row ? &rows : NULL, by_column ? &columns : NULL, &ok);
    if (rc == ERR_OK && ok && (by_row || by_column || is_empty)) {
        a->nan = by_row ? rows.nan : 0;
        a->inf = by_row ? rows.inf : 0;
        a->zero = by_row ? rows.zero : 0;
        if (by_column)
            column_scan_count(&columns, a);
    }
    column_scan_release(&columns);
    return rc;
}

static enum errc member_read(struct member *m, enum vector_depth depth)
{
    size_t len = strlen(m->info.name);
    bool is_npy = len > 4 && strcmp(m->info.name + len - 4, ".npy") == 0;
    enum errc rc = vector_add_array(m->out, m->info.name, is_npy ? len - 4 : len, &m->a, m->err);
    if (rc != ERR_OK || !is_npy)
        return rc;
    if (m->a)
        m->a->is_vectors = true; /* for all that is known before its header is */
    if (!m->info.is_method_known) {
        snprintf(m->out->detail, sizeof m->out->detail, "it is compressed as NumPy never does: not looked into");
        return ERR_OK;
    }
    rc = member_header(m);
    if (rc != ERR_OK || m->header_bytes == 0)
        return rc;
    if (m->a) {
        m->a->is_vectors = false;
        npy_describe(&m->header, m->a);
    }
    bool has_objects = m->header.has_objects;
    if (m->info.is_size_known &&
        (m->info.size < m->header_bytes || (!has_objects && m->info.size - m->header_bytes != m->header.data_bytes)))
        return vector_broken(m->out, "member '%.80s' has %" PRIu64 " bytes, and its shape says %" PRIu64, m->info.name,
                             m->info.size, m->header_bytes + m->header.data_bytes);
    if (npy_has_odd_rows(&m->header) && m->header.shape[0] > 0)
        return vector_broken(m->out, "member '%.80s': rows of %" PRId64 " elements: not taken for vectors",
                             m->info.name, m->header.shape[1]);
    if (npy_has_odd_rows(&m->header) && !m->out->detail[0])
        npy_say(&m->header, m->out->detail);
    return depth < VECTOR_SCAN || (has_objects && !m->info.is_size_known) ? ERR_OK : member_scan(m);
}

/* An archive of no members is its end record alone, which libarchive does not know. */
static enum errc is_nothing(const struct vector_input *in, bool *is_out, struct vector_result *out, struct err *err)
{
    static const uint8_t end[ZIP_END_BYTES] = {'P', 'K', 5, 6};
    uint8_t bytes[ZIP_END_BYTES];
    *is_out = false;
    if (in->size != sizeof end)
        return ERR_OK;
    enum errc rc = vector_bytes(in, bytes, sizeof bytes, 0, "its end record", out, is_out, err);
    *is_out = *is_out && memcmp(bytes, end, sizeof end) == 0;
    return rc;
}

static enum errc npz_read(const struct vector_input *in, const struct vector_options *opt, struct vector_result *out,
                          struct err *err)
{
    struct npz_archive *z;
    enum npz_step step = NPZ_MEMBER;
    bool is_empty;
    enum errc rc = is_nothing(in, &is_empty, out, err);
    if (rc != ERR_OK || is_empty)
        return rc;
    rc = npz_open(in, &z, err);
    while (rc == ERR_OK && step == NPZ_MEMBER) {
        struct member m = {.archive = z, .out = out, .err = err};
        rc = npz_next(z, &m.info, &step);
        if (rc == ERR_OK && step == NPZ_MEMBER)
            rc = member_read(&m, opt->depth);
    }
    if (rc == ERR_OK && step != NPZ_END)
        out->arrays_omitted++; /* at least */
    if (rc == ERR_OK && step == NPZ_TOO_LARGE)
        snprintf(out->detail, sizeof out->detail, "it has more members than are looked at");
    else if (rc == ERR_OK && step == NPZ_FAULT)
        rc = vector_broken(out, "it was cut off, or is no zip archive: %s", npz_fault(z));
    npz_close(z);
    return rc;
}

const struct vector_format vector_format_npz = {.name = "npz", .claims = npz_claims, .read = npz_read};
