/* What the parts of addersim._core share: geometry of a window layer, and the table of kernels of one instruction set.
   Nothing here checks its input: addersim/kernels does. All arrays are contiguous, channels last. */
#ifndef ADDERSIM_CORE_H
#define ADDERSIM_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What GNU's and Clang's C have beyond the standard; for any other compiler (or where ADDERSIM_PLAIN says so, for a test) plain
   C17 stands in, but for __typeof__, which Microsoft's has too. Sets of vector instructions are built only by the former two. */
#if (defined(__GNUC__) || defined(__clang__)) && !defined(ADDERSIM_PLAIN)
#define ADDERSIM_GNU 1
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define ALWAYS_INLINE inline
#define PREFETCH(address) ((void)(address))
#endif

/* x: (images, height, width, channels); weights: (outputs, kernel_height, kernel_width, channels / groups);
   y: (images, out_height, out_width, outputs). */
typedef struct {
    int64_t images, height, width, channels;
    int64_t out_height, out_width, outputs;
    int64_t kernel_height, kernel_width;
    int64_t stride_height, stride_width;
    int64_t padding_height, padding_width; /* before the first row and column; out_* tell what lies after the last ones */
    int64_t dilation_height, dilation_width;
    int64_t groups;
} Geometry;

/* The kernels' contract. Kernels check nothing. Arrays of callers may lie at any address that their elements may have and end at
   their last element: no kernel touches a byte beyond. Scratch comes from allocate() on cache lines; what a panel or a depthwise
   kernel reads of a tile it may read, and gather_windows() may write, up to SLACK_BYTES beyond the end, which every
   tile has. Packed weights are padded to whole vectors, with operands that count for nothing. Results are stored exactly. */
enum {
    SLACK_BYTES = 64,
    MAX_WIDTH = 64,  /* of any panel: vectors * lanes */
    BLOCK = 16,      /* outputs of a plain loop */
    FLOAT_TAPS = 512, /* floats summed before the partial sum joins the total: bounds the rounding error, keeps a panel in cache */
    BYTE_TAPS = 171, /* of at most 255 + 128 each, which 16 bits hold */
    RUN_WIDTHS = 5,
    LEAST_RUN_BITS = 4,
    QUAD = 4,
    QUAD_BYTES = 64,
    PAIRED_TAPS = 64, /* of a depthwise layer, whose weights lie on the stack */
    PLANE_UNITS = 4,
    MAX_LANES = 16, /* floats of the widest vector */
    MAX_GRADIENT_ROWS = 8,
    CHUNK = 1024,
    MAX_SETS = 6,
    SIGNS = 8, /* of operands in one byte of bits */
    ROW_PLANES = 2 * 256, /* bytes of one weight's products: the low ones by the code of x, then the high ones */
    TABLE_WINDOWS = 64,
    SHORT_TAPS = 256, /* bytes that 16 bits sum */
    RESULT_LIMIT = 1 << 30, /* of what becomes a code: all formats are far narrower, and a zero point more fits 32 bits */
    PRODUCTS = 256 * 256, /* of a multiplier's table: rows for the low byte of x, columns for that of w */
};

/* Sizes saturate: what 63 bits do not hold is INT64_MAX, and allocate() has no memory for that. Operands are not negative.
   Whatever was allocated, and whatever array exists, is indexed without further checks: its offsets are smaller than its size. */
#ifdef ADDERSIM_GNU
static inline int64_t plus(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}
static inline int64_t times(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}
#else
static inline int64_t plus(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }
static inline int64_t times(int64_t a, int64_t b) { return a > 0 && b > INT64_MAX / a ? INT64_MAX : a * b; }
#endif
/* Of 64 bits: zeros below the lowest one and above the highest (there is one), and how many ones. */
#ifdef ADDERSIM_GNU
static inline int zeros_below(uint64_t bits) { return __builtin_ctzll(bits); }
static inline int zeros_above(uint64_t bits) { return __builtin_clzll(bits); }
static inline int ones_in(uint64_t bits) { return __builtin_popcountll(bits); }
#else
static inline int ones_in(uint64_t bits) {
    int ones = 0;
    for (; bits; bits &= bits - 1) ones++;
    return ones;
}
static inline int zeros_below(uint64_t bits) { return ones_in(~bits & (bits - 1)); }
static inline int zeros_above(uint64_t bits) {
    int zeros = 64;
    for (; bits; bits >>= 1) zeros--;
    return zeros;
}
#endif
static inline int64_t round_up(int64_t value, int64_t unit) {
    return value > INT64_MAX - unit ? INT64_MAX : (value + unit - 1) / unit * unit;
}

