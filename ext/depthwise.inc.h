/* Depthwise windows, one channel a lane, and registers that saturate tap by tap: faster than the plain loops. */

static inline Ints l1_term(Ints sum, Ints x, Ints w) { return ints_add(sum, ints_sub(ints_min(x, w), ints_max(x, w))); }
static inline Ints mac_term(Ints sum, Ints x, Ints w) { return ints_add(sum, ints_mul(x, w)); }

/* Sums modulo 2**32, two vectors of channels in registers; the last vector may read and store more than `count`, which nobody
   minds. */
#define DEPTHWISE_VECTORS(NAME, TERM)                                                                                           \
    static ALWAYS_INLINE void NAME##_of(const Type type, const char *window, const int64_t *offsets,    \
                                                                int64_t taps, int64_t count, const int32_t *weights,            \
                                                                int64_t channels, int32_t *sums) {                              \
        int64_t at = 0;                                                                                                         \
        for (; at + 2 * LANES <= count; at += 2 * LANES) {                                                                      \
            Ints sum = ints_zero(), other = ints_zero();                                                                        \
            for (int64_t tap = 0; tap < taps; tap++) {                                                                          \
                const char *x = window + offsets[tap];                                                                          \
                const int32_t *w = weights + tap * channels + at;                                                               \
                sum = TERM(sum, ints_from(type, x, at), ints_load(w));                                                          \
                other = TERM(other, ints_from(type, x, at + LANES), ints_load(w + LANES));                                      \
            }                                                                                                                   \
            ints_store(sums + at, sum);                                                                                         \
            ints_store(sums + at + LANES, other);                                                                               \
        }                                                                                                                       \
        for (; at < count; at += LANES) {                                                                                       \
            Ints sum = ints_zero();                                                                                             \
            for (int64_t tap = 0; tap < taps; tap++) {                                                                          \
                sum = TERM(sum, ints_from(type, window + offsets[tap], at), ints_load(weights + tap * channels + at));          \
            }                                                                                                                   \
            ints_store(sums + at, sum);                                                                                         \
        }                                                                                                                       \
    }                                                                                                                           \
    static void NAME(Type type, const char *window, const int64_t *offsets, int64_t taps, int64_t count, const int32_t *weights, \
                     int64_t channels, int32_t *sums) {                                                                         \
        switch (type) {                                                                                                         \
            case S8: NAME##_of(S8, window, offsets, taps, count, weights, channels, sums); break;                               \
            case U8: NAME##_of(U8, window, offsets, taps, count, weights, channels, sums); break;                               \
            case S16: NAME##_of(S16, window, offsets, taps, count, weights, channels, sums); break;                             \
            default: NAME##_of(U16, window, offsets, taps, count, weights, channels, sums); break;                              \
        }                                                                                                                       \
    }
DEPTHWISE_VECTORS(l1_depthwise, l1_term)
DEPTHWISE_VECTORS(mac_depthwise, mac_term)

/* Sums of |x - w|, not of its negative, of bytes in 16 bits; the last vector reads and stores too much, too. */
static ALWAYS_INLINE void l1_depthwise_bytes_of(const Type type, const char *window, const int64_t *offsets,
                                                                     int64_t taps, int64_t count, const int16_t *weights,
                                                                     int64_t channels, int32_t *sums) {
    for (int64_t at = 0; at < count; at += SHORTS) {
        Shorts sum = {0};
        for (int64_t tap = 0; tap < taps; tap++) {
            const char *x = window + offsets[tap] + at;
            sum = shorts_l1(sum, type == S8 ? shorts_from_S8(x) : shorts_from_U8(x), weights + tap * channels + at);
        }
        shorts_store(sums + at, sum);
    }
}

static void l1_depthwise_bytes(Type type, const char *window, const int64_t *offsets, int64_t taps, int64_t count,
                            const int16_t *weights, int64_t channels, int32_t *sums) {
    if (type == S8) {
        l1_depthwise_bytes_of(S8, window, offsets, taps, count, weights, channels, sums);
    } else {
        l1_depthwise_bytes_of(U8, window, offsets, taps, count, weights, channels, sums);
    }
}

