-- Due, delayed, claimed, dead, since when the oldest due one is (-1: none).
local due, oldest = redis.call('ZCOUNT', waiting, '-inf', now), -1
local delayed = redis.call('ZCARD', waiting) - due
local function older(first)
  if first[2] and (oldest < 0 or tonumber(first[2]) < oldest) then oldest = tonumber(first[2]) end
end
if due > 0 then older(redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')) end
-- One for each priority that is in use.
for _, prio in ipairs(redis.call('ZRANGE', prios, 0, 999)) do
  due = due + redis.call('ZCARD', line(prio))
  older(redis.call('ZRANGE', line(prio), 0, 0, 'WITHSCORES'))
end
return {due, delayed, redis.call('ZCARD', leases), redis.call('ZCARD', dead), oldest}