static inline int64_t taps_of(const Geometry *g) { return g->kernel_height * g->kernel_width * (g->channels / g->groups); }
static inline int64_t pixels_of(const Geometry *g) { return g->images * g->out_height * g->out_width; }
static inline int64_t work_of(const Geometry *g) { return times(pixels_of(g) * g->outputs, taps_of(g)); }
static inline int is_depthwise(const Geometry *g) { return g->groups == g->channels && g->groups == g->outputs && g->groups > 1; }
/* Row or column of the output that the tap of an input position belongs to, or -1. */
static inline int64_t output_of(int64_t at, int64_t padding, int64_t tap, int64_t dilation, int64_t stride, int64_t end) {
    const int64_t scaled = at + padding - tap * dilation;
    return scaled >= 0 && scaled % stride == 0 && scaled / stride < end ? scaled / stride : -1;
}
static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
/* Elements in a chunk: whole pixels where they are short. */
static inline int64_t chunk_length(int64_t channels) { return channels >= CHUNK ? CHUNK : CHUNK / channels * channels; }
static inline int64_t clip(int64_t value, int64_t low, int64_t high) { return value < low ? low : value > high ? high : value; }

/* Steps of a window lie where they may. */
static inline int32_t int32_at(const void *p) {
    int32_t value;
    memcpy(&value, p, 4);
    return value;
}
static inline int64_t int64_at(const void *p) {
    int64_t value;
    memcpy(&value, p, 8);
    return value;
}

/* F32_PAIRS: of two neighbours a, b the sum and the difference, as operands of l1. */
typedef enum { S8, U8, S16, U16, S32, S64, F32, F32_PAIRS } Type;
static inline int bytes_of(Type type) { return type <= U8 ? 1 : type <= U16 ? 2 : type == S64 ? 8 : 4; }

/* Arithmetics, one row each: enum, name, the term of one tap for operands x and w of any one type, what a sum of floats is after it
   (products are added with one rounding, as every set has them), and whether the sum only falls (no term is above zero).
   generic.inc.h makes loops of every row for every set; panels are faster ones for some. */
#define ADDERSIM_EACH_ARITHMETIC(ROW)                                                 \
    ROW(L1, "l1", x < w ? x - w : w - x, sum - fabsf(x - w), 1)                       \
    ROW(MAC, "mac", x * w, fused(x, w, sum), 0)                                       \
    ROW(L2, "l2", (x - w) * (w - x), fused(x - w, w - x, sum), 1)                     \
    ROW(XNOR, "xnor", (x < 0) == (w < 0) ? 1 : -1, sum + ((x < 0) == (w < 0) ? 1 : -1), 0)
#define ARITHMETIC_ENUM(ID, NAME, TERM, FLOAT_SUM, FALLS) ID,
#define ARITHMETIC_ONE(ID, NAME, TERM, FLOAT_SUM, FALLS) +1
typedef enum { ADDERSIM_EACH_ARITHMETIC(ARITHMETIC_ENUM) } Arithmetic;
enum { ARITHMETICS = 0 ADDERSIM_EACH_ARITHMETIC(ARITHMETIC_ONE) };
typedef enum { EXACT, WRAP, SATURATE } Overflow;
typedef enum { HALF_EVEN, HALF_UP, TRUNCATE } Rounding;

/* Exact results before overflow handling, and how many of them it changed. */
typedef struct {
    int64_t minimum, maximum, overflowed;
} Stats;

static inline Stats no_stats(void) { return (Stats){INT64_MAX, INT64_MIN, 0}; }
static inline void merge_stats(Stats *all, const Stats *one) {
    all->minimum = smaller(all->minimum, one->minimum);
    all->maximum = larger(all->maximum, one->maximum);
    all->overflowed += one->overflowed;
}

