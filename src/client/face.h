/** The public header as the library's own sources include it: one definition of what both have. */
#ifndef MTF_CLIENT_FACE_H
#define MTF_CLIENT_FACE_H

#include "core/event.h"

#define MTF_INSIDE
#include "client/mtf.h"

#endif
