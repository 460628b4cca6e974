#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

mtf_status mtf_fail(mtf_err *err, mtf_status status, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        err->status = status;
        vsnprintf(err->msg, sizeof err->msg, fmt, args);
        va_end(args);
    }
    return status;
}

const char *mtf_status_text(mtf_status status)
{
    switch (status) {
#define X(name, text)                                                                              \
    case MTF_##name:                                                                               \
        return text;
        MTF_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

_Noreturn void mtf_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "mtf: internal error: %s is false at %s:%d\n", condition, file, line);
    abort();
}
