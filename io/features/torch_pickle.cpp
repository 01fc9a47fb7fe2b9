#include "io/features/torch_pickle.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"

namespace strandline::features {
namespace {

constexpr const char* kSaveAgain = "Save the tensor alone: torch.save(tensor, path)";

// Values live in one list and refer to each other by number, so that depth and sharing cost nothing.
struct Value {
  enum class Kind : std::uint8_t { mark, none, boolean, integer, text, sequence, dictionary, name, storage, tensor };

  Kind kind = Kind::none;
  std::int64_t number = 0;
  std::string text{};                ///< also the whole name of Kind::name
  std::vector<std::size_t> parts{};  ///< of a sequence; keys and values in turn of a dictionary
  std::size_t tensor = 0;            ///< number of the storage or tensor
};

std::string kind_in_words(const Value& value) {
  constexpr std::array<const char*, 10> kWords{"a mark",    "nothing (None)",  "a truth value", "an integer",
                                               "a text",    "a list or tuple", "a dictionary",  "a name",
                                               "a storage", "a tensor"};
  return kWords[static_cast<std::size_t>(value.kind)];
}

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  PickleResult run() {
    while (true) {
      const std::size_t at = at_;
      const int opcode = byte();
      if (opcode == '.') break;
      if (!constant(opcode) && !container(opcode) && !memo(opcode) && !construct(opcode)) {
        at_ = at;
        fail("the pickle has the opcode " + std::to_string(opcode) + ", which no bare tensor needs");
      }
    }
    return result(pop());
  }

 private:
  using Kind = Value::Kind;

  [[noreturn]] void fail(const std::string& problem) const {
    throw DataError({.file = file_, .byte_offset = static_cast<std::int64_t>(at_)}, problem, kSaveAgain);
  }

  const std::byte* take(std::size_t size_bytes) {
    if (size_bytes > bytes_.size() - at_) fail("the pickle is truncated");
    const std::byte* from = bytes_.data() + at_;
    at_ += size_bytes;
    return from;
  }

  int byte() { return std::to_integer<int>(*take(1)); }

  std::uint64_t number(std::size_t size_bytes) {
    const std::byte* from = take(size_bytes);
    std::uint64_t value = 0;
    for (std::size_t i = size_bytes; i-- > 0;) value = value << 8U | std::to_integer<std::uint64_t>(from[i]);
    return value;
  }

  std::string text(std::uint64_t size_bytes) {
    if (size_bytes > bytes_.size() - at_) fail("the pickle is truncated");
    const std::byte* from = take(static_cast<std::size_t>(size_bytes));
    return {reinterpret_cast<const char*>(from), static_cast<std::size_t>(size_bytes)};
  }

  std::string line() {
    std::string out;
    for (int letter = byte(); letter != '\n'; letter = byte()) out += static_cast<char>(letter);
    return out;
  }

  void push(Value value) {
    values_.push_back(std::move(value));
    stack_.push_back(values_.size() - 1);
  }

  std::size_t pop_index() {
    if (stack_.empty()) fail("the pickle takes more than it put down");
    const std::size_t index = stack_.back();
    stack_.pop_back();
    return index;
  }

  Value& pop() { return values_[pop_index()]; }

  Value& top() {
    if (stack_.empty()) fail("the pickle takes more than it put down");
    return values_[stack_.back()];
  }

  // Everything above the last mark, which goes, too.
  std::vector<std::size_t> pop_to_mark() {
    auto mark = stack_.size();
    while (mark > 0 && values_[stack_[mark - 1]].kind != Kind::mark) --mark;
    if (mark == 0) fail("the pickle lacks a mark");
    std::vector<std::size_t> parts(stack_.begin() + static_cast<std::ptrdiff_t>(mark), stack_.end());
    stack_.resize(mark - 1);
    return parts;
  }

  void push_integer(std::int64_t value) { push({.kind = Kind::integer, .number = value}); }
  void push_text(std::string value) { push({.kind = Kind::text, .text = std::move(value)}); }

  // LONG1: two's complement of any length; what does not fit in 64 bits is only ever compared.
  void push_long(std::size_t size_bytes) {
    if (size_bytes > 8) return push_text(text(size_bytes));
    std::uint64_t value = number(size_bytes);
    const auto unused = static_cast<unsigned>(64 - 8 * size_bytes);
    push_integer(size_bytes == 0 ? 0 : static_cast<std::int64_t>(value << unused) >> unused);
  }

