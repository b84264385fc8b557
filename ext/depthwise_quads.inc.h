/* Depthwise layers on bytes, from operands to codes in registers: four kernel rows of a column a multiplication, 64 outputs at a time. */

typedef struct {
    Ints of_rows[QUAD]; /* four rows of a tap side by side, in the order of turned_channel() */
} QuadColumn;

static inline QuadColumn quad_column(const char *const *rows, int64_t at) {
    const Ints a = ints_load(rows[0] + at), b = ints_load(rows[1] + at), c = ints_load(rows[2] + at), d = ints_load(rows[3] + at);
    const Ints first = bytes_low(a, b), second = bytes_low(c, d), third = bytes_high(a, b), fourth = bytes_high(c, d);
    return (QuadColumn){{shorts_low(first, second), shorts_high(first, second), shorts_low(third, fourth), shorts_high(third, fourth)}};
}

static ALWAYS_INLINE void quad_add(Ints *sum, QuadColumn column, const int8_t *weights) {
    UNROLL for (int i = 0; i < QUAD; i++) sum[i] = ints_mac_u8s8(sum[i], column.of_rows[i], ints_load(weights + i * QUAD_BYTES));
}

/* Constants of 64 outputs from a place on. */
typedef struct {
    const FloatCodes *codes;
    int64_t place;
    ByteVectors bytes;
    Floats limit;
} QuadOutputs;

typedef struct {
    Ints low[QUAD], high[QUAD], over;
} QuadSeen;

static ALWAYS_INLINE void quad_start(const QuadOutputs *o, Ints *sum) {
    UNROLL for (int i = 0; i < QUAD; i++) sum[i] = ints_load(o->codes->constant + o->place + i * LANES);
}

/* Sums that began with their constants. */
static ALWAYS_INLINE Ints quad_bytes(const QuadOutputs *o, const FloatKind kind, const Ints *sum, const uint32_t *counted, QuadSeen *seen) {
    Floats product[QUAD];
    Ints code[QUAD];
    UNROLL for (int i = 0; i < QUAD; i++) {
        seen->low[i] = ints_min(seen->low[i], sum[i]), seen->high[i] = ints_max(seen->high[i], sum[i]);
        const int64_t at = o->place + i * LANES;
        product[i] = float_product(kind, sum[i], floats_load(o->codes->scale + at), floats_load(o->codes->addend + at));
    }
    if (float_nearest(kind, product, o->limit, code)) {
        Ints exact[QUAD], given[QUAD];
        UNROLL for (int i = 0; i < QUAD; i++) given[i] = sum[i];
        for (int i = 0; i < QUAD; i++) exact_codes(o->codes, o->place + i * LANES, given + i, 1, exact + i);
        UNROLL for (int i = 0; i < QUAD; i++) code[i] = exact[i];
    }
    return float_bytes(&o->bytes, code, counted, &seen->over);
}

/* 64 channels of windows one after the other, of three columns, which they share with the next. */
static ALWAYS_INLINE void quad_windows(const DepthwiseQuads *d, const QuadOutputs *o, const FloatKind kind, const int64_t stride,
                                       const char *const *rows, int64_t windows, uint8_t *y, QuadSeen *seen) {
    const uint32_t all[2] = {UINT32_MAX, UINT32_MAX};
    const int64_t step = d->channels, of_column = round_up(d->channels, QUAD_BYTES) * QUAD;
    const int8_t *weights = d->weights + o->place * QUAD;
    QuadColumn columns[3] = {quad_column(rows, o->place), quad_column(rows, o->place + step)};
    for (int64_t window = 0, at = o->place; window < windows; window++, at += stride * step) {
        Ints sum[QUAD];
        if (stride == 2 && window) columns[1] = quad_column(rows, at + step);
        columns[2] = quad_column(rows, at + 2 * step);
        quad_start(o, sum);
        UNROLL for (int k = 0; k < 3; k++) quad_add(sum, columns[k], weights + k * of_column);
        ints_store((int32_t *)(void *)(y + window * step + o->place), quad_bytes(o, kind, sum, all, seen));
        columns[0] = columns[stride];
        if (stride == 1) columns[1] = columns[2];
    }
}

/* Of 64 bytes those from `first` on, as words of pairs. */
static inline void words_from(int64_t first, uint32_t *counted) {
    counted[0] = counted[1] = 0;
    for (int64_t byte = first; byte < QUAD_BYTES; byte++) counted[byte / 8 % 2] |= 1u << (byte / 16 * 8 + byte % 8);
}

/* Windows side by side, 64 outputs of them at a time: the last ones again where they fill no vector. */
static ALWAYS_INLINE void quad_side_by_side(const DepthwiseQuads *d, const QuadOutputs *o, const FloatKind kind, const char *const *rows,
                                            int64_t bytes, uint8_t *y, QuadSeen *seen) {
    uint32_t counted[2] = {UINT32_MAX, UINT32_MAX};
    for (int64_t at = 0; at < bytes; at += QUAD_BYTES) {
        if (at + QUAD_BYTES > bytes) {
            words_from(at + QUAD_BYTES - bytes, counted);
            at = bytes - QUAD_BYTES;
        }
        Ints sum[QUAD];
        quad_start(o, sum);
        for (int64_t k = 0; k < d->kernel_width; k++) {
            quad_add(sum, quad_column(rows, at + k * d->channels), d->weights + k * QUAD_BYTES * QUAD);
        }
        ints_store((int32_t *)(void *)(y + at), quad_bytes(o, kind, sum, counted, seen));
    }
}

static ALWAYS_INLINE void quad_row(const DepthwiseQuads *d, const QuadOutputs *o, const FloatKind kind, const char *const *rows,
                                   int64_t windows, uint8_t *y, QuadSeen *seen) {
    if (d->channels < QUAD_BYTES) {
        quad_side_by_side(d, o, kind, rows, windows * d->channels, y, seen);
    } else if (d->stride == 1) {
        quad_windows(d, o, kind, 1, rows, windows, y, seen);
    } else {
        quad_windows(d, o, kind, 2, rows, windows, y, seen);
    }
}

#define QUAD_CASE(KIND) \
    case KIND: quad_row(d, &o, KIND, rows, windows, y, &found); break;
static void depthwise_quads(const DepthwiseQuads *d, const char *const *rows, int64_t windows, uint8_t *y, Seen *seen) {
    for (int64_t place = 0; place < d->channels; place += QUAD_BYTES) {
        const QuadOutputs o = {d->codes, place, byte_vectors(&d->codes->bytes), floats_all(&d->codes->limit)};
        QuadSeen found = {.over = ints_zero()};
        for (int i = 0; i < QUAD; i++) {
            found.low[i] = ints_load(seen->low + place + i * LANES), found.high[i] = ints_load(seen->high + place + i * LANES);
        }
        switch (float_kind(d->codes)) {
            QUAD_CASE(PLAIN_ADDEND)
            QUAD_CASE(SIGNED_ADDEND)
            QUAD_CASE(CERTAIN)
        }
        for (int i = 0; i < QUAD; i++) {
            ints_store(seen->low + place + i * LANES, found.low[i]), ints_store(seen->high + place + i * LANES, found.high[i]);
        }
        seen->over += shorts_total(found.over);
    }
}
