/* config.h: repository configuration, key bundles, key slots, key texts. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "format/config.h"

static struct err err;
#define OK(call) assert_int_equal((call), ERR_OK)

static struct repo_config sample_config(void)
{
    struct repo_config c = {.format = 1,
                            .flags_ignore = 1,
                            .flags_readonly = 2,
                            .created = {1795230000, 5},
                            .naming = 1,
                            .cipher = 1,
                            .cutter = 1};
    memset(c.id.b, 0xab, sizeof c.id.b);
    return c;
}

static enum errc config_through(const struct repo_config *in, struct repo_config *out)
{
    struct buf b;
    buf_init(&b, CONFIG_MAX_BYTES);
    OK(repo_config_put(&b, in, &err));
    enum errc rc = repo_config_get(b.data, b.len, out, &err);
    buf_release(&b);
    return rc;
}

static void configurations_round_trip(void **state)
{
    (void)state;
    struct repo_config in = sample_config(), out;
    OK(config_through(&in, &out));
    assert_memory_equal(out.id.b, in.id.b, sizeof in.id.b);
    assert_int_equal(out.flags_ignore, 1);
    assert_int_equal(out.flags_readonly, 2);
    assert_true(out.created.sec == in.created.sec && out.created.nsec == in.created.nsec);
#define NEWER(change)     \
    in = sample_config(); \
    change;               \
    assert_int_equal(config_through(&in, &out), ERR_FORMAT_NEWER)
    NEWER(in.format = 2);
    NEWER(in.flags_refuse = 1);
    NEWER(in.naming = 2);
    NEWER(in.cipher = 2);
    NEWER(in.cutter = 9);
#undef NEWER
    in = sample_config();
    in.format = 0;
    assert_int_equal(config_through(&in, &out), ERR_DAMAGED);
}

static void cut_configurations_are_damage(void **state)
{
    (void)state;
    struct buf b;
    struct repo_config in = sample_config(), out;
    buf_init(&b, CONFIG_MAX_BYTES);
    OK(repo_config_put(&b, &in, &err));
    for (size_t len = 0; len < b.len; len++)
        assert_int_not_equal(repo_config_get(b.data, len, &out, &err), ERR_OK);
    b.data[0] ^= 1;
    assert_int_equal(repo_config_get(b.data, b.len, &out, &err), ERR_DAMAGED);
    b.data[0] ^= 1;
    OK(put_field_varint(&b, 9, false, 1, &err));
    OK(repo_config_get(b.data, b.len, &out, &err));
    OK(put_field_varint(&b, 10, true, 1, &err));
    assert_int_equal(repo_config_get(b.data, b.len, &out, &err), ERR_FORMAT_NEWER);
    buf_release(&b);
}

static struct key_bundle sample_bundle(uint32_t data_keys)
{
    struct key_bundle k = {.data_count = data_keys};
    memset(k.naming, 1, KEY_BYTES);
    memset(k.fingerprint, 2, KEY_BYTES);
    memset(k.gear, 3, KEY_BYTES);
    for (uint32_t i = 0; i < data_keys; i++) {
        k.data[i].id = 1000 - i;
        memset(k.data[i].key, (int)(i + 4), KEY_BYTES);
    }
    return k;
}

static void bundles_round_trip(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, DATA_KEYS_MAX};
    struct key_bundle out;
    struct buf b;
    buf_init(&b, KEY_SLOT_MAX_BYTES);
    for (size_t i = 0; i < 3; i++) {
        struct key_bundle in = sample_bundle(counts[i]);
        buf_clear(&b);
        OK(key_bundle_put(&b, &in, &err));
        OK(key_bundle_get(b.data, b.len, &out, &err));
        assert_memory_equal(&out, &in, sizeof in);
        for (size_t len = 0; len < b.len; len++) { /* shorter ones open only where a data key ends */
            enum errc rc = key_bundle_get(b.data, len, &out, &err);
            assert_true(rc == ERR_DAMAGED || out.data_count < counts[i]);
        }
    }
    struct key_bundle twice = sample_bundle(2);
    twice.data[1].id = twice.data[0].id;
    buf_clear(&b);
    OK(key_bundle_put(&b, &twice, &err));
    assert_int_equal(key_bundle_get(b.data, b.len, &out, &err), ERR_DAMAGED);
    twice.data_count = 0;
    assert_int_not_equal(key_bundle_put(&b, &twice, &err), ERR_OK);
    key_bundle_wipe(&twice);
    assert_int_equal(twice.naming[0], 0);
    buf_release(&b);
}

static const struct repo_id REPO = {{9, 8, 7}};
static const uint8_t SECRET[KEY_BYTES] = {1, 2, 3}, OTHER[KEY_BYTES] = {1, 2, 4};

