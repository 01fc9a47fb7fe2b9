#include "core/cpu/attention_cpu.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "core/cpu/gemm.hpp"
#include "core/cpu/rows.hpp"

// A task is a block of rows of one head of one sequence against the whole other side: scores by a matrix product into
// the worker's scratch, softmax row by row, and a second product. Cost: 4 P operations for every score, against 8 bytes
// of scratch traffic; with P = 64 the products dominate. The block is so small that its scores stay below kScoreFloats.
// Its size depends on the lengths alone, and a row's bits not even on that (core/cpu/gemm.hpp).
namespace strandline::cpu {
namespace {

constexpr std::int64_t kScoreFloats = 1 << 20;
constexpr std::int64_t kBlockRows = 64;

/// Rows [begin, end) of head h of sequence s, and all of the other side.
struct Task {
  std::int64_t h;
  std::int64_t begin;
  std::int64_t end;
  std::int64_t other_begin;
  std::int64_t other_end;
  std::int64_t rows() const { return end - begin; }
  std::int64_t others() const { return other_end - other_begin; }
};

struct Sides {
  std::span<const std::int64_t> own_begin;
  std::span<const std::int64_t> other_begin;
  std::int64_t heads;
};

std::vector<Task> tasks_of(const Sides& sides) {
  std::vector<Task> tasks;
  for (std::size_t s = 0; s + 1 < sides.own_begin.size(); ++s) {
    const std::int64_t other_begin = sides.other_begin[s];
    const std::int64_t other_end = sides.other_begin[s + 1];
    const std::int64_t fitting = kScoreFloats / std::max<std::int64_t>(1, other_end - other_begin);
    const std::int64_t step = std::clamp<std::int64_t>(fitting, 1, kBlockRows);
    for (std::int64_t h = 0; h < sides.heads; ++h) {
      for (std::int64_t begin = sides.own_begin[s]; begin < sides.own_begin[s + 1]; begin += step) {
        tasks.push_back({h, begin, std::min(sides.own_begin[s + 1], begin + step), other_begin, other_end});
      }
    }
  }
  return tasks;
}

/// Rows from `begin` of head h of a tensor (tokens, heads, width).
struct HeadRows {
  const float* data;
  std::int64_t stride;
  HeadRows(const ConstView& view_thp, std::int64_t begin, std::int64_t h)
      : data(view_thp.as<float>() + begin * view_thp.stride(0) + h * view_thp.stride(1)), stride(view_thp.stride(0)) {}
  const float* operator[](std::int64_t row) const { return data + row * stride; }
  MatrixIn matrix() const { return {data, stride, 1}; }
  MatrixIn transposed() const { return {data, 1, stride}; }
};

float* out_rows(const View& view_thp, std::int64_t begin, std::int64_t h) {
  return view_thp.as<float>() + begin * view_thp.stride(0) + h * view_thp.stride(1);
}

/// exp(x - top) / sum in place, the sum in double, in order. @returns the logarithm of the sum of exp(x)
float softmax_row(const SimdTable& simd, std::int64_t n, float* x) {
  const float top = *std::max_element(x, x + n);
  for (std::int64_t i = 0; i < n; ++i) x[i] -= top;
  simd.exp(n, x, x);
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  simd.scale(n, static_cast<float>(1.0 / sum), x, x);
  return static_cast<float>(static_cast<double>(top) + std::log(sum));
}

/// to[r, c] = a[r] . b[c]
struct Products {
  HeadRows a;
  HeadRows b;
  std::int64_t width;
  float* to;
};

class Worker {
 public:
  Worker(CpuContext& context, int worker)
      : context_(context), scratch_(context.scratch[static_cast<std::size_t>(worker)]), scope_(scratch_) {}

  float* take(std::int64_t floats) { return scratch_.take(DType::f32, {floats}).as<float>(); }

  void products(const Task& task, const Products& args) {
    gemm(context_.isa,
         {.m = task.rows(),
          .n = task.others(),
          .k = args.width,
          .a = args.a.matrix(),
          .b = args.b.transposed(),
          .c = args.to,
          .c_row = task.others()},
         scratch_);
  }

  /// to = weights (rows, others) times the others' rows.
  void sum(const Task& task, const float* weights, const HeadRows& others, const View& to_thp) {
    gemm(context_.isa,
         {.m = task.rows(),
          .n = to_thp.size(2),
          .k = task.others(),
          .a = {weights, task.others(), 1},
          .b = others.matrix(),
          .c = out_rows(to_thp, task.begin, task.h),
          .c_row = to_thp.stride(0)},
         scratch_);
  }

