-- Requests of one kind for wrk: `wrk -s requests.lua URL -- PAUSE_MS RUN [BODY_FILE]`.
-- With a body, each is a POST under an Idempotency-Key of its own, which starts with RUN, and the word SEED
-- in it is a new number.

local started = 0

function setup(thread)
   started = started + 1
   thread:set("thread_number", started)
end

local sent = 0
local run, before, after

function init(args)
   local pause = tonumber(args[1])
   run = args[2]
   if pause > 0 then
      -- Uniform up to twice the mean: a fixed pause could fall in step with what else runs.
      math.randomseed(thread_number)
      delay = function() return math.random(0, 2 * pause) end
   end
   if args[3] then
      local file = assert(io.open(args[3], "rb"))
      local body = file:read("*a")
      file:close()
      local at, last = assert(body:find("SEED", 1, true))
      before, after = body:sub(1, at - 1), body:sub(last + 1)
      wrk.method = "POST"
      wrk.headers["Content-Type"] = "application/json"
   end
end

function request()
   if not before then
      return wrk.format()
   end
   sent = sent + 1
   wrk.headers["Idempotency-Key"] = string.format("%s-%d-%d", run, thread_number, sent)
   return wrk.format(nil, nil, nil, before .. sent .. after)
end

function done(summary, latency, requests)
   local faults = summary.errors
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "p50_ms": %.6f, "p99_ms": %.6f, "failed": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      faults.connect + faults.read + faults.write + faults.status + faults.timeout))
end
