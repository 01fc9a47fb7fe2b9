// HDF5 objects that close themselves once, and HDF5 errors as exceptions. Internal to io: nothing here is part of the
// interface.
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

namespace strandline::hdf5 {

/// Owns one identifier and closes it exactly once: in HDF5 1.10 a second H5Fclose after a failed one reads freed
/// memory.
class Handle {
 public:
  using Closer = herr_t (*)(hid_t);

  Handle() = default;
  Handle(hid_t id, Closer closer) : id_(id), closer_(closer) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), closer_(other.closer_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(closer_, other.closer_);
    return *this;
  }
  ~Handle() { close(); }

  hid_t id() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  /// False when HDF5 reports a failure. The identifier is gone either way.
  bool close() {
    const hid_t id = std::exchange(id_, H5I_INVALID_HID);
    return id < 0 || closer_(id) >= 0;
  }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Closer closer_ = nullptr;
};

/// While it lives, HDF5 prints nothing on this thread.
class Silence {
 public:
  Silence();
  ~Silence();
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// What HDF5 says went wrong last on this thread, innermost first: "cannot open object (H5Dopen2)"; then forgets it.
std::string take_error_text();

}  // namespace strandline::hdf5
