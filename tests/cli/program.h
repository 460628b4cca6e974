/** The program as a user runs it: started with arguments, its output kept in files of the test's
 *  folder, ended by itself or by a signal. */
#ifndef MTF_TEST_PROGRAM_H
#define MTF_TEST_PROGRAM_H

#include "support/mtf_test.h"

#include <signal.h>
#include <string.h>
#include <sys/types.h>

typedef struct program {
    pid_t pid;
    char out_path[2 * MTF_TEST_PATH], err_path[2 * MTF_TEST_PATH];
    mtf_buf out, err; /* NUL-terminated, once it has ended */
    int code;         /* exit code, or 128 + the signal that killed it */
} program;

/** Starts the built mtf with these arguments (NULL ends them); standard output goes to `out_path`,
 *  or to a file of the folder when that is NULL. */
void program_start_to(program *p, const char *folder, const char *out_path,
                      const char *const *arguments);
/** Waits until it has ended; a hung one is killed and fails the test. */
void program_end(program *p);
/** Waits until its standard error holds the text; fails when it ends before. */
void program_until(program *p, const char *text);
void program_free(program *p);
/** Runs it to its end, again and again, until its output holds the text. */
void program_again_until(const char *folder, const char *const *arguments, const char *text);

/** Fails, with all it said, unless it ended with this code and each text (NULL ends them) is in its
 *  output or its errors. */
void program_assert(const program *p, int code, const char *const *texts, const char *file,
                    int line);

#define program_start(p, folder, ...)                                                              \
    program_start_to((p), (folder), NULL, (const char *const[]){__VA_ARGS__, NULL})
#define program_said(p, code, ...)                                                                 \
    program_assert((p), (code), (const char *const[]){__VA_ARGS__, NULL}, __FILE__, __LINE__)
/** Runs to the end, checks code and words, frees. */
#define program_check(folder, arguments, code, ...)                                                \
    do {                                                                                           \
        program one_;                                                                              \
        program_start_to(&one_, (folder), NULL, (arguments));                                      \
        program_end(&one_);                                                                        \
        program_said(&one_, (code), __VA_ARGS__);                                                  \
        program_free(&one_);                                                                       \
    } while (0)
#define ARGS(...)         ((const char *const[]){__VA_ARGS__, NULL})
#define PROGRAM_WAIT_MS   120000 /* ends a hung test with words; nothing is asserted about times */
#define program_text(buf) ((const char *)(buf)->data)

#endif
