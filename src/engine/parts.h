/* What a restore consists of: one part for each item, or for each path that --include names. Layer: engine, private. */
#ifndef SNAP_ENGINE_PARTS_H
#define SNAP_ENGINE_PARTS_H

#include "engine/restore.h"

enum part_kind { PART_DIR = 1, PART_FILE = 2, PART_SQLITE = 3, PART_RAW = 4, PART_ABSENT = 5 };

struct part {
    uint32_t item; /* index in the snapshot's items */
    enum part_kind kind;
    enum restore_action action;
    char *list_path;   /* in the item's list: "" for the whole item */
    char *path;        /* where it goes, absolute */
    char *staging;     /* directory beside it; NULL before it is made */
    char *aside;       /* --forensic=aside: where what was replaced lies afterwards; may be NULL */
    char *original;    /* undo of such a run: where what goes in lies until the swap; NULL: from the snapshot */
    uint32_t inside;   /* 1 + number of the part whose directory this one lies in, and goes in with; 0: none */
    char *note;        /* for the operator; may be NULL */
    uint64_t dev, ino; /* of the staged file or directory: tells whether it is in place */
    uint64_t bytes, entries;
    uint32_t page_size;        /* databases */
    bool has_databases;        /* a directory with databases in it */
    bool swapped, facts_match; /* this run's, not kept */
    bool vectors_differ;       /* staged ones are not those that were captured, which was accepted */
    struct buf root_bytes;     /* the root's ENTRY record, which root points into */
    struct entry root;
    struct fact_list facts; /* captured, of a database */
    int lock_fd;            /* of the staging directory; -1 */
};
struct parts {
    struct part *parts; /* an outer one stands before those inside it */
    size_t count, cap;
    bool has_undoes;      /* this is the plan of an undo, */
    struct run_id undoes; /* of that run */
};
void parts_release(struct parts *p);

/* The parts of snap that opt names, with kinds, sizes and facts read from the lists. Targets are under opt->target when
 * it is set. ERR_UNKNOWN_PATH for a source or an included path that the snapshot does not have. */
MUST_USE enum errc parts_select(struct store *s, const struct snapshot *snap, const struct restore_options *opt,
                                struct parts *out, struct err *err);
/* One more part, with copies of these. */
MUST_USE enum errc parts_add(struct parts *p, uint32_t item, const char *list_path, const char *path, struct err *err);
/* Read kind, root entry, sizes and facts of a part whose item and list_path are set. */
MUST_USE enum errc part_read(struct store *s, const struct snapshot *snap, struct part *p, struct err *err);

/* For --resume: items, paths, actions, staging places, identities. */
MUST_USE enum errc parts_put(struct buf *b, const struct parts *p, struct err *err);
MUST_USE enum errc parts_get(const void *data, size_t len, struct parts *out, struct err *err);

#endif
