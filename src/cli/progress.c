/* The progress line: phase, share, bytes, rate, time left. Drawn at most ten times a second, on a terminal only. */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/path.h"
#include "base/timefmt.h"
#include "cli/output.h"

enum { LINE_MAX_BYTES = 400 };
static const uint64_t redraw_ns = 100 * 1000 * 1000;

void ui_clear_line(struct ui *ui)
{
    if (!ui->line_shown)
        return;
    fputs("\r\033[K", stderr);
    ui->line_shown = false;
}

static size_t terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return 80;
    return size.ws_col < LINE_MAX_BYTES ? size.ws_col : LINE_MAX_BYTES - 1;
}

/* Smoothed over some seconds, so that one slow file does not make the time left jump. */
static void measure(struct ui *ui, uint64_t now, uint64_t done)
{
    if (ui->rate_ns == 0 || done < ui->rate_bytes) {
        ui->rate_ns = now;
        ui->rate_bytes = done;
        return;
    }
    double seconds = (double)(now - ui->rate_ns) / 1e9;
    if (seconds < 0.25)
        return;
    double sample = (double)(done - ui->rate_bytes) / seconds;
    double weight = seconds / (seconds + 3.0);
    ui->rate = ui->rate > 0 ? ui->rate + (sample - ui->rate) * weight : sample;
    ui->rate_ns = now;
    ui->rate_bytes = done;
}

static size_t describe(const struct ui *ui, const struct progress *p, char *dst, size_t cap)
{
    char done[32], total[32], rate[32], left[32];
    size_format(done, p->done);
    int n = snprintf(dst, cap, "%s", p->phase ? p->phase : "working");
    if (p->total > 0) {
        double share = p->done >= p->total ? 100.0 : 100.0 * (double)p->done / (double)p->total;
        n += snprintf(dst + n, cap - (size_t)n, "  %3.0f%%  %s of %s", share, done, size_format(total, p->total));
    } else {
        n += snprintf(dst + n, cap - (size_t)n, "  %s", done);
    }
    if (p->items_done > 0)
        n += snprintf(dst + n, cap - (size_t)n, "  %llu entries", (unsigned long long)p->items_done);
    if (ui->rate > 0)
        n += snprintf(dst + n, cap - (size_t)n, "  %s/s", size_format(rate, (uint64_t)ui->rate));
    if (ui->rate > 0 && p->total > p->done)
        n += snprintf(dst + n, cap - (size_t)n, "  %s left",
                      duration_format(left, (double)(p->total - p->done) / ui->rate));
    return (size_t)n;
}

void ui_progress(struct ui *ui, const struct progress *p)
{
    if (!ui->progress)
        return;
    uint64_t now = monotonic_ns();
    pthread_mutex_lock(&ui->lock);
    bool new_phase = !ui->phase || !p->phase || strcmp(ui->phase, p->phase) != 0;
    if (new_phase) {
        ui->phase = p->phase;
        ui->phase_began_ns = now;
        ui->rate = 0;
        ui->rate_ns = 0;
    }
    measure(ui, now, p->done);
    if (now - ui->drawn_ns >= redraw_ns) {
        char line[LINE_MAX_BYTES + 1];
        size_t width = terminal_width() - 1, used = describe(ui, p, line, sizeof line);
        if (p->current && p->current[0] && used + 12 < width) {
            line[used++] = ' ';
            line[used++] = ' ';
            path_show(line + used, width - used, p->current, strlen(p->current));
        }
        fprintf(stderr, "\r%.*s\033[K", (int)width, line);
        fflush(stderr);
        ui->line_shown = true;
        ui->drawn_ns = now;
    }
    pthread_mutex_unlock(&ui->lock);
}
