// Values between host vectors and tensors of a back end, converted where the element types differ.
#pragma once

#include <span>

#include "core/tensor/memory.hpp"
#include "core/tensor/view.hpp"

namespace strandline {

/// `to` is dense, f32 or f64, and has host.size() elements. Complete on return.
/// @throws ContractError naming both sizes, or the element type.
void upload_values(Memory& memory, std::span<const float> host, View to);
void upload_values(Memory& memory, std::span<const double> host, View to);

/// `from` is dense, f32 or f64, and has host.size() elements. Complete on return; wait for the back end first.
void download_values(Memory& memory, ConstView from, std::span<float> host);
void download_values(Memory& memory, ConstView from, std::span<double> host);

/// Dense tensors of one type and one number of elements; on the device, in order with the back end's work.
void copy_dense(Memory& memory, ConstView from, View to);

}  // namespace strandline
