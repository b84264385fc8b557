/* Codes of a byte from exact sums by one product in floats. Its error is bounded (see float_codes.c), so that it gives the right code
   wherever the product is far enough from halves, where codes change; the few values that are not are rescaled exactly. */

/* SIGNED_ADDEND: as DOUBLING has it, which rounds twice: floor(floor(p + 1/2) / 2**right + 1/2), and ties away from zero, are
   floor(p / 2**right + 1/2 + h) for p >= 0 and floor(p / 2**right + 1/2 - h) below, h = 2**-(right + 1). CERTAIN: floats are the rule. */
typedef enum { PLAIN_ADDEND, SIGNED_ADDEND, CERTAIN } FloatKind;

/* ByteCodes in every lane. */
typedef struct {
    int is_signed;
    Ints zero_point, least, reach, then_low, then_high;
} ByteVectors;

static inline ByteVectors byte_vectors(const ByteCodes *c) {
    return (ByteVectors){c->is_signed,         shorts_set(c->zero_point), shorts_set(c->least), shorts_set((int16_t)c->reach),
                         bytes_set(c->then_low), bytes_set(c->then_high)};
}

/* Of a pair of vectors of codes, `counted` words of it: those that overflow. */
static ALWAYS_INLINE Ints byte_overflows(const ByteVectors *c, Ints pair, uint32_t counted, Ints over) {
    return shorts_count(over, shorts_sub(pair, c->least), c->reach, counted);
}

/* Two pairs of vectors as bytes: four of each vector in turn in every 16. */
static ALWAYS_INLINE Ints bytes_of_pairs(const ByteVectors *c, Ints first, Ints second) {
    return bytes_between(c->is_signed, bytes_packed(c->is_signed, first, second), c->then_low, c->then_high);
}

/* Constants of a vector of outputs, and how many of them count. */
typedef struct {
    const FloatCodes *codes;
    int64_t output, valid;
    Ints constant;
    Floats scale, addend, limit;
    ByteVectors bytes;
} FloatColumn;

static inline FloatColumn float_column(const FloatCodes *c, int64_t output, int64_t valid) {
    return (FloatColumn){c,
                         output,
                         valid,
                         ints_load(c->constant + output),
                         floats_load(c->scale + output),
                         floats_load(c->addend + output),
                         floats_all(&c->limit),
                         byte_vectors(&c->bytes)};
}

static inline Ints float_value(const FloatColumn *column, Ints sum, const int negative) {
    return negative ? ints_sub(column->constant, sum) : ints_add(column->constant, sum);
}

/* Before the zero point. */
static __attribute__((noinline)) void exact_codes(const FloatCodes *c, int64_t o, const Ints *value, int count, Ints *code) {
    if (c->affine) {
        const double *m = c->affine->multiplier + o, *a = c->affine->addend + o;
        const Doubles multiplier[2] = {doubles_load(m), doubles_load(m + DOUBLES)}, addend[2] = {doubles_load(a), doubles_load(a + DOUBLES)};
        for (int i = 0; i < count; i++) code[i] = rounded(value[i], multiplier, addend, c->affine->nearest);
        return;
    }
    const Rescale *r = &c->rescale;
    const Scale scale = scale_of(r->formula, r->multiplier + o, r->shift + o, r->factor + o, 1, 0);
    for (int i = 0; i < count; i++) {
        code[i] = r->formula == DOUBLING ? rescaled(DOUBLING, 0, value[i], &scale) : rescaled(SINGLE_ROUNDING, 0, value[i], &scale);
    }
}

static ALWAYS_INLINE Floats float_product(const FloatKind kind, Ints value, Floats scale, Floats addend) {
    return floats_fused(floats_of(value), scale, kind == SIGNED_ADDEND ? floats_signed(addend, value) : addend);
}

/* Of four products: nearest whole numbers, and whether they may err. */
static ALWAYS_INLINE int float_nearest(const FloatKind kind, const Floats *product, Floats limit, Ints *code) {
    Floats rest[4];
    UNROLL for (int i = 0; i < 4; i++) {
        code[i] = ints_nearest_float(product[i]);
        if (kind != CERTAIN) rest[i] = floats_rest(product[i]);
    }
    return kind != CERTAIN && floats_any_above(floats_farther(floats_farther(rest[0], rest[1]), floats_farther(rest[2], rest[3])), limit);
}

static ALWAYS_INLINE void float_rounded(const FloatColumn *column, const FloatKind kind, const Ints *value, Ints *code) {
    Floats product[4];
    UNROLL for (int i = 0; i < 4; i++) product[i] = float_product(kind, value[i], column->scale, column->addend);
    if (float_nearest(kind, product, column->limit, code)) { /* with arrays of its own: the others stay in registers */
        Ints exact[4], given[4];
        UNROLL for (int i = 0; i < 4; i++) given[i] = value[i];
        exact_codes(column->codes, column->output, given, 4, exact);
        UNROLL for (int i = 0; i < 4; i++) code[i] = exact[i];
    }
}

/* Four vectors of codes as bytes, four of each vector in turn in every 16; `counted`: words of the two pairs whose overflows count. */
static ALWAYS_INLINE Ints float_bytes(const ByteVectors *c, const Ints *code, const uint32_t *counted, Ints *over) {
    Ints pair[2];
    UNROLL for (int i = 0; i < 2; i++) {
        pair[i] = shorts_add(shorts_packed(code[2 * i], code[2 * i + 1]), c->zero_point);
        *over = byte_overflows(c, pair[i], counted[i], *over);
    }
    return bytes_of_pairs(c, pair[0], pair[1]);
}