/* A panel kernel holds `rows` windows x up to `vectors` vectors of `lanes` outputs in registers and walks the taps in
   steps of `step_bytes`: one step of a window is broadcast against the same step of every output.

   windows: row_blocks * rows pointers; from each, steps lie in `runs` runs of `steps`, the first at offsets[run] + start;
   panel:   steps x (vectors * lanes) outputs x step_bytes, packed by pack_panels;
   sums:    one sum of sum_bytes an output, sums_stride elements between windows; added to where accumulate is set. */
typedef void (*PanelFunction)(const char *const *windows, int64_t row_blocks, const int64_t *offsets, int64_t runs, int64_t start,
                              int64_t steps, const void *panel, int vectors, void *sums, int64_t sums_stride, int accumulate);
typedef struct {
    PanelFunction run;
    int rows, vectors, lanes, step_bytes, sum_bytes;
} Panel;

/* A format that codes saturate (or wrap) to, and perhaps a second one that they then saturate to, uncounted. */
typedef struct {
    Type type; /* of what is stored */
    Overflow overflow;
    int bits, is_signed;
    int64_t low, high, then_low, then_high;
} Codes;

/* round(x * multiplier + addend) a channel, in doubles, where that is exact and fits 32 bits. */
typedef struct {
    const double *multiplier, *addend;
    int nearest; /* ties to even; otherwise down */
    Codes codes;
} Affine;

/* How scaled values become whole numbers: see addersim/arithmetic/requantisation.py, which has every formula and its source. */
typedef enum {
    SHIFT_HALF_EVEN,
    DOUBLING,
    SINGLE_ROUNDING,
    DOUBLE_ROUNDING,
    FLOAT_FACTOR,
    QUANT_ROUND,
    QUANT_CEIL,
    QUANT_FLOOR,
    QUANTIZE_LINEAR,
    DIVIDE_AWAY
} Formula;

/* What a formula reads of each channel, and the codes that its results become. Results beyond RESULT_LIMIT count as that. */
typedef struct {
    Formula formula;
    const int32_t *bias, *multiplier, *shift;
    const float *factor;
    float divisor;
    int32_t zero_point;
    int direct; /* of a window's results: no multiplier or factor is negative, and no step leaves 32 bits or RESULT_LIMIT */
    Codes codes;
} Rescale;

/* Codes of a byte, as what has 16 bits becomes them: overflows are those that, with the zero point, differ from the least by more than
   reach, as unsigned numbers. */
typedef struct {
    int is_signed, then_low, then_high;
    int16_t zero_point, least;
    uint16_t reach;
} ByteCodes;

static inline ByteCodes byte_codes(const Codes *codes, int32_t zero_point) {
    const int64_t low = larger(codes->low, INT16_MIN), high = smaller(codes->high, INT16_MAX);
    return (ByteCodes){codes->type == S8, (int)larger(low, codes->then_low), (int)smaller(high, codes->then_high), (int16_t)zero_point,
                       (int16_t)low, (uint16_t)(high - low)};
}

/* Codes of a byte by products of floats (float_codes.inc.h), of results factor * sum + constant whose factor is 1 or -1. Constants are those
   of each output in turn, and so many more as a vector may read. */
typedef struct {
    const int32_t *constant; /* with the bias */
    const float *scale, *addend;
    float limit; /* how far from a whole number a product may be to be certain */
    int negative;
    ByteCodes bytes;
    const Affine *affine; /* what is exact, or where NULL: */
    Rescale rescale;
} FloatCodes;

/* Extremes of the results of each output, and how many codes of all overflowed. */
typedef struct {
    int32_t *low, *high;
    int64_t over;
} Seen;

/* The same for the sum of two codes of different scales, or by a formula of reals their product: constants of a, of b and of what they
   make; `left` places before them. */
typedef struct {
    Formula formula;
    int32_t zero_points[2], left, multiplier[3], shift[3];
    float factor[3];
    int32_t zero_point;
    int product;
    Codes codes;
} RescaledAdd;

/* From raw sums to results: factor * sum + window_factors[output] * window_sums[window] + constants[output], then the register,
   then perhaps codes. */
