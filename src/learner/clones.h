/** MTF_CLONES before a function compiles it for several instruction sets; the loader picks one.
 *  Without contraction (-ffp-contract=off) all give the same bits. It is nothing where the loader
 *  cannot do that: under a sanitizer, and with clang, whose version 14 names such functions so that
 *  no other file can call them. */
#ifndef MTF_LEARNER_CLONES_H
#define MTF_LEARNER_CLONES_H

#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__) &&                            \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MTF_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MTF_CLONES
#endif

#endif