static FloatKind float_kind(const FloatCodes *c) {
    if (c->affine || c->rescale.formula == SINGLE_ROUNDING) return PLAIN_ADDEND;
    return c->rescale.formula == DOUBLING ? SIGNED_ADDEND : CERTAIN;
}

typedef struct {
    Ints low, high, over;
} FloatSeen;

/* Four rows, of which `here` are: the last one stands in for those beyond. */
static ALWAYS_INLINE void float_four_rows(const FloatColumn *column, const FloatKind kind, const int negative, const int32_t *sums,
                                          int64_t stride, const int64_t here, uint32_t lanes, uint8_t *y, int64_t y_stride,
                                          FloatSeen *seen) {
    Ints value[4], code[4];
    UNROLL for (int i = 0; i < 4; i++) {
        value[i] = float_value(column, ints_load(sums + (i < here ? i : here - 1) * stride), negative);
        seen->low = ints_min(seen->low, value[i]), seen->high = ints_max(seen->high, value[i]);
    }
    float_rounded(column, kind, value, code);
    const uint32_t counted[2] = {lanes & (here > 1 ? UINT32_MAX : SHORTS_OF_FIRST),
                                 lanes & (here > 3 ? UINT32_MAX : here > 2 ? SHORTS_OF_FIRST : 0)};
    bytes_store(y, y_stride, here, column->valid, float_bytes(&column->bytes, code, counted, &seen->over));
}

static ALWAYS_INLINE void float_rows(const FloatColumn *column, const FloatKind kind, const int negative, const int32_t *sums,
                                     int64_t stride, int64_t rows, uint8_t *y, int64_t y_stride, FloatSeen *seen) {
    const uint32_t lanes = shorts_of_lanes(column->valid);
    int64_t row = 0;
    for (; row + 4 <= rows; row += 4, sums += 4 * stride, y += 4 * y_stride) {
        float_four_rows(column, kind, negative, sums, stride, 4, lanes, y, y_stride, seen);
    }
    if (row < rows) float_four_rows(column, kind, negative, sums, stride, rows - row, lanes, y, y_stride, seen);
}

#define FLOAT_CASE(KIND)                                                                                                        \
    case KIND:                                                                                                                  \
        c->negative ? float_rows(&column, KIND, 1, sums, stride, rows, y, y_stride, &found)                                     \
                    : float_rows(&column, KIND, 0, sums, stride, rows, y, y_stride, &found);                                    \
        break;

/* A vector of outputs: at most as many rows as 16 bits count, of two a step. */
static void float_some_rows(const FloatCodes *c, const int32_t *sums, int64_t stride, int64_t rows, int64_t output, int64_t valid,
                            uint8_t *y, int64_t y_stride, Seen *seen) {
    const FloatColumn column = float_column(c, output, valid);
    FloatSeen found = {ints_load(seen->low + output), ints_load(seen->high + output), ints_zero()};
    switch (float_kind(c)) {
        FLOAT_CASE(PLAIN_ADDEND)
        FLOAT_CASE(SIGNED_ADDEND)
        FLOAT_CASE(CERTAIN)
    }
    ints_store_some(seen->low + output, found.low, valid);
    ints_store_some(seen->high + output, found.high, valid);
    seen->over += shorts_total(found.over);
}

static void float_codes(const FloatCodes *c, const int32_t *sums, int64_t stride, int64_t rows, int64_t output, int64_t width, uint8_t *y,
                        int64_t y_stride, Seen *seen) {
    for (int64_t first = 0; first < rows; first += CHUNK) {
        const int64_t here = smaller(CHUNK, rows - first);
        for (int64_t j = 0; j < width; j += LANES) {
            float_some_rows(c, sums + first * stride + j, stride, here, output + j, smaller(LANES, width - j), y + first * y_stride + j,
                            y_stride, seen);
        }
    }
}

static int32_t exact_code(const FloatCodes *c, int32_t value, int64_t output) {
    const Rescale *r = &c->rescale;
    if (c->affine) {
        const double exact = value * c->affine->multiplier[output] + c->affine->addend[output];
        return (int32_t)(c->affine->nearest ? rint(exact) : floor(exact));
    }
    const int32_t m = r->multiplier[output], s = r->shift[output];
    return r->formula == DOUBLING       ? by_doubling(value, m, s)
           : r->formula == FLOAT_FACTOR ? to_nearest((float)value * r->factor[output])
                                        : by_scale(value, m, s, 0);
}

/* Rounding is monotone: the extremes of a channel's codes are those of its sums. */
static void float_stats(const FloatCodes *c, const Seen *seen, int64_t count, Stats *stats, Stats *codes_stats) {
    for (int64_t o = 0; o < count; o++) {
        if (seen->low[o] > seen->high[o]) continue; /* nothing came */
        const int32_t bias = c->affine ? 0 : c->rescale.bias[o], ends[2] = {seen->low[o], seen->high[o]};
        for (int i = 0; i < 2; i++) {
            const int64_t code = (int64_t)exact_code(c, ends[i], o) + c->bytes.zero_point, sum = (int64_t)ends[i] - bias;
            merge_stats(codes_stats, &(Stats){code, code, 0});
            merge_stats(stats, &(Stats){sum, sum, 0});
        }
    }
    codes_stats->overflowed += seen->over;
}
