/* gemmlowp's arithmetic of numbers of 32 bits (fixedpoint/fixedpoint.h). */
#ifndef ADDERSIM_FIXED_POINT_H
#define ADDERSIM_FIXED_POINT_H

#include <stdint.h>

/* The high word of twice the product, ties towards plus infinity; not for two of the smallest number, whose word does not fit. The
   unsigned shift, which every set has for vectors, leaves the same 32 bits. */
static inline int32_t high_product(int32_t a, int32_t b) {
    const int64_t product = (int64_t)a * b + ((int64_t)1 << 30);
    return (int32_t)((uint64_t)product >> 31);
}

/* value / 2**places, ties away from zero; places 0..31. */
static inline int32_t over_power(int32_t value, int32_t places) {
    const int32_t mask = (int32_t)(((uint32_t)1 << places) - 1);
    return (value >> places) + ((value & mask) > (mask >> 1) + (value < 0));
}

#endif
