/* Rescalings in registers, where no step leaves 32 bits (Rescale.direct): by the formulas of requantise.inc.h. */

#define EACH_DIRECT_SUM(CASE) CASE(DOUBLING) CASE(SINGLE_ROUNDING) CASE(FLOAT_FACTOR)
#define EACH_DIRECT_FORMULA(CASE) EACH_DIRECT_SUM(CASE) CASE(QUANT_ROUND) CASE(QUANTIZE_LINEAR)

/* Constants of a vector of channels. `nudge`: what is added to a negative value before it is divided by a power of two; `moved`: what is
   added to a quotient of reals before it is rounded. */
typedef struct {
    Ints multiplier, left, right, half, nudge;
    Floats factor, divisor, moved;
    int halves; /* whether every value is only divided, by two at least */
} Scale;

/* By DOUBLING; `halves` as in Scale. */
static inline Ints doubled(Ints value, const Scale *s, const int halves) {
    const Ints product = ints_high_product(value, s->multiplier);
    const Ints sign = ints_right(product, ints_set(31)), more = ints_add(s->half, halves ? sign : ints_and(sign, s->nudge));
    return ints_right(ints_add(product, more), s->right);
}

static ALWAYS_INLINE Ints rescaled(const Formula formula, const int halves, Ints value, const Scale *s) {
    if (formula == FLOAT_FACTOR) return ints_nearest_float(floats_mul(floats_of(value), s->factor));
    if (formula == SINGLE_ROUNDING) return ints_scaled(value, s->multiplier, s->right);
    if (takes_reals(formula)) {
        const Floats quotient = floats_div(floats_mul(floats_of(value), s->factor), s->divisor);
        return ints_nearest_float(formula == QUANT_ROUND ? floats_add(quotient, s->moved) : quotient);
    }
    return doubled(halves ? value : ints_left(value, s->left), s, halves);
}

static inline Scale scale_of(Formula formula, const int32_t *multiplier, const int32_t *shift, const float *factor, float divisor,
                             int32_t zero_point) {
    float divisors[LANES], moved[LANES];
    int32_t left[LANES], right[LANES], half[LANES], nudge[LANES];
    int halves = 1;
    for (int i = 0; i < LANES; i++) {
        left[i] = shift[i] > 0 ? shift[i] : 0;
        right[i] = formula == SINGLE_ROUNDING ? shift[i] : left[i] - shift[i];
        half[i] = formula == DOUBLING && right[i] ? (int32_t)1 << (right[i] - 1) : 0;
        nudge[i] = half[i] ? -1 : 0;
        halves &= formula != DOUBLING || half[i];
        divisors[i] = divisor, moved[i] = (float)zero_point;
    }
    return (Scale){.multiplier = ints_load(multiplier), .left = ints_load(left), .right = ints_load(right), .half = ints_load(half),
                   .nudge = ints_load(nudge), .factor = floats_load(factor), .divisor = floats_load(divisors),
                   .moved = floats_load(moved), .halves = halves};
}

/* Rows of sums, of each of which a vector becomes codes. `windows`: sums of windows count, too. */
typedef struct {
    const int32_t *sums;
    const int64_t *window_sums;
    int64_t sums_stride, rows, valid, whole; /* of a vector the outputs that count; rows for which as much as a vector may be stored */
    char *y;
    int64_t y_step;
    Ints factor, window_factor, constant, zero_point;
    int windows;
} Rows;

static ALWAYS_INLINE void rescaled_rows(const Rows *rows, const Formula formula, const int halves, const int plain,
                                                              const int again, const Scale *scale, const Codes *codes, Sink *sink,
                                                              Ints *lows, Ints *highs) {
    const int32_t *sums = rows->sums;
    const Ints constant = rows->constant, zero_point = rows->zero_point;
    char *y = rows->y;
    Ints low = *lows, high = *highs;
    for (int64_t i = 0; i < rows->rows; i++, sums += rows->sums_stride, y += rows->y_step) {
        Ints value = ints_load(sums);
        if (!plain) value = ints_mul(value, rows->factor);
        value = ints_add(value, constant);
        if (!plain && rows->windows) {
            value = ints_add(value, ints_mul(rows->window_factor, ints_set((int32_t)(uint32_t)rows->window_sums[i])));
        }
        low = ints_min(low, value);
        high = ints_max(high, value);
        const Ints code = ints_add(rescaled(formula, halves, value, scale), zero_point);
        Ints kept = ints_min(ints_max(code, sink->least), sink->most);
        sink->over = ints_count(sink->over, code, kept);
        if (again) kept = ints_min(ints_max(kept, sink->then_least), sink->then_most);
        if (i < rows->whole) {
            store_vector(codes->type, kept, y);
        } else {
            char buffer[LANES * 2];
            store_vector(codes->type, kept, buffer);
            memcpy(y, buffer, (size_t)(rows->valid * bytes_of(codes->type)));
        }
    }
    *lows = low, *highs = high;
}

