#include "cuda/kernels/ssd_scan_gradient.cuh"
#include "cuda/ops/ssd_scan_call.cuh"
#include "cuda/ops/ssd_scan_cuda.hpp"

namespace strandline::cuda {
namespace {

float* floats(const View& view) { return view ? view.as<float>() : nullptr; }

// One backward call: states at the edges of the windows on the way forward, then window by window from the last.
template <class T>
class ScanBackward {
 public:
  ScanBackward(Context& context, const ops::SsdScanBackwardArgs& args, const SsdScanPlan& plan)
      : context_(context),
        args_(args),
        call_(context, args.forward,
              {.sizes = plan.backward, .window_tiles = plan.backward_window, .with_slopes = true}),
        initial_(state_rows(args.forward.initial_state_shpn, "initial_state")),
        dfinal_(state_rows(args.dfinal_state_shpn, "dfinal_state")),
        dinitial_(state_rows(args.dinitial_state_shpn, "dinitial_state")) {}

  void run() {
    call_.pass_empty(dfinal_, dinitial_);
    if (call_.windows() == 0) return;
    take_scratch();
    const std::int64_t windows = call_.windows();
    for (std::int64_t i = 0; i + 1 < windows; ++i) {
      const ScanWindow window = call_.window(i);
      call_.prepare<T>(window);
      states_from_the_front<false>(window, i);
    }
    for (std::int64_t i = windows - 1; i >= 0; --i) {
      const ScanWindow window = call_.window(i);
      call_.prepare<T>(window);
      states_from_the_front<true>(window, i);
      call_.template shares<T>(window, args_.dy_thp, true, dend_);
      call_.template chain<true>(
          window,
          {.first = dfinal_, .carry_in_hpn = dcarry_[i % 2], .last = dinitial_, .carry_out_hpn = dcarry_[(i + 1) % 2]},
          dend_);
      gradients(window);
    }
    add_sums();
  }

 private:
  void take_scratch() {
    const std::int64_t windows = call_.windows();
    start_ = call_.take_states();
    dend_ = call_.take_states();
    if (windows > 1) {
      carry_ = call_.take_floats(windows * call_.state_elements());
      for (float*& one : dcarry_) one = call_.take_floats(call_.state_elements());
    }
    const auto take_sums = [&](std::int64_t count) {
      const std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(HeadSums));
      return static_cast<HeadSums*>(context_.scratch().take(DType::u8, {bytes}).data());
    };
    sums_ = take_sums(call_.window_tiles() * call_.heads());
    totals_ = take_sums(call_.heads());
    context_.memory().zero(totals_, static_cast<std::size_t>(call_.heads()) * sizeof(HeadSums));
  }

  float* carry_at(std::int64_t window) const {
    return carry_ != nullptr && window < call_.windows() ? carry_ + window * call_.state_elements() : nullptr;
  }

  template <bool kStore>
  void states_from_the_front(const ScanWindow& window, std::int64_t index) {
    call_.template shares<T>(window, args_.forward.x_thp, false, start_);
    call_.template chain<false, kStore>(
        window, {.first = initial_, .carry_in_hpn = carry_at(index), .carry_out_hpn = carry_at(index + 1)}, start_);
  }

  void gradients(const ScanWindow& window) {
    const ops::SsdScanArgs& forward = args_.forward;
    with_sizes<T>(call_.sizes(), [&](auto sizes) {
      using Sizes = decltype(sizes);
      const TileGradientArgs<T, Sizes> kernel{call_.tiles(),
                                              call_.steps(),
                                              scan_rows<T>(forward.x_thp),
                                              scan_rows<T>(forward.b_tgn),
                                              scan_rows<T>(forward.c_tgn),
                                              scan_rows<T>(args_.dy_thp),
                                              scan_rows<T>(args_.dx_thp),
                                              scan_rows<T>(args_.ddt_th),
                                              scan_rows<T>(args_.db_tgn),
                                              scan_rows<T>(args_.dc_tgn),
                                              forward.a_log_h.as<float>(),
                                              forward.d_h ? forward.d_h.as<float>() : nullptr,
                                              checked_cast<int>(call_.groups()),
                                              checked_cast<int>(call_.heads() / call_.groups()),
                                              sizes,
                                              checked_cast<int>(call_.width()),
                                              checked_cast<int>(call_.states()),
                                              start_,
                                              dend_,
                                              static_cast<bool>(forward.initial_state_shpn),
                                              static_cast<bool>(args_.dfinal_state_shpn),
                                              sums_};
      const int shared_bytes = gradient_shared(sizes).total;
      allow_shared(tile_gradients<T, Sizes>, shared_bytes, "tile_gradients");
      tile_gradients<<<checked_grid(window.tiles * call_.groups(), "tile_gradients"), kGradientThreads,
                       static_cast<unsigned>(shared_bytes), call_.stream()>>>(kernel);
      check_launch("tile_gradients");
    });
    sum_over_tiles<<<checked_grid(call_.heads(), "sum_over_tiles"), kSumThreads, 0, call_.stream()>>>(
        sums_, window.tiles, checked_cast<int>(call_.heads()), totals_);
    check_launch("sum_over_tiles");
  }

  void add_sums() {
    constexpr int kThreads = 128;
    add_head_sums<<<checked_grid(ceil_div(call_.heads(), kThreads), "add_head_sums"), kThreads, 0, call_.stream()>>>(
        totals_, checked_cast<int>(call_.heads()),
        {floats(args_.da_log_h), floats(args_.dd_h), floats(args_.ddt_bias_h)});
    check_launch("add_head_sums");
  }

  Context& context_;
  const ops::SsdScanBackwardArgs& args_;
  ScanCall call_;
  StateRows initial_, dfinal_, dinitial_;
  float* start_ = nullptr;  // state at the start of every tile of the window
  float* dend_ = nullptr;   // gradient of the state at its end
  float* carry_ = nullptr;  // state at the start of every window
  float* dcarry_[2]{};
  HeadSums* sums_ = nullptr;
  HeadSums* totals_ = nullptr;
};

void require_one_type(const ops::SsdScanBackwardArgs& args) {
  const DType dtype = args.forward.x_thp.dtype();
  for (const ConstView& tensor :
       {args.dy_thp, static_cast<const ConstView&>(args.dx_thp), static_cast<const ConstView&>(args.ddt_th),
        static_cast<const ConstView&>(args.db_tgn), static_cast<const ConstView&>(args.dc_tgn)}) {
    if (tensor && tensor.dtype() != dtype) {
      throw ContractError("ssd_scan_backward: x, dy, dx, ddt, db and dc must be of one type");
    }
  }
}

}  // namespace

void ssd_scan_backward(Context& context, const ops::SsdScanBackwardArgs& args) {
  require_one_type(args);
  const SsdScanPlan plan = plan_of(context, args.forward);
  const Workspace::Scope scope(context.scratch());
  with_type(args.forward.x_thp.dtype(), [&](auto type) { ScanBackward<decltype(type)>(context, args, plan).run(); });
}

}  // namespace strandline::cuda
