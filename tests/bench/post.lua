-- Creates from the corpus, one after another. BENCH_CORPUS, BENCH_PATH and BENCH_TOKEN say which.
local bodies = {}
for line in io.lines(os.getenv("BENCH_CORPUS")) do bodies[#bodies + 1] = line end
local headers = {
  ["Content-Type"] = "application/json",
  ["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN"),
}
local path, at = os.getenv("BENCH_PATH"), 0
refused = 0 -- global: `done` asks each thread for it

function request()
  at = at % #bodies + 1
  return wrk.format("POST", path, headers, bodies[at])
end

local threads = {}
function setup(thread) threads[#threads + 1] = thread end
function response(status) if status ~= 201 then refused = refused + 1 end end
function done(summary, latency)
  local other = 0
  for _, thread in ipairs(threads) do other = other + thread:get("refused") end
  io.write(string.format("BENCH %d %d %d %d %d\n", summary.requests, summary.duration, other,
    latency:percentile(50), latency:percentile(99)))
end
