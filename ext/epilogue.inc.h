/* Raw sums to results, and on to codes. */

/* Results of SUM sums in 64 bits, stored as Y. */
#define EPILOGUE_WIDE(NAME, SUM, Y)                                                                                               \
    static void NAME(const Epilogue *f, const SUM *sums, int64_t sums_stride, int64_t rows, const int64_t *window_sums,           \
                     int64_t output, int64_t width, Y *y, int64_t y_stride, Stats *stats) {                                       \
        for (int64_t i = 0; i < rows; i++, sums += sums_stride, y += y_stride) {                                                \
            for (int64_t j = 0; j < width; j++) {                                                                               \
                const int64_t base = f->window_factors ? f->window_factors[output + j] * window_sums[i] : 0;                    \
                const int64_t value = f->factor * (int64_t)sums[j] + base + f->constants[output + j];                           \
                int64_t kept = value;                                                                                           \
                if (f->overflow == SATURATE) kept = clip(value, f->low, f->high);                                               \
                if (f->overflow == WRAP) kept = wrapped(value, f->bits);                                                        \
                stats->minimum = smaller(stats->minimum, value);                                                                  \
                stats->maximum = larger(stats->maximum, value);                                                                   \
                stats->overflowed += kept != value && !(f->ordered && f->ordered[output + j]);                                   \
                y[j] = (Y)kept;                                                                                                 \
            }                                                                                                                   \
        }                                                                                                                       \
    }

EPILOGUE_WIDE(epilogue_u32_32, uint32_t, int32_t)
EPILOGUE_WIDE(epilogue_u32_64, uint32_t, int64_t)
EPILOGUE_WIDE(epilogue_s64_32, int64_t, int32_t)
EPILOGUE_WIDE(epilogue_s64_64, int64_t, int64_t)

/* What the register keeps. */
static inline Ints held(const Epilogue *f, Overflow overflow, Ints value) {
    if (overflow == SATURATE) return ints_min(ints_max(value, ints_set((int32_t)f->low)), ints_set((int32_t)f->high));
    const int32_t offset = (int32_t)((uint32_t)1 << (f->bits - 1)), mask = (int32_t)(2 * (uint32_t)offset - 1);
    return ints_sub(ints_and(ints_add(value, ints_set(offset)), ints_set(mask)), ints_set(offset));
}

static inline Ints rounded(Ints value, const Doubles *multiplier, const Doubles *addend, int nearest) {
    const Doubles low = doubles_fma(doubles_low(value), multiplier[0], addend[0]);
    const Doubles high = doubles_fma(doubles_high(value), multiplier[1], addend[1]);
    return nearest ? ints_nearest(low, high) : ints_floor(low, high);
}

static inline void store_whole(int with_affine, int y_bytes, Ints value, char *y) {
    if (with_affine && y_bytes == 1) {
        ints_pack8(y, value);
    } else if (with_affine) {
        ints_pack16(y, value);
    } else if (y_bytes == 8) {
        ints_widen((int64_t *)(void *)y, value, 0);
    } else {
        ints_store((int32_t *)(void *)y, value);
    }
}

/* Rounding is monotone: the extremes of a channel's codes are those of its sums. */
static void affine_stats(const Affine *affine, int64_t channel, int64_t low, int64_t high, int64_t over, Stats *stats) {
    const double ends[2] = {(double)low * affine->multiplier[channel] + affine->addend[channel],
                            (double)high * affine->multiplier[channel] + affine->addend[channel]};
    for (int i = 0; i < 2; i++) {
        const int64_t value = (int64_t)(affine->nearest ? rint(ends[i]) : floor(ends[i]));
        merge_stats(stats, &(Stats){value, value, i ? 0 : over});
    }
}

/* One vector of outputs, of which the first `valid` count, over all windows; every exact result fits 32 bits.
   Folded: factor and constant are in the affine, and extremes are those of the raw sums until the end. */
