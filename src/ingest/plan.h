/** Decoding one record by a plan: the writer's schema resolved against ours once, into short lists
 * of operations that skip, copy into our structures, or fill in defaults.
 *
 *  Resolution follows "Schema Resolution" of the Avro 1.11 specification, but names of types
 *  matter only where a branch of a union (the writer's or ours) is chosen: elsewhere records, enums
 * and fixed match by what is in them. */
#ifndef MTF_INGEST_PLAN_H
#define MTF_INGEST_PLAN_H

#include "ingest/shape.h"

#define MTF_PLAN_BYTES_MAX  (16u << 20) /* of one record */
#define MTF_PLAN_MEMORY_MAX (64u << 20) /* taken from the arena for one record */
#define MTF_PLAN_DEPTH_MAX  200u        /* nested records and unions of one record */
#define MTF_PLAN_OPS_MAX    100000u

typedef struct mtf_plan mtf_plan;

/** MTF_INVALID: data of the writer cannot be read into the shape; the words begin with "schema: ".
 *  reader is our schema and fits shape (mtf_shape_check). Both schemas outlive the plan; the plan
 * is immutable. Free with mtf_plan_free (takes NULL). */
mtf_status mtf_plan_compile(const mtf_schema *writer, const mtf_schema *reader,
                            const mtf_shape *shape, mtf_plan **plan, mtf_err *err) MTF_NODISCARD;
void mtf_plan_free(mtf_plan *plan);

/** Reads one record at *reader into the structure. What it points to lives in the arena, in the
 *  reader's bytes or in the plan (defaults). Never reads past the bytes, whatever they are.
 *  MTF_SKIP: "decode: " or "schema: " and where; never a byte of content. MTF_NOMEM: the heap. */
mtf_status mtf_plan_run(const mtf_plan *plan, mtf_reader *reader, mtf_arena *arena, void *record,
                        mtf_err *err) MTF_NODISCARD;

#endif
