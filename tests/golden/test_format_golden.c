/* Golden objects: what was written once stays readable, and is written the same way; what is wrong is refused with the
 * error that its name tells. SNAP_GOLDEN_WRITE=1 writes the files anew (sealed ones only where they are missing). */
#include <dirent.h>

#include "format_read.h"
#include "format_sealed.h"

#define NAME_32 "12345678901234567890123456789012"
#define DATA TESTS_DIR "/golden/data/"

/* Wrong ones: a good object with its last bytes cut, then bytes written at a place, or (at -1) appended. */
static const struct wrong {
    const char *name, *from;
    size_t cut;
    int at;
    const char *bytes;
    size_t len;
} WRONG[] = {
    {"config.damaged.cut", "config.plain", 1, 0, STR("")},
    {"config.damaged.magic", "config.plain", 0, 0, STR("X")},
    {"config.format-newer.version", "config.plain", 0, 8, STR("\x02")},
    {"config.format-newer.refuse-flag", "config.plain", 0, 14, STR("\x01")},
    {"config.format-newer.critical-field", "config.plain", 0, -1, STR("\x29\x01\x01")},
    {"config.damaged.order-of-fields", "config.plain", 0, -1, STR("\x02\x01\x01")},
    {"config.damaged.bytes-behind-a-value", "config.plain", 2, -1, STR("\x02\x01\x01")},
    {"bundle.damaged.cut", "bundle.two-keys", 1, 0, STR("")},
    {"bundle.damaged.same-id-twice", "bundle.two-keys", 0, -1, STR("\x09\x24\x02\0\0\0" NAME_32)},
    {"bundle.format-newer.critical-field", "bundle.two-keys", 0, -1, STR("\x0b\x00")},
    {"slot.damaged.cut", "slot.clear", 1, 0, STR("")},
    {"slot.format-newer.version", "slot.clear", 0, 8, STR("\x02")},
    {"slot.format-newer.kind", "slot.clear", 0, 10, STR("\x09")},
    {"slot.damaged.kdf-of-another-kind", "slot.clear", 0, 11, STR("\x01")},
    {"slot.damaged.scrypt-of-2-to-the-60", "slot.passphrase", 0, 43, STR("\x3c")},
    {"slot.damaged.wrong-magic", "slot.clear", 0, 0, STR("\0")},
    {"facts.damaged.cut", "facts.each-type", 1, 0, STR("")},
    {"facts.damaged.order-of-keys", "facts.each-type", 0, -1,
     STR("\x01"
         "a\x02\x01\x02")},
    {"facts.damaged.key-with-nul", "facts.each-type", 0, -1, STR("\x02z\0\x02\x01\x02")},
    {"facts.damaged.long-value", "facts.each-type", 0, -1, STR("\x01z\x01\xff\xff\xff\xff\x0f")},
    {"list.damaged.cut", "list.file", 1, 0, STR("")},
    {"list.damaged.long-record", "list.file", 0, -1, STR("\x03\xff\xff\xff\x7f")},
    {"list.damaged.varint-not-shortest", "list.file", 0, -1, STR("\x09\x82\x00\x05")},
    {"list.damaged.absolute-path", "list.file", 0, 4, STR("/")},
    {"list.damaged.dot-dot", "list.file", 0, 4, STR("../")},
    {"list.damaged.path-with-nul", "list.file", 0, 4, STR("a\0b")},
    {"list.damaged.run-of-nothing", "list.file", 0, -1, STR("\x05\x02\x00\x00")},
    {"list.damaged.hole-beyond-the-end", "list.file", 0, -1, STR("\x07\x0a\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f")},
    {"list.damaged.ctime-before-nanosecond-0", "list.file", 0, -1,
     STR("\x03\x11\x03\x01"
         "a\x05\x0c\xa4\x23\0\0\0\0\x05\0\x0d\0\0\0")},
    {"list.damaged.path-twice", "list.file", 0, -1,
     STR("\x03\x14\x03\x01"
         "a\x03\x01"
         "b\x05\x0c\xa4\x23\0\0\0\0\x05\0\0\0\0\0")},
    {"list.damaged.short-last-without-fixed", "list.file", 0, -1, STR("\x05\x24\x0c\x00" NAME_32 "\x05\x01")},
    {"list.damaged.last-of-length-0", "list.file", 0, -1, STR("\x05\x24\x0d\x00\x10" NAME_32 "\x00")},
    {"list.damaged.chunk-of-length-0", "list.file", 0, -1, STR("\x05\x23\x08\x00" NAME_32 "\x00")},
    {"list.damaged.run-beyond-the-end", "list.file", 0, -1,
     STR("\x05\x2b\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f" NAME_32 "\x01")},
    {"list.format-newer.critical-kind", "list.file", 0, -1, STR("\x0b\x01x")},
    {"list.format-newer.critical-field", "list.file", 0, -1, STR("\x09\x03\x05\x0b\x00")},
    {"list.format-newer.state", "list.file", 0, -1, STR("\x09\x04\x05\x03\x01\x04")},
    {"table.damaged.cut", "table.whole-and-delta", 1, 0, STR("")},
    {"table.damaged.type", "table.whole-and-delta", 0, 0, STR("\x09")},
    {"table.damaged.codec", "table.whole-and-delta", 0, 1, STR("\x03")},
    {"table.damaged.whole-with-delta-codec", "table.whole-and-delta", 0, 1, STR("\x02")},
    {"table.damaged.reserved-bit", "table.whole-and-delta", 0, 1, STR("\x81")},
    {"table.damaged.long-chunk", "table.whole-and-delta", 0, 36, STR("\xff\xff\x7f")},
    {"header.damaged.magic", "header.pack", 0, 0, STR("s")},
    {"header.format-newer.version", "header.pack", 0, 8, STR("\x02")},
    {"header.format-newer.cipher", "header.pack", 0, 10, STR("\x02")},
    {"header.format-newer.wrap", "header.pack", 0, 11, STR("\x02")},
    {"header.format-newer.refuse-flag", "header.pack", 0, 20, STR("\x01")},
    {"trailer.damaged.magic", "trailer.pack", 0, 55, STR("l")},
    {"trailer.damaged.offset", "trailer.pack", 0, 7, STR("\xff")},
    {"trailer.damaged.table-length", "trailer.pack", 0, 8, STR("\xff\xff\xff\xff")},
    {"trailer.damaged.record-count", "trailer.pack", 0, 12, STR("\x04")},
    {"trailer.damaged.no-records", "trailer.pack", 0, 12, STR("\x00")},
    {"log.damaged.cut", "log.snapshot", 1, 0, STR("")},
    {"log.damaged.no-snapshot-in-it", "log.checkpoint", 0, 2, STR("\x01")},
    {"log.damaged.part-of-another-kind", "log.checkpoint", 0, -1, STR("\x2b\x01x")},
    {"log.damaged.half-an-id", "log.trash", 4, 0, STR("")},
    {"log.format-newer.kind", "log.checkpoint", 0, 2, STR("\x4d")},
    {"log.format-newer.critical-field", "log.checkpoint", 0, -1, STR("\x61\x00")},
    {"frame.damaged.cut", "frame.release", 1, 0, STR("")},
    {"frame.damaged.longer", "frame.release", 0, -1, STR("\0")},
    {"frame.damaged.number", "frame.release", 0, 16, STR("\x04")},
    {"frame.damaged.repository", "frame.release", 0, 24, STR("\xa1")},
    {"frame.damaged.key-id", "frame.release", 0, 12, STR("\x01")},
    {"frame.damaged.wrapped-key", "frame.release", 0, 60, STR("\0\0\0")},
    {"frame.damaged.body", "frame.release", 0, 170, STR("\0\0\0")},
    {"frame.damaged.body-length", "frame.release", 0, 164, STR("\xff\xff\xff\xff")},
    {"frame.format-newer.version", "frame.release", 0, 8, STR("\x02")},
    {"frame.format-newer.cipher", "frame.release", 0, 10, STR("\x07")},
};
enum { WRONG_COUNT = sizeof WRONG / sizeof *WRONG };