typedef struct {
    int64_t factor;
    const int64_t *window_factors; /* or NULL: all zero */
    const int64_t *constants;
    Overflow overflow;
    int64_t low, high; /* ends of the register */
    int bits;
    int64_t outputs;        /* of the layer: where outputs of several windows make one row, they count on from it */
    int narrow;             /* every exact result fits 32 bits */
    int y_bytes;            /* of a stored result: 4, 8, or a code's */
    const uint8_t *ordered; /* outputs whose register depends on the order of the taps, or NULL */
    const Affine *affine;   /* NULL, or only where narrow, not WRAP and nothing is ordered */
    const Rescale *rescale; /* NULL, or only where narrow and nothing is ordered: makes codes of results, which y_bytes (4) are of,
                               unless it is direct. No result plus its bias leaves 32 bits */
    const FloatCodes *floats; /* NULL, or what makes codes of sums at once in float_codes() */
    int folds;              /* raw sums and constants are no larger than results can be: doubles hold their affine, too */
} Epilogue;

/* Codes that stand for zero. Only codes of bytes have any but 0, and of x and weights only those that MAC multiplies. */
typedef struct {
    int64_t outside;        /* the code of a padded tap */
    int64_t x;              /* taken from each code of x before it is an operand */
    const int32_t *weights; /* taken from the weights of each output, or NULL */
} ZeroPoints;

/* Codes of zero, their runs, other codes, and what pairs of a run-length code have beyond one for each of those: for lengths of
   LEAST_RUN_BITS bits, of one more, .. */
typedef struct {
    int64_t zeros, runs, others, pairs[RUN_WIDTHS];
} ZeroRuns;

/* Loops that every arithmetic has. Operands come widened; weights of a block of BLOCK outputs are (taps, BLOCK), those of a
   depthwise layer (taps, channels). Narrow sums fit 32 bits, and so does each of their terms. `products` is the table of
   PRODUCTS that the loops of a multiplier's table read, and NULL for all others. */
typedef struct {
    void (*bounds)(const int32_t *weights, int64_t taps, int32_t x_low, int32_t x_high, int64_t *low, int64_t *high);
    void (*narrow)(const int32_t *products, const int32_t *x, const int32_t *weights, int64_t taps, int32_t *sums);
    void (*wide)(const int32_t *products, const int32_t *x, const int32_t *weights, int64_t taps, int64_t *sums);
    void (*floats)(const float *x, const float *weights, int64_t taps, float *sums);
    /* Registers that saturate at every tap, and whether one did. */
    void (*ordered)(const int32_t *products, const int32_t *x, const int32_t *weights, int64_t taps, int64_t low, int64_t high,
                    int64_t *registers, int64_t *clipped);
    /* Of up to MAX_WIDTH channels of a depthwise window, its taps at `offsets`. */
    void (*depthwise_narrow)(const int32_t *products, Type type, const char *window, const int64_t *offsets, int64_t taps,
                             int64_t count, const int32_t *weights, int64_t channels, int32_t *sums);
    void (*depthwise_wide)(const int32_t *products, Type type, const char *window, const int64_t *offsets, int64_t taps,
                           int64_t count, const int32_t *weights, int64_t channels, int64_t *sums);
    void (*depthwise_ordered)(const int32_t *products, Type type, const char *window, const int64_t *offsets, int64_t taps,
                              int64_t count, const int32_t *weights, int64_t channels, int64_t low, int64_t high,
                              int64_t *registers, int64_t *clipped);
    /* Of any number of channels. */
    void (*depthwise_floats)(const char *window, const int64_t *offsets, int64_t taps, int64_t count, const float *weights,
                             int64_t channels, float *y);
} Loops;

/* A depthwise layer of at most QUAD kernel rows, whose channels fill QUAD_BYTES or divide them: weights (kernel column, block of channels,
   QUAD_BYTES codes of four rows), and constants of codes, in the order of the sums: turned_channel(). */
typedef struct {
    const FloatCodes *codes;
    const int8_t *weights;
    int64_t channels, kernel_width, stride;
} DepthwiseQuads;

/* Of a sum's place, the channel: the four rows of taps are brought side by side by halves of every 16 bytes. */
static inline int64_t turned_channel(int64_t place) {
    const int64_t vector = place % QUAD_BYTES / 16, lane = place % 16;
    return place / QUAD_BYTES * QUAD_BYTES + lane / 4 * 16 + vector * 4 + lane % 4;
}

