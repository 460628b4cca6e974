/** User ids replaced by a keyed hash as they are read, so that no session, topic key or store row
 *  holds a raw one: the first 128 bits of HMAC-SHA256 in lower-case hex. Equal ids stay equal under
 *  one key; without the key nobody can tell which id a hash was made of, not even by trying all.
 *  A mtf_user_key is used by one thread at a time. */
#ifndef MTF_INGEST_USER_KEY_H
#define MTF_INGEST_USER_KEY_H

#include "core/bytes.h"

#define MTF_USER_HASH_CHARS     32 /* no NUL behind */
#define MTF_USER_KEY_NAME_CHARS 17

typedef struct mtf_user_key mtf_user_key;

/** path is the setting privacy.user_key_file; NULL or "": *key is NULL and ids stay as they are.
 *  The file holds 32 to 128 hex digits (openssl rand -hex 32), not open to others than owner and
 *  group. MTF_INVALID names setting, file and remedy, never what the file holds. */
mtf_status mtf_user_key_open(const char *path, mtf_user_key **key, mtf_err *err) MTF_NODISCARD;
/** Wipes it; takes NULL. */
void mtf_user_key_close(mtf_user_key *key);

/** No allocation of ours. MTF_NOMEM: libcrypto failed. */
mtf_status mtf_user_key_hash(mtf_user_key *key, mtf_str user_id, char hash[MTF_USER_HASH_CHARS],
                             mtf_err *err) MTF_NODISCARD;
/** 16 hex digits that tell keys apart and nothing about them; NUL-terminated, borrowed. */
const char *mtf_user_key_name(const mtf_user_key *key);

#endif
