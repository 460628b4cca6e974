#define _XOPEN_SOURCE 700 /* nftw */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

mtf_status mtf_file_read(const char *path, size_t bytes_max, mtf_buf *buf, mtf_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const mtf_status status = errno == ENOENT ? MTF_INVALID : MTF_IO;
        return mtf_fail(err, status, "open %s: %s", path, strerror(errno));
    }
    const size_t start = buf->size;
    mtf_status status = MTF_OK;
    uint8_t chunk[1 << 16];
    for (;;) {
        const ssize_t got = read(fd, chunk, sizeof chunk);
        if (got == 0) break;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            status = mtf_fail(err, MTF_IO, "read %s: %s", path, strerror(errno));
            break;
        }
        mtf_buf_put(buf, chunk, (size_t)got);
        if (buf->failed || buf->size - start > bytes_max) {
            status = mtf_fail(err, MTF_IO, "%s is larger than %zu bytes", path, bytes_max);
            break;
        }
    }
    close(fd);
    return status;
}

static mtf_status check_key_file(int fd, const char *path, mtf_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) return mtf_fail(err, MTF_IO, "stat %s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) return mtf_fail(err, MTF_INVALID, "%s is a folder", path);
    if (info.st_mode & S_IRWXO) {
        return mtf_fail(err, MTF_INVALID,
                        "%s holds a key and anyone on this machine may open it (mode %03o); "
                        "chmod o-rwx it",
                        path, (unsigned)info.st_mode & 0777);
    }
    return MTF_OK;
}

mtf_status mtf_file_read_key(const char *path, uint8_t *bytes, size_t capacity, size_t *size,
                             mtf_err *err)
{
    uint8_t more;
    *size = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return mtf_fail(err, MTF_INVALID, "open %s: %s", path, strerror(errno));
    mtf_status status = check_key_file(fd, path, err);
    while (status == MTF_OK) {
        const bool full = *size == capacity;
        const ssize_t got = full ? read(fd, &more, 1) : read(fd, bytes + *size, capacity - *size);
        if (got == 0) break;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            status = mtf_fail(err, MTF_IO, "read %s: %s", path, strerror(errno));
        else if (full)
            status = mtf_fail(err, MTF_INVALID, "%s is no key file: larger than %zu bytes", path,
                              capacity);
        else
            *size += (size_t)got;
    }
    close(fd);
    if (status == MTF_OK && *size == 0) status = mtf_fail(err, MTF_INVALID, "%s is empty", path);
    return status;
}

static mtf_status write_all(int fd, mtf_span content, const char *path, mtf_err *err)
{
    while (content.size > 0) {
        const ssize_t put = write(fd, content.data, content.size);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return mtf_fail(err, MTF_IO, "write %s: %s", path, strerror(errno));
        content.data += put;
        content.size -= (size_t)put;
    }
    return MTF_OK;
}

/** Writes what can be no temporary file's target: /dev/stdout, a pipe. */
static mtf_status write_through(const char *path, mtf_span content, mtf_err *err)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return mtf_fail(err, MTF_IO, "open %s: %s", path, strerror(errno));
    const mtf_status status = write_all(fd, content, path, err);
    close(fd);
    return status;
}

static mtf_status sync_folder_of(const char *path, mtf_err *err)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    const size_t size = slash ? (size_t)(slash - path) : 0;
    if (size >= sizeof folder) return mtf_fail(err, MTF_INVALID, "path too long: %s", path);
    memcpy(folder, path, size);
    folder[size] = '\0';
    const int fd = open(!slash ? "." : size ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return mtf_fail(err, MTF_IO, "open the folder of %s: %s", path, strerror(errno));
    const int failed = fsync(fd);
    close(fd);
    return failed ? mtf_fail(err, MTF_IO, "fsync the folder of %s: %s", path, strerror(errno))
                  : MTF_OK;
}

mtf_status mtf_file_replace(const char *path, mtf_span content, mtf_err *err)
{
    char temporary[4096];
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) return write_through(path, content, err);
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >= sizeof temporary) {
        return mtf_fail(err, MTF_INVALID, "path too long: %s", path);
    }
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return mtf_fail(err, MTF_IO, "create %s: %s", temporary, strerror(errno));
    mtf_status status = write_all(fd, content, temporary, err);
    if (status == MTF_OK && fsync(fd) != 0)
        status = mtf_fail(err, MTF_IO, "fsync %s: %s", temporary, strerror(errno));
    close(fd);
    if (status == MTF_OK && rename(temporary, path) != 0) {
        status = mtf_fail(err, MTF_IO, "rename %s to %s: %s", temporary, path, strerror(errno));
    }
    if (status != MTF_OK) {
        unlink(temporary);
        return status;
    }
    return sync_folder_of(path, err);
}

mtf_status mtf_folder_make(const char *path, mtf_err *err)
{
    char part[4096];
    const size_t size = strlen(path);
    if (size == 0 || size >= sizeof part)
        return mtf_fail(err, MTF_INVALID, "bad folder '%s'", path);
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST) {
            return mtf_fail(err, MTF_IO, "make folder %s: %s", part, strerror(errno));
        }
        struct stat info;
        if (stat(part, &info) != 0 || !S_ISDIR(info.st_mode)) {
            return mtf_fail(err, MTF_IO, "make folder %s: a file of that name is in the way", part);
        }
    }
    return MTF_OK;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

mtf_status mtf_folder_remove(const char *path, mtf_err *err)
{
    struct stat info;
    if (lstat(path, &info) != 0 && errno == ENOENT) return MTF_OK;
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        return mtf_fail(err, MTF_IO, "remove %s: %s", path, strerror(errno));
    }
    return MTF_OK;
}
