/* docs/format.md cannot drift from the program: its examples are taken out of it, opened, and compared with what the
 * program writes and computes. */
#include "chunk/cut.h"

#include "format_read.h"
#include "format_sealed.h"

#define DOCUMENT TESTS_DIR "/../docs/format.md"

static struct buf document;

static int load_document(void **state)
{
    (void)state;
    buf_init(&document, 1 << 20);
    file_read(DOCUMENT, &document);
    OK(buf_terminate(&document, NULL));
    return 0;
}

static int release_document(void **state)
{
    (void)state;
    buf_release(&document);
    return 0;
}

/* The fenced block behind the marker at *at, which is moved behind it. False when there are no more markers. */
static bool next_block(const char **at, const char *marker, char name[64], const char **text_out, size_t *len_out)
{
    const char *mark = strstr(*at, marker);
    if (!mark)
        return false;
    const char *from = mark + strlen(marker), *name_end = strstr(from, " -->\n");
    assert_non_null(name_end);
    assert_true(name_end - from < 64);
    snprintf(name, 64, "%.*s", (int)(name_end - from), from);
    const char *fence = name_end + 5;
    if (memcmp(fence, "```", 3) != 0)
        fail_msg("no fenced block behind the marker of %s", name);
    *text_out = strchr(fence, '\n') + 1;
    const char *end = strstr(*text_out, "```\n");
    assert_non_null(end);
    *len_out = (size_t)(end - *text_out);
    *at = end;
    return true;
}

static void vector_name(struct buf *b)
{
    struct key_bundle keys = sample_keys();
    struct namer *namer;
    struct chunk_name name;
    OK(namer_new(keys.naming, keys.fingerprint, &namer, NULL));
    OK(namer_name(namer, CHUNK_DATA, STR("abc"), &name, NULL));
    OK(buf_append(b, name.b, sizeof name.b, NULL));
    namer_free(namer);
}

static void vector_fingerprint(struct buf *b)
{
    struct key_bundle keys = sample_keys();
    struct namer *namer;
    struct fingerprint print;
    OK(namer_new(keys.naming, keys.fingerprint, &namer, NULL));
    OK(namer_fingerprint(namer, STR("abc"), &print, NULL));
    OK(buf_append(b, print.b, sizeof print.b, NULL));
    namer_free(namer);
}

static void vector_gear(struct buf *b)
{
    struct key_bundle keys = sample_keys();
    struct gear g;
    OK(gear_init(&g, &CUT_FILES, keys.gear, NULL));
    OK(put_u64(b, g.table[0], NULL));
    OK(put_u64(b, g.table[1], NULL));
}

static const struct sample VECTORS[] = {
    {"vector.name", vector_name},
    {"vector.fingerprint", vector_fingerprint},
    {"vector.gear", vector_gear},
};

static void assert_example(const struct sample *samples, size_t count, const char *name, const struct buf *b,
                           bool *found)
{
    struct buf now;
    buf_init(&now, 1 << 16);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(samples[i].name, name) != 0)
            continue;
        samples[i].make(&now);
        if (now.len != b->len || memcmp(now.data, b->data, now.len) != 0)
            fail_msg("docs/format.md: the example %s is not what the program writes", name);
        *found = true;
    }
    buf_release(&now);
}

static void hex_examples_are_what_the_program_writes(void **state)
{
    (void)state;
    const char *at = (const char *)document.data, *text;
    char name[64];
    size_t len, count = 0;
    struct buf b;
    buf_init(&b, 1 << 16);
    while (next_block(&at, "<!-- example: ", name, &text, &len)) {
        bool found = false;
        buf_clear(&b);
        hex_text_read(text, len, &b);
        assert_example(SAMPLES, SAMPLE_COUNT, name, &b, &found);
        assert_example(VECTORS, sizeof VECTORS / sizeof *VECTORS, name, &b, &found);
        if (!found && !check_sealed(name, &b))
            fail_msg("docs/format.md: nothing checks the example %s", name);
        count++;
    }
    assert_int_equal(count, 24);
    buf_release(&b);
}

