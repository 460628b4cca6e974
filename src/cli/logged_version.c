#include "cli/logged_version.h"

mtf_status logged_version(const mtf_store *store, const char *command, int64_t asked,
                          int64_t parent, int64_t *version, mtf_err *err)
{
    size_t count;
    const mtf_store_count *counts = mtf_store_counts(store, &count);
    int64_t newest = -1;
    for (size_t i = 0; i < count; i++) {
        if (counts[i].bucket != MTF_BUCKET_EXPLORE || counts[i].rows == 0) continue;
        if (counts[i].version == (asked >= 0 ? asked : parent)) {
            *version = counts[i].version;
            return MTF_OK;
        }
        if (counts[i].version > newest) newest = counts[i].version;
    }
    *version = newest;
    if (asked >= 0)
        return mtf_fail(err, MTF_SKIP, "%s: nothing explored under version %lld is here", command,
                        (long long)asked);
    return newest >= 0 ? MTF_OK
                       : mtf_fail(err, MTF_SKIP, "%s: there is no explored row here", command);
}
