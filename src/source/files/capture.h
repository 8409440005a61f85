/* What the parts of the files capture share. Layer: source; private to files/.
 *
 * files.c root and result · walk.c the tree · node.c one name, and all that has no data · regular.c one file ·
 * content.c bytes to the sink · vectors.c what a vector file holds · capture.c what they share
 *
 * An errc from these functions ends the capture (the sink's error, memory, an interrupt). What concerns one entry is
 * reported with capture_failed and its outcome says so. */
#ifndef SNAP_SOURCE_FILES_CAPTURE_H
#define SNAP_SOURCE_FILES_CAPTURE_H

#include <sys/stat.h>

#include "source/files/coupled.h"
#include "source/files/hardlinks.h"
#include "source/files/meta.h"
#include "source/source.h"

struct capture {
    struct sink *sink;
    const struct capture_options *opt;
    struct capture_result *out;
    struct owners *owners;
    struct hardlinks *links;
    struct buf abs;        /* absolute path of the current entry, NUL behind */
    size_t rel_at;         /* where its path within the root begins in abs */
    struct meta meta;      /* scratch of the current entry */
    struct buf first_path; /* scratch: first name of a hard link */
    uint8_t *scratch;      /* CAPTURE_SCRATCH_BYTES */
    dev_t root_dev;
    uid_t euid;
    bool at_root; /* the current entry is the root, whose failure is the capture's */
    bool root_failed;
    struct err root_err;
    bool links_full_said;
    unsigned tick;
    unsigned settles; /* waits for files that were just written to */
    uint64_t files, directories, databases;
    uint64_t vectors_broken, vectors_unfit; /* files */
    char show[512];
};
enum { CAPTURE_SCRATCH_BYTES = 64 * 1024 };

/* What became of one look at a name. */
enum outcome {
    TOOK,    /* the sink has it */
    AGAIN,   /* it changed under the look: look again */
    GONE,    /* it is not there any more */
    SKIPPED, /* it could not be stored, which has been reported */
};

static inline const char *capture_rel(const struct capture *c)
{
    return (const char *)c->abs.data + c->rel_at;
}
static inline size_t capture_rel_len(const struct capture *c)
{
    return c->abs.len > c->rel_at ? c->abs.len - c->rel_at : 0;
}
/* The current path for a message; valid until the next call. */
const char *capture_show(struct capture *c);
/* The current entry is not stored. When it is the root, that ends the capture: files.c sees root_failed. */
void capture_failed(struct capture *c, const struct err *why);
/* Something of the current entry is not stored. */
void capture_incomplete(struct capture *c, const struct err *why);
/* The same, in one go: "<path>: <what>: <strerror>". */
void capture_failed_sys(struct capture *c, int sys_errno, const char *what);
void capture_worst(struct capture *c, enum entry_state state);
/* ERR_INTERRUPTED when someone wants to stop. */
MUST_USE enum errc capture_check(struct capture *c, struct err *err);
/* meta.entry from st, for the current path. */
MUST_USE enum errc capture_entry(struct capture *c, const struct stat *st, struct err *err);
/* meta.entry's xattrs from the file; what cannot be had is reported. fd, name: as meta_read_xattrs. */
MUST_USE enum errc capture_xattrs(struct capture *c, int fd, const char *name, struct err *err);
/* openat for reading without following, waiting, or touching the access time where that is allowed; -1 and errno. */
int capture_open(const struct capture *c, int dirfd, const char *name, int extra_flags, uid_t owner);

/* hard links: was it stored as another name of an earlier entry? */
MUST_USE enum errc capture_link(struct capture *c, const struct stat *st, bool *done_out, struct err *err);
/* Remember the entry just stored as the first name, if it has others. */
MUST_USE enum errc capture_remember(struct capture *c, const struct stat *st, struct err *err);

/* Files that have to be of one moment: a stem and its -wal and -journal. */
struct look {
    bool there;
    struct stat st;
};
struct unit {
    const char *stem; /* borrowed from the listing */
    uint8_t has;      /* enum sidecar bits */
    enum { UNIT_UNKNOWN, UNIT_PLAIN, UNIT_DATABASE, UNIT_RAW } kind;
    struct look looks[3];
};
void unit_look(struct unit *u, int dirfd);
bool unit_held_still(const struct unit *u, int dirfd);
/* Same bytes as far as stat can tell. */
bool stat_same(const struct stat *a, const struct stat *b);

/* The part a regular file plays. */
struct part {
    struct unit *unit;       /* NULL: stands alone */
    struct coupled *coupled; /* the store it is a file of; NULL: of none */
    int coupled_fd;          /* that store's directory */
    const char *coupled_name;
    bool is_stem;
    unsigned looks; /* looks there were before */
    unsigned reads; /* readings there were before, that were given up because the file changed */
};

MUST_USE enum errc capture_regular(struct capture *c, int dirfd, const char *name, const struct stat *st,
                                   struct part *part, enum outcome *outcome, struct err *err);
/* Whatever dirfd/name is, looked at until it holds still. A directory's entry alone is stored; it is then open at
 * *dir_fd (else -1) for the walk, when its content is wanted. */
MUST_USE enum errc capture_name(struct capture *c, int dirfd, const char *name, struct part *part, int *dir_fd,
                                struct err *err);

/* The bytes of fd, whose stat is st, to the sink between begin and end. head[0..head_len): what stands at offset 0. */
struct content {
    uint64_t stored; /* holes included */
    uint64_t data;   /* without holes */
    int sys_errno;   /* reading failed */
};
MUST_USE enum errc content_send(struct capture *c, int fd, const struct stat *st, const uint8_t *head, size_t head_len,
                                struct content *out, struct err *err);

/* Tell the sink, in the middle of an entry that has no data yet, where the rows of a vector file lie. */
void vectors_hint_rows(struct capture *c, int fd, const struct stat *st, const uint8_t *head, size_t head_len);
/* What a file that was just read holds, when it holds vectors. */
struct vectors_seen {
    struct fact_list facts; /* released by the caller; none: it holds none */
    bool broken, unfit;     /* unfit: of another dimension than the configured one */
    char text[600];         /* what is wrong */
    char unfit_text[600];   /* what it has instead */
};
/* head[0..head_len): what stands at offset 0. What cannot be read is left to others to tell. ERR_INTERRUPTED,
 * ERR_NO_MEMORY. */
MUST_USE enum errc vectors_look(struct capture *c, int fd, const struct stat *st, const uint8_t *head, size_t head_len,
                                struct vectors_seen *out, struct err *err);
/* What was stored is not of one moment, so of no moment is what was seen in it. That there were vectors of another
 * dimension than the configured one stays, and which: a file is not out of that check because it is written to. */
MUST_USE enum errc vectors_of_no_moment(struct vectors_seen *seen, struct err *err);
/* Warn of what is wrong, and count it. */
void vectors_tell(struct capture *c, const struct vectors_seen *seen);
/* The probe of a file whose vectors were found to be as configured (or that has none): the next capture takes it for
 * unchanged only under the same configuration. "" when nothing is configured. */
const char *vectors_probe(const struct capture *c, char dst[40]);

/* All below the root, whose directory is open at fd (taken over). */
MUST_USE enum errc walk_tree(struct capture *c, int fd, struct err *err);

#endif
