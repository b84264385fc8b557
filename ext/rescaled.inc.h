/* Rescalings in registers, where no step leaves 32 bits (Rescale.direct): by the formulas of requantise.inc.h. */

#define EACH_DIRECT_FORMULA(CASE) CASE(DOUBLING) CASE(SINGLE_ROUNDING) CASE(FLOAT_FACTOR)

/* Constants of a vector of channels. `nudge`: what is added to a negative value before it is divided by a power of two. */
typedef struct {
    Ints multiplier, left, right, half, nudge;
    Floats factor;
} Scale;

/* value / 2**places, ties away from zero */
static inline Ints over_powers(Ints value, const Scale *s) {
    const Ints more = ints_add(s->half, ints_and(ints_right(value, ints_set(31)), s->nudge));
    return ints_right(ints_add(value, more), s->right);
}

static inline __attribute__((always_inline)) Ints rescaled(const Formula formula, Ints value, const Scale *s) {
    if (formula == FLOAT_FACTOR) return ints_nearest_float(floats_mul(floats_of(value), s->factor));
    if (formula == SINGLE_ROUNDING) return ints_scaled(value, s->multiplier, s->right);
    return over_powers(ints_high_product(ints_left(value, s->left), s->multiplier), s);
}

static inline Scale scale_of(Formula formula, const int32_t *multiplier, const int32_t *shift, const float *factor) {
    int32_t left[LANES], right[LANES], half[LANES], nudge[LANES];
    for (int i = 0; i < LANES; i++) {
        left[i] = shift[i] > 0 ? shift[i] : 0;
        right[i] = formula == SINGLE_ROUNDING ? shift[i] : left[i] - shift[i];
        half[i] = formula == DOUBLING && right[i] ? (int32_t)1 << (right[i] - 1) : 0;
        nudge[i] = half[i] ? -1 : 0;
    }
    return (Scale){ints_load(multiplier), ints_load(left), ints_load(right), ints_load(half), ints_load(nudge), floats_load(factor)};
}

/* The same for one value. */
static int64_t rescaled_one(const Rescale *r, int64_t channel, int32_t value) {
    int32_t result;
    rescale_values(r, channel, &value, 1, &result);
    return (int64_t)result + r->zero_point;
}

/* One vector of outputs, of which the first `valid` count, over all windows, as epilogue_vector() has them. Sums are looked at with their
   biases, and extremes of codes are those of sums. `plain`: sums need neither factor nor window sums. */
static inline __attribute__((always_inline)) void rescaled_vector(const Epilogue *f, const Formula formula, const int plain,
                                                                const int32_t *sums, int64_t sums_stride, int64_t rows,
                                                                const int64_t *window_sums, int64_t output, int64_t valid, char *y,
                                                                int64_t y_stride, Stats *stats, Stats *codes_stats) {
    const Rescale *r = f->rescale;
    int32_t constants[LANES] = {0}, window_factors[LANES] = {0}, multipliers[LANES] = {0}, shifts[LANES] = {0};
    float factors[LANES] = {0};
    for (int64_t j = 0; j < LANES; j++) {
        const int64_t channel = (output + smaller(j, valid - 1)) % f->outputs;
        constants[j] = (int32_t)(f->constants[channel] + r->bias[channel]);
        if (f->window_factors) window_factors[j] = (int32_t)f->window_factors[channel];
        multipliers[j] = r->multiplier[channel], shifts[j] = r->shift[channel], factors[j] = r->factor[channel];
    }
    const int64_t y_step = y_stride * f->y_bytes;
    const int y_bytes = f->y_bytes, windows = f->window_factors != NULL;
    const Ints window_factor = ints_load(window_factors), constant = ints_load(constants), factor = ints_set((int32_t)f->factor);
    const Ints zero_point = ints_set(r->zero_point);
    const Scale scale = scale_of(formula, multipliers, shifts, factors);
    Ints low = ints_set(INT32_MAX), high = ints_set(INT32_MIN);
    /* Where a vector is a whole pixel, what it stores too much is overwritten by the next ones of this tile. */
    const int64_t whole = valid == LANES ? rows : valid == y_stride ? rows - round_up(LANES, valid) / valid : 0;
    Sink sink = sink_to(&r->codes);
    for (int64_t i = 0; i < rows; i++, sums += sums_stride, y += y_step) {
        Ints value = ints_load(sums);
        if (!plain) value = ints_mul(value, factor);
        value = ints_add(value, constant);
        if (!plain && windows) value = ints_add(value, ints_mul(window_factor, ints_set((int32_t)(uint32_t)window_sums[i])));
        low = ints_min(low, value);
        high = ints_max(high, value);
        const Ints code = sink_codes(&sink, ints_add(rescaled(formula, value, &scale), zero_point));
        if (i < whole) {
            store_vector(r->codes.type, code, y);
        } else {
            char buffer[LANES * 2];
            store_vector(r->codes.type, code, buffer);
            memcpy(y, buffer, (size_t)(valid * y_bytes));
        }
    }
    int32_t lows[LANES], highs[LANES], overs[LANES];
    ints_store(lows, low);
    ints_store(highs, high);
    ints_store(overs, sink.over);
    for (int64_t j = 0; j < valid; j++) {
        const int64_t channel = (output + j) % f->outputs, bias = r->bias[channel];
        merge_stats(stats, &(Stats){lows[j] - bias, highs[j] - bias, 0});
        merge_stats(codes_stats, &(Stats){rescaled_one(r, channel, lows[j]), rescaled_one(r, channel, highs[j]), overs[j]});
    }
}

#define RESCALED_CASE(FORMULA)                                                                                                  \
    case FORMULA:                                                                                                               \
        for (int64_t j = 0; j < width; j += LANES) {                                                                            \
            char *to = y + j * f->y_bytes;                                                                                      \
            const int64_t valid = smaller(LANES, width - j);                                                                    \
            if (plain) {                                                                                                        \
                rescaled_vector(f, FORMULA, 1, sums + j, sums_stride, rows, window_sums, output + j, valid, to, y_stride, stats, codes_stats); \
            } else {                                                                                                            \
                rescaled_vector(f, FORMULA, 0, sums + j, sums_stride, rows, window_sums, output + j, valid, to, y_stride, stats, codes_stats); \
            }                                                                                                                   \
        }                                                                                                                       \
        break;
static void epilogue_rescaled(const Epilogue *f, const int32_t *sums, int64_t sums_stride, int64_t rows, const int64_t *window_sums,
                              int64_t output, int64_t width, char *y, int64_t y_stride, Stats *stats, Stats *codes_stats) {
    const int plain = f->factor == 1 && !f->window_factors;
    switch (f->rescale->formula) {
        EACH_DIRECT_FORMULA(RESCALED_CASE)
        default: break;
    }
}
