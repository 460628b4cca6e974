#include "ops/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

mtf_status mtf_address_parse(const char *text, int port, struct sockaddr_storage *address,
                             socklen_t *size, mtf_err *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *size = sizeof *v4;
        return MTF_OK;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *size = sizeof *v6;
        return MTF_OK;
    }
    return mtf_fail(err, MTF_INVALID,
                    "http.bind: '%.100s' is not an address; say 127.0.0.1 for this machine only, "
                    "0.0.0.0 or :: for all of its networks, or the address of one",
                    text);
}

int mtf_address_port(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}
