// HTSlib's objects with owners. Private to io.
#pragma once

#include <htslib/faidx.h>
#include <htslib/hts.h>
#include <htslib/sam.h>

#include <memory>
#include <new>

namespace strandline {

template <auto destroy>
struct DestroyWith {
  template <typename T>
  void operator()(T* object) const {
    static_cast<void>(destroy(object));
  }
};

using HtsFilePtr = std::unique_ptr<htsFile, DestroyWith<hts_close>>;
using HeaderPtr = std::unique_ptr<sam_hdr_t, DestroyWith<sam_hdr_destroy>>;
using RecordPtr = std::unique_ptr<bam1_t, DestroyWith<bam_destroy1>>;
using IndexPtr = std::unique_ptr<hts_idx_t, DestroyWith<hts_idx_destroy>>;
using IteratorPtr = std::unique_ptr<hts_itr_t, DestroyWith<hts_itr_destroy>>;
using FaidxPtr = std::unique_ptr<faidx_t, DestroyWith<fai_destroy>>;

inline RecordPtr make_record() {
  RecordPtr record(bam_init1());
  if (!record) throw std::bad_alloc();
  return record;
}

class AlignmentRecord {
 public:
  explicit AlignmentRecord(RecordPtr record) : record_(std::move(record)) {}
  const bam1_t& get() const { return *record_; }

 private:
  RecordPtr record_;
};

class AlignmentHeader {
 public:
  explicit AlignmentHeader(HeaderPtr header) : header_(std::move(header)) {}
  const sam_hdr_t& get() const { return *header_; }

 private:
  HeaderPtr header_;
};

}  // namespace strandline
