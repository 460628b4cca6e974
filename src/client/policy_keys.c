#include "client/policy_keys.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "core/file.h"

#define PRIVATE_FILE_BYTES_MAX 4096u
#define PUBLIC_FILE_BYTES_MAX  65536u

/* How the field `signature` reads: the union's branch "bytes", their count as a zigzag varint. */
static const uint8_t field_head[] = {0x02, 0x80, 0x01};
#define FIELD_BYTES (sizeof field_head + MTF_POLICY_SIGNATURE_BYTES)

struct mtf_policy_keys {
    EVP_PKEY *signing; /* NULL: does not sign */
    EVP_PKEY *public[MTF_POLICY_PUBLIC_KEYS_MAX];
    size_t public_count; /* 0: does not verify */
};

/* ---- the files --------------------------------------------------------------------------- */

static mtf_status must_be_ed25519(const EVP_PKEY *key, const char *setting, const char *path,
                                  mtf_err *err)
{
    if (EVP_PKEY_is_a(key, "ED25519")) return MTF_OK;
    const char *type = EVP_PKEY_get0_type_name(key);
    return mtf_fail(err, MTF_INVALID,
                    "%s: %s holds a key of type %.20s; make one: openssl genpkey -algorithm "
                    "ed25519",
                    setting, path, type ? type : "unknown");
}

/* In place of libcrypto's own, which would ask the terminal. */
static int no_passphrase(char *text, int size, int writing, void *arg)
{
    (void)text, (void)size, (void)writing, (void)arg;
    return -1;
}

static mtf_status read_signing_key(mtf_policy_keys *keys, const char *path, mtf_err *err)
{
    static const char setting[] = "policy.signing_key_file";
    uint8_t pem[PRIVATE_FILE_BYTES_MAX];
    size_t size = 0;
    mtf_err cause = {0};
    mtf_status status = mtf_file_read_key(path, pem, sizeof pem, &size, &cause);
    if (status == MTF_OK) {
        BIO *bio = BIO_new_mem_buf(pem, (int)size);
        if (bio) keys->signing = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
        BIO_free(bio);
    }
    OPENSSL_cleanse(pem, sizeof pem);
    ERR_clear_error();
    if (status != MTF_OK) return mtf_fail(err, status, "%s: %s", setting, cause.msg);
    if (!keys->signing) {
        return mtf_fail(err, MTF_INVALID,
                        "%s: %s holds no unencrypted private key in PEM; make one: openssl genpkey "
                        "-algorithm ed25519 -out %s",
                        setting, path, path);
    }
    return must_be_ed25519(keys->signing, setting, path, err);
}

static mtf_status add_public_key(mtf_policy_keys *keys, const uint8_t *der, long size,
                                 const char *path, mtf_err *err)
{
    static const char setting[] = "policy.public_key_file";
    if (keys->public_count == MTF_POLICY_PUBLIC_KEYS_MAX) {
        return mtf_fail(err, MTF_INVALID, "%s: %s holds more than %d keys", setting, path,
                        MTF_POLICY_PUBLIC_KEYS_MAX);
    }
    EVP_PKEY *key = d2i_PUBKEY(NULL, &der, size);
    if (!key) {
        return mtf_fail(err, MTF_INVALID, "%s: %s: key %zu is malformed", setting, path,
                        keys->public_count + 1);
    }
    keys->public[keys->public_count++] = key;
    return must_be_ed25519(key, setting, path, err);
}

/* Every public key of the PEM text; another block among them is passed over. */
static mtf_status parse_public_keys(mtf_policy_keys *keys, BIO *bio, const char *path, mtf_err *err)
{
    mtf_status status = MTF_OK;
    char *name, *header;
    uint8_t *der;
    long size;
    ERR_clear_error();
    while (status == MTF_OK && PEM_read_bio(bio, &name, &header, &der, &size)) {
        if (strcmp(name, PEM_STRING_PUBLIC) == 0)
            status = add_public_key(keys, der, size, path, err);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)size);
    }
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (status == MTF_OK && !at_end) {
        status = mtf_fail(err, MTF_INVALID, "policy.public_key_file: %s is malformed PEM", path);
    } else if (status == MTF_OK && keys->public_count == 0) {
        status = mtf_fail(err, MTF_INVALID,
                          "policy.public_key_file: %s holds no public key in PEM; take it from the "
                          "private one: openssl pkey -in PRIVATE -pubout -out %s",
                          path, path);
    }
    return status;
}

static mtf_status read_public_keys(mtf_policy_keys *keys, const char *path, mtf_err *err)
{
    mtf_buf pem = {0};
    mtf_err cause = {0};
    mtf_status status = mtf_file_read(path, PUBLIC_FILE_BYTES_MAX, &pem, &cause);
    if (status != MTF_OK) {
        status = mtf_fail(err, MTF_INVALID, "policy.public_key_file: %s", cause.msg);
    } else {
        BIO *bio = BIO_new_mem_buf(pem.size ? pem.data : (const uint8_t *)"", (int)pem.size);
        status = bio ? parse_public_keys(keys, bio, path, err)
                     : mtf_fail(err, MTF_NOMEM, "policy.public_key_file: out of memory");
        BIO_free(bio);
    }
    mtf_buf_fini(&pem);
    return status;
}

