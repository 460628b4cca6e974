/** The CRC-64-AVRO of the parsing canonical forms of schemas/, which is what single-object frames
 *  carry. Held to the schemas by tests/ingest/test_schema.c, to fastavro by
 *  tests/ingest/golden.py, which prints them (the hex there is of the little-endian bytes). */
#ifndef MTF_FINGERPRINTS_H
#define MTF_FINGERPRINTS_H

#define MTF_FINGERPRINT_EVENT   0x814bcae99a43d1f3u
#define MTF_FINGERPRINT_SESSION 0x3add85873c37d095u
#define MTF_FINGERPRINT_POLICY  0x266e3090a511a226u
#define MTF_FINGERPRINT_REPLAY  0x13cd589261d12963u

#endif
