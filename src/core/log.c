#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static size_t stamp(char *text, size_t size)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    const size_t used = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return used + (size_t)snprintf(text + used, size - used, ".%03ldZ", now.tv_nsec / 1000000);
}

/** Appends text as the inside of a JSON string; control bytes become spaces. */
static size_t put_json(char *line, size_t size, size_t used, const char *text)
{
    for (; *text && used + 3 < size; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') line[used++] = '\\';
        line[used++] = c < 32 ? ' ' : (char)c;
    }
    return used;
}

void mtf_log_line(const mtf_log *log, mtf_log_level level, const char *what, const char *fmt, ...)
{
    if (!log || level > log->level) return;
    char words[1500], line[3200], when[40];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    for (char *p = words; *p; p++) {
        if ((unsigned char)*p < 32) *p = ' '; /* one event, one line */
    }
    stamp(when, sizeof when);
    int head = snprintf(line, sizeof line,
                        log->json ? "{\"ts\":\"%s\",\"level\":\"%s\",\"msg\":\"%s\",\"fields\":\""
                                  : "ts=%s level=%s msg=%s ",
                        when, level_names[level], what);
    size_t used = (size_t)head;
    if (log->json) {
        used = put_json(line, sizeof line - 4, used, words);
        memcpy(line + used, "\"}\n", 3);
        used += 3;
    } else {
        used += (size_t)snprintf(line + used, sizeof line - used, "%s\n", words);
    }
    while (write(log->fd, line, used) < 0 && errno == EINTR) {
    }
}
