/** The learners to compare with, by themselves; docs/learning.md says what each computes. */
#ifndef MTF_LEARNER_RIVALS_H
#define MTF_LEARNER_RIVALS_H

#include "learner/algorithm.h"

extern const mtf_algorithm_ops mtf_td3bc_ops;   /* arXiv:2106.06860 */
extern const mtf_algorithm_ops mtf_iql_ops;     /* arXiv:2110.06169 */
extern const mtf_algorithm_ops mtf_cql_sac_ops; /* arXiv:2006.04779 */
extern const mtf_algorithm_ops mtf_batchrl_ops; /* arXiv:2208.04560; its policy is no network */

#endif
