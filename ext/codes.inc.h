/* Kernels on codes beside the panels. Plain loops that a compiler turns into the instructions of each set. */

#define EACH_NARROW_TYPE(CASE) CASE(S8, int8_t) CASE(U8, uint8_t) CASE(S16, int16_t) CASE(U16, uint16_t)
#define EACH_TYPE(CASE) EACH_NARROW_TYPE(CASE) CASE(S32, int32_t) CASE(S64, int64_t)

/* operand = code - offset; in place where the sizes agree */
#define OPERAND_CASE(TYPE, C)                                                                                                   \
    case TYPE:                                                                                                                  \
        if (operand == U8) {                                                                                                    \
            for (int64_t i = 0; i < count; i++) ((uint8_t *)to)[i] = (uint8_t)(((const C *)codes)[i] - (int)offset);            \
        } else {                                                                                                                \
            for (int64_t i = 0; i < count; i++) ((int16_t *)to)[i] = (int16_t)(((const C *)codes)[i] - (int)offset);            \
        }                                                                                                                       \
        break;

static void load_operands(Type type, const void *codes, int64_t count, int64_t offset, Type operand, void *to) {
    switch (type) {
        EACH_NARROW_TYPE(OPERAND_CASE)
        default: break;
    }
}

static int64_t sum_operands(Type operand, const void *operands, int64_t count) {
    int64_t total = 0;
    for (int64_t first = 0; first < count; first += 32768) { /* so many fit a 32-bit sum */
        const int64_t end = smaller(count, first + 32768);
        int32_t sum = 0;
        if (operand == U8) {
            for (int64_t i = first; i < end; i++) sum += ((const uint8_t *)operands)[i];
        } else {
            for (int64_t i = first; i < end; i++) sum += ((const int16_t *)operands)[i];
        }
        total += sum;
    }
    return total;
}

static inline int64_t wrapped(int64_t value, int bits) {
    const uint64_t offset = (uint64_t)1 << (bits - 1), mask = 2 * offset - 1;
    return (int64_t)(((uint64_t)value + offset) & mask) - (int64_t)offset;
}

/* Results of SUM sums in RESULT arithmetic, modulo its width as UNSIGNED; stored as Y. */
#define FINISH(NAME, SUM, RESULT, UNSIGNED, Y, LARGEST)                                                                         \
    static void NAME(const Finish *f, const SUM *sums, int64_t sums_stride, int64_t rows, int64_t width,                        \
                     const int64_t *window_sums, const int64_t *constants, const uint8_t *ordered, Y *y, int64_t y_stride,      \
                     Seen *seen) {                                                                                              \
        UNSIGNED constant[MAX_WIDTH];                                                                                           \
        RESULT low[MAX_WIDTH], high[MAX_WIDTH];                                                                                 \
        uint32_t over[MAX_WIDTH] = {0};                                                                                         \
        const UNSIGNED factor = (UNSIGNED)f->factor;                                                                            \
        for (int64_t j = 0; j < width; j++) {                                                                                   \
            constant[j] = (UNSIGNED)constants[j];                                                                               \
            low[j] = LARGEST;                                                                                                   \
            high[j] = -LARGEST - 1;                                                                                             \
        }                                                                                                                       \
        for (int64_t i = 0; i < rows; i++, sums += sums_stride, y += y_stride) {                                                \
            const UNSIGNED base = f->window_factor ? (UNSIGNED)(f->window_factor * window_sums[i]) : 0;                         \
            RESULT row[MAX_WIDTH];                                                                                              \
            for (int64_t j = 0; j < width; j++) {                                                                               \
                RESULT value = (RESULT)(factor * (UNSIGNED)sums[j] + base + constant[j]);                                       \
                low[j] = value < low[j] ? value : low[j];                                                                       \
                high[j] = value > high[j] ? value : high[j];                                                                    \
                row[j] = value;                                                                                                 \
            }                                                                                                                   \
            if (f->overflow == SATURATE) {                                                                                      \
                const RESULT least = (RESULT)f->low, most = (RESULT)f->high;                                                    \
                for (int64_t j = 0; j < width; j++) {                                                                           \
                    RESULT value = row[j] < least ? least : row[j];                                                             \
                    value = value > most ? most : value;                                                                        \
                    over[j] += value != row[j];                                                                                 \
                    row[j] = value;                                                                                             \
                }                                                                                                               \
            } else if (f->overflow == WRAP) {                                                                                   \
                for (int64_t j = 0; j < width; j++) {                                                                           \
                    RESULT value = (RESULT)wrapped(row[j], f->bits);                                                            \
                    over[j] += value != row[j];                                                                                 \
                    row[j] = value;                                                                                             \
                }                                                                                                               \
            }                                                                                                                   \
            for (int64_t j = 0; j < width; j++) y[j] = (Y)row[j];                                                               \
        }                                                                                                                       \
        for (int64_t j = 0; j < width; j++) {                                                                                   \
            Seen one = {low[j], high[j], ordered && ordered[j] ? 0 : over[j]};                                                  \
            see(seen, &one);                                                                                                    \
        }                                                                                                                       \
    }

