/* Affine, add, clamp and pooling. */

static inline int64_t wrapped_code(int64_t value, const Codes *codes) {
    return codes->is_signed ? wrapped(value, codes->bits) : value & (((int64_t)1 << codes->bits) - 1);
}

/* Any exact results to codes, with what was seen. */
static void store_any(const int64_t *results, int64_t count, const Codes *codes, void *y, Stats *stats) {
    int32_t kept[CHUNK];
    const int64_t least = codes->low == INT32_MIN ? INT64_MIN : codes->low; /* an unsigned format has no lower end */
    int64_t over = 0, low = INT64_MAX, high = INT64_MIN;
    for (int64_t i = 0; i < count; i++) {
        const int64_t value = results[i];
        int64_t code = clip(value, least, codes->high);
        over += code != value;
        if (codes->overflow == WRAP) code = wrapped_code(value, codes);
        kept[i] = (int32_t)clip(code, codes->then_low, codes->then_high);
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    store_codes(kept, count, codes->type, y);
    merge_stats(stats, &(Stats){low, high, over});
}

static void affine_any(Type type, const void *x, int64_t count, const int32_t *multiplier, const int64_t *addend,
                       const uint8_t *shift, Rounding rounding, const Codes *codes, void *y, Stats *stats) {
    int64_t results[CHUNK];
    widen_64(type, x, count, results);
    for (int64_t i = 0; i < count; i++) {
        const int64_t value = results[i] * multiplier[i] + addend[i], floor = value >> shift[i];
        const int64_t rest = value - (int64_t)((uint64_t)floor << shift[i]), half = ((int64_t)1 << shift[i]) >> 1;
        const int at_half = (shift[i] > 0) & (rest == half), above = (shift[i] > 0) & (rest > half);
        results[i] = floor + (rounding == HALF_UP ? at_half | above : rounding == HALF_EVEN ? above | (at_half & (int)(floor & 1)) : 0);
    }
    store_any(results, count, codes, y, stats);
}

/* Where |x * multiplier| + |addend| < 2**52 every step is exact in double; here results fit 32 bits, too, and saturate.
   multiplier and addend come divided by 2**shift, and half-up as a floor after one half was added. */
static ALWAYS_INLINE void affine_of(const Type type, const void *x, int64_t count, const Affine *affine,
                                                            int64_t channel, char *y, Stats *stats) {
    const Codes *codes = &affine->codes;
    const double *m = affine->multiplier + channel, *a = affine->addend + channel;
    Sink sink = sink_to(codes);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const Doubles multiplier[2] = {doubles_load(m + i), doubles_load(m + i + DOUBLES)};
        const Doubles addend[2] = {doubles_load(a + i), doubles_load(a + i + DOUBLES)};
        Ints value = rounded(ints_from(type, x, i), multiplier, addend, affine->nearest);
        store_vector(codes->type, sink_values(&sink, value), y + i * bytes_of(codes->type));
    }
    if (i > 0) sink_stats(&sink, LANES, stats);
    for (; i < count; i++) { /* the rest one by one, each in all lanes */
        int32_t one;
        widen_32(type, (const char *)x + i * bytes_of(type), 1, &one);
        const Doubles multiplier[2] = {doubles_all(m[i]), doubles_all(m[i])}, addend[2] = {doubles_all(a[i]), doubles_all(a[i])};
        int32_t kept[LANES];
        sink = sink_to(codes);
        ints_store(kept, sink_values(&sink, rounded(ints_set(one), multiplier, addend, affine->nearest)));
        sink_stats(&sink, 1, stats);
        store_codes(kept, 1, codes->type, y + i * bytes_of(codes->type));
    }
}

#define AFFINE_CASE(TYPE, C)                                          \
    case TYPE:                                                        \
        affine_of(TYPE, x, count, affine, channel, y, stats);          \
        break;
