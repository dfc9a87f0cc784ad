-- Sends the requests of a file in turn, and prints what wrk counted as one line of JSON.
-- The file: for each request its length as text, a line feed, its bytes; then "order" and the numbers to send, or nothing.

local requests, order, at = {}, nil, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  while true do
    local line = file:read("*l")
    if line == nil then break end
    if line == "order" then
      order = {}
      for number in file:lines() do order[#order + 1] = tonumber(number) end
      break
    end
    requests[#requests + 1] = file:read(tonumber(line))
  end
  file:close()
end

function request()
  at = at + 1
  if order then
    if at > #order then at = 1 end
    return requests[order[at]]
  end
  if at > #requests then at = 1 end
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'counted {"requests":%d,"microseconds":%d,"refused":%d,"broken":%d,"p50":%g,"p99":%g}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
