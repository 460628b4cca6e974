/** Text as JSON has it, for listings that are written as they are read. */
#ifndef MTF_CLI_JSON_TEXT_H
#define MTF_CLI_JSON_TEXT_H

#include "core/bytes.h"

/** Appends the text in quotes, escaped. Bytes that are no UTF-8 stay as they are. */
void json_text_put(mtf_buf *out, mtf_str text);

#endif
