/** Who may change a store's folder: whoever has locked <path>/lock, from before it looks whether
 *  there is a store until it has closed it. RocksDB's own lock lies in the folder `db`, which is
 *  made, and put in place by a restore, as a whole: it comes too late for that. */
#ifndef MTF_STORE_LOCK_H
#define MTF_STORE_LOCK_H

#include <sys/types.h>

#include "core/status.h"

/** Locks the store; its folder must be there. The lock belongs to *lock alone: other descriptors of
 *  the file, also of this process, neither share it nor let go of it. A process that ends lets go.
 *  MTF_FENCED: another has it; *lock is -1 then. MTF_IO. */
mtf_status mtf_store_lock(const char *path, int *lock, mtf_err *err) MTF_NODISCARD;
/** -1 is fine. */
void mtf_store_unlock(int lock);
/** The process that has the store open for writing, or restores it; 0: none, or no store; -1: one
 *  that has not said which it is. */
pid_t mtf_store_holder(const char *path);

#endif
