/** What the tests of the learner's data share: small settings and sessions of a world whose truth
 * is known. States are S = 4 normals; a request shows two items; its reward is 1 + 0.5 s_0 + slope
 * . (action) + noise, carried by the first item's signal "valid". */
#ifndef MTF_DATA_FIXTURE_H
#define MTF_DATA_FIXTURE_H

#include "core/rng.h"
#include "core/settings.h"
#include "learner/store.h"
#include "support/mtf_test.h"

enum { DATA_S = 4, DATA_A = 2, DATA_P = 2, DATA_K = 2, DATA_STEPS_MAX = 8 };

typedef struct data_world {
    uint64_t seed;
    double slope[DATA_A], noise;
    float half_width; /* of the exploration box; 0: none */
    int64_t version;
    int64_t start_ms; /* of the first session */
    const float *bp;  /* (A,) the champion's constant action; NULL: 0 */
    mtf_bucket bucket;
} data_world;

/** A session with memory of its own. */
typedef struct data_session {
    mtf_session session;
    char user[32];
    mtf_step steps[DATA_STEPS_MAX];
    mtf_item items[DATA_STEPS_MAX][2];
    mtf_signal signals[DATA_STEPS_MAX][2][DATA_K];
    float floats[DATA_STEPS_MAX][DATA_S + 4 * DATA_A + 2 * DATA_P];
} data_session;

/** Settings of that shape, tiny networks, few steps; store.path = folder/store. */
void data_settings(mtf_settings *settings, const char *folder);
void data_set(mtf_settings *settings, const char *key, const char *value);
mtf_reward data_reward(const mtf_settings *settings);
mtf_row_shape data_shape(void);
/** Opens the store of the settings; fails the test when it cannot. */
mtf_store *data_store(const mtf_settings *settings);

/** Session number `index` of the world: 1 to 6 steps of user index / 3, truly ended. */
void data_session_make(const data_world *world, uint64_t index, data_session *out);
/** Puts all rows of a session, as record `offset` of partition 0; no commit. */
void data_session_store(mtf_store *store, const mtf_settings *settings, const mtf_session *session,
                        int64_t offset);
/** `count` sessions from number `first` on at offsets of the same numbers, committed with their
 *  position. Returns the rows. */
int64_t data_fill(mtf_store *store, const mtf_settings *settings, const data_world *world,
                  uint64_t first, uint64_t count);

#endif