FINISH(finish_narrow_32, uint32_t, int32_t, uint32_t, int32_t, INT32_MAX)
FINISH(finish_narrow_64, uint32_t, int32_t, uint32_t, int64_t, INT32_MAX)
FINISH(finish_u32_32, uint32_t, int64_t, uint64_t, int32_t, INT64_MAX)
FINISH(finish_u32_64, uint32_t, int64_t, uint64_t, int64_t, INT64_MAX)
FINISH(finish_s64_32, int64_t, int64_t, uint64_t, int32_t, INT64_MAX)
FINISH(finish_s64_64, int64_t, int64_t, uint64_t, int64_t, INT64_MAX)

static void finish(const Finish *f, const void *sums, int sum_bytes, int64_t sums_stride, int64_t rows, int64_t width,
                   const int64_t *window_sums, const int64_t *constants, const uint8_t *ordered, void *y, int64_t y_stride,
                   Seen *seen) {
#define ARGUMENTS f, sums, sums_stride, rows, width, window_sums, constants, ordered, y, y_stride, seen
    if (f->narrow) {
        f->wide_results ? finish_narrow_64(ARGUMENTS) : finish_narrow_32(ARGUMENTS);
    } else if (sum_bytes == 4) {
        f->wide_results ? finish_u32_64(ARGUMENTS) : finish_u32_32(ARGUMENTS);
    } else {
        f->wide_results ? finish_s64_64(ARGUMENTS) : finish_s64_32(ARGUMENTS);
    }
#undef ARGUMENTS
}

#define DEPTHWISE_TAP(SUM, EXPRESSION)                                                 \
    for (int64_t i = 0; i < count; i++) {                                              \
        const int32_t a = x[i], b = w[i];                                              \
        sum[i] += (EXPRESSION);                                                        \
    }
#define DEPTHWISE(NAME, C, SUM, L1_TERM, MAC_TERM)                                                                              \
    static void NAME(Lane lane, const void *const *pixels, int64_t first, int64_t count, const int32_t *weights,                \
                     int64_t channels, int64_t taps, SUM *sum) {                                                                \
        for (int64_t i = 0; i < count; i++) sum[i] = 0;                                                                         \
        for (int64_t tap = 0; tap < taps; tap++) {                                                                              \
            const C *x = (const C *)pixels[tap] + first;                                                                        \
            const int32_t *w = weights + tap * channels + first;                                                                \
            if (lane == L1) {                                                                                                   \
                DEPTHWISE_TAP(SUM, L1_TERM)                                                                                     \
            } else {                                                                                                            \
                DEPTHWISE_TAP(SUM, MAC_TERM)                                                                                    \
            }                                                                                                                   \
        }                                                                                                                       \
    }