static ALWAYS_INLINE void epilogue_vector(const Epilogue *f, const Overflow overflow, const int with_affine,
                                                                const int folded, const int32_t *sums, int64_t sums_stride, int64_t rows,
                                                                const int64_t *window_sums, int64_t output, int64_t valid, char *y,
                                                                int64_t y_stride, Stats *stats, Stats *codes_stats) {
    int32_t constants[LANES] = {0}, window_factors[LANES] = {0};
    double multipliers[LANES] = {0}, addends[LANES] = {0};
    for (int64_t j = 0; j < valid; j++) {
        constants[j] = (int32_t)f->constants[output + j];
        if (f->window_factors) window_factors[j] = (int32_t)f->window_factors[output + j];
        if (with_affine) multipliers[j] = f->affine->multiplier[output + j], addends[j] = f->affine->addend[output + j];
        if (folded) addends[j] += multipliers[j] * constants[j], multipliers[j] *= (double)f->factor;
    }
    const int64_t y_step = y_stride * f->y_bytes;
    const int y_bytes = f->y_bytes, nearest = with_affine && f->affine->nearest, windows = f->window_factors != NULL;
    const Ints window_factor = ints_load(window_factors);
    const Ints constant = ints_load(constants), factor = ints_set((int32_t)f->factor);
    const Doubles multiplier[2] = {doubles_load(multipliers), doubles_load(multipliers + DOUBLES)};
    const Doubles addend[2] = {doubles_load(addends), doubles_load(addends + DOUBLES)};
    Ints low = ints_set(INT32_MAX), high = ints_set(INT32_MIN), over = ints_set(0);
    /* Where a vector is a whole pixel, what it stores too much is overwritten by the next ones of this tile. */
    const int64_t whole = valid == LANES ? rows : valid == y_stride ? rows - round_up(LANES, valid) / valid : 0;
    Sink sink;
    if (with_affine) sink = sink_to(&f->affine->codes);
    for (int64_t i = 0; i < rows; i++, sums += sums_stride, y += y_step) {
        Ints value = ints_load(sums);
        if (!folded) value = ints_add(ints_mul(value, factor), constant);
        if (!folded && windows) value = ints_add(value, ints_mul(window_factor, ints_set((int32_t)(uint32_t)window_sums[i])));
        low = ints_min(low, value);
        high = ints_max(high, value);
        if (overflow != EXACT) {
            const Ints kept = held(f, overflow, value);
            over = ints_count(over, value, kept);
            value = kept;
        }
        if (with_affine) value = sink_codes(&sink, rounded(value, multiplier, addend, nearest));
        if (i < whole) {
            store_whole(with_affine, y_bytes, value, y);
        } else {
            char buffer[LANES * 8];
            store_whole(with_affine, y_bytes, value, buffer);
            memcpy(y, buffer, (size_t)(valid * y_bytes));
        }
    }
    int32_t lows[LANES], highs[LANES], overs[LANES], codes_over[LANES];
    ints_store(lows, low);
    ints_store(highs, high);
    ints_store(overs, over);
    if (with_affine) ints_store(codes_over, sink.over);
    for (int64_t j = 0; j < valid; j++) {
        if (folded) {
            const int32_t one = (int32_t)f->factor * lows[j] + constants[j], other = (int32_t)f->factor * highs[j] + constants[j];
            lows[j] = one < other ? one : other;
            highs[j] = one < other ? other : one;
        }
        merge_stats(stats, &(Stats){lows[j], highs[j], f->ordered && f->ordered[output + j] ? 0 : overs[j]});
        if (with_affine) {
            const int saturates = overflow == SATURATE;
            affine_stats(f->affine, output + j, saturates ? clip(lows[j], f->low, f->high) : lows[j],
                       saturates ? clip(highs[j], f->low, f->high) : highs[j], codes_over[j], codes_stats);
        }
    }
}

#define EPILOGUE_NARROW(NAME, OVERFLOW, WITH_AFFINE, FOLDED)                                                                           \
    static void NAME(const Epilogue *f, const int32_t *sums, int64_t sums_stride, int64_t rows, const int64_t *window_sums,       \
                     int64_t output, int64_t width, char *y, int64_t y_stride, Stats *stats, Stats *codes_stats) {                  \
        for (int64_t j = 0; j < width; j += LANES) {                                                                            \
            epilogue_vector(f, OVERFLOW, WITH_AFFINE, FOLDED, sums + j, sums_stride, rows, window_sums, output + j,                       \
                          smaller(LANES, width - j), y + j * f->y_bytes, y_stride, stats, codes_stats);                           \
        }                                                                                                                       \
    }
EPILOGUE_NARROW(epilogue_exact, EXACT, 0, 0)
EPILOGUE_NARROW(epilogue_exact_affine, EXACT, 1, 0)
EPILOGUE_NARROW(epilogue_exact_folded, EXACT, 1, 1)
EPILOGUE_NARROW(epilogue_saturate, SATURATE, 0, 0)
EPILOGUE_NARROW(epilogue_saturate_affine, SATURATE, 1, 0)
EPILOGUE_NARROW(epilogue_wrap, WRAP, 0, 0)

static void epilogue(const Epilogue *f, const void *sums, int sum_bytes, int64_t sums_stride, int64_t rows, const int64_t *window_sums,
                   int64_t output, int64_t width, void *y, int64_t y_stride, Stats *stats, Stats *codes_stats) {
#define ARGUMENTS f, sums, sums_stride, rows, window_sums, output, width, y, y_stride, stats
    if (!f->narrow) {
        if (sum_bytes == 4) {
            f->y_bytes == 8 ? epilogue_u32_64(ARGUMENTS) : epilogue_u32_32(ARGUMENTS);
        } else {
            f->y_bytes == 8 ? epilogue_s64_64(ARGUMENTS) : epilogue_s64_32(ARGUMENTS);
        }
    } else if (f->rescale && f->rescale->direct) {
        epilogue_rescaled(ARGUMENTS, codes_stats);
    } else if (f->overflow == EXACT && f->folds) {
        epilogue_exact_folded(ARGUMENTS, codes_stats);
    } else if (f->overflow == EXACT) {
        f->affine ? epilogue_exact_affine(ARGUMENTS, codes_stats) : epilogue_exact(ARGUMENTS, codes_stats);
    } else if (f->overflow == SATURATE) {
        f->affine ? epilogue_saturate_affine(ARGUMENTS, codes_stats) : epilogue_saturate(ARGUMENTS, codes_stats);
    } else {
        epilogue_wrap(ARGUMENTS, codes_stats);
    }
#undef ARGUMENTS
}