static const struct {
    enum slot_kind kind;
    const void *secret, *wrong;
    size_t secret_len, wrong_len;
} KINDS[] = {
    {SLOT_KEY_FILE, SECRET, OTHER, KEY_BYTES, KEY_BYTES},
    {SLOT_PASSPHRASE, "correct horse", "correct hors", 13, 12},
    {SLOT_RECOVERY, SECRET, OTHER, KEY_BYTES, KEY_BYTES},
    {SLOT_CLEAR, NULL, "x", 0, 1},
};

static void slots_round_trip_and_open(void **state)
{
    (void)state;
    struct key_bundle bundle = sample_bundle(3), opened;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        struct key_slot in, out;
        struct buf b;
        buf_init(&b, KEY_SLOT_MAX_BYTES);
        OK(key_slot_seal(&in, KINDS[i].kind, "ops laptop", &REPO, KINDS[i].secret, KINDS[i].secret_len, &bundle, &err));
        OK(key_slot_put(&b, &in, &err));
        OK(key_slot_get(b.data, b.len, &out, &err));
        assert_int_equal(out.kind, in.kind);
        assert_string_equal(out.label, "ops laptop");
        assert_true(out.created.sec == in.created.sec && out.created.nsec == in.created.nsec);
        assert_memory_equal(out.salt, in.salt, sizeof in.salt);
        OK(key_slot_open(&out, KINDS[i].secret, KINDS[i].secret_len, &opened, &err));
        assert_memory_equal(&opened, &bundle, sizeof bundle);
        assert_int_equal(key_slot_open(&out, KINDS[i].wrong, KINDS[i].wrong_len, &opened, &err), ERR_WRONG_KEY);
        if (KINDS[i].kind != SLOT_PASSPHRASE) { /* scrypt would make this slow */
            out.repo.b[15] ^= 1;
            assert_int_equal(key_slot_open(&out, KINDS[i].secret, KINDS[i].secret_len, &opened, &err), ERR_WRONG_KEY);
            out.repo.b[15] ^= 1;
            out.salt[0] ^= 1;
            assert_int_equal(key_slot_open(&out, KINDS[i].secret, KINDS[i].secret_len, &opened, &err), ERR_WRONG_KEY);
            out.salt[0] ^= 1;
            out.wrapped[out.wrapped_len - 1] ^= 1;
            assert_int_equal(key_slot_open(&out, KINDS[i].secret, KINDS[i].secret_len, &opened, &err), ERR_WRONG_KEY);
        }
        key_slot_release(&in);
        key_slot_release(&out);
        buf_release(&b);
    }
}

static void a_slot_of_one_kind_opens_no_other(void **state)
{
    (void)state;
    struct key_bundle bundle = sample_bundle(1), opened;
    struct key_slot s;
    OK(key_slot_seal(&s, SLOT_KEY_FILE, NULL, &REPO, SECRET, KEY_BYTES, &bundle, &err));
    s.kind = SLOT_RECOVERY;
    assert_int_equal(key_slot_open(&s, SECRET, KEY_BYTES, &opened, &err), ERR_WRONG_KEY);
    s.kind = SLOT_CLEAR;
    s.kdf = KDF_NONE;
    assert_int_equal(key_slot_open(&s, NULL, 0, &opened, &err), ERR_WRONG_KEY);
    key_slot_release(&s);
    assert_int_not_equal(key_slot_seal(&s, SLOT_KEY_FILE, "", &REPO, SECRET, 31, &bundle, &err), ERR_OK);
    assert_int_not_equal(key_slot_seal(&s, SLOT_PASSPHRASE, "", &REPO, SECRET, 0, &bundle, &err), ERR_OK);
}