  bool constant(int opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        if (byte() > 5) fail("the pickle has a protocol newer than 5");
        return true;
      case 0x95: take(8); return true;  // FRAME: only a hint
      case 'N': push({.kind = Kind::none}); return true;
      case 0x88: push({.kind = Kind::boolean, .number = 1}); return true;
      case 0x89: push({.kind = Kind::boolean, .number = 0}); return true;
      case 'J': push_integer(static_cast<std::int32_t>(number(4))); return true;
      case 'K': push_integer(static_cast<std::int64_t>(number(1))); return true;
      case 'M': push_integer(static_cast<std::int64_t>(number(2))); return true;
      case 0x8a: push_long(static_cast<std::size_t>(byte())); return true;
      case 'X': push_text(text(number(4))); return true;
      case 0x8c: push_text(text(number(1))); return true;
      case 0x8d: push_text(text(number(8))); return true;
      default: return false;
    }
  }

  void extend(Value& target, std::vector<std::size_t> parts, Kind kind) {
    if (target.kind != kind) fail("the pickle puts a part into " + kind_in_words(target));
    target.parts.insert(target.parts.end(), parts.begin(), parts.end());
  }

  void push_tuple(std::size_t size) {
    std::vector<std::size_t> parts(size);
    for (std::size_t i = size; i-- > 0;) parts[i] = pop_index();
    push({.kind = Kind::sequence, .parts = std::move(parts)});
  }

  bool container(int opcode) {
    switch (opcode) {
      case '(': push({.kind = Kind::mark}); return true;
      case 't': push({.kind = Kind::sequence, .parts = pop_to_mark()}); return true;
      case ')':
      case ']': push({.kind = Kind::sequence}); return true;
      case '}': push({.kind = Kind::dictionary}); return true;
      case 0x85:
      case 0x86:
      case 0x87: push_tuple(static_cast<std::size_t>(opcode - 0x84)); return true;
      case 'a': {
        const std::size_t part = pop_index();
        extend(top(), {part}, Kind::sequence);
        return true;
      }
      case 'e': {
        auto parts = pop_to_mark();
        extend(top(), std::move(parts), Kind::sequence);
        return true;
      }
      case 's': {
        const std::size_t value = pop_index();
        const std::size_t key = pop_index();
        extend(top(), {key, value}, Kind::dictionary);
        return true;
      }
      case 'u': {
        auto parts = pop_to_mark();
        extend(top(), std::move(parts), Kind::dictionary);
        return true;
      }
      default: return false;
    }
  }

  void recall(std::uint64_t key) {
    const auto at = memo_.find(key);
    if (at == memo_.end()) fail("the pickle recalls what it never kept");
    stack_.push_back(at->second);
  }

  void keep(std::uint64_t key) {
    top();
    memo_[key] = stack_.back();
  }

  bool memo(int opcode) {
    switch (opcode) {
      case 'q': keep(number(1)); return true;
      case 'r': keep(number(4)); return true;
      case 0x94: keep(memo_.size()); return true;
      case 'h': recall(number(1)); return true;
      case 'j': recall(number(4)); return true;
      default: return false;
    }
  }

  bool construct(int opcode) {
    switch (opcode) {
      case 'c': {
        std::string module = line();
        push_name(module, line());
        return true;
      }
      case 0x93: {  // STACK_GLOBAL
        const std::string name = text_at(pop_index());
        push_name(text_at(pop_index()), name);
        return true;
      }
      case 'Q': push_storage(pop_index()); return true;
      case 'R': {
        const std::size_t arguments = pop_index();
        call(pop().text, arguments);
        return true;
      }
      default: return false;
    }
  }

  void push_name(const std::string& module, const std::string& name) {
    const std::string whole = module + "." + name;
    const bool storage = module == "torch" && name.ends_with("Storage");
    constexpr std::array<std::string_view, 3> kNames{"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor",
                                                     "collections.OrderedDict"};
    if (!storage && std::find(kNames.begin(), kNames.end(), whole) == kNames.end()) {
      fail("the pickle asks for '" + whole.substr(0, 100) + "': only bare tensors are read, and nothing is run");
    }
    push({.kind = Kind::name, .text = storage ? name : whole});
  }

