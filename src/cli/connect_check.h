/** `mtf config check --connect`: whether the stages of these settings could work against the
 * brokers that are there, asked as the user of the settings. Changes nothing there but that the
 *  coordinator knows the transactional ids that it asks under, which no stage has. */
#ifndef MTF_CLI_CONNECT_CHECK_H
#define MTF_CLI_CONNECT_CHECK_H

#include "cli/stages.h"

typedef enum connect_roles {
    CONNECT_SESSIONIZE = 1,
    CONNECT_LEARN = 2,
    CONNECT_BOTH = 3
} connect_roles;

/** Appends a line for each thing that was asked, or with json one object, and goes on after what
 *  fails. MTF_OK, or the status of the first failure, *err naming it: MTF_BROKER, no broker answers
 *  or takes the password; MTF_INVALID, a topic, a setting of one or a permission; MTF_CLOSED. */
mtf_status connect_check(const stage_context *context, connect_roles roles, bool json, mtf_buf *out,
                         mtf_err *err) MTF_NODISCARD;

#endif
