/** The learn stage: session records -> transitions in the store, rounds in between. One thread. */
#ifndef MTF_LEARN_H
#define MTF_LEARN_H

#include "core/board.h"
#include "core/codec.h"
#include "core/metrics.h"
#include "core/pipe.h"
#include "learner/rounds.h"

/** Since the stage opened; other threads may read. */
typedef struct mtf_learn_metrics {
    mtf_counter records, sessions, rows, duplicates, bad, lost, commits;
    mtf_counter champion, rounds;
} mtf_learn_metrics;

typedef struct mtf_learn_config {
    const mtf_settings *settings;
    mtf_source *source; /* assigns every partition of the sessions topic */
    const mtf_session_decoder *decoder;
    mtf_sink *dead_letters; /* may be NULL: bad records are only counted */
    const char *cluster_id; /* of the source; "" if it is no cluster */
    mtf_round_hooks hooks;
    const mtf_log *log;      /* may be NULL */
    mtf_board *board;        /* may be NULL: nobody looks */
    const atomic_bool *stop; /* may be NULL */
    bool accept_loss;        /* go on past records that are gone: --accept-loss */
    bool continuous;         /* offsets must have no gaps: true unless producers use transactions */
    uint64_t checkpoint_every; /* steps; 0: the default */
} mtf_learn_config;

typedef struct mtf_learn mtf_learn;

/** Opens the store (settings store.path) and the rounds. Errors: mtf_store_open's,
 * mtf_rounds_open's and MTF_INVALID for reward or action settings. */
mtf_status mtf_learn_open(const mtf_learn_config *config, mtf_learn **learn,
                          mtf_err *err) MTF_NODISCARD;
void mtf_learn_close(mtf_learn *learn);

/** Runs until told to stop, until round.max_rounds rounds ended, or until a finite source is
 * drained: MTF_OK. MTF_CORRUPT: the topic is not the one the store has read, or records are missing
 * (says the remedy). Others: of source, sink, store and hooks; everything committed stays. */
mtf_status mtf_learn_run(mtf_learn *learn, mtf_err *err) MTF_NODISCARD;
/** One poll and what follows from it, for a caller with its own loop. *done: run would return. */
mtf_status mtf_learn_step(mtf_learn *learn, int timeout_ms, bool *done, mtf_err *err) MTF_NODISCARD;

/** Borrowed. The store is for looking; from the learner's thread only. */
const mtf_learn_metrics *mtf_learn_metrics_of(const mtf_learn *learn);
const mtf_store *mtf_learn_store(const mtf_learn *learn);
int64_t mtf_learn_rounds_ended(const mtf_learn *learn);

#endif
