/** The schemas of schemas/ as compiled into the binary (NUL-terminated JSON). */
#ifndef MTF_INGEST_SCHEMAS_H
#define MTF_INGEST_SCHEMAS_H

#include "core/fingerprints.h"

extern const char mtf_schema_event[];
extern const char mtf_schema_session[];
extern const char mtf_schema_policy[];
extern const char mtf_schema_replay[];

#endif
