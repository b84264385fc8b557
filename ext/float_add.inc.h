/* Sums of two codes of a byte and of different scales as float_codes.inc.h has codes of sums: by floats, exactly near halves. */

typedef struct {
    Floats factor[2], addend, limit;
    Scale scales[3];
    Ints zeros[2], left;
    Formula formula;
    ByteVectors bytes;
} FloatSum;

/* What a code of one scale counts in those of the result. */
static double factor_of(const RescaledAdd *r, int operand) {
    if (r->formula == FLOAT_FACTOR) return r->factor[operand];
    const double of_result = r->formula == DOUBLING ? ldexp(r->multiplier[2], r->shift[2] - 31) : ldexp(r->multiplier[2], -r->shift[2]);
    const double of_operand = r->formula == DOUBLING ? ldexp(r->multiplier[operand], r->left + r->shift[operand] - 31)
                                                     : ldexp(r->multiplier[operand], -r->shift[operand]);
    return of_operand * of_result;
}

/* Each step of three errs by a unit at most, of which those of the operands become the result's by its factor. Floats err by one part in
   2**24 at most of each operand's share in its factor, of that of b in its product, and of the sum: of codes below 256 and of a sum
   below 300, since what is larger saturates, together half of `most`. */
static float sum_limit(const RescaledAdd *r, double most) {
    if (r->formula == FLOAT_FACTOR) return 1; /* floats are the rule, but for zero points, which are taken away before */
    const double of_result = r->formula == DOUBLING ? ldexp(r->multiplier[2], r->shift[2] - 31) : ldexp(r->multiplier[2], -r->shift[2]);
    const double second = r->formula == DOUBLING ? ldexp(1, r->shift[2]) : 0;
    return (float)(0.5 - ldexp(most, -23) - 3 * of_result - second);
}

/* Returns 0 where no sum should come of floats. */
static int float_sum(const RescaledAdd *r, FloatSum *s) {
    const double a = factor_of(r, 0), b = factor_of(r, 1), most = 300 + 512 * (fabs(a) + fabs(b)) + fabs((double)r->factor[2]);
    const float limit = sum_limit(r, most);
    if (limit < 0.5f - 1.0f / 512 || most > INT16_MAX / 2) return 0; /* results fit 16 bits, which are not saturated */
    const float factor[2] = {(float)a, (float)b}, addend = r->formula == FLOAT_FACTOR ? r->factor[2] : 0;
    const ByteCodes bytes = byte_codes(&r->codes, r->zero_point);
    *s = (FloatSum){.left = ints_set(r->left), .formula = r->formula, .bytes = byte_vectors(&bytes)};
    s->addend = floats_all(&addend), s->limit = floats_all(&limit);
    for (int i = 0; i < 2; i++) s->factor[i] = floats_all(factor + i), s->zeros[i] = ints_set(r->zero_points[i]);
    for (int i = 0; i < 3; i++) {
        int32_t multiplier[LANES], shift[LANES];
        float own[LANES];
        for (int j = 0; j < LANES; j++) multiplier[j] = r->multiplier[i], shift[j] = r->shift[i], own[j] = r->factor[i];
        s->scales[i] = scale_of(r->formula, multiplier, shift, own, 1, 0);
    }
    return 1;
}

static __attribute__((noinline)) void exact_sums(const FloatSum *s, const Ints *a, const Ints *b, Ints *code) {
    for (int i = 0; i < 4; i++) {
        code[i] = s->formula == DOUBLING ? rescaled_sum(DOUBLING, a[i], b[i], s->left, s->scales)
                                         : rescaled_sum(SINGLE_ROUNDING, a[i], b[i], s->left, s->scales);
    }
}

