/** Any bytes through the decoder, as event and as session, by the schema that the first byte names;
 * what decodes must encode and decode again to the same bytes. */
#include "core/avro.h"
#include "fuzz/fuzz.h"
#include "fuzz/fuzz_decode.h"
#include "ingest/decoder.h"
#include "core/encode.h"
#include "ingest/schemas.h"

static mtf_decoder *open_decoder(uint64_t fingerprints[MTF_FUZZ_WRITERS])
{
    mtf_decoder *decoder;
    MTF_ASSERT(mtf_decoder_open(&(mtf_decoder_config){0}, &decoder, NULL) == MTF_OK);
    fingerprints[0] = MTF_FINGERPRINT_EVENT;
    fingerprints[1] = MTF_FINGERPRINT_SESSION;
    for (int i = 2; i < MTF_FUZZ_WRITERS; i++) {
        const char *text = mtf_fuzz_schemas[i - 2];
        MTF_ASSERT(mtf_decoder_add(decoder, text, strlen(text), &fingerprints[i], NULL) == MTF_OK);
    }
    return decoder;
}

static void try_event(mtf_decoder *decoder, mtf_span value, mtf_arena *arena)
{
    const mtf_event_decoder events = mtf_decoder_events(decoder);
    mtf_buf once = {0}, twice = {0};
    mtf_event event;
    if (events.decode(events.self, value, arena, &event, NULL) == MTF_OK) {
        MTF_ASSERT(mtf_event_encode(&event, &once, NULL) == MTF_OK);
        MTF_ASSERT(events.decode(events.self, mtf_buf_span(&once), arena, &event, NULL) == MTF_OK);
        MTF_ASSERT(mtf_event_encode(&event, &twice, NULL) == MTF_OK);
        MTF_ASSERT(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    }
    mtf_buf_fini(&once);
    mtf_buf_fini(&twice);
}

static void try_session(mtf_decoder *decoder, mtf_span value, mtf_arena *arena)
{
    const mtf_session_decoder sessions = mtf_decoder_sessions(decoder);
    mtf_buf once = {0}, twice = {0};
    mtf_session session;
    if (sessions.decode(sessions.self, value, arena, &session, NULL) == MTF_OK) {
        MTF_ASSERT(mtf_session_encode(&session, &once, NULL) == MTF_OK);
        MTF_ASSERT(once.size == mtf_session_encoded_bytes(&session));
        MTF_ASSERT(sessions.decode(sessions.self, mtf_buf_span(&once), arena, &session, NULL) ==
                   MTF_OK);
        MTF_ASSERT(mtf_session_encode(&session, &twice, NULL) == MTF_OK);
        MTF_ASSERT(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    }
    mtf_buf_fini(&once);
    mtf_buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static mtf_decoder *decoder; /* libFuzzer gives a target no other place to keep it */
    static uint64_t fingerprints[MTF_FUZZ_WRITERS];
    mtf_buf record = {0};
    mtf_arena arena = {0};
    if (size == 0) return 0;
    if (!decoder) decoder = open_decoder(fingerprints);
    mtf_avro_put_frame(&record, fingerprints[data[0] % MTF_FUZZ_WRITERS]);
    mtf_buf_put(&record, data + 1, size - 1);
    try_event(decoder, mtf_buf_span(&record), &arena);
    try_session(decoder, mtf_buf_span(&record), &arena);
    mtf_arena_fini(&arena);
    mtf_buf_fini(&record);
    return 0;
}
