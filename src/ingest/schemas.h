/** The schemas of schemas/ as compiled into the binary (NUL-terminated JSON), and the CRC-64-AVRO
 * of their parsing canonical forms, which is what single-object frames carry. */
#ifndef MTF_INGEST_SCHEMAS_H
#define MTF_INGEST_SCHEMAS_H

#include <stdint.h>

extern const char mtf_schema_event[];
extern const char mtf_schema_session[];
extern const char mtf_schema_policy[];
extern const char mtf_schema_replay[];

/* Held to the schemas by tests/ingest/test_schema.c, to fastavro by
 * tests/ingest/golden.py, which prints them (the hex there is of the little-endian bytes). */
#define MTF_FINGERPRINT_EVENT   0x814bcae99a43d1f3u
#define MTF_FINGERPRINT_SESSION 0x3add85873c37d095u
#define MTF_FINGERPRINT_POLICY  0x266e3090a511a226u
#define MTF_FINGERPRINT_REPLAY  0x13cd589261d12963u

#endif
