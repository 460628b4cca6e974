/** The second opinion: Avro C's generic reader reads the bytes by the writer's schema, and this
 * maps its values to ours by field name, alias and default, apart from the plan's code. */
#ifndef MTF_TESTS_ORACLE_H
#define MTF_TESTS_ORACLE_H

#include "ingest/shape.h"

#include <avro.h>

/** Whether the structure holds what the value says; names the field where not (a static place). */
bool mtf_oracle_agrees(const mtf_schema_node *reader, const mtf_shape *shape, const void *record,
                       const avro_value_t *value, const char **field);

#endif
