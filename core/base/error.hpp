// The kinds of failure. Libraries throw them and never print, exit or abort; apps turn each kind into an exit code.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace strandline {

/// Root of everything that this project throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A caller broke a contract. The message names the operation, the argument and what was expected.
class ContractError : public Error {
 public:
  using Error::Error;
};

/// A place in a file. Negative numbers and empty names mean "not known".
struct FileLocation {
  std::string file;
  std::string record{};           ///< name or number of the record
  std::int64_t line = -1;         ///< 1-based
  std::int64_t byte_offset = -1;  ///< 0-based, in the uncompressed text unless the problem says otherwise
  std::string column{};           ///< name of the column of a table
};

/// "file: record 'x', line 3, byte 17, column 'label'"
std::string to_string(const FileLocation& location);

/// A file or a record is not what it should be. Message: place, problem, cure.
class DataError : public Error {
 public:
  DataError(FileLocation location, const std::string& problem, const std::string& cure = {});
  const FileLocation& location() const noexcept { return location_; }

 private:
  FileLocation location_;
};

/// The operating system could not read or write: missing file, full disk, closed pipe.
class IoError : public Error {
 public:
  IoError(const std::string& file, const std::string& action, int error_number);
  int error_number() const noexcept { return error_number_; }

 private:
  int error_number_;
};

/// Would not fit in memory. The message states the need, what there is, and the option that fixes it.
class MemoryError : public Error {
 public:
  using Error::Error;
};

/// A back end or a device is missing, or was not built in.
class UnavailableError : public Error {
 public:
  using Error::Error;
};

/// A device call failed.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// A loss or a weight is not finite. Nothing was overwritten.
class NumericError : public Error {
 public:
  using Error::Error;
};

/// The run was asked to stop (SIGTERM, SIGINT) and has left everything in a state to go on from.
class InterruptedError : public Error {
 public:
  using Error::Error;
};

}  // namespace strandline
