/** Random valid bytes of a schema, in the ways the format allows: arrays and maps in several
 * blocks, with and without byte sizes. */
#ifndef MTF_TESTS_RANDOM_VALUE_H
#define MTF_TESTS_RANDOM_VALUE_H

#include "core/rng.h"
#include "ingest/avro_schema.h"

/** Appends a value. Types whose name begins with "Never" and symbols that begin with "NEVER_" are
 * not chosen where there is a choice. ints are >= 0. */
void mtf_random_value(mtf_rng *rng, const mtf_schema_node *node, unsigned depth, mtf_buf *out);

#endif
