/* Keys as text: the key file, and the recovery key for paper (config.h). */
#include <stdio.h>
#include <string.h>

#include "format/config.h"

enum { KEY_FILE_CHECK_BYTES = 4, RECOVERY_CHECK_BYTES = 3, RECOVERY_BYTES = KEY_BYTES + RECOVERY_CHECK_BYTES };
enum { RECOVERY_DIGITS = RECOVERY_BYTES * 8 / 5, RECOVERY_GROUP = 4 };
static const char KEY_FILE_PREFIX[] = "snap-key-1 ";
static const char ALPHABET[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* The first bytes of the key's SHA-256: enough to see a slip of the hand, no help in guessing 256 bits. */
static bool key_check(const uint8_t key[KEY_BYTES], uint8_t *out, size_t len)
{
    struct digest d;
    if (sha256(key, KEY_BYTES, &d, NULL) != ERR_OK)
        return false;
    memcpy(out, d.b, len);
    explicit_bzero(&d, sizeof d);
    return true;
}

const char *key_file_format(char dst[KEY_FILE_TEXT_BYTES], const uint8_t key[KEY_BYTES])
{
    uint8_t check[KEY_FILE_CHECK_BYTES];
    REQUIRE(key_check(key, check, sizeof check));
    char *p = stpcpy(dst, KEY_FILE_PREFIX);
    hex_encode(p, key, KEY_BYTES);
    p += 2 * KEY_BYTES;
    *p++ = ' ';
    hex_encode(p, check, sizeof check);
    p += 2 * sizeof check;
    *p++ = '\n';
    *p = '\0';
    return dst;
}

enum errc key_file_parse(const char *text, size_t len, uint8_t key[KEY_BYTES], struct err *err)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        len--;
    const size_t prefix = sizeof KEY_FILE_PREFIX - 1;
    if (len < prefix || memcmp(text, KEY_FILE_PREFIX, prefix) != 0)
        return err_fail(err, ERR_BAD_KEY_FILE, "this is not a key file of snap (it does not begin with 'snap-key-1')");
    uint8_t stored[KEY_FILE_CHECK_BYTES], check[KEY_FILE_CHECK_BYTES];
    const char *hex = text + prefix, *sum = hex + 2 * KEY_BYTES + 1;
    if (len != prefix + 2 * KEY_BYTES + 1 + 2 * sizeof stored || sum[-1] != ' ' ||
        !hex_decode(key, KEY_BYTES, hex, 2 * KEY_BYTES) || !hex_decode(stored, sizeof stored, sum, 2 * sizeof stored)) {
        explicit_bzero(key, KEY_BYTES);
        return err_fail(err, ERR_BAD_KEY_FILE, "the key file is cut short or has other characters than it should");
    }
    if (!key_check(key, check, sizeof check) || memcmp(check, stored, sizeof check) != 0) {
        explicit_bzero(key, KEY_BYTES);
        return err_fail(err, ERR_BAD_KEY_FILE, "the key file's check does not fit its key: a character was changed");
    }
    return ERR_OK;
}

const char *recovery_format(char dst[RECOVERY_TEXT_BYTES], const uint8_t key[KEY_BYTES])
{
    uint8_t bytes[RECOVERY_BYTES];
    memcpy(bytes, key, KEY_BYTES);
    REQUIRE(key_check(key, bytes + KEY_BYTES, RECOVERY_CHECK_BYTES));
    char *p = dst;
    for (unsigned i = 0; i < RECOVERY_DIGITS; i++) {
        unsigned bit = i * 5, at = bit / 8;
        unsigned window = (unsigned)bytes[at] << 8 | (at + 1 < RECOVERY_BYTES ? bytes[at + 1] : 0);
        if (i > 0 && i % RECOVERY_GROUP == 0)
            *p++ = '-';
        *p++ = ALPHABET[window >> (11 - bit % 8) & 31];
    }
    *p = '\0';
    explicit_bzero(bytes, sizeof bytes);
    return dst;
}

/* -1: no digit; -2: to be passed over. */
static int recovery_digit(char c)
{
    if (c == ' ' || c == '-' || c == '\t' || c == '\n' || c == '\r')
        return -2;
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if (c == 'O')
        return 0;
    if (c == 'I' || c == 'L')
        return 1;
    const char *at = c ? strchr(ALPHABET, c) : NULL;
    return at ? (int)(at - ALPHABET) : -1;
}

enum errc recovery_parse(const char *text, size_t len, uint8_t key[KEY_BYTES], struct err *err)
{
    uint8_t bytes[RECOVERY_BYTES] = {0}, check[RECOVERY_CHECK_BYTES];
    unsigned count = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = recovery_digit(text[i]);
        if (digit == -2)
            continue;
        if (digit == -1 || count == RECOVERY_DIGITS) {
            explicit_bzero(bytes, sizeof bytes);
            return err_fail(err, ERR_WRONG_KEY,
                            digit == -1 ? "a character cannot be part of a recovery key"
                                        : "the recovery key has too many characters");
        }
        for (unsigned bit = 0; bit < 5; bit++)
            if (digit >> (4 - bit) & 1)
                bytes[(count * 5 + bit) / 8] |= (uint8_t)(0x80 >> (count * 5 + bit) % 8);
        count++;
    }
    enum errc rc = ERR_OK;
    if (count != RECOVERY_DIGITS)
        rc = err_fail(err, ERR_WRONG_KEY, "the recovery key has %u of %d characters", count, RECOVERY_DIGITS);
    else if (!key_check(bytes, check, sizeof check) || memcmp(check, bytes + KEY_BYTES, sizeof check) != 0)
        rc = err_fail(err, ERR_WRONG_KEY, "the recovery key's check does not fit: a character is wrong");
    else
        memcpy(key, bytes, KEY_BYTES);
    explicit_bzero(bytes, sizeof bytes);
    return rc;
}
