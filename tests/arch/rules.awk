# The house rules that a machine can hold, over the files named on the command line (paths relative to the root).
# Prints "file:line: rule: what is wrong" for each breach. A line may be excused where a reviewer sees it:
#     some_call();  // allow: why this one is right
# Rules are documented in docs/style.md. Plain POSIX awk, so that a bare machine can run it.

function breach(rule, message) {
  if (excused) { allowances++; return }
  printf "%s:%d: %s: %s\n", FILENAME, FNR, rule, message
}

# The part of the house that a path belongs to.
function zone_of(path,    part) {
  split(path, part, "/")
  if (path == "core/backend.hpp") return "core/backend"
  if (path == "cuda/cuda_backend.hpp") return "cuda/seam"
  if (part[1] == "core") return "core/" part[2]
  return part[1]
}

function may_include(from, to) { return index(" " allowed[from] " ", " " to " ") > 0 }

function starts(text, prefix) { return substr(text, 1, length(prefix)) == prefix }

# The line without comments and without what stands inside string and character literals.
function code_of(line,    out, start, end) {
  out = ""
  while (line != "") {
    if (in_raw) {
      end = index(line, raw_end)
      if (!end) return out
      line = substr(line, end + length(raw_end)); in_raw = 0
      continue
    }
    if (in_comment) {
      end = index(line, "*/")
      if (!end) return out
      line = substr(line, end + 2); in_comment = 0
      continue
    }
    if (!match(line, /R"[^(" ]*\(|"|'|\/\/|\/\*/)) return out line
    start = substr(line, RSTART, RLENGTH)
    out = out substr(line, 1, RSTART - 1)
    line = substr(line, RSTART + RLENGTH)
    if (start == "//") return out
    if (start == "/*") { in_comment = 1; continue }
    if (starts(start, "R\"")) { in_raw = 1; raw_end = ")" substr(start, 3, length(start) - 3) "\""; out = out "\"\""; continue }
    if (start == "'") {
      if (out ~ /[0-9a-fA-F]$/ && line ~ /^[0-9a-fA-F]/) continue      # a digit separator: 1'000
      sub(/^(\\.|[^\\'])*'/, "", line); out = out "' '"
      continue
    }
    sub(/^(\\.|[^\\"])*"/, "", line); out = out "\"\""
  }
  return out
}

function check_include(code, raw,    name, to) {
  if (match(raw, /"[^"]*"/)) {
    name = substr(raw, RSTART + 1, RLENGTH - 2)
    to = zone_of(name)
    if (name !~ /\// || name ~ /^\.\.?\//) { breach("include", "write the path from the root, not \"" name "\""); return }
    if (!may_include(zone, to)) breach("layers", zone " may not include " name " (docs/architecture.md, who may include whom)")
    return
  }
  if (!match(raw, /<[^>]*>/)) return
  name = substr(raw, RSTART + 1, RLENGTH - 2)
  if (name ~ /^(htslib\/|hdf5|H5|openslide|tiff|png|jpeglib|zlib)/ && top != "io" && top != "tests")
    breach("third-party", "<" name "> stays inside io")
  if (name ~ /^opencv2/ && !starts(FILENAME, "pipelines/slide/") && top != "tests")
    breach("third-party", "<" name "> stays inside pipelines/slide")
  if (name ~ /^CLI\// && top != "apps") breach("third-party", "<" name "> stays inside apps")
  if (name ~ /^(boost|nlohmann|fmt)\// && is_header && top != "apps" && top != "tests")
    breach("third-party", "<" name "> may not show in a header that others include")
  if (name ~ /^(nlohmann|fmt)\// && (top == "core" || top == "cuda")) breach("third-party", "core and cuda do without <" name ">")
  if (name ~ /^([a-z]+intrin\.h|arm_neon\.h|arm_sve\.h)$/ && !starts(FILENAME, "core/cpu/simd/"))
    breach("third-party", "intrinsics stay inside core/cpu/simd")
  if (name ~ /^(cuda|cublas|cudnn|nccl|curand|cub\/|thrust\/|cooperative_groups|mma\.h|nv)/ && top != "cuda" && top != "tests")
    breach("third-party", "<" name "> stays inside cuda")
  if (name ~ /^(cblas|lapacke)/ && !starts(FILENAME, "core/cpu/")) breach("third-party", "<" name "> stays inside core/cpu")
  if (name ~ /^(gtest|gmock|benchmark)\// && top != "tests") breach("third-party", "<" name "> stays inside tests")
  if (name ~ /^(fstream|iostream|filesystem|cstdio|stdio\.h)$/ && top == "core")
    breach("layers", "core opens no file and prints nothing: no <" name ">")
}

function check_denials(code) {
  if (top != "apps" && top != "tests") {
    if (code ~ /(^|[^A-Za-z0-9_.>:])(std::|::)?(exit|_exit|_Exit|quick_exit|abort)[ ]*\(/) breach("exit", "libraries throw, they never end the process")
    if (code ~ /(^|[^A-Za-z0-9_])(secure_)?(getenv|setenv|putenv)[ ]*\(/) breach("environment", "libraries read no environment: pass the value in")
    if (code ~ /std::(cout|cerr|clog)|(^|[^A-Za-z0-9_.>:])(std::|::)?(printf|fprintf|puts|perror|vprintf)[ ]*\(/) breach("print", "libraries never print: use a callback")
  }
  if (is_header && code ~ /(^|[^A-Za-z0-9_])using namespace /) breach("using-namespace", "not in a header")
  if (!starts(FILENAME, "core/tensor/")) {
    if (top != "tests" && code ~ /(^|[^A-Za-z0-9_])(malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup)[ ]*\(/) breach("raw-memory", "only core/tensor allocates by hand")
    if (code ~ /(^|[^A-Za-z0-9_])new([ ]*\(|[ ]+[A-Za-z_:])/ && code !~ /operator new/) breach("raw-memory", "own it with std::unique_ptr or a container, not with new")
  }
  if (code ~ /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif)([^a-z]|$)/ && FILENAME !~ /^(core\/cpu\/simd|cuda\/base)\//)
    breach("conditional", "#if belongs to core/cpu/simd and cuda/base; elsewhere use a stub or a virtual call")
  if (code ~ /^[ \t]*#[ \t]*define[ \t]+[A-Za-z0-9_]+\(/ && FILENAME !~ /^(core\/cpu\/simd|cuda\/base)\//)
    breach("macro", "no function-like macros: write a function or a template")
}

BEGIN {
  base = "core/base"
  tensor = base " core/tensor"
  operations = tensor " core/ops core/backend"
  allowed["core/base"] = base
  allowed["core/tensor"] = tensor
  allowed["core/vocab"] = base " core/vocab"
  allowed["core/ops"] = operations
  allowed["core/backend"] = operations
  allowed["core/ref"] = operations " core/ref"
  allowed["core/cpu"] = operations " core/cpu"
  allowed["core/model"] = operations " core/model"
  allowed["core/train"] = operations " core/model core/train"
  allowed["cuda"] = operations " cuda cuda/seam"
  allowed["cuda/seam"] = operations
  allowed["io"] = tensor " core/vocab io"
  allowed["pipelines"] = tensor " core/backend core/model core/train core/vocab io pipelines"
  allowed["apps"] = operations " core/ref core/cpu core/vocab core/model core/train cuda/seam io pipelines apps"
  allowed["tests"] = allowed["apps"] " cuda tests"
  longest = 500
  allowances = lines = in_raw = in_comment = excused = 0
  raw_end = previous = ""
}

FNR == 1 {
  if (lines > longest) printf "%s:%d: length: %d lines, at most %d: split it by duty\n", previous, longest + 1, lines, longest
  in_comment = in_raw = 0
  is_code = FILENAME ~ /\.(hpp|cpp|cu|cuh|h|cc)$/
  is_header = FILENAME ~ /\.(hpp|cuh|h)$/
  split(FILENAME, parts, "/"); top = parts[1]
  zone = zone_of(FILENAME)
  previous = FILENAME
}

{
  lines = FNR
  excused = $0 ~ /(\/\/|#) allow: [^ ]/
  if ($0 ~ /(^|[^A-Za-z])(TODO|FIXME|XXX|HACK)([^A-Za-z]|$)/) breach("note-to-self", "do it, or open an issue")
}

is_code {
  raw_before = in_raw || in_comment
  code = code_of($0)
  if (!raw_before && $0 ~ /^[ \t]*#[ \t]*include/) check_include(code, $0)
  check_denials(code)
}

END {
  if (lines > longest) printf "%s:%d: length: %d lines, at most %d: split it by duty\n", previous, longest + 1, lines, longest
  printf "%d lines excused by '// allow: reason'\n", allowances > "/dev/stderr"
}