/* Right ones that only a newer version writes: to be read, what is not known passed over. */
static const struct wrong NEWER[] = {
    {"config.unknown-field", "config.plain", 0, -1, STR("\x28\x03new")},
    {"list.unknown-kind", "list.file", 0, -1, STR("\x28\x03new")},
    {"list.unknown-field", "list.file", 0, -1, STR("\x09\x06\x05\x28\x03new")},
    {"facts.unknown-type", "facts.each-type", 0, -1, STR("\x01z\x63\x03new")},
    {"log.unknown-kind", "log.checkpoint", 0, 0, STR("\x02\x01\x4d")},
    {"log.unknown-field", "log.checkpoint", 0, -1, STR("\xc8\x01\x03new")},
    {"bundle.unknown-field", "bundle.two-keys", 0, -1, STR("\xc8\x01\x03new")},
    {"slot.unknown-field", "slot.clear", 0, -1, STR("\xc8\x01\x03new")},
};
enum { NEWER_COUNT = sizeof NEWER / sizeof *NEWER };

static const char *file_of(char path[512], const char *dir, const char *name)
{
    snprintf(path, 512, DATA "%s/%s.hex", dir, name);
    return path;
}

static void golden_read(const char *dir, const char *name, struct buf *out)
{
    char path[512];
    hex_file_read(file_of(path, dir, name), out);
}

static void golden_write(const char *dir, const char *name, const struct buf *b)
{
    char path[512];
    FILE *f = fopen(file_of(path, dir, name), "w");
    assert_non_null(f);
    for (size_t i = 0; i < b->len; i++)
        fprintf(f, "%02x%s", b->data[i], i % 32 == 31 || i + 1 == b->len ? "\n" : "");
    fclose(f);
}

static bool golden_exists(const char *name)
{
    char path[512];
    FILE *f = fopen(file_of(path, "must-read", name), "r");
    if (f)
        fclose(f);
    return f != NULL;
}

