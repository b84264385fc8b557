/* Bits of bytes, counted bit by bit and weighed row by row: what the bits of operands toggle. */

#include <string.h>

#include "toggles.h"

/* Bits of 8 bytes at once: a byte of each count takes 255 rows of them before it may run over. */
enum { AT_ONCE = 255 };
static const uint64_t LOW_BITS = UINT64_C(0x0101010101010101);

static void add_row(const uint8_t *row, int64_t length, int64_t counts[8]) {
    int64_t i = 0;
    while (i + 8 <= length) {
        int64_t words = (length - i) / 8;
        uint64_t held[8] = {0};
        if (words > AT_ONCE) words = AT_ONCE;
        for (int64_t w = 0; w < words; w++, i += 8) {
            uint64_t bytes;
            memcpy(&bytes, row + i, 8);
            for (int bit = 0; bit < 8; bit++) held[bit] += bytes >> bit & LOW_BITS;
        }
        for (int bit = 0; bit < 8; bit++) /* the sum of 8 bytes of up to 255: pairs first, so that none runs over */
            counts[bit] += (int64_t)(((held[bit] & UINT64_C(0x00ff00ff00ff00ff)) + (held[bit] >> 8 & UINT64_C(0x00ff00ff00ff00ff)))
                                     * UINT64_C(0x0001000100010001) >> 48);
    }
    for (; i < length; i++)
        for (int bit = 0; bit < 8; bit++) counts[bit] += row[i] >> bit & 1;
}

void weighed_bits(const uint8_t *bytes, int64_t rows, int64_t length, const int64_t *weights, int64_t counts[8]) {
    for (int64_t row = 0; row < rows; row++) {
        int64_t found[8] = {0};
        if (!weights[row]) continue;
        add_row(bytes + row * length, length, found);
        for (int bit = 0; bit < 8; bit++) counts[bit] += weights[row] * found[bit];
    }
}
