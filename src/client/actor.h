/** A policy packed for serving: what mtf_policy_act computes, within 1e-6, at the speed at which
 *  the weights can be read. Immutable once made: any number of threads may act with it, and acting
 *  allocates nothing.
 *
 *  Weights lie transposed in tiles, so that one input's weights for 64 outputs are neighbours, and
 *  inputs that a ReLU set to 0 are never read. The arithmetic is compiled for AVX-512, AVX2 and
 *  whatever the compiler's default is; the widest that the CPU has is chosen when the actor is
 * made. */
#ifndef MTF_CLIENT_ACTOR_H
#define MTF_CLIENT_ACTOR_H

#include "client/policy.h"
#include "client/simd.h"

typedef struct mtf_actor mtf_actor;

/** Copies what it needs of the policy. NULL when out of memory. */
mtf_actor *mtf_actor_new(const mtf_policy *policy);
/** As mtf_actor_new, with an instruction set at most as wide as `widest`: for tests and benches. */
mtf_actor *mtf_actor_new_for(const mtf_policy *policy, mtf_simd widest);
void mtf_actor_free(mtf_actor *actor);

/** action (A) out in [-1,1] from raw state (S); missing features (NaN) count as the mean. */
void mtf_actor_run(const mtf_actor *actor, const float *state, float *action);
/** As mtf_policy_act_items (features may be NULL where the policy knows of none): what the items
 * share of their states is multiplied once. */
void mtf_actor_run_items(const mtf_actor *actor, const float *state, uint32_t items,
                         const float *features, const float *predictions, float *actions);
mtf_simd mtf_actor_simd(const mtf_actor *actor);
/** Bytes of weights that one act reads at most. */
size_t mtf_actor_bytes(const mtf_actor *actor);

#endif
