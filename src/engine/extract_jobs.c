#include "engine/extract_jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/limits.h"

enum { WRITEBACK_MIN_BYTES = 1 << 20 };

struct extract_jobs {
    const struct extract *x;
    struct queue *queue;    /* of jobs */
    struct queue *complete; /* of files that x->each is to see */
    pthread_t workers[EXTRACT_WORKERS_MAX], each;
    unsigned worker_count;
    bool each_runs;
    pthread_mutex_t lock; /* error, result */
    struct err error;
    struct extract_result result;
};

struct out_dir *out_dir_use(struct out_dir *d)
{
    atomic_fetch_add(&d->users, 1);
    return d;
}

void out_dir_drop(struct out_dir *d)
{
    if (d && atomic_fetch_sub(&d->users, 1) == 1) {
        io_close_quietly(&d->fd);
        free(d);
    }
}

struct out_file *out_file_use(struct out_file *f)
{
    atomic_fetch_add(&f->users, 1);
    return f;
}

static void out_file_free(struct out_file *f)
{
    io_close_quietly(&f->fd);
    out_dir_drop(f->dir);
    buf_release(&f->entry_bytes);
    buf_release(&f->end_bytes);
    free(f->rel);
    pthread_mutex_destroy(&f->lock);
    free(f->name);
    free(f);
}

void out_file_drop(struct out_file *f)
{
    if (f && atomic_fetch_sub(&f->users, 1) == 1)
        out_file_free(f);
}

static void fail(struct extract_jobs *j, const struct err *err)
{
    pthread_mutex_lock(&j->lock);
    if (j->error.code == ERR_OK)
        j->error = *err;
    pthread_mutex_unlock(&j->lock);
    queue_close(j->queue);
    queue_close(j->complete);
}

static enum errc first_error(struct extract_jobs *j, struct err *err)
{
    pthread_mutex_lock(&j->lock);
    enum errc rc = j->error.code;
    if (rc != ERR_OK && err)
        *err = j->error;
    pthread_mutex_unlock(&j->lock);
    return rc;
}

