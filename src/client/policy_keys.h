/** Signed policy records: Ed25519 over the whole single-object message, frame included, with its
 *  last field `signature` null. So the signature covers all that the record says, it is checked
 *  before any other byte is looked at, and one who does not care reads past it.
 *
 *    unsigned   C3 01 fingerprint, fields ..., 00                   what is signed
 *    signed     C3 01 fingerprint, fields ..., 02 80 01 <64 bytes>  what travels
 *
 *  Equal policies and keys give equal bytes. Everything takes keys NULL: nothing is signed, nothing
 *  is asked. A set of keys is immutable: any number of threads may use it. */
#ifndef MTF_CLIENT_POLICY_KEYS_H
#define MTF_CLIENT_POLICY_KEYS_H

#include "client/policy.h"

#define MTF_POLICY_PUBLIC_KEYS_MAX 16

typedef struct mtf_policy_keys mtf_policy_keys;

/** Reads the PEM files; NULL or "" for none of a kind, and with neither *keys is NULL.
 *  signing_key_file: one private key, PKCS#8, not encrypted, unreadable for others than owner and
 *  group. public_key_file: one or more public keys, any of which may verify a record.
 *  writes: the caller publishes. Then public keys without a signing key, or without that key's
 *  public half, are refused: its own readers would refuse what it writes. A caller that only reads
 *  does not open the signing key. MTF_INVALID names setting, file and remedy. The files are read
 *  here and never again. */
mtf_status mtf_policy_keys_open(const char *signing_key_file, const char *public_key_file,
                                bool writes, mtf_policy_keys **keys, mtf_err *err) MTF_NODISCARD;
/** Wipes the private key. */
MTF_API void mtf_policy_keys_free(mtf_policy_keys *keys);

/** Whether mtf_policy_sign does anything; whether mtf_policy_verify does. */
bool mtf_policy_keys_sign(const mtf_policy_keys *keys);
bool mtf_policy_keys_verify(const mtf_policy_keys *keys);

/** mtf_policy_encode and, by a set of keys that signs, the signature. MTF_NOMEM also: libcrypto
 *  failed. */
mtf_status mtf_policy_encode_signed(const mtf_policy *policy, const mtf_policy_keys *keys,
                                    mtf_buf *record, mtf_err *err) MTF_NODISCARD;
/** mtf_policy_encode and the signature the policy was decoded with, if any: the bytes it came in,
 *  where this program made them. */
mtf_status mtf_policy_encode_as_read(const mtf_policy *policy, mtf_buf *record,
                                     mtf_err *err) MTF_NODISCARD;
/** MTF_CORRUPT: err->msg begins "policy record: unsigned: " or "policy record: bad_signature: ".
 *  Looks at nothing but the signature: mtf_policy_decode does the rest. */
mtf_status mtf_policy_verify(const mtf_policy_keys *keys, mtf_span record,
                             mtf_err *err) MTF_NODISCARD;

#endif