/* Who publishes must be able to read it back. */
static mtf_status check_pair(const mtf_policy_keys *keys, const char *signing_key_file,
                             const char *public_key_file, mtf_err *err)
{
    if (keys->public_count == 0) return MTF_OK;
    if (!keys->signing) {
        return mtf_fail(err, MTF_INVALID,
                        "policy.public_key_file is set and policy.signing_key_file is not: what "
                        "this process publishes would be refused by every reader; set both here, "
                        "or neither");
    }
    for (size_t i = 0; i < keys->public_count; i++) {
        if (EVP_PKEY_eq(keys->signing, keys->public[i]) == 1) return MTF_OK;
    }
    return mtf_fail(err, MTF_INVALID,
                    "policy.public_key_file: %s does not hold the public half of %s "
                    "(policy.signing_key_file): readers would refuse what this process publishes; "
                    "append the output of: openssl pkey -in %s -pubout",
                    public_key_file, signing_key_file, signing_key_file);
}

mtf_status mtf_policy_keys_open(const char *signing_key_file, const char *public_key_file,
                                bool writes, mtf_policy_keys **keys, mtf_err *err)
{
    const bool sign = writes && signing_key_file && *signing_key_file;
    const bool verify = public_key_file && *public_key_file;
    mtf_status status = MTF_OK;
    *keys = NULL;
    if (!sign && !verify) return MTF_OK;
    mtf_policy_keys *made = calloc(1, sizeof *made);
    if (!made) return mtf_fail(err, MTF_NOMEM, "policy keys: out of memory");
    if (sign) status = read_signing_key(made, signing_key_file, err);
    if (status == MTF_OK && verify) status = read_public_keys(made, public_key_file, err);
    if (status == MTF_OK && writes)
        status = check_pair(made, signing_key_file, public_key_file, err);
    if (status == MTF_OK)
        *keys = made;
    else
        mtf_policy_keys_free(made);
    return status;
}

void mtf_policy_keys_free(mtf_policy_keys *keys)
{
    if (!keys) return;
    EVP_PKEY_free(keys->signing); /* libcrypto wipes it */
    for (size_t i = 0; i < keys->public_count; i++) EVP_PKEY_free(keys->public[i]);
    free(keys);
}

bool mtf_policy_keys_sign(const mtf_policy_keys *keys)
{
    return keys && keys->signing;
}

bool mtf_policy_keys_verify(const mtf_policy_keys *keys)
{
    return keys && keys->public_count > 0;
}

/* ---- records ----------------------------------------------------------------------------- */

/* The signature a record ends with, NULL when it does not look signed. */
static const uint8_t *signature_of(mtf_span record)
{
    if (record.size <= FIELD_BYTES) return NULL;
    const uint8_t *field = record.data + record.size - FIELD_BYTES;
    return memcmp(field, field_head, sizeof field_head) == 0 ? field + sizeof field_head : NULL;
}

/* Into an unsigned record, instead of the null it ends with. */
static void put_signature(mtf_buf *record, const uint8_t *signature)
{
    MTF_ASSERT(record->size > 0 && record->data[record->size - 1] == 0);
    uint8_t *more = mtf_buf_extend(record, FIELD_BYTES - 1);
    if (!more) return;
    memcpy(more - 1, field_head, sizeof field_head);
    memcpy(more - 1 + sizeof field_head, signature, MTF_POLICY_SIGNATURE_BYTES);
}

mtf_status mtf_policy_encode_signed(const mtf_policy *policy, const mtf_policy_keys *keys,
                                    mtf_buf *record, mtf_err *err)
{
    const size_t start = record->size;
    uint8_t signature[MTF_POLICY_SIGNATURE_BYTES];
    size_t size = sizeof signature;
    const mtf_status status = mtf_policy_encode(policy, record, err);
    if (status != MTF_OK || !mtf_policy_keys_sign(keys)) return status;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool made =
        context && EVP_DigestSignInit(context, NULL, NULL, NULL, keys->signing) == 1 &&
        EVP_DigestSign(context, signature, &size, record->data + start, record->size - start) == 1;
    EVP_MD_CTX_free(context);
    if (made) put_signature(record, signature);
    if (made && !record->failed) return MTF_OK;
    record->size = start;
    return mtf_fail(err, MTF_NOMEM, "policy %s: its record cannot be signed", policy->info.name);
}

mtf_status mtf_policy_encode_as_read(const mtf_policy *policy, mtf_buf *record, mtf_err *err)
{
    const size_t start = record->size;
    const mtf_status status = mtf_policy_encode(policy, record, err);
    if (status != MTF_OK || !policy->is_signed) return status;
    put_signature(record, policy->signature);
    if (!record->failed) return MTF_OK;
    record->size = start;
    return mtf_fail(err, MTF_NOMEM, "policy %s: out of memory", policy->info.name);
}

static bool verifies(EVP_PKEY *key, const uint8_t *signature, mtf_span message)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool good = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                      EVP_DigestVerify(context, signature, MTF_POLICY_SIGNATURE_BYTES, message.data,
                                       message.size) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

mtf_status mtf_policy_verify(const mtf_policy_keys *keys, mtf_span record, mtf_err *err)
{
    if (!mtf_policy_keys_verify(keys)) return MTF_OK;
    const uint8_t *signature = signature_of(record);
    if (!signature) {
        return mtf_fail(err, MTF_CORRUPT,
                        "policy record: unsigned: policy.public_key_file asks for a signature");
    }
    mtf_buf message = {0}; /* as it was signed */
    mtf_buf_put(&message, record.data, record.size - FIELD_BYTES);
    mtf_buf_put_u8(&message, 0);
    bool good = false;
    for (size_t i = 0; i < keys->public_count && !good && !message.failed; i++)
        good = verifies(keys->public[i], signature, mtf_buf_span(&message));
    const bool no_memory = message.failed;
    mtf_buf_fini(&message);
    ERR_clear_error();
    if (good) return MTF_OK;
    if (no_memory) return mtf_fail(err, MTF_NOMEM, "policy record: out of memory");
    return mtf_fail(err, MTF_CORRUPT,
                    "policy record: bad_signature: it was altered, or signed with a key that is "
                    "not in policy.public_key_file");
}
