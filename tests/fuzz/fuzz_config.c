/* What is read before any key is known: configuration, key slots, key bundles, keys as text. The first byte chooses. */
#include <string.h>

#include "base/limits.h"
#include "format/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_config(const uint8_t *data, size_t size)
{
    struct repo_config c, again;
    struct buf b;
    buf_init(&b, CONFIG_MAX_BYTES);
    if (repo_config_get(data, size, &c, NULL) == ERR_OK) {
        REQUIRE(repo_config_put(&b, &c, NULL) == ERR_OK);
        REQUIRE(repo_config_get(b.data, b.len, &again, NULL) == ERR_OK);
        REQUIRE(memcmp(&c.id, &again.id, sizeof c.id) == 0 && c.created.sec == again.created.sec);
    }
    buf_release(&b);
}

static void read_slot(const uint8_t *data, size_t size)
{
    struct key_slot s, again;
    struct key_bundle k;
    struct buf b;
    static const uint8_t secret[KEY_BYTES] = {1};
    buf_init(&b, KEY_SLOT_MAX_BYTES);
    if (key_slot_get(data, size, &s, NULL) == ERR_OK) {
        REQUIRE(key_slot_put(&b, &s, NULL) == ERR_OK);
        REQUIRE(key_slot_get(b.data, b.len, &again, NULL) == ERR_OK);
        REQUIRE(strcmp(s.label, again.label) == 0 && s.wrapped_len == again.wrapped_len);
        if (s.kind == SLOT_CLEAR)
            (void)!key_slot_open(&s, NULL, 0, &k, NULL);
        else if (s.kind != SLOT_PASSPHRASE)
            REQUIRE(key_slot_open(&s, secret, KEY_BYTES, &k, NULL) != ERR_OK);
        key_slot_release(&again);
        key_slot_release(&s);
    }
    buf_release(&b);
}

static void read_bundle(const uint8_t *data, size_t size)
{
    struct key_bundle k, again;
    struct buf b;
    buf_init(&b, KEY_SLOT_MAX_BYTES);
    if (key_bundle_get(data, size, &k, NULL) == ERR_OK) {
        REQUIRE(key_bundle_put(&b, &k, NULL) == ERR_OK);
        REQUIRE(key_bundle_get(b.data, b.len, &again, NULL) == ERR_OK);
        REQUIRE(memcmp(&k, &again, sizeof k) == 0);
    }
    buf_release(&b);
}

static void read_texts(const char *text, size_t size)
{
    uint8_t key[KEY_BYTES], again[KEY_BYTES];
    char made[KEY_FILE_TEXT_BYTES];
    _Static_assert((int)KEY_FILE_TEXT_BYTES <= (int)RECOVERY_TEXT_BYTES, "one buffer for both");
    if (key_file_parse(text, size, key, NULL) == ERR_OK) {
        key_file_format(made, key);
        REQUIRE(key_file_parse(made, strlen(made), again, NULL) == ERR_OK && memcmp(key, again, KEY_BYTES) == 0);
    }
    if (recovery_parse(text, size, key, NULL) == ERR_OK) {
        recovery_format(made, key);
        REQUIRE(recovery_parse(made, strlen(made), again, NULL) == ERR_OK && memcmp(key, again, KEY_BYTES) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 4) {
    case 0:
        read_config(data + 1, size - 1);
        break;
    case 1:
        read_slot(data + 1, size - 1);
        break;
    case 2:
        read_bundle(data + 1, size - 1);
        break;
    default:
        read_texts((const char *)data + 1, size - 1);
        break;
    }
    return 0;
}
