/* Codes as sign bits, for arithmetics that read no more of them. */
#include "core.h"

#include <string.h>

/* Of the channels of one group. More than two words of them are whole words, so that windows need not be gathered. */
int64_t sign_bytes(const Geometry *g) {
    const int64_t bytes = (g->channels / g->groups + SIGNS - 1) / SIGNS;
    return bytes > 8 ? round_up(bytes, 4) : bytes;
}

/* Bit by bit, in any order that is the same for both operands. */
static uint8_t signs_of(Type type, const void *codes, int64_t first, int64_t count) {
    int byte = 0;
    for (int i = 0; i < count; i++) {
        const int negative = type == S8 ? ((const int8_t *)codes)[first + i] < 0 : ((const int16_t *)codes)[first + i] < 0;
        byte |= negative << i;
    }
    return (uint8_t)byte;
}

/* The top bits of eight bytes as one: each is moved to a place of its own in the top byte of the product. */
static uint8_t eight_signs(const int8_t *codes) {
    return (uint8_t)(((uint64_t)int64_at(codes) >> 7 & 0x0101010101010101u) * 0x0102040810204080u >> 56);
}

/* `parts` pixels of a group, `channels` codes each, which become `bytes`. */
void pack_signs(Type type, const void *codes, int64_t parts, int64_t channels, int64_t bytes, uint8_t *signs, int threads) {
    (void)threads; /* without OpenMP */
    if (type == U8 || type == U16) { /* no code is negative */
        memset(signs, 0, (size_t)(parts * bytes));
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t part = 0; part < parts; part++) {
        for (int64_t i = 0; i < bytes; i++) {
            const int64_t first = part * channels + i * SIGNS, count = smaller(SIGNS, channels - i * SIGNS);
            signs[part * bytes + i] =
                type == S8 && count == SIGNS ? eight_signs((const int8_t *)codes + first) : signs_of(type, codes, first, count);
        }
    }
}
