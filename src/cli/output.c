#include "cli/output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/signals.h"

void ui_init(struct ui *ui, bool json, bool quiet, bool verbose, bool no_progress)
{
    *ui = (struct ui){.json = json, .quiet = quiet, .verbose = verbose && !quiet};
    const char *term = getenv("TERM");
    bool dumb = !term || !term[0] || strcmp(term, "dumb") == 0;
    ui->progress = !json && !quiet && !no_progress && !dumb && isatty(STDERR_FILENO);
    pthread_mutex_init(&ui->lock, NULL);
}

static void note_stdout(struct ui *ui)
{
    if (!ui->stdout_failed && ferror(stdout)) {
        ui->stdout_failed = true;
        ui->stdout_errno = errno;
    }
}

enum errc ui_check(struct ui *ui, struct err *err)
{
    if (!ui->stdout_failed)
        return ERR_OK;
    err_sys(err, ERR_IO, ui->stdout_errno, "cannot write to standard output");
    err_hint(err, "See what standard output is connected to; what was printed is not complete.");
    return err ? err->code : ERR_IO;
}

enum errc ui_finish(struct ui *ui, struct err *err)
{
    pthread_mutex_lock(&ui->lock);
    ui_clear_line(ui);
    if (!ui->stdout_failed && fflush(stdout) != 0) {
        ui->stdout_failed = true;
        ui->stdout_errno = errno;
    }
    pthread_mutex_unlock(&ui->lock);
    return ui_check(ui, err);
}

void ui_out(struct ui *ui, const char *fmt, ...)
{
    if (ui->stdout_failed)
        return;
    pthread_mutex_lock(&ui->lock);
    ui_clear_line(ui);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    note_stdout(ui);
    pthread_mutex_unlock(&ui->lock);
}

void ui_name(struct ui *ui, const char *name, size_t len)
{
    struct buf b;
    buf_init(&b, len * 4 + 1);
    if (path_escape(&b, name, len, NULL) == ERR_OK && buf_terminate(&b, NULL) == ERR_OK)
        ui_out(ui, "%s", (const char *)b.data);
    buf_release(&b);
}

static void put_doc(struct ui *ui, json_t *doc, const char *end)
{
    if (!ui->stdout_failed) {
        pthread_mutex_lock(&ui->lock);
        ui_clear_line(ui);
        if (json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12)) != 0 || fputs(end, stdout) == EOF)
            note_stdout(ui);
        pthread_mutex_unlock(&ui->lock);
    }
    json_decref(doc);
}

void ui_doc(struct ui *ui, json_t *doc)
{
    put_doc(ui, doc, "\n");
}

void ui_element(struct ui *ui, json_t *doc)
{
    put_doc(ui, doc, "");
}

void ui_summary(struct ui *ui, json_t *doc)
{
    ui_doc(ui, doc);
    ui->summary_printed = true;
}

/* Text from elsewhere on stderr: control bytes taken out, so that no name can play with the terminal. */
static void put_text(const char *text)
{
    for (const char *p = text; *p; p++)
        fputc((unsigned char)*p < 0x20 || *p == 0x7F ? '?' : *p, stderr);
}

static void say(struct ui *ui, const char *prefix, const char *text)
{
    pthread_mutex_lock(&ui->lock);
    ui_clear_line(ui);
    fflush(stdout); /* so that both keep their order on one terminal */
    fputs(prefix, stderr);
    put_text(text);
    fputc('\n', stderr);
    pthread_mutex_unlock(&ui->lock);
}

void ui_message(struct ui *ui, enum diag_level level, const char *name, const char *text)
{
    if (level == DIAG_VERBOSE && !ui->verbose)
        return;
    if (level == DIAG_NOTE && ui->quiet)
        return;
    if (ui->json && !ui->one_document && level == DIAG_WARNING) {
        json_t *line = json_doc();
        json_put_str(line, "message_type", "warning");
        json_put_str(line, "name", name);
        json_put_str(line, "message", text);
        ui_doc(ui, line);
    }
    say(ui, level == DIAG_WARNING ? "snap: warning: " : "snap: ", text);
}

#define FORMAT_TEXT(text, fmt)             \
    va_list ap;                            \
    va_start(ap, fmt);                     \
    vsnprintf(text, sizeof text, fmt, ap); \
    va_end(ap)

void ui_info(struct ui *ui, const char *fmt, ...)
{
    if (ui->quiet || ui->json)
        return;
    char text[2048];
    FORMAT_TEXT(text, fmt);
    say(ui, "", text);
}

void ui_verbose(struct ui *ui, const char *fmt, ...)
{
    if (!ui->verbose)
        return;
    char text[2048];
    FORMAT_TEXT(text, fmt);
    say(ui, "", text);
}

void ui_warning(struct ui *ui, const char *name, const char *fmt, ...)
{
    char text[2048];
    FORMAT_TEXT(text, fmt);
    ui_message(ui, DIAG_WARNING, name, text);
}

void ui_error(struct ui *ui, const struct err *err)
{
    const char *hint = err->hint[0] ? err->hint : err_default_hint(err->code);
    say(ui, "snap: ", err->message);
    if (hint[0])
        say(ui, "  ", hint);
    if (!ui->json || ui->summary_printed)
        return;
    json_t *line = json_doc();
    json_put_str(line, "message_type", "error");
    json_put_u64(line, "code", (uint64_t)err_exit_status(err->code));
    json_put_str(line, "name", err_name(err->code));
    json_put_str(line, "message", err->message);
    json_put_str(line, "hint", hint);
    ui_doc(ui, line);
}

static void on_message(void *arg, enum diag_level level, const char *name, const char *text)
{
    ui_message(arg, level, name, text);
}

static void on_progress(void *arg, const struct progress *p)
{
    ui_progress(arg, p);
}

static bool is_interrupted(void *arg)
{
    (void)arg;
    return signals_interrupted();
}

struct diag ui_diag(struct ui *ui)
{
    return (struct diag){on_message, ui->progress ? on_progress : NULL, is_interrupted, ui};
}

bool ui_can_ask(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool ui_ask_yes(struct ui *ui, const char *question)
{
    pthread_mutex_lock(&ui->lock);
    ui_clear_line(ui);
    fflush(stdout);
    fprintf(stderr, "%s Type 'yes' to go on: ", question);
    fflush(stderr);
    pthread_mutex_unlock(&ui->lock);
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&in, 1, -1) < 1) { /* not restarted after a signal, unlike read */
        fputc('\n', stderr);
        return false;
    }
    char line[16] = "";
    ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
    return got > 0 && (strcmp(line, "yes\n") == 0 || strcmp(line, "yes\r\n") == 0);
}