/* A panel of bytes whose sums become codes in it (coded_panel.inc.h): of `count` windows, after which pointers go on to whole blocks of
   rows, codes of vectors * MAX_LANES outputs, 1, 2 or 4 vectors, from `output` on. There is room for all sums, and for a number of each
   four vectors of them. */
enum {
    CODED_ROWS = 24, /* a multiple of the rows of every block, */
    CODED_UNITS = 6, /* each of which has at most so many times four vectors */
};
typedef struct {
    const char *const *windows;
    int64_t count;
    const int64_t *offsets;
    int64_t runs, steps;
    const char *panel;
    int vectors, has_signs; /* has_signs: x has codes less 128 in place of operands */
    const FloatCodes *codes;
    int64_t output;
    int32_t *sums, *doubts;
    uint8_t *y;
    int64_t y_stride;
} CodedPanel;

/* What is faster than the loops, where an arithmetic has it: otherwise NULL, in a panel `run`. */
typedef struct {
    Panel floats, pairs, bytes, shorts, shorts_wide; /* pairs: of F32_PAIRS, two taps a step */
    Panel tiles, signed_tiles; /* bytes in long runs, and such as have signs */
    void (*coded_bytes)(const CodedPanel *p, Seen *seen); /* what `bytes` and then float_codes() do */
    void (*depthwise_narrow)(Type type, const char *window, const int64_t *offsets, int64_t taps, int64_t count,
                             const int32_t *weights, int64_t channels, int32_t *sums);
    /* Codes of bytes and at most BYTE_TAPS taps. */
    void (*depthwise_bytes)(Type type, const char *window, const int64_t *offsets, int64_t taps, int64_t count,
                            const int16_t *weights, int64_t channels, int32_t *sums);
    /* Operands and weights of 16 bits, at most PAIRED_TAPS of them, sums modulo 2**32: paired_channels of each window, `skip` bytes from
       where it starts. Fewer channels, a divisor of that, are those of several windows where such lie side by side; weights repeat. */
    void (*depthwise_pairs)(const char *const *windows, int64_t count, int64_t skip, const int64_t *offsets, int64_t taps,
                            const int16_t *weights, int64_t weights_stride, int64_t channels, int32_t *sums, int64_t sums_stride);
    int paired_channels;
    /* Codes of one row of windows, unsigned bytes from up to QUAD rows on; see depthwise_quads.inc.h. */
    void (*depthwise_quads)(const DepthwiseQuads *d, const char *const *rows, int64_t windows, uint8_t *y, Seen *seen);
    void (*depthwise_floats)(const char *window, const int64_t *offsets, int64_t taps, int64_t count, const float *weights,
                             int64_t channels, float *y);
    /* A register and a term fit 32 bits together. */
    void (*ordered_narrow)(const int32_t *x, const int32_t *weights, int64_t taps, int64_t low, int64_t high, int64_t *registers,
                           int64_t *clipped);
} Fast;

