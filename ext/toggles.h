/* Bits of bytes, counted bit by bit and weighed row by row, and their zeros. */
#ifndef ADDERSIM_TOGGLES_H
#define ADDERSIM_TOGGLES_H

#include <stdint.h>

/* bytes: rows x length; counts[k] grows by the ones of bit k in each row times the row's weight. */
void weighed_bits(const uint8_t *bytes, int64_t rows, int64_t length, const int64_t *weights, int64_t counts[8]);

/* The same of the changes from each byte of a row to the next one, of those bits that are set in counted, of length. */
void weighed_changes(const uint8_t *bytes, int64_t rows, int64_t length, const uint8_t *counted, const int64_t *weights,
                     int64_t counts[8]);

/* Zeros in each row times the row's weight. */
int64_t weighed_zeros(const uint8_t *bytes, int64_t rows, int64_t length, const int64_t *weights);

#endif