  const SimdTable& simd() const { return context_.simd; }

 private:
  CpuContext& context_;
  Workspace& scratch_;
  Workspace::Scope scope_;
};

void zero_rows(const Task& task, const View& to_thp) {
  for (std::int64_t row = 0; row < task.rows(); ++row) {
    std::fill_n(out_rows(to_thp, task.begin + row, task.h), to_thp.size(2), 0.0F);
  }
}

float* log_sum_at(const View& log_sum_th, std::int64_t t, std::int64_t h) {
  return log_sum_th.as<float>() + t * log_sum_th.stride(0) + h;
}

void forward_task(const ops::AttentionArgs& args, const Task& task, Worker& worker) {
  const std::int64_t keys = task.others();
  if (keys == 0) {
    zero_rows(task, args.y_thp);
    for (std::int64_t t = task.begin; args.log_sum_th && t < task.end; ++t) {
      *log_sum_at(args.log_sum_th, t, task.h) = -std::numeric_limits<float>::infinity();
    }
    return;
  }
  float* scores = worker.take(task.rows() * keys);
  worker.products(
      task, {{args.q_thp, task.begin, task.h}, {args.k_uhp, task.other_begin, task.h}, args.q_thp.size(2), scores});
  worker.simd().scale(task.rows() * keys, static_cast<float>(args.scale), scores, scores);
  for (std::int64_t row = 0; row < task.rows(); ++row) {
    const float log_sum = softmax_row(worker.simd(), keys, scores + row * keys);
    if (args.log_sum_th) *log_sum_at(args.log_sum_th, task.begin + row, task.h) = log_sum;
  }
  worker.sum(task, scores, {args.v_uhp, task.other_begin, task.h}, args.y_thp);
}

// dy . y for every query and head.
std::vector<float> drops_of(CpuContext& context, const ops::AttentionBackwardArgs& args) {
  const std::int64_t heads = args.dy_thp.size(1);
  const std::int64_t width = args.dy_thp.size(2);
  std::vector<float> drops(static_cast<std::size_t>(args.dy_thp.size(0) * heads));
  for_rows(context, args.dy_thp.size(0), heads * width, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) {
      for (std::int64_t h = 0; h < heads; ++h) {
        drops[static_cast<std::size_t>(t * heads + h)] =
            context.simd.dot(width, HeadRows(args.dy_thp, t, h).data, HeadRows(args.forward.y_thp, t, h).data);
      }
    }
  });
  return drops;
}

/// What both halves of the backward need: drop[t, h] = dy . y, and the arguments.
struct Backward {
  const ops::AttentionBackwardArgs& args;
  const std::vector<float>& drops;
  float log_sum(std::int64_t t, std::int64_t h) const { return *log_sum_at(args.forward.log_sum_th, t, h); }
  float drop(std::int64_t t, std::int64_t h) const {
    return drops[static_cast<std::size_t>(t * args.dy_thp.size(1) + h)];
  }
};

// scores become a; da becomes ds.
void query_task(const Backward& backward, const Task& task, Worker& worker) {
  const ops::AttentionArgs& forward = backward.args.forward;
  const std::int64_t keys = task.others();
  if (keys == 0) return zero_rows(task, backward.args.dq_thp);
  const std::int64_t width = forward.q_thp.size(2);
  const auto scale = static_cast<float>(forward.scale);
  const HeadRows k(forward.k_uhp, task.other_begin, task.h);
  float* a = worker.take(task.rows() * keys);
  float* ds = worker.take(task.rows() * keys);
  worker.products(task, {{forward.q_thp, task.begin, task.h}, k, width, a});
  worker.products(task,
                  {{backward.args.dy_thp, task.begin, task.h}, {forward.v_uhp, task.other_begin, task.h}, width, ds});
  for (std::int64_t row = 0; row < task.rows(); ++row) {
    const float log_sum = backward.log_sum(task.begin + row, task.h);
    const float drop = backward.drop(task.begin + row, task.h);
    float* a_row = a + row * keys;
    float* ds_row = ds + row * keys;
    for (std::int64_t u = 0; u < keys; ++u) a_row[u] = scale * a_row[u] - log_sum;
    worker.simd().exp(keys, a_row, a_row);
    for (std::int64_t u = 0; u < keys; ++u) ds_row[u] = scale * a_row[u] * (ds_row[u] - drop);
  }
  worker.sum(task, ds, k, backward.args.dq_thp);
}

