#include "source/sqlite/header.h"

#include <string.h>

#include "source/source.h"

static const char magic[SQLITE_MAGIC_BYTES] = "SQLite format 3"; /* with its NUL */

uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool sqlite_looks_like(const uint8_t *first, size_t len)
{
    return len >= sizeof magic && memcmp(first, magic, sizeof magic) == 0;
}

bool db_header_parse(const uint8_t *data, size_t len, struct db_header *out)
{
    if (len < DB_HEADER_BYTES || !sqlite_looks_like(data, len))
        return false;
    uint32_t page_size = (uint32_t)data[16] << 8 | data[17];
    if (page_size == 1)
        page_size = DB_PAGE_MAX;
    if (page_size < DB_PAGE_MIN || (page_size & (page_size - 1)) != 0)
        return false;
    *out = (struct db_header){
        .page_size = page_size,
        .wal = data[18] == 2,
        .change_counter = be32(data + 24),
        .page_count = be32(data + 28),
        .freelist_count = be32(data + 36),
        .schema_cookie = be32(data + 40),
        .encoding = be32(data + 56),
        .user_version = be32(data + 60),
        .application_id = be32(data + 68),
    };
    return true;
}

bool db_page1_same(const uint8_t *a, const uint8_t *b, size_t page_size)
{
    return memcmp(a, b, 18) == 0 && memcmp(a + 20, b + 20, 4) == 0 && memcmp(a + 28, b + 28, 12) == 0 &&
           memcmp(a + 44, b + 44, 48) == 0 && memcmp(a + 100, b + 100, page_size - 100) == 0;
}