/* The kernels of one instruction set. */
typedef struct {
    const char *name;
    Loops loops[ARITHMETICS];
    /* Sums modulo 2**32 of one output for TABLE_WINDOWS windows, whose codes lie (taps, TABLE_WINDOWS); rows: products by the byte
       of w, then that of x. */
    void (*table_sums)(const uint8_t *codes, const uint8_t *weights, int64_t taps, const int32_t *rows, uint32_t *sums);
    /* The same of products of 16 bits in planes, ROW_PLANES for each byte of w; NULL where that is not faster. */
    void (*table_plane_sums)(const uint8_t *codes, const uint8_t *weights, int64_t taps, const uint8_t *planes, uint32_t *sums);
    Loops table; /* of a multiplier's table in place of MAC: codes only, neither bounds nor floats */
    Fast fast[ARITHMETICS];

    int64_t (*l1_u8_ceiling)(int64_t steps); /* returns the absolute differences that it took */

    int gradient_rows, gradient_lanes;
    /* Of each row a vector of sums of gradient * clamp(w - x, -1, 1), for gradients in `runs` runs of `steps`, from windows[row] +
       offsets[run] on, and as many vectors of weights. */
    void (*l1_gradient)(const float *const *x, const char *const *windows, const int64_t *offsets, int64_t runs, int64_t steps,
                        const float *weights, float *const *out);
    /* The same for PLANE_UNITS vectors of pixels, each of one channel, from column `left` on: gradients are `outputs` planes,
       `plane` floats apart, weights (outputs, channels). */
    void (*l1_gradient_planes)(const float *x, const int64_t *left, const int64_t *channel, const float *const *gradients,
                               int64_t plane, const float *const *weights, int64_t channels, int64_t taps, int64_t outputs,
                               float *out);
    /* One input pixel; gradients and weights: `taps` pointers to `channels` values. */
    void (*depthwise_gradient)(const float *x, const float *const *gradients, const float *const *weights, int64_t taps,
                               int64_t channels, float *out);
    /* filter[k] += sum over windows of gradient * sign(x - w) */
    void (*sign_gradient)(const float *windows, int64_t window_stride, int64_t count, const float *gradient,
                          int64_t gradient_stride, const float *weights, int64_t taps, float *filter);
    /* y[i] -= |x[i] - w|^power; out[i] -= gradient[i] * |d|^less with the sign of d = x[i] - w; the sum of such products */
    void (*power_sums)(const float *x, float w, float power, int64_t count, float *y);
    void (*power_input_slopes)(const float *x, float w, float less, int64_t count, const float *gradient, float *out);
    float (*power_filter_slope)(const float *x, float w, float less, int64_t count, const float *gradient);

    void (*widen)(Type type, const void *codes, int64_t count, int32_t *to);
    void (*extremes)(Type type, const void *codes, int64_t count, int64_t *low, int64_t *high);
    /* Weights of one output, clipped to low..high, minus an offset, as operands; their sum, and sum |w - clip(w)|. */
    void (*convert_weights)(const int32_t *weights, int64_t taps, int32_t low, int32_t high, int32_t offset, Type operand, void *to,
                    int64_t *sum, int64_t *cut);
    /* Codes minus an offset, as operands of type U8 or S16, or floats as F32_PAIRS (in place where the sizes agree). */
    void (*load_operands)(Type type, const void *codes, int64_t count, int64_t offset, Type operand, void *to);
    /* Packed weights of `steps` steps of the panel on pairs, in place: all sums of a vector's pairs, then all differences. */
    void (*pair_weights)(float *packed, int64_t steps);
    /* sums[i] of `length` operands from i * stride on */
    void (*sum_operands)(Type operand, const void *operands, int64_t count, int64_t stride, int64_t length, int64_t *sums);
    /* `rows` raw sums of `width` outputs from `output` on to results, y_stride elements apart. */
    void (*epilogue)(const Epilogue *f, const void *sums, int sum_bytes, int64_t sums_stride, int64_t rows, const int64_t *window_sums,
                   int64_t output, int64_t width, void *y, int64_t y_stride, Stats *stats, Stats *codes_stats);
    /* The same where the epilogue has `floats`, or NULL; float_stats() says at last what `count` outputs saw. */
    void (*float_codes)(const FloatCodes *c, const int32_t *sums, int64_t stride, int64_t rows, int64_t output, int64_t width, uint8_t *y,
                        int64_t y_stride, Seen *seen);
    void (*float_stats)(const FloatCodes *c, const Seen *seen, int64_t count, Stats *stats, Stats *codes_stats);
    /* Chunks of at most CHUNK elements, the first of channel `channel`; affine_any takes any number that 64 bits hold. */
    void (*affine)(Type type, const void *x, int64_t count, const Affine *affine, int64_t channel, void *y, Stats *stats);
    void (*affine_any)(Type type, const void *x, int64_t count, const int32_t *multiplier, const int64_t *addend,
                       const uint8_t *shift, Rounding rounding, const Codes *codes, void *y, Stats *stats);
    /* a + b, or a alone where b is NULL */
    void (*add)(Type a_type, const void *a, Type b_type, const void *b, int64_t count, const Codes *codes, void *y, Stats *stats);
    /* Chunks as for the affine; whether a value plus its bias left 32 bits. */
    int (*rescale)(Type type, const void *x, int64_t count, const Rescale *r, int64_t channel, void *y, Stats *stats);
    /* Of any number of pairs. */
    void (*rescaled_add)(Type a_type, const void *a, Type b_type, const void *b, int64_t count, const RescaledAdd *r, void *y,
                         Stats *stats);
    /* Added to what was found: of the words of one image. */
    void (*zero_runs)(Type type, const void *codes, int64_t words, int64_t zero, ZeroRuns *found);
    /* (channels, pixels) -> (pixels, channels) */
    void (*interleave)(const uint8_t *x, int64_t channels, int64_t pixels, uint8_t *y);
    /* y[channel] = the largest, or the sum, over `count` pixels. */
    void (*max_pixels)(Type type, const void *const *pixels, int64_t count, int64_t channels, void *y);
    void (*sum_pixels)(Type type, const void *const *pixels, int64_t count, int64_t channels, int wide, void *y);
} Kernels;