static void text_examples_are_what_the_program_writes(void **state)
{
    (void)state;
    const char *at = (const char *)document.data, *text;
    char name[64], key_file[KEY_FILE_TEXT_BYTES], recovery[RECOVERY_TEXT_BYTES];
    size_t len, count = 0;
    uint8_t key[KEY_BYTES];
    count_up(key, KEY_BYTES, 0);
    key_file_format(key_file, key);
    recovery_format(recovery, key);
    while (next_block(&at, "<!-- text: ", name, &text, &len)) {
        const char *expected = strcmp(name, "key-file") == 0 ? key_file : recovery;
        size_t expected_len = strcspn(expected, "\n");
        assert_int_equal(len, expected_len + 1); /* and the line's end */
        assert_memory_equal(text, expected, expected_len);
        count++;
    }
    assert_int_equal(count, 2);
}

/* A number as the document writes it: 1,234,567. */
static void assert_stated(const char *what, uint64_t value)
{
    char digits[32], text[64], row[256];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t n = strlen(digits), k = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            text[k++] = ',';
        text[k++] = digits[i];
    }
    text[k] = '\0';
    snprintf(row, sizeof row, "\n| %s | ", what);
    const char *at = strstr((const char *)document.data, row);
    if (!at)
        fail_msg("docs/format.md has no limit '%s'", what);
    at += strlen(row);
    size_t line = strcspn(at, "\n");
    const char *found = memmem(at, line, text, k);
    if (!found)
        fail_msg("docs/format.md: '%s' is %s in the program", what, text);
}

static void limits_are_those_of_the_program(void **state)
{
    (void)state;
    assert_stated("plain bytes of a chunk", CHUNK_MAX_BYTES);
    assert_stated("a record in a pack", RECORD_MAX_BYTES);
    assert_stated("n of a delta", DELTA_MAX_N);
    assert_stated("records in a pack", PACK_MAX_RECORDS);
    assert_stated("a pack; its sealed table", PACK_MAX_BYTES);
    assert_stated("a pack; its sealed table", PACK_TABLE_MAX_BYTES);
    assert_stated("body of a log record", LOG_RECORD_MAX_BYTES);
    assert_stated("key slots; a slot; configuration", KEY_SLOTS_MAX);
    assert_stated("key slots; a slot; configuration", KEY_SLOT_MAX_BYTES);
    assert_stated("key slots; a slot; configuration", CONFIG_MAX_BYTES);
    assert_stated("data keys", DATA_KEYS_MAX);
    assert_stated("a path, a link's target", PATH_MAX_BYTES);
    assert_stated("a name (set, host, user, tag, hold, group)", NAME_MAX_BYTES);
    assert_stated("extended attributes in an entry; large ones' names and roots", XATTR_INLINE_MAX_BYTES);
    assert_stated("extended attributes in an entry; large ones' names and roots", XATTR_STREAMS_MAX_BYTES);
    assert_stated("an entry's note (field 9)", PROBE_MAX_BYTES);
    assert_stated("facts of an entry or item", FACTS_MAX_BYTES);
    assert_stated("a reason or detail in END and verification", TEXT_MAX_BYTES);
    assert_stated("a text in a run record", PATH_MAX_BYTES + NAME_MAX_BYTES);
    assert_stated("a list record", LIST_RECORD_MAX_BYTES);
    assert_stated("references in a RUN; in a root", RUN_MAX_REFS);
    assert_stated("references in a RUN; in a root", ROOT_MAX_REFS);
    assert_stated("depth of a root", ROOT_MAX_DEPTH);
    assert_stated("items, tags of a snapshot; steps of a run", ITEMS_MAX);
    assert_stated("items, tags of a snapshot; steps of a run", TAGS_MAX);
    assert_stated("items, tags of a snapshot; steps of a run", STEPS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_examples_are_what_the_program_writes),
        cmocka_unit_test(text_examples_are_what_the_program_writes),
        cmocka_unit_test(limits_are_those_of_the_program),
    };
    return cmocka_run_group_tests(tests, load_document, release_document);
}
