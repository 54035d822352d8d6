-- wrk script: POSTs the bodies of a file (one per line) in rotation. Arguments: that file, a file with the API key (or "").
-- The last line of its output is JSON.

local requests, position = {}, 0

function init(args)
  local headers = { ["Content-Type"] = "application/json" }
  if args[2] ~= nil and args[2] ~= "" then
    headers["Authorization"] = "Bearer " .. io.open(args[2]):read("*l")
  end
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", "/predict", headers, line)
  end
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency, _)
  local failed = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "errors": %d, "p50": %f, "p95": %f, "p99": %f}\n',
    summary.requests, summary.duration / 1e6,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3
  ))
end
