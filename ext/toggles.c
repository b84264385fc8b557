/* Bits of bytes, counted bit by bit and weighed row by row: what the bits of operands toggle; and their zeros. */

#include <string.h>

#include "toggles.h"

/* Bits of 8 bytes at once: a byte of each count takes 255 of them before it may run over. */
enum { AT_ONCE = 255, BLOCK = 16 };
static const uint64_t LOW_BITS = UINT64_C(0x0101010101010101);

/* A full adder of 64 bits side by side: *low becomes the sum's bits, and the carries are given. */
static uint64_t carry(uint64_t *low, uint64_t a, uint64_t b) {
    uint64_t either = *low ^ a, carries = (*low & a) | (either & b);
    *low = either ^ b;
    return carries;
}

/* Each bit of words, times: the sum of 8 bytes of up to 255, pairs first, so that none runs over. */
static void add_bytes(const uint64_t held[8], int64_t times, int64_t counts[8]) {
    for (int bit = 0; bit < 8; bit++)
        counts[bit] += times * (int64_t)(((held[bit] & UINT64_C(0x00ff00ff00ff00ff))
                                          + (held[bit] >> 8 & UINT64_C(0x00ff00ff00ff00ff)))
                                         * UINT64_C(0x0001000100010001) >> 48);
}

static void add_bits(uint64_t bytes, uint64_t held[8]) {
    for (int bit = 0; bit < 8; bit++) held[bit] += bytes >> bit & LOW_BITS;
}

/* Sixteen words at a time go through full adders, whose sums stay for the next sixteen: only carries that weigh 16 are counted
 * bit by bit. */
static void add_row(const uint8_t *row, int64_t length, int64_t counts[8]) {
    uint64_t low[4] = {0}, held[8] = {0};
    int64_t i = 0;
    for (int blocks = 0; i + 8 * BLOCK <= length; i += 8 * BLOCK) {
        uint64_t words[BLOCK];
        memcpy(words, row + i, sizeof words);
        for (int level = 0, left = BLOCK; left > 1; level++, left /= 2)
            for (int pair = 0; pair < left / 2; pair++) words[pair] = carry(&low[level], words[2 * pair], words[2 * pair + 1]);
        add_bits(words[0], held);
        if (++blocks == AT_ONCE) {
            add_bytes(held, BLOCK, counts);
            memset(held, 0, sizeof held);
            blocks = 0;
        }
    }
    add_bytes(held, BLOCK, counts);
    for (int level = 0; level < 4; level++) {
        uint64_t some[8] = {0};
        add_bits(low[level], some);
        add_bytes(some, INT64_C(1) << level, counts);
    }
    uint64_t rest[8] = {0};
    for (; i + 8 <= length; i += 8) { /* fewer than sixteen */
        uint64_t bytes;
        memcpy(&bytes, row + i, 8);
        add_bits(bytes, rest);
    }
    add_bytes(rest, 1, counts);
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

/* Bytes that are changes at a time: a few lines of the nearest cache. */
enum { PART = 2048 };

void weighed_changes(const uint8_t *bytes, int64_t rows, int64_t length, const uint8_t *counted, const int64_t *weights,
                     int64_t counts[8]) {
    uint8_t changed[PART];
    for (int64_t row = 0; row < rows; row++, bytes += length) {
        int64_t found[8] = {0};
        if (!weights[row]) continue;
        for (int64_t first = 0; first < length - 1; first += PART) {
            int64_t part = length - 1 - first < PART ? length - 1 - first : PART;
            for (int64_t i = 0; i < part; i++)
                changed[i] = (uint8_t)((bytes[first + i] ^ bytes[first + i + 1]) & counted[first + i]);
            add_row(changed, part, found);
        }
        for (int bit = 0; bit < 8; bit++) counts[bit] += weights[row] * found[bit];
    }
}

int64_t weighed_zeros(const uint8_t *bytes, int64_t rows, int64_t length, const int64_t *weights) {
    int64_t all = 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t zeros = 0;
        if (!weights[row]) continue;
        for (int64_t i = 0; i < length; i++) zeros += !bytes[row * length + i];
        all += weights[row] * zeros;
    }
    return all;
}