/* One vector of outputs, of which the first `valid` count, over all windows, as epilogue_vector() has them. Sums are looked at with their
   biases, and extremes of codes are those of sums. */
static ALWAYS_INLINE void rescaled_vector(const Epilogue *f, const Formula formula, const int32_t *sums,
                                                                int64_t sums_stride, int64_t count, const int64_t *window_sums,
                                                                int64_t output, int64_t valid, char *y, int64_t y_stride, Stats *stats,
                                                                Stats *codes_stats) {
    const Rescale *r = f->rescale;
    int32_t constants[LANES], biases[LANES], window_factors[LANES] = {0}, multipliers[LANES], shifts[LANES];
    float factors[LANES];
    for (int64_t j = 0; j < LANES; j++) {
        const int64_t channel = (output + smaller(j, valid - 1)) % f->outputs;
        biases[j] = r->bias[channel], constants[j] = (int32_t)(f->constants[channel] + biases[j]);
        if (f->window_factors) window_factors[j] = (int32_t)f->window_factors[channel];
        multipliers[j] = r->multiplier[channel], shifts[j] = r->shift[channel], factors[j] = r->factor[channel];
    }
    /* Where a vector is a whole pixel, what it stores too much is overwritten by the next ones of this tile. */
    const int64_t whole = valid == LANES ? count : valid == y_stride ? count - round_up(LANES, valid) / valid : 0;
    const Rows rows = {.sums = sums, .window_sums = window_sums, .sums_stride = sums_stride, .rows = count, .valid = valid, .whole = whole,
                       .y = y, .y_step = y_stride * f->y_bytes, .factor = ints_set((int32_t)f->factor),
                       .window_factor = ints_load(window_factors), .constant = ints_load(constants),
                       .zero_point = ints_set(has_zero_point(formula) ? 0 : r->zero_point), .windows = f->window_factors != NULL};
    const Scale scale = scale_of(formula, multipliers, shifts, factors, r->divisor, r->zero_point);
    const Codes *codes = &r->codes;
    const int plain = f->factor == 1 && !rows.windows, again = codes->then_low != codes->low || codes->then_high != codes->high;
    Ints low = ints_set(INT32_MAX), high = ints_set(INT32_MIN);
    Sink sink = sink_to(codes);
    if (plain && scale.halves && !again) { /* what most layers are */
        rescaled_rows(&rows, formula, 1, 1, 0, &scale, codes, &sink, &low, &high);
    } else if (plain && scale.halves) {
        rescaled_rows(&rows, formula, 1, 1, 1, &scale, codes, &sink, &low, &high);
    } else {
        rescaled_rows(&rows, formula, 0, 0, 1, &scale, codes, &sink, &low, &high);
    }
    const Ints bias = ints_load(biases);
    sink.low = ints_add(rescaled(formula, 0, low, &scale), rows.zero_point);
    sink.high = ints_add(rescaled(formula, 0, high, &scale), rows.zero_point);
    sink_stats(&sink, valid, codes_stats);
    sink.low = ints_sub(low, bias), sink.high = ints_sub(high, bias), sink.over = ints_zero();
    sink_stats(&sink, valid, stats);
}

#define RESCALED_CASE(FORMULA)                                                                                                  \
    case FORMULA:                                                                                                               \
        for (int64_t j = 0; j < width; j += LANES) {                                                                            \
            rescaled_vector(f, FORMULA, sums + j, sums_stride, rows, window_sums, output + j, smaller(LANES, width - j), y + j * f->y_bytes, \
                            y_stride, stats, codes_stats);                                                                      \
        }                                                                                                                       \
        break;
static void epilogue_rescaled(const Epilogue *f, const int32_t *sums, int64_t sums_stride, int64_t rows, const int64_t *window_sums,
                              int64_t output, int64_t width, char *y, int64_t y_stride, Stats *stats, Stats *codes_stats) {
    if (!rows) return; /* of no sum there are no extremes */
    switch (f->rescale->formula) {
        EACH_DIRECT_FORMULA(RESCALED_CASE)
        default: break;
    }
}

