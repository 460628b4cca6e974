/** Whole files: read, and replace so that a crash leaves the old one or the new one. */
#ifndef MTF_FILE_H
#define MTF_FILE_H

#include "core/bytes.h"

/** Appends the file's bytes to buf. MTF_INVALID: no such file; MTF_IO: unreadable or longer than
 *  bytes_max. */
mtf_status mtf_file_read(const char *path, size_t bytes_max, mtf_buf *buf,
                         mtf_err *err) MTF_NODISCARD;

/** Reads a key file whole into the caller's bytes and leaves no copy elsewhere; the caller wipes
 *  them. MTF_INVALID: no such file, not readable, a folder, empty, longer than `capacity`, or open
 *  to others than its owner and group; MTF_IO: the disk failed. */
mtf_status mtf_file_read_key(const char *path, uint8_t *bytes, size_t capacity, size_t *size,
                             mtf_err *err) MTF_NODISCARD;

/** Writes path.tmp, fsyncs, renames over path, fsyncs the folder. A path that is there and no
 *  regular file (/dev/stdout, a pipe) is written to as it is. */
mtf_status mtf_file_replace(const char *path, mtf_span content, mtf_err *err) MTF_NODISCARD;
/** The first half: path.tmp, fsynced. mtf_file_move(path.tmp, path) is the other. */
mtf_status mtf_file_write_beside(const char *path, mtf_span content, mtf_err *err) MTF_NODISCARD;
/** Renames a file or folder within a file system, over a file that is there, and fsyncs the folder
 *  of `to`. */
mtf_status mtf_file_move(const char *from, const char *to, mtf_err *err) MTF_NODISCARD;
/** Copies a regular file, with its bytes fsynced; `to` must not be there. */
mtf_status mtf_file_copy(const char *from, const char *to, mtf_err *err) MTF_NODISCARD;

/** mkdir -p. */
mtf_status mtf_folder_make(const char *path, mtf_err *err) MTF_NODISCARD;
/** Copies a folder of folders and files, all of it fsynced; `to` must not be there. */
mtf_status mtf_folder_copy(const char *from, const char *to, mtf_err *err) MTF_NODISCARD;
/** rm -r of a folder this program made; missing is fine. */
mtf_status mtf_folder_remove(const char *path, mtf_err *err) MTF_NODISCARD;

#endif
