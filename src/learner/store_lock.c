/* Locks of an open file description (F_OFD_*) are Linux's, and not in POSIX. */
#define _GNU_SOURCE
#include "learner/store_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define PID_BYTES  16

/** -1 with errno. */
static int open_lock(const char *path, int flags)
{
    char name[PATH_BYTES];
    if ((size_t)snprintf(name, sizeof name, "%s/lock", path) >= sizeof name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(name, flags | O_CLOEXEC, 0644);
}

mtf_status mtf_store_lock(const char *path, int *lock, mtf_err *err)
{
    char pid[PID_BYTES + 1];
    struct flock wish = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int fd = open_lock(path, O_RDWR | O_CREAT);
    *lock = -1;
    if (fd < 0) return mtf_fail(err, MTF_IO, "store %.200s/lock: %s", path, strerror(errno));
    if (fcntl(fd, F_OFD_SETLK, &wish) != 0) {
        const bool held = errno == EAGAIN || errno == EACCES;
        const char *why = strerror(errno);
        close(fd);
        return held ? mtf_fail(err, MTF_FENCED,
                               "store %.200s: another learner uses it; stop that one, or set "
                               "another store.path",
                               path)
                    : mtf_fail(err, MTF_IO, "lock %.200s/lock: %s", path, why);
    }
    /* For error messages alone: on a full disk they name no process. */
    snprintf(pid, sizeof pid, "%-*ld", PID_BYTES, (long)getpid());
    (void)!pwrite(fd, pid, PID_BYTES, 0);
    *lock = fd;
    return MTF_OK;
}

void mtf_store_unlock(int lock)
{
    if (lock >= 0) close(lock);
}

pid_t mtf_store_holder(const char *path)
{
    char text[PID_BYTES + 1] = {0};
    struct flock wish = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int fd = open_lock(path, O_RDONLY);
    if (fd < 0) return 0;
    const bool asked = fcntl(fd, F_OFD_GETLK, &wish) == 0;
    const bool read = pread(fd, text, PID_BYTES, 0) > 0;
    close(fd);
    if (!asked || wish.l_type == F_UNLCK) return 0;
    const long pid = read ? strtol(text, NULL, 10) : 0;
    return pid > 0 ? (pid_t)pid : -1;
}
