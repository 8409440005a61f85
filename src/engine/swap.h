/* Putting staged parts in place, and back. Layer: engine, private. Every step may be done again after a crash. */
#ifndef SNAP_ENGINE_SWAP_H
#define SNAP_ENGINE_SWAP_H

#include <sys/types.h>

#include "engine/stage.h"
#include "source/source.h"

/* Decide what is to be done with each part and note holders; nothing is changed. ERR_TARGET_IN_USE,
 * ERR_TARGET_UNSUITABLE. */
MUST_USE enum errc swap_plan(struct part *p, const struct restore_options *opt, struct err *err);
/* Put the part in place; done again after a crash it goes on where it was. On failure the target is as it was, or can
 * be told to be half done by p->swapped. */
MUST_USE enum errc swap_do(struct part *p, const struct restore_options *opt, struct err *err);
/* Does the live target have what was captured? Databases are read once more; text gets what differs. */
MUST_USE enum errc swap_verify(struct part *p, const struct restore_options *opt, bool *match_out, char *text,
                               size_t cap, struct err *err);

/* --- database_read.c ---- */
/* Read a live database in one frozen view, for its facts (may be NULL; the caller releases) and its state. */
MUST_USE enum errc database_read(const char *path, enum checkpoint_mode checkpoint, const struct restore_options *opt,
                                 struct fact_list *facts_out, enum entry_state *state_out, struct err *err);

/* --- swap_back.c ---- */
/* Take it back, as far as files were exchanged or moved out; *needs_forensic_out: what was overwritten has to come from
 * the forensic copy. p->swapped is false afterwards. */
MUST_USE enum errc swap_back(struct part *p, bool *needs_forensic_out, struct err *err);
/* Of a restore that was cut off: is the part, or some of it, in place? */
bool swap_has_begun(const struct part *p);

/* --- merge.c: a directory, file by file ---- */
MUST_USE enum errc merge_into(struct part *p, const struct restore_options *opt, struct err *err);

/* --- in_use.c: open files below a directory, mounts ---- */
/* Does the regular file begin as a database? */
bool file_is_database(int dir, const char *name);
struct open_file {
    pid_t pid;
    char name[32]; /* of the program */
    char path[400];
    bool is_cwd; /* not open: the process works in it */
};
/* Files open or mapped at or below dir (links in dir are resolved); at most max of them, *count_out may be larger. */
MUST_USE enum errc open_files_below(const char *dir, struct open_file *out, size_t max, size_t *count_out,
                                    struct err *err);
/* Is dir, or anything below it, a mount point? name_out gets the first. */
MUST_USE enum errc mounts_below(const char *dir, bool *found_out, char *name_out, size_t cap, struct err *err);

/* Where a path (its links resolved) lies in its file system, whatever mount it is seen by. */
struct fs_place {
    char device[32];
    char *path; /* NULL: not known */
};
MUST_USE enum errc fs_place_of(const char *path, struct fs_place *out, struct err *err);
void fs_place_release(struct fs_place *p);
bool fs_place_is_within(const struct fs_place *a, const struct fs_place *b);

#endif
