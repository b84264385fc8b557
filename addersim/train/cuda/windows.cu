// Forward pass, input gradient and gradient by sign of layers whose groups have several channels. Tensors are channels last.
// A block's number holds its tile of rows, and beyond these its group (and phase or split); the second number its columns.

struct AbsoluteDifference {
  __device__ __forceinline__ float operator()(float sum, float a, float b, int, int) const { return sum + fabsf(a - b); }
};

template <typename TILE>
struct ClampedDifference {
  float value[TILE::rows][TILE::columns];
  __device__ __forceinline__ float operator()(float sum, float a, float b, int i, int j) const {
    return fmaf(fminf(fmaxf(b - value[i][j], -1.0f), 1.0f), a, sum);
  }
};

template <typename TILE>
struct SignedGradient {
  float filter[TILE::rows][TILE::columns];
  __device__ __forceinline__ float operator()(float sum, float a, float b, int i, int j) const {
    const float value = a > filter[i][j] ? b : -b;
    return a > filter[i][j] || a < filter[i][j] ? sum + value : sum;
  }
};

// Rows are output pixels, columns the outputs of a group; filters (groups, terms, columns), padded with zeros.
template <typename T, typename OUT, int VECTOR, typename TILE>
__global__ void __launch_bounds__(TILE::threads, WindowRows<T, VECTOR, TILE>::blocks)
    l1_forward(const T* x, const float* filters, OUT* y, int images, int height, int width, int channels, int outputs,
               int groups, int out_height, int out_width, int kernel_height, int kernel_width, int stride_y, int stride_x,
               int padding_y, int padding_x, int dilation_y, int dilation_x, int filter_terms, int filter_columns) {
  const int pixels = images * out_height * out_width, tiles = parts(pixels, TILE::height);
  const int group = blockIdx.x / tiles, first = blockIdx.x % tiles * TILE::height, column = blockIdx.y * TILE::width;
  const int terms = kernel_height * kernel_width * channels;
  const Windows windows = {height,     width,      channels,          channels * groups,    terms,
                           dilation_y, dilation_x, Divisor(channels), Divisor(kernel_width)};
  WindowRows<T, VECTOR, TILE> left(x, windows, [&](int row) {
    const int pixel = first + row, line = pixel / out_width;
    const int top = line % out_height * stride_y - padding_y, beside = pixel % out_width * stride_x - padding_x;
    return place_of(windows, line / out_height, top, beside, group * channels, pixel < pixels);
  });
  FilterColumns<TILE> right(filters + (long long)group * filter_terms * filter_columns, filter_columns, column);
  float sum[TILE::rows][TILE::columns] = {};
  add_up<TILE>(parts(terms, STEP), left, right, AbsoluteDifference(), sum);
#pragma unroll
  for (int i = 0; i < TILE::rows; ++i)
#pragma unroll
    for (int j = 0; j < TILE::columns; j += BESIDE) {
      const int row = first + TILE::row(i), at = column + TILE::column(j);
      float negative[BESIDE];
#pragma unroll
      for (int e = 0; e < BESIDE; ++e)
        negative[e] = -sum[i][j + e];
      if (row < pixels)
        store_beside(y + ((long long)row * groups + group) * outputs + at, negative, outputs - at, outputs % BESIDE == 0);
    }
}

// The taps whose windows meet pixels of one phase, i.e. of one remainder by the stride, along one axis: tap first + i repeat
// sees the output base + i step, counted from the pixel's quotient by the stride. No term of the sums is wasted on outputs
// that are not there.
struct Phase {
  int first, count, base, step, pixels;

  __device__ __forceinline__ Phase(int phase, int size, int kernel, int stride, int padding, int dilation, int repeat) {
    first = 0;
    while (first < repeat && (phase + padding - first * dilation) % stride != 0)
      ++first;
    count = first < repeat ? parts(kernel - first, repeat) : 0;  // none, too, where the kernel has no such tap
    base = (phase + padding - first * dilation) / stride;
    step = -(repeat * dilation / stride);
    pixels = phase < size ? parts(size - phase, stride) : 0;
  }
};

