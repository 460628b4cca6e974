/** Bytes of the topics -> events and sessions: framing, the catalogue of writers' schemas, a plan
 * per schema (made at its first record), validation. One decoder is used by one thread. */
#ifndef MTF_INGEST_DECODER_H
#define MTF_INGEST_DECODER_H

#include "core/codec.h"
#include "core/validate.h"

/** How an exploration event says its writer's schema. Sessions are always single-object. */
typedef enum mtf_framing {
    MTF_FRAMING_SINGLE_OBJECT, /* C3 01, fingerprint */
    MTF_FRAMING_CONFLUENT,     /* 00, u32 big-endian id: <id>.avsc of the directory */
    MTF_FRAMING_RAW            /* nothing: the pinned schema */
} mtf_framing;

typedef struct mtf_decoder_config {
    const char *directory; /* of *.avsc beside the built-in schemas; NULL or "": none */
    mtf_framing framing;
    const char *pinned; /* path; RAW only */
    mtf_dims dims;
    const char *user_key_file; /* NULL or "": the events' user ids stay as they are; user_key.h */
} mtf_decoder_config;

/** "single-object", "confluent" or "raw" (setting schema.framing). MTF_INVALID lists them. */
mtf_status mtf_framing_parse(const char *text, mtf_framing *framing, mtf_err *err) MTF_NODISCARD;

typedef struct mtf_decoder mtf_decoder;

/** MTF_INVALID: a file that is no schema or no key, or no pinned schema; MTF_IO: unreadable. Files
 * are read here and never again. */
mtf_status mtf_decoder_open(const mtf_decoder_config *config, mtf_decoder **decoder,
                            mtf_err *err) MTF_NODISCARD;
/** Takes NULL. Records that were decoded may point into the decoder: close it after the last. */
void mtf_decoder_close(mtf_decoder *decoder);

/** The decoder's version, the user key's name, framing and dims, for the hash of everything that
 * changes what a log gives: text that lives as long as the decoder. */
const char *mtf_decoder_name(const mtf_decoder *decoder);

/** What the stages take; self is the decoder, which stays the caller's. */
mtf_event_decoder mtf_decoder_events(mtf_decoder *decoder);
mtf_session_decoder mtf_decoder_sessions(mtf_decoder *decoder);

/** Adds a writer's schema to the catalogue (nothing happens if it is known). MTF_INVALID as
 *  mtf_schema_parse. */
mtf_status mtf_decoder_add(mtf_decoder *decoder, const char *text, size_t size,
                           uint64_t *fingerprint, mtf_err *err) MTF_NODISCARD;

#endif
