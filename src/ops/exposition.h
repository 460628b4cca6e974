/** What the program shows of itself, as text that Prometheus reads (format 0.0.4): metric families,
 *  their samples, one page. Collected anew for every request, by one thread. */
#ifndef MTF_OPS_EXPOSITION_H
#define MTF_OPS_EXPOSITION_H

#include "core/bytes.h"

#define MTF_METRIC_NAME_CHARS 96

typedef enum mtf_metric_kind {
    MTF_METRIC_COUNTER, /* only grows; its name ends in _total */
    MTF_METRIC_GAUGE
} mtf_metric_kind;

/** Names are [a-z_0-9]; help is one line. Copied at the first sample. */
typedef struct mtf_metric {
    const char *name;
    mtf_metric_kind kind;
    const char *help;
} mtf_metric;

typedef struct mtf_label {
    const char *name, *value; /* the value may be any text */
} mtf_label;

/** Zeroed memory is a valid empty one. A failed growth shows in render. */
typedef struct mtf_exposition {
    struct mtf_family *families;
    size_t count, capacity;
    bool failed;
} mtf_exposition;

void mtf_exposition_fini(mtf_exposition *out);
/** One sample. The samples of a family come out together, whatever the order they were put in; a
 *  name means one kind and help throughout, and a set of labels comes once. */
void mtf_exposition_put(mtf_exposition *out, const mtf_metric *metric, const mtf_label *labels,
                        size_t label_count, double value);
/** Appends the text. MTF_NOMEM: it is not whole; text is as it was. */
mtf_status mtf_exposition_render(const mtf_exposition *out, mtf_buf *text,
                                 mtf_err *err) MTF_NODISCARD;
/** Appends a Markdown table of the families: name, kind, labels, meaning. */
mtf_status mtf_exposition_table(const mtf_exposition *out, mtf_buf *text,
                                mtf_err *err) MTF_NODISCARD;

#endif
