/* Depthwise windows, one channel a lane, and registers that saturate tap by tap. */

static inline Ints depthwise_term(Lane lane, Ints sum, Ints x, Ints w) {
    return ints_add(sum, lane == L1 ? ints_sub(ints_max(x, w), ints_min(x, w)) : ints_mul(x, w));
}

/* Sums modulo 2**32, two vectors of channels in registers. */
static inline __attribute__((always_inline)) void depthwise_narrow(const Lane lane, const Type type, const char *window,
                                                                   const int64_t *offsets, int64_t taps, int64_t count,
                                                                   const int32_t *weights, int64_t channels, int32_t *sums) {
    int64_t at = 0;
    for (; at + 2 * LANES <= count; at += 2 * LANES) {
        Ints sum = ints_zero(), other = ints_zero();
        for (int64_t tap = 0; tap < taps; tap++) {
            const char *x = window + offsets[tap];
            const int32_t *w = weights + tap * channels + at;
            sum = depthwise_term(lane, sum, ints_from(type, x, at), ints_load(w));
            other = depthwise_term(lane, other, ints_from(type, x, at + LANES), ints_load(w + LANES));
        }
        ints_store(sums + at, sum);
        ints_store(sums + at + LANES, other);
    }
    for (; at < count; at += LANES) { /* the last vector may read and store more than `count`, which nobody minds */
        Ints sum = ints_zero();
        for (int64_t tap = 0; tap < taps; tap++) {
            sum = depthwise_term(lane, sum, ints_from(type, window + offsets[tap], at), ints_load(weights + tap * channels + at));
        }
        ints_store(sums + at, sum);
    }
}

#define DEPTHWISE_CASE(TYPE, C)                                                                                                 \
    case TYPE:                                                                                                                  \
        lane == L1 ? depthwise_narrow(L1, TYPE, window, offsets, taps, count, weights, channels, sums)                          \
                   : depthwise_narrow(MAC, TYPE, window, offsets, taps, count, weights, channels, sums);                        \
        break;

/* Sums of |x - w| of bytes in 16 bits; the last vector reads and stores too much, too. */
static inline __attribute__((always_inline)) void depthwise_bytes_of(const Type type, const char *window, const int64_t *offsets,
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

static void depthwise_bytes(Type type, const char *window, const int64_t *offsets, int64_t taps, int64_t count,
                            const int16_t *weights, int64_t channels, int32_t *sums) {
    if (type == S8) {
        depthwise_bytes_of(S8, window, offsets, taps, count, weights, channels, sums);
    } else {
        depthwise_bytes_of(U8, window, offsets, taps, count, weights, channels, sums);
    }
}

static void depthwise_wide(Lane lane, Type type, const char *window, const int64_t *offsets, int64_t taps, int64_t count,
                           const int32_t *weights, int64_t channels, int64_t *sums) {
    int32_t x[MAX_WIDTH];
    for (int64_t i = 0; i < count; i++) sums[i] = 0;
    for (int64_t tap = 0; tap < taps; tap++, weights += channels) {
        widen_32(type, window + offsets[tap], count, x);
        for (int64_t i = 0; i < count; i++) {
            const int64_t a = x[i], b = weights[i];
            sums[i] += lane == L1 ? (a > b ? a - b : b - a) : a * b;
        }
    }
}

static void depthwise_codes(Lane lane, Type type, int wide, const char *window, const int64_t *offsets, int64_t taps, int64_t count,
                            const int32_t *weights, int64_t channels, void *sums) {
    if (wide) {
        depthwise_wide(lane, type, window, offsets, taps, count, weights, channels, sums);
        return;
    }
    switch (type) {
        EACH_NARROW_TYPE(DEPTHWISE_CASE)
        default: break;
    }
}

/* Registers of up to MAX_WIDTH channels that saturate at every tap, and whether one did. */
static void depthwise_ordered(Type type, const char *window, const int64_t *offsets, int64_t taps, int64_t count,
                              const int32_t *weights, int64_t channels, int64_t low, int64_t high, int64_t *registers,
                              int64_t *clipped) {
    int32_t x[MAX_WIDTH];
    for (int64_t i = 0; i < count; i++) registers[i] = clipped[i] = 0;
    for (int64_t tap = 0; tap < taps; tap++, weights += channels) {
        widen_32(type, window + offsets[tap], count, x);
        for (int64_t i = 0; i < count; i++) {
            const int64_t next = registers[i] + (int64_t)x[i] * weights[i], above = next > low ? next : low;
            registers[i] = above < high ? above : high;
            clipped[i] |= registers[i] ^ next;
        }
    }
    for (int64_t i = 0; i < count; i++) clipped[i] = clipped[i] != 0;
}

#define ORDERED_VECTORS (ORDERED / LANES)
static void ordered_32(const int32_t *x, const int32_t *weights, int64_t taps, int32_t low, int32_t high, int64_t *registers,
                       int64_t *clipped) {
    const Ints least = ints_set(low), most = ints_set(high);
    Ints sum[ORDERED_VECTORS], clips[ORDERED_VECTORS];
    UNROLL for (int j = 0; j < ORDERED_VECTORS; j++) sum[j] = clips[j] = ints_zero();
    for (int64_t tap = 0; tap < taps; tap++, weights += ORDERED) {
        const Ints operand = ints_set(x[tap]);
        UNROLL for (int j = 0; j < ORDERED_VECTORS; j++) {
            const Ints next = ints_add(sum[j], ints_mul(operand, ints_load(weights + j * LANES)));
            sum[j] = ints_min(ints_max(next, least), most);
            clips[j] = ints_count(clips[j], sum[j], next);
        }
    }
    UNROLL for (int j = 0; j < ORDERED_VECTORS; j++) {
        int32_t sums[LANES], counts[LANES];
        ints_store(sums, sum[j]);
        ints_store(counts, clips[j]);
        for (int i = 0; i < LANES; i++) {
            registers[j * LANES + i] = sums[i];
            clipped[j * LANES + i] = counts[i] != 0;
        }
    }
}

static void ordered_64(const int32_t *x, const int32_t *weights, int64_t taps, int64_t low, int64_t high, int64_t *registers,
                       int64_t *clipped) {
    for (int i = 0; i < ORDERED; i++) registers[i] = clipped[i] = 0;
    for (int64_t tap = 0; tap < taps; tap++, weights += ORDERED) {
        for (int i = 0; i < ORDERED; i++) {
            const int64_t next = registers[i] + (int64_t)x[tap] * weights[i], above = next > low ? next : low;
            registers[i] = above < high ? above : high;
            clipped[i] |= registers[i] != next;
        }
    }
}

static void ordered(const int32_t *x, const int32_t *weights, int64_t taps, int64_t low, int64_t high, int narrow,
                    int64_t *registers, int64_t *clipped) {
    if (narrow) {
        ordered_32(x, weights, taps, (int32_t)low, (int32_t)high, registers, clipped);
    } else {
        ordered_64(x, weights, taps, low, high, registers, clipped);
    }
}

