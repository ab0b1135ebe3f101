-- How many. Gives name, when, attempts, reason of each, the newest first.
local got, ids, out = redis.call('ZREVRANGE', dead, 0, tonumber(ARGV[3]) - 1, 'WITHSCORES'), {}, {}
for at = 1, #got, 2 do ids[#ids + 1] = got[at] end
load(ids)
for at = 1, #got, 2 do
  local job = held[got[at]]
  if job then
    out[#out + 1] = got[at]
    out[#out + 1] = tonumber(got[at + 1])
    out[#out + 1] = job[TRIES]
    out[#out + 1] = job[REASON]
  end
end
return out