static void derive(const struct wrong *w, struct buf *b)
{
    golden_read("must-read", w->from, b);
    b->len -= w->cut;
    if (w->at < 0)
        OK(buf_append(b, w->bytes, w->len, NULL));
    else if (w->len > 0)
        memcpy(b->data + w->at, w->bytes, w->len);
}

static void write_sealed(void)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    for (size_t i = 0; i < SLOT_SAMPLES; i++) {
        buf_clear(&b);
        seal_slot(&b, SLOTS[i].kind);
        if (!golden_exists(SLOTS[i].name))
            golden_write("must-read", SLOTS[i].name, &b);
    }
    buf_clear(&b);
    seal_frame(&b);
    if (!golden_exists("frame.release"))
        golden_write("must-read", "frame.release", &b);
    buf_clear(&b);
    seal_pack(&b);
    if (!golden_exists("pack.three-records"))
        golden_write("must-read", "pack.three-records", &b);
    buf_release(&b);
}

static void write_if_told_to(void **state)
{
    (void)state;
    if (!getenv("SNAP_GOLDEN_WRITE"))
        return;
    struct buf b;
    buf_init(&b, 1 << 16);
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        buf_clear(&b);
        SAMPLES[i].make(&b);
        golden_write("must-read", SAMPLES[i].name, &b);
    }
    write_sealed();
    for (size_t i = 0; i < WRONG_COUNT; i++) {
        buf_clear(&b);
        derive(&WRONG[i], &b);
        golden_write("must-fail", WRONG[i].name, &b);
    }
    for (size_t i = 0; i < NEWER_COUNT; i++) {
        buf_clear(&b);
        derive(&NEWER[i], &b);
        golden_write("must-read", NEWER[i].name, &b);
    }
    buf_release(&b);
}

static void what_is_written_is_what_was_written(void **state)
{
    (void)state;
    struct buf now, golden;
    buf_init(&now, 1 << 16);
    buf_init(&golden, 1 << 16);
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        buf_clear(&now);
        buf_clear(&golden);
        SAMPLES[i].make(&now);
        golden_read("must-read", SAMPLES[i].name, &golden);
        if (now.len != golden.len || memcmp(now.data, golden.data, now.len) != 0)
            fail_msg("%s is written in another form than its golden file has", SAMPLES[i].name);
    }
    buf_release(&now);
    buf_release(&golden);
}

/* Each file of a folder, in its turn. Returns how many there were. */
static size_t each_file(const char *dir, void (*check)(const char *name, const struct buf *b))
{
    char path[512];
    struct dirent *e;
    size_t count = 0;
    struct buf b;
    snprintf(path, sizeof path, DATA "%s", dir);
    DIR *d = opendir(path);
    assert_non_null(d);
    buf_init(&b, 1 << 16);
    while ((e = readdir(d)) != NULL) {
        char name[256];
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 4, ".hex") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)len - 4, e->d_name);
        buf_clear(&b);
        golden_read(dir, name, &b);
        check(name, &b);
        count++;
    }
    buf_release(&b);
    closedir(d);
    return count;
}

static void check_readable(const char *name, const struct buf *b)
{
    if (check_sealed(name, b))
        return;
    struct buf again;
    buf_init(&again, 1 << 16);
    enum errc rc = reread(name, b->data, b->len, &again);
    if (rc != ERR_OK)
        fail_msg("%s is not read: %s", name, err_name(rc));
    bool newer = strstr(name, ".unknown-") != NULL;
    if (!newer && (again.len != b->len || memcmp(again.data, b->data, b->len) != 0))
        fail_msg("%s is read, but not to what was written", name);
    if (newer && again.len >= b->len)
        fail_msg("%s holds nothing unknown", name);
    buf_release(&again);
}

static void everything_in_must_read_is_read(void **state)
{
    (void)state;
    size_t count = each_file("must-read", check_readable);
    assert_true(count >= SAMPLE_COUNT + SLOT_SAMPLES + 2 + NEWER_COUNT);
}

static void check_refused(const char *name, const struct buf *b)
{
    struct buf again;
    buf_init(&again, 1 << 16);
    enum errc rc = reread(name, b->data, b->len, &again);
    const char *expected = strchr(name, '.') + 1;
    size_t len = strcspn(expected, ".");
    if (strlen(err_name(rc)) != len || memcmp(err_name(rc), expected, len) != 0)
        fail_msg("%s: the outcome is %s", name, err_name(rc));
    buf_release(&again);
}

static void everything_in_must_fail_is_refused(void **state)
{
    (void)state;
    size_t count = each_file("must-fail", check_refused);
    assert_true(count >= WRONG_COUNT);
}

/* What this program seals now, it opens too. */
static void sealed_samples_open(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 16);
    seal_pack(&b);
    check_pack(&b);
    buf_clear(&b);
    seal_frame(&b);
    check_frame(&b);
    buf_clear(&b);
    seal_slot(&b, SLOT_KEY_FILE);
    check_slot(&b, SLOT_KEY_FILE);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_if_told_to),
        cmocka_unit_test(what_is_written_is_what_was_written),
        cmocka_unit_test(everything_in_must_read_is_read),
        cmocka_unit_test(everything_in_must_fail_is_refused),
        cmocka_unit_test(sealed_samples_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
