/** Ed25519 key pairs in PEM files, made from a seed: for tests of signed policy records. */
#ifndef MTF_KEY_FILES_H
#define MTF_KEY_FILES_H

#include "support/mtf_test.h"

#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

/** folder/NAME.key (mode 0600) and folder/NAME.pub. */
static inline void key_files_make(const char *folder, const char *name, uint8_t seed)
{
    uint8_t secret[32];
    char path[2 * MTF_TEST_PATH];
    memset(secret, seed, sizeof secret);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof secret);
    assert_non_null(key);
    snprintf(path, sizeof path, "%s/%s.key", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    snprintf(path, sizeof path, "%s/%s.pub", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PUBKEY(file, key), 1);
    assert_int_equal(fclose(file), 0);
    EVP_PKEY_free(key);
}

#endif
