/** What a well-formed record must also be before a stage may trust it. */
#ifndef MTF_VALIDATE_H
#define MTF_VALIDATE_H

#include "core/session.h"

/** Lengths that the configured policy wants; 0: any, as long as a record agrees with itself. */
typedef struct mtf_dims {
    uint32_t state, action;
    bool per_item; /* actions may also be given for each item: action floats times the items */
} mtf_dims;

/** MTF_SKIP with "invalid: <field>: <what>"; never a byte of content. */
mtf_status mtf_event_validate(const mtf_event *event, mtf_dims dims, mtf_err *err) MTF_NODISCARD;
mtf_status mtf_session_validate(const mtf_session *session, mtf_dims dims,
                                mtf_err *err) MTF_NODISCARD;

#endif
