/** Backups of a store: whole, consistent in themselves, also of one that a learner works on.
 *
 *  Nobody but its holder can take a consistent view of a RocksDB folder, so the holder does:
 *
 *    backup:  writes <path>/snapshot.wanted, waits
 *    learner: sees it, makes <path>/snapshot of hard links (milliseconds), removes snapshot.wanted;
 *             on failure leaves the words in <path>/snapshot.failed instead
 *    backup:  copies snapshot to DIR.tmp, fsyncs, renames to DIR, removes snapshot
 *
 *  Without a learner the backup opens the store and plays both parts. A backup has the layout of a
 *  store: db and checkpoints. */
#ifndef MTF_STORE_COPY_H
#define MTF_STORE_COPY_H

#include <stdatomic.h>

#include "learner/store.h"

/** The holder's part: has a snapshot been asked for, it is made. Cheap to call often: it looks at
 *  most every 200 ms. Only the thread that writes the store and its checkpoints may call it.
 *  MTF_CLOSED: one was made; MTF_OK: none asked for. A failure is told to the asker too and leaves
 *  the store as it was. */
mtf_status mtf_store_answer(mtf_store *store, mtf_err *err) MTF_NODISCARD;

/** Makes `to`, which must not be there; a failed one leaves nothing of that name. Waits up to
 *  wait_ms for a learner that holds the store (a round's evaluation takes its time); stop may be
 *  NULL. MTF_AGAIN: it did not answer; MTF_CLOSED: *stop. */
mtf_status mtf_store_backup(const char *path, const char *to, int64_t wait_ms,
                            const atomic_bool *stop, mtf_err *err) MTF_NODISCARD;
/** Copies a backup to `path`, in place of a store that is there if force. A crash leaves the old
 *  store or the new one: what is begun is finished at the next open (mtf_store_finish_restore).
 *  Verify `from` first. MTF_INVALID: there is a store and no force, or no backup. MTF_IO: a learner
 *  holds the store. None can open it meanwhile. */
mtf_status mtf_store_restore(const char *path, const char *from, bool force,
                             mtf_err *err) MTF_NODISCARD;
/** Puts a restored copy that lies ready into its place; nothing to do is fine. Only with the store
 *  locked. */
mtf_status mtf_store_finish_restore(const char *path, mtf_err *err) MTF_NODISCARD;

#endif