  // ('storage', FloatStorage, key, device, elements), and None in the older form.
  void push_storage(std::size_t identifier) {
    const Value& value = values_[identifier];
    const bool shaped = value.kind == Kind::sequence && value.parts.size() >= 5 &&
                        values_[value.parts[0]].text == "storage" && values_[value.parts[1]].kind == Kind::name;
    if (!shaped) fail("the pickle refers to something that is no storage");
    if (value.parts.size() > 5 && values_[value.parts[5]].kind != Kind::none)
      fail("the pickle has a view of a storage, as only PyTorch before 0.4 wrote");
    TorchStorage storage{values_[value.parts[1]].text, text_at(value.parts[2]), integer_at(value.parts[4])};
    storages_.push_back(std::move(storage));
    push({.kind = Kind::storage, .tensor = storages_.size() - 1});
  }

  // (storage, offset, shape, strides, ...)
  void call(const std::string& name, std::size_t arguments) {
    const Value& value = values_[arguments];
    if (value.kind != Kind::sequence) fail("the pickle calls something without arguments");
    if (name == "collections.OrderedDict" && value.parts.empty()) return push({.kind = Kind::dictionary});
    if (!name.starts_with("torch._utils.") || value.parts.size() < 4 || values_[value.parts[0]].kind != Kind::storage)
      fail("the pickle calls '" + name.substr(0, 100) + "' in a way that makes no tensor");
    TorchTensor tensor{storages_[values_[value.parts[0]].tensor], integer_at(value.parts[1]),
                       integers_at(value.parts[2]), integers_at(value.parts[3])};
    tensors_.push_back(std::move(tensor));
    push({.kind = Kind::tensor, .tensor = tensors_.size() - 1});
  }

  const std::string& text_at(std::size_t index) const {
    if (values_[index].kind != Kind::text)
      fail("the pickle has " + kind_in_words(values_[index]) + " where a text belongs");
    return values_[index].text;
  }

  std::int64_t integer_at(std::size_t index) const {
    if (values_[index].kind != Kind::integer)
      fail("the pickle has " + kind_in_words(values_[index]) + " where an integer belongs");
    return values_[index].number;
  }

  std::vector<std::int64_t> integers_at(std::size_t index) const {
    constexpr std::size_t kMaxRank = 8;
    const Value& value = values_[index];
    if (value.kind != Kind::sequence || value.parts.size() > kMaxRank) fail("the tensor's shape is none");
    std::vector<std::int64_t> out;
    for (const std::size_t part : value.parts) out.push_back(integer_at(part));
    return out;
  }

  PickleResult result(const Value& value) {
    PickleResult out;
    out.kind = kind_in_words(value);
    out.size_bytes = at_;
    if (value.kind == Kind::integer) out.value = value.number;
    if (value.kind == Kind::tensor) out.value = tensors_[value.tensor];
    if (value.kind == Kind::sequence) out.value = texts_of(value);
    if (value.kind == Kind::dictionary) out.value = numbers_of(value);
    if (value.kind == Kind::text) out.value = std::vector<std::string>{value.text};
    return out;
  }

  std::vector<std::string> texts_of(const Value& value) const {
    std::vector<std::string> texts;
    for (const std::size_t part : value.parts) {
      if (values_[part].kind == Kind::text) texts.push_back(values_[part].text);
    }
    return texts;
  }

  std::map<std::string, std::int64_t> numbers_of(const Value& value) const {
    std::map<std::string, std::int64_t> numbers;
    for (std::size_t i = 0; i + 1 < value.parts.size(); i += 2) {
      const Value& number = values_[value.parts[i + 1]];
      const bool counts = number.kind == Kind::integer || number.kind == Kind::boolean;
      if (counts && values_[value.parts[i]].kind == Kind::text) numbers[values_[value.parts[i]].text] = number.number;
    }
    return numbers;
  }

  std::span<const std::byte> bytes_;
  const std::string& file_;
  std::size_t at_ = 0;
  std::vector<Value> values_;
  std::vector<std::size_t> stack_;
  std::map<std::uint64_t, std::size_t> memo_;
  std::vector<TorchStorage> storages_;
  std::vector<TorchTensor> tensors_;
};

}  // namespace

PickleResult read_pickle(std::span<const std::byte> bytes, const std::string& file) {
  return Machine(bytes, file).run();
}

}  // namespace strandline::features
