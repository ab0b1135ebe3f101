-- How many, for how long, how many waiting ones may become due. Gives in how many milliseconds the
-- next one is due (-1: none), then name, lease, attempts, most attempts of each.
local most, length = tonumber(ARGV[3]), tonumber(ARGV[4])
local come = redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, tonumber(ARGV[5]))
load(come)
for _, id in ipairs(come) do
  redis.call('ZREM', waiting, id)
  if held[id] then place(id, held[id], held[id][AT]) end
end
local out, ends, taken = {-1}, {}, 0
while taken < most do
  local prio = redis.call('ZRANGE', prios, 0, 0)[1]
  if not prio then break end
  local got, ids = redis.call('ZPOPMIN', line(prio), most - taken), {}
  for at = 1, #got, 2 do ids[#ids + 1] = string.sub(got[at], 18) end
  load(ids)
  for _, id in ipairs(ids) do
    local job = held[id]
    if job then
      job[STATE], job[LEASE] = CLAIMED, number()
      keep(id, job)
      ends[#ends + 1] = now + length
      ends[#ends + 1] = id
      out[#out + 1] = id
      out[#out + 1] = string.format('%.0f', job[LEASE])
      out[#out + 1] = job[TRIES]
      out[#out + 1] = job[MOST]
      taken = taken + 1
    end
  end
  drained(prio)
end
if #ends > 0 then redis.call('ZADD', leases, unpack(ends)) end
local first = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
if first[2] then out[1] = math.max(0, tonumber(first[2]) - now) end
finish()
return out