/* Of 64 pairs of codes the results without the zero point. */
static ALWAYS_INLINE void sum_codes(const FloatSum *s, Type a_type, const char *a, Type b_type, const char *b, Ints *code) {
    Ints of_a[4], of_b[4];
    Floats rest[4];
    UNROLL for (int i = 0; i < 4; i++) {
        of_a[i] = code_less(a_type, a + i * LANES, s->zeros[0]), of_b[i] = code_less(b_type, b + i * LANES, s->zeros[1]);
        const Floats sum =
            floats_fused(floats_of(of_a[i]), s->factor[0], floats_fused(floats_of(of_b[i]), s->factor[1], s->addend));
        code[i] = ints_nearest_float(sum);
        rest[i] = floats_rest(sum);
    }
    const Floats farthest = floats_farther(floats_farther(rest[0], rest[1]), floats_farther(rest[2], rest[3]));
    if (floats_any_above(farthest, s->limit)) {
        Ints exact[4], given_a[4], given_b[4];
        UNROLL for (int i = 0; i < 4; i++) given_a[i] = of_a[i], given_b[i] = of_b[i];
        exact_sums(s, given_a, given_b, exact);
        UNROLL for (int i = 0; i < 4; i++) code[i] = exact[i];
    }
}

typedef struct {
    Ints low, high, over;
} SumsSeen;

static ALWAYS_INLINE Ints sum_bytes(const FloatSum *s, Type a_type, const char *a, Type b_type, const char *b, SumsSeen *seen) {
    Ints code[4], pair[2];
    sum_codes(s, a_type, a, b_type, b, code);
    UNROLL for (int i = 0; i < 2; i++) {
        pair[i] = shorts_add(shorts_packed(code[2 * i], code[2 * i + 1]), s->bytes.zero_point);
        seen->low = shorts_min(seen->low, pair[i]), seen->high = shorts_max(seen->high, pair[i]);
        seen->over = byte_overflows(&s->bytes, pair[i], UINT32_MAX, seen->over);
    }
    return bytes_of_pairs(&s->bytes, pair[0], pair[1]);
}

static void sums_stats(const SumsSeen *seen, Stats *stats) {
    int16_t low[2 * LANES], high[2 * LANES];
    ints_store((int32_t *)(void *)low, seen->low);
    ints_store((int32_t *)(void *)high, seen->high);
    for (int i = 0; i < 2 * LANES; i++) merge_stats(stats, &(Stats){low[i], high[i], 0});
    stats->overflowed += shorts_total(seen->over);
}

static ALWAYS_INLINE int64_t sum_blocks(const FloatSum *s, const Type a_type, const char *a, const Type b_type, const char *b, int64_t count,
                                        char *y, Stats *stats) {
    SumsSeen seen = {shorts_set(INT16_MAX), shorts_set(INT16_MIN), ints_zero()};
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        bytes_store((uint8_t *)y + i, LANES, 4, LANES, sum_bytes(s, a_type, a + i, b_type, b + i, &seen));
    }
    if (i) sums_stats(&seen, stats);
    return i;
}

/* What is no whole block, and what floats do not fit, as add_rescaled() has it. */
static void add_by_floats(Type a_type, const void *a, Type b_type, const void *b, int64_t count, const RescaledAdd *r, void *y,
                          Stats *stats) {
    FloatSum s;
    int64_t done = 0;
    const int bytes = bytes_of(r->codes.type) == 1 && r->codes.overflow == SATURATE;
    if (bytes && count >= 4 * LANES && adds_in_registers(a_type, b_type, r) && float_sum(r, &s)) {
        if (a_type == S8 && b_type == S8) {
            done = sum_blocks(&s, S8, a, S8, b, count, y, stats);
        } else {
            done = sum_blocks(&s, a_type, a, b_type, b, count, y, stats);
        }
    }
    if (done == count) return;
    add_rescaled(a_type, (const char *)a + done * bytes_of(a_type), b_type, (const char *)b + done * bytes_of(b_type), count - done, r,
                 (char *)y + done * bytes_of(r->codes.type), stats);
}
