/** Random relatives of a schema of ours: what a producer may write that we must read. */
#ifndef MTF_TESTS_EVOLVE_H
#define MTF_TESTS_EVOLVE_H

#include "core/rng.h"

#include <jansson.h>

/** A reader's variant of the schema: every field gets the alias old_<name>, every record Old<Name>,
 *  and most fields of simple types a default, so that a writer may drop them. New reference. */
json_t *mtf_reader_variant(const json_t *schema);

/** A writer's schema that resolves against the reader's: fields shuffled, renamed to an alias,
 * added (any type, recursive ones too), dropped where the reader has a default; types demoted to
 * what promotes to them, wrapped into unions; branches and symbols shuffled and added. New
 * reference. */
json_t *mtf_evolve(mtf_rng *rng, const json_t *reader);

#endif