#define DEPTHWISE_TYPE(TYPE, C)                                                                                                 \
    DEPTHWISE(PASTE(depthwise_narrow, TYPE), C, uint32_t, (uint32_t)(a > b ? a - b : b - a), (uint32_t)a * (uint32_t)b)         \
    DEPTHWISE(PASTE(depthwise_wide, TYPE), C, int64_t, a > b ? a - b : b - a, (int64_t)a * b)
EACH_NARROW_TYPE(DEPTHWISE_TYPE)
#define DEPTHWISE_CASE(TYPE, C)                                                                                                 \
    case TYPE:                                                                                                                  \
        if (wide) {                                                                                                             \
            PASTE(depthwise_wide, TYPE)(lane, x, first, count, weights, channels, taps, sums);                                  \
        } else {                                                                                                                \
            PASTE(depthwise_narrow, TYPE)(lane, x, first, count, weights, channels, taps, sums);                                \
        }                                                                                                                       \
        break;

static void depthwise_codes(Lane lane, Type type, int wide, const void *const *x, int64_t first, int64_t count,
                            const int32_t *weights, int64_t channels, int64_t taps, void *sums) {
    switch (type) {
        EACH_NARROW_TYPE(DEPTHWISE_CASE)
        default: break;
    }
}

/* Saturating registers, tap after tap, in REGISTER arithmetic. */
#define ORDERED_IN(NAME, REGISTER)                                                                                              \
    static void NAME(const int32_t *x, const int32_t *weights, int64_t taps, REGISTER low, REGISTER high, int64_t *registers,   \
                     int64_t *clipped) {                                                                                        \
        REGISTER sum[ORDERED] = {0}, clips[ORDERED] = {0};                                                                      \
        for (int64_t tap = 0; tap < taps; tap++, weights += ORDERED) {                                                          \
            const REGISTER operand = x[tap];                                                                                    \
            for (int i = 0; i < ORDERED; i++) {                                                                                 \
                const REGISTER next = sum[i] + operand * weights[i];                                                            \
                REGISTER kept = next < low ? low : next;                                                                        \
                kept = kept > high ? high : kept;                                                                               \
                clips[i] |= kept ^ next;                                                                                        \
                sum[i] = kept;                                                                                                  \
            }                                                                                                                   \
        }                                                                                                                       \
        for (int i = 0; i < ORDERED; i++) {                                                                                     \
            registers[i] = sum[i];                                                                                              \
            clipped[i] = clips[i] != 0;                                                                                         \
        }                                                                                                                       \
    }
ORDERED_IN(ordered_32, int32_t)
ORDERED_IN(ordered_64, int64_t)

static void ordered(const int32_t *x, const int32_t *weights, int64_t taps, int64_t low, int64_t high, int narrow,
                    int64_t *registers, int64_t *clipped) {
    if (narrow) {
        ordered_32(x, weights, taps, (int32_t)low, (int32_t)high, registers, clipped);
    } else {
        ordered_64(x, weights, taps, low, high, registers, clipped);
    }
}

#define WIDEN_CASE(TYPE, C)                                                             \
    case TYPE:                                                                          \
        for (int64_t i = 0; i < count; i++) to[i] = (WIDE)((const C *)codes)[i];        \
        break;
#define WIDE int32_t
static void widen_32(Type type, const void *codes, int64_t count, int32_t *to) {
    switch (type) { EACH_TYPE(WIDEN_CASE) }
}
#undef WIDE
#define WIDE int64_t
static void widen_64(Type type, const void *codes, int64_t count, int64_t *to) {
    switch (type) { EACH_TYPE(WIDEN_CASE) }
}
#undef WIDE

#define NARROW_CASE(TYPE, C)                                                            \
    case TYPE:                                                                          \
        for (int64_t i = 0; i < count; i++) ((C *)to)[i] = (C)values[i];                \
        break;
static void store_codes(const int32_t *values, int64_t count, Type type, void *to) {
    switch (type) {
        EACH_NARROW_TYPE(NARROW_CASE)
        default: break;
    }
}

