-- Name, lease, verdict, milliseconds, reason; and so on. Gives the names of those whose lease was lost.
local ids, lost = {}, {}
for at = 3, #ARGV, 5 do ids[#ids + 1] = ARGV[at] end
load(ids)
for at = 3, #ARGV, 5 do
  local id, verdict, later = ARGV[at], ARGV[at + 2], now + tonumber(ARGV[at + 3])
  local job = held[id]
  if not (job and job[STATE] == CLAIMED and job[LEASE] == tonumber(ARGV[at + 1])) then
    lost[#lost + 1] = id
  else
    redis.call('ZREM', leases, id)
    if verdict == 'done' then
      if job[AGAIN] == 1 then
        job[TRIES] = 0
        place_again(id, job, job[AGAIN_AT])
      else
        forget(id)
      end
    elseif verdict == 'again' then
      place_again(id, job, later)
    elseif verdict == 'back' then
      place_again(id, job, job[AT])
    elseif verdict == 'failed' then
      job[TRIES] = job[TRIES] + 1
      if job[TRIES] < job[MOST] then
        place_again(id, job, later)
      else
        die(id, job, ARGV[at + 4])
      end
    else
      die(id, job, ARGV[at + 4])
    end
  end
end
finish()
return lost