/* Whether no step of a sum of two codes of a byte leaves 32 bits or RESULT_LIMIT. */
static int adds_in_registers(Type a_type, Type b_type, const RescaledAdd *r) {
    const float *f = r->factor;
    const int32_t *s = r->shift;
    if (bytes_of(a_type) > 1 || bytes_of(b_type) > 1) return 0;
    switch (r->formula) { /* codes less their zero points have nine bits */
        case DOUBLING: return r->left <= 20 && s[0] <= 0 && s[1] <= 0 && s[2] <= 0;
        case SINGLE_ROUNDING: return s[0] >= 11 && s[1] >= 11 && s[2] >= 31;
        case FLOAT_FACTOR: return 512.0 * fabs((double)f[0]) + 512.0 * fabs((double)f[1]) + fabs((double)f[2]) < RESULT_LIMIT / 2;
        default: return 0;
    }
}

/* Of codes less their zero points. */
static ALWAYS_INLINE Ints rescaled_sum(const Formula formula, Ints a, Ints b, Ints left, const Scale *s) {
    if (formula == FLOAT_FACTOR) {
        const Floats rest = floats_fused(floats_of(b), s[1].factor, s[2].factor);
        return ints_nearest_float(floats_fused(floats_of(a), s[0].factor, rest));
    }
    if (formula == SINGLE_ROUNDING) return rescaled(formula, 1, ints_add(rescaled(formula, 1, a, s), rescaled(formula, 1, b, s + 1)), s + 2);
    return doubled(ints_add(doubled(ints_left(a, left), s, 0), doubled(ints_left(b, left), s + 1, 0)), s + 2, 0);
}

static inline Ints code_less(Type type, const char *code, Ints zero_point) {
    return ints_sub(type == S8 ? ints_from_S8(code) : ints_from_U8(code), zero_point);
}

static ALWAYS_INLINE void add_in_registers(const Formula formula, Type a_type, const char *a, Type b_type,
                                                                 const char *b, int64_t count, const RescaledAdd *r, char *y,
                                                                 Stats *stats) {
    Scale scales[3];
    for (int i = 0; i < 3; i++) {
        int32_t multiplier[LANES], shift[LANES];
        float factor[LANES];
        for (int j = 0; j < LANES; j++) multiplier[j] = r->multiplier[i], shift[j] = r->shift[i], factor[j] = r->factor[i];
        scales[i] = scale_of(formula, multiplier, shift, factor, 1, 0);
    }
    const Ints zeros[2] = {ints_set(r->zero_points[0]), ints_set(r->zero_points[1])}, zero_point = ints_set(r->zero_point);
    const Ints left = ints_set(r->left);
    const int bytes = bytes_of(r->codes.type);
    Sink sink = sink_to(&r->codes);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const Ints sum = rescaled_sum(formula, code_less(a_type, a + i, zeros[0]), code_less(b_type, b + i, zeros[1]), left, scales);
        store_vector(r->codes.type, sink_values(&sink, ints_add(sum, zero_point)), y + i * bytes);
    }
    if (i > 0) sink_stats(&sink, LANES, stats);
    if (i == count) return;
    char rest_a[LANES] = {0}, rest_b[LANES] = {0}, rest[LANES * sizeof(int32_t)];
    memcpy(rest_a, a + i, (size_t)(count - i));
    memcpy(rest_b, b + i, (size_t)(count - i));
    sink = sink_to(&r->codes);
    const Ints sum = rescaled_sum(formula, code_less(a_type, rest_a, zeros[0]), code_less(b_type, rest_b, zeros[1]), left, scales);
    store_vector(r->codes.type, sink_values(&sink, ints_add(sum, zero_point)), rest);
    sink_stats(&sink, count - i, stats);
    memcpy(y + i * bytes, rest, (size_t)((count - i) * bytes));
}

#define ADD_IN_REGISTERS_CASE(FORMULA) \
    case FORMULA: add_in_registers(FORMULA, a_type, a, b_type, b, count, r, y, stats); break;
static void add_rescaled(Type a_type, const void *a, Type b_type, const void *b, int64_t count, const RescaledAdd *r, void *y,
                         Stats *stats) {
    for (int64_t i = 0; i < count && !adds_in_registers(a_type, b_type, r); i += CHUNK) {
        rescaled_add(a_type, (const char *)a + i * bytes_of(a_type), b_type, (const char *)b + i * bytes_of(b_type),
                     smaller(CHUNK, count - i), r, (char *)y + i * bytes_of(r->codes.type), stats);
    }
    if (!adds_in_registers(a_type, b_type, r)) return;
    switch (r->formula) {
        EACH_DIRECT_SUM(ADD_IN_REGISTERS_CASE)
        default: break;
    }
}
