/* One entry list, entry by entry, each with its references. Layer: engine, private to it. One thread.
 *
 * What is handed out is in order: entries ascend, references follow each other without overlap and end within the
 * entry's size; a list that breaks this is ERR_DAMAGED.
 */
#ifndef SNAP_ENGINE_LIST_WALK_H
#define SNAP_ENGINE_LIST_WALK_H

#include "store/store.h"

struct list_walk {
    struct list_reader *list;
    struct list_record rec; /* the last one read */
    struct reader refs;     /* of the run in rec */
    uint32_t refs_left;
    uint64_t at;                  /* end of the last reference: offset of the next */
    bool in_data;                 /* the entry's END was not met yet */
    struct buf kept, kept_before; /* the entry's record, and the one before */
    struct entry entry;           /* valid until the next list_walk_entry */
    bool has_end;
    struct entry_end end; /* once list_walk_ref said so; valid until the next list_walk_entry */
};
/* To be closed also after a failure. */
MUST_USE enum errc list_walk_open(struct list_walk *w, struct store *s, const struct stream_root *root,
                                  struct err *err);
void list_walk_close(struct list_walk *w);
/* The next entry, passing over what is left of the one at hand. */
MUST_USE enum errc list_walk_entry(struct list_walk *w, bool *more, struct err *err);
/* The next reference of the entry's data and where it stands; what lies between is a hole. *more false: the end, and
 * w->end is there (has_end) if the entry has data. */
MUST_USE enum errc list_walk_ref(struct list_walk *w, struct chunk_ref *ref, uint64_t *offset, bool *more,
                                 struct err *err);

/* The absolute path of an entry of the item; free(). */
MUST_USE enum errc entry_abs_path(const struct item *item, const struct entry *e, char **out, struct err *err);

#endif
