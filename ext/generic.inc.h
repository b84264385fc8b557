/* Plain loops of every arithmetic, which the compiler turns into the instructions of each set. */

/* Sums of BLOCK outputs, terms computed and added as T. */
#define BLOCK_SUMS(NAME, T, TERM)                                                                                               \
    static void NAME(const int32_t *products, const int32_t *operands, const int32_t *weights, int64_t taps, T *sums) {         \
        (void)products;                                                                                                         \
        T sum[BLOCK] = {0};                                                                                                     \
        for (int64_t tap = 0; tap < taps; tap++, weights += BLOCK) {                                                            \
            const T x = operands[tap];                                                                                          \
            for (int i = 0; i < BLOCK; i++) {                                                                                   \
                const T w = weights[i];                                                                                         \
                sum[i] += (TERM);                                                                                               \
            }                                                                                                                   \
        }                                                                                                                       \
        for (int i = 0; i < BLOCK; i++) sums[i] = sum[i];                                                                       \
    }

/* The same for MAX_WIDTH channels at most of a depthwise window. */
#define DEPTHWISE_SUMS(NAME, T, TERM)                                                                                           \
    static void NAME(const int32_t *products, Type type, const char *window, const int64_t *offsets, int64_t taps,             \
                     int64_t count, const int32_t *weights, int64_t channels, T *sums) {                                        \
        (void)products;                                                                                                         \
        int32_t operands[MAX_WIDTH];                                                                                            \
        for (int64_t i = 0; i < count; i++) sums[i] = 0;                                                                        \
        for (int64_t tap = 0; tap < taps; tap++, weights += channels) {                                                         \
            widen_32(type, window + offsets[tap], count, operands);                                                             \
            for (int64_t i = 0; i < count; i++) {                                                                               \
                const T x = operands[i], w = weights[i];                                                                        \
                sums[i] += (TERM);                                                                                              \
            }                                                                                                                   \
        }                                                                                                                       \
    }

/* A register takes one term; `clipped` gathers what it lost. */
#define TAKE_TERM(REGISTER, CLIPPED, TERM)                                                                                      \
    do {                                                                                                                        \
        const int64_t next = (REGISTER) + (TERM), kept = clip(next, low, high);                                                 \
        (CLIPPED) |= kept ^ next;                                                                                               \
        (REGISTER) = kept;                                                                                                      \
    } while (0)