// The same seen from the keys: rows are keys, the other side are queries.
void key_task(const Backward& backward, const Task& task, Worker& worker) {
  const ops::AttentionBackwardArgs& args = backward.args;
  const ops::AttentionArgs& forward = args.forward;
  const std::int64_t queries = task.others();
  if (queries == 0) {
    if (args.dk_uhp) zero_rows(task, args.dk_uhp);
    if (args.dv_uhp) zero_rows(task, args.dv_uhp);
    return;
  }
  const std::int64_t width = forward.q_thp.size(2);
  const auto scale = static_cast<float>(forward.scale);
  const HeadRows q(forward.q_thp, task.other_begin, task.h);
  const HeadRows dy(args.dy_thp, task.other_begin, task.h);
  float* a = worker.take(task.rows() * queries);
  worker.products(task, {{forward.k_uhp, task.begin, task.h}, q, width, a});
  for (std::int64_t row = 0; row < task.rows(); ++row) {
    float* a_row = a + row * queries;
    for (std::int64_t t = 0; t < queries; ++t) {
      a_row[t] = scale * a_row[t] - backward.log_sum(task.other_begin + t, task.h);
    }
    worker.simd().exp(queries, a_row, a_row);
  }
  if (args.dv_uhp) worker.sum(task, a, dy, args.dv_uhp);
  if (!args.dk_uhp) return;
  float* ds = worker.take(task.rows() * queries);
  worker.products(task, {{forward.v_uhp, task.begin, task.h}, dy, width, ds});
  for (std::int64_t row = 0; row < task.rows(); ++row) {
    for (std::int64_t t = 0; t < queries; ++t) {
      float& each = ds[row * queries + t];
      each = scale * a[row * queries + t] * (each - backward.drop(task.other_begin + t, task.h));
    }
  }
  worker.sum(task, ds, q, args.dk_uhp);
}

template <class Body>
void run_tasks(CpuContext& context, const Sides& sides, const Body& body) {
  const std::vector<Task> tasks = tasks_of(sides);
  context.team.parallel_for(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t index, int number) {
    Worker worker(context, number);
    body(tasks[static_cast<std::size_t>(index)], worker);
  });
}

}  // namespace

void attention(CpuContext& context, const ops::AttentionArgs& args) {
  run_tasks(context, {args.query_begin, args.key_begin, args.q_thp.size(1)},
            [&](const Task& task, Worker& worker) { forward_task(args, task, worker); });
}

void attention_backward(CpuContext& context, const ops::AttentionBackwardArgs& args) {
  const ops::AttentionArgs& forward = args.forward;
  const std::int64_t heads = forward.q_thp.size(1);
  const std::vector<float> drops = drops_of(context, args);
  const Backward backward{args, drops};
  if (args.dq_thp) {
    run_tasks(context, {forward.query_begin, forward.key_begin, heads},
              [&](const Task& task, Worker& worker) { query_task(backward, task, worker); });
  }
  if (args.dk_uhp || args.dv_uhp) {
    run_tasks(context, {forward.key_begin, forward.query_begin, heads},
              [&](const Task& task, Worker& worker) { key_task(backward, task, worker); });
  }
}

void softmax(CpuContext& context, const ops::SoftmaxArgs& args) {
  const std::int64_t columns = args.x_tc.size(1);
  for_rows(context, args.x_tc.size(0), columns, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) {
      float* y = args.y_tc.as<float>() + t * args.y_tc.stride(0);
      context.simd.scale(columns, static_cast<float>(args.scale), args.x_tc.as<float>() + t * args.x_tc.stride(0), y);
      softmax_row(context.simd, columns, y);
    }
  });
}

void softmax_backward(CpuContext& context, const ops::SoftmaxBackwardArgs& args) {
  const std::int64_t columns = args.y_tc.size(1);
  const auto scale = static_cast<float>(args.scale);
  for_rows(context, args.y_tc.size(0), columns, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t t = begin; t < end; ++t) {
      const float* y = args.y_tc.as<float>() + t * args.y_tc.stride(0);
      const float* dy = args.dy_tc.as<float>() + t * args.dy_tc.stride(0);
      float* dx = args.dx_tc.as<float>() + t * args.dx_tc.stride(0);
      const float drop = context.simd.dot(columns, dy, y);
      for (std::int64_t c = 0; c < columns; ++c) dx[c] = scale * y[c] * (dy[c] - drop);
    }
  });
}

}  // namespace strandline::cpu
