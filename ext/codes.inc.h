/* Kernels on codes beside the panels. Plain loops that a compiler turns into the instructions of each set. */

#define EACH_NARROW_TYPE(CASE) CASE(S8, int8_t) CASE(U8, uint8_t) CASE(S16, int16_t) CASE(U16, uint16_t)
#define EACH_TYPE(CASE) EACH_NARROW_TYPE(CASE) CASE(S32, int32_t) CASE(S64, int64_t)

#define WIDEN_CASE(TYPE, C)                                                             \
    case TYPE:                                                                          \
        for (int64_t i = 0; i < count; i++) to[i] = (WIDE)((const C *)codes)[i];        \
        break;
#define WIDE int32_t
static void widen_32(Type type, const void *codes, int64_t count, int32_t *to) {
    switch (type) {
        EACH_TYPE(WIDEN_CASE)
        default: break;
    }
}
#undef WIDE
#define WIDE int64_t
static void widen_64(Type type, const void *codes, int64_t count, int64_t *to) {
    switch (type) {
        EACH_TYPE(WIDEN_CASE)
        default: break;
    }
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

#define EXTREMES_CASE(TYPE, C)                                                                                                  \
    case TYPE: {                                                                                                                \
        const C *code = codes;                                                                                                  \
        C least = *code, most = *code;                                                                                          \
        for (int64_t i = 0; i < count; i++) {                                                                                   \
            least = code[i] < least ? code[i] : least;                                                                          \
            most = code[i] > most ? code[i] : most;                                                                             \
        }                                                                                                                       \
        *low = least;                                                                                                           \
        *high = most;                                                                                                           \
        break;                                                                                                                  \
    }
static void extremes(Type type, const void *codes, int64_t count, int64_t *low, int64_t *high) {
    switch (type) {
        EACH_TYPE(EXTREMES_CASE)
        default: break;
    }
}

static void bounds(Lane lane, const int32_t *weights, int64_t taps, int32_t x_low, int32_t x_high, int64_t *low, int64_t *high) {
    int64_t least = 0, most = 0;
    for (int64_t k = 0; k < taps; k++) {
        const int64_t w = weights[k], one = x_low * w, other = x_high * w;
        if (lane == L1) {
            least -= x_high - w > w - x_low ? x_high - w : w - x_low;
        } else {
            least += one < other ? one : other;
            most += one < other ? other : one;
        }
    }
    *low = least;
    *high = most;
}

static void prepare(const int32_t *weights, int64_t taps, int32_t low, int32_t high, int32_t offset, Type operand, void *to,
                    int64_t *sum, int64_t *cut) {
    int64_t total = 0, lost = 0;
    for (int64_t first = 0; first < taps; first += CHUNK) {
        const int64_t count = smaller(CHUNK, taps - first);
        int32_t kept[CHUNK], chunk_total = 0, chunk_lost = 0;
        for (int64_t k = 0; k < count; k++) {
            const int32_t w = weights[first + k], above = w > low ? w : low, inside = above < high ? above : high;
            const int32_t difference = w - inside;
            kept[k] = inside - offset;
            chunk_total += inside - offset;
            chunk_lost += difference < 0 ? -difference : difference;
        }
        store_codes(kept, count, operand, (char *)to + first * bytes_of(operand));
        total += chunk_total;
        lost += chunk_lost;
    }
    *sum = total;
    *cut = lost;
}

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

FINISH(finish_u32_32, uint32_t, int64_t, uint64_t, int32_t, INT64_MAX)
FINISH(finish_u32_64, uint32_t, int64_t, uint64_t, int64_t, INT64_MAX)
FINISH(finish_s64_32, int64_t, int64_t, uint64_t, int32_t, INT64_MAX)
FINISH(finish_s64_64, int64_t, int64_t, uint64_t, int64_t, INT64_MAX)

/* What the register keeps. */
static inline Ints held(const Finish *f, Overflow overflow, Ints value) {
    if (overflow == SATURATE) return ints_min(ints_max(value, ints_set((int32_t)f->low)), ints_set((int32_t)f->high));
    const int32_t offset = (int32_t)((uint32_t)1 << (f->bits - 1)), mask = (int32_t)(2 * (uint32_t)offset - 1);
    return ints_sub(ints_and(ints_add(value, ints_set(offset)), ints_set(mask)), ints_set(offset));
}

/* One vector of outputs, of which the first `valid` count, over all windows; every exact result fits 32 bits. */
static inline __attribute__((always_inline)) void finish_vector(const Finish *f, const Overflow overflow, const int32_t *sums,
                                                                int64_t sums_stride, int64_t rows, int64_t valid,
                                                                const int64_t *window_sums, const int64_t *constants,
                                                                const uint8_t *ordered, char *y, int64_t y_stride, Seen *seen) {
    int32_t buffer[LANES] = {0}, lows[LANES], highs[LANES], overs[LANES];
    for (int64_t j = 0; j < valid; j++) buffer[j] = (int32_t)constants[j];
    const Ints constant = ints_load(buffer), factor = ints_set((int32_t)f->factor);
    const int64_t y_bytes = f->wide_results ? 8 : 4;
    Ints low = ints_set(INT32_MAX), high = ints_set(INT32_MIN), over = ints_set(0);
    for (int64_t i = 0; i < rows; i++, sums += sums_stride, y += y_stride * y_bytes) {
        Ints value = ints_add(ints_mul(ints_load(sums), factor), constant);
        if (f->window_factor) value = ints_add(value, ints_set((int32_t)(uint32_t)(f->window_factor * window_sums[i])));
        low = ints_min(low, value);
        high = ints_max(high, value);
        if (overflow != EXACT) {
            const Ints kept = held(f, overflow, value);
            over = ints_count(over, value, kept);
            value = kept;
        }
        if (valid < LANES) {
            ints_store(buffer, value);
            for (int64_t j = 0; j < valid; j++) {
                if (f->wide_results) {
                    ((int64_t *)(void *)y)[j] = buffer[j];
                } else {
                    ((int32_t *)(void *)y)[j] = buffer[j];
                }
            }
        } else if (f->wide_results) {
            ints_widen((int64_t *)(void *)y, value, 0);
        } else {
            ints_store((int32_t *)(void *)y, value);
        }
    }
    ints_store(lows, low);
    ints_store(highs, high);
    ints_store(overs, over);
    for (int64_t j = 0; j < valid; j++) see(seen, &(Seen){lows[j], highs[j], ordered && ordered[j] ? 0 : overs[j]});
}

static void finish_narrow(const Finish *f, const int32_t *sums, int64_t sums_stride, int64_t rows, int64_t width,
                          const int64_t *window_sums, const int64_t *constants, const uint8_t *ordered, char *y, int64_t y_stride,
                          Seen *seen) {
    for (int64_t j = 0; j < width; j += LANES) {
        const uint8_t *flags = ordered ? ordered + j : NULL;
        char *to = y + j * (f->wide_results ? 8 : 4);
        const int64_t valid = smaller(LANES, width - j);
#define ARGUMENTS sums + j, sums_stride, rows, valid, window_sums, constants + j, flags, to, y_stride, seen
        switch (f->overflow) {
            case EXACT: finish_vector(f, EXACT, ARGUMENTS); break;
            case WRAP: finish_vector(f, WRAP, ARGUMENTS); break;
            default: finish_vector(f, SATURATE, ARGUMENTS); break;
        }
#undef ARGUMENTS
    }
}

static void finish(const Finish *f, const void *sums, int sum_bytes, int64_t sums_stride, int64_t rows, int64_t width,
                   const int64_t *window_sums, const int64_t *constants, const uint8_t *ordered, void *y, int64_t y_stride,
                   Seen *seen) {
#define ARGUMENTS f, sums, sums_stride, rows, width, window_sums, constants, ordered, y, y_stride, seen
    if (f->narrow) {
        finish_narrow(ARGUMENTS);
    } else if (sum_bytes == 4) {
        f->wide_results ? finish_u32_64(ARGUMENTS) : finish_u32_32(ARGUMENTS);
    } else {
        f->wide_results ? finish_s64_64(ARGUMENTS) : finish_s64_32(ARGUMENTS);
    }
#undef ARGUMENTS
}

static inline Ints depthwise_term(Lane lane, Ints sum, Ints x, Ints w) {
    return ints_add(sum, lane == L1 ? ints_sub(ints_max(x, w), ints_min(x, w)) : ints_mul(x, w));
}

/* Sums modulo 2**32, two vectors of channels in registers. */
#define DEPTHWISE_NARROW(TYPE, C)                                                                                               \
    static inline __attribute__((always_inline)) void PASTE(depthwise_narrow, TYPE)(                                            \
        const Lane lane, const void *const *pixels, int64_t first, int64_t count, const int32_t *weights, int64_t channels,     \
        int64_t taps, int32_t *sums) {                                                                                          \
        int64_t at = 0;                                                                                                         \
        for (; at + 2 * LANES <= count; at += 2 * LANES) {                                                                      \
            Ints sum = ints_zero(), other = ints_zero();                                                                        \
            for (int64_t tap = 0; tap < taps; tap++) {                                                                          \
                const C *x = (const C *)pixels[tap] + first + at;                                                               \
                const int32_t *w = weights + tap * channels + first + at;                                                       \
                sum = depthwise_term(lane, sum, ints_from_##TYPE(x), ints_load(w));                                             \
                other = depthwise_term(lane, other, ints_from_##TYPE(x + LANES), ints_load(w + LANES));                         \
            }                                                                                                                   \
            ints_store(sums + at, sum);                                                                                         \
            ints_store(sums + at + LANES, other);                                                                               \
        }                                                                                                                       \
        for (; at < count; at++) {                                                                                              \
            uint32_t sum = 0;                                                                                                   \
            for (int64_t tap = 0; tap < taps; tap++) {                                                                          \
                const int32_t a = ((const C *)pixels[tap])[first + at], b = weights[tap * channels + first + at];               \
                sum += lane == L1 ? (uint32_t)(a > b ? a - b : b - a) : (uint32_t)a * (uint32_t)b;                              \
            }                                                                                                                   \
            sums[at] = (int32_t)sum;                                                                                            \
        }                                                                                                                       \
    }
EACH_NARROW_TYPE(DEPTHWISE_NARROW)

#define DEPTHWISE_WIDE(TYPE, C)                                                                                                 \
    static void PASTE(depthwise_wide, TYPE)(Lane lane, const void *const *pixels, int64_t first, int64_t count,                 \
                                            const int32_t *weights, int64_t channels, int64_t taps, int64_t *sums) {            \
        for (int64_t i = 0; i < count; i++) sums[i] = 0;                                                                        \
        for (int64_t tap = 0; tap < taps; tap++) {                                                                              \
            const C *x = (const C *)pixels[tap] + first;                                                                        \
            const int32_t *w = weights + tap * channels + first;                                                                \
            for (int64_t i = 0; i < count; i++) {                                                                               \
                const int64_t a = x[i], b = w[i];                                                                               \
                sums[i] += lane == L1 ? (a > b ? a - b : b - a) : a * b;                                                        \
            }                                                                                                                   \
        }                                                                                                                       \
    }
EACH_NARROW_TYPE(DEPTHWISE_WIDE)

#define DEPTHWISE_CASE(TYPE, C)                                                                                                 \
    case TYPE:                                                                                                                  \
        if (wide) {                                                                                                             \
            PASTE(depthwise_wide, TYPE)(lane, x, first, count, weights, channels, taps, sums);                                  \
        } else if (lane == L1) {                                                                                                \
            PASTE(depthwise_narrow, TYPE)(L1, x, first, count, weights, channels, taps, sums);                                  \
        } else {                                                                                                                \
            PASTE(depthwise_narrow, TYPE)(MAC, x, first, count, weights, channels, taps, sums);                                 \
        }                                                                                                                       \
        break;

static void depthwise_codes(Lane lane, Type type, int wide, const void *const *x, int64_t first, int64_t count,
                            const int32_t *weights, int64_t channels, int64_t taps, void *sums) {
    switch (type) {
        EACH_NARROW_TYPE(DEPTHWISE_CASE)
        default: break;
    }
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
