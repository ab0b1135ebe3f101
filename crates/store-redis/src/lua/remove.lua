-- Names. Gives how many were there.
local ids, gone = {}, 0
for at = 3, #ARGV do ids[#ids + 1] = ARGV[at] end
load(ids)
for _, id in ipairs(ids) do
  local job = held[id]
  if job then
    leave(id, job)
    forget(id)
    gone = gone + 1
  end
end
finish()
return gone
