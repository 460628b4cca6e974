#include "core/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

bool mtf_fault_armed(void)
{
    return getenv("MTF_FAULT_POINT") != NULL;
}

void mtf_fault_point(const char *name)
{
    const char *wanted = getenv("MTF_FAULT_POINT");
    if (!wanted) return;
    const size_t size = strcspn(wanted, "@");
    if (strncmp(wanted, name, size) != 0 || name[size] != '\0') return;
    if (wanted[size] == '@' && mtf_clock_wall_ms() < strtoll(wanted + size + 1, NULL, 10)) return;
    raise(SIGKILL);
}