/* dispatch.c: */
extern const char *const arithmetic_names[ARITHMETICS];
/* The sets that this processor runs, best first. */
int kernel_sets(const Kernels *sets[MAX_SETS]);
int openmp_threads(void);
int use_threads(int threads, int64_t nanoseconds);
int thread_number(void);

/* tiles.c */
void *allocate(int64_t count, int64_t size);
/* Scratch of one thread, part after part on cache lines; without a base only its size is found. */
typedef struct {
    char *base;
    int64_t bytes;
} Layout;
static inline void *lay_part(Layout *layout, int64_t count, int64_t size) {
    const int64_t at = layout->bytes;
    layout->bytes = plus(at, round_up(times(count, size), 64));
    return layout->base ? layout->base + at : NULL;
}
/* Windows of one group, one after the other, zeros up to the stride; each byte of a tap outside the image is `outside`.
   `windows` has room for SLACK_BYTES more. */
void gather_windows(const Geometry *g, const void *x, int element_bytes, int outside, int64_t group, int64_t first, int64_t count,
                    void *windows, int64_t window_stride);
/* Pointers to the pixels of the image under one window; returns how many there are. */
int64_t window_pixels(const Geometry *g, const void *x, int element_bytes, int64_t pixel, const void **pixels);
/* Layout of the packed weights of one group: full panels first, then one narrower panel. */
int64_t packed_bytes(const Panel *panel, int64_t outputs, int64_t taps, int element_bytes);
/* Bytes beyond the taps are `rest`. */
void pack_panels(const Panel *panel, const void *weights, int64_t outputs, int64_t taps, int element_bytes, int rest, void *packed);
void transpose_f32(const float *from, int64_t outputs, int64_t taps, float *to);

/* Entry points return 0, or -1 where memory ran out. float.c, gradient.c: */
int forward_f32(const Kernels *kernels, Arithmetic arithmetic, const Geometry *g, const float *x, const float *weights, float *y, int paired,
                int threads);
int l1_input_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                          const float *weights, float *out, int threads);
/* planes.c: the same for layers that fit, with as many threads as are said. */
int fits_planes(const Kernels *kernels, const Geometry *g);
int l1_input_gradient_by_planes(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                                const float *weights, float *out, int threads);
int l1_sign_filter_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                                const float *weights, float *out, int threads);

/* powers.c: -sum |x - w|^power on unfolded images, and its gradients */
typedef struct {
    int64_t groups, outputs, taps, count; /* outputs and taps of one group; count: places of windows */
} Unfolded;
void power_forward_f32(const Kernels *kernels, const Unfolded *u, const float *x, const float *w, float power, float *y, int threads);
void power_input_gradient_f32(const Kernels *kernels, const Unfolded *u, const float *gradient, const float *x, const float *w, float power,
                              float *out, int threads);
void power_filter_gradient_f32(const Kernels *kernels, const Unfolded *u, const float *gradient, const float *x, const float *w, float power,
                               float *out, int threads);

/* window.c: smallest and largest exact sum of each output for any x in x_low..x_high (which hold 0). */
int window_bounds(const Kernels *kernels, Arithmetic arithmetic, Type type, const void *weights, int64_t outputs, int64_t taps, int64_t x_low,
                  int64_t x_high, int64_t *low, int64_t *high);
/* With products, whose operands are bytes, a term is products[low byte of x][low byte of w] in place of the arithmetic's; there
   are no zero points beside them. x_low..x_high are codes, among them that of zero. Arrays that the arguments point to are borrowed
   until window_free(). Tiles are planned for the images of the geometry and for the threads. NULL where memory ran out. */
