#include <stdio.h>
#include <string.h>

#include "source/sqlite/helper.h"
#include "source/sqlite/probe.h"
#include "source/sqlite/target.h"

enum errc target_ask(const struct helper_spec *spec, struct target_report *target, struct done_report *report,
                     struct err *err)
{
    struct helper h = {.fd = -1};
    enum frame_kind kind;
    size_t len;

    *report = (struct done_report){0};
    enum errc rc = helper_start(spec, &h, err);
    while (rc == ERR_OK) {
        rc = frame_head(h.fd, NULL, &kind, &len, err);
        if (rc == ERR_OK && kind == FRAME_DONE) {
            rc = helper_read_done(&h, len, NULL, report, err);
            if (rc == ERR_OK)
                rc = helper_finish(&h, err);
            break;
        }
        if (rc == ERR_OK && (kind != FRAME_TARGET || len != sizeof *target))
            rc = err_fail(err, ERR_CHILD, "the SQLite helper process ended without an answer");
        if (rc == ERR_OK)
            rc = frame_body(h.fd, NULL, target, len, err);
    }
    helper_kill(&h);
    return rc;
}

static void say(struct sqlite_target *out, enum sqlite_target_state state, const char *detail)
{
    out->state = state;
    snprintf(out->detail, sizeof out->detail, "%.*s", (int)sizeof out->detail - 1, detail);
}

static void judge(const struct target_report *target, const struct done_report *report, uint32_t image_page_size,
                  struct sqlite_target *out)
{
    switch (report->outcome) {
    case OUTCOME_OK:
    case OUTCOME_HOT_JOURNAL:
        if (target->wal && image_page_size != 0 && target->page_size != image_page_size) {
            snprintf(out->detail, sizeof out->detail, "it is in WAL mode with pages of %u bytes, the image has %u",
                     (unsigned)target->page_size, (unsigned)image_page_size);
            out->state = SQLITE_TARGET_PAGE_SIZE;
        } else {
            say(out, SQLITE_TARGET_OPENABLE,
                report->outcome == OUTCOME_OK ? "" : "a crash left a journal, which is rolled back first");
        }
        break;
    case OUTCOME_BUSY:
        say(out, SQLITE_TARGET_BUSY, report->text);
        break;
    default:
        say(out, SQLITE_TARGET_NEEDS_RENAME, report->text);
    }
}

enum errc target_look(const struct place *p, uint32_t image_page_size, const char *self_exe, struct sqlite_target *out,
                      struct err *err)
{
    struct helper_spec spec = {.op = "look", .self_exe = self_exe, .place = p, .image_fd = -1, .fast_fail = true};
    struct target_report target = {0};
    struct done_report report;

    *out = (struct sqlite_target){.state = SQLITE_TARGET_ABSENT};
    if (p->st.st_mode == 0)
        return ERR_OK;
    enum errc rc =
        process_find_holders(p->st.st_dev, p->st.st_ino, out->holders, sizeof out->holders / sizeof out->holders[0],
                             &out->holder_count, &out->holders_incomplete, err);
    if (rc != ERR_OK)
        return rc;
    if (journal_names_super(p)) {
        say(out, SQLITE_TARGET_NEEDS_RENAME, "its journal names a super-journal");
        return ERR_OK;
    }
    if (place_is_no_database(p)) {
        say(out, SQLITE_TARGET_NEEDS_RENAME, "it is not a database");
        return ERR_OK;
    }
    rc = target_ask(&spec, &target, &report, err);
    if (rc == ERR_CHILD) { /* whatever is in it kills SQLite */
        say(out, SQLITE_TARGET_NEEDS_RENAME, err->message);
        return ERR_OK;
    }
    if (rc == ERR_OK && report.outcome == OUTCOME_MOVED)
        rc = err_fail(err, ERR_TARGET_UNSUITABLE, "%s was exchanged while it was looked at", p->shown);
    if (rc == ERR_OK)
        judge(&target, &report, image_page_size, out);
    return rc;
}

enum errc target_place(struct place *p, const char *path, struct err *err)
{
    enum errc rc = place_open(p, path, true, err);

    return rc == ERR_OK || rc == ERR_NO_MEMORY ? rc : err_recode(err, ERR_TARGET_UNSUITABLE);
}

enum errc sqlite_target_look(const char *path, uint32_t image_page_size, const char *self_exe,
                             struct sqlite_target *out, struct err *err)
{
    struct place p;
    enum errc rc = target_place(&p, path, err);

    if (rc == ERR_OK)
        rc = target_look(&p, image_page_size, self_exe, out, err);
    place_release(&p);
    return rc;
}
