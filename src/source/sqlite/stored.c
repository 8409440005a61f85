#include "source/sqlite/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/timefmt.h"
#include "source/sqlite/helper.h"

enum { POLL_MS = 250 };

struct serving {
    const struct stored_image *image;
    const struct stored_check_options *opt;
    struct stored_verdict *verdict;
    struct helper helper;
    int file_fd, answer_fd;
    uint64_t blocks, slots;
    uint8_t *block;
    /* With a slot for each block: which are there, and the next to bring while the child does not ask. */
    uint8_t *present;
    uint64_t ahead, missing;
    uint64_t bytes_read;
    bool facts_seen;
    struct fact_list facts;
    struct done_report report;
};

/* --- the file -------------------------------------------------------------------------------------------------------
 */

static bool open_unnamed(const char *dir, int *fd_out, uint64_t *free_out)
{
    struct err ignored;
    bool ok = dir && *dir && io_open(AT_FDCWD, dir, O_TMPFILE | O_RDWR, 0600, fd_out, &ignored) == ERR_OK;

    if (ok && io_free_space(*fd_out, free_out, &ignored) != ERR_OK) {
        io_close_quietly(fd_out);
        ok = false;
    }
    return ok;
}

/* The first directory with room for all of it and as much again, else the one with the most room. */
static enum errc make_file(struct serving *s, struct err *err)
{
    const char *dirs[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    uint64_t best = 0, wanted = s->blocks * STORED_BLOCK_BYTES;

    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0] && best / 2 < wanted; i++) {
        uint64_t room = 0;
        int fd = -1;
        if (!open_unnamed(dirs[i], &fd, &room))
            continue;
        if (room > best) {
            io_close_quietly(&s->file_fd);
            s->file_fd = fd;
            best = room;
        } else {
            io_close_quietly(&fd);
        }
    }
    if (s->file_fd < 0)
        return err_fail(err, ERR_NO_SPACE, "no directory for a temporary file ($TMPDIR, /var/tmp, /tmp)");
    s->slots = best / 2 / STORED_BLOCK_BYTES;
    if (s->slots > STORED_SLOTS_MAX)
        s->slots = STORED_SLOTS_MAX;
    if (s->opt->slots_max > 0 && s->slots > s->opt->slots_max)
        s->slots = s->opt->slots_max;
    if (s->slots > s->blocks)
        s->slots = s->blocks;
    if (s->slots < STORED_SLOTS_MIN && s->slots < s->blocks && s->opt->slots_max == 0)
        return err_fail(err, ERR_NO_SPACE, "too little room for a temporary file ($TMPDIR, /var/tmp, /tmp)");
    return ERR_OK;
}

static enum errc start(struct serving *s, struct err *err)
{
    char name[48];
    int read_only = -1;
    enum errc rc = make_file(s, err);

    if (rc == ERR_OK)
        rc = mem_alloc(&s->block, STORED_BLOCK_BYTES, err);
    if (rc == ERR_OK && s->slots == s->blocks) {
        rc = mem_alloc(&s->present, (size_t)(s->blocks / 8 + 1), err);
        s->missing = s->blocks;
    }
    snprintf(name, sizeof name, "/proc/self/fd/%d", s->file_fd);
    if (rc == ERR_OK)
        rc = io_open(AT_FDCWD, name, O_RDONLY, 0, &read_only, err);
    struct helper_spec spec = {.op = "check",
                               .self_exe = s->opt->self_exe,
                               .image_fd = read_only,
                               .image_bytes = s->image->size,
                               .image_slots = s->slots,
                               .answer_fd_out = &s->answer_fd};
    if (rc == ERR_OK)
        rc = helper_start(&spec, &s->helper, err);
    io_close_quietly(&read_only);
    return rc;
}

/* --- blocks ---------------------------------------------------------------------------------------------------------
 */

static bool is_present(const struct serving *s, uint64_t block)
{
    return s->present && (s->present[block / 8] >> (block % 8) & 1) != 0;
}

