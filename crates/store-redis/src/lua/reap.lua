-- How many. Gives how many can be claimed again, then the names of those that are dead.
local ids = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, tonumber(ARGV[3]))
load(ids)
local out = {0}
for _, id in ipairs(ids) do
  local job = held[id]
  redis.call('ZREM', leases, id)
  if job then
    job[TRIES] = job[TRIES] + 1
    if job[TRIES] < job[MOST] then
      job[AGAIN] = 0
      place(id, job, job[AT])
      out[1] = out[1] + 1
    else
      die(id, job, 'whoever looked at it broke off, each time')
      out[#out + 1] = id
    end
  end
end
finish()
return out
