#include "source/sqlite/apply.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "source/files/meta.h"
#include "source/sqlite/header.h"
#include "source/sqlite/swap.h"
#include "source/sqlite/target.h"

static enum errc read_page_size(int fd, const char *image, uint32_t *out, struct err *err)
{
    uint8_t header[DB_HEADER_BYTES];
    struct db_header h;
    size_t got = 0;
    enum errc rc = io_pread(fd, header, sizeof header, 0, &got, image, err);

    *out = 0;
    if (rc == ERR_OK && got > 0) {
        if (!db_header_parse(header, got, &h))
            return err_fail(err, ERR_INTERNAL, "the staged image %s is not a database", image);
        *out = h.page_size;
    }
    return rc;
}

static enum errc refuse(const struct place *p, const struct sqlite_target *t, const char *why, struct err *err)
{
    char who[160] = "";

    for (size_t i = 0; i < t->holder_count && i < 3; i++) {
        size_t used = strlen(who);
        snprintf(who + used, sizeof who - used, "%s%s (process %ld)", used ? ", " : "", t->holders[i].name,
                 (long)t->holders[i].pid);
    }
    return err_fail(err, ERR_TARGET_IN_USE, "%s cannot be replaced: %s%s%s", p->shown, why,
                    t->holder_count > 0 ? "; held by " : "", who);
}

/* Give the file at path the owner, mode and xattrs of the file it replaces, else those of meta; sync it. */
static enum errc dress(const char *path, const struct place *replaced, const struct entry *meta, struct err *err)
{
    struct owners *owners = NULL;
    struct meta old;
    struct entry e;
    int fd = -1;
    enum errc rc = owners_new(&owners, err);

    meta_init(&old);
    if (rc == ERR_OK)
        rc = io_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, err);
    if (rc == ERR_OK && replaced && replaced->st.st_mode != 0) {
        rc = meta_read(replaced->dir_fd, replaced->name, owners, replaced->shown, &old, err);
        e = old.entry;
        if (meta)
            e.mtime = meta->mtime;
    } else if (meta) {
        e = *meta;
    }
    if (rc == ERR_OK && (meta || (replaced && replaced->st.st_mode != 0))) {
        struct meta_apply_options opt = {.owners = owners};
        e.type = ENTRY_FILE;
        rc = meta_apply(fd, NULL, &e, &opt, path, err);
    }
    if (rc == ERR_OK)
        rc = io_fsync(fd, path, err);
    io_close_quietly(&fd);
    meta_release(&old);
    owners_free(owners);
    return rc;
}

static void warn_of_late_holders(const struct sqlite_apply *a, const struct place *p)
{
    struct holder h[4];
    size_t count = 0;
    bool incomplete;

    if (p->st.st_mode == 0 ||
        process_find_holders(p->st.st_dev, p->st.st_ino, h, 4, &count, &incomplete, NULL) != ERR_OK)
        return;
    for (size_t i = 0; i < count; i++)
        diag_message(
            a->diag, DIAG_WARNING, err_name(ERR_TARGET_IN_USE),
            "%s (process %ld) still holds the file that was replaced at %s: restart it, what it writes is lost",
            h[i].name, (long)h[i].pid, p->shown);
}

static enum errc apply_by_rename(const struct sqlite_apply *a, const struct place *p, struct err *err)
{
    struct swap s;
    enum errc rc = dress(a->image, p, a->meta, err);

    if (rc != ERR_OK)
        return rc;
    rc = swap_open(&s, p, a->quarantine, err);
    if (rc == ERR_OK)
        rc = swap_sidecars_out(&s, err);
    if (rc == ERR_OK)
        rc = swap_in(&s, a->image, err);
    swap_release(&s);
    if (rc == ERR_OK)
        warn_of_late_holders(a, p);
    return rc;
}

static enum errc apply_through_sqlite(const struct sqlite_apply *a, const struct place *p, int image_fd,
                                      struct done_report *report, struct err *err)
{
    struct helper_spec spec = {.op = "apply", .self_exe = a->self_exe, .place = p, .image_fd = image_fd};
    struct target_report unused;
    enum errc rc = target_ask(&spec, &unused, report, err);

    return rc == ERR_OK ? ERR_OK : err_wrap(err, "%s", p->shown);
}

