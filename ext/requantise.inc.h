/* Values to codes of another scale, by the formulas of addersim/arithmetic/requantisation.py. Plain loops, which a compiler turns
   into the instructions of each set. */

/* floor((value * 2**left * multiplier + 2**30) / 2**31) / 2**right, ties away from zero; the shift is left - right. What a left
   shift pushes out of 32 bits is lost, as in the C code that this is the specification of. */
static inline int32_t by_doubling(int32_t value, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    return over_power(high_product((int32_t)((uint32_t)value << left), multiplier), left - shift);
}

/* floor(2 * value / 2**places): the last bit says whether the rest is one half or more. Where sets have no such shift of 64 bits, they
   have that of unsigned numbers. The magnitude of the value is below 2**62. */
static inline int64_t halves_of(int64_t value, int32_t places) {
    const uint64_t sign = value < 0 ? UINT64_MAX : 0;
    return (int64_t)((((uint64_t)value * 2 ^ sign) >> places) ^ sign);
}
static inline int32_t result_of(int64_t value) { return (int32_t)clip(value, -RESULT_LIMIT, RESULT_LIMIT); }

static inline int32_t by_scale(int32_t value, int32_t multiplier, int32_t shift, int twice) {
    const int32_t more = (twice & (shift > 31)) ? (int32_t)1 << 30 : 0;
    return result_of((halves_of((int64_t)value * multiplier + (value < 0 ? -more : more), shift) + 1) >> 1);
}

static inline int32_t to_half_even(int64_t product, int32_t shift) {
    const int64_t halves = halves_of(product, shift), floor = halves >> 1;
    const int64_t beyond = (uint64_t)halves << shift != (uint64_t)product * 2 ? 1 : 0;
    return result_of(floor + (halves & (beyond | floor) & 1));
}

static inline float within_limit(float value) {
    const float limit = RESULT_LIMIT;
    return value < -limit ? -limit : value > limit ? limit : value;
}
static inline int32_t to_nearest(float value) { return (int32_t)rintf(within_limit(value)); }
static inline int32_t upwards(float value) { return (int32_t)ceilf(within_limit(value)); }
static inline int32_t downwards(float value) { return (int32_t)floorf(within_limit(value)); }

/* Ties away from zero. The quotient of two numbers of 32 bits is never rounded up to a whole one in double. */
static inline int32_t mean_of(int32_t sum, int32_t count) {
    return (int32_t)(((double)sum + (sum > 0 ? count / 2 : -(count / 2))) / count);
}

/* The quant formulas add the zero point before they round, and means of raw codes have it. */
static inline int is_quant(Formula formula) { return formula == QUANT_ROUND || formula == QUANT_CEIL || formula == QUANT_FLOOR; }
static inline int has_zero_point(Formula formula) { return is_quant(formula) || formula == DIVIDE_AWAY; }
static inline int takes_reals(Formula formula) { return is_quant(formula) || formula == QUANTIZE_LINEAR; }

/* Sums modulo 2**32, and whether one left 32 bits. */
static int add_bias(const int32_t *restrict values, int64_t count, const int32_t *restrict bias, int32_t *restrict to) {
    uint32_t beyond = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t a = (uint32_t)values[i], b = (uint32_t)bias[i], sum = a + b;
        beyond |= ~(a ^ b) & (a ^ sum);
        to[i] = (int32_t)sum;
    }
    return (int)(beyond >> 31);
}

/* Results, to which there is room for LANES more, within the limit, plus the zero point, as codes. */
static void store_results(int32_t *results, int64_t count, int32_t zero_point, const Codes *codes, char *y, Stats *stats) {
    const int64_t whole = count / LANES * LANES;
    const Ints zero = ints_set(zero_point), least = ints_set(-RESULT_LIMIT), most = ints_set(RESULT_LIMIT);
    Sink sink = sink_to(codes);
    for (int64_t i = 0; i < whole; i += LANES) {
        const Ints bounded = ints_min(ints_max(ints_load(results + i), least), most);
        store_vector(codes->type, sink_values(&sink, ints_add(bounded, zero)), y + i * bytes_of(codes->type));
    }
    if (whole) sink_stats(&sink, LANES, stats);
    if (whole == count) return;
    char rest[LANES * sizeof(int32_t)];
    for (int i = 0; i < LANES; i++) results[count + i] = 0;
    sink = sink_to(codes);
    const Ints bounded = ints_min(ints_max(ints_load(results + whole), least), most);
    store_vector(codes->type, sink_values(&sink, ints_add(bounded, zero)), rest);
    sink_stats(&sink, count - whole, stats);
    memcpy(y + whole * bytes_of(codes->type), rest, (size_t)((count - whole) * bytes_of(codes->type)));
}

#define EACH_RESULT(EXPRESSION) \
    for (int64_t i = 0; i < count; i++) to[i] = (EXPRESSION);
