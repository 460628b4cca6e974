/** Literal addresses, as http.bind has them. */
#ifndef MTF_OPS_ADDRESS_H
#define MTF_OPS_ADDRESS_H

#include <sys/socket.h>

#include "core/status.h"

/** MTF_INVALID: a name or no address at all. */
mtf_status mtf_address_parse(const char *text, int port, struct sockaddr_storage *address,
                             socklen_t *size, mtf_err *err) MTF_NODISCARD;
int mtf_address_port(const struct sockaddr_storage *address);

#endif
