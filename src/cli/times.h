/** Times on the command line. */
#ifndef MTF_CLI_TIMES_H
#define MTF_CLI_TIMES_H

#include "core/status.h"

/** "2026-03-01", "2026-03-01T12:34", "2026-03-01T12:34:56[.789]", each with or without a final Z,
 *  always UTC; or ms since the epoch. MTF_INVALID names the option and shows what is taken. */
mtf_status times_parse(const char *option, const char *text, int64_t *time_ms,
                       mtf_err *err) MTF_NODISCARD;

/** "2026-03-01T12:34:56.789Z", as times_parse takes it; years beyond 9999 as plain ms. */
void times_print(int64_t time_ms, char text[32]);

#endif