static void hostile_slots_are_refused_before_the_kdf(void **state)
{
    (void)state;
    struct key_slot s = {.kind = SLOT_PASSPHRASE, .kdf = KDF_SCRYPT, .scrypt = {16, 8, 1}, .repo = REPO}, out;
    uint8_t wrapped[100] = {0};
    struct buf b;
    buf_init(&b, 2 * KEY_SLOT_MAX_BYTES);
#define REFUSED(change, code)                                                                              \
    s = (struct key_slot){.kind = SLOT_PASSPHRASE, .kdf = KDF_SCRYPT, .scrypt = {16, 8, 1}, .repo = REPO}; \
    s.wrapped = wrapped, s.wrapped_len = sizeof wrapped;                                                   \
    change;                                                                                                \
    buf_clear(&b);                                                                                         \
    OK(key_slot_put(&b, &s, &err));                                                                        \
    assert_int_equal(key_slot_get(b.data, b.len, &out, &err), code)
    REFUSED(s.scrypt.log2_n = SCRYPT_MAX_LOG2_N + 1, ERR_DAMAGED);
    REFUSED(s.scrypt.log2_n = 0, ERR_DAMAGED);
    REFUSED(s.scrypt.log2_n = 255, ERR_DAMAGED);
    REFUSED(s.scrypt.r = SCRYPT_MAX_R + 1, ERR_DAMAGED);
    REFUSED(s.scrypt.p = SCRYPT_MAX_P + 1, ERR_DAMAGED);
    REFUSED((s.scrypt.log2_n = 20, s.scrypt.r = 16), ERR_DAMAGED); /* 2 GiB */
    REFUSED(s.kdf = KDF_NONE, ERR_DAMAGED);
    REFUSED(s.kind = SLOT_CLEAR, ERR_DAMAGED);
    REFUSED(s.kind = (enum slot_kind)5, ERR_FORMAT_NEWER);
    REFUSED(s.wrapped_len = 27, ERR_DAMAGED);
    REFUSED((void)0, ERR_OK);
#undef REFUSED
    key_slot_release(&out);
    for (size_t len = 0; len < b.len; len++)
        assert_int_not_equal(key_slot_get(b.data, len, &out, &err), ERR_OK);
    b.data[8] = 2;
    assert_int_equal(key_slot_get(b.data, b.len, &out, &err), ERR_FORMAT_NEWER);
    buf_release(&b);
}

static void key_files_round_trip(void **state)
{
    (void)state;
    char text[KEY_FILE_TEXT_BYTES];
    uint8_t key[KEY_BYTES], got[KEY_BYTES];
    for (size_t i = 0; i < KEY_BYTES; i++)
        key[i] = (uint8_t)(i * 37);
    key_file_format(text, key);
    assert_int_equal(strlen(text), 85);
    assert_int_equal(text[84], '\n');
    OK(key_file_parse(text, 85, got, &err));
    assert_memory_equal(got, key, KEY_BYTES);
    OK(key_file_parse(text, 84, got, &err)); /* an editor took the line's end away */
    for (size_t len = 0; len < 84; len++)
        assert_int_equal(key_file_parse(text, len, got, &err), ERR_BAD_KEY_FILE);
    for (size_t i = 0; i < 84; i++) {
        char old = text[i];
        text[i] = old == '7' ? '8' : '7';
        assert_int_equal(key_file_parse(text, 85, got, &err), ERR_BAD_KEY_FILE);
        assert_null(strstr(err.message, "25")); /* no part of the key in the message */
        text[i] = old;
    }
}

static void recovery_keys_round_trip(void **state)
{
    (void)state;
    char text[RECOVERY_TEXT_BYTES], other[2 * RECOVERY_TEXT_BYTES];
    uint8_t key[KEY_BYTES], got[KEY_BYTES];
    for (size_t i = 0; i < KEY_BYTES; i++)
        key[i] = (uint8_t)(255 - i * 11);
    recovery_format(text, key);
    assert_int_equal(strlen(text), 56 + 13);
    OK(recovery_parse(text, strlen(text), got, &err));
    assert_memory_equal(got, key, KEY_BYTES);
    size_t n = 0;
    for (const char *p = text; *p; p++) { /* as a person types it */
        if (*p == '-')
            continue;
        char c = (char)tolower((unsigned char)*p);
        other[n] = c == '0' ? 'o' : c == '1' ? (n % 2 ? 'l' : 'I') : c;
        n++;
        if (n % 5 == 0)
            other[n++] = ' ';
    }
    OK(recovery_parse(other, n, got, &err));
    assert_memory_equal(got, key, KEY_BYTES);
    for (size_t i = 0; text[i]; i++) {
        char old = text[i];
        if (old == '-')
            continue;
        text[i] = old == 'Z' ? 'Y' : 'Z';
        assert_int_equal(recovery_parse(text, strlen(text), got, &err), ERR_WRONG_KEY);
        text[i] = old;
    }
    assert_int_equal(recovery_parse(text, strlen(text) - 1, got, &err), ERR_WRONG_KEY);
    assert_int_equal(recovery_parse("U", 1, got, &err), ERR_WRONG_KEY);
    assert_int_equal(recovery_parse("", 0, got, &err), ERR_WRONG_KEY);
    snprintf(other, sizeof other, "%s0", text);
    assert_int_equal(recovery_parse(other, strlen(other), got, &err), ERR_WRONG_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_round_trip),
        cmocka_unit_test(cut_configurations_are_damage),
        cmocka_unit_test(bundles_round_trip),
        cmocka_unit_test(slots_round_trip_and_open),
        cmocka_unit_test(a_slot_of_one_kind_opens_no_other),
        cmocka_unit_test(hostile_slots_are_refused_before_the_kdf),
        cmocka_unit_test(key_files_round_trip),
        cmocka_unit_test(recovery_keys_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
