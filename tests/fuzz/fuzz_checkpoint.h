/** The learner whose checkpoints fuzz_checkpoint reads: small, so that inputs are. */
#ifndef MTF_TESTS_FUZZ_CHECKPOINT_H
#define MTF_TESTS_FUZZ_CHECKPOINT_H

#include "learner/algorithm.h"

static inline mtf_algorithm_config fuzz_learner(void)
{
    return (mtf_algorithm_config){.state_dim = 1,
                                  .action_dim = 1,
                                  .hidden = 2,
                                  .critics = 1,
                                  .batch = 1,
                                  .threads = 1,
                                  .target_every = 15,
                                  .seed = 1,
                                  .steps = 10,
                                  .gamma = 0.9,
                                  .eta = 1.2,
                                  .beta = 0.3,
                                  .lambda = 0.2,
                                  .delta = 1,
                                  .soft_update = 0.08,
                                  .actor_lr = 3e-4,
                                  .critic_lr = 1e-3,
                                  .lr_final = 0.05,
                                  .actor_clip = 10,
                                  .critic_clip = 100,
                                  .iql = {0.7, 3, 100}};
}

#endif
