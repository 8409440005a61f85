#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "catalog/db.h"

enum { LAST_SEEN_MAX_BYTES = 256 };

static bool parse_last_seen(const char *text, uint64_t *number, struct digest *digest)
{
    char *end = NULL;
    unsigned long long n;

    if (text[0] < '1' || text[0] > '9')
        return false;
    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno != 0 || *end != ' ' || strlen(end + 1) < 2 * sizeof digest->b)
        return false;
    if (!hex_decode(digest->b, sizeof digest->b, end + 1, 2 * sizeof digest->b))
        return false;
    *number = n;
    end += 1 + 2 * sizeof digest->b;
    return strcmp(end, "\n") == 0 || *end == '\0';
}

static enum errc read_last_seen(int dir, const struct place *p, struct buf *b, uint64_t *number_out,
                                struct digest *digest_out, struct err *err)
{
    struct err local = {0};
    enum errc rc = io_read_file(dir, "last-seen", LAST_SEEN_MAX_BYTES, b, &local);

    if (rc != ERR_OK && local.sys_errno == ENOENT)
        return ERR_OK;
    if (rc == ERR_OK)
        rc = buf_terminate(b, &local);
    if (rc == ERR_OK && !parse_last_seen((const char *)b->data, number_out, digest_out))
        rc = ERR_LIMIT;
    if (rc == ERR_LIMIT) {
        rc = err_fail(&local, ERR_CATALOG, "%s/last-seen is not what was written there", p->dir);
        (void)err_hint(&local, "It guards against a log that was cut back. Remove the file once you know that the "
                               "repository's history is whole.");
    }
    if (rc != ERR_OK && err)
        *err = local;
    return rc;
}

enum errc catalog_last_seen(const char *cache_dir, const struct repo_id *repo, uint64_t *number_out,
                            struct digest *digest_out, struct err *err)
{
    struct err local = {0};
    struct buf b;
    struct place p;
    int dir = -1;
    enum errc rc = place_of(cache_dir, repo, &p, err);

    *number_out = 0;
    memset(digest_out, 0, sizeof *digest_out);
    if (rc != ERR_OK)
        return rc;
    buf_init(&b, LAST_SEEN_MAX_BYTES + 1);
    rc = place_open_dir(&p, &dir, &local);
    if (rc == ERR_OK)
        rc = read_last_seen(dir, &p, &b, number_out, digest_out, &local);
    else if (local.sys_errno == ENOENT)
        rc = ERR_OK;
    if (rc != ERR_OK && err)
        *err = local;
    io_close_quietly(&dir);
    buf_release(&b);
    catalog_place_release(&p);
    return rc;
}

enum errc catalog_set_last_seen(const char *cache_dir, const struct repo_id *repo, uint64_t number,
                                const struct digest *digest, struct err *err)
{
    char hex[2 * sizeof digest->b + 1];
    struct buf b;
    struct place p;
    int dir = -1;
    enum errc rc = place_of(cache_dir, repo, &p, err);

    if (rc != ERR_OK)
        return rc;
    buf_init(&b, LAST_SEEN_MAX_BYTES);
    rc = buf_append_fmt(&b, err, "%llu %s\n", (unsigned long long)number, hex_encode(hex, digest->b, sizeof digest->b));
    if (rc == ERR_OK)
        rc = place_make(&p, err);
    if (rc == ERR_OK)
        rc = place_open_dir(&p, &dir, err);
    if (rc == ERR_OK)
        rc = io_replace_file(dir, "last-seen", b.data, b.len, 0600, err);
    io_close_quietly(&dir);
    buf_release(&b);
    catalog_place_release(&p);
    return rc;
}
