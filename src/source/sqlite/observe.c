#include <fcntl.h>
#include <stdio.h>

#include "base/io.h"
#include "source/sqlite/helper.h"

static enum errc read_frames(struct helper *h, struct fact_list *out, struct done_report *report, struct err *err)
{
    enum frame_kind kind;
    size_t len;
    bool seen = false;

    for (;;) {
        enum errc rc = frame_head(h->fd, NULL, &kind, &len, err);
        if (rc != ERR_OK)
            return rc;
        if (kind == FRAME_DONE) {
            rc = helper_read_done(h, len, NULL, report, err);
            return rc == ERR_OK ? helper_finish(h, err) : rc;
        }
        if (kind != FRAME_FACTS || seen)
            return err_fail(err, ERR_CHILD, "the SQLite helper process ended without an answer");
        seen = true;
        rc = helper_read_facts(h, len, NULL, out, err);
        if (rc != ERR_OK)
            return rc;
    }
}

/* What cannot even be opened is damaged, and that is a fact. */
static enum errc fact_of_outcome(const struct done_report *report, struct fact_list *out, struct err *err)
{
    char text[sizeof report->text + 32];

    switch (report->outcome) {
    case OUTCOME_OK:
        return ERR_OK;
    case OUTCOME_NOT_A_DATABASE:
    case OUTCOME_DAMAGED:
        snprintf(text, sizeof text, "damaged: %s", report->text);
        return fact_set_text(out, "quick_check", text, err);
    default:
        return err_fail(err, ERR_CHILD, "the SQLite helper process could not look at the image: %s", report->text);
    }
}

enum errc sqlite_observe(const char *path, const char *self_exe, struct fact_list *out, struct err *err)
{
    struct helper h = {.fd = -1};
    struct done_report report = {0};
    int fd = -1;

    *out = (struct fact_list){0};
    enum errc rc = io_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd, err);
    struct helper_spec spec = {.op = "observe", .self_exe = self_exe, .image_fd = fd};
    if (rc == ERR_OK)
        rc = helper_start(&spec, &h, err);
    if (rc == ERR_OK)
        rc = read_frames(&h, out, &report, err);
    helper_kill(&h);
    io_close_quietly(&fd);
    if (rc == ERR_OK)
        rc = fact_of_outcome(&report, out, err);
    if (rc != ERR_OK)
        fact_list_release(out);
    return rc;
}