static enum errc fill(struct serving *s, uint64_t block, struct err *err)
{
    uint64_t at = block * STORED_BLOCK_BYTES, left = s->image->size - at;
    size_t len = left < STORED_BLOCK_BYTES ? (size_t)left : STORED_BLOCK_BYTES;
    enum errc rc = s->image->read(s->image->arg, s->block, len, at, err);

    if (rc != ERR_OK)
        return rc;
    rc = io_pwrite(s->file_fd, s->block, len, block % s->slots * STORED_BLOCK_BYTES, "a temporary file", err);
    if (rc != ERR_OK) /* not the image's fault */
        return rc == ERR_IO ? err_recode(err, ERR_NO_SPACE) : rc;
    if (s->present) {
        s->present[block / 8] |= (uint8_t)(1u << (block % 8));
        s->missing--;
    }
    s->bytes_read += len;
    struct progress p = {.phase = s->opt->phase, .done = s->bytes_read, .total = s->present ? s->image->size : 0};
    if (s->opt->phase)
        diag_progress(s->opt->diag, &p);
    return ERR_OK;
}

static bool is_the_images_fault(enum errc rc)
{
    return rc == ERR_DAMAGED || rc == ERR_MISSING_OBJECT || rc == ERR_FORMAT_NEWER || rc == ERR_IO;
}

/* While SQLite is busy with what it has. A block that cannot be read is left for when it is asked for. */
static enum errc fill_ahead(struct serving *s, struct err *err)
{
    struct err why;

    while (is_present(s, s->ahead))
        s->ahead = (s->ahead + 1) % s->blocks;
    enum errc rc = fill(s, s->ahead, &why);
    s->ahead = (s->ahead + 1) % s->blocks;
    if (rc == ERR_OK)
        return ERR_OK;
    s->missing = 0;
    if (is_the_images_fault(rc))
        return ERR_OK;
    *err = why;
    return rc;
}

static enum errc answer(struct serving *s, size_t len, struct err *err)
{
    uint64_t block;
    uint8_t failed = 0;
    struct err why;

    if (len != sizeof block)
        return err_fail(err, ERR_CHILD, "the SQLite helper process asked for something that makes no sense");
    enum errc rc = frame_body(s->helper.fd, s->opt->diag, &block, sizeof block, err);
    if (rc == ERR_OK && block >= s->blocks)
        rc = err_fail(err, ERR_CHILD, "the SQLite helper process asked for what is behind the end of the image");
    if (rc != ERR_OK)
        return rc;
    rc = is_present(s, block) ? ERR_OK : fill(s, block, &why);
    if (rc != ERR_OK && !is_the_images_fault(rc)) {
        *err = why;
        return rc;
    }
    if (rc != ERR_OK && !s->verdict->unreadable) {
        s->verdict->unreadable = true;
        snprintf(s->verdict->detail, sizeof s->verdict->detail, "it cannot be read: %.700s", why.message);
    }
    s->ahead = (block + 1) % s->blocks;
    failed = rc != ERR_OK;
    if (send(s->answer_fd, &failed, 1, MSG_NOSIGNAL) != 1)
        return err_sys(err, ERR_CHILD, errno, "cannot answer the SQLite helper process");
    return ERR_OK;
}

/* --- the conversation -----------------------------------------------------------------------------------------------
 */

static enum errc on_frame(struct serving *s, bool *done, struct err *err)
{
    enum frame_kind kind;
    size_t len;
    enum errc rc = frame_head(s->helper.fd, s->opt->diag, &kind, &len, err);

    if (rc != ERR_OK)
        return rc;
    if (kind == FRAME_NEED && !s->facts_seen)
        return answer(s, len, err);
    if (kind == FRAME_FACTS && !s->facts_seen) {
        s->facts_seen = true;
        return helper_read_facts(&s->helper, len, s->opt->diag, &s->facts, err);
    }
    if (kind == FRAME_DONE) {
        *done = true;
        rc = helper_read_done(&s->helper, len, s->opt->diag, &s->report, err);
        return rc == ERR_OK ? helper_finish(&s->helper, err) : rc;
    }
    if ((int)kind == 0) {
        rc = helper_finish(&s->helper, err);
        return rc != ERR_OK ? rc : err_fail(err, ERR_CHILD, "the SQLite helper process ended without a word");
    }
    return err_fail(err, ERR_CHILD, "the SQLite helper process said something out of turn");
}