/* The loops of codes that sum a term. */
#define CODE_LOOPS(ID, TERM)                                                                                                    \
    BLOCK_SUMS(ID##_narrow, int32_t, TERM)                                                                                      \
    BLOCK_SUMS(ID##_wide, int64_t, TERM)                                                                                        \
    DEPTHWISE_SUMS(ID##_depthwise_narrow, int32_t, TERM)                                                                        \
    DEPTHWISE_SUMS(ID##_depthwise_wide, int64_t, TERM)                                                                          \
    static void ID##_ordered(const int32_t *products, const int32_t *operands, const int32_t *weights, int64_t taps, int64_t low, \
                             int64_t high, int64_t *registers, int64_t *clipped) {                                              \
        (void)products;                                                                                                         \
        for (int i = 0; i < BLOCK; i++) registers[i] = clipped[i] = 0;                                                          \
        for (int64_t tap = 0; tap < taps; tap++, weights += BLOCK) {                                                            \
            const int64_t x = operands[tap];                                                                                    \
            for (int i = 0; i < BLOCK; i++) {                                                                                   \
                const int64_t w = weights[i];                                                                                   \
                TAKE_TERM(registers[i], clipped[i], (TERM));                                                                    \
            }                                                                                                                   \
        }                                                                                                                       \
        for (int i = 0; i < BLOCK; i++) clipped[i] = clipped[i] != 0;                                                           \
    }                                                                                                                           \
    static void ID##_depthwise_ordered(const int32_t *products, Type type, const char *window, const int64_t *offsets,          \
                                       int64_t taps, int64_t count, const int32_t *weights, int64_t channels, int64_t low,      \
                                       int64_t high, int64_t *registers, int64_t *clipped) {                                    \
        (void)products;                                                                                                         \
        int32_t operands[MAX_WIDTH];                                                                                            \
        for (int64_t i = 0; i < count; i++) registers[i] = clipped[i] = 0;                                                      \
        for (int64_t tap = 0; tap < taps; tap++, weights += channels) {                                                         \
            widen_32(type, window + offsets[tap], count, operands);                                                             \
            for (int64_t i = 0; i < count; i++) {                                                                               \
                const int64_t x = operands[i], w = weights[i];                                                                  \
                TAKE_TERM(registers[i], clipped[i], (TERM));                                                                    \
            }                                                                                                                   \
        }                                                                                                                       \
        for (int64_t i = 0; i < count; i++) clipped[i] = clipped[i] != 0;                                                       \
    }

#define GENERIC(ID, NAME, TERM, FLOAT_SUM, FALLS)                                                                               \
    CODE_LOOPS(ID, TERM)                                                                                                        \
    static void ID##_bounds(const int32_t *weights, int64_t taps, int32_t x_low, int32_t x_high, int64_t *low, int64_t *high) { \
        int64_t least = 0, most = 0;                                                                                            \
        for (int64_t k = 0; k < taps; k++) { /* no term is largest or smallest between the ends, but for those that stay under zero */ \
            const int64_t w = weights[k];                                                                                       \
            int64_t x = x_low;                                                                                                  \
            const int64_t one = (TERM);                                                                                         \
            x = x_high;                                                                                                         \
            const int64_t other = (TERM);                                                                                       \
            least += smaller(one, other);                                                                                       \
            most += (FALLS) ? 0 : larger(one, other);                                                                           \
        }                                                                                                                       \
        *low = least;                                                                                                           \
        *high = most;                                                                                                           \
    }                                                                                                                           \
    static void ID##_floats(const float *operands, const float *weights, int64_t taps, float *sums) {                           \
        for (int i = 0; i < BLOCK; i++) sums[i] = 0.0f;                                                                         \
        for (int64_t first = 0; first < taps; first += FLOAT_TAPS) {                                                            \
            float own[BLOCK] = {0};                                                                                             \
            for (int64_t tap = first; tap < smaller(taps, first + FLOAT_TAPS); tap++, weights += BLOCK) {                       \
                const float x = operands[tap];                                                                                  \
                for (int i = 0; i < BLOCK; i++) {                                                                               \
                    const float w = weights[i], sum = own[i];                                                                   \
                    own[i] = FLOAT_SUM;                                                                                         \
                }                                                                                                               \
            }                                                                                                                   \
            for (int i = 0; i < BLOCK; i++) sums[i] += own[i];                                                                  \
        }                                                                                                                       \
    }                                                                                                                           \
    static void ID##_depthwise_floats(const char *window, const int64_t *offsets, int64_t taps, int64_t count,                  \
                                      const float *weights, int64_t channels, float *y) {                                       \
        for (int64_t i = 0; i < count; i++) y[i] = 0.0f;                                                                        \
        for (int64_t tap = 0; tap < taps; tap++, weights += channels) {                                                         \
            const float *pixel = (const float *)(const void *)(window + offsets[tap]);                                          \
            for (int64_t i = 0; i < count; i++) {                                                                               \
                const float x = pixel[i], w = weights[i], sum = y[i];                                                           \
                y[i] = FLOAT_SUM;                                                                                               \
            }                                                                                                                   \
        }                                                                                                                       \
    }

ADDERSIM_EACH_ARITHMETIC(GENERIC)

/* Terms from a table of products: whatever a code is, its low byte is one of the table's rows or columns. */
CODE_LOOPS(TABLE, products[(x & 255) * 256 + (w & 255)])

#define LOOPS_ROW(ID, NAME, TERM, FLOAT_SUM, FALLS)                                                                           \
    [ID] = {ID##_bounds,           ID##_narrow,         ID##_wide,              ID##_floats, ID##_ordered,                      \
            ID##_depthwise_narrow, ID##_depthwise_wide, ID##_depthwise_ordered, ID##_depthwise_floats},
#define TABLE_LOOPS                                                                                                             \
    {.narrow = TABLE_narrow,                                                                                                    \
     .wide = TABLE_wide,                                                                                                        \
     .ordered = TABLE_ordered,                                                                                                  \
     .depthwise_narrow = TABLE_depthwise_narrow,                                                                                \
     .depthwise_wide = TABLE_depthwise_wide,                                                                                    \
     .depthwise_ordered = TABLE_depthwise_ordered}