static inline int64_t wrapped_code(int64_t value, const Codes *codes) {
    return codes->is_signed ? wrapped(value, codes->bits) : value & (((int64_t)1 << codes->bits) - 1);
}

/* Exact results to codes, with what was seen. */
static void store_results(const int64_t *results, int64_t count, const Codes *codes, void *y, Seen *seen) {
    int32_t kept[CHUNK];
    int64_t over = 0, low = INT64_MAX, high = INT64_MIN;
    for (int64_t i = 0; i < count; i++) {
        const int64_t value = results[i];
        int64_t code = value < codes->low ? codes->low : value > codes->high ? codes->high : value;
        over += code != value;
        if (codes->overflow == WRAP) code = wrapped_code(value, codes);
        kept[i] = (int32_t)code;
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    store_codes(kept, count, codes->type, y);
    see(seen, &(Seen){low, high, over});
}

static void affine(Type type, const void *x, int64_t count, const int32_t *multiplier, const int64_t *addend,
                   const uint8_t *shift, Rounding rounding, const Codes *codes, void *y, Seen *seen) {
    int64_t results[CHUNK];
    widen_64(type, x, count, results);
    for (int64_t i = 0; i < count; i++) {
        const int64_t value = results[i] * multiplier[i] + addend[i], floor = value >> shift[i];
        const int64_t rest = value - (int64_t)((uint64_t)floor << shift[i]), half = ((int64_t)1 << shift[i]) >> 1;
        const int at_half = (shift[i] > 0) & (rest == half), above = (shift[i] > 0) & (rest > half);
        results[i] = floor + (rounding == HALF_UP ? at_half | above : rounding == HALF_EVEN ? above | (at_half & (int)(floor & 1)) : 0);
    }
    store_results(results, count, codes, y, seen);
}

/* Rounds one vector, sees it, and leaves it in results and, clamped, in kept. */
static inline void round_vector(const int32_t *x, const double *multiplier, const double *addend, int nearest, Doubles least,
                                Doubles most, Doubles *low, Doubles *high, double *results, int32_t *kept) {
    Doubles value = doubles_fma(doubles_of(x), doubles_load(multiplier), doubles_load(addend));
    value = nearest ? doubles_nearest(value) : doubles_floor(value);
    *low = doubles_min(*low, value);
    *high = doubles_max(*high, value);
    doubles_store(results, value);
    doubles_to(kept, doubles_min(doubles_max(value, least), most));
}

/* The same where |x * multiplier| + |addend| < 2**52, saturating: every step is exact in double. multiplier and addend come
   divided by 2**shift, and half-up as a floor after one half was added. */
static void affine_doubles(Type type, const void *x, int64_t count, const double *multiplier, const double *addend,
                           int nearest, const Codes *codes, void *y, Seen *seen) {
    double results[CHUNK + DOUBLES];
    int32_t wide[CHUNK], kept[CHUNK + DOUBLES];
    const int32_t *in = x;
    if (count <= 0) return;
    if (type != S32) {
        widen_32(type, x, count, wide);
        in = wide;
    }
    Doubles low = doubles_all(0x1p62), high = doubles_all(-0x1p62);
    const Doubles least = doubles_all((double)codes->low), most = doubles_all((double)codes->high);
    int64_t i = 0;
    for (; i + DOUBLES <= count; i += DOUBLES) {
        round_vector(in + i, multiplier + i, addend + i, nearest, least, most, &low, &high, results + i, kept + i);
    }
    for (; i < count; i++) { /* the rest one by one, each in all lanes */
        int32_t one[DOUBLES];
        double m[DOUBLES], a[DOUBLES];
        for (int lane = 0; lane < DOUBLES; lane++) one[lane] = in[i], m[lane] = multiplier[i], a[lane] = addend[i];
        round_vector(one, m, a, nearest, least, most, &low, &high, results + i, kept + i);
    }
    store_codes(kept, count, codes->type, y);
    double lows[DOUBLES], highs[DOUBLES];
    doubles_store(lows, low);
    doubles_store(highs, high);
    Seen one = nothing_seen();
    for (int lane = 0; lane < DOUBLES; lane++) {
        one.minimum = smaller(one.minimum, (int64_t)lows[lane]);
        one.maximum = larger(one.maximum, (int64_t)highs[lane]);
    }
    if (one.minimum < codes->low || one.maximum > codes->high) {
        for (int64_t at = 0; at < count; at++) one.overflowed += results[at] != (double)kept[at];
    }
    see(seen, &one);
}

/* Values that fit 32 bits to codes, with what was seen. */
static void store_values(const int32_t *values, int64_t count, const Codes *codes, void *y, Seen *seen) {
    int32_t kept[CHUNK], over = 0, low = INT32_MAX, high = INT32_MIN;
    const int32_t least = (int32_t)codes->low, most = (int32_t)codes->high;
    for (int64_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
        kept[i] = values[i] < least ? least : values[i] > most ? most : values[i];
        over += kept[i] != values[i];
    }
    if (over && codes->overflow == WRAP) {
        for (int64_t i = 0; i < count; i++) kept[i] = (int32_t)wrapped_code(values[i], codes);
    }
    store_codes(kept, count, codes->type, y);
    see(seen, &(Seen){low, high, over});
}

static void add(Type a_type, const void *a, Type b_type, const void *b, int64_t count, const Codes *codes, void *y, Seen *seen) {
    int32_t left[CHUNK], right[CHUNK];
    widen_32(a_type, a, count, left);
    widen_32(b_type, b, count, right);
    for (int64_t i = 0; i < count; i++) left[i] += right[i];
    store_values(left, count, codes, y, seen);
}

static void clamp(Type type, const void *x, int64_t count, const Codes *codes, void *y, Seen *seen) {
    if (type == S64) {
        store_results(x, count, codes, y, seen);
    } else {
        int32_t values[CHUNK];
        widen_32(type, x, count, values);
        store_values(values, count, codes, y, seen);
    }
}

#define MAX_CASE(TYPE, C)                                                                                                       \
    case TYPE:                                                                                                                  \
        for (int64_t i = 0; i < channels; i++) ((C *)y)[i] = ((const C *)pixels[0])[i];                                         \
        for (int64_t pixel = 1; pixel < count; pixel++) {                                                                       \
            const C *x = pixels[pixel];                                                                                         \
            for (int64_t i = 0; i < channels; i++) ((C *)y)[i] = x[i] > ((C *)y)[i] ? x[i] : ((C *)y)[i];                       \
        }                                                                                                                       \
        break;
static void max_pixels(Type type, const void *const *pixels, int64_t count, int64_t channels, void *y) {
    switch (type) {
        EACH_NARROW_TYPE(MAX_CASE)
        default: break;
    }
}

#define SUM_PIXELS(C, SUM)                                                                                                      \
    for (int64_t i = 0; i < channels; i++) ((SUM *)y)[i] = 0;                                                                   \
    for (int64_t pixel = 0; pixel < count; pixel++) {                                                                           \
        const C *x = pixels[pixel];                                                                                             \
        for (int64_t i = 0; i < channels; i++) ((SUM *)y)[i] += x[i];                                                           \
    }
#define SUM_CASE(TYPE, C)                                                                                                       \
    case TYPE:                                                                                                                  \
        if (wide) {                                                                                                             \
            SUM_PIXELS(C, int64_t)                                                                                              \
        } else {                                                                                                                \
            SUM_PIXELS(C, int32_t)                                                                                              \
        }                                                                                                                       \
        break;
static void sum_pixels(Type type, const void *const *pixels, int64_t count, int64_t channels, int wide, void *y) {
    switch (type) {
        EACH_NARROW_TYPE(SUM_CASE)
        default: break;
    }
}
