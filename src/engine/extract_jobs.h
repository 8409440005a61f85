/* The workers of an extraction: chunks into files. Layer: engine, private to it. */
#ifndef SNAP_ENGINE_EXTRACT_JOBS_H
#define SNAP_ENGINE_EXTRACT_JOBS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "engine/extract.h"
#include "source/files/meta.h"

enum { JOB_REFS = 64, JOBS_QUEUED = 64, COMPLETE_QUEUED = 16, EXTRACT_WORKERS_MAX = 8 };

/* A directory that files are being made in. */
struct out_dir {
    int fd;
    atomic_uint users;
};
/* A file being written: shared by the jobs of its parts; the last one gives it its metadata. */
struct out_file {
    bool discard; /* nothing is written */
    struct out_dir *dir;
    char *name;
    struct buf entry_bytes; /* the ENTRY record that entry points into */
    struct entry entry;
    int fd;               /* -1 until the first job made it */
    uint64_t size;        /* for a file that ends in a hole */
    struct buf end_bytes; /* the END record that end points into; empty: nobody asks for it */
    struct entry_end end;
    char *rel;            /* path below root_fd, with end */
    pthread_mutex_t lock; /* fd */
    atomic_uint users;
};
struct job {
    struct out_file *file;
    uint32_t count;
    uint64_t offsets[JOB_REFS];
    struct chunk_ref refs[JOB_REFS];
};

struct extract_jobs;
MUST_USE enum errc extract_jobs_new(const struct extract *x, struct extract_jobs **out, struct err *err);
/* Takes the job (and its use of the file) over. The first error of any worker. */
MUST_USE enum errc extract_jobs_push(struct extract_jobs *j, struct job *job, struct err *err);
/* Wait until everything pushed is done. */
MUST_USE enum errc extract_jobs_finish(struct extract_jobs *j, struct extract_result *result, struct err *err);
void extract_jobs_free(struct extract_jobs *j);

struct out_dir *out_dir_use(struct out_dir *d);
void out_dir_drop(struct out_dir *d);
struct out_file *out_file_use(struct out_file *f);
/* The last use closes the file. Its metadata are given by extract_jobs. */
void out_file_drop(struct out_file *f);

#endif