typedef struct Window Window;
Window *window_new(const Kernels *kernels, Arithmetic arithmetic, const int32_t *products, const Geometry *g, Type x_type,
                   int64_t x_low, int64_t x_high, Type weights_type, const void *weights, const ZeroPoints *zeros,
                   const Epilogue *epilogue, int threads);
void window_free(Window *w);
/* Of any number of images, with statistics of sums and of codes merged into those given; `memory`: window_scratch() bytes on a cache
   line for a run in one thread, or NULL. */
int64_t window_scratch(const Window *w);
int window_run(const Window *plan, int64_t images, const void *x, void *y, int threads, char *memory, Stats *stats);

/* signs.c: the sign bits of codes, SIGNS in a byte, pixel by pixel and group by group; bits beyond the channels of a group are 0. */
int64_t sign_bytes(const Geometry *g);
void pack_signs(Type type, const void *codes, int64_t parts, int64_t channels, int64_t bytes, uint8_t *signs, int threads);

/* elementwise.c */
int affine_codes(const Kernels *kernels, Type type, const void *x, int64_t count, int64_t channels, const int32_t *multiplier,
                 const int64_t *addend, const uint8_t *shift, Rounding rounding, int doubles, const Codes *codes, void *y,
                 int threads, Stats *stats);
/* multiplier and addend of `count` elements from channel 0 on, as struct Affine wants them */
void scale_constants(int64_t count, int64_t channels, const int32_t *multiplier, const int64_t *addend, const uint8_t *shift,
                     Rounding rounding, double *scaled_multiplier, double *scaled_addend);
void add_codes(const Kernels *kernels, Type a_type, const void *a, Type b_type, const void *b, int64_t count, const Codes *codes,
               void *y, int threads, Stats *stats);
/* y[image][pixel][channel] = levels[channel][x[image][channel][pixel]], of 256 levels of `bytes` a channel */
void look_up_levels(const uint8_t *x, int64_t images, int64_t channels, int64_t pixels, const void *levels, int bytes, void *y,
                    int threads);
int pool_codes(const Kernels *kernels, int maximum, const Geometry *g, Type type, const void *x, int wide, void *y, int threads);

/* requantise.c: `r` has the constants of all channels; `beyond`: whether a value plus its bias left 32 bits, and the codes say nothing. */
/* Constants of each channel repeated as rescale_run() takes them, and the codes of `count` results from channel 0 on. */
Rescale lay_rescale(Layout *layout, const Rescale *r, int64_t channels);
void rescale_run(const Kernels *kernels, const void *results, int64_t count, int64_t channels, const Rescale *laid, char *y,
                 Stats *stats);
int rescale_codes(const Kernels *kernels, Type type, const void *x, int64_t count, int64_t channels, const Rescale *r, void *y,
                  int threads, Stats *stats, int *beyond);
void add_rescaled_codes(const Kernels *kernels, Type a_type, const void *a, Type b_type, const void *b, int64_t count,
                        const RescaledAdd *r, void *y, int threads, Stats *stats);
/* Means in floats of codes of one byte: what each byte stands for, one divisor a place (repeated over the outputs), and the scale and
   zero point that the results get before they are rounded, ties to even. */
typedef struct {
    const float *reals, *divisors;
    int64_t places;
    float scale, zero_point;
    int by_columns; /* each column of a window is summed by itself, then the columns: the pools of floats of ONNX Runtime */
} RealMeans;
int real_means(const Geometry *g, const uint8_t *x, const RealMeans *r, int32_t *y, int threads);
/* zeros.c: zeros of `images` times as many words; bytes of images with their channels brought last. */
void count_zero_runs(const Kernels *kernels, Type type, const void *codes, int64_t images, int64_t words, int64_t zero, ZeroRuns *found);
void interleave_bytes(const Kernels *kernels, const uint8_t *x, int64_t images, int64_t channels, int64_t pixels, uint8_t *y);

/* softmax.c */
void softmax_codes(const uint8_t *x, int flip, int64_t rows, int64_t classes, int32_t multiplier, int32_t left, int32_t most, uint8_t *y,
                   int threads);

#endif
