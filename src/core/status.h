/** How a call fails: a status the caller acts on, and words for a person. Everything includes this.
 */
#ifndef MTF_STATUS_H
#define MTF_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What a fallible call returns. Each row: name, text a person reads. */
#define MTF_STATUS_MAP(X)                                                                          \
    X(OK, "success")                                                                               \
    X(AGAIN, "nothing now; the same call may succeed later")                                       \
    X(SKIP, "this record is bad: count it, set it aside, go on")                                   \
    X(CLOSED, "the other side is done; no more will come")                                         \
    X(INVALID, "the caller's argument or setting is wrong")                                        \
    X(NOMEM, "a configured limit or the heap is exhausted")                                        \
    X(IO, "the disk failed")                                                                       \
    X(BROKER, "the broker failed or is unreachable")                                               \
    X(FENCED, "another process has taken this role over")                                          \
    X(CORRUPT, "stored bytes do not check out")

typedef enum mtf_status {
#define X(name, text) MTF_##name,
    MTF_STATUS_MAP(X)
#undef X
} mtf_status;

/** Says what went wrong, for a person: names the thing, the place and the remedy.
 *  Owned by the caller; every call takes NULL if the words are unwanted. */
typedef struct mtf_err {
    mtf_status status;
    char msg[400];
} mtf_err;

#define MTF_API               __attribute__((visibility("default"))) /* stands in client/mtf.h too */
#define MTF_NODISCARD         __attribute__((warn_unused_result))
#define MTF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/** Fills err (may be NULL) and returns status, so that a caller can `return mtf_fail(...)`. */
mtf_status mtf_fail(mtf_err *err, mtf_status status, const char *fmt, ...) MTF_PRINTF(3, 4);

/** The constant text of a status. */
MTF_API const char *mtf_status_text(mtf_status status);

/** For our own bugs only, on in release; never for bytes from Kafka, disk or the user. */
#define MTF_ASSERT(condition)                                                                      \
    ((condition) ? (void)0 : mtf_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void mtf_assert_failed(const char *condition, const char *file, int line);

#endif
