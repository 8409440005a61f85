/* The repository's own configuration and its key slots (docs/format.md). Layer: format.
 * Both are files of three copies (wire.h, triple_encode). */
#ifndef SNAP_FORMAT_CONFIG_H
#define SNAP_FORMAT_CONFIG_H

#include "base/timefmt.h"
#include "chunk/seal.h"
#include "format/record.h"

/* <repository>/config: magic "SNAPREPO", u16 format, u16 x3 flags (ignore, read only, refuse), repository id[16],
 * then typed fields. */
struct repo_config {
    uint16_t format;
    uint16_t flags_ignore, flags_readonly, flags_refuse;
    struct repo_id id;
    struct timestamp created;
    uint8_t naming, cipher, cutter; /* ids, all 1 in this version */
};
MUST_USE enum errc repo_config_put(struct buf *b, const struct repo_config *c, struct err *err);
/* ERR_FORMAT_NEWER for a format above FORMAT_VERSION or an unknown refuse flag. */
MUST_USE enum errc repo_config_get(const void *data, size_t len, struct repo_config *c, struct err *err);

/* What the slots protect. Every key is 32 random bytes. */
enum { DATA_KEYS_MAX = 64 };
struct data_key {
    uint32_t id;
    uint8_t key[KEY_BYTES];
};
struct key_bundle {
    uint8_t naming[KEY_BYTES], fingerprint[KEY_BYTES], gear[KEY_BYTES];
    struct data_key data[DATA_KEYS_MAX]; /* the last one is current */
    uint32_t data_count;
};
void key_bundle_wipe(struct key_bundle *k);
MUST_USE enum errc key_bundle_put(struct buf *b, const struct key_bundle *k, struct err *err);
MUST_USE enum errc key_bundle_get(const void *data, size_t len, struct key_bundle *k, struct err *err);

enum slot_kind {
    SLOT_KEY_FILE = 1,
    SLOT_PASSPHRASE = 2,
    SLOT_RECOVERY = 3,
    SLOT_CLEAR = 4 /* --encryption none: anyone opens it */
};
struct key_slot {
    enum slot_kind kind;
    char label[256];
    struct timestamp created;
    uint8_t kdf; /* enum kdf_id */
    struct scrypt_params scrypt;
    uint8_t salt[32];
    struct repo_id repo;
    uint8_t *wrapped; /* blob_wrap of the encoded bundle; owned, key_slot_release frees */
    size_t wrapped_len;
};
void key_slot_release(struct key_slot *s);
MUST_USE enum errc key_slot_put(struct buf *b, const struct key_slot *s, struct err *err);
/* Refuses KDF parameters above the maxima before anyone runs the KDF. */
MUST_USE enum errc key_slot_get(const void *data, size_t len, struct key_slot *s, struct err *err);

/* Make a slot from a secret: SLOT_KEY_FILE and SLOT_RECOVERY take 32 bytes, SLOT_PASSPHRASE any 1..1024, SLOT_CLEAR
 * none. */
MUST_USE enum errc key_slot_seal(struct key_slot *s, enum slot_kind kind, const char *label, const struct repo_id *repo,
                                 const void *secret, size_t secret_len, const struct key_bundle *bundle,
                                 struct err *err);
/* ERR_WRONG_KEY when the secret does not open it. */
MUST_USE enum errc key_slot_open(const struct key_slot *s, const void *secret, size_t secret_len,
                                 struct key_bundle *out, struct err *err);

/* The key file: one line "snap-key-1 <64 hex digits> <8 hex digits of SHA-256 of the key>\n". */
enum { KEY_FILE_TEXT_BYTES = 96 };
const char *key_file_format(char dst[KEY_FILE_TEXT_BYTES], const uint8_t key[KEY_BYTES]);
MUST_USE enum errc key_file_parse(const char *text, size_t len, uint8_t key[KEY_BYTES],
                                  struct err *err); /* ERR_BAD_KEY_FILE */
/* The recovery key for paper: groups of base 32 (Crockford's alphabet: no I, L, O, U) with a check; either case and any
 * spaces or dashes are accepted back, and O/I/L are read as 0/1/1. */
enum { RECOVERY_TEXT_BYTES = 96 };
const char *recovery_format(char dst[RECOVERY_TEXT_BYTES], const uint8_t key[KEY_BYTES]);
MUST_USE enum errc recovery_parse(const char *text, size_t len, uint8_t key[KEY_BYTES],
                                  struct err *err); /* ERR_WRONG_KEY */

#endif
