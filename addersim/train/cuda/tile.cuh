// A block's tile of sums: each thread holds rows x columns of them in registers and adds up STEP terms a step from shared
// memory, where the next step's operands are already on their way.

__device__ constexpr int largest(int a, int b) { return a > b ? a : b; }
__device__ constexpr int parts(int whole, int part) { return (whole + part - 1) / part; }

constexpr int STEP = 16;   // terms a step
constexpr int BESIDE = 4;  // rows or columns of a thread that lie side by side: one vector load
constexpr int PAD = 4;     // keeps the rows that one warp stores in different banks

template <int ROWS, int COLUMNS, int ACROSS, int DOWN>
struct Tile {
  static constexpr int rows = ROWS, columns = COLUMNS, across = ACROSS, down = DOWN, threads = ACROSS * DOWN;
  static constexpr int height = ROWS * DOWN, width = COLUMNS * ACROSS;
  static constexpr int blocks = 384 / threads;  // on a multiprocessor, at least: up to 168 registers a thread

  static __device__ __forceinline__ int row(int i) {
    return i / BESIDE * (BESIDE * DOWN) + (int)threadIdx.x / ACROSS * BESIDE + i % BESIDE;
  }
  static __device__ __forceinline__ int column(int j) {
    return j / BESIDE * (BESIDE * ACROSS) + (int)threadIdx.x % ACROSS * BESIDE + j % BESIDE;
  }
};

template <typename VALUE, int COUNT>
struct alignas(sizeof(VALUE) * COUNT) Vector {
  VALUE at[COUNT];
};

// Division of numbers below 2^31 by one that is known before the loop: a product and a shift.
struct Divisor {
  int by, shift;
  unsigned factor;

  __device__ __forceinline__ explicit Divisor(int divisor) : by(divisor), shift(0), factor(0) {
    if (by > 1) {
      const int bits = 32 - __clz(by - 1);
      factor = (unsigned)(((1ull << (31 + bits)) + by - 1) / by);
      shift = bits - 1;
    }
  }
  __device__ __forceinline__ int quotient(int n) const { return by > 1 ? (int)(__umulhi((unsigned)n, factor) >> shift) : n; }
};

template <typename TILE, typename LEFT, typename RIGHT, typename TERM>
__device__ __forceinline__ void add_up(int steps, LEFT& left, RIGHT& right, const TERM& term,
                                       float (&sum)[TILE::rows][TILE::columns]) {
  alignas(16) __shared__ float lefts[2][STEP][TILE::height + PAD];
  alignas(16) __shared__ float rights[2][STEP][TILE::width];
  if (steps > 0) {
    left.load(lefts[0]);
    right.load(rights[0]);
    left.store(lefts[0]);
    right.store(rights[0]);
  }
  wait_for_sent();
  __syncthreads();
  int held = 0;
  for (int step = 1; step <= steps; ++step) {
    if (step < steps) {
      left.load(lefts[held ^ 1]);
      right.load(rights[held ^ 1]);
    }
#pragma unroll
    for (int k = 0; k < STEP; ++k) {
      float a[TILE::rows], b[TILE::columns];
#pragma unroll
      for (int i = 0; i < TILE::rows; i += BESIDE)
        *(Vector<float, BESIDE>*)&a[i] = *(const Vector<float, BESIDE>*)&lefts[held][k][TILE::row(i)];
#pragma unroll
      for (int j = 0; j < TILE::columns; j += BESIDE)
        *(Vector<float, BESIDE>*)&b[j] = *(const Vector<float, BESIDE>*)&rights[held][k][TILE::column(j)];
#pragma unroll
      for (int i = 0; i < TILE::rows; ++i)
#pragma unroll
        for (int j = 0; j < TILE::columns; ++j)
          sum[i][j] = term(sum[i][j], a[i], b[j], i, j);
    }
    held ^= 1;
    if (step < steps) {
      left.store(lefts[held]);
      right.store(rights[held]);
      wait_for_sent();
      __syncthreads();
    }
  }
}

template <typename OUT>
__device__ __forceinline__ void keep_narrow(OUT* to, float value) {
  OUT narrowed;
  narrow(value, narrowed);
  keep(to, narrowed);
}

// BESIDE sums of one row, of which those before the end are stored.
template <typename OUT>
__device__ __forceinline__ void store_beside(OUT* to, const float* sum, int left_over, bool whole) {
  if (whole) {
    if (left_over > 0) {
      Vector<OUT, BESIDE> together;
#pragma unroll
      for (int e = 0; e < BESIDE; ++e)
        narrow(sum[e], together.at[e]);
      keep((Vector<OUT, BESIDE>*)to, together);
    }
  } else {
#pragma unroll
    for (int e = 0; e < BESIDE; ++e)
      if (e < left_over) keep_narrow(to + e, sum[e]);
  }
}
