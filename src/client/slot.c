/* The policy in force, swapped under its readers without their waiting.
 *
 *    current   1 + the cell of the policy in force; 0: nothing was put yet
 *    cells     { holders, policy } x 8       never freed while the slot lives
 *
 *  acquire   c = current; cells[c].holders++; current == c ?  the cell's policy : holders--, again
 *  put       into a cell without policy: the policy; current = that cell; then every other cell's
 *            policy that has no holders is freed
 *
 * Counting before the second look is what makes it safe. The count lies in the cell, which is
 * always there, and all these operations are sequentially consistent: either the second look comes
 * before the put that replaces the policy, then that put and those after it see the count; or it
 * comes after, then the reader sees another current and backs off without having touched the
 * policy. Where cell c was replaced and became current again between the two looks, what it holds
 * now is current and counted all the same. */
#include "client/face.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "client/policy.h"

#define LINE_BYTES 64

typedef struct slot_cell {
    _Alignas(LINE_BYTES) _Atomic uint64_t holders;
    _Atomic(const mtf_policy *) policy; /* NULL: free; changed under the lock, with no holders */
} slot_cell;

struct mtf_slot {
    slot_cell cells[MTF_SLOT_CELLS];
    _Alignas(LINE_BYTES) _Atomic uint32_t current;
    _Alignas(LINE_BYTES) pthread_mutex_t lock; /* among those who put */
};

mtf_slot *mtf_slot_new(void)
{
    mtf_slot *slot = aligned_alloc(LINE_BYTES, sizeof *slot);
    if (!slot) return NULL;
    memset(slot, 0, sizeof *slot);
    if (pthread_mutex_init(&slot->lock, NULL) == 0) return slot;
    free(slot);
    return NULL;
}

void mtf_slot_free(mtf_slot *slot)
{
    if (!slot) return;
    for (uint32_t i = 0; i < MTF_SLOT_CELLS; i++) {
        MTF_ASSERT(atomic_load(&slot->cells[i].holders) == 0);
        mtf_policy_free((mtf_policy *)atomic_load(&slot->cells[i].policy));
    }
    pthread_mutex_destroy(&slot->lock);
    free(slot);
}

/* Frees what is neither current nor held; returns an empty cell, MTF_SLOT_CELLS when there is none.
 * A cell that is not current gets no new holders: who counts itself in then backs off. */
static uint32_t sweep(mtf_slot *slot)
{
    const uint32_t current = atomic_load(&slot->current);
    uint32_t empty = MTF_SLOT_CELLS;
    for (uint32_t i = 0; i < MTF_SLOT_CELLS; i++) {
        slot_cell *cell = &slot->cells[i];
        if (i + 1 == current) continue;
        if (atomic_load(&cell->policy)) {
            if (atomic_load(&cell->holders) != 0) continue;
            mtf_policy_free((mtf_policy *)atomic_exchange(&cell->policy, NULL));
        }
        empty = i;
    }
    return empty;
}

mtf_status mtf_slot_put(mtf_slot *slot, mtf_policy *policy, mtf_err *err)
{
    MTF_ASSERT(policy != NULL && policy->actor != NULL);
    pthread_mutex_lock(&slot->lock);
    const uint32_t empty = sweep(slot);
    if (empty < MTF_SLOT_CELLS) {
        atomic_store(&slot->cells[empty].policy, policy);
        atomic_store(&slot->current, empty + 1);
        sweep(slot);
    }
    pthread_mutex_unlock(&slot->lock);
    if (empty < MTF_SLOT_CELLS) return MTF_OK;
    return mtf_fail(err, MTF_AGAIN,
                    "policy slot: readers hold the policies of all %d cells; does every request "
                    "release what it acquired?",
                    MTF_SLOT_CELLS);
}

const mtf_policy *mtf_slot_acquire(mtf_slot *slot)
{
    for (;;) {
        const uint32_t current = atomic_load(&slot->current);
        if (current == 0) return NULL;
        slot_cell *cell = &slot->cells[current - 1];
        atomic_fetch_add(&cell->holders, 1);
        if (atomic_load(&slot->current) == current) return atomic_load(&cell->policy);
        atomic_fetch_sub(&cell->holders, 1);
    }
}

void mtf_slot_release(mtf_slot *slot, const mtf_policy *policy)
{
    if (!policy) return;
    uint32_t i = 0; /* while it is held no cell but its own has its address */
    while (i < MTF_SLOT_CELLS && atomic_load(&slot->cells[i].policy) != policy) i++;
    MTF_ASSERT(i < MTF_SLOT_CELLS); /* else released twice, or not of this slot */
    const uint64_t before = atomic_fetch_sub(&slot->cells[i].holders, 1);
    MTF_ASSERT(before > 0);
}
