/* Sources: how data gets out of what is protected, and back into it. Layer: source.
 *
 * A source never meets the store. To capture, it is handed a sink to write entries to; to restore, it is handed staged
 * files and puts them in place; to observe, it is handed a path and names facts.
 *
 * Promises
 *   SO1  an entry is exact only if its bytes are one moment's; else its end says fuzzy, raw or error, and why.
 *   SO2  a source never writes to what it captures (a configured checkpoint excepted).
 *   SO3  a failure of one entry is reported to the sink and the rest is captured; only sink errors end a capture.
 */
#ifndef SNAP_SOURCE_SOURCE_H
#define SNAP_SOURCE_SOURCE_H

#include <sys/types.h>

#include "base/diag.h"
#include "format/entry.h"
#include "format/fact.h"

/* What the engine gives a source to write to. Entries come in the order of path_compare. One thread.
 * An error from any of these ends the capture: the source returns it as it is. */
struct sink;
struct sink_ops {
    /* The entry of this path in the previous snapshot of the same item, or NULL. Borrowed until the next call on the
     * sink. Paths must be asked for in ascending order (path_compare); the same path may be asked for again (the files
     * walk asks to learn the type, then sqlite_capture_entry asks for itself). */
    enum errc (*previous)(struct sink *s, const char *path, size_t path_len, const struct entry **entry_out,
                          struct err *err);
    /* An entry without data. */
    enum errc (*node)(struct sink *s, const struct entry *e, struct err *err);
    /* Entry with data: begin, then space/advance, data and hole in order of offsets, then end or abandon.
     * fixed: cut at multiples of this (CUT_FIXED_BYTES), 0: by content. After previous() of the same path, that entry's
     * data is what the new data are compared with. */
    enum errc (*begin)(struct sink *s, uint32_t fixed, struct err *err);
    /* May follow begin, with fixed 0, and may be NULL: from data_offset on the data are rows of row_bytes, and are best
     * cut between them. A hint. */
    void (*rows)(struct sink *s, uint64_t data_offset, uint64_t row_bytes);
    /* At least 64 KiB of room to write data to; then say how much of it was used. */
    enum errc (*space)(struct sink *s, uint8_t **ptr_out, size_t *room_out, struct err *err);
    enum errc (*advance)(struct sink *s, size_t len, struct err *err);
    enum errc (*data)(struct sink *s, const void *data, size_t len, struct err *err);
    enum errc (*hole)(struct sink *s, uint64_t len, struct err *err);
    /* e is taken now, so size and times can be those seen after reading. */
    enum errc (*end)(struct sink *s, const struct entry *e, const struct entry_end *end, struct err *err);
    /* Forget what came since begin; begin may follow for the same path (a second reading). */
    enum errc (*abandon)(struct sink *s, struct err *err);
    /* An entry whose data, facts and state are those of the entry last found by previous(). */
    enum errc (*reuse)(struct sink *s, const struct entry *e, struct err *err);
    /* Something named could not be stored: a warning for the operator; the snapshot will be partial. path is absolute;
     * err is borrowed. */
    void (*failed)(struct sink *s, const char *path, const struct err *why);
};
struct sink {
    const struct sink_ops *ops;
};

enum checkpoint_mode { CHECKPOINT_NONE, CHECKPOINT_PASSIVE, CHECKPOINT_TRUNCATE };

/* A directory that is left out wherever it is met, and why. */
struct left_out {
    dev_t dev;
    ino_t ino; /* 0: none */
    const char *what;
};

struct capture_options {
    const struct diag *diag;
    const char *self_exe; /* program to run helper processes with; NULL: /proc/self/exe */
    enum checkpoint_mode checkpoint;
    bool force_read;     /* trust no times, no probes, no holes */
    bool raw_if_damaged; /* forensic: a database that quick_check calls damaged is taken as plain bytes too */
    bool one_file_system;
    bool exclude_caches;        /* directories with a CACHEDIR.TAG */
    const char *const *exclude; /* patterns (path_matches) */
    size_t exclude_count;
    const struct left_out *left_out;
    size_t left_out_count;
    int64_t vector_dimension;       /* vectors of another are stored, marked and no good; 0: any will do */
    struct timestamp previous_look; /* when the previous snapshot of this item began; {0,0}: none */
};

struct capture_result {
    enum entry_state worst;  /* of all entries */
    bool good;               /* nothing failed, no database and no vector file is damaged or of the wrong dimension */
    uint64_t entries, bytes; /* bytes: of the source as seen (holes left out) */
    uint64_t bytes_read;     /* what was actually read */
    struct fact_list facts;  /* of the item; the caller releases */
    uint64_t disturbed;      /* stores of several files that changed while they were read: worth another capture */
    unsigned left_out;       /* bit i: left_out[i] of the options was met */
};

/* files/: a directory tree or a single file (root entry ""). root is absolute. A root that does not exist:
 * ERR_SOURCE_MISSING; one that cannot be read: ERR_SOURCE_UNREADABLE (and nothing reached the sink). SQLite databases
 * found inside are captured by sqlite_capture_entry; a vector file's end has the facts of vector_facts.h, unless it is
 * fuzzy. */
MUST_USE enum errc files_capture(const char *root, struct sink *sink, const struct capture_options *opt,
                                 struct capture_result *out, struct err *err);

/* sqlite/: one database as the entry "" (and, when raw, its sidecars "-wal", "-shm", "-journal" as entries with those
 * paths and ENTRY_FLAG_SIDECAR). */
MUST_USE enum errc sqlite_capture(const char *path, struct sink *sink, const struct capture_options *opt,
                                  struct capture_result *out, struct err *err);
/* The same for a database found in a tree: the one entry "<rel>". *result is added to: entries, bytes, bytes_read,
 * worst, good; facts go to the entry's end, not to result. Sidecars: for rel != "" none is emitted here, since other
 * names ("db-old") sort between "db" and "db-wal" and entries must ascend; the files walk leaves them out, or, when
 * result->worst comes back as STATE_RAW, stores them itself with ENTRY_FLAG_SIDECAR when it reaches them. So a raw
 * database, an unchanged one that is reused included, must raise result->worst to at least STATE_RAW. Its type is
 * ENTRY_SQLITE also when raw (state tells), so that the next walk comes here again, where the unchanged test is. An
 * entry that could not be stored at all: sink failed(), entries not raised. */
MUST_USE enum errc sqlite_capture_entry(const char *abs_path, const char *rel, struct sink *sink,
                                        const struct capture_options *opt, struct capture_result *result,
                                        struct err *err);

/* Does the file begin as a SQLite database (magic, or empty with a -wal or -journal that is one)? Pure look at the
 * first 100 bytes. */
enum { SQLITE_MAGIC_BYTES = 16 };
bool sqlite_looks_like(const uint8_t *first, size_t len);

/* Facts of a database file that nobody else uses (a staged image): page_size, page_count, user_version, schema
 * digest, rows.<table>, quick_check ("ok", "damaged: ...", "not checkable: ..."). Runs in a child without rights.
 * ERR_SOURCE_DAMAGED is not returned: it is a fact. */
MUST_USE enum errc sqlite_observe(const char *path, const char *self_exe, struct fact_list *out, struct err *err);

/* The hidden verb of the helper process: cli/main.c calls it for argv[1] = "__sqlite". Returns the exit status. */
int sqlite_child_main(int argc, char **argv);

#endif
