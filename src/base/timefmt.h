/* Times, durations and sizes as people write them (docs/cli.md, "Global"). Layer: base. */
#ifndef SNAP_BASE_TIMEFMT_H
#define SNAP_BASE_TIMEFMT_H

#include <stdint.h>

#include "base/err.h"

struct timestamp {
    int64_t sec;   /* since 1970-01-01T00:00:00Z, may be negative */
    uint32_t nsec; /* 0 .. 999,999,999 */
};

struct timestamp time_now(void); /* CLOCK_REALTIME */
uint64_t monotonic_ns(void);

#define TIME_TEXT_BYTES 40
/* RFC 3339 in UTC with seconds, "2026-11-21T03:04:05Z"; returns dst. */
const char *time_format(char dst[TIME_TEXT_BYTES], struct timestamp t);
/* RFC 3339 with Z or an offset, fraction allowed; also "2026-11-21 03:04:05" and "2026-11-21" (UTC). ERR_USAGE. */
MUST_USE enum errc time_parse(const char *text, struct timestamp *out, struct err *err);

/* "30s 5min 12h 7d 4w 6mo 1y", several terms allowed ("1d12h"); months are 30 days and years 365. A bare number or a
 * bare "m" is ERR_USAGE. Result in seconds. */
MUST_USE enum errc duration_parse(const char *text, uint64_t *seconds_out, struct err *err);
/* "512", "64K", "5G" (powers of 1024; optional "iB" or "B"). ERR_USAGE. */
MUST_USE enum errc size_parse(const char *text, uint64_t *bytes_out, struct err *err);
/* "1.4 GiB", "716 MiB", "12 B": for people. */
const char *size_format(char dst[32], uint64_t bytes);
/* "3.2 s", "4 min 05 s", "2 h 10 min": for people. */
const char *duration_format(char dst[32], double seconds);

#endif
