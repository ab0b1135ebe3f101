-- For how long; name, lease; and so on. Gives the names of those that are lost.
local length, ids, ends, lost = tonumber(ARGV[3]), {}, {}, {}
for at = 4, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
load(ids)
for at = 4, #ARGV, 2 do
  local id = ARGV[at]
  local job = held[id]
  if job and job[STATE] == CLAIMED and job[LEASE] == tonumber(ARGV[at + 1]) then
    ends[#ends + 1] = now + length
    ends[#ends + 1] = id
  else
    lost[#lost + 1] = id
  end
end
if #ends > 0 then redis.call('ZADD', leases, 'XX', unpack(ends)) end
return lost