/* After SQLite's answer: done, refused, or by rename. */
static enum errc conclude(const struct sqlite_apply *a, const struct place *p, const struct sqlite_target *t,
                          const struct done_report *report, struct err *err)
{
    switch (report->outcome) {
    case OUTCOME_OK:
        return ERR_OK;
    case OUTCOME_NO_SPACE:
        return err_fail(err, ERR_NO_SPACE, "%s: %s", p->shown, report->text);
    case OUTCOME_BUSY:
    case OUTCOME_PAGE_SIZE:
        if (!a->force)
            return refuse(p, t, report->text, err);
        return apply_by_rename(a, p, err);
    case OUTCOME_MOVED:
        return err_fail(err, ERR_TARGET_UNSUITABLE, "%s: %s", p->shown, report->text);
    case OUTCOME_FAILED:
        return err_fail(err, ERR_CHILD, "%s: %s", p->shown, report->text);
    default: /* SQLite cannot write there after all */
        if (t->holder_count > 0 && !a->force)
            return refuse(p, t, report->text, err);
        return apply_by_rename(a, p, err);
    }
}

static enum errc apply_at(const struct sqlite_apply *a, const struct place *p, struct err *err)
{
    struct sqlite_target t;
    struct done_report report = {0};
    uint32_t page_size = 0;
    int fd = -1;
    enum errc rc = io_open(AT_FDCWD, a->image, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, err);

    if (rc == ERR_OK)
        rc = read_page_size(fd, a->image, &page_size, err);
    if (rc == ERR_OK)
        rc = target_look(p, page_size, a->self_exe, &t, err);
    if (rc == ERR_OK) {
        switch (t.state) {
        case SQLITE_TARGET_OPENABLE:
        case SQLITE_TARGET_PAGE_SIZE:
            rc = apply_through_sqlite(a, p, fd, &report, err);
            if (rc == ERR_OK)
                rc = conclude(a, p, &t, &report, err);
            break;
        case SQLITE_TARGET_BUSY:
        case SQLITE_TARGET_NEEDS_RENAME:
            rc = (t.state == SQLITE_TARGET_BUSY || t.holder_count > 0) && !a->force ? refuse(p, &t, t.detail, err)
                                                                                    : apply_by_rename(a, p, err);
            break;
        case SQLITE_TARGET_ABSENT:
            rc = apply_by_rename(a, p, err);
            break;
        }
    }
    io_close_quietly(&fd);
    return rc;
}

enum errc sqlite_apply(const struct sqlite_apply *a, struct err *err)
{
    struct place p;
    enum errc rc = target_place(&p, a->path, err);

    if (rc == ERR_OK)
        rc = apply_at(a, &p, err);
    place_release(&p);
    return rc;
}

static enum errc put_raw(const struct sqlite_apply *a, const struct sqlite_raw_files *raw, struct swap *s,
                         struct err *err)
{
    const struct {
        const char *suffix, *from;
    } sidecars[] = {{"-journal", raw->journal}, {"-wal", raw->wal}, {"-shm", raw->shm}};
    enum errc rc = ERR_OK;

    if (raw->database)
        rc = dress(raw->database, NULL, a->meta, err);
    for (size_t i = 0; rc == ERR_OK && i < 3; i++)
        if (sidecars[i].from)
            rc = dress(sidecars[i].from, NULL, a->meta, err);
    if (rc == ERR_OK)
        rc = swap_sidecars_out(s, err);
    if (rc == ERR_OK)
        rc = raw->database ? swap_in(s, raw->database, err) : swap_out(s, "", err);
    for (size_t i = 0; rc == ERR_OK && i < 3; i++)
        if (sidecars[i].from)
            rc = swap_put(s, sidecars[i].suffix, sidecars[i].from, err);
    return rc == ERR_OK ? swap_sync(s, err) : rc;
}

enum errc sqlite_apply_raw(const struct sqlite_apply *a, const struct sqlite_raw_files *raw, struct err *err)
{
    struct sqlite_target t = {0};
    struct place p;
    struct swap s = {.quarantine_fd = -1};
    enum errc rc = target_place(&p, a->path, err);

    if (rc == ERR_OK && p.st.st_mode != 0)
        rc = process_find_holders(p.st.st_dev, p.st.st_ino, t.holders, sizeof t.holders / sizeof t.holders[0],
                                  &t.holder_count, &t.holders_incomplete, err);
    if (rc == ERR_OK && t.holder_count > 0 && !a->force)
        rc = refuse(&p, &t, "its raw bytes can only be put back while nobody has it open", err);
    if (rc == ERR_OK)
        rc = swap_open(&s, &p, a->quarantine, err);
    if (rc == ERR_OK)
        rc = put_raw(a, raw, &s, err);
    if (rc == ERR_OK)
        warn_of_late_holders(a, &p);
    swap_release(&s);
    place_release(&p);
    return rc;
}