// Rows are the input pixels of one phase, columns the channels of a group; filters (groups, classes of taps, terms, columns),
// padded with zeros: taps of a class meet the same phase. `repeat` is the stride less what it shares with the dilation.
template <typename G, typename T, int VECTOR, typename TILE>
__global__ void __launch_bounds__(TILE::threads, WindowRows<G, VECTOR, TILE>::blocks)
    l1_input_gradient(const G* gradient, const T* x, const float* filters, T* result, int images, int height, int width,
                      int channels, int outputs, int groups, int out_height, int out_width, int kernel_height,
                      int kernel_width, int stride_y, int stride_x, int padding_y, int padding_x, int dilation_y,
                      int dilation_x, int filter_terms, int filter_columns, int repeat_y, int repeat_x) {
  const int tiles = parts(images * parts(height, stride_y) * parts(width, stride_x), TILE::height);
  const int first = blockIdx.x % tiles * TILE::height, column = blockIdx.y * TILE::width, others = blockIdx.x / tiles;
  const int group = others / (stride_y * stride_x), phase_y = others / stride_x % stride_y, phase_x = others % stride_x;
  const Phase y(phase_y, height, kernel_height, stride_y, padding_y, dilation_y, repeat_y);
  const Phase across(phase_x, width, kernel_width, stride_x, padding_x, dilation_x, repeat_x);
  const int pixels = images * y.pixels * across.pixels, terms = y.count * across.count * outputs;
  if (first >= pixels) return;
  const Windows windows = {out_height, out_width,   outputs,          outputs * groups,     terms,
                           y.step,     across.step, Divisor(outputs), Divisor(across.count)};
  WindowRows<G, VECTOR, TILE> left(gradient, windows, [&](int row) {
    const int pixel = first + row, line = pixel / across.pixels;
    return place_of(windows, line / y.pixels, line % y.pixels + y.base, pixel % across.pixels + across.base, group * outputs,
                    pixel < pixels);
  });
  const int classes_x = min(repeat_x, kernel_width), classes = min(repeat_y, kernel_height) * classes_x;
  const long long matrix = terms > 0 ? (long long)group * classes + y.first * classes_x + across.first : 0;
  FilterColumns<TILE> right(filters + matrix * filter_terms * filter_columns, filter_columns, column);
  ClampedDifference<TILE> term;
  long long at[TILE::rows];
#pragma unroll
  for (int i = 0; i < TILE::rows; ++i) {
    const int pixel = first + TILE::row(i), line = pixel / across.pixels;
    const int image = line / y.pixels, in_y = line % y.pixels * stride_y + phase_y,
              in_x = pixel % across.pixels * stride_x + phase_x;
    at[i] = ((((long long)image * height + in_y) * width + in_x) * groups + group) * channels;
#pragma unroll
    for (int j = 0; j < TILE::columns; ++j) {
      const int channel = column + TILE::column(j);
      term.value[i][j] = pixel < pixels && channel < channels ? widen(fetch(x + at[i] + channel)) : 0.0f;
    }
  }
  float sum[TILE::rows][TILE::columns] = {};
  add_up<TILE>(parts(terms, STEP), left, right, term, sum);
#pragma unroll
  for (int i = 0; i < TILE::rows; ++i)
#pragma unroll
    for (int j = 0; j < TILE::columns; j += BESIDE) {
      const int channel = column + TILE::column(j);
      if (first + TILE::row(i) < pixels)
        store_beside(result + at[i] + channel, &sum[i][j], channels - channel, channels % BESIDE == 0);
    }
}

// Rows are taps x channels of a group, columns its outputs; filters as in l1_forward; one result (groups, rows, columns) for
// each `split` pixels, of which the caller takes the sum.
template <typename G, typename T, int VECTOR, int GRADIENT_VECTOR, typename TILE>
__global__ void __launch_bounds__(TILE::threads, TILE::blocks)
    l1_sign_filter_gradient(const G* gradient, const T* x, const float* filters, float* result, int images, int height,
                            int width, int channels, int outputs, int groups, int out_height, int out_width, int kernel_height,
                            int kernel_width, int stride_y, int stride_x, int padding_y, int padding_x, int dilation_y,
                            int dilation_x, int filter_terms, int filter_columns, int split) {
  const int terms = kernel_height * kernel_width * channels, tiles = parts(terms, TILE::height),
            pixels = images * out_height * out_width;
  const int first = blockIdx.x % tiles * TILE::height, column = blockIdx.y * TILE::width, others = blockIdx.x / tiles;
  const int group = others % groups, from = others / groups * split, last = min(from + split, pixels);
  const Windows windows = {height,     width,      channels,          channels * groups,    terms,
                           dilation_y, dilation_x, Divisor(channels), Divisor(kernel_width)};
  using Left = WindowValues<T, VECTOR, TILE>;
  Left left = {x,
               windows,
               windows.tap(first + Left::Slots::column()),
               from,
               last,
               out_width,
               stride_y,
               stride_x,
               padding_y,
               padding_x,
               group * channels,
               Divisor(out_height * out_width),
               Divisor(out_width),
               {}};
  PixelColumns<G, GRADIENT_VECTOR, TILE> right = {
      gradient + group * outputs + column, from, last, outputs * groups, outputs - column, {}};
  SignedGradient<TILE> term;
#pragma unroll
  for (int i = 0; i < TILE::rows; ++i)
#pragma unroll
    for (int j = 0; j < TILE::columns; ++j) {
      const int row = first + TILE::row(i), at = column + TILE::column(j);
      const float* filter = filters + ((long long)group * filter_terms + row) * filter_columns + at;
      term.filter[i][j] = row < terms && at < outputs ? fetch(filter) : 0.0f;
    }
  float sum[TILE::rows][TILE::columns] = {};
  add_up<TILE>(parts(last - from, STEP), left, right, term, sum);
#pragma unroll
  for (int i = 0; i < TILE::rows; ++i)
#pragma unroll
    for (int j = 0; j < TILE::columns; j += BESIDE) {
      const int row = first + TILE::row(i), at = column + TILE::column(j);
      float* to = result + ((long long)others * terms + row) * outputs + at;
      if (row < terms) store_beside(to, &sum[i][j], outputs - at, outputs % BESIDE == 0);
    }
}
