/* Bits of bytes, counted bit by bit and weighed row by row. */
#ifndef ADDERSIM_TOGGLES_H
#define ADDERSIM_TOGGLES_H

#include <stdint.h>

/* bytes: rows x length; counts[k] grows by the ones of bit k in each row times the row's weight. */
void weighed_bits(const uint8_t *bytes, int64_t rows, int64_t length, const int64_t *weights, int64_t counts[8]);

#endif
