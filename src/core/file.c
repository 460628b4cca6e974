#define _XOPEN_SOURCE 700 /* nftw */
#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096

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

/** The rest of one file onto another. */
static mtf_status pour(int from, int to, const char *path, mtf_err *err)
{
    uint8_t chunk[1 << 16];
    for (;;) {
        const ssize_t got = read(from, chunk, sizeof chunk);
        if (got == 0) return MTF_OK;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return mtf_fail(err, MTF_IO, "read what goes to %s: %s", path, strerror(errno));
        const mtf_status status = write_all(to, (mtf_span){chunk, (size_t)got}, path, err);
        if (status != MTF_OK) return status;
    }
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

static mtf_status sync_folder(const char *path, mtf_err *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return mtf_fail(err, MTF_IO, "open folder %s: %s", path, strerror(errno));
    const int failed = fsync(fd);
    close(fd);
    return failed ? mtf_fail(err, MTF_IO, "fsync folder %s: %s", path, strerror(errno)) : MTF_OK;
}

static mtf_status sync_folder_of(const char *path, mtf_err *err)
{
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    const size_t size = slash ? (size_t)(slash - path) : 0;
    if (size >= sizeof folder) return mtf_fail(err, MTF_INVALID, "path too long: %s", path);
    memcpy(folder, path, size);
    folder[size] = '\0';
    return sync_folder(!slash ? "." : size ? folder : "/", err);
}

static mtf_status beside(const char *path, char temporary[PATH_BYTES], mtf_err *err)
{
    if ((size_t)snprintf(temporary, PATH_BYTES, "%s.tmp", path) < PATH_BYTES) return MTF_OK;
    return mtf_fail(err, MTF_INVALID, "path too long: %s", path);
}

/** Creates `path` with what write says, fsynced; a failed one is removed. */
static mtf_status create(const char *path, int flags, mtf_span content, int from, mtf_err *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    if (fd < 0) return mtf_fail(err, MTF_IO, "create %s: %s", path, strerror(errno));
    mtf_status status = from < 0 ? write_all(fd, content, path, err) : pour(from, fd, path, err);
    if (status == MTF_OK && fsync(fd) != 0)
        status = mtf_fail(err, MTF_IO, "fsync %s: %s", path, strerror(errno));
    if (close(fd) != 0 && status == MTF_OK)
        status = mtf_fail(err, MTF_IO, "close %s: %s", path, strerror(errno));
    if (status != MTF_OK) unlink(path);
    return status;
}

mtf_status mtf_file_write_beside(const char *path, mtf_span content, mtf_err *err)
{
    char temporary[PATH_BYTES];
    const mtf_status status = beside(path, temporary, err);
    return status ? status : create(temporary, O_TRUNC, content, -1, err);
}

mtf_status mtf_file_move(const char *from, const char *to, mtf_err *err)
{
    if (rename(from, to) != 0)
        return mtf_fail(err, MTF_IO, "rename %s to %s: %s", from, to, strerror(errno));
    return sync_folder_of(to, err);
}

mtf_status mtf_file_replace(const char *path, mtf_span content, mtf_err *err)
{
    char temporary[PATH_BYTES];
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) return write_through(path, content, err);
    mtf_status status = beside(path, temporary, err);
    if (status == MTF_OK) status = mtf_file_write_beside(path, content, err);
    if (status != MTF_OK) return status;
    status = mtf_file_move(temporary, path, err);
    if (status != MTF_OK) unlink(temporary);
    return status;
}

mtf_status mtf_file_copy(const char *from, const char *to, mtf_err *err)
{
    const int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return mtf_fail(err, MTF_IO, "open %s: %s", from, strerror(errno));
    const mtf_status status = create(to, O_EXCL, (mtf_span){0}, fd, err);
    close(fd);
    return status;
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

static mtf_status copy_entry(const char *from, const char *to, const char *name, mtf_err *err)
{
    char source[PATH_BYTES], target[PATH_BYTES];
    struct stat info;
    if ((size_t)snprintf(source, sizeof source, "%s/%s", from, name) >= sizeof source ||
        (size_t)snprintf(target, sizeof target, "%s/%s", to, name) >= sizeof target)
        return mtf_fail(err, MTF_INVALID, "path too long: %s", from);
    if (lstat(source, &info) != 0)
        return mtf_fail(err, MTF_IO, "look at %s: %s", source, strerror(errno));
    if (S_ISDIR(info.st_mode)) return mtf_folder_copy(source, target, err);
    if (S_ISREG(info.st_mode)) return mtf_file_copy(source, target, err);
    return mtf_fail(err, MTF_IO, "copy %s: it is neither a file nor a folder", source);
}

mtf_status mtf_folder_copy(const char *from, const char *to, mtf_err *err)
{
    DIR *folder = opendir(from);
    if (!folder) return mtf_fail(err, MTF_IO, "list %s: %s", from, strerror(errno));
    mtf_status status = MTF_OK;
    if (mkdir(to, 0755) != 0)
        status = mtf_fail(err, MTF_IO, "make folder %s: %s", to, strerror(errno));
    const struct dirent *entry;
    while (status == MTF_OK && (entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        status = copy_entry(from, to, entry->d_name, err);
    }
    closedir(folder);
    if (status == MTF_OK) status = sync_folder(to, err);
    return status ? status : sync_folder_of(to, err);
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
