/** Named places where a test may have the process killed, as by `kill -9`, so that recovery is
 *  tested where it is hardest. The environment picks one: MTF_FAULT_POINT=NAME, or NAME@MS to
 *  leave it alone until that wall-clock time (ms since the epoch). Unset, a point costs one getenv,
 *  so points stand at commits and rounds; who has one at records asks mtf_fault_armed
 *  beforehand.
 *
 *    sessionize.begin        a unit's first output is about to be put out
 *    sessionize.put          a session record was given to the producer
 *    sessionize.offsets      all output is given, the positions not yet
 *    sessionize.commit       positions are in the transaction, the commit not yet sent
 *    sessionize.committed    the brokers committed, we do not know it yet
 *    sessionize.revoke       partitions are being taken away, nothing committed for them yet
 *    sessionize.replay       a partition's state is being rebuilt
 *    learn.commit            rows and positions are batched, not yet written
 *    learn.committed         they are written
 *    learn.checkpoint        a checkpoint is written beside the old one, not yet renamed
 *    learn.trained           a round is trained, the gate not yet asked
 *    learn.gated             the verdict and the record are stored, nothing published
 *    learn.publish           the record is in a transaction, the commit not yet sent
 *    learn.published         it is published, the store does not say so yet
 *    learn.ended             the store says so, the round's files are not yet settled
 *    replay.commit           records are put back with their marks, the commit not yet sent
 *    replay.committed        the brokers committed, we do not know it yet
 */
#ifndef MTF_FAULT_H
#define MTF_FAULT_H

#include <stdbool.h>

/** Whether the environment names a point at all: for who passes one more often than at commits, to
 *  ask once. */
bool mtf_fault_armed(void);
/** Never returns if the environment names this point and its time has come. */
void mtf_fault_point(const char *name);

#endif
