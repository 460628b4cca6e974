/** Sobol's points with the direction numbers of Joe and Kuo (2008, new-joe-kuo-6.21201), in natural
 *  order (not Gray code). */
#ifndef MTF_SEARCH_SOBOL_H
#define MTF_SEARCH_SOBOL_H

#include <stdint.h>

#define MTF_SOBOL_DIMS_MAX 31

/** Coordinate `dim` (from 0) of point `index` (from 0: the origin), as a multiple of 2^-32. */
uint32_t mtf_sobol(uint32_t index, uint32_t dim);

#endif
