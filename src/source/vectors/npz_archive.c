#include "source/vectors/npz_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { READ_BYTES = 64 * 1024 };

struct npz_archive {
    const struct vector_input *in;
    struct err *err;
    struct archive *archive;
    enum errc rc; /* of in->read */
    uint64_t offset;
    uint64_t allowance; /* bytes that may still be read */
    bool is_over;       /* more were wanted */
    char fault[200];
    uint8_t bytes[READ_BYTES];
};

static la_ssize_t fetch(struct archive *archive, void *arg, const void **bytes_out)
{
    struct npz_archive *z = arg;
    size_t got = 0;
    *bytes_out = z->bytes;
    if (z->rc == ERR_OK && z->offset < z->in->size)
        z->rc = z->in->read(z->in->arg, z->bytes, sizeof z->bytes, z->offset, &got, z->err);
    z->is_over = z->is_over || got > z->allowance;
    if (z->rc != ERR_OK || z->is_over) {
        archive_set_error(archive, EIO, "it is not read on");
        return -1;
    }
    z->allowance -= got;
    z->offset += got;
    return (la_ssize_t)got;
}

static la_int64_t skip(struct archive *archive, void *arg, la_int64_t count)
{
    struct npz_archive *z = arg;
    (void)archive;
    uint64_t left = z->in->size - z->offset, n = count < 0 ? 0 : (uint64_t)count;
    n = n < left ? n : left;
    z->offset += n;
    return (la_int64_t)n;
}

static la_int64_t seek(struct archive *archive, void *arg, la_int64_t to, int whence)
{
    struct npz_archive *z = arg;
    (void)archive;
    int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (int64_t)z->offset : (int64_t)z->in->size, at;
    if (__builtin_add_overflow(base, to, &at) || at < 0 || (uint64_t)at > z->in->size)
        return ARCHIVE_FATAL;
    z->offset = (uint64_t)at;
    return at;
}

enum errc npz_open(const struct vector_input *in, struct npz_archive **out, struct err *err)
{
    struct npz_archive *z;
    enum errc rc = mem_alloc(&z, sizeof *z, err);
    *out = NULL;
    if (rc != ERR_OK)
        return rc;
    z->in = in;
    z->err = err;
    z->allowance = NPZ_DIRECTORY_MAX_BYTES;
    z->archive = archive_read_new();
    /* What opening finds wrong, the first member finds again. */
    bool is_open = z->archive && archive_read_support_format_zip_seekable(z->archive) == ARCHIVE_OK &&
                   archive_read_set_read_callback(z->archive, fetch) == ARCHIVE_OK &&
                   archive_read_set_skip_callback(z->archive, skip) == ARCHIVE_OK &&
                   archive_read_set_seek_callback(z->archive, seek) == ARCHIVE_OK &&
                   archive_read_set_callback_data(z->archive, z) == ARCHIVE_OK;
    if (is_open)
        (void)archive_read_open1(z->archive);
    rc = is_open ? z->rc : err_fail(err, ERR_NO_MEMORY, "no reader for a zip archive could be made");
    if (rc == ERR_OK)
        *out = z;
    else
        npz_close(z);
    return rc;
}

void npz_close(struct npz_archive *z)
{
    if (z)
        archive_read_free(z->archive);
    free(z);
}

const char *npz_fault(struct npz_archive *z)
{
    const char *text = archive_error_string(z->archive);
    text = text ? text : "it cannot be read";
    snprintf(z->fault, sizeof z->fault, "%.*s", (int)strcspn(text, "\n"), text);
    return z->fault;
}

/* Stored and deflated is what NumPy writes; other methods could ask for any amount of memory. */
static bool is_method_known(struct archive *archive)
{
    const char *format = archive_format_name(archive);
    return format && (strstr(format, "(uncompressed)") || strstr(format, "(deflation)"));
}

/* After a call of libarchive that failed: was it the input, or memory? Else it is the archive. */
static enum errc cause(struct npz_archive *z)
{
    if (z->rc == ERR_OK && archive_errno(z->archive) == ENOMEM)
        z->rc = err_fail(z->err, ERR_NO_MEMORY, "there is no memory to read a zip archive");
    return z->rc;
}

enum errc npz_next(struct npz_archive *z, struct npz_member *m, enum npz_step *step_out)
{
    struct archive_entry *entry;
    int got = archive_read_next_header(z->archive, &entry);
    *step_out = got == ARCHIVE_EOF ? NPZ_END : z->is_over ? NPZ_TOO_LARGE : NPZ_FAULT;
    if (got == ARCHIVE_EOF)
        return z->rc;
    if (z->rc != ERR_OK || got < ARCHIVE_WARN)
        return cause(z);
    *step_out = NPZ_MEMBER;
    z->allowance = UINT64_MAX; /* the directory is read now */
    const char *name = archive_entry_pathname(entry);
    name = name ? name : archive_entry_pathname_utf8(entry);
    m->name = name ? name : "?";
    m->is_size_known = archive_entry_size_is_set(entry) && archive_entry_size(entry) >= 0;
    m->size = m->is_size_known ? (uint64_t)archive_entry_size(entry) : 0;
    m->is_method_known = is_method_known(z->archive);
    return ERR_OK;
}

enum errc npz_bytes(struct npz_archive *z, void *dst, size_t len, size_t *got_out, bool *ok_out)
{
    la_ssize_t n = 1;
    *got_out = 0;
    while (n > 0 && *got_out < len) {
        n = archive_read_data(z->archive, (uint8_t *)dst + *got_out, len - *got_out);
        if (n > 0)
            *got_out += (size_t)n;
    }
    *ok_out = n >= 0;
    return *ok_out ? z->rc : cause(z);
}
