/* Window layers of bytes that multiply, from operands to codes: the panel of mac_u8s8 (panel.inc.h), whose sums become codes in the
   registers that they were summed in. No sum is stored, and the next block's products begin while codes are made of this one's.

   What becomes codes at a time is a unit: four vectors of sums, of one row of 64 outputs, two of 32 or four of 16. */

enum { UNIT_VECTORS = 4, UNIT_SUMS = UNIT_VECTORS * LANES };

/* What a call has beside its arguments. */
typedef struct {
    ByteVectors bytes;
    Floats limit;
    const int32_t *constant;
    const float *scale, *addend;
    int32_t *low, *high;
    Ints overs;
    int64_t over, doubtful;
} CodedState;

/* The nearest codes of a unit, and whether they may err. */
static ALWAYS_INLINE int unit_codes(const CodedState *s, const FloatKind kind, const int vectors, const Ints *sum, Ints *code) {
    Floats product[UNIT_VECTORS];
    UNROLL for (int k = 0; k < UNIT_VECTORS; k++) {
        const int64_t at = k % vectors * LANES;
        product[k] = float_product(kind, sum[k], floats_load(s->scale + at), floats_load(s->addend + at));
    }
    return float_nearest(kind, product, s->limit, code);
}

/* Bytes of the first `rows` rows of a unit, which is one of some from the first window on. */
static inline void store_unit(const CodedPanel *p, const int vectors, int64_t unit, int64_t rows, Ints bytes) {
    const Ints in_order = bytes_in_order(bytes);
    uint8_t *y = p->y + unit * (UNIT_VECTORS / vectors) * p->y_stride;
    if (vectors == 4 || (rows == UNIT_VECTORS / vectors && p->y_stride == vectors * LANES)) {
        ints_store((int32_t *)(void *)y, in_order);
    } else if (vectors == 2) {
        halves_store(y, p->y_stride, rows, in_order);
    } else {
        quarters_store(y, p->y_stride, rows, in_order);
    }
}

/* Sums that are in doubt wait in memory. */
static ALWAYS_INLINE void code_unit(const CodedPanel *p, CodedState *s, const FloatKind kind, const int vectors, const Ints *sum, int64_t unit) {
    const uint32_t all[2] = {UINT32_MAX, UINT32_MAX};
    Ints code[UNIT_VECTORS];
    if (unit_codes(s, kind, vectors, sum, code)) {
        UNROLL for (int k = 0; k < UNIT_VECTORS; k++) ints_store(p->sums + s->doubtful * UNIT_SUMS + k * LANES, sum[k]);
        p->doubts[s->doubtful++] = (int32_t)unit;
    }
    store_unit(p, vectors, unit, UNIT_VECTORS / vectors, float_bytes(&s->bytes, code, all, &s->overs));
}

/* Words of the two pairs of a unit's vectors whose overflows count, of `rows` rows. */
static inline void counted_of_rows(const int vectors, int64_t rows, uint32_t *counted) {
    const int64_t whole = rows * vectors;
    counted[0] = whole >= 2 ? UINT32_MAX : SHORTS_OF_FIRST;
    counted[1] = whole >= 4 ? UINT32_MAX : whole == 3 ? SHORTS_OF_FIRST : 0;
}

/* The first rows of a unit, exactly; with what its nearest codes counted taken back, where they did. */
static __attribute__((noinline)) void code_exactly(const CodedPanel *p, CodedState *s, const FloatKind kind, const int vectors,
                                                   const int32_t *sums, int64_t unit, int64_t rows, int did) {
    Ints sum[UNIT_VECTORS], code[UNIT_VECTORS], nearest = ints_zero(), exact = ints_zero();
    uint32_t counted[2];
    counted_of_rows(vectors, rows, counted);
    for (int k = 0; k < UNIT_VECTORS; k++) sum[k] = ints_load(sums + k * LANES);
    const int doubt = unit_codes(s, kind, vectors, sum, code);
    if (did) float_bytes(&s->bytes, code, counted, &nearest);
    for (int k = 0; doubt && k < UNIT_VECTORS; k++) exact_codes(p->codes, p->output + k % vectors * LANES, sum + k, 1, code + k);
    store_unit(p, vectors, unit, rows, float_bytes(&s->bytes, code, counted, &exact));
    s->over += shorts_total(exact) - shorts_total(nearest);
}

static ALWAYS_INLINE void see_block(const CodedState *s, const int rows, const int vectors, const Ints *sum) {
    UNROLL for (int j = 0; j < vectors; j++) {
        Ints low = ints_load(s->low + j * LANES), high = ints_load(s->high + j * LANES);
        UNROLL for (int i = 0; i < rows; i++) low = ints_min(low, sum[i * vectors + j]), high = ints_max(high, sum[i * vectors + j]);
        ints_store(s->low + j * LANES, low), ints_store(s->high + j * LANES, high);
    }
}

