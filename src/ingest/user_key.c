#include "ingest/user_key.h"

#include <ctype.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "core/file.h"

#define KEY_BYTES_MIN  16u
#define KEY_BYTES_MAX  64u
#define HASH_BYTES     (MTF_USER_HASH_CHARS / 2)
#define FILE_BYTES_MAX (2 * KEY_BYTES_MAX + 2) /* digits and a line end */

static const char setting[] = "privacy.user_key_file";

struct mtf_user_key {
    EVP_MAC_CTX *mac; /* keyed; started anew for each id */
    char name[MTF_USER_KEY_NAME_CHARS];
};

static bool make_mac(EVP_MAC_CTX *mac, mtf_span text, uint8_t out[32])
{
    size_t size = 0;
    return EVP_MAC_init(mac, NULL, 0, NULL) == 1 &&
           EVP_MAC_update(mac, text.data, text.size) == 1 &&
           EVP_MAC_final(mac, out, &size, 32) == 1 && size == 32;
}

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (uint8_t)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hex text -> bytes in place; 0 unless it is such text of a fitting length. */
static size_t parse_hex(uint8_t *text, size_t size)
{
    while (size > 0 && isspace(text[size - 1])) size--;
    if (size % 2 || size < 2 * KEY_BYTES_MIN || size > 2 * KEY_BYTES_MAX) return 0;
    for (size_t i = 0; i < size; i += 2) {
        const int high = digit_of(text[i]), low = digit_of(text[i + 1]);
        if (high < 0 || low < 0) return 0;
        text[i / 2] = (uint8_t)(high << 4 | low);
    }
    return size / 2;
}

static bool set_key(mtf_user_key *key, const uint8_t *bytes, size_t size)
{
    static const char label[] = "mtf user key";
    char digest[] = "SHA256";
    uint8_t out[32];
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    key->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    if (!key->mac || EVP_MAC_init(key->mac, bytes, size, parameters) != 1 ||
        !make_mac(key->mac, (mtf_span){(const uint8_t *)label, sizeof label}, out)) {
        return false;
    }
    mtf_hex(key->name, out, (MTF_USER_KEY_NAME_CHARS - 1) / 2);
    return true;
}

mtf_status mtf_user_key_open(const char *path, mtf_user_key **key, mtf_err *err)
{
    uint8_t bytes[FILE_BYTES_MAX];
    size_t size = 0;
    mtf_err cause = {0};
    *key = NULL;
    if (!path || !*path) return MTF_OK;
    mtf_user_key *made = calloc(1, sizeof *made);
    if (!made) return mtf_fail(err, MTF_NOMEM, "%s: out of memory", setting);
    mtf_status status = mtf_file_read_key(path, bytes, sizeof bytes, &size, &cause);
    if (status != MTF_OK) {
        status = mtf_fail(err, status, "%s: %s", setting, cause.msg);
    } else if ((size = parse_hex(bytes, size)) == 0) {
        status = mtf_fail(err, MTF_INVALID,
                          "%s: %s is not 32 to 128 hex digits; make one: openssl rand -hex 32",
                          setting, path);
    } else if (!set_key(made, bytes, size)) {
        status = mtf_fail(err, MTF_NOMEM, "%s: libcrypto has no HMAC-SHA256", setting);
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    if (status == MTF_OK)
        *key = made;
    else
        mtf_user_key_close(made);
    return status;
}

void mtf_user_key_close(mtf_user_key *key)
{
    if (!key) return;
    EVP_MAC_CTX_free(key->mac); /* libcrypto wipes it */
    free(key);
}

mtf_status mtf_user_key_hash(mtf_user_key *key, mtf_str user_id, char hash[MTF_USER_HASH_CHARS],
                             mtf_err *err)
{
    uint8_t out[32];
    char text[MTF_USER_HASH_CHARS + 1];
    if (!make_mac(key->mac, (mtf_span){(const uint8_t *)user_id.data, user_id.size}, out))
        return mtf_fail(err, MTF_NOMEM, "user id: libcrypto failed");
    mtf_hex(text, out, HASH_BYTES);
    memcpy(hash, text, MTF_USER_HASH_CHARS);
    return MTF_OK;
}

const char *mtf_user_key_name(const mtf_user_key *key)
{
    return key->name;
}