static void affine(Type type, const void *x, int64_t count, const Affine *affine, int64_t channel, void *y, Stats *stats) {
    switch (type) {
        EACH_NARROW_TYPE(AFFINE_CASE)
        AFFINE_CASE(S32, int32_t)
        default: break;
    }
}

/* Values that fit 32 bits, or sums of two, to codes that saturate. */
static ALWAYS_INLINE void add_of(const Type a_type, const void *a, const Type b_type, const void *b,
                                                         int64_t count, const Codes *codes, char *y, Stats *stats) {
    Sink sink = sink_to(codes);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        Ints value = ints_from(a_type, a, i);
        if (b) value = ints_add(value, ints_from(b_type, b, i));
        store_vector(codes->type, sink_values(&sink, value), y + i * bytes_of(codes->type));
    }
    if (i > 0) sink_stats(&sink, LANES, stats);
    for (; i < count; i++) {
        int32_t one, other = 0, kept[LANES];
        widen_32(a_type, (const char *)a + i * bytes_of(a_type), 1, &one);
        if (b) widen_32(b_type, (const char *)b + i * bytes_of(b_type), 1, &other);
        sink = sink_to(codes);
        ints_store(kept, sink_values(&sink, ints_set(one + other)));
        sink_stats(&sink, 1, stats);
        store_codes(kept, 1, codes->type, y + i * bytes_of(codes->type));
    }
}

static void add_any(Type a_type, const void *a, Type b_type, const void *b, int64_t count, const Codes *codes, void *y, Stats *stats) {
    int64_t results[CHUNK], other[CHUNK];
    widen_64(a_type, a, count, results);
    if (b) {
        widen_64(b_type, b, count, other);
        for (int64_t i = 0; i < count; i++) results[i] += other[i];
    }
    store_any(results, count, codes, y, stats);
}

#define ADD_CASE(TYPE, C)                                             \
    case TYPE:                                                        \
        add_of(a_type, a, TYPE, b, count, codes, y, stats);            \
        break;
static ALWAYS_INLINE void add_to(const Type a_type, const void *a, Type b_type, const void *b, int64_t count,
                                                         const Codes *codes, char *y, Stats *stats) {
    switch (b_type) {
        EACH_NARROW_TYPE(ADD_CASE)
        ADD_CASE(S32, int32_t)
        default: break;
    }
}

#define ADD_TO_CASE(TYPE, C)                                          \
    case TYPE:                                                        \
        add_to(TYPE, a, b_type, b, count, codes, y, stats);            \
        break;
static void add(Type a_type, const void *a, Type b_type, const void *b, int64_t count, const Codes *codes, void *y, Stats *stats) {
    if (codes->overflow == WRAP || a_type == S64) {
        add_any(a_type, a, b_type, b, count, codes, y, stats);
        return;
    }
    switch (a_type) {
        EACH_NARROW_TYPE(ADD_TO_CASE)
        ADD_TO_CASE(S32, int32_t)
        default: break;
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

/* MAX_WIDTH channels at a time, whose sums stay in registers. */
#define SUM_PIXELS(C, SUM)                                                                                                      \
    for (int64_t first = 0; first < channels; first += MAX_WIDTH) {                                                             \
        const int64_t width = smaller(MAX_WIDTH, channels - first);                                                             \
        SUM sum[MAX_WIDTH] = {0};                                                                                               \
        for (int64_t pixel = 0; pixel < count; pixel++) {                                                                       \
            const C *x = (const C *)pixels[pixel] + first;                                                                      \
            if (width == MAX_WIDTH) {                                                                                           \
                for (int i = 0; i < MAX_WIDTH; i++) sum[i] += x[i];                                                             \
            } else {                                                                                                            \
                for (int64_t i = 0; i < width; i++) sum[i] += x[i];                                                             \
            }                                                                                                                   \
        }                                                                                                                       \
        memcpy((SUM *)y + first, sum, (size_t)width * sizeof(SUM));                                                             \
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
