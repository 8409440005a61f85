/* What the operator sees. Layer: cli, the only one that prints.
 *
 * Promises
 *   OU1  data goes to stdout, everything else to stderr.
 *   OU2  nothing printed holds a control byte that came from a name or a message.
 *   OU3  a write to stdout that fails is an error at the end, never passed over; long work is not stopped by it.
 * Thread rule: ui_message and ui_progress may be called from any thread; the rest from the main thread.
 */
#ifndef SNAP_CLI_OUTPUT_H
#define SNAP_CLI_OUTPUT_H

#include <pthread.h>

#include "base/diag.h"
#include "cli/json.h"

struct ui {
    bool json, quiet, verbose;
    bool one_document;    /* JSON: stdout is a single document, so warnings go to stderr only */
    bool progress;        /* a terminal is there to show it on */
    pthread_mutex_t lock; /* for all below */
    bool line_shown;      /* a progress line stands on the terminal */
    uint64_t drawn_ns;    /* when it was drawn last */
    const char *phase;
    uint64_t phase_began_ns;
    double rate;                  /* bytes a second, smoothed */
    uint64_t rate_ns, rate_bytes; /* of the last measurement */
    bool stdout_failed;
    int stdout_errno;
    bool summary_printed; /* JSON: the last line is there, no error line may follow */
};

void ui_init(struct ui *ui, bool json, bool quiet, bool verbose, bool no_progress);
/* Takes the progress line away, flushes stdout. ERR_IO when stdout could not be written. */
MUST_USE enum errc ui_finish(struct ui *ui, struct err *err);

/* stdout. After the first failed write nothing more is tried. */
void ui_out(struct ui *ui, const char *fmt, ...) PRINTF_LIKE(2, 3);
void ui_name(struct ui *ui, const char *name, size_t len); /* a path or name, escaped */
void ui_doc(struct ui *ui, json_t *doc);                   /* one line; takes doc over */
void ui_element(struct ui *ui, json_t *doc);               /* the same without the line's end, for listings */
void ui_summary(struct ui *ui, json_t *doc);               /* the same, marked as the last line of long work */
/* To be asked in long listings: ERR_IO when stdout is gone. */
MUST_USE enum errc ui_check(struct ui *ui, struct err *err);

/* stderr */
void ui_info(struct ui *ui, const char *fmt, ...) PRINTF_LIKE(2, 3);    /* not with --quiet or --json */
void ui_verbose(struct ui *ui, const char *fmt, ...) PRINTF_LIKE(2, 3); /* only with --verbose */
void ui_warning(struct ui *ui, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The error on stderr, and with --json as a line on stdout unless a summary was the last. */
void ui_error(struct ui *ui, const struct err *err);

void ui_message(struct ui *ui, enum diag_level level, const char *name, const char *text);
void ui_progress(struct ui *ui, const struct progress *p); /* cli/progress.c */
void ui_clear_line(struct ui *ui);                         /* the lock is held */
struct diag ui_diag(struct ui *ui);

/* Is there a terminal to ask on? */
bool ui_can_ask(void);
/* Ask for the word yes. false on anything else, an interruption included. */
bool ui_ask_yes(struct ui *ui, const char *question);

/* A table with aligned columns; cells are escaped. */
struct columns;
MUST_USE enum errc columns_new(const char *const *titles, size_t count, struct columns **out, struct err *err);
void columns_free(struct columns *t);
void columns_align_right(struct columns *t, size_t column);
/* One row: count strings, borrowed for the call. */
MUST_USE enum errc columns_add(struct columns *t, const char *const *cells, struct err *err);
void columns_print(const struct columns *t, struct ui *ui, const char *indent);

#endif
