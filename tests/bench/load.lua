-- wrk sends prepared requests in turn: nothing is put together here while it measures.
-- Arguments: the file of requests.

local requests, count, at = {}, 0, 0

-- Every host name of the test is this machine; the name stays in the URL for SNI.
function wrk.resolve(_, service)
   wrk.addrs = wrk.lookup("127.0.0.1", service)
end

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   for request in file:read("*a"):gmatch("(.-\r\n\r\n)") do
      count = count + 1
      requests[count] = request
   end
   file:close()
end

function request()
   at = at % count + 1
   return requests[at]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"microseconds":%d,"bytes":%d,"errors":%d,"p50":%d,"p99":%d}\n',
      summary.requests, summary.duration, summary.bytes,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(99)))
end
