/* The first 100 bytes of a database, and the tail of a rollback journal (SQLite's "Database File Format", 1.3 and 3).
 * Layer: source (private to sqlite/). Pure. */
#ifndef SNAP_SOURCE_SQLITE_HEADER_H
#define SNAP_SOURCE_SQLITE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DB_HEADER_BYTES = 100,
    DB_PAGE_MIN = 512,
    DB_PAGE_MAX = 65536,
    DB_LOCK_BYTE = 0x40000000, /* the page that holds this byte is never used */
};

struct db_header {
    uint32_t page_size;
    bool wal; /* write version 2 */
    uint32_t change_counter;
    uint32_t page_count; /* as written; may be stale */
    uint32_t freelist_count;
    uint32_t schema_cookie;
    uint32_t encoding; /* 1 UTF-8, 2 UTF-16le, 3 UTF-16be; 0 while nothing was created */
    uint32_t user_version;
    uint32_t application_id;
};

/* False when data[0..len) does not begin as a database with a page size that can be. */
bool db_header_parse(const uint8_t *data, size_t len, struct db_header *out);

/* Are two images of page 1 the same but for what a backup rewrites: bytes 18-19, 24-27, 40-43, 92-95, and 96-99
 * (the version of the SQLite that wrote last). */
bool db_page1_same(const uint8_t *a, const uint8_t *b, size_t page_size);

uint32_t be32(const uint8_t *p);

#endif
