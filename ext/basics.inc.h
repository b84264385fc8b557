/* Codes to operands and back. Plain loops, which a compiler turns into the instructions of each set. */

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

static void convert_weights(const int32_t *weights, int64_t taps, int32_t low, int32_t high, int32_t offset, Type operand, void *to,
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

#ifdef HAS_PAIRS
static void load_pairs(const float *from, int64_t count, float *to) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) floats_store(to + i, floats_paired(floats_load(from + i)));
    for (; i < count; i += 2) {
        const float a = from[i], b = from[i + 1];
        to[i] = a + b;
        to[i + 1] = a - b;
    }
}

static void pair_weights(float *packed, int64_t steps) {
    for (int64_t step = 0; step < steps; step++, packed += 2 * LANES) {
        float sums[LANES], differences[LANES];
        for (int i = 0; i < LANES; i++) {
            sums[i] = packed[2 * i] + packed[2 * i + 1];
            differences[i] = packed[2 * i] - packed[2 * i + 1];
        }
        memcpy(packed, sums, sizeof sums);
        memcpy(packed + LANES, differences, sizeof differences);
    }
}
#endif

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
#ifdef HAS_PAIRS
        case F32: load_pairs(codes, count, to); break;
#endif
        default: break;
    }
}

/* sums[i] of `length` operands from i * stride on */
#define SUM_OPERANDS(C)                                                                                                         \
    for (int64_t i = 0; i < count; i++) {                                                                                       \
        const C *from = (const C *)operands + i * stride;                                                                       \
        int64_t total = 0;                                                                                                      \
        for (int64_t first = 0; first < length; first += 32768) { /* so many fit a 32-bit sum */                                \
            int32_t sum = 0;                                                                                                    \
            for (int64_t k = first; k < smaller(length, first + 32768); k++) sum += from[k];                                    \
            total += sum;                                                                                                       \
        }                                                                                                                       \
        sums[i] = total;                                                                                                        \
    }
static void sum_operands(Type operand, const void *operands, int64_t count, int64_t stride, int64_t length, int64_t *sums) {
    if (operand == U8) {
        SUM_OPERANDS(uint8_t)
    } else if (length > 3) {
        SUM_OPERANDS(int16_t)
    } else {
        const int16_t *from = operands;
        for (int64_t i = 0; i < count; i++, from += stride) {
            sums[i] = from[0] + (length > 1 ? from[1] : 0) + (length > 2 ? from[2] : 0);
        }
    }
}

static inline int64_t wrapped(int64_t value, int bits) {
    const uint64_t offset = (uint64_t)1 << (bits - 1), mask = 2 * offset - 1;
    return (int64_t)(((uint64_t)value + offset) & mask) - (int64_t)offset;
}

static ALWAYS_INLINE Ints ints_from(const Type type, const void *codes, int64_t at) {
    switch (type) {
        case S8: return ints_from_S8((const int8_t *)codes + at);
        case U8: return ints_from_U8((const uint8_t *)codes + at);
        case S16: return ints_from_S16((const int16_t *)codes + at);
        case U16: return ints_from_U16((const uint16_t *)codes + at);
        default: return ints_load((const int32_t *)codes + at);
    }
}

/* Vectors of results into codes: saturated, which is counted, and saturated once more, which is not. */
typedef struct {
    Ints least, most, then_least, then_most, over, low, high;
} Sink;

static inline Sink sink_to(const Codes *codes) {
    return (Sink){ints_set((int32_t)codes->low),       ints_set((int32_t)codes->high), ints_set((int32_t)codes->then_low),
                  ints_set((int32_t)codes->then_high), ints_zero(),                    ints_set(INT32_MAX),
                  ints_set(INT32_MIN)};
}

static inline Ints sink_codes(Sink *s, Ints value) {
    const Ints kept = ints_min(ints_max(value, s->least), s->most);
    s->over = ints_count(s->over, value, kept);
    return ints_min(ints_max(kept, s->then_least), s->then_most);
}

static inline Ints sink_values(Sink *s, Ints value) {
    s->low = ints_min(s->low, value);
    s->high = ints_max(s->high, value);
    return sink_codes(s, value);
}

static inline void store_vector(Type type, Ints codes, void *to) {
    if (bytes_of(type) == 1) {
        ints_pack8(to, codes);
    } else {
        ints_pack16(to, codes);
    }
}

/* What the first `valid` lanes saw. */
static void sink_stats(const Sink *s, int64_t valid, Stats *stats) {
    int32_t lows[LANES], highs[LANES], overs[LANES];
    ints_store(lows, s->low);
    ints_store(highs, s->high);
    ints_store(overs, s->over);
    for (int64_t lane = 0; lane < valid; lane++) merge_stats(stats, &(Stats){lows[lane], highs[lane], overs[lane]});
}