static enum errc serve(struct serving *s, struct err *err)
{
    bool done = false;
    enum errc rc = ERR_OK;

    while (rc == ERR_OK && !done) {
        struct pollfd p = {.fd = s->helper.fd, .events = POLLIN};
        if (diag_interrupted(s->opt->diag))
            return err_fail(err, ERR_INTERRUPTED, "interrupted");
        if (s->opt->deadline_ns != 0 && monotonic_ns() >= s->opt->deadline_ns) {
            s->verdict->out_of_time = true;
            return ERR_OK;
        }
        int n = poll(&p, 1, s->missing > 0 ? 0 : POLL_MS);
        if (n > 0)
            rc = on_frame(s, &done, err);
        else if (s->missing > 0)
            rc = fill_ahead(s, err);
    }
    return rc;
}

/* --- the verdict ----------------------------------------------------------------------------------------------------
 */

static bool fact_true(const struct fact_list *l, const char *key)
{
    const struct fact *f = fact_find(l, key);
    return f && f->type == FACT_BOOL && f->integer != 0;
}

static const char *fact_text(const struct fact_list *l, const char *key)
{
    const struct fact *f = fact_find(l, key);
    return f && f->type == FACT_TEXT ? f->text : "";
}

static void make_printable(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' '; /* SQLite breaks lines */
}

static enum errc judge(const struct serving *s, struct stored_verdict *v, struct err *err)
{
    const struct done_report *r = &s->report;

    if (v->unreadable || v->out_of_time) {
        v->sound = false;
        v->checkable = v->unreadable;
        return ERR_OK;
    }
    if (r->outcome == OUTCOME_NOT_A_DATABASE || r->outcome == OUTCOME_DAMAGED) {
        v->checkable = true;
        snprintf(v->detail, sizeof v->detail, "%s", r->text);
        return ERR_OK;
    }
    if (r->outcome != OUTCOME_OK || !s->facts_seen)
        return err_fail(err, ERR_CHILD, "the SQLite helper process could not check the image: %s", r->text);
    const struct fact *violations = fact_find(&s->facts, "violations");
    const char *detail = fact_text(&s->facts, "detail"), *notes = fact_text(&s->facts, "notes");
    v->sound = !fact_true(&s->facts, "damaged");
    v->checkable = fact_true(&s->facts, "checkable");
    if (violations && violations->type == FACT_INT && violations->integer > 0)
        v->foreign_key_violations = (uint64_t)violations->integer;
    snprintf(v->detail, sizeof v->detail, "%.500s%s%.280s", detail, *detail && *notes ? "; " : "", notes);
    make_printable(v->detail);
    return ERR_OK;
}

enum errc stored_check(const struct stored_image *image, const struct stored_check_options *opt,
                       struct stored_verdict *out, struct err *err)
{
    struct serving s = {
        .image = image, .opt = opt, .verdict = out, .helper = {.fd = -1}, .file_fd = -1, .answer_fd = -1};

    *out = (struct stored_verdict){0};
    if (image->size == 0) { /* what SQLite makes of an empty file: an empty database */
        out->sound = out->checkable = true;
        return ERR_OK;
    }
    s.blocks = (image->size - 1) / STORED_BLOCK_BYTES + 1;
    enum errc rc = start(&s, err);
    if (rc == ERR_OK)
        rc = serve(&s, err);
    helper_kill(&s.helper);
    if (rc == ERR_OK)
        rc = judge(&s, out, err);
    io_close_quietly(&s.answer_fd);
    io_close_quietly(&s.file_fd);
    fact_list_release(&s.facts);
    free(s.present);
    free(s.block);
    return rc;
}
