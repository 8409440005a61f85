#include "engine/restore.h"

#include <string.h>

#include "base/io.h"
#include "base/path.h"
#include "engine/own_places.h"
#include "engine/prove_vectors.h"
#include "engine/restore_work.h"

/* --- in place
 * --------------------------------------------------------------------------------------------------------- */

/* Everything up to the intent can be left off without a trace; from the intent on, a crash is told by the next command.
 */
static enum errc run_in_place(struct restore_work *w, struct err *err)
{
    struct err ignored;
    pending_sweep(w);
    enum errc rc = work_stage(w, err);
    if (rc == ERR_OK)
        rc = work_forensic(w, err);
    if (rc == ERR_OK)
        rc = work_log(w, "intent", NULL, err);
    if (rc != ERR_OK) {
        work_unstage(w);
        return rc;
    }
    w->intent = true;
    rc = work_swap(w, err);
    (void)!work_outcome(w, &ignored);
    return rc;
}

static enum errc plan_and_ask(struct restore_work *w, bool *go, struct err *err)
{
    struct err ignored;
    *go = false;
    enum errc rc = own_check_parts(w, err);
    if (rc == ERR_OK)
        rc = work_plan(w, err);
    if (rc == ERR_OK)
        rc = work_space(w, err);
    if (rc != ERR_OK) {
        (void)!work_outcome(w, &ignored);
        return rc;
    }
    rc = work_outcome(w, err);
    if (rc != ERR_OK || w->opt->dry_run)
        return rc;
    if (w->opt->confirm && !w->opt->confirm(w->opt->confirm_arg, w->out))
        return err_fail(err, ERR_NEEDS_YES, "not confirmed; nothing was changed");
    *go = true;
    return ERR_OK;
}

enum errc work_in_place(struct restore_work *w, struct err *err)
{
    bool go = false;
    enum errc rc = plan_and_ask(w, &go, err);
    return rc == ERR_OK && go ? run_in_place(w, err) : rc;
}

enum errc restore_run(struct store *s, const struct restore_options *opt, struct restore_outcome *out, struct err *err)
{
    struct restore_work w;
    enum errc rc = work_begin(&w, s, "restore", opt, out, err);
    if (rc == ERR_OK)
        rc = store_find_snapshot(s, opt->snapshot, true, &w.snap, err);
    if (rc == ERR_OK)
        rc = parts_select(s, &w.snap, opt, &w.parts, err);
    if (rc == ERR_OK)
        rc = prove_items(&w.snap, &w.parts, opt->accept_dimension, err);
    if (rc == ERR_OK && !opt->target && !opt->dry_run && store_is_read_only(s)) {
        (void)err_fail(err, ERR_READ_ONLY,
                       "a restore in place keeps a forensic copy in the repository, and %s cannot be written to",
                       store_path(s));
        rc = err_hint(err, "Restore elsewhere with --target, or make the repository writable.");
    }
    if (rc == ERR_OK)
        rc = opt->target ? work_to_target(&w, err) : work_in_place(&w, err);
    work_release(&w);
    return rc;
}