static enum errc make_file(struct out_file *f, struct err *err)
{
    enum errc rc = ERR_OK;
    pthread_mutex_lock(&f->lock);
    if (f->fd < 0)
        rc = io_open(f->dir->fd, f->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &f->fd, err);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

struct worker_state {
    struct extract_jobs *jobs;
    struct chunk_reader *chunks;
    struct owners *owners;
    struct meta_skipped skipped;
    uint8_t *plain;
    uint64_t bytes;
};

/* Size (for a hole at the end), then owner, mode and times, by the last one to use the file. */
static enum errc finish_file(struct worker_state *w, struct out_file *f, struct err *err)
{
    struct meta_apply_options opt = {.owners = w->owners, .skipped = &w->skipped};
    struct entry as_file = f->entry;
    if (f->discard)
        return ERR_OK;
    as_file.type = ENTRY_FILE; /* a database's image is a plain file here */
    if (ftruncate(f->fd, (off_t)f->size) != 0)
        return err_sys(err, ERR_IO, errno, "cannot set the size of %s", f->name);
    return meta_apply(f->fd, NULL, &as_file, &opt, f->name, err);
}

/* All of the file is written. Takes it over. */
static enum errc complete_file(struct worker_state *w, struct out_file *f, struct err *err)
{
    enum errc rc = finish_file(w, f, err);
    if (rc == ERR_OK && f->end_bytes.len > 0) {
        io_close_quietly(&f->fd);
        if (queue_push(w->jobs->complete, f))
            return ERR_OK;
        rc = err_fail(err, ERR_INTERRUPTED, "stopped"); /* not the first error */
    }
    out_file_free(f);
    return rc;
}

static void *each_thread(void *arg)
{
    struct extract_jobs *j = arg;
    struct out_file *f;
    struct err err;
    enum errc rc = ERR_OK;
    while (rc == ERR_OK && (f = queue_pop(j->complete)) != NULL) {
        rc = j->x->each(j->x->arg, &f->entry, &f->end, f->rel, &err);
        out_file_free(f);
    }
    if (rc != ERR_OK)
        fail(j, &err);
    return NULL;
}

static enum errc do_job(struct worker_state *w, struct job *job, struct err *err)
{
    struct out_file *f = job->file;
    enum errc rc = f->discard ? ERR_OK : make_file(f, err);
    uint64_t bytes = 0;
    for (uint32_t i = 0; rc == ERR_OK && i < job->count; i++) {
        const struct chunk_ref *ref = &job->refs[i];
        if (ref->len > CHUNK_MAX_BYTES)
            return err_fail(err, ERR_DAMAGED, "a chunk is longer than the format allows");
        rc = chunk_read_ref(w->chunks, ref, w->plain, err);
        if (rc == ERR_OK && !f->discard)
            rc = io_pwrite(f->fd, w->plain, ref->len, job->offsets[i], f->name, err);
        bytes += ref->len;
    }
    if (rc != ERR_OK)
        return err_wrap(err, "%.*s", (int)f->entry.path_len, f->entry.path);
    if (!f->discard && bytes >= WRITEBACK_MIN_BYTES) /* so that the disk works meanwhile, not only at the sync */
        io_start_writeback(f->fd, job->offsets[0], job->offsets[job->count - 1] - job->offsets[0] + CHUNK_MAX_BYTES);
    pthread_mutex_lock(&w->jobs->lock);
    w->jobs->result.bytes += bytes;
    uint64_t done = w->jobs->result.bytes;
    pthread_mutex_unlock(&w->jobs->lock);
    const struct extract *x = w->jobs->x;
    struct progress p = {.phase = x->discard ? "checking the forensic copy" : "restoring",
                         .done = x->bytes_before + done,
                         .total = x->bytes_total};
    diag_progress(x->diag, &p);
    return rc;
}

static void *worker(void *arg)
{
    struct worker_state w = {.jobs = arg};
    struct job *job;
    struct err err;
    enum errc rc = chunk_reader_new(w.jobs->x->store, &w.chunks, &err);
    if (rc == ERR_OK)
        rc = owners_new(&w.owners, &err);
    if (rc == ERR_OK)
        rc = mem_alloc(&w.plain, CHUNK_MAX_BYTES, &err);
    while (rc == ERR_OK && (job = queue_pop(w.jobs->queue)) != NULL) {
        rc = do_job(&w, job, &err);
        if (rc != ERR_OK)
            out_file_drop(job->file);
        else if (atomic_fetch_sub(&job->file->users, 1) == 1)
            rc = complete_file(&w, job->file, &err);
        free(job);
    }
    if (rc != ERR_OK)
        fail(w.jobs, &err);
    pthread_mutex_lock(&w.jobs->lock);
    w.jobs->result.owners_skipped += w.skipped.owners;
    w.jobs->result.xattrs_skipped += w.skipped.xattrs;
    pthread_mutex_unlock(&w.jobs->lock);
    chunk_reader_free(w.chunks);
    owners_free(w.owners);
    free(w.plain);
    return NULL;
}

enum errc extract_jobs_new(const struct extract *x, struct extract_jobs **out, struct err *err)
{
    struct extract_jobs *j;
    enum errc rc = mem_alloc(&j, sizeof *j, err);
    if (rc != ERR_OK)
        return rc;
    j->x = x;
    pthread_mutex_init(&j->lock, NULL);
    rc = queue_new(JOBS_QUEUED, &j->queue, err);
    if (rc == ERR_OK)
        rc = queue_new(COMPLETE_QUEUED, &j->complete, err);
    if (rc == ERR_OK && x->each) {
        int failed = pthread_create(&j->each, NULL, each_thread, j);
        if (failed != 0)
            rc = err_sys(err, ERR_INTERNAL, failed, "cannot start a thread");
        j->each_runs = failed == 0;
    }
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned want = cpus < 1 ? 1 : cpus > EXTRACT_WORKERS_MAX ? EXTRACT_WORKERS_MAX : (unsigned)cpus;
    while (rc == ERR_OK && j->worker_count < want) {
        int failed = pthread_create(&j->workers[j->worker_count], NULL, worker, j);
        if (failed != 0)
            rc = err_sys(err, ERR_INTERNAL, failed, "cannot start a worker");
        else
            j->worker_count++;
    }
    if (rc != ERR_OK) {
        extract_jobs_free(j);
        return rc;
    }
    *out = j;
    return ERR_OK;
}

enum errc extract_jobs_push(struct extract_jobs *j, struct job *job, struct err *err)
{
    if (queue_push(j->queue, job))
        return ERR_OK;
    out_file_drop(job->file);
    free(job);
    enum errc rc = first_error(j, err);
    return rc != ERR_OK ? rc : err_fail(err, ERR_INTERNAL, "the workers have stopped");
}

static void join(struct extract_jobs *j)
{
    queue_close(j->queue);
    while (j->worker_count > 0)
        pthread_join(j->workers[--j->worker_count], NULL);
    queue_close(j->complete);
    if (j->each_runs)
        pthread_join(j->each, NULL);
    j->each_runs = false;
    struct job *left;
    while ((left = queue_pop(j->queue)) != NULL) {
        out_file_drop(left->file);
        free(left);
    }
    struct out_file *unseen;
    while ((unseen = queue_pop(j->complete)) != NULL)
        out_file_free(unseen);
}

enum errc extract_jobs_finish(struct extract_jobs *j, struct extract_result *result, struct err *err)
{
    join(j);
    enum errc rc = first_error(j, err);
    result->bytes = j->result.bytes;
    result->owners_skipped += j->result.owners_skipped;
    result->xattrs_skipped += j->result.xattrs_skipped;
    return rc;
}

void extract_jobs_free(struct extract_jobs *j)
{
    if (!j)
        return;
    if (j->queue && j->complete)
        join(j);
    queue_free(j->queue);
    queue_free(j->complete);
    pthread_mutex_destroy(&j->lock);
    free(j);
}
