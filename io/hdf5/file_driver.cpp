#include "io/hdf5/file_driver.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

namespace strandline::hdf5 {

bool FileBytes::read(std::int64_t offset, void* out, std::size_t size_bytes) const {
  auto* bytes = static_cast<char*>(out);
  std::size_t done = 0;
  while (done < size_bytes) {
    const ssize_t got = ::pread(descriptor_, bytes + done, size_bytes - done, offset + static_cast<std::int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  // While writing, HDF5 may look at space that it has reserved and not yet written.
  std::memset(bytes + done, 0, size_bytes - done);
  const std::int64_t end = offset + static_cast<std::int64_t>(size_bytes);
  for (const Lost& lost : lost_) {
    const std::int64_t from = std::max(offset, lost.offset);
    const std::int64_t to = std::min(end, lost.offset + static_cast<std::int64_t>(lost.data.size()));
    if (from < to)
      std::memcpy(bytes + (from - offset), lost.data.data() + (from - lost.offset),
                  static_cast<std::size_t>(to - from));
  }
  return true;
}

void FileBytes::write(std::int64_t offset, const void* data, std::size_t size_bytes) {
  const auto* bytes = static_cast<const char*>(data);
  if (error_number_ == 0) put(offset, bytes, size_bytes);
  if (error_number_ != 0) lost_.push_back({offset, {bytes, bytes + size_bytes}});
}

void FileBytes::put(std::int64_t offset, const char* data, std::size_t size_bytes) {
  while (size_bytes > 0) {
    const ssize_t written = ::pwrite(descriptor_, data, size_bytes, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      error_number_ = written < 0 ? errno : EIO;
      return;
    }
    data += written;
    offset += written;
    size_bytes -= static_cast<std::size_t>(written);
  }
}

void FileBytes::truncate(std::int64_t size_bytes) {
  if (error_number_ == 0 && ::ftruncate(descriptor_, size_bytes) != 0) error_number_ = errno;
}

std::int64_t FileBytes::size_bytes() const {
  struct stat status {};
  return ::fstat(descriptor_, &status) == 0 ? status.st_size : 0;
}

namespace {

// What HDF5 keeps for an open file; its own part comes first.
struct DriverFile {
  H5FD_t common{};
  FileBytes* bytes = nullptr;
  haddr_t end_of_allocation = 0;
  haddr_t end_of_file = 0;
};

DriverFile& driver_file(H5FD_t* file) { return *reinterpret_cast<DriverFile*>(file); }
const DriverFile& driver_file(const H5FD_t* file) { return *reinterpret_cast<const DriverFile*>(file); }

constexpr haddr_t kMaxAddress = static_cast<haddr_t>(std::numeric_limits<std::int64_t>::max());

bool in_range(haddr_t address, std::size_t size_bytes) {
  return address <= kMaxAddress && size_bytes <= kMaxAddress - address;
}

H5FD_t* open_driver(const char*, unsigned, hid_t access, haddr_t) {
  auto* const* info = static_cast<FileBytes* const*>(H5Pget_driver_info(access));
  if (info == nullptr) return nullptr;
  auto* file = new DriverFile;  // allow: HDF5 owns it until close_driver
  file->bytes = *info;
  file->end_of_file = static_cast<haddr_t>(file->bytes->size_bytes());
  return &file->common;
}

herr_t close_driver(H5FD_t* file) {
  delete &driver_file(file);
  return 0;
}

herr_t query_driver(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}

haddr_t end_of_allocation(const H5FD_t* file, H5FD_mem_t) { return driver_file(file).end_of_allocation; }

herr_t set_end_of_allocation(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  driver_file(file).end_of_allocation = address;
  return 0;
}

haddr_t end_of_file(const H5FD_t* file, H5FD_mem_t) { return driver_file(file).end_of_file; }

herr_t read_driver(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size_bytes, void* out) {
  if (!in_range(address, size_bytes)) return -1;
  return driver_file(file).bytes->read(static_cast<std::int64_t>(address), out, size_bytes) ? 0 : -1;
}

herr_t write_driver(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, std::size_t size_bytes, const void* data) {
  if (!in_range(address, size_bytes)) return -1;
  DriverFile& self = driver_file(file);
  self.bytes->write(static_cast<std::int64_t>(address), data, size_bytes);
  self.end_of_file = std::max(self.end_of_file, address + size_bytes);
  return 0;
}

herr_t truncate_driver(H5FD_t* file, hid_t, hbool_t) {
  DriverFile& self = driver_file(file);
  if (self.end_of_file == self.end_of_allocation) return 0;
  self.bytes->truncate(static_cast<std::int64_t>(self.end_of_allocation));
  self.end_of_file = self.end_of_allocation;
  return 0;
}

// HDF5 1.14 asks drivers for the version of this struct; 1.10 has no such member.
template <class Class>
void state_version(Class& driver) {
  if constexpr (requires { driver.version; }) {
    driver.version = 1;
    driver.value = static_cast<decltype(driver.value)>(600);  // in the range that is free for tests and private use
  }
}

hid_t registered_driver() {
  static const hid_t driver = [] {
    static H5FD_class_t description{};  // HDF5 keeps a pointer to it
    state_version(description);
    description.name = "strandline";
    description.maxaddr = kMaxAddress;
    description.fc_degree = H5F_CLOSE_STRONG;
    description.fapl_size = sizeof(FileBytes*);
    description.open = open_driver;
    description.close = close_driver;
    description.query = query_driver;
    description.get_eoa = end_of_allocation;
    description.set_eoa = set_end_of_allocation;
    description.get_eof = end_of_file;
    description.read = read_driver;
    description.write = write_driver;
    description.truncate = truncate_driver;
    const H5FD_mem_t separate_lists[] = H5FD_FLMAP_DICHOTOMY;
    std::copy(std::begin(separate_lists), std::end(separate_lists), std::begin(description.fl_map));
    return H5FDregister(&description);
  }();
  return driver;
}

}  // namespace

Handle create_file(FileBytes& bytes, std::int64_t user_block_bytes) {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  FileBytes* const info = &bytes;
  H5Pset_driver(access.id(), registered_driver(), &info);
  const Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_userblock(creation.id(), static_cast<hsize_t>(user_block_bytes));
  H5Pset_obj_track_times(creation.id(), false);
  return {H5Fcreate("strandline", H5F_ACC_TRUNC, creation.id(), access.id()), H5Fclose};
}

}  // namespace strandline::hdf5
