/** What every test of this folder begins with. */
#ifndef MTF_TESTS_INGEST_TEST_H
#define MTF_TESTS_INGEST_TEST_H

#include "core/avro.h"
#include "core/file.h"
#include "core/rng.h"
#include "support/mtf_test.h"

#include <unistd.h>

/** A file of golden/; the caller's. */
static inline mtf_buf read_golden(const char *name)
{
    mtf_buf content = {0};
    mtf_err err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/tests/ingest/golden/%s", MTF_SOURCE_DIR, name);
    if (mtf_file_read(path, 1 << 20, &content, &err) != MTF_OK) fail_msg("%s", err.msg);
    return content;
}

#endif
