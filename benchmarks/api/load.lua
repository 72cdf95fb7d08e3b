-- For wrk: sends one request again and again, and tells what came of it as a line of JSON.

function init(arguments)
   wrk.method = arguments[1]
   wrk.body = arguments[2]
end

function done(summary, latency)
   local failed = summary.errors
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "bytes": %d, "p50": %.6f, "p99": %.6f, "errors": %d}\n',
      summary.requests, summary.duration / 1e6, summary.bytes,
      latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
      failed.connect + failed.read + failed.write + failed.status + failed.timeout
   ))
end