#ifdef HAS_SHORT_PAIRS
/* Two taps a multiplication. The weights of all windows stay where they are, in registers for the taps that are known. */
static ALWAYS_INLINE void mac_pairs_of(const char *const *windows, int64_t count, int64_t skip,
                                                              const int64_t *offsets, const int64_t taps, const int16_t *weights,
                                                              int64_t weights_stride, int64_t channels, int32_t *sums, int64_t sums_stride) {
    Ints low[(PAIRED_TAPS + 1) / 2], high[(PAIRED_TAPS + 1) / 2];
    UNROLL for (int64_t tap = 0; tap < taps; tap += 2) {
        const int16_t *from = weights + tap * weights_stride;
        const Ints one = ints_load(from), other = tap + 1 < taps ? ints_load(from + weights_stride) : ints_zero();
        low[tap / 2] = shorts_low(one, other);
        high[tap / 2] = shorts_high(one, other);
    }
    const int64_t together = 2 * LANES / channels;
    for (int64_t i = 0; i < count;) {
        const char *x = windows[i] + skip;
        Ints sum = ints_zero(), above = ints_zero();
        UNROLL for (int64_t tap = 0; tap < taps; tap += 2) {
            const Ints one = ints_load(x + offsets[tap]), other = tap + 1 < taps ? ints_load(x + offsets[tap + 1]) : ints_zero();
            sum = ints_mac_s16(sum, shorts_low(one, other), low[tap / 2]);
            above = ints_mac_s16(above, shorts_high(one, other), high[tap / 2]);
        }
        pairs_store(sums + i * sums_stride, sum, above);
        const int side_by_side = i + together <= count && windows[i + together - 1] == windows[i] + (together - 1) * channels * 2;
        i += side_by_side ? together : 1;
    }
}

static void mac_depthwise_pairs(const char *const *windows, int64_t count, int64_t skip, const int64_t *offsets, int64_t taps,
                                const int16_t *weights, int64_t weights_stride, int64_t channels, int32_t *sums, int64_t sums_stride) {
    if (taps == 9) {
        mac_pairs_of(windows, count, skip, offsets, 9, weights, weights_stride, channels, sums, sums_stride);
    } else {
        mac_pairs_of(windows, count, skip, offsets, taps, weights, weights_stride, channels, sums, sums_stride);
    }
}
#endif

#define VECTORS_OF_BLOCK (BLOCK / LANES)
static void mac_ordered_narrow(const int32_t *x, const int32_t *weights, int64_t taps, int64_t low, int64_t high, int64_t *registers,
                               int64_t *clipped) {
    const Ints least = ints_set((int32_t)low), most = ints_set((int32_t)high);
    Ints sum[VECTORS_OF_BLOCK], clips[VECTORS_OF_BLOCK];
    UNROLL for (int j = 0; j < VECTORS_OF_BLOCK; j++) sum[j] = clips[j] = ints_zero();
    for (int64_t tap = 0; tap < taps; tap++, weights += BLOCK) {
        const Ints operand = ints_set(x[tap]);
        UNROLL for (int j = 0; j < VECTORS_OF_BLOCK; j++) {
            const Ints next = ints_add(sum[j], ints_mul(operand, ints_load(weights + j * LANES)));
            sum[j] = ints_min(ints_max(next, least), most);
            clips[j] = ints_count(clips[j], sum[j], next);
        }
    }
    UNROLL for (int j = 0; j < VECTORS_OF_BLOCK; j++) {
        int32_t sums[LANES], counts[LANES];
        ints_store(sums, sum[j]);
        ints_store(counts, clips[j]);
        for (int i = 0; i < LANES; i++) {
            registers[j * LANES + i] = sums[i];
            clipped[j * LANES + i] = counts[i] != 0;
        }
    }
}
