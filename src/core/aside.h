/** Records that cannot go on: to the late or the dead-letter topic, bytes unchanged, with headers
 *  that say where they came from and why they are here. */
#ifndef MTF_ASIDE_H
#define MTF_ASIDE_H

#include "core/pipe.h"

/** The longest key written; a longer user id makes an event invalid. */
#define MTF_KEY_BYTES_MAX 4096

/** Puts the message to `topic` under __mtf.errors.{topic, partition, offset, timestamp, stage,
 *  reason, message}. A value that the sink can never take is cut, and a key over MTF_KEY_BYTES_MAX;
 *  then __mtf.errors.original_bytes says how long the value was. */
mtf_status mtf_set_aside(mtf_sink *sink, const char *topic, const mtf_message *message,
                         const char *stage, const char *reason, const char *words,
                         mtf_err *err) MTF_NODISCARD;

#endif
