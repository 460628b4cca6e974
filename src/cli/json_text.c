#include "cli/json_text.h"

void json_text_put(mtf_buf *out, mtf_str text)
{
    mtf_buf_put_u8(out, '"');
    for (uint32_t i = 0; i < text.size; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') {
            mtf_buf_printf(out, "\\%c", c);
        } else if (c < 32) {
            mtf_buf_printf(out, "\\u%04x", c);
        } else {
            mtf_buf_put_u8(out, c);
        }
    }
    mtf_buf_put_u8(out, '"');
}
