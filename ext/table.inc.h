/* Sums of products from a multiplier's table for many windows at once: a weight's row of it is at hand for all of them. */

static void table_sums(const uint8_t *codes, const uint8_t *weights, int64_t taps, const int32_t *rows, uint32_t *sums) {
    Ints sum[TABLE_WINDOWS / LANES];
    UNROLL for (int j = 0; j < TABLE_WINDOWS / LANES; j++) sum[j] = ints_zero();
    for (int64_t tap = 0; tap < taps; tap++, codes += TABLE_WINDOWS) {
        const int32_t *row = rows + 256 * weights[tap];
        UNROLL for (int j = 0; j < TABLE_WINDOWS / LANES; j++) sum[j] = ints_add(sum[j], ints_look_up(row, codes + j * LANES));
    }
    UNROLL for (int j = 0; j < TABLE_WINDOWS / LANES; j++) ints_store((int32_t *)(void *)sums + j * LANES, sum[j]);
}

#ifdef HAS_VBMI
/* A row of two bytes a product lies in eight registers, of which an instruction looks 64 codes up in two. */
typedef __m512i Bytes;
static inline Bytes bytes_at(const uint8_t *p) { return _mm512_loadu_si512(p); }
/* One byte of the products of 64 codes; `upper` are those codes above 127. */
static inline Bytes bytes_of_plane(const uint8_t *plane, Bytes x, __mmask64 upper) {
    const Bytes below = _mm512_permutex2var_epi8(bytes_at(plane), x, bytes_at(plane + 64));
    return _mm512_mask_mov_epi8(below, upper, _mm512_permutex2var_epi8(bytes_at(plane + 128), x, bytes_at(plane + 192)));
}

/* Bytes at even and at odd places are summed apart, in 16 bits. */
static inline void bytes_add(Bytes *even, Bytes *odd, Bytes a) {
    *even = _mm512_add_epi16(*even, _mm512_and_si512(a, _mm512_set1_epi16(255)));
    *odd = _mm512_add_epi16(*odd, _mm512_srli_epi16(a, 8));
}
static inline void bytes_total(uint32_t *sums, Bytes even, Bytes odd, uint32_t factor) {
    uint16_t parts[2][TABLE_WINDOWS / 2];
    _mm512_storeu_si512(parts[0], even);
    _mm512_storeu_si512(parts[1], odd);
    for (int i = 0; i < TABLE_WINDOWS; i++) sums[i] += factor * parts[i % 2][i / 2];
}

static void table_plane_sums(const uint8_t *codes, const uint8_t *weights, int64_t taps, const uint8_t *planes, uint32_t *sums) {
    for (int i = 0; i < TABLE_WINDOWS; i++) sums[i] = 0;
    for (int64_t first = 0; first < taps; first += SHORT_TAPS) {
        Bytes low_even = _mm512_setzero_si512(), low_odd = low_even, high_even = low_even, high_odd = low_even;
        for (int64_t tap = first; tap < smaller(taps, first + SHORT_TAPS); tap++) {
            const uint8_t *row = planes + weights[tap] * ROW_PLANES;
            const Bytes x = bytes_at(codes + tap * TABLE_WINDOWS);
            const __mmask64 upper = _mm512_movepi8_mask(x);
            bytes_add(&low_even, &low_odd, bytes_of_plane(row, x, upper));
            bytes_add(&high_even, &high_odd, bytes_of_plane(row + 256, x, upper));
        }
        bytes_total(sums, low_even, low_odd, 1);
        bytes_total(sums, high_even, high_odd, 256);
    }
}
#endif
