/** The fixed records behind tests/ingest/golden/: golden.py writes the same values with fastavro.
 */
#ifndef MTF_TESTS_SAMPLES_H
#define MTF_TESTS_SAMPLES_H

#include "core/session.h"

mtf_event mtf_sample_request(void);
mtf_event mtf_sample_feedback(void);
mtf_event mtf_sample_end(void);
mtf_session mtf_sample_session(void);

#endif
