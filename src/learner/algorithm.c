#include "learner/algorithm.h"

#include "learner/integrated.h"

#include <string.h>

static const mtf_algorithm_ops *const algorithms[] = {&mtf_integrated_ops};

const mtf_algorithm_ops *mtf_algorithm_find(const char *name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (strcmp(algorithms[i]->name, name) == 0) return algorithms[i];
    }
    return NULL;
}
