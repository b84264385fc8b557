/* Codes as sign bits, for arithmetics that read no more of them. */
#include "core.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Of the channels of one group. More than a byte of them are whole words: a few steps more take less than gathering windows. */
int64_t sign_bytes(const Geometry *g) {
    const int64_t bytes = (g->channels / g->groups + SIGNS - 1) / SIGNS;
    return bytes > 1 ? round_up(bytes, 4) : bytes;
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

/* The same of `count` bytes, whole ones of signs: where there is an instruction for sixteen at once, all x86-64 processors have it. */
static void signs_in_order(const int8_t *codes, int64_t count, uint8_t *signs) {
    int64_t i = 0;
#ifdef __SSE2__
    for (; i + 16 <= count; i += 16) {
        const uint16_t two = (uint16_t)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(codes + i)));
        memcpy(signs + i / SIGNS, &two, sizeof(two));
    }
#endif
    for (; i < count; i += SIGNS) signs[i / SIGNS] = eight_signs(codes + i);
}

/* `parts` pixels of a group, `channels` codes each, which become `bytes`. */
void pack_signs(Type type, const void *codes, int64_t parts, int64_t channels, int64_t bytes, uint8_t *signs, int threads) {
    (void)threads; /* without OpenMP */
    if (type == U8 || type == U16) { /* no code is negative */
        memset(signs, 0, (size_t)(parts * bytes));
        return;
    }
    if (type == S8 && channels == SIGNS * bytes) { /* nothing stands between pixels */
        enum { AT_ONCE = 4096 };
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t first = 0; first < parts * channels; first += AT_ONCE) {
            signs_in_order((const int8_t *)codes + first, smaller(AT_ONCE, parts * channels - first), signs + first / SIGNS);
        }
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t part = 0; part < parts; part++) {
        const int64_t first = part * channels, whole = type == S8 ? channels / SIGNS * SIGNS : 0;
        uint8_t *to = signs + part * bytes;
        if (whole) signs_in_order((const int8_t *)codes + first, whole, to);
        for (int64_t i = whole; i < bytes * SIGNS; i += SIGNS) {
            to[i / SIGNS] = signs_of(type, codes, first + i, smaller(SIGNS, channels - i));
        }
    }
}
