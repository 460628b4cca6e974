/** State that outlives a rebalance. An eager rebalance revokes everything, though most comes back:
 *  what is revoked stays in memory, as of its last commit, until the next assignment has been told.
 *  What comes back under the same commit goes on where it was; the rest is another member's. */
#include <stdlib.h>
#include <string.h>

#include "sessionize/stage.h"

static void drop(mtf_partition *partition)
{
    mtf_partition_drop(partition);
    free(partition);
}

void mtf_stage_park(mtf_sessionize *stage, mtf_partition *partition)
{
    MTF_ASSERT(!partition->dirty);
    if (!partition->machine) {
        drop(partition);
        return;
    }
    partition->at_end = false;
    partition->parked_ms = stage->now_ms;
    partition->parked_next = stage->parked;
    stage->parked = partition;
}

mtf_partition *mtf_stage_unpark(mtf_sessionize *stage, const mtf_input *input)
{
    mtf_partition **link = &stage->parked;
    while (*link && (*link)->id != input->partition) link = &(*link)->parked_next;
    mtf_partition *partition = *link;
    if (!partition) return NULL;
    *link = partition->parked_next;
    if (partition->committed_offset == input->committed_offset &&
        strcmp(partition->committed, input->metadata) == 0) {
        partition->pending = true;
        return partition;
    }
    drop(partition);
    return NULL;
}

void mtf_stage_drop_parked(mtf_sessionize *stage, int64_t before_ms)
{
    mtf_partition **link = &stage->parked;
    while (*link) {
        mtf_partition *partition = *link;
        if (partition->parked_ms >= before_ms) {
            link = &partition->parked_next;
            continue;
        }
        *link = partition->parked_next;
        drop(partition);
    }
}
