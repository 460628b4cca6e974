/** A state schema as parsed, for state_schema.c and state.c only. */
#ifndef MTF_CLIENT_STATE_INSIDE_H
#define MTF_CLIENT_STATE_INSIDE_H

#include "client/face.h"

#define MTF_STATE_NAME_CHARS 48

typedef enum mtf_state_kind {
    MTF_STATE_NUMBER,
    MTF_STATE_ONEHOT,
    MTF_STATE_BUCKET,
    MTF_STATE_FLUSH,
    MTF_STATE_TOP,
    MTF_STATE_HISTORY
} mtf_state_kind;

typedef enum mtf_state_pool {
    MTF_STATE_COUNT,
    MTF_STATE_MEAN,
    MTF_STATE_DECAYED,
    MTF_STATE_RECENCY
} mtf_state_pool;

/** A category and which of its field's floats it is; a field's are sorted by text. */
typedef struct mtf_state_word {
    const char *text;
    uint32_t index;
} mtf_state_word;

typedef struct mtf_state_pooling {
    mtf_state_pool pool;
    double half_life_s; /* of decayed and recency */
} mtf_state_pooling;

typedef struct mtf_state_field {
    char name[MTF_STATE_NAME_CHARS];
    mtf_state_kind kind;
    uint32_t at, width; /* its floats in the state */
    uint32_t first;     /* of its words, edges or poolings in the schema's arrays */
    uint32_t list;      /* how many of them */
    uint32_t history;   /* of a history: which one */
    double number;      /* default, cap of flush, or k of top */
} mtf_state_field;

struct mtf_state_schema {
    uint32_t dim, field_count, history_count;
    char id[17];
    mtf_state_field *fields;
    char *text; /* cut up; words point into it */
    mtf_state_word words[MTF_STATE_MAX];
    double edges[MTF_STATE_MAX];
    mtf_state_pooling poolings[MTF_STATE_MAX];
    uint32_t word_count, edge_count, pooling_count;
};

#endif