/* Units of the last block, of which `left` rows are windows. */
static ALWAYS_INLINE void code_rest(const CodedPanel *p, CodedState *s, const FloatKind kind, const int units, const int vectors,
                                    const Ints *sum, int64_t unit, int64_t left) {
    int32_t sums[UNIT_SUMS * CODED_UNITS];
    const int rows = UNIT_VECTORS / vectors;
    UNROLL for (int j = 0; j < units * UNIT_VECTORS; j++) ints_store(sums + j * LANES, sum[j]);
    for (int64_t i = 0; i * rows < left; i++) {
        code_exactly(p, s, kind, vectors, sums + i * UNIT_SUMS, unit + i, smaller(rows, left - i * rows), 0);
    }
}

/* A step of unsigned bytes: 128 more than codes that have signs. */
static ALWAYS_INLINE Ints unsigned_step(const char *x, const int has_signs) {
    return has_signs ? ints_xor(ints_all(x), ints_set((int32_t)0x80808080)) : ints_all(x);
}

static ALWAYS_INLINE void coded_blocks(const CodedPanel *p, const FloatKind kind, const int has_signs, const int vectors, CodedState *s) {
    const int rows = vectors == 4 ? 6 : 8, units = rows * vectors / UNIT_VECTORS;
    int64_t unit = 0;
    for (int64_t first = 0; first < p->count; first += rows, unit += units) {
        Ints sum[CODED_UNITS * UNIT_VECTORS];
        const char *x[CODED_ROWS], *w = p->panel;
        UNROLL for (int i = 0; i < rows; i++) x[i] = p->windows[first + i];
        UNROLL for (int j = 0; j < rows * vectors; j++) sum[j] = ints_load(s->constant + j % vectors * LANES);
        for (int64_t run = 0; run < p->runs; run++) {
            const int64_t end = p->offsets[run] + p->steps * 4;
            for (int64_t at = p->offsets[run]; at < end; at += 4, w += vectors * LANES * 4) {
                Ints weights[UNIT_VECTORS];
                UNROLL for (int j = 0; j < vectors; j++) weights[j] = ints_load(w + j * LANES * 4);
                UNROLL for (int i = 0; i < rows; i++) {
                    const Ints operand = unsigned_step(x[i] + at, has_signs);
                    UNROLL for (int j = 0; j < vectors; j++) sum[i * vectors + j] = ints_mac_u8s8(sum[i * vectors + j], operand, weights[j]);
                }
            }
        }
        UNROLL for (int j = 0; j < rows * vectors; j++) DO_NOT_OPTIMIZE(sum[j]); /* a compiler may keep each in two registers */
        see_block(s, rows, vectors, sum);
        if (first + rows <= p->count) {
            UNROLL for (int i = 0; i < units; i++) code_unit(p, s, kind, vectors, sum + i * UNIT_VECTORS, unit + i);
        } else {
            code_rest(p, s, kind, units, vectors, sum, unit, p->count - first);
        }
    }
    for (int64_t i = 0; i < s->doubtful; i++) {
        code_exactly(p, s, kind, vectors, p->sums + i * UNIT_SUMS, p->doubts[i], UNIT_VECTORS / vectors, 1);
    }
}

#define CODED_VECTORS(KIND, SIGNS)                                        \
    if (p->vectors == 4) coded_blocks(p, KIND, SIGNS, 4, &s);             \
    if (p->vectors == 2) coded_blocks(p, KIND, SIGNS, 2, &s);             \
    if (p->vectors == 1) coded_blocks(p, KIND, SIGNS, 1, &s);
#define CODED_CASE(KIND)                                                  \
    case KIND:                                                            \
        if (p->has_signs) {                                               \
            CODED_VECTORS(KIND, 1)                                        \
        } else {                                                          \
            CODED_VECTORS(KIND, 0)                                        \
        }                                                                 \
        break;
/* At most as many windows as 16 bits count overflows of. */
static void coded_panel(const CodedPanel *p, Seen *seen) {
    const FloatCodes *c = p->codes;
    const int64_t o = p->output;
    CodedState s = {byte_vectors(&c->bytes), floats_all(&c->limit), c->constant + o, c->scale + o, c->addend + o,
                    seen->low + o, seen->high + o, ints_zero(), 0, 0};
    switch (float_kind(c)) {
        CODED_CASE(PLAIN_ADDEND)
        CODED_CASE(SIGNED_ADDEND)
        CODED_CASE(CERTAIN)
    }
    seen->over += s.over + shorts_total(s.overs);
}