#define QUOTIENT ((float)value[i] * factor[i] / divisor + zero_point)
static void rescale_values(const Rescale *r, int64_t channel, const int32_t *restrict value, int64_t count, int32_t *restrict to) {
    const int32_t *restrict m = r->multiplier + channel, *restrict s = r->shift + channel;
    const float *restrict factor = r->factor + channel;
    const float divisor = r->divisor, zero_point = is_quant(r->formula) ? (float)r->zero_point : 0;
    switch (r->formula) {
        case SHIFT_HALF_EVEN: EACH_RESULT(to_half_even((int64_t)value[i] * m[i], s[i])) break;
        case DOUBLING: EACH_RESULT(by_doubling(value[i], m[i], s[i])) break;
        case SINGLE_ROUNDING: EACH_RESULT(by_scale(value[i], m[i], s[i], 0)) break;
        case DOUBLE_ROUNDING: EACH_RESULT(by_scale(value[i], m[i], s[i], 1)) break;
        case FLOAT_FACTOR: EACH_RESULT(to_nearest((float)value[i] * factor[i])) break;
        case QUANTIZE_LINEAR:
        case QUANT_ROUND: EACH_RESULT(to_nearest(QUOTIENT)) break;
        case QUANT_CEIL: EACH_RESULT(upwards(QUOTIENT)) break;
        case QUANT_FLOOR: EACH_RESULT(downwards(QUOTIENT)) break;
        case DIVIDE_AWAY: EACH_RESULT(mean_of(value[i], m[i])) break;
    }
}

static int rescale(Type type, const void *x, int64_t count, const Rescale *r, int64_t channel, void *y, Stats *stats) {
    int32_t wide[CHUNK], values[CHUNK], results[CHUNK + LANES];
    if (type != S32) widen_32(type, x, count, wide);
    const int beyond = add_bias(type == S32 ? x : wide, count, r->bias + channel, values);
    rescale_values(r, channel, values, count, results);
    store_results(results, count, has_zero_point(r->formula) ? 0 : r->zero_point, &r->codes, y, stats);
    return beyond;
}

#define BY_DOUBLING(VALUE, K) by_doubling(VALUE, r->multiplier[K], r->shift[K])
#define BY_SCALE(VALUE, K, TWICE) by_scale(VALUE, r->multiplier[K], r->shift[K], TWICE)
#define REAL_CODE (reals[i] / r->factor[2] + zero_point)
/* What the codes' sum or product stands for. Each step is stored, so that no compiler makes one rounding of two. */
static void add_reals(const RescaledAdd *r, const int32_t *restrict a, const int32_t *restrict b, int64_t count, float *restrict to) {
    float real_a[CHUNK], real_b[CHUNK];
    for (int64_t i = 0; i < count; i++) {
        real_a[i] = (float)a[i] * r->factor[0];
        real_b[i] = (float)b[i] * r->factor[1];
    }
    for (int64_t i = 0; i < count; i++) to[i] = r->product ? real_a[i] * real_b[i] : real_a[i] + real_b[i];
}

static void add_values(const RescaledAdd *r, const int32_t *restrict a, const int32_t *restrict b, int64_t count,
                       int32_t *restrict to) {
    const int32_t unit = (int32_t)1 << r->left;
    const float zero_point = is_quant(r->formula) ? (float)r->zero_point : 0;
    float reals[CHUNK];
    if (takes_reals(r->formula)) add_reals(r, a, b, count, reals);
    switch (r->formula) {
        case SHIFT_HALF_EVEN:
            EACH_RESULT(to_half_even((int64_t)a[i] * r->multiplier[0] + (int64_t)b[i] * r->multiplier[1], r->shift[2]))
            break;
        case DOUBLING: EACH_RESULT(BY_DOUBLING(BY_DOUBLING(a[i] * unit, 0) + BY_DOUBLING(b[i] * unit, 1), 2)) break;
        case SINGLE_ROUNDING: EACH_RESULT(BY_SCALE(BY_SCALE(a[i], 0, 0) + BY_SCALE(b[i], 1, 0), 2, 0)) break;
        case DOUBLE_ROUNDING: EACH_RESULT(BY_SCALE(BY_SCALE(a[i], 0, 1) + BY_SCALE(b[i], 1, 1), 2, 1)) break;
        case FLOAT_FACTOR:
            EACH_RESULT(to_nearest(fused((float)a[i], r->factor[0], fused((float)b[i], r->factor[1], r->factor[2]))))
            break;
        case QUANTIZE_LINEAR:
        case QUANT_ROUND: EACH_RESULT(to_nearest(REAL_CODE)) break;
        case QUANT_CEIL: EACH_RESULT(upwards(REAL_CODE)) break;
        case QUANT_FLOOR: EACH_RESULT(downwards(REAL_CODE)) break;
        case DIVIDE_AWAY: break; /* of means alone */
    }
}

static void rescaled_add(Type a_type, const void *a, Type b_type, const void *b, int64_t count, const RescaledAdd *r, void *y,
                         Stats *stats) {
    int32_t values[2][CHUNK], results[CHUNK + LANES];
    widen_32(a_type, a, count, values[0]);
    widen_32(b_type, b, count, values[1]);
    for (int operand = 0; operand < 2; operand++) {
        for (int64_t i = 0; i < count; i++) values[operand][i] -= r->zero_points[operand];
    }
    add_values(r, values[0], values[1], count, results);
    store_results(results, count, has_zero_point(r->formula) ? 0 : r->zero_point, &r->codes, y, stats);
}
